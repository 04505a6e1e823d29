//! The checks of the past, beside the runs and apart from them: that a copy was read back is never taken for one that
//! was made.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, named_params, params};

use crate::model::{CheckRecord, CheckSums, Outcome, SyncName, Trigger, Worded as _};

/// How many checks are kept of one sync.
const CHECKS_A_SYNC: u32 = 1_000;

/// The migration that makes the table.
pub(super) const TABLE: &str = "
    CREATE TABLE checks (
        place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sync TEXT NOT NULL, cause TEXT NOT NULL,
        started INTEGER NOT NULL, finished INTEGER NOT NULL, outcome TEXT NOT NULL, files INTEGER NOT NULL,
        bytes INTEGER NOT NULL, compared INTEGER NOT NULL, passed_over INTEGER NOT NULL, damaged INTEGER NOT NULL,
        doubtful INTEGER NOT NULL, error TEXT
    ) STRICT;
    CREATE INDEX checks_of_sync ON checks (sync, place);";

/// Writes a check down, and forgets the oldest beyond the bounds.
pub(super) fn add_check(transaction: &Transaction<'_>, record: &CheckRecord) -> rusqlite::Result<()> {
    let sums = &record.sums;
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    transaction.execute(
        "INSERT OR REPLACE INTO checks (id, sync, cause, started, finished, outcome, files, bytes, compared,
             passed_over, damaged, doubtful, error)
         VALUES (:id, :sync, :cause, :started, :finished, :outcome, :files, :bytes, :compared,
             :passed_over, :damaged, :doubtful, :error)",
        named_params! {
            ":id": record.run.as_str(),
            ":sync": record.sync.as_str(),
            ":cause": record.trigger.as_str(),
            ":started": record.started.as_millisecond(),
            ":finished": record.finished.as_millisecond(),
            ":outcome": record.outcome.as_str(),
            ":files": whole(sums.files),
            ":bytes": whole(sums.bytes),
            ":compared": whole(sums.compared),
            ":passed_over": whole(sums.passed_over),
            ":damaged": whole(sums.damaged),
            ":doubtful": whole(sums.doubtful),
            ":error": record.error,
        },
    )?;
    transaction.execute(
        "DELETE FROM checks WHERE sync = ?1 AND place <= (
            SELECT place FROM checks WHERE sync = ?1 ORDER BY place DESC LIMIT 1 OFFSET ?2)",
        params![record.sync.as_str(), CHECKS_A_SYNC],
    )?;
    Ok(())
}

/// The newest `limit` checks, the last recorded first, of one sync and its copies, or of all.
pub(super) fn read_checks(
    transaction: &Transaction<'_>,
    sync: Option<&SyncName>,
    limit: usize,
) -> rusqlite::Result<Vec<CheckRecord>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare(
        "SELECT * FROM checks WHERE ?1 IS NULL OR sync = ?1 OR (sync >= ?1 || '@' AND sync < ?1 || 'A')
         ORDER BY place DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![sync.map(SyncName::as_str), limit], read_check)?;
    rows.filter_map(Result::transpose).collect()
}

/// A row as a record; `None` if it holds what this version does not know.
fn read_check(row: &Row<'_>) -> rusqlite::Result<Option<CheckRecord>> {
    let text = |column: &str| row.get::<_, String>(column);
    let count = |column: &str| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
    let time = |column: &str| row.get::<_, i64>(column).map(|ms| Timestamp::from_millisecond(ms).ok());
    let (run, sync) = (text("id")?.parse().ok(), text("sync")?.parse().ok());
    let (trigger, outcome) = (Trigger::of_word(&text("cause")?), Outcome::of_word(&text("outcome")?));
    let (started, finished) = (time("started")?, time("finished")?);
    let sums = CheckSums {
        files: count("files")?,
        bytes: count("bytes")?,
        compared: count("compared")?,
        passed_over: count("passed_over")?,
        damaged: count("damaged")?,
        doubtful: count("doubtful")?,
    };
    let error = row.get("error")?;
    let record = || {
        Some(CheckRecord {
            run: run?,
            sync: sync?,
            trigger: trigger?,
            started: started?,
            finished: finished?,
            outcome: outcome?,
            sums,
            error,
        })
    };
    Ok(record())
}
