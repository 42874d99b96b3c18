-- Grows with every change of what is in service or about to be. Processes compare it with what
-- they have loaded; it serialises the changes too.
CREATE TABLE provider_generation (
    one        BIGINT PRIMARY KEY CHECK (one = 1),
    generation BIGINT NOT NULL
);
INSERT INTO provider_generation (one, generation)
SELECT 1, COALESCE(MAX(id), 0) FROM provider_activations;

-- Append-only: each row says what a slot of a provider holds from its generation on. Only how the
-- row came out (state, generation, detail, settled_at) is filled in later, once.
-- main: everybody; canary: `weight` thousandths of the runs; pin: one workspace.
ALTER TABLE provider_activations ADD COLUMN slot TEXT NOT NULL DEFAULT 'main';
-- The nil one, but for a pin.
ALTER TABLE provider_activations ADD COLUMN workspace_id UUID NOT NULL
    DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE provider_activations ADD COLUMN weight BIGINT NOT NULL DEFAULT 1000;
-- preparing | active | refused | superseded
ALTER TABLE provider_activations ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE provider_activations ADD COLUMN generation BIGINT;
-- The activation that a rollback went back to.
ALTER TABLE provider_activations ADD COLUMN restores BIGINT;
-- Why it was refused.
ALTER TABLE provider_activations ADD COLUMN detail TEXT;
ALTER TABLE provider_activations ADD COLUMN settled_at TIMESTAMPTZ;
-- Without a digest the slot is empty from then on.
ALTER TABLE provider_activations ALTER COLUMN digest DROP NOT NULL;
ALTER TABLE provider_activations ALTER COLUMN grant_id DROP NOT NULL;
UPDATE provider_activations SET generation = id, settled_at = created_at;
CREATE INDEX provider_activations_slot
    ON provider_activations (provider_key, slot, workspace_id, generation) WHERE state = 'active';
CREATE INDEX provider_activations_open ON provider_activations (id) WHERE state = 'preparing';

-- Which components a process has in memory, ready to be called.
CREATE TABLE provider_readiness (
    process_id UUID NOT NULL REFERENCES processes (id) ON DELETE CASCADE,
    digest     BYTEA NOT NULL REFERENCES provider_artifacts (digest) ON DELETE CASCADE,
    ready      BOOLEAN NOT NULL,
    error      TEXT,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (process_id, digest)
);
-- The generation that the process has in service.
ALTER TABLE processes ADD COLUMN provider_generation BIGINT NOT NULL DEFAULT 0;

ALTER TABLE provider_artifacts ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
-- What a person should know of it before it is granted anything.
ALTER TABLE provider_artifacts ADD COLUMN warnings JSONB NOT NULL DEFAULT '[]';
ALTER TABLE provider_artifacts ADD COLUMN uploaded_by TEXT NOT NULL DEFAULT '';
-- Ed25519 over the digest, with the key that made it.
ALTER TABLE provider_artifacts ADD COLUMN signature BYTEA;
ALTER TABLE provider_artifacts ADD COLUMN publisher_key BYTEA;
-- It failed too often: nobody puts it in service by accident.
ALTER TABLE provider_artifacts ADD COLUMN quarantined_at TIMESTAMPTZ;
ALTER TABLE provider_artifacts ADD COLUMN quarantine_reason TEXT;
-- Its bytes were removed; what is known of it stays, for the log.
ALTER TABLE provider_artifacts ADD COLUMN deleted_at TIMESTAMPTZ;
UPDATE provider_artifacts SET size = LENGTH(component);
CREATE INDEX provider_artifacts_key ON provider_artifacts (provider_key, created_at);

-- Calls that wait need the component that made their state.
CREATE INDEX runs_waiting ON runs (provider_digest) WHERE checkpoint IS NOT NULL;
