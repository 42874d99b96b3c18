-- Whether an engine may be asked where a question costs a hundred times the usual.
ALTER TABLE engines ADD COLUMN allow_research INTEGER NOT NULL DEFAULT 0;
