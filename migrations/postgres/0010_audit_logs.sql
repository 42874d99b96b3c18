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

-- A trigger and not REVOKE: the application owns its tables, and an owner can grant to itself
-- what was taken away. SQLite has no grants at all.
CREATE FUNCTION audit_logs_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_logs is append-only';
END $$;
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_refuse();
