-- Alerts: what was raised, to whom it is sent, and what is not to be raised again. Times are Unix ms. Numbers are never used
-- again, as they are positions.
CREATE TABLE alerts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    body   TEXT    NOT NULL
) STRICT;

-- `state`: 0 waits, 1 is sent, 2 is given up. `due` is when it is sent, or sent again if who claimed it has died.
CREATE TABLE alert_deliveries (
    alert   INTEGER NOT NULL REFERENCES alerts,
    channel TEXT    NOT NULL,
    state   INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    said    TEXT    NOT NULL,
    PRIMARY KEY (alert, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_deliveries_due ON alert_deliveries (channel, due) WHERE state = 0;

CREATE TABLE alert_names (
    name  TEXT    PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
