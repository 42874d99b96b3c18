-- Counts, never ratios. Written with each finished run and rebuilt for a day by
-- `dailyAggregations`; both give the same rows.
CREATE TABLE daily_prompt_counts (
    workspace_id      BLOB NOT NULL,
    day               TEXT NOT NULL,
    engine            TEXT NOT NULL,
    prompt_id         BLOB NOT NULL,
    answered          INTEGER NOT NULL,
    no_answer         INTEGER NOT NULL,
    failed            INTEGER NOT NULL,
    own_named         INTEGER NOT NULL,
    own_cited         INTEGER NOT NULL,
    own_named_cited   INTEGER NOT NULL,
    -- Citations a reader sees: cited, and listed where the whole list is visible.
    citations         INTEGER NOT NULL,
    own_citations     INTEGER NOT NULL,
    listed            INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, day, engine, prompt_id)
) STRICT;

CREATE TABLE daily_brand_counts (
    workspace_id           BLOB NOT NULL,
    day                    TEXT NOT NULL,
    engine                 TEXT NOT NULL,
    prompt_id              BLOB NOT NULL,
    brand                  INTEGER NOT NULL,
    named                  INTEGER NOT NULL,
    first                  INTEGER NOT NULL,
    recommended            INTEGER NOT NULL,
    rank_sum               INTEGER NOT NULL,
    -- Sum of 1 / rank in millionths, an integer so that the order of addition does not matter.
    reciprocal_rank_micros INTEGER NOT NULL,
    cited                  INTEGER NOT NULL,
    positive               INTEGER NOT NULL,
    neutral                INTEGER NOT NULL,
    negative               INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, day, engine, prompt_id, brand)
) STRICT;

CREATE TABLE daily_domain_counts (
    workspace_id   BLOB NOT NULL,
    day            TEXT NOT NULL,
    engine         TEXT NOT NULL,
    domain         INTEGER NOT NULL,
    -- Answers in which a reader sees the domain.
    answers        INTEGER NOT NULL,
    cited          INTEGER NOT NULL,
    listed         INTEGER NOT NULL,
    -- Answers with the domain that name a competitor and no own brand.
    competitor_only INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, day, engine, domain)
) STRICT;
