-- Where a workspace wants to be told of events.
CREATE TABLE webhooks (
    id              BLOB NOT NULL,
    workspace_id    BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    url             TEXT NOT NULL,
    description     TEXT NOT NULL,
    -- Of the events it wants; empty for all.
    event_types     TEXT NOT NULL,
    enabled         INTEGER NOT NULL,
    -- Why it was switched off without anybody asking.
    disabled_reason TEXT,
    -- Sealed. What deliveries are signed with.
    signing_key     BLOB NOT NULL,
    -- Sealed. Signs beside the other one until `previous_until`.
    previous_key    BLOB,
    previous_until  TEXT,
    -- Since when nothing was taken.
    failing_since   TEXT,
    version         INTEGER NOT NULL,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;

-- An event on its way to a webhook.
CREATE TABLE webhook_deliveries (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    webhook_id   BLOB NOT NULL,
    event_id     BLOB NOT NULL,
    event_type   TEXT NOT NULL,
    -- The body, to the byte: each try sends and signs the same.
    body         TEXT NOT NULL,
    -- pending | delivered | failed | cancelled
    state        TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    -- When it is tried again.
    next_at      TEXT,
    created_at   TEXT NOT NULL,
    finished_at  TEXT,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, webhook_id) REFERENCES webhooks (workspace_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (workspace_id, webhook_id, id);
CREATE INDEX webhook_deliveries_old ON webhook_deliveries (created_at);

-- A try to deliver.
CREATE TABLE webhook_attempts (
    workspace_id BLOB NOT NULL,
    delivery_id  BLOB NOT NULL,
    -- 1 for the first.
    attempt      INTEGER NOT NULL,
    -- HTTP status; NULL when there was no answer.
    status       INTEGER,
    -- Why it does not count as delivered.
    error        TEXT,
    -- The beginning of what was answered.
    answer       TEXT,
    took_ms      INTEGER NOT NULL,
    started_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, delivery_id, attempt),
    FOREIGN KEY (workspace_id, delivery_id)
        REFERENCES webhook_deliveries (workspace_id, id) ON DELETE CASCADE
) STRICT;
