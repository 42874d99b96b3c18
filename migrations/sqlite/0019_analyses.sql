-- Stored answers read again, with the analysis and the brands of today.
CREATE TABLE analyses (
    id               BLOB NOT NULL,
    workspace_id     BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- running | completed | cancelled | failed
    state            TEXT NOT NULL,
    -- Days in the workspace's time zone, both included.
    from_day         TEXT NOT NULL,
    to_day           TEXT NOT NULL,
    -- Only this engine.
    engine           TEXT,
    -- Only this answer.
    run_id           BLOB,
    -- Also answers that today's analysis and brands have read already.
    everything       INTEGER NOT NULL,
    planned          INTEGER NOT NULL,
    analysed         INTEGER NOT NULL,
    -- Answers in which something else was found than before.
    changed          INTEGER NOT NULL,
    -- Answers whose raw payload is gone, or cannot be read.
    unreadable       INTEGER NOT NULL,
    mentions_before  INTEGER NOT NULL,
    mentions_after   INTEGER NOT NULL,
    citations_before INTEGER NOT NULL,
    citations_after  INTEGER NOT NULL,
    -- Where it goes on: the day, and the last run of it that was read.
    next_day         TEXT NOT NULL,
    after_number     INTEGER NOT NULL,
    error            TEXT,
    created_by       TEXT NOT NULL,
    created_at       TEXT NOT NULL,
    finished_at      TEXT,
    PRIMARY KEY (workspace_id, id)
) STRICT;
-- Two at once would undo each other's counts.
CREATE UNIQUE INDEX analyses_open ON analyses (workspace_id) WHERE finished_at IS NULL;

-- What a workspace decided about domains that cite competitors and not itself. A domain without a
-- row is open.
CREATE TABLE citation_opportunities (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    domain       INTEGER NOT NULL REFERENCES domains (number),
    -- open | dismissed | done
    status       TEXT NOT NULL,
    note         TEXT,
    updated_by   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, domain)
) STRICT;
