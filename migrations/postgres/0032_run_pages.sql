-- Pages of runs, whatever they are filtered by. None of these columns changes while a run is asked.
CREATE INDEX runs_prompt ON runs (workspace_id, prompt_id, id);
CREATE INDEX runs_engine ON runs (workspace_id, engine, id);
DROP INDEX runs_batch;
CREATE INDEX runs_batch ON runs (batch_id, id) WHERE batch_id IS NOT NULL;
-- Runs that ended without an answer are few.
CREATE INDEX runs_unanswered ON runs (workspace_id, id)
    WHERE finished_at IS NOT NULL AND outcome IS NULL;
-- So are those that have not ended, at most times.
DROP INDEX runs_open;
CREATE INDEX runs_open ON runs (batch_id) WHERE finished_at IS NULL;
