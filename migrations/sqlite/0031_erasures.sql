-- That a person was forgotten, and what went; the person is a number that leads nowhere any more.
CREATE TABLE erasures (
    id           BLOB PRIMARY KEY,
    user_id      BLOB NOT NULL,
    reason       TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    receipt      TEXT NOT NULL,
    created_at   TEXT NOT NULL
) STRICT;

CREATE INDEX invitations_email ON invitations (lower(email));
