-- Keys of publishers whose components an operator trusts.
CREATE TABLE publisher_keys (
    public_key BYTEA PRIMARY KEY,
    name       TEXT NOT NULL,
    added_by   TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ
);
