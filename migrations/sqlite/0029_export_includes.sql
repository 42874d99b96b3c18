-- What an export holds besides the workspace's own data: audit_log, raw_payloads.
ALTER TABLE exports ADD COLUMN includes TEXT NOT NULL DEFAULT '[]';
