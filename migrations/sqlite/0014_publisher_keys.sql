-- Keys of publishers whose components an operator trusts.
CREATE TABLE publisher_keys (
    public_key BLOB PRIMARY KEY,
    name       TEXT NOT NULL,
    added_by   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;
