//! What is remembered of a sync: its past, and what set it back.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{BootTime, Obstacle, RunRecord, Trigger};
use crate::os::history::LastRuns;

/// What is remembered of a sync.
#[derive(Debug, Default)]
pub(super) struct SyncMemory {
    pub(super) last_run: Option<Arc<RunRecord>>,
    pub(super) last_success: Option<Timestamp>,
    pub(super) failures: u32,
    /// How many runs in a row found that they could not be.
    pub(super) skips: u32,
    pub(super) setback: Option<Setback>,
    /// Since when both ends have been within reach without a break.
    pub(super) in_reach_since: Option<Timestamp>,
    /// What put it into the queue, for as long as it is there.
    pub(super) queued_by: Option<Trigger>,
    /// The `overdue_at` that was told to the journal.
    pub(super) overdue_told: Option<Timestamp>,
}

/// What keeps a sync from being tried again at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setback {
    /// Until when.
    pub(super) until: BootTime,
    /// The same moment as wall time, for people.
    pub(super) until_wall: Timestamp,
    /// Why.
    pub(super) reason: SetbackReason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetbackReason {
    /// The last run did not end well, for this reason.
    Failed(String),
    /// The run found these obstacles, which a look does not show.
    Found(Vec<Obstacle>),
}

impl SyncMemory {
    /// Forgets what was done between other places than those that the sync names now.
    pub(super) fn begin_anew(&mut self) {
        (self.last_run, self.last_success, self.failures) = (None, None, 0);
    }

    pub(super) fn from_history(past: LastRuns) -> Self {
        Self {
            last_run: past.last_run.map(Arc::new),
            last_success: past.last_success,
            failures: past.failures,
            ..Self::default()
        }
    }
}

impl Setback {
    /// What it puts in the way at `now`.
    pub(super) fn obstacles(&self, now: BootTime) -> Vec<Obstacle> {
        if self.until <= now {
            return Vec::new();
        }
        match &self.reason {
            SetbackReason::Failed(error) => {
                vec![Obstacle::BackingOff { until: self.until_wall, error: error.clone() }]
            }
            SetbackReason::Found(obstacles) => obstacles.clone(),
        }
    }
}
