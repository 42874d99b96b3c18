CREATE TABLE workspaces (
    id                  BLOB PRIMARY KEY,
    name                TEXT NOT NULL,
    timezone            TEXT NOT NULL,
    -- Everything in it comes from recordings; it says so wherever its numbers appear.
    synthetic           INTEGER NOT NULL,
    -- NULL is unlimited, 0 is closed.
    daily_budget_micros INTEGER,
    -- Grows when a brand changes: answers analysed with an older one can be analysed again.
    brands_version      INTEGER NOT NULL,
    version             INTEGER NOT NULL,
    created_at          TEXT NOT NULL,
    updated_at          TEXT NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    secret_hash  BLOB NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    expires_at   TEXT,
    last_used_at TEXT,
    revoked_at   TEXT,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;

CREATE TABLE idempotency_keys (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    route        TEXT NOT NULL,
    key          TEXT NOT NULL,
    fingerprint  BLOB NOT NULL,
    status       INTEGER NOT NULL,
    headers      TEXT NOT NULL,
    body         BLOB NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, route, key)
) STRICT;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
