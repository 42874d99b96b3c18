-- How the calls of a component ended in a minute, over all processes.
CREATE TABLE provider_minutes (
    digest      BLOB NOT NULL REFERENCES provider_artifacts (digest) ON DELETE CASCADE,
    minute      TEXT NOT NULL,
    succeeded   INTEGER NOT NULL,
    -- By whose fault.
    guest       INTEGER NOT NULL,
    host        INTEGER NOT NULL,
    vendor      INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    -- When the component last came to its end without a fault of its own.
    sound_at    TEXT,
    PRIMARY KEY (digest, minute)
) STRICT;
CREATE INDEX provider_minutes_age ON provider_minutes (minute);

-- How long those calls took: a histogram, so that processes can be added up.
CREATE TABLE provider_latencies (
    digest   BLOB NOT NULL REFERENCES provider_artifacts (digest) ON DELETE CASCADE,
    minute   TEXT NOT NULL,
    upper_ms INTEGER NOT NULL,
    calls    INTEGER NOT NULL,
    PRIMARY KEY (digest, minute, upper_ms)
) STRICT;
CREATE INDEX provider_latencies_age ON provider_latencies (minute);

-- What components said and how they failed; the newest of each, a bounded number.
CREATE TABLE provider_logs (
    id           INTEGER PRIMARY KEY,
    provider_key TEXT NOT NULL,
    digest       BLOB NOT NULL REFERENCES provider_artifacts (digest) ON DELETE CASCADE,
    workspace_id BLOB NOT NULL,
    run_id       BLOB NOT NULL,
    attempt      INTEGER NOT NULL,
    -- Whose fault, of which class: empty for a call that did not fail.
    blame        TEXT,
    class        TEXT,
    message      TEXT,
    lines        TEXT NOT NULL,
    stderr       TEXT NOT NULL,
    backtrace    TEXT NOT NULL,
    created_at   TEXT NOT NULL
) STRICT;
CREATE INDEX provider_logs_digest ON provider_logs (digest, id);
CREATE INDEX provider_logs_run ON provider_logs (run_id);
