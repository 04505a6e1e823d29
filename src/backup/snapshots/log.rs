//! The log at a destination on this machine.

use crate::backup::failure::could_not;
use crate::formats::log::{self, LogRecord};
use crate::model::SnapshotName;
use crate::model::layout::LOG;
use crate::os::directory::{Directory, DirectoryError};
use crate::os::files::{self, Readers};

/// The end of the log, in which the record of the newest snapshot is looked for.
const TAIL: u64 = 64 << 10;

/// Appends the record of a run, and cuts the log when it has grown too long. `own` is our directory at the destination.
pub(crate) fn append(own: &Directory, record: &LogRecord) -> Result<(), String> {
    let size =
        files::append_durably(own, LOG, log::record_line(record).as_bytes()).map_err(|error| could_not(&error))?;
    if size > log::LIMIT {
        let cut = files::read_tail(own, LOG, log::LIMIT.saturating_mul(2)).map(|whole| log::cut(&whole));
        cut.and_then(|kept| files::write_durably(own, LOG, &kept, Readers::Owner))
            .map_err(|error| could_not(&error))?;
    }
    Ok(())
}

/// All that it says.
pub(crate) fn read(own: &Directory) -> Result<Vec<LogRecord>, DirectoryError> {
    Ok(log::records(&files::read_tail(own, LOG, log::LIMIT.saturating_mul(2))?))
}

/// What it says of a snapshot, if it is among the last.
pub(crate) fn of_snapshot(own: &Directory, name: SnapshotName) -> Result<Option<LogRecord>, DirectoryError> {
    let tail = files::read_tail(own, LOG, TAIL)?;
    Ok(log::records(&tail).into_iter().rev().find(|record| record.snapshot == Some(name)))
}
