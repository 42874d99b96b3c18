-- Where a workspace wants to be told of events.
CREATE TABLE webhooks (
    id              UUID NOT NULL,
    workspace_id    UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    url             TEXT NOT NULL,
    description     TEXT NOT NULL,
    -- Of the events it wants; empty for all.
    event_types     JSONB NOT NULL,
    enabled         BOOLEAN NOT NULL,
    -- Why it was switched off without anybody asking.
    disabled_reason TEXT,
    -- Sealed. What deliveries are signed with.
    signing_key     BYTEA NOT NULL,
    -- Sealed. Signs beside the other one until `previous_until`.
    previous_key    BYTEA,
    previous_until  TIMESTAMPTZ,
    -- Since when nothing was taken.
    failing_since   TIMESTAMPTZ,
    version         BIGINT NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    updated_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

-- An event on its way to a webhook.
CREATE TABLE webhook_deliveries (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL,
    webhook_id   UUID NOT NULL,
    event_id     UUID NOT NULL,
    event_type   TEXT NOT NULL,
    -- The body, to the byte: each try sends and signs the same.
    body         TEXT NOT NULL,
    -- pending | delivered | failed | cancelled
    state        TEXT NOT NULL,
    attempts     BIGINT NOT NULL,
    -- When it is tried again.
    next_at      TIMESTAMPTZ,
    created_at   TIMESTAMPTZ NOT NULL,
    finished_at  TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, webhook_id) REFERENCES webhooks (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (workspace_id, webhook_id, id);
CREATE INDEX webhook_deliveries_old ON webhook_deliveries (created_at);

-- A try to deliver.
CREATE TABLE webhook_attempts (
    workspace_id UUID NOT NULL,
    delivery_id  UUID NOT NULL,
    -- 1 for the first.
    attempt      BIGINT NOT NULL,
    -- HTTP status; NULL when there was no answer.
    status       BIGINT,
    -- Why it does not count as delivered.
    error        TEXT,
    -- The beginning of what was answered.
    answer       TEXT,
    took_ms      BIGINT NOT NULL,
    started_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, delivery_id, attempt),
    FOREIGN KEY (workspace_id, delivery_id)
        REFERENCES webhook_deliveries (workspace_id, id) ON DELETE CASCADE
);
