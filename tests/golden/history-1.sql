-- A history as version 1 wrote it: a success, a failure, a hold and a run that never ended.
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
INSERT INTO runs VALUES
    (1, 'run-0', 'a', 'drive', 1795368600000, 1795368601000, 'ok', 3, 4096, 0, 9, 0, 0, 0, '2026-11-22T17:30:00.000Z', NULL, NULL, NULL, NULL, 'one
two'),
    (2, 'run-2', 'a', 'drive', 1795368602000, 1795368603000, 'failed', 3, 4096, 0, 9, 0, 0, 0, '2026-11-22T17:30:00.000Z', 'why', NULL, NULL, NULL, 'one
two'),
    (3, 'run-4', 'b', 'drive', 1795368604000, 1795368605000, 'held', 3, 4096, 0, 9, 0, 0, 0, '2026-11-22T17:30:00.000Z', 'why', 60, 100, 25, 'one
two'),
    (4, 'run-5', 'b', 'schedule', 1795368605000, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, '');
PRAGMA user_version = 1;
