-- A workspace's data as one file.
CREATE TABLE exports (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- running | completed | failed
    state        TEXT NOT NULL,
    -- ndjson | csv
    format       TEXT NOT NULL,
    files        INTEGER NOT NULL,
    records      INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    error        TEXT,
    created_by   TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    finished_at  TEXT,
    -- From then on its parts are gone.
    expires_at   TEXT,
    PRIMARY KEY (workspace_id, id)
) STRICT;
CREATE UNIQUE INDEX exports_open ON exports (workspace_id) WHERE finished_at IS NULL;
CREATE INDEX exports_expiry ON exports (expires_at) WHERE expires_at IS NOT NULL;

-- The file in pieces: put one after the other, they are it.
CREATE TABLE export_parts (
    workspace_id BLOB NOT NULL,
    export_id    BLOB NOT NULL,
    part         INTEGER NOT NULL,
    bytes        BLOB NOT NULL,
    PRIMARY KEY (workspace_id, export_id, part),
    FOREIGN KEY (workspace_id, export_id) REFERENCES exports (workspace_id, id) ON DELETE CASCADE
) STRICT;

-- Addresses that open a file once, for those who have no key.
CREATE TABLE download_links (
    -- SHA-256 of the secret part of the address.
    secret_hash  BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    export_id    BLOB NOT NULL,
    created_by   TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL,
    used_at      TEXT,
    FOREIGN KEY (workspace_id, export_id) REFERENCES exports (workspace_id, id) ON DELETE CASCADE
) STRICT;

-- Who wanted a workspace gone, and that it is. The rows outlive their workspaces.
CREATE TABLE deletion_requests (
    id           BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    -- pending | running | completed | cancelled
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    -- Until then it can be cancelled.
    due_at       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    finished_at  TEXT,
    -- Rows removed, by table.
    receipt      TEXT
) STRICT;
CREATE UNIQUE INDEX deletion_requests_open ON deletion_requests (workspace_id) WHERE finished_at IS NULL;
