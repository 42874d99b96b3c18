CREATE TABLE brands (
    -- Mentions name a brand by its number: eight bytes instead of sixteen, millions of times.
    number       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    aliases      JSONB NOT NULL,
    domains      JSONB NOT NULL,
    archived_at  TIMESTAMPTZ,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, id)
);
CREATE UNIQUE INDEX brands_name ON brands (workspace_id, name) WHERE archived_at IS NULL;

CREATE TABLE intents (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

CREATE TABLE prompts (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    intent_id    UUID,
    version_id   UUID NOT NULL,
    text         TEXT NOT NULL,
    language     TEXT,
    country      TEXT,
    location     TEXT,
    tags         JSONB NOT NULL,
    active       BOOLEAN NOT NULL,
    archived_at  TIMESTAMPTZ,
    version      BIGINT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, intent_id) REFERENCES intents (workspace_id, id)
);
-- The same question twice would count twice in every rate.
CREATE UNIQUE INDEX prompts_text
    ON prompts (workspace_id, text, COALESCE(language, ''), COALESCE(country, ''), COALESCE(location, ''))
    WHERE archived_at IS NULL;

CREATE TABLE prompt_versions (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL,
    prompt_id    UUID NOT NULL,
    version      BIGINT NOT NULL,
    text         TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, prompt_id, version),
    FOREIGN KEY (workspace_id, prompt_id) REFERENCES prompts (workspace_id, id) ON DELETE CASCADE
);
