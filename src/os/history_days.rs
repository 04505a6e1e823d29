//! What is kept of runs that are forgotten: for each sync and day (in UTC, by the start of the run) their sums, so that
//! a year can be shown of what runs every hour.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use rusqlite::{Transaction, named_params, params};

use crate::model::{DaySum, Days, SyncName};

/// For so many days the sums are kept: ten years.
const DAYS: i64 = 3_653;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// The migration that makes the table.
pub(super) const TABLE: &str = "
    CREATE TABLE days (
        sync TEXT NOT NULL, day INTEGER NOT NULL, ok INTEGER NOT NULL, unchanged INTEGER NOT NULL,
        failed INTEGER NOT NULL, interrupted INTEGER NOT NULL, held INTEGER NOT NULL, skipped INTEGER NOT NULL,
        files INTEGER NOT NULL, bytes INTEGER NOT NULL, size INTEGER NOT NULL,
        lasted INTEGER NOT NULL, longest INTEGER NOT NULL, PRIMARY KEY (sync, day)
    ) STRICT, WITHOUT ROWID;";

/// The migration that adds the copies which lack files: of what was summed up before it, none is known.
pub(super) const PARTIAL: &str = "ALTER TABLE days ADD COLUMN partial INTEGER NOT NULL DEFAULT 0;";

/// Sums that would not fit any more stay at this, which is more than there is: a log on a drive may tell anything.
const MOST: &str = "9000000000000000";

/// Deletes the runs that a condition names, and keeps their sums by day.
pub(super) fn fold(
    transaction: &Transaction<'_>,
    which: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<()> {
    let sum = |what: &str| format!("CAST(min(total({what}), {MOST}) AS INTEGER)");
    let took = "CASE WHEN outcome = 'ok' AND finished > started THEN finished - started ELSE 0 END";
    let added = ["ok", "unchanged", "failed", "interrupted", "held", "skipped", "files", "bytes", "lasted", "partial"]
        .map(|column| format!("{column} = min({column} + excluded.{column}, {MOST})"));
    let insert = format!(
        "INSERT INTO days (sync, day, ok, unchanged, failed, interrupted, held, skipped, files, bytes, size, lasted,
             longest, partial)
         SELECT sync, started / {DAY}, {}, {}, {}, {}, {}, {}, {}, {}, max(CASE outcome WHEN 'ok' THEN size ELSE 0 END),
             {}, max({took}), {}
         FROM runs WHERE outcome IS NOT NULL AND {which} GROUP BY sync, started / {DAY}
         ON CONFLICT (sync, day) DO UPDATE SET {}, size = max(size, excluded.size),
             longest = max(longest, excluded.longest)",
        sum("outcome = 'ok'"),
        sum("outcome = 'ok' AND files = 0 AND deletions = 0"),
        sum("outcome = 'failed'"),
        sum("outcome = 'interrupted'"),
        sum("outcome = 'held'"),
        sum("outcome = 'skipped'"),
        sum("files"),
        sum("bytes"),
        sum(took),
        sum("outcome = 'ok' AND unreadable > 0"),
        added.join(", "),
    );
    transaction.execute(&insert, parameters)?;
    transaction.execute(&format!("DELETE FROM runs WHERE {which}"), parameters).map(drop)
}

/// Forgets the days of a sync that are older than anybody asks for.
pub(super) fn forget_days(transaction: &Transaction<'_>, sync: &SyncName) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM days WHERE sync = ?1 AND day < (SELECT max(day) FROM days WHERE sync = ?1) - ?2",
        params![sync.as_str(), DAYS],
    )?;
    Ok(())
}

/// The days that are kept of one sync and its copies, or of all.
pub(super) fn read_days(transaction: &Transaction<'_>, sync: Option<&SyncName>) -> rusqlite::Result<Days> {
    let mut statement = transaction.prepare(
        "SELECT * FROM days WHERE :sync IS NULL OR sync = :sync OR (sync >= :sync || '@' AND sync < :sync || 'A')",
    )?;
    let mut rows = statement.query(named_params! { ":sync": sync.map(SyncName::as_str) })?;
    let mut days = Days::new();
    while let Some(row) = rows.next()? {
        let count = |column: &str| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
        let sum = DaySum {
            ok: count("ok")?,
            unchanged: count("unchanged")?,
            partial: count("partial")?,
            failed: count("failed")?,
            interrupted: count("interrupted")?,
            held: count("held")?,
            skipped: count("skipped")?,
            files: count("files")?,
            bytes: count("bytes")?,
            size: count("size")?,
            lasted: Duration::from_millis(count("lasted")?),
            longest: Duration::from_millis(count("longest")?),
        };
        let name: String = row.get("sync")?;
        if let (Ok(name), Some(date)) = (name.parse(), date(row.get("day")?)) {
            days.entry(name).or_default().insert(date, sum);
        }
    }
    Ok(days)
}

fn date(day: i64) -> Option<Date> {
    let moment = Timestamp::from_millisecond(day.checked_mul(DAY)?).ok()?;
    Some(moment.to_zoned(TimeZone::UTC).date())
}
