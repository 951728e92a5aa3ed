-- Daily totals by tag, as in `customer=42`, of the tags that configurations list. A day has so many values of each.
CREATE TABLE tag_rollups (
    account     INTEGER NOT NULL REFERENCES accounts,
    day         INTEGER NOT NULL,
    tag         TEXT    NOT NULL,
    requests    INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    orphaned    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    cached_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    PRIMARY KEY (account, day, tag)
) STRICT, WITHOUT ROWID;
