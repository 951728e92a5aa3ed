-- What pages read instead of adding it up: the costs of an account's daily totals together, days that are over as one value
-- each, and when requests ended, by their ids. Triggers keep all of it true, also where a program of the version before adds to
-- totals or forgets events.
ALTER TABLE accounts ADD COLUMN rolled_up INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET rolled_up = (SELECT coalesce(sum(cost), 0) FROM rollups WHERE account = number);

CREATE TABLE sealed_days (
    account INTEGER NOT NULL REFERENCES accounts,
    part    TEXT    NOT NULL,
    day     INTEGER NOT NULL,
    totals  BLOB    NOT NULL,
    PRIMARY KEY (account, part, day)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER rollups_begun AFTER INSERT ON rollups BEGIN
    UPDATE accounts SET rolled_up = rolled_up + NEW.cost WHERE number = NEW.account;
    DELETE FROM sealed_days WHERE account = NEW.account AND part IN ('each', 'by_model') AND day = NEW.day;
END;
CREATE TRIGGER rollups_added_to AFTER UPDATE ON rollups BEGIN
    UPDATE accounts SET rolled_up = rolled_up + (NEW.cost - OLD.cost) WHERE number = NEW.account;
    DELETE FROM sealed_days WHERE account = NEW.account AND part IN ('each', 'by_model') AND day = NEW.day;
END;
CREATE TRIGGER tag_rollups_begun AFTER INSERT ON tag_rollups BEGIN
    DELETE FROM sealed_days WHERE account = NEW.account AND part = 'by_tag' AND day = NEW.day;
END;
CREATE TRIGGER tag_rollups_added_to AFTER UPDATE ON tag_rollups BEGIN
    DELETE FROM sealed_days WHERE account = NEW.account AND part = 'by_tag' AND day = NEW.day;
END;

-- One row a batch: `bank::index` says how. `batch` is the number of its events.
CREATE TABLE event_ids (
    account INTEGER NOT NULL REFERENCES accounts,
    batch   INTEGER NOT NULL,
    ids     BLOB    NOT NULL,
    PRIMARY KEY (account, batch)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER events_forgotten AFTER DELETE ON events BEGIN
    DELETE FROM event_ids WHERE account = OLD.account AND batch = OLD.number;
END;
