-- Who did what. Append-only.
CREATE TABLE audit_logs (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL for what concerns the whole platform.
    workspace_id  UUID,
    actor         TEXT NOT NULL,
    action        TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    payload       JSONB NOT NULL,
    request_id    TEXT,
    created_at    TIMESTAMPTZ NOT NULL
);
CREATE INDEX audit_logs_workspace ON audit_logs (workspace_id, id);
