-- Stored answers read again, with the analysis and the brands of today.
CREATE TABLE analyses (
    id               UUID NOT NULL,
    workspace_id     UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- running | completed | cancelled | failed
    state            TEXT NOT NULL,
    -- Days in the workspace's time zone, both included.
    from_day         DATE NOT NULL,
    to_day           DATE NOT NULL,
    -- Only this engine.
    engine           TEXT,
    -- Only this answer.
    run_id           UUID,
    -- Also answers that today's analysis and brands have read already.
    everything       BOOLEAN NOT NULL,
    planned          BIGINT NOT NULL,
    analysed         BIGINT NOT NULL,
    -- Answers in which something else was found than before.
    changed          BIGINT NOT NULL,
    -- Answers whose raw payload is gone, or cannot be read.
    unreadable       BIGINT NOT NULL,
    mentions_before  BIGINT NOT NULL,
    mentions_after   BIGINT NOT NULL,
    citations_before BIGINT NOT NULL,
    citations_after  BIGINT NOT NULL,
    -- Where it goes on: the day, and the last run of it that was read.
    next_day         DATE NOT NULL,
    after_number     BIGINT NOT NULL,
    error            TEXT,
    created_by       TEXT NOT NULL,
    created_at       TIMESTAMPTZ NOT NULL,
    finished_at      TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id)
);
-- Two at once would undo each other's counts.
CREATE UNIQUE INDEX analyses_open ON analyses (workspace_id) WHERE finished_at IS NULL;

-- What a workspace decided about domains that cite competitors and not itself. A domain without a
-- row is open.
CREATE TABLE citation_opportunities (
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    domain       BIGINT NOT NULL REFERENCES domains (number),
    -- open | dismissed | done
    status       TEXT NOT NULL,
    note         TEXT,
    updated_by   TEXT NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, domain)
);
