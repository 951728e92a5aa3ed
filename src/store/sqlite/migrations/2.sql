-- What a bank's store keeps: the resources that the admin API creates, and who changed them.

-- One row.
CREATE TABLE store (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    -- Deletions up to this revision are forgotten.
    floor    INTEGER NOT NULL
) STRICT;
INSERT INTO store (one, revision, floor) VALUES (1, 0, 0);

-- The last word on each; without a body it was deleted.
CREATE TABLE resources (
    number   INTEGER PRIMARY KEY,
    kind     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT,
    UNIQUE (kind, id)
) STRICT;
CREATE INDEX resources_by_revision ON resources (revision);
CREATE INDEX resources_deleted ON resources (revision) WHERE body IS NULL;

-- The last ones, to know repetitions. Ids are 64 random bits, stored as the signed integer of the same bits.
CREATE TABLE commits (
    id       INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL UNIQUE
) STRICT;

-- `at` is Unix ms. Numbers are never used again, as they are positions.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    body   TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at);

-- When credentials were last used (Unix ms).
CREATE TABLE last_used (
    id TEXT    PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
