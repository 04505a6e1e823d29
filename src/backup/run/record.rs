//! The log at the destination.

use jiff::Timestamp;

use crate::backup::failure::told;
use crate::backup::job::Job;
use crate::formats::log::{self, LogRecord};
use crate::model::layout::LOG;
use crate::model::{Conclusion, Figures, SnapshotName, Standing};
use crate::os::directory::{Directory, DirectoryError};
use crate::os::files::{self, Readers};
use crate::os::{clock, machine};

/// The end of the log, in which the record of the newest snapshot is looked for.
const TAIL: u64 = 64 << 10;

/// What there is to say of a run.
pub(crate) struct Account<'a> {
    pub(crate) job: &'a Job,
    pub(crate) started: Timestamp,
    pub(crate) figures: Figures,
    pub(crate) snapshot: Option<SnapshotName>,
    pub(crate) standing: Standing,
}

impl Account<'_> {
    /// The record of a run that ends so, now.
    pub(crate) fn ended(self, conclusion: &Conclusion) -> LogRecord {
        let error = match conclusion {
            Conclusion::Ok => None,
            Conclusion::Skipped(obstacles) => obstacles.first().map(ToString::to_string),
            Conclusion::Interrupted(why) => Some(why.to_string()),
            Conclusion::Failed(why) => Some(why.to_string()),
            Conclusion::Held(why) => Some(why.to_string()),
        };
        LogRecord {
            run: self.job.run.clone(),
            sync: self.job.sync.name.clone(),
            host: machine::host_name(),
            started: self.started,
            finished: clock::now().wall,
            outcome: conclusion.outcome(),
            error,
            snapshot: self.snapshot,
            standing: self.standing,
            entries: self.figures.entries,
            files: self.figures.files_transferred,
            bytes: self.figures.bytes_transferred,
            deletions: self.figures.deletions,
        }
    }
}

/// Appends the record of a run, and cuts the log when it has grown too long.
pub(crate) fn append(own: &Directory, record: &LogRecord) -> Result<(), String> {
    let size = files::append_durably(own, LOG, log::write(record).as_bytes()).map_err(|error| told(&error))?;
    if size > log::LIMIT {
        let cut = files::read_tail(own, LOG, log::LIMIT.saturating_mul(2)).map(|whole| log::cut(&whole));
        cut.and_then(|kept| files::write_durably(own, LOG, &kept, Readers::All)).map_err(|error| told(&error))?;
    }
    Ok(())
}

/// What the log says of a snapshot, if it is among the last.
pub(crate) fn of_snapshot(own: &Directory, name: SnapshotName) -> Result<Option<LogRecord>, DirectoryError> {
    let tail = files::read_tail(own, LOG, TAIL)?;
    Ok(log::parse(&tail).into_iter().rev().find(|record| record.snapshot == Some(name)))
}
