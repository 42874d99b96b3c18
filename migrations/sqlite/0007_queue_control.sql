-- When a job was handed to the broker, where there is one; NULL means it waits here.
ALTER TABLE jobs ADD COLUMN dispatched_at TEXT;
-- A job of no workspace belongs to the nil one, so that fairness needs no special case.
UPDATE jobs SET workspace_id = X'00000000000000000000000000000000' WHERE workspace_id IS NULL;

-- Claimers walk the lanes, in a lane the priorities, in a priority the workspaces.
DROP INDEX jobs_ready;
CREATE INDEX jobs_ready ON jobs (queue, lane, priority, workspace_id, run_at) WHERE state = 'available' AND dispatched_at IS NULL;
-- Counts what a lane and a workspace have in flight; the rescuer reads it too, it is short.
DROP INDEX jobs_lease;
CREATE INDEX jobs_running ON jobs (queue, lane, workspace_id) WHERE state = 'running';
CREATE INDEX jobs_dispatched ON jobs (queue, lane, dispatched_at) WHERE state = 'available' AND dispatched_at IS NOT NULL;
-- Dead letters are few and looked at by people.
CREATE INDEX jobs_dead ON jobs (queue, finished_at) WHERE state = 'dead';

-- Every failed try, so that an operator sees what a job went through.
CREATE TABLE job_errors (
    job_id     BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    epoch      INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    error      TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (job_id, epoch)
) STRICT;

-- What an operator says about a queue; without a row nothing is said.
CREATE TABLE queue_control (
    queue         TEXT PRIMARY KEY,
    paused        INTEGER NOT NULL,
    -- In flight at once over all processes.
    max_in_flight INTEGER,
    updated_by    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
) STRICT;

-- What an operator, a vendor's refusals and the clock say about a lane of a queue.
CREATE TABLE lane_control (
    queue         TEXT NOT NULL,
    lane          TEXT NOT NULL,
    paused        INTEGER NOT NULL,
    -- Set by an operator; NULL takes the rate that the component states.
    per_minute    INTEGER,
    burst         INTEGER,
    max_in_flight INTEGER,
    -- A vendor asked to be left alone until then.
    blocked_until TEXT,
    -- Theoretical arrival time of the generic cell rate algorithm.
    tat           TEXT,
    -- Share of the rate that is used, in thousandths; refusals halve it, peace brings it back.
    throttle      INTEGER NOT NULL,
    throttled_at  TEXT,
    updated_by    TEXT NOT NULL,
    updated_at    TEXT NOT NULL,
    PRIMARY KEY (queue, lane)
) STRICT;

-- What ended in a minute: throughput without counting jobs.
CREATE TABLE queue_minutes (
    queue     TEXT NOT NULL,
    minute    TEXT NOT NULL,
    succeeded INTEGER NOT NULL,
    retried   INTEGER NOT NULL,
    dead      INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    PRIMARY KEY (queue, minute)
) STRICT;

-- Who does what only one process may do, for as long as its lease lasts.
CREATE TABLE leaders (
    role        TEXT PRIMARY KEY,
    owner       BLOB NOT NULL,
    lease_until TEXT NOT NULL
) STRICT;

-- Processes that said lately that they live.
CREATE TABLE processes (
    id          BLOB PRIMARY KEY,
    role        TEXT NOT NULL,
    host        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    version     TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    in_flight   INTEGER NOT NULL,
    draining    INTEGER NOT NULL,
    started_at  TEXT NOT NULL,
    seen_at     TEXT NOT NULL
) STRICT;

-- A workspace with weight 2 gets twice the share of a lane that one with weight 1 gets.
ALTER TABLE workspaces ADD COLUMN queue_weight INTEGER NOT NULL DEFAULT 1;
