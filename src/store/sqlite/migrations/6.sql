-- What names stand for: claimed by somebody until `due` (`kept` is null then), or kept until `due`, since `kept`. `of` is what it
-- was claimed for, `number` tells claims from each other. Times are Unix ms. `size` is the value's, in bytes.
CREATE TABLE claims (
    id      INTEGER PRIMARY KEY,
    account TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    of      TEXT    NOT NULL,
    number  INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    kept    INTEGER,
    size    INTEGER NOT NULL DEFAULT 0,
    value   TEXT    NOT NULL DEFAULT '',
    UNIQUE (account, name)
) STRICT;
CREATE INDEX claims_due ON claims (due);
CREATE INDEX claims_kept ON claims (account, kept, size) WHERE kept IS NOT NULL;
