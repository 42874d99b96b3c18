-- What a day may cost, has cost and is about to cost, for a workspace, one of its engines or the
-- whole platform. The nil workspace and the empty engine mean all of them.
CREATE TABLE budget_days (
    scope           TEXT NOT NULL,
    workspace_id    UUID NOT NULL,
    engine          TEXT NOT NULL,
    day             DATE NOT NULL,
    -- NULL is unlimited, 0 is closed.
    limit_micros    BIGINT,
    reserved_micros BIGINT NOT NULL,
    spent_micros    BIGINT NOT NULL,
    updated_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (scope, workspace_id, engine, day)
);

-- Settings of the platform that operators change while it runs.
CREATE TABLE platform_settings (
    key        TEXT PRIMARY KEY,
    value      JSONB NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- An operator's word on how a workspace may spend, against what its budget says.
CREATE TABLE throttle_overrides (
    workspace_id UUID PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    -- normal | throttled | stopped
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    until        TIMESTAMPTZ,
    updated_by   TEXT NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL
);
