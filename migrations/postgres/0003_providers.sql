-- Components are bytes named by their digest; they never change and are never replaced.
CREATE TABLE provider_artifacts (
    digest       BYTEA PRIMARY KEY,
    provider_key TEXT NOT NULL,
    version      TEXT NOT NULL,
    wit_version  TEXT NOT NULL,
    pure         BOOLEAN NOT NULL,
    imports      JSONB NOT NULL,
    manifest     JSONB NOT NULL,
    component    BYTEA NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);

-- What the operator allows a provider, apart from what its manifest asks for.
CREATE TABLE provider_grants (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_key TEXT NOT NULL,
    grants       JSONB NOT NULL,
    granted_by   TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);
CREATE INDEX provider_grants_key ON provider_grants (provider_key, id);

-- Append-only: the newest row of a provider is the one in service, its id the generation.
CREATE TABLE provider_activations (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_key TEXT NOT NULL,
    digest       BYTEA NOT NULL REFERENCES provider_artifacts (digest),
    grant_id     BIGINT NOT NULL REFERENCES provider_grants (id),
    activated_by TEXT NOT NULL,
    reason       TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);
CREATE INDEX provider_activations_key ON provider_activations (provider_key, id);

-- A workspace's configuration of a provider.
CREATE TABLE engines (
    workspace_id        UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    key                 TEXT NOT NULL,
    enabled             BOOLEAN NOT NULL,
    surface             TEXT NOT NULL,
    model               TEXT,
    language            TEXT,
    country             TEXT,
    location            TEXT,
    device              TEXT,
    config              JSONB NOT NULL,
    concurrency         BIGINT NOT NULL,
    daily_budget_micros BIGINT,
    -- Why the engine is not asked until somebody acts, such as a credential that was refused.
    needs_attention     TEXT,
    -- Until when its runs wait, such as for a quota to be filled up.
    paused_until        TIMESTAMPTZ,
    version             BIGINT NOT NULL,
    created_at          TIMESTAMPTZ NOT NULL,
    updated_at          TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, key)
);
