//! What there is to say of a run in the log at its destination.

use jiff::Timestamp;

use crate::backup::job::Job;
use crate::formats::log::LogRecord;
use crate::model::{Conclusion, Figures, SnapshotName, Standing};
use crate::os::{clock, machine};

/// What a run has come to.
#[derive(Debug, Clone)]
pub(crate) struct RunSoFar<'a> {
    pub(crate) job: &'a Job,
    pub(crate) started: Timestamp,
    pub(crate) writer: Option<String>,
    pub(crate) figures: Figures,
    pub(crate) standing: Standing,
}

impl RunSoFar<'_> {
    /// The record of it if it made this and ended so, now.
    pub(crate) fn ended(&self, snapshot: Option<SnapshotName>, conclusion: &Conclusion) -> LogRecord {
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
            writer: self.writer.clone(),
            started: self.started,
            finished: clock::now().wall,
            outcome: conclusion.outcome(),
            error,
            snapshot,
            standing: self.standing,
            entries: self.figures.entries,
            files: self.figures.files_transferred,
            bytes: self.figures.bytes_transferred,
            deletions: self.figures.deletions,
        }
    }
}
