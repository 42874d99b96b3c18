-- How the calls of a component ended in a minute, over all processes.
CREATE TABLE provider_minutes (
    digest      BYTEA NOT NULL REFERENCES provider_artifacts (digest) ON DELETE CASCADE,
    minute      TIMESTAMPTZ NOT NULL,
    succeeded   BIGINT NOT NULL,
    -- By whose fault.
    guest       BIGINT NOT NULL,
    host        BIGINT NOT NULL,
    vendor      BIGINT NOT NULL,
    cost_micros BIGINT NOT NULL,
    -- When the component last came to its end without a fault of its own.
    sound_at    TIMESTAMPTZ,
    PRIMARY KEY (digest, minute)
);
CREATE INDEX provider_minutes_age ON provider_minutes (minute);

-- How long those calls took: a histogram, so that processes can be added up.
CREATE TABLE provider_latencies (
    digest   BYTEA NOT NULL REFERENCES provider_artifacts (digest) ON DELETE CASCADE,
    minute   TIMESTAMPTZ NOT NULL,
    upper_ms BIGINT NOT NULL,
    calls    BIGINT NOT NULL,
    PRIMARY KEY (digest, minute, upper_ms)
);
CREATE INDEX provider_latencies_age ON provider_latencies (minute);

-- What components said and how they failed; the newest of each, a bounded number.
CREATE TABLE provider_logs (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_key TEXT NOT NULL,
    digest       BYTEA NOT NULL REFERENCES provider_artifacts (digest) ON DELETE CASCADE,
    workspace_id UUID NOT NULL,
    run_id       UUID NOT NULL,
    attempt      BIGINT NOT NULL,
    -- Whose fault, of which class: empty for a call that did not fail.
    blame        TEXT,
    class        TEXT,
    message      TEXT,
    lines        JSONB NOT NULL,
    stderr       TEXT NOT NULL,
    backtrace    JSONB NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);
CREATE INDEX provider_logs_digest ON provider_logs (digest, id);
CREATE INDEX provider_logs_run ON provider_logs (run_id);
