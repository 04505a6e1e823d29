-- A history as version 2 wrote it: a success, and the sums of a day that is forgotten.
CREATE TABLE runs (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sync TEXT NOT NULL, cause TEXT NOT NULL,
    started INTEGER NOT NULL, finished INTEGER, outcome TEXT,
    files INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, deletions INTEGER NOT NULL DEFAULT 0,
    entries INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, unreadable INTEGER NOT NULL DEFAULT 0,
    vanished INTEGER NOT NULL DEFAULT 0, snapshot TEXT, error TEXT,
    held_deletions INTEGER, held_before INTEGER, held_percent INTEGER,
    warnings TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX runs_of_sync ON runs (sync, place);
CREATE INDEX successes ON runs (sync, place) WHERE outcome = 'ok';
CREATE INDEX unfinished ON runs (place) WHERE outcome IS NULL;
CREATE TABLE days (
    sync TEXT NOT NULL, day INTEGER NOT NULL, ok INTEGER NOT NULL, unchanged INTEGER NOT NULL,
    failed INTEGER NOT NULL, interrupted INTEGER NOT NULL, held INTEGER NOT NULL, skipped INTEGER NOT NULL,
    files INTEGER NOT NULL, bytes INTEGER NOT NULL, size INTEGER NOT NULL,
    lasted INTEGER NOT NULL, longest INTEGER NOT NULL, PRIMARY KEY (sync, day)
) STRICT, WITHOUT ROWID;
INSERT INTO runs VALUES
    (1, 'run-0', 'a', 'drive', 1795368600000, 1795368601000, 'ok', 3, 4096, 0, 9, 0, 0, 0, '2026-11-22T17:30:00.000Z', NULL, NULL, NULL, NULL, 'one
two');
INSERT INTO days VALUES ('a', 20700, 7, 2, 1, 0, 0, 0, 90, 12345, 77, 7000, 3000);
PRAGMA user_version = 2;
