-- Who did what. Append-only.
CREATE TABLE audit_logs (
    id            INTEGER PRIMARY KEY,
    -- NULL for what concerns the whole platform.
    workspace_id  BLOB,
    actor         TEXT NOT NULL,
    action        TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    payload       TEXT NOT NULL,
    request_id    TEXT,
    created_at    TEXT NOT NULL
) STRICT;
CREATE INDEX audit_logs_workspace ON audit_logs (workspace_id, id);

-- A trigger and not REVOKE: the application owns its tables, and an owner can grant to itself
-- what was taken away. SQLite has no grants at all.
CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs is append-only');
END;
CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs is append-only');
END;
