-- What a day may cost, has cost and is about to cost, for a workspace, one of its engines or the
-- whole platform. The nil workspace and the empty engine mean all of them.
CREATE TABLE budget_days (
    scope           TEXT NOT NULL,
    workspace_id    BLOB NOT NULL,
    engine          TEXT NOT NULL,
    day             TEXT NOT NULL,
    -- NULL is unlimited, 0 is closed.
    limit_micros    INTEGER,
    reserved_micros INTEGER NOT NULL,
    spent_micros    INTEGER NOT NULL,
    updated_at      TEXT NOT NULL,
    PRIMARY KEY (scope, workspace_id, engine, day)
) STRICT;

-- Settings of the platform that operators change while it runs.
CREATE TABLE platform_settings (
    key        TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

-- An operator's word on how a workspace may spend, against what its budget says.
CREATE TABLE throttle_overrides (
    workspace_id BLOB PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    -- normal | throttled | stopped
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    until        TEXT,
    updated_by   TEXT NOT NULL,
    updated_at   TEXT NOT NULL
) STRICT;
