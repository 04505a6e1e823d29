//! The file of the history: made, read, judged, and put aside when it cannot be used.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use rustix::fs::OFlags;

/// The version of the table, kept in `PRAGMA user_version`.
const VERSION: i64 = 1;

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

/// Something to do with the runs.
pub(super) type Work<'a, T> = &'a dyn Fn(&Transaction<'_>) -> rusqlite::Result<T>;

/// SQLite would make the file with the rights that the umask leaves; it is its owner's business alone.
pub(super) fn make(file: &Path) -> io::Result<()> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(file).map(drop)
}

/// Does one piece of work in one transaction, in a file that is ours; one that is empty becomes so.
pub(super) fn transact<T>(file: &Path, work: Work<'_, T>) -> rusqlite::Result<T> {
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

/// Does one piece of work that only reads, and changes nothing: a file that cannot be used is left as it is, and so is
/// a journal that a killed process left beside it, behind which nothing can be read (`SQLITE_READONLY_ROLLBACK`).
pub(super) fn read_only<T>(file: &Path, work: Work<'_, T>) -> rusqlite::Result<T> {
    // To read from a FIFO would be to wait for its writer.
    if !fs::symlink_metadata(file).is_ok_and(|found| found.is_file()) {
        return Err(rusqlite::Error::InvalidPath(file.into()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != VERSION || !ends_with_a_page(file, &transaction)? {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    work(&transaction)
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
