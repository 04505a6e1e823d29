//! The history of runs, in SQLite: opened when it is needed, not kept open, bounded, never needed for safety.
//!
//! Order is the order of recording, never that of clocks: a clock that was ahead for a day must not hide what came
//! after. The rollback journal is truncated rather than written ahead: with one short transaction for each time it is
//! opened, a write-ahead log would cost more at each close than it saves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Row, Transaction, named_params, params};

use crate::model::{
    CheckRecord, Days, Figures, HeavyDirectory, Interruption, Outcome, RunId, RunRecord, SnapshotName, SyncName,
    Trigger, Worded,
};
use crate::os::history_checks::{add_check, read_checks};
use crate::os::history_days::{fold, forget_days, read_days};
use crate::os::history_file::{
    MIGRATIONS, Work, is_no_file, is_none_yet, is_unusable, make, put_aside, read_only, transact,
};

/// Its name in the state directory.
const FILE: &str = "history.db";

/// How many runs are kept of one sync, and its last success if that is older.
pub const RUNS_A_SYNC: u32 = 1_000;

/// How many runs are kept in all, and the last success of each sync.
pub const RUNS: u32 = 50_000;

const COLUMNS: &str = "id, sync, cause, started, finished, outcome, files, bytes, deletions, entries, size, \
                       unreadable, vanished, snapshot, error, warnings, heaviest";

/// What can go wrong with the history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be made, or not be put aside.
    #[error("open the history {}", .0.display())]
    Open(PathBuf, #[source] io::Error),
    /// It cannot be read.
    #[error("read the history {}", .0.display())]
    Read(PathBuf, #[source] Unwilling),
    /// It cannot be written.
    #[error("write the history {}", .0.display())]
    Write(PathBuf, #[source] Unwilling),
}

/// What SQLite says. Its own cause would say the same again, with a number.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unwilling(rusqlite::Error);

impl From<rusqlite::Error> for Unwilling {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

/// What history knows of the past of a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastRuns {
    /// Its last run that was more than skipped.
    pub last_run: Option<RunRecord>,
    /// When its last success ended.
    pub last_success: Option<Timestamp>,
    /// How many runs have failed since. Those that were interrupted count neither way.
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
    /// A run that began found what the one before it found, and asks a person nothing new: no history tells of it.
    Forgotten(RunId),
    /// Copies were read back.
    Checked(Box<CheckRecord>),
    /// These runs came before all that the history knows, oldest first; those that it knows are passed over.
    Recalled(Vec<RunRecord>),
}

/// The history in a state directory.
#[derive(Debug)]
pub struct HistoryStore {
    file: PathBuf,
    access: Access,
    /// Where a file was put that was no history which this version can read.
    pub put_aside: Option<PathBuf>,
}

/// What may be done to the file.
#[derive(Debug, Clone, Copy)]
enum Access {
    /// It is written, and begun anew if it cannot be used: the old one is called by this moment.
    Whole(Timestamp),
    /// It is looked at, and stays as it is.
    Reading,
}

impl HistoryStore {
    /// The history in `history.db` of a state directory, which is made if there is none. One that is broken or newer
    /// than this program is put aside under another name, whenever that shows, and begun anew: backups do not depend on
    /// it.
    pub fn open(state_dir: &Path, now: Timestamp) -> Result<Self, HistoryError> {
        let mut history = Self { file: state_dir.join(FILE), access: Access::Whole(now), put_aside: None };
        history.work(HistoryError::Read, &|_| Ok(()))?;
        Ok(history)
    }

    /// The same to look at: nothing is made, put aside or written. `None` if there is none yet.
    #[must_use]
    pub fn look(state_dir: &Path) -> Option<Self> {
        let file = state_dir.join(FILE);
        (!is_none_yet(&file)).then_some(Self { file, access: Access::Reading, put_aside: None })
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
                    Entry::Checked(record) => add_check(transaction, record)?,
                    Entry::Forgotten(run) => forget_run(transaction, run)?,
                    Entry::Recalled(records) => records.iter().rev().try_for_each(|old| recall(transaction, old))?,
                }
            }
            ended.into_iter().try_for_each(|sync| forget(transaction, sync))
        })
    }

    /// Closes the runs that began and never ended: the process was killed in the middle of them. Tells which. Nobody
    /// knows when they ended: what ends in the moment in which it begins took an unknown time.
    pub fn close_unfinished(&mut self) -> Result<Vec<RunRecord>, HistoryError> {
        let one = format!("SELECT {COLUMNS} FROM runs WHERE id = ?1");
        self.work(HistoryError::Write, &|transaction| {
            let mut unfinished = transaction.prepare("SELECT id FROM runs WHERE outcome IS NULL ORDER BY place")?;
            let unfinished = unfinished.query_map([], |row| row.get::<_, String>(0))?;
            let unfinished = unfinished.collect::<rusqlite::Result<Vec<_>>>()?;
            transaction.execute(
                "UPDATE runs SET finished = started, outcome = :outcome, error = :error WHERE outcome IS NULL",
                named_params! { ":outcome": Outcome::Interrupted.as_str(), ":error": Interruption::Killed.to_string() },
            )?;
            let closed = unfinished.iter().map(|id| transaction.query_row(&one, [id], record).map(Option::into_iter));
            Ok(closed.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
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

    /// The sums by day of the runs that are forgotten, of one sync or of all.
    pub fn days(&mut self, sync: Option<&SyncName>) -> Result<Days, HistoryError> {
        self.work(HistoryError::Read, &|transaction| read_days(transaction, sync))
    }

    /// The newest `limit` checks, the last recorded first, of one sync or of all.
    pub fn checks(&mut self, sync: Option<&SyncName>, limit: usize) -> Result<Vec<CheckRecord>, HistoryError> {
        self.work(HistoryError::Read, &|transaction| read_checks(transaction, sync, limit))
    }

    /// The past of every sync.
    pub fn past(&mut self) -> Result<BTreeMap<SyncName, LastRuns>, HistoryError> {
        // With max() SQLite takes the other columns from the row that holds the maximum.
        let last = format!(
            "SELECT {COLUMNS}, max(place) FROM runs WHERE outcome IS NOT NULL AND outcome <> 'skipped' GROUP BY sync"
        );
        self.work(HistoryError::Read, &|transaction| {
            let mut past: BTreeMap<SyncName, LastRuns> = BTreeMap::new();
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
                "SELECT sync, count(*) FROM runs AS run WHERE outcome = 'failed' AND place > \
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
        failed: fn(PathBuf, Unwilling) -> HistoryError,
        work: Work<'_, T>,
    ) -> Result<T, HistoryError> {
        let now = match self.access {
            Access::Whole(now) => now,
            Access::Reading => {
                return read_only(&self.file, MIGRATIONS, work)
                    .map_err(|error| failed(self.file.clone(), error.into()));
            }
        };
        let open_error = |error| HistoryError::Open(self.file.clone(), error);
        if is_no_file(&self.file) {
            self.put_aside = Some(put_aside(&self.file, now).map_err(open_error)?);
        }
        make(&self.file).map_err(open_error)?;
        match transact(&self.file, MIGRATIONS, work) {
            Err(error) if is_unusable(&error) => {}
            done => return done.map_err(|error| failed(self.file.clone(), error.into())),
        }
        let aside = put_aside(&self.file, now).map_err(open_error)?;
        make(&self.file).map_err(open_error)?;
        self.put_aside = Some(aside);
        transact(&self.file, MIGRATIONS, work).map_err(|error| failed(self.file.clone(), error.into()))
    }
}

/// Deletes the oldest runs beyond the bounds, of which the sums by day stay. The last success of a sync always stays:
/// what is due depends on it.
fn forget(transaction: &Transaction<'_>, sync: &SyncName) -> rusqlite::Result<()> {
    fold(
        transaction,
        "sync = ?1 AND place <= (
            SELECT place FROM runs WHERE sync = ?1 ORDER BY place DESC LIMIT 1 OFFSET ?2
         ) AND place IS NOT (SELECT max(place) FROM runs WHERE sync = ?1 AND outcome = 'ok')",
        &[&sync.as_str(), &RUNS_A_SYNC],
    )?;
    fold(
        transaction,
        "place <= (SELECT max(place) FROM runs) - ?1
         AND place NOT IN (SELECT max(place) FROM runs WHERE outcome = 'ok' GROUP BY sync)",
        &[&RUNS],
    )?;
    forget_days(transaction, sync)
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

fn forget_run(transaction: &Transaction<'_>, run: &RunId) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM runs WHERE id = ?1", [run.as_str()]).map(drop)
}

/// A run takes the place before all others.
fn recall(transaction: &Transaction<'_>, record: &RunRecord) -> rusqlite::Result<()> {
    let added = transaction.execute(
        "INSERT OR IGNORE INTO runs (place, id, sync, cause, started)
         VALUES ((SELECT ifnull(min(place), 1) - 1 FROM runs), ?1, ?2, ?3, ?4)",
        params![record.run.as_str(), record.sync.as_str(), record.trigger.as_str(), record.started.as_millisecond()],
    )?;
    if added == 0 { Ok(()) } else { end(transaction, record) }
}

fn end(transaction: &Transaction<'_>, record: &RunRecord) -> rusqlite::Result<()> {
    // An attempt that was not possible and that nobody asked for is tried again soon: no news for a person.
    if record.outcome == Outcome::Skipped && record.trigger != Trigger::Request {
        return forget_run(transaction, &record.run);
    }
    let figures = &record.figures;
    // The place is that of the beginning, if that was recorded. One that was closed as killed is corrected.
    begin(transaction, &record.run, &record.sync, record.trigger, record.started)?;
    transaction.execute(
        "UPDATE runs SET sync = :sync, cause = :cause, started = :started, finished = :finished, outcome = :outcome, \
         files = :files, bytes = :bytes, deletions = :deletions, entries = :entries, size = :size, \
         unreadable = :unreadable, vanished = :vanished, snapshot = :snapshot, error = :error, \
         warnings = :warnings, heaviest = :heaviest WHERE id = :id",
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
            ":warnings": record.warnings.join("\n"),
            ":heaviest": heaviest_text(&record.heaviest),
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
    let run = text("id")?.and_then(|id| id.parse().ok());
    let sync = text("sync")?.and_then(|name| name.parse().ok());
    let trigger = text("cause")?.and_then(|word| Trigger::of_word(&word));
    let outcome = text("outcome")?.and_then(|word| Outcome::of_word(&word));
    let snapshot = text("snapshot")?.and_then(|name| name.parse::<SnapshotName>().ok());
    let warnings = text("warnings")?.unwrap_or_default();
    let heaviest = text("heaviest")?.unwrap_or_default();
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
            heaviest: heaviest.lines().filter_map(heavy_directory).collect(),
            snapshot,
            error,
            warnings: warnings.lines().map(ToOwned::to_owned).collect(),
        })
    };
    Ok(record())
}

/// A line for each: the bytes, a blank, and the path, which has no line ends.
fn heaviest_text(heaviest: &[HeavyDirectory]) -> String {
    let lines: Vec<_> = heaviest.iter().map(|heavy| format!("{} {}", heavy.bytes, heavy.directory)).collect();
    lines.join("\n")
}

fn heavy_directory(line: &str) -> Option<HeavyDirectory> {
    let (bytes, directory) = line.split_once(' ')?;
    Some(HeavyDirectory { directory: directory.to_owned(), bytes: bytes.parse().ok()? })
}

/// SQLite's integers are signed; no count of files or bytes comes near the end of theirs.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
