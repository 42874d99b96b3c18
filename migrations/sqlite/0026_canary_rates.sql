-- Of the vendor's failures, those that the component may have caused: an answer that it could not
-- read, a request that was refused as wrong.
ALTER TABLE provider_minutes ADD COLUMN suspect INTEGER NOT NULL DEFAULT 0;
