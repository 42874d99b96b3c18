-- A run is written when it is planned, when it is called and when it ended. No index holds what the
-- call changes, and pages have room, so that the row is rewritten in its place.
DROP INDEX runs_batch;
CREATE INDEX runs_batch ON runs (batch_id) WHERE batch_id IS NOT NULL;
-- Whether a batch has ended is asked with every group of runs.
CREATE INDEX runs_open ON runs (batch_id) WHERE batch_id IS NOT NULL AND finished_at IS NULL;
ALTER TABLE runs SET (fillfactor = 70);
ALTER TABLE run_attempts SET (fillfactor = 70);
-- These are added to many times a second.
ALTER TABLE daily_prompt_counts SET (fillfactor = 50);
ALTER TABLE daily_brand_counts SET (fillfactor = 50);
ALTER TABLE daily_domain_counts SET (fillfactor = 50);

-- Compressed already.
ALTER TABLE raw_payloads ALTER COLUMN bytes SET STORAGE EXTERNAL;
DO $$ BEGIN
    ALTER TABLE answers ALTER COLUMN text SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    -- A server that was built without it goes on with its own, slower one.
    NULL;
END $$;
