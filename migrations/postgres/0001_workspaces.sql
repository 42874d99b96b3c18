CREATE TABLE workspaces (
    id                  UUID PRIMARY KEY,
    name                TEXT NOT NULL,
    timezone            TEXT NOT NULL,
    -- Everything in it comes from recordings; it says so wherever its numbers appear.
    synthetic           BOOLEAN NOT NULL,
    -- NULL is unlimited, 0 is closed.
    daily_budget_micros BIGINT,
    -- Grows when a brand changes: answers analysed with an older one can be analysed again.
    brands_version      BIGINT NOT NULL,
    version             BIGINT NOT NULL,
    created_at          TIMESTAMPTZ NOT NULL,
    updated_at          TIMESTAMPTZ NOT NULL
);

CREATE TABLE api_keys (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    secret_hash  BYTEA NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    scopes       JSONB NOT NULL,
    expires_at   TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    revoked_at   TIMESTAMPTZ,
    created_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE idempotency_keys (
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    route        TEXT NOT NULL,
    key          TEXT NOT NULL,
    fingerprint  BYTEA NOT NULL,
    status       BIGINT NOT NULL,
    headers      JSONB NOT NULL,
    body         BYTEA NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, route, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
