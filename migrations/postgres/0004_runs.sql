CREATE TABLE batches (
    id               UUID NOT NULL,
    workspace_id     UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    state            TEXT NOT NULL,
    slot             TEXT NOT NULL,
    samples          BIGINT NOT NULL,
    selection        JSONB NOT NULL,
    planned          BIGINT NOT NULL,
    estimated_micros BIGINT NOT NULL,
    created_by       TEXT NOT NULL,
    created_at       TIMESTAMPTZ NOT NULL,
    finished_at      TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX batches_open ON batches (created_at) WHERE finished_at IS NULL;

-- The hot rows below have no foreign keys to each other: a check per row would cost more than the
-- row. `store::runs` is the only writer and writes a run's rows in one transaction.
CREATE TABLE runs (
    number            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                UUID NOT NULL,
    workspace_id      UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    batch_id          UUID,
    prompt_id         UUID NOT NULL,
    prompt_version_id UUID NOT NULL,
    engine            TEXT NOT NULL,
    sample            BIGINT NOT NULL,
    slot              TEXT NOT NULL,
    -- One answer per question, engine, locale, sample and slot, whoever asks for it.
    run_key           BYTEA NOT NULL,
    synthetic         BOOLEAN NOT NULL,
    state             TEXT NOT NULL,
    -- answer | no_answer, once succeeded.
    outcome           TEXT,
    -- Why there is no answer, or why the run was skipped.
    reason            TEXT,
    error_kind        TEXT,
    error_detail      TEXT,
    attempts          BIGINT NOT NULL,
    cost_micros       BIGINT NOT NULL,
    -- Day of the finish in the workspace's time zone.
    day               DATE,
    mentions          BIGINT NOT NULL,
    citations         BIGINT NOT NULL,
    provider_digest   BYTEA,
    -- A call that waits: another worker can go on with it.
    checkpoint        BYTEA,
    created_at        TIMESTAMPTZ NOT NULL,
    started_at        TIMESTAMPTZ,
    finished_at       TIMESTAMPTZ,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, run_key)
);
CREATE INDEX runs_batch ON runs (batch_id, state) WHERE batch_id IS NOT NULL;
CREATE INDEX runs_day ON runs (workspace_id, day) WHERE day IS NOT NULL;

-- One row per paid call, written before the call: a repeat shows.
CREATE TABLE run_attempts (
    run_number      BIGINT NOT NULL,
    attempt         BIGINT NOT NULL,
    workspace_id    UUID NOT NULL,
    state           TEXT NOT NULL,
    provider_digest BYTEA NOT NULL,
    fetches         BIGINT NOT NULL,
    cost_micros     BIGINT NOT NULL,
    error_kind      TEXT,
    error_detail    TEXT,
    raw_digest      BYTEA,
    started_at      TIMESTAMPTZ NOT NULL,
    finished_at     TIMESTAMPTZ,
    PRIMARY KEY (run_number, attempt)
);

-- What the engines sent, named by its SHA-256, compressed, without credentials, never changed.
CREATE TABLE raw_payloads (
    workspace_id UUID NOT NULL,
    digest       BYTEA NOT NULL,
    bytes        BYTEA NOT NULL,
    size         BIGINT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, digest)
);

CREATE TABLE answers (
    run_number       BIGINT PRIMARY KEY,
    workspace_id     UUID NOT NULL,
    text             TEXT NOT NULL,
    -- The instrument passport: surface, models, locale, finish, queries, usage, plugin.
    passport         JSONB NOT NULL,
    related          JSONB NOT NULL,
    raw_digest       BYTEA NOT NULL,
    analysis_version BIGINT NOT NULL,
    brands_version   BIGINT NOT NULL,
    created_at       TIMESTAMPTZ NOT NULL
);

CREATE TABLE mentions (
    run_number    BIGINT NOT NULL,
    start         BIGINT NOT NULL,
    length        BIGINT NOT NULL,
    workspace_id  UUID NOT NULL,
    brand         BIGINT NOT NULL,
    rank          BIGINT NOT NULL,
    list_position BIGINT,
    recommended   BOOLEAN NOT NULL,
    -- 1 positive, 0 neutral, -1 negative, NULL unknown.
    sentiment     BIGINT,
    PRIMARY KEY (run_number, start)
);

-- Domain names are public facts, so the dictionary belongs to nobody.
CREATE TABLE domains (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
);

CREATE TABLE citations (
    run_number   BIGINT NOT NULL,
    position     BIGINT NOT NULL,
    workspace_id UUID NOT NULL,
    domain       BIGINT NOT NULL,
    -- cited | listed | inline_link
    kind         TEXT NOT NULL,
    -- provider | text
    origin       TEXT NOT NULL,
    -- A reader sees it: cited inline, or listed where the whole list is shown.
    visible      BOOLEAN NOT NULL,
    -- The tracked brand that owns the domain.
    brand        BIGINT,
    url          TEXT NOT NULL,
    title        TEXT,
    markers      JSONB NOT NULL,
    published    TEXT,
    PRIMARY KEY (run_number, position)
);

-- Append-only. One line per attempt and kind: money is never counted twice.
CREATE TABLE cost_ledger (
    id           UUID PRIMARY KEY,
    workspace_id UUID NOT NULL,
    run_id       UUID NOT NULL,
    attempt      BIGINT NOT NULL,
    kind         TEXT NOT NULL,
    engine       TEXT NOT NULL,
    micros       BIGINT NOT NULL,
    basis        TEXT NOT NULL,
    synthetic    BOOLEAN NOT NULL,
    day          DATE NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    UNIQUE (run_id, attempt, kind)
);
CREATE INDEX cost_ledger_day ON cost_ledger (workspace_id, day);
