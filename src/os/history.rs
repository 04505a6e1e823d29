//! The history of runs, in SQLite: opened when it is needed, not kept open, bounded, never needed for safety.
//!
//! Order is the order of recording, never that of clocks: a clock that was ahead for a day must not hide what came after.
//! The rollback journal is truncated rather than written ahead: with one short transaction for each time it is opened, a
//! write-ahead log would cost more at each close than it saves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior, named_params, params};
use rustix::fs::OFlags;

use crate::model::{Figures, HoldReason, Interruption, Outcome, RunId, RunRecord, SnapshotName, SyncName, Trigger};

/// The version of the table, kept in `PRAGMA user_version`.
const VERSION: i64 = 1;

/// How many runs are kept of one sync, and its last success if that is older.
pub const RUNS_A_SYNC: u32 = 1_000;

/// How many runs are kept in all, and the last success of each sync.
pub const RUNS: u32 = 50_000;

/// How long another process that reads or writes is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

const TABLE: &str = "
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
    PRAGMA user_version = 1;";

const COLUMNS: &str = "id, sync, cause, started, finished, outcome, files, bytes, deletions, entries, size, unreadable, \
                       vanished, snapshot, error, held_deletions, held_before, held_percent, warnings";

/// What can go wrong with the history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be made, or not be put aside.
    #[error("open the history {}: {}", .0.display(), .1)]
    Open(PathBuf, #[source] io::Error),
    /// It cannot be read.
    #[error("read the history {}: {}", .0.display(), .1)]
    Read(PathBuf, #[source] rusqlite::Error),
    /// It cannot be written.
    #[error("write the history {}: {}", .0.display(), .1)]
    Write(PathBuf, #[source] rusqlite::Error),
}

/// What history knows of the past of a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// Its last run that was more than skipped.
    pub last_run: Option<RunRecord>,
    /// When its last success ended.
    pub last_success: Option<Timestamp>,
    /// How many runs in a row have failed or were interrupted since.
    pub failures: u32,
}

/// Something to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A run begins.
    Began {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// What made it start.
        trigger: Trigger,
        /// When.
        started: Timestamp,
    },
    /// A run ended.
    Ended(Box<RunRecord>),
}

/// The history in a state directory.
#[derive(Debug)]
pub struct History {
    file: PathBuf,
    now: Timestamp,
    /// Where a file was put that was no history which this version can read.
    pub put_aside: Option<PathBuf>,
}

type Work<'a, T> = &'a dyn Fn(&Transaction<'_>) -> rusqlite::Result<T>;

impl History {
    /// The history in `history.db` of a state directory, which is made if there is none. One that is broken or newer than
    /// this program is put aside under another name, whenever that shows, and begun anew: backups do not depend on it.
    pub fn open(state_dir: &Path, now: Timestamp) -> Result<Self, HistoryError> {
        let mut history = Self { file: state_dir.join("history.db"), now, put_aside: None };
        history.work(HistoryError::Read, &|_| Ok(()))?;
        Ok(history)
    }

    /// Writes these down, all or none, and forgets the oldest runs beyond the bounds.
    pub fn write(&mut self, entries: &[Entry]) -> Result<(), HistoryError> {
        self.work(HistoryError::Write, &|transaction| {
            let mut ended = BTreeSet::new();
            for entry in entries {
                match entry {
                    Entry::Began { run, sync, trigger, started } => begin(transaction, run, sync, *trigger, *started)?,
                    Entry::Ended(record) => {
                        end(transaction, record)?;
                        ended.insert(&record.sync);
                    }
                }
            }
            ended.into_iter().try_for_each(|sync| forget(transaction, sync))
        })
    }

    /// Closes the runs that began and never ended: the process was killed in the middle of them. Tells how many.
    pub fn close_unfinished(&mut self) -> Result<usize, HistoryError> {
        self.work(HistoryError::Write, &|transaction| {
            transaction.execute(
                "UPDATE runs SET finished = started, outcome = :outcome, error = :error WHERE outcome IS NULL",
                named_params! { ":outcome": Outcome::Interrupted.as_str(), ":error": Interruption::Killed.to_string() },
            )
        })
    }

    /// The newest `limit` runs that have ended, the last recorded first, of one sync or of all.
    pub fn recent(&mut self, sync: Option<&SyncName>, limit: usize) -> Result<Vec<RunRecord>, HistoryError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // One that asks for `documents` means its copies `documents@blue` and `documents@red` too; `A` follows `@`.
        let query = format!(
            "SELECT {COLUMNS} FROM runs WHERE outcome IS NOT NULL \
             AND (?1 IS NULL OR sync = ?1 OR (sync >= ?1 || '@' AND sync < ?1 || 'A')) ORDER BY place DESC LIMIT ?2"
        );
        self.work(HistoryError::Read, &|transaction| {
            let mut statement = transaction.prepare(&query)?;
            let rows = statement.query_map(params![sync.map(SyncName::as_str), limit], record)?;
            rows.filter_map(Result::transpose).collect()
        })
    }

    /// The past of every sync.
    pub fn past(&mut self) -> Result<BTreeMap<SyncName, Past>, HistoryError> {
        // With max() SQLite takes the other columns from the row that holds the maximum.
        let last = format!(
            "SELECT {COLUMNS}, max(place) FROM runs WHERE outcome IS NOT NULL AND outcome <> 'skipped' GROUP BY sync"
        );
        self.work(HistoryError::Read, &|transaction| {
            let mut past: BTreeMap<SyncName, Past> = BTreeMap::new();
            let mut last = transaction.prepare(&last)?;
            for found in last.query_map([], record)? {
                if let Some(found) = found? {
                    let sync = found.sync.clone();
                    past.entry(sync).or_default().last_run = Some(found);
                }
            }
            let mut successes = transaction
                .prepare("SELECT sync, finished, max(place) FROM runs WHERE outcome = 'ok' GROUP BY sync")?;
            for row in successes.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))? {
                let (sync, finished) = row?;
                if let Ok(sync) = sync.parse() {
                    past.entry(sync).or_default().last_success = Timestamp::from_millisecond(finished).ok();
                }
            }
            let mut failures = transaction.prepare(
                "SELECT sync, count(*) FROM runs AS run WHERE outcome IN ('failed', 'interrupted') AND place > \
                 ifnull((SELECT max(place) FROM runs WHERE sync = run.sync AND outcome = 'ok'), -1) GROUP BY sync",
            )?;
            for row in failures.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))? {
                let (sync, count) = row?;
                if let Ok(sync) = sync.parse() {
                    past.entry(sync).or_default().failures = count;
                }
            }
            Ok(past)
        })
    }

    /// Does one piece of work in one transaction; once more in a new file if the old one turns out to be unusable.
    fn work<T>(
        &mut self,
        failed: fn(PathBuf, rusqlite::Error) -> HistoryError,
        work: Work<'_, T>,
    ) -> Result<T, HistoryError> {
        let open_error = |error| HistoryError::Open(self.file.clone(), error);
        make(&self.file).map_err(open_error)?;
        match transact(&self.file, work) {
            Err(error) if is_unusable(&error) => {}
            done => return done.map_err(|error| failed(self.file.clone(), error)),
        }
        let aside = put_aside(&self.file, self.now).map_err(open_error)?;
        make(&self.file).map_err(open_error)?;
        self.put_aside = Some(aside);
        transact(&self.file, work).map_err(|error| failed(self.file.clone(), error))
    }
}

/// SQLite would make the file with the rights that the umask leaves; it is its owner's business alone.
fn make(file: &Path) -> io::Result<()> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(file).map(drop)
}

fn transact<T>(file: &Path, work: Work<'_, T>) -> rusqlite::Result<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (version, tables) {
        (VERSION, _) if ends_with_a_page(file, &transaction)? => {}
        (0, 0) => transaction.execute_batch(TABLE)?,
        _ => return Err(rusqlite::Error::QueryReturnedNoRows),
    }
    let answer = work(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

/// SQLite notices by itself that whole pages are missing, but takes a last page that was cut off for one that ends in
/// zeros. Within the transaction nobody else changes the length. The file is not opened for this: closing it again would
/// drop the locks of this process (`fcntl_locking(2)`).
fn ends_with_a_page(file: &Path, transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let page: u32 = transaction.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let length = fs::metadata(file).map_or(0, |found| found.len());
    Ok(length.is_multiple_of(page.into()))
}

/// Whether it is the file that is at fault: broken, of a newer version, or without our table. Nothing that this file asks
/// for gives such an error otherwise.
fn is_unusable(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
        || code == Some(rusqlite::ffi::SQLITE_ERROR)
        || matches!(
            error,
            rusqlite::Error::QueryReturnedNoRows
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::Utf8Error(..)
        )
}

fn put_aside(file: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let named = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = named(&format!(".broken-{}", now.as_second()));
    fs::rename(file, &aside)?;
    // A journal beside the new file would be rolled back into it.
    match fs::remove_file(named("-journal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(aside),
    }
}

/// Deletes the oldest runs beyond the bounds. The last success of a sync always stays: what is due depends on it.
fn forget(transaction: &Transaction<'_>, sync: &SyncName) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM runs WHERE sync = ?1 AND place <= (
            SELECT place FROM runs WHERE sync = ?1 ORDER BY place DESC LIMIT 1 OFFSET ?2
         ) AND place IS NOT (SELECT max(place) FROM runs WHERE sync = ?1 AND outcome = 'ok')",
        params![sync.as_str(), RUNS_A_SYNC],
    )?;
    transaction.execute(
        "DELETE FROM runs WHERE place <= (SELECT max(place) FROM runs) - ?1
         AND place NOT IN (SELECT max(place) FROM runs WHERE outcome = 'ok' GROUP BY sync)",
        [RUNS],
    )?;
    Ok(())
}

fn begin(
    transaction: &Transaction<'_>,
    run: &RunId,
    sync: &SyncName,
    trigger: Trigger,
    started: Timestamp,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR IGNORE INTO runs (id, sync, cause, started) VALUES (?1, ?2, ?3, ?4)",
        params![run.as_str(), sync.as_str(), trigger.as_str(), started.as_millisecond()],
    )?;
    Ok(())
}

fn end(transaction: &Transaction<'_>, record: &RunRecord) -> rusqlite::Result<()> {
    // An attempt that was not possible and that nobody asked for is tried again soon: no news for a person.
    if record.outcome == Outcome::Skipped && record.trigger != Trigger::Request {
        return transaction.execute("DELETE FROM runs WHERE id = ?1", [record.run.as_str()]).map(drop);
    }
    let figures = &record.figures;
    let held = record.hold.as_ref().map(|HoldReason::Deletions { deletions, before, allowed_percent }| {
        (signed(*deletions), signed(*before), *allowed_percent)
    });
    // The place is that of the beginning, if that was recorded. One that was closed as killed is corrected.
    begin(transaction, &record.run, &record.sync, record.trigger, record.started)?;
    transaction.execute(
        "UPDATE runs SET sync = :sync, cause = :cause, started = :started, finished = :finished, outcome = :outcome, \
         files = :files, bytes = :bytes, deletions = :deletions, entries = :entries, size = :size, \
         unreadable = :unreadable, vanished = :vanished, snapshot = :snapshot, error = :error, \
         held_deletions = :held_deletions, held_before = :held_before, held_percent = :held_percent, \
         warnings = :warnings WHERE id = :id",
        named_params! {
            ":id": record.run.as_str(),
            ":sync": record.sync.as_str(),
            ":cause": record.trigger.as_str(),
            ":started": record.started.as_millisecond(),
            ":finished": record.finished.as_millisecond(),
            ":outcome": record.outcome.as_str(),
            ":files": signed(figures.files_transferred),
            ":bytes": signed(figures.bytes_transferred),
            ":deletions": signed(figures.deletions),
            ":entries": signed(figures.entries),
            ":size": signed(figures.size),
            ":unreadable": signed(figures.unreadable),
            ":vanished": signed(figures.vanished),
            ":snapshot": record.snapshot.map(|snapshot| snapshot.to_string()),
            ":error": record.error,
            ":held_deletions": held.map(|held| held.0),
            ":held_before": held.map(|held| held.1),
            ":held_percent": held.map(|held| held.2),
            ":warnings": record.warnings.join("\n"),
        },
    )?;
    Ok(())
}

/// A row as a record; `None` if it holds what this version does not know.
fn record(row: &Row<'_>) -> rusqlite::Result<Option<RunRecord>> {
    let text = |column: &str| row.get::<_, Option<String>>(column);
    let count = |column: &str| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
    let time = |column: &str| row.get::<_, Option<i64>>(column).map(|ms| Timestamp::from_millisecond(ms?).ok());
    let figures = Figures {
        files_transferred: count("files")?,
        bytes_transferred: count("bytes")?,
        deletions: count("deletions")?,
        entries: count("entries")?,
        size: count("size")?,
        unreadable: count("unreadable")?,
        vanished: count("vanished")?,
    };
    let hold = match (row.get::<_, Option<i64>>("held_deletions")?, row.get::<_, Option<u8>>("held_percent")?) {
        (Some(deletions), Some(allowed_percent)) => Some(HoldReason::Deletions {
            deletions: u64::try_from(deletions).unwrap_or(0),
            before: count("held_before")?,
            allowed_percent,
        }),
        (_, _) => None,
    };
    let run = text("id")?.and_then(|id| id.parse().ok());
    let sync = text("sync")?.and_then(|name| name.parse().ok());
    let trigger = text("cause")?.and_then(|word| Trigger::ALL.into_iter().find(|trigger| trigger.as_str() == word));
    let outcome = text("outcome")?.and_then(|word| Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word));
    let snapshot = text("snapshot")?.and_then(|name| name.parse::<SnapshotName>().ok());
    let warnings = text("warnings")?.unwrap_or_default();
    let (error, started, finished) = (text("error")?, time("started")?, time("finished")?);
    let record = || {
        Some(RunRecord {
            run: run?,
            sync: sync?,
            trigger: trigger?,
            started: started?,
            finished: finished?,
            outcome: outcome?,
            figures,
            snapshot,
            error,
            hold,
            warnings: warnings.lines().map(ToOwned::to_owned).collect(),
        })
    };
    Ok(record())
}

/// SQLite's integers are signed; no count of files or bytes comes near the end of theirs.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
