-- Whether an engine may be asked where a question costs a hundred times the usual.
ALTER TABLE engines ADD COLUMN allow_research BOOLEAN NOT NULL DEFAULT FALSE;
