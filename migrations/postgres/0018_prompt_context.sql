-- Why, about what and by whom a question is asked.
ALTER TABLE intents ADD COLUMN kind TEXT;
ALTER TABLE intents ADD COLUMN description TEXT;
ALTER TABLE intents ADD COLUMN updated_at TIMESTAMPTZ;

CREATE TABLE topics (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    description  TEXT,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

CREATE TABLE personas (
    id           UUID NOT NULL,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    description  TEXT,
    -- What the persona says of itself before it asks; engines read it.
    context      TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

ALTER TABLE prompts ADD COLUMN topic_id UUID;
ALTER TABLE prompts ADD COLUMN persona_id UUID;
ALTER TABLE prompts
    ADD FOREIGN KEY (workspace_id, topic_id) REFERENCES topics (workspace_id, id),
    ADD FOREIGN KEY (workspace_id, persona_id) REFERENCES personas (workspace_id, id);
-- The same question by somebody else is another question.
DROP INDEX prompts_text;
CREATE UNIQUE INDEX prompts_text
    ON prompts (workspace_id, text, COALESCE(language, ''), COALESCE(country, ''), COALESCE(location, ''),
                COALESCE(persona_id, '00000000-0000-0000-0000-000000000000'::uuid))
    WHERE archived_at IS NULL;

-- `text` is what engines are asked: the context, if there is one, and the question.
ALTER TABLE prompt_versions ADD COLUMN persona_id UUID;
ALTER TABLE prompt_versions ADD COLUMN context TEXT;

-- What is true of a brand, as its workspace declares it. Append-only: the newest version counts.
CREATE TABLE brand_facts (
    workspace_id UUID NOT NULL,
    brand_id     UUID NOT NULL,
    version      BIGINT NOT NULL,
    facts        JSONB NOT NULL,
    created_by   TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, brand_id, version),
    FOREIGN KEY (workspace_id, brand_id) REFERENCES brands (workspace_id, id) ON DELETE CASCADE
);
