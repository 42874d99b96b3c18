-- What is to happen again and again, by the clock of a place.
CREATE TABLE schedules (
    id             UUID NOT NULL,
    workspace_id   UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    -- runBatch | dailyAggregations
    queue          TEXT NOT NULL,
    cron           TEXT NOT NULL,
    timezone       TEXT NOT NULL,
    payload        JSONB NOT NULL,
    -- none | one | all: what becomes of slots that passed while nobody worked.
    catch_up       TEXT NOT NULL,
    -- Spreads the starts of equal schedules; part of the slot's start, never of its name.
    jitter_seconds BIGINT NOT NULL,
    enabled        BOOLEAN NOT NULL,
    -- The slot that fires next; NULL when there is none.
    next_at        TIMESTAMPTZ,
    -- When it starts: the slot and the jitter.
    due_at         TIMESTAMPTZ,
    version        BIGINT NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE UNIQUE INDEX schedules_name ON schedules (workspace_id, name);
CREATE INDEX schedules_due ON schedules (due_at, id) WHERE enabled AND due_at IS NOT NULL;
-- Finds the workspaces that lack the schedule which every workspace has.
CREATE INDEX schedules_queue ON schedules (queue, workspace_id);

-- One row per slot that fired: whoever writes it fires, nobody else does.
CREATE TABLE schedule_fires (
    workspace_id UUID NOT NULL,
    schedule_id  UUID NOT NULL,
    slot         TIMESTAMPTZ NOT NULL,
    -- The wall time that the expression names; differs from the slot's where clocks leave it out.
    local_time   TEXT NOT NULL,
    -- started | refused | missed
    outcome      TEXT NOT NULL,
    -- Why it did not start, such as a spent budget.
    reason       TEXT,
    -- Slots that the row stands for, of which `slot` is the first: more than 1 for missed ones.
    slots        BIGINT NOT NULL,
    batch_id     UUID,
    fired_at     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, schedule_id, slot),
    FOREIGN KEY (workspace_id, schedule_id) REFERENCES schedules (workspace_id, id) ON DELETE CASCADE
);
