-- What a workspace proves itself to a vendor with: sealed, see `host/src/vault.rs`.
CREATE TABLE provider_credentials (
    workspace_id BLOB NOT NULL,
    engine       TEXT NOT NULL,
    name         TEXT NOT NULL,
    -- Which master key sealed it.
    key_id       TEXT NOT NULL,
    sealed       BLOB NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, engine, name),
    FOREIGN KEY (workspace_id, engine) REFERENCES engines (workspace_id, key) ON DELETE CASCADE
) STRICT;
CREATE INDEX provider_credentials_key ON provider_credentials (key_id);
