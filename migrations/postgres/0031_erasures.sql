-- That a person was forgotten, and what went; the person is a number that leads nowhere any more.
CREATE TABLE erasures (
    id           UUID PRIMARY KEY,
    user_id      UUID NOT NULL,
    reason       TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    receipt      JSONB NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);
-- Of the platform's operators: tenants read nothing here.
GRANT SELECT, INSERT, UPDATE, DELETE ON erasures TO aiv_system;

CREATE INDEX invitations_email ON invitations (lower(email));
