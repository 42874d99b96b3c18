-- Grows with every change of what is in service or about to be. Processes compare it with what
-- they have loaded; it serialises the changes too.
CREATE TABLE provider_generation (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO provider_generation (one, generation)
SELECT 1, COALESCE(MAX(id), 0) FROM provider_activations;

-- Append-only: each row says what a slot of a provider holds from its generation on. Only how the
-- row came out (state, generation, detail, settled_at) is filled in later, once.
-- main: everybody; canary: `weight` thousandths of the runs; pin: one workspace.
DROP INDEX provider_activations_key;
ALTER TABLE provider_activations RENAME TO provider_activations_old;
CREATE TABLE provider_activations (
    id           INTEGER PRIMARY KEY,
    provider_key TEXT NOT NULL,
    -- Without a digest the slot is empty from then on.
    digest       BLOB REFERENCES provider_artifacts (digest),
    grant_id     INTEGER REFERENCES provider_grants (id),
    activated_by TEXT NOT NULL,
    reason       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    slot         TEXT NOT NULL DEFAULT 'main',
    -- The nil one, but for a pin.
    workspace_id BLOB NOT NULL DEFAULT x'00000000000000000000000000000000',
    weight       INTEGER NOT NULL DEFAULT 1000,
    -- preparing | active | refused | superseded
    state        TEXT NOT NULL DEFAULT 'active',
    generation   INTEGER,
    -- The activation that a rollback went back to.
    restores     INTEGER,
    -- Why it was refused.
    detail       TEXT,
    settled_at   TEXT
) STRICT;
INSERT INTO provider_activations (id, provider_key, digest, grant_id, activated_by, reason,
                                  created_at, generation, settled_at)
SELECT id, provider_key, digest, grant_id, activated_by, reason, created_at, id, created_at
FROM provider_activations_old;
DROP TABLE provider_activations_old;
CREATE INDEX provider_activations_key ON provider_activations (provider_key, id);
CREATE INDEX provider_activations_slot
    ON provider_activations (provider_key, slot, workspace_id, generation) WHERE state = 'active';
CREATE INDEX provider_activations_open ON provider_activations (id) WHERE state = 'preparing';

-- Which components a process has in memory, ready to be called.
CREATE TABLE provider_readiness (
    process_id BLOB NOT NULL REFERENCES processes (id) ON DELETE CASCADE,
    digest     BLOB NOT NULL REFERENCES provider_artifacts (digest) ON DELETE CASCADE,
    ready      INTEGER NOT NULL,
    error      TEXT,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (process_id, digest)
) STRICT;
-- The generation that the process has in service.
ALTER TABLE processes ADD COLUMN provider_generation INTEGER NOT NULL DEFAULT 0;

ALTER TABLE provider_artifacts ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
-- What a person should know of it before it is granted anything.
ALTER TABLE provider_artifacts ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';
ALTER TABLE provider_artifacts ADD COLUMN uploaded_by TEXT NOT NULL DEFAULT '';
-- Ed25519 over the digest, with the key that made it.
ALTER TABLE provider_artifacts ADD COLUMN signature BLOB;
ALTER TABLE provider_artifacts ADD COLUMN publisher_key BLOB;
-- It failed too often: nobody puts it in service by accident.
ALTER TABLE provider_artifacts ADD COLUMN quarantined_at TEXT;
ALTER TABLE provider_artifacts ADD COLUMN quarantine_reason TEXT;
-- Its bytes were removed; what is known of it stays, for the log.
ALTER TABLE provider_artifacts ADD COLUMN deleted_at TEXT;
UPDATE provider_artifacts SET size = LENGTH(component);
CREATE INDEX provider_artifacts_key ON provider_artifacts (provider_key, created_at);

-- Calls that wait need the component that made their state.
CREATE INDEX runs_waiting ON runs (provider_digest) WHERE checkpoint IS NOT NULL;
