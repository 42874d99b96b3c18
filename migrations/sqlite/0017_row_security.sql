-- SQLite has neither roles nor row-level security: there, statements name their workspace, and
-- nothing stands behind them.
SELECT 1;
