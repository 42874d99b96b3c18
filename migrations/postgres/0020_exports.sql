-- A workspace's data as one file.
CREATE TABLE exports (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- running | completed | failed
    state        TEXT NOT NULL,
    -- ndjson | csv
    format       TEXT NOT NULL,
    files        BIGINT NOT NULL,
    records      BIGINT NOT NULL,
    size         BIGINT NOT NULL,
    error        TEXT,
    created_by   TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    finished_at  TIMESTAMPTZ,
    -- From then on its parts are gone.
    expires_at   TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id)
);
CREATE UNIQUE INDEX exports_open ON exports (workspace_id) WHERE finished_at IS NULL;
CREATE INDEX exports_expiry ON exports (expires_at) WHERE expires_at IS NOT NULL;

-- The file in pieces: put one after the other, they are it.
CREATE TABLE export_parts (
    workspace_id UUID NOT NULL,
    export_id    UUID NOT NULL,
    part         BIGINT NOT NULL,
    bytes        BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, export_id, part),
    FOREIGN KEY (workspace_id, export_id) REFERENCES exports (workspace_id, id) ON DELETE CASCADE
);

-- Addresses that open a file once, for those who have no key.
CREATE TABLE download_links (
    -- SHA-256 of the secret part of the address.
    secret_hash  BYTEA PRIMARY KEY,
    workspace_id UUID NOT NULL,
    export_id    UUID NOT NULL,
    created_by   TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    used_at      TIMESTAMPTZ,
    FOREIGN KEY (workspace_id, export_id) REFERENCES exports (workspace_id, id) ON DELETE CASCADE
);

-- Who wanted a workspace gone, and that it is. The rows outlive their workspaces.
CREATE TABLE deletion_requests (
    id           UUID PRIMARY KEY,
    workspace_id UUID NOT NULL,
    -- pending | running | completed | cancelled
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    -- Until then it can be cancelled.
    due_at       TIMESTAMPTZ NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    finished_at  TIMESTAMPTZ,
    -- Rows removed, by table.
    receipt      JSONB
);
CREATE UNIQUE INDEX deletion_requests_open ON deletion_requests (workspace_id) WHERE finished_at IS NULL;
