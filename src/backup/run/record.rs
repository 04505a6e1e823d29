//! What there is to say of a run in the log at its destination.

use jiff::Timestamp;

use crate::backup::job::Job;
use crate::formats::log::LogRecord;
use crate::model::{Conclusion, Figures, RunRecord, SnapshotName, Standing, Trigger};
use crate::os::{clock, machine};

/// So many runs are taken over from a log at most.
const MOST: usize = 1_000;

/// The runs of a sync that this machine made by what the log of the destination tells, oldest first.
pub(crate) fn earlier(job: &Job, log: &[LogRecord]) -> Vec<RunRecord> {
    let (host, now) = (machine::host_name(), clock::now().wall);
    let is_ours = |record: &&LogRecord| {
        record.sync == job.sync.name && record.host == host && record.run != job.run && record.finished <= now
    };
    let of_sync: Vec<&LogRecord> = log.iter().filter(is_ours).collect();
    of_sync.into_iter().rev().take(MOST).rev().map(taken_over).collect()
}

fn taken_over(record: &LogRecord) -> RunRecord {
    RunRecord {
        run: record.run.clone(),
        sync: record.sync.clone(),
        // The log does not tell what made a run start.
        trigger: Trigger::Schedule,
        started: record.started,
        finished: record.finished,
        outcome: record.outcome,
        figures: Figures {
            files_transferred: record.files,
            bytes_transferred: record.bytes,
            deletions: record.deletions,
            entries: record.entries,
            ..Figures::default()
        },
        heaviest: Vec::new(),
        snapshot: record.snapshot,
        error: record.error.clone(),
        warnings: Vec::new(),
    }
}

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
        LogRecord {
            run: self.job.run.clone(),
            sync: self.job.sync.name.clone(),
            host: machine::host_name(),
            writer: self.writer.clone(),
            started: self.started,
            finished: clock::now().wall,
            outcome: conclusion.outcome(),
            error: conclusion.error(),
            snapshot,
            standing: self.standing,
            entries: self.figures.entries,
            files: self.figures.files_transferred,
            bytes: self.figures.bytes_transferred,
            deletions: self.figures.deletions,
        }
    }
}
