-- One row an account; what `account::Account` holds in itself. Amounts are nano-dollars, times of leases Unix ms.
CREATE TABLE accounts (
    number       INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    granted      INTEGER NOT NULL DEFAULT 0,
    spent        INTEGER NOT NULL DEFAULT 0,
    expired      INTEGER NOT NULL DEFAULT 0,
    free         INTEGER NOT NULL DEFAULT 0,
    debt         INTEGER NOT NULL DEFAULT 0,
    recall_until INTEGER NOT NULL DEFAULT 0
) STRICT;

-- `number` is the order of creation; `created` and `expires` are Unix seconds.
CREATE TABLE grants (
    number    INTEGER PRIMARY KEY,
    account   INTEGER NOT NULL REFERENCES accounts,
    id        TEXT    NOT NULL,
    amount    INTEGER NOT NULL,
    remaining INTEGER NOT NULL,
    expired   INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    expires   INTEGER,
    note      TEXT    NOT NULL,
    UNIQUE (account, id)
) STRICT;
-- Messages touch only grants that have something left, however many were spent before.
CREATE INDEX grants_left ON grants (account, number) WHERE remaining > 0;

-- Replicas are 64 random bits, stored as the signed integer of the same bits.
-- `open` is 0 once the lease was found to be over, or the holder closed: only `last` matters from then on.
CREATE TABLE holders (
    account     INTEGER NOT NULL REFERENCES accounts,
    replica     INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    float       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    open        INTEGER NOT NULL,
    PRIMARY KEY (account, replica, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX holders_open ON holders (account) WHERE open = 1;

CREATE TABLE meters (
    number  INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts,
    subject TEXT    NOT NULL,
    measure TEXT    NOT NULL,
    window  INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    UNIQUE (account, subject, measure)
) STRICT;

CREATE TABLE meter_floats (
    meter   INTEGER NOT NULL REFERENCES meters,
    replica INTEGER NOT NULL,
    epoch   INTEGER NOT NULL,
    units   INTEGER NOT NULL,
    PRIMARY KEY (meter, replica, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX meter_floats_of ON meter_floats (replica, epoch);

CREATE TABLE rollups (
    account     INTEGER NOT NULL REFERENCES accounts,
    day         INTEGER NOT NULL,
    access_key  TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    requests    INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    orphaned    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    cached_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    PRIMARY KEY (account, day, access_key, provider, model)
) STRICT, WITHOUT ROWID;

-- One row a batch.
CREATE TABLE events (
    number  INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts,
    from_ms INTEGER NOT NULL,
    to_ms   INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    bytes   BLOB    NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (account, to_ms, from_ms);
