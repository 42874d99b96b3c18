-- What happened that somebody may want to hear of. Written in the transaction of its cause, and
-- published afterwards: only then it has a position, so that positions are never seen out of order.
CREATE TABLE events (
    id           UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- Such as batch.completed.
    type         TEXT NOT NULL,
    -- Of the resource that it tells of.
    subject      TEXT NOT NULL,
    data         JSONB NOT NULL,
    position     BIGINT,
    created_at   TIMESTAMPTZ NOT NULL
);
CREATE INDEX events_waiting ON events (id) WHERE position IS NULL;
CREATE UNIQUE INDEX events_published ON events (workspace_id, position) WHERE position IS NOT NULL;
CREATE INDEX events_old ON events (created_at);

-- The position of the newest published event. One row: whoever publishes holds it.
CREATE TABLE event_positions (
    name TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO event_positions (name, last) VALUES ('published', 0);

-- What was told of a budget that day: throttled | exceeded. NULL when nothing was.
ALTER TABLE budget_days ADD COLUMN told TEXT;

-- Lets a browser listen: its EventSource cannot send a key. Each is good for one connection.
CREATE TABLE stream_tickets (
    -- SHA-256 of the ticket.
    digest       BYTEA NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- Who took it, as the audit log calls it.
    taken_by     TEXT NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);
CREATE INDEX stream_tickets_old ON stream_tickets (expires_at);
