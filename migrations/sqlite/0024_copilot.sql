-- What the copilot may propose and do in a workspace. Without a row: the careful defaults.
CREATE TABLE copilot_rules (
    workspace_id         BLOB NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    -- Kinds of actions.
    enabled_actions      TEXT NOT NULL,
    require_approval     INTEGER NOT NULL,
    max_actions_per_week INTEGER NOT NULL,
    -- 1 proposes what matters most, 3 everything.
    intensity            INTEGER NOT NULL,
    version              INTEGER NOT NULL,
    updated_at           TEXT NOT NULL
) STRICT;

-- Something that could be done about a gap.
CREATE TABLE copilot_actions (
    id              BLOB NOT NULL,
    workspace_id    BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind            TEXT NOT NULL,
    title           TEXT NOT NULL,
    -- Where it is to be done, such as the address of a page.
    target          TEXT NOT NULL,
    -- What is to be done there.
    content         TEXT NOT NULL,
    -- Why: the runs and numbers it follows from.
    evidence        TEXT NOT NULL,
    -- 1 to 10, higher first.
    priority        INTEGER NOT NULL,
    -- proposed | approved | dismissed | done
    state           TEXT NOT NULL,
    -- SHA-256 of kind, target and content: what was approved and nothing else is carried out.
    approved_digest BLOB,
    decided_by      TEXT,
    decided_at      TEXT,
    note            TEXT,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;

-- What a window came to, as it was known when the report was made.
CREATE TABLE reports (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    title        TEXT NOT NULL,
    from_day     TEXT NOT NULL,
    to_day       TEXT NOT NULL,
    -- The schedule that asked for it.
    schedule_id  BLOB,
    -- queued | ready | failed
    state        TEXT NOT NULL,
    error        TEXT,
    content      TEXT,
    created_by   TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    finished_at  TEXT,
    PRIMARY KEY (workspace_id, id)
) STRICT;
