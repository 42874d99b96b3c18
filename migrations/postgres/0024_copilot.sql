-- What the copilot may propose and do in a workspace. Without a row: the careful defaults.
CREATE TABLE copilot_rules (
    workspace_id         UUID NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    -- Kinds of actions.
    enabled_actions      JSONB NOT NULL,
    require_approval     BOOLEAN NOT NULL,
    max_actions_per_week BIGINT NOT NULL,
    -- 1 proposes what matters most, 3 everything.
    intensity            BIGINT NOT NULL,
    version              BIGINT NOT NULL,
    updated_at           TIMESTAMPTZ NOT NULL
);

-- Something that could be done about a gap.
CREATE TABLE copilot_actions (
    id              UUID NOT NULL,
    workspace_id    UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind            TEXT NOT NULL,
    title           TEXT NOT NULL,
    -- Where it is to be done, such as the address of a page.
    target          TEXT NOT NULL,
    -- What is to be done there.
    content         TEXT NOT NULL,
    -- Why: the runs and numbers it follows from.
    evidence        JSONB NOT NULL,
    -- 1 to 10, higher first.
    priority        BIGINT NOT NULL,
    -- proposed | approved | dismissed | done
    state           TEXT NOT NULL,
    -- SHA-256 of kind, target and content: what was approved and nothing else is carried out.
    approved_digest BYTEA,
    decided_by      TEXT,
    decided_at      TIMESTAMPTZ,
    note            TEXT,
    created_at      TIMESTAMPTZ NOT NULL,
    updated_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

-- What a window came to, as it was known when the report was made.
CREATE TABLE reports (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    title        TEXT NOT NULL,
    from_day     DATE NOT NULL,
    to_day       DATE NOT NULL,
    -- The schedule that asked for it.
    schedule_id  UUID,
    -- queued | ready | failed
    state        TEXT NOT NULL,
    error        TEXT,
    content      JSONB,
    created_by   TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    finished_at  TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id)
);
