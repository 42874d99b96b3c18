CREATE TABLE batches (
    id               BLOB NOT NULL,
    workspace_id     BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    state            TEXT NOT NULL,
    slot             TEXT NOT NULL,
    samples          INTEGER NOT NULL,
    selection        TEXT NOT NULL,
    planned          INTEGER NOT NULL,
    estimated_micros INTEGER NOT NULL,
    created_by       TEXT NOT NULL,
    created_at       TEXT NOT NULL,
    finished_at      TEXT,
    PRIMARY KEY (workspace_id, id)
) STRICT;
CREATE INDEX batches_open ON batches (created_at) WHERE finished_at IS NULL;

-- The hot rows below have no foreign keys to each other: a check per row would cost more than the
-- row. `store::runs` is the only writer and writes a run's rows in one transaction.
CREATE TABLE runs (
    number            INTEGER PRIMARY KEY,
    id                BLOB NOT NULL,
    workspace_id      BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    batch_id          BLOB,
    prompt_id         BLOB NOT NULL,
    prompt_version_id BLOB NOT NULL,
    engine            TEXT NOT NULL,
    sample            INTEGER NOT NULL,
    slot              TEXT NOT NULL,
    -- One answer per question, engine, locale, sample and slot, whoever asks for it.
    run_key           BLOB NOT NULL,
    synthetic         INTEGER NOT NULL,
    state             TEXT NOT NULL,
    -- answer | no_answer, once succeeded.
    outcome           TEXT,
    -- Why there is no answer, or why the run was skipped.
    reason            TEXT,
    error_kind        TEXT,
    error_detail      TEXT,
    attempts          INTEGER NOT NULL,
    cost_micros       INTEGER NOT NULL,
    -- Day of the finish in the workspace's time zone.
    day               TEXT,
    mentions          INTEGER NOT NULL,
    citations         INTEGER NOT NULL,
    provider_digest   BLOB,
    -- A call that waits: another worker can go on with it.
    checkpoint        BLOB,
    created_at        TEXT NOT NULL,
    started_at        TEXT,
    finished_at       TEXT,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, run_key)
) STRICT;
CREATE INDEX runs_batch ON runs (batch_id, state) WHERE batch_id IS NOT NULL;
CREATE INDEX runs_day ON runs (workspace_id, day) WHERE day IS NOT NULL;

-- One row per paid call, written before the call: a repeat shows.
CREATE TABLE run_attempts (
    run_number      INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,
    workspace_id    BLOB NOT NULL,
    state           TEXT NOT NULL,
    provider_digest BLOB NOT NULL,
    fetches         INTEGER NOT NULL,
    cost_micros     INTEGER NOT NULL,
    error_kind      TEXT,
    error_detail    TEXT,
    raw_digest      BLOB,
    started_at      TEXT NOT NULL,
    finished_at     TEXT,
    PRIMARY KEY (run_number, attempt)
) STRICT;

-- What the engines sent, named by its SHA-256, compressed, without credentials, never changed.
CREATE TABLE raw_payloads (
    workspace_id BLOB NOT NULL,
    digest       BLOB NOT NULL,
    bytes        BLOB NOT NULL,
    size         INTEGER NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, digest)
) STRICT;

CREATE TABLE answers (
    run_number       INTEGER PRIMARY KEY,
    workspace_id     BLOB NOT NULL,
    text             TEXT NOT NULL,
    -- The instrument passport: surface, models, locale, finish, queries, usage, plugin.
    passport         TEXT NOT NULL,
    related          TEXT NOT NULL,
    raw_digest       BLOB NOT NULL,
    analysis_version INTEGER NOT NULL,
    brands_version   INTEGER NOT NULL,
    created_at       TEXT NOT NULL
) STRICT;

CREATE TABLE mentions (
    run_number    INTEGER NOT NULL,
    start         INTEGER NOT NULL,
    length        INTEGER NOT NULL,
    workspace_id  BLOB NOT NULL,
    brand         INTEGER NOT NULL,
    rank          INTEGER NOT NULL,
    list_position INTEGER,
    recommended   INTEGER NOT NULL,
    -- 1 positive, 0 neutral, -1 negative, NULL unknown.
    sentiment     INTEGER,
    PRIMARY KEY (run_number, start)
) STRICT;

-- Domain names are public facts, so the dictionary belongs to nobody.
CREATE TABLE domains (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE citations (
    run_number   INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    workspace_id BLOB NOT NULL,
    domain       INTEGER NOT NULL,
    -- cited | listed | inline_link
    kind         TEXT NOT NULL,
    -- provider | text
    origin       TEXT NOT NULL,
    -- A reader sees it: cited inline, or listed where the whole list is shown.
    visible      INTEGER NOT NULL,
    -- The tracked brand that owns the domain.
    brand        INTEGER,
    url          TEXT NOT NULL,
    title        TEXT,
    markers      TEXT NOT NULL,
    published    TEXT,
    PRIMARY KEY (run_number, position)
) STRICT;

-- Append-only. One line per attempt and kind: money is never counted twice.
CREATE TABLE cost_ledger (
    id           BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    run_id       BLOB NOT NULL,
    attempt      INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    engine       TEXT NOT NULL,
    micros       INTEGER NOT NULL,
    basis        TEXT NOT NULL,
    synthetic    INTEGER NOT NULL,
    day          TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    UNIQUE (run_id, attempt, kind)
) STRICT;
CREATE INDEX cost_ledger_day ON cost_ledger (workspace_id, day);
