CREATE TABLE brands (
    -- Mentions name a brand by its number: eight bytes instead of sixteen, millions of times.
    number       INTEGER PRIMARY KEY,
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    aliases      TEXT NOT NULL,
    domains      TEXT NOT NULL,
    archived_at  TEXT,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    UNIQUE (workspace_id, id)
) STRICT;
CREATE UNIQUE INDEX brands_name ON brands (workspace_id, name) WHERE archived_at IS NULL;

CREATE TABLE intents (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE prompts (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    intent_id    BLOB,
    version_id   BLOB NOT NULL,
    text         TEXT NOT NULL,
    language     TEXT,
    country      TEXT,
    location     TEXT,
    tags         TEXT NOT NULL,
    active       INTEGER NOT NULL,
    archived_at  TEXT,
    version      INTEGER NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, intent_id) REFERENCES intents (workspace_id, id)
) STRICT;
-- The same question twice would count twice in every rate.
CREATE UNIQUE INDEX prompts_text
    ON prompts (workspace_id, text, COALESCE(language, ''), COALESCE(country, ''), COALESCE(location, ''))
    WHERE archived_at IS NULL;

CREATE TABLE prompt_versions (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    prompt_id    BLOB NOT NULL,
    version      INTEGER NOT NULL,
    text         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, prompt_id, version),
    FOREIGN KEY (workspace_id, prompt_id) REFERENCES prompts (workspace_id, id) ON DELETE CASCADE
) STRICT;
