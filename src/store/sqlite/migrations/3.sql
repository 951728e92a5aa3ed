-- What a holder's history is known by, and what was charged in its name.
-- A program of the version before leaves them as they are: it only knows lives that have none.
ALTER TABLE holders ADD COLUMN mark    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holders ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;
