-- The time that was acted on last (Unix ms): a start at another one is doubted. One row. Of a file that is older
-- than this table, what is known to have happened says it, unless that is yet to come.
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL
) STRICT;
INSERT INTO clock (one, at) SELECT 1, min(unixepoch() * 1000, max(
    (SELECT coalesce(max(to_ms), 0) FROM events),
    (SELECT coalesce(max(created), 0) FROM grants) * 1000,
    (SELECT coalesce(max(at), 0) FROM audit)));
