-- People, as the issuers of their tokens know them.
CREATE TABLE users (
    id         BLOB PRIMARY KEY,
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    email      TEXT,
    name       TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;

CREATE TABLE members (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
) STRICT;
CREATE INDEX members_user ON members (user_id);

CREATE TABLE invitations (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- For whom it is meant, in the words of whoever invited.
    email        TEXT NOT NULL,
    role         TEXT NOT NULL,
    secret_hash  BLOB NOT NULL UNIQUE,
    invited_by   TEXT NOT NULL,
    expires_at   TEXT NOT NULL,
    accepted_at  TEXT,
    accepted_by  BLOB,
    revoked_at   TEXT,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;

-- Tokens that ended before their time: all of a subject that were issued until then, or one by id.
CREATE TABLE revocations (
    id         BLOB PRIMARY KEY,
    issuer     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    value      TEXT NOT NULL,
    revoked_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (issuer, kind, value)
) STRICT;

-- Networks that a key may be used from; NULL is everywhere.
ALTER TABLE api_keys ADD COLUMN allowed_ips TEXT;
