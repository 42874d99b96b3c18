-- What is sealed names its master key itself: version, length of the id, the id, the rest as before.
UPDATE provider_credentials
SET sealed = '\x02'::bytea || set_byte('\x00'::bytea, 0, octet_length(key_id))
    || convert_to(key_id, 'UTF8') || substring(sealed FROM 2);
DROP INDEX provider_credentials_key;
ALTER TABLE provider_credentials DROP COLUMN key_id;
