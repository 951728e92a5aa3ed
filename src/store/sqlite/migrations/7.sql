-- Until when holders are asked to return what they do not hold of a limit (Unix ms); money has its own.
ALTER TABLE meters ADD COLUMN recall_until INTEGER NOT NULL DEFAULT 0;
