-- Systems of others that a workspace works with.
CREATE TABLE connections (
    id             BLOB NOT NULL,
    workspace_id   BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    -- webhook
    kind           TEXT NOT NULL,
    url            TEXT NOT NULL,
    -- Sealed; NULL when there is none.
    secret         BLOB,
    enabled        INTEGER NOT NULL,
    -- What came of the last test.
    tested_at      TEXT,
    test_status    INTEGER,
    test_error     TEXT,
    version        INTEGER NOT NULL,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;
CREATE UNIQUE INDEX connections_name ON connections (workspace_id, name);

-- When a workspace wants to be alerted.
CREATE TABLE alert_rules (
    id               BLOB NOT NULL,
    workspace_id     BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name             TEXT NOT NULL,
    condition        TEXT NOT NULL,
    -- low | medium | high | critical
    severity         TEXT NOT NULL,
    enabled          INTEGER NOT NULL,
    -- After an alert is resolved, the same one is quiet for so long.
    cooldown_minutes INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    created_at       TEXT NOT NULL,
    updated_at       TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;
CREATE UNIQUE INDEX alert_rules_name ON alert_rules (workspace_id, name);

-- A condition that holds, or held. What its rule was called stays when the rule goes.
CREATE TABLE alerts (
    id              BLOB NOT NULL,
    workspace_id    BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    rule_id         BLOB NOT NULL,
    title           TEXT NOT NULL,
    severity        TEXT NOT NULL,
    -- open | acknowledged | resolved
    state           TEXT NOT NULL,
    -- What makes two alerts the same; one of them is not resolved at most.
    dedup_key       TEXT NOT NULL,
    occurrences     INTEGER NOT NULL,
    evidence        TEXT NOT NULL,
    snoozed_until   TEXT,
    acknowledged_by TEXT,
    acknowledged_at TEXT,
    resolved_by     TEXT,
    resolved_at     TEXT,
    note            TEXT,
    first_at        TEXT NOT NULL,
    last_at         TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;
CREATE UNIQUE INDEX alerts_unresolved ON alerts (workspace_id, dedup_key) WHERE state <> 'resolved';
CREATE INDEX alerts_resolved ON alerts (workspace_id, dedup_key, resolved_at);

-- A time in which nobody is told of alerts.
CREATE TABLE mute_windows (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- NULL for all rules.
    rule_id      BLOB,
    reason       TEXT NOT NULL,
    starts_at    TEXT NOT NULL,
    ends_at      TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, rule_id) REFERENCES alert_rules (workspace_id, id) ON DELETE CASCADE
) STRICT;

-- Something an answer says of a brand, held against what is known.
CREATE TABLE findings (
    id           BLOB NOT NULL,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    brand_id     BLOB NOT NULL,
    run_id       BLOB NOT NULL,
    engine       TEXT NOT NULL,
    -- What kind of fact it is about, such as phone.
    fact         TEXT NOT NULL,
    claim        TEXT NOT NULL,
    -- What is known; NULL when nothing is.
    known        TEXT,
    -- confirmed | contradicted | unverifiable
    verdict      TEXT NOT NULL,
    confidence   REAL NOT NULL,
    -- open | confirmed | dismissed | corrected
    state        TEXT NOT NULL,
    note         TEXT,
    decided_by   TEXT,
    version      INTEGER NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT;
CREATE INDEX findings_brand ON findings (workspace_id, brand_id, id);
