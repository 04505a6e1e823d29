//! The file of the history: made, read, judged, carried over from an earlier version, and put aside when it cannot be
//! used.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use rustix::fs::OFlags;

use crate::os::{history_checks, history_days};

/// How long another process that reads or writes is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the tables came to be as they are. The first makes version 1 in an empty file, each other the next version out
/// of the one before. One that was released is never changed: files that it has made are out there. `PRAGMA
/// user_version` tells how many a file has been through.
pub(super) const MIGRATIONS: &[&str] = &[
    "
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
    CREATE INDEX unfinished ON runs (place) WHERE outcome IS NULL;",
    history_days::TABLE,
    history_days::PARTIAL,
    history_checks::TABLE,
    "ALTER TABLE runs ADD COLUMN heaviest TEXT NOT NULL DEFAULT '';",
];

/// How many pages are copied at once.
const PAGES: i32 = 1_000;

/// Something to do with the runs.
pub(super) type Work<'a, T> = &'a dyn Fn(&Transaction<'_>) -> rusqlite::Result<T>;

/// SQLite would make the file with the rights that the umask leaves; it is its owner's business alone.
pub(super) fn make(file: &Path) -> io::Result<()> {
    // To open a FIFO would be to wait for its reader.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(file).map(drop)
}

/// Whether a FIFO, a socket or a device lies there. A link and a directory are refused as they are, and stay for their
/// owner to look at.
pub(super) fn is_no_file(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir() && !found.is_symlink())
}

/// Does one piece of work in one transaction, in a file that is ours; one that is empty becomes so, and one of an
/// earlier version is carried over in the same transaction.
pub(super) fn transact<T>(file: &Path, migrations: &[&str], work: Work<'_, T>) -> rusqlite::Result<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let to_come = match to_come(&transaction, migrations)? {
        Some((0, all)) if tables == 0 => all,
        Some((1.., rest)) if ends_with_a_page(file, &transaction)? => rest,
        Some(_) | None => return Err(rusqlite::Error::QueryReturnedNoRows),
    };
    migrate(&transaction, migrations.len(), to_come)?;
    let answer = work(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

/// The version of a file, and the migrations that it has not been through; `None` if it is newer than all of them.
fn to_come<'a>(
    transaction: &Transaction<'_>,
    migrations: &'a [&'a str],
) -> rusqlite::Result<Option<(usize, &'a [&'a str])>> {
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = usize::try_from(version).ok();
    Ok(version.and_then(|version| Some((version, migrations.get(version..)?))))
}

/// Carries the file over to this version by the migrations that are to come.
fn migrate(transaction: &Transaction<'_>, version: usize, to_come: &[&str]) -> rusqlite::Result<()> {
    to_come.iter().try_for_each(|migration| transaction.execute_batch(migration))?;
    if to_come.is_empty() {
        return Ok(());
    }
    transaction.pragma_update(None, "user_version", i64::try_from(version).unwrap_or(i64::MAX))
}

/// Does one piece of work that only reads, and changes nothing: a file that cannot be used is left as it is, and so is
/// a journal that a killed process left beside it, behind which nothing can be read (`SQLITE_READONLY_ROLLBACK`). One
/// of an earlier version is carried over in memory.
pub(super) fn read_only<T>(file: &Path, migrations: &[&str], work: Work<'_, T>) -> rusqlite::Result<T> {
    // To read from a FIFO would be to wait for its writer.
    if !fs::symlink_metadata(file).is_ok_and(|found| found.is_file()) {
        return Err(rusqlite::Error::InvalidPath(file.into()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let to_come = match to_come(&transaction, migrations)? {
        Some((1.., to_come)) if ends_with_a_page(file, &transaction)? => to_come,
        Some(_) | None => return Err(rusqlite::Error::QueryReturnedNoRows),
    };
    if to_come.is_empty() {
        return work(&transaction);
    }
    let mut copy = Connection::open_in_memory()?;
    Backup::new(&transaction, &mut copy)?.run_to_completion(PAGES, Duration::ZERO, None)?;
    let carried_over = copy.transaction()?;
    migrate(&carried_over, migrations.len(), to_come)?;
    work(&carried_over)
}

/// Whether nothing was ever written down in it.
pub(super) fn is_none_yet(file: &Path) -> bool {
    match fs::symlink_metadata(file) {
        Ok(found) => found.is_file() && found.len() == 0,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// SQLite notices by itself that whole pages are missing, but takes a last page that was cut off for one that ends in
/// zeros. Within the transaction nobody else changes the length. The file is not opened for this: closing it again
/// would drop the locks of this process (`fcntl_locking(2)`).
fn ends_with_a_page(file: &Path, transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let page: u32 = transaction.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let length = fs::metadata(file).map_or(0, |found| found.len());
    Ok(length.is_multiple_of(page.into()))
}

/// Whether it is the file that is at fault: broken, of a newer version, or without our table. Nothing that this file
/// asks for gives such an error otherwise.
pub(super) fn is_unusable(error: &rusqlite::Error) -> bool {
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

/// Gives it another name, which is told.
pub(super) fn put_aside(file: &Path, now: Timestamp) -> io::Result<PathBuf> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A second version that nobody has released: a column is added, and filled from what there is.
    fn next() -> Vec<&'static str> {
        let second =
            "ALTER TABLE runs ADD COLUMN weekday INTEGER NOT NULL DEFAULT 0; UPDATE runs SET weekday = started % 7";
        MIGRATIONS.iter().copied().chain([second]).collect()
    }

    fn add(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        transaction.execute_batch("INSERT INTO runs (id, sync, cause, started) VALUES ('r', 'a', 'drive', 10)")
    }

    fn version(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
        transaction.query_row("PRAGMA user_version", [], |row| row.get(0))
    }

    fn weekday(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
        transaction.query_row("SELECT weekday FROM runs WHERE id = 'r'", [], |row| row.get(0))
    }

    fn schema(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
        let mut statement = transaction.prepare("SELECT sql FROM sqlite_schema ORDER BY name")?;
        let texts = statement.query_map([], |row| row.get::<_, Option<String>>(0))?;
        texts.map(|text| text.map(Option::unwrap_or_default)).collect()
    }

    #[test]
    fn an_earlier_version_is_carried_over_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let (old, new) = (root.path().join("old.db"), root.path().join("new.db"));
        let next = next();
        make(&old).unwrap();
        transact(&old, MIGRATIONS, &add).unwrap();
        let before = fs::read(&old).unwrap();
        // Whoever only looks sees the new version, and the file stays as it is.
        assert_eq!(read_only(&old, &next, &weekday).unwrap(), 3);
        assert_eq!(fs::read(&old).unwrap(), before);
        // Work that fails carries nothing over; nor does a migration that fails in its middle.
        let failing: Work<'_, ()> = &|_| Err(rusqlite::Error::InvalidQuery);
        assert!(transact(&old, &next, failing).is_err());
        let broken: Vec<&str> = next.iter().copied().chain(["CREATE TABLE more (x); CREATE TABLE runs (x)"]).collect();
        assert!(transact(&old, &broken, &version).is_err());
        let released = transact(&old, MIGRATIONS, &version).unwrap();
        // Work that does not fail carries it over, once.
        for _ in 0..2 {
            assert_eq!(transact(&old, &next, &weekday).unwrap(), 3);
            assert_eq!(transact(&old, &next, &version).unwrap(), released + 1);
        }
        assert_eq!(read_only(&old, &next, &weekday).unwrap(), 3);
        // One that is made now looks the same.
        make(&new).unwrap();
        let of_both = [&old, &new].map(|file| transact(file, &next, &schema).unwrap());
        assert_eq!(of_both[0], of_both[1]);
        // A program that knows one version less does not touch it.
        let before = fs::read(&old).unwrap();
        for refused in [transact(&old, MIGRATIONS, &version), read_only(&old, MIGRATIONS, &version)] {
            assert!(is_unusable(&refused.unwrap_err()));
        }
        assert_eq!(fs::read(&old).unwrap(), before);
    }
}
