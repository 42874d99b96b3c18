-- Counts, never ratios. Written with each finished run and rebuilt for a day by
-- `dailyAggregations`; both give the same rows.
CREATE TABLE daily_prompt_counts (
    workspace_id      UUID NOT NULL,
    day               DATE NOT NULL,
    engine            TEXT NOT NULL,
    prompt_id         UUID NOT NULL,
    answered          BIGINT NOT NULL,
    no_answer         BIGINT NOT NULL,
    failed            BIGINT NOT NULL,
    own_named         BIGINT NOT NULL,
    own_cited         BIGINT NOT NULL,
    own_named_cited   BIGINT NOT NULL,
    -- Citations a reader sees: cited, and listed where the whole list is visible.
    citations         BIGINT NOT NULL,
    own_citations     BIGINT NOT NULL,
    listed            BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, day, engine, prompt_id)
);

CREATE TABLE daily_brand_counts (
    workspace_id           UUID NOT NULL,
    day                    DATE NOT NULL,
    engine                 TEXT NOT NULL,
    prompt_id              UUID NOT NULL,
    brand                  BIGINT NOT NULL,
    named                  BIGINT NOT NULL,
    first                  BIGINT NOT NULL,
    recommended            BIGINT NOT NULL,
    rank_sum               BIGINT NOT NULL,
    -- Sum of 1 / rank in millionths, an integer so that the order of addition does not matter.
    reciprocal_rank_micros BIGINT NOT NULL,
    cited                  BIGINT NOT NULL,
    positive               BIGINT NOT NULL,
    neutral                BIGINT NOT NULL,
    negative               BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, day, engine, prompt_id, brand)
);

CREATE TABLE daily_domain_counts (
    workspace_id   UUID NOT NULL,
    day            DATE NOT NULL,
    engine         TEXT NOT NULL,
    domain         BIGINT NOT NULL,
    -- Answers in which a reader sees the domain.
    answers        BIGINT NOT NULL,
    cited          BIGINT NOT NULL,
    listed         BIGINT NOT NULL,
    -- Answers with the domain that name a competitor and no own brand.
    competitor_only BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, day, engine, domain)
);
