DROP INDEX runs_batch;
CREATE INDEX runs_batch ON runs (batch_id) WHERE batch_id IS NOT NULL;
-- Whether a batch has ended is asked with every group of runs.
CREATE INDEX runs_open ON runs (batch_id) WHERE batch_id IS NOT NULL AND finished_at IS NULL;
