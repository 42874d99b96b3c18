-- The queue of record in every mode: a job is written in the transaction of its cause.
CREATE TABLE jobs (
    id           BLOB PRIMARY KEY,
    queue        TEXT NOT NULL,
    -- What limits it: the provider for a run, else the workspace.
    lane         TEXT NOT NULL,
    workspace_id BLOB,
    -- Lower first.
    priority     INTEGER NOT NULL,
    -- At most one unfinished or kept job of a queue has it.
    unique_key   TEXT,
    payload      TEXT NOT NULL,
    -- available | running | succeeded | dead | cancelled
    state        TEXT NOT NULL,
    run_at       TEXT NOT NULL,
    -- Grows whenever a lease is taken away: what an old owner says no longer counts.
    epoch        INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    owner        BLOB,
    lease_until  TEXT,
    -- How often its worker died: a job that kills workers is buried.
    lost         INTEGER NOT NULL,
    last_error   TEXT,
    created_at   TEXT NOT NULL,
    started_at   TEXT,
    finished_at  TEXT
) STRICT;
CREATE UNIQUE INDEX jobs_unique ON jobs (queue, unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX jobs_ready ON jobs (queue, lane, priority, run_at) WHERE state = 'available';
CREATE INDEX jobs_lease ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
