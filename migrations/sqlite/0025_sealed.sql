-- What is sealed names its master key itself: version, length of the id, the id, the rest as before.
UPDATE provider_credentials
SET sealed = CAST(x'02' || char(length(key_id)) || key_id || substr(sealed, 2) AS BLOB);
DROP INDEX provider_credentials_key;
ALTER TABLE provider_credentials DROP COLUMN key_id;
