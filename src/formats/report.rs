//! What a report holds: replies of the daemon, or of one that stands in for it, as they came.

use serde::Serialize;

use crate::formats::wire::{Diagnosis, HistoryReply, Listing, Moment, Snapshots, StatusReply};

/// All that is told in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportFacts {
    /// When it was asked.
    pub made: Moment,
    /// The name of the machine.
    pub machine: String,
    /// Over how many days the course of the runs is shown.
    pub days: u32,
    /// Why no daemon could be asked, as a sentence; null if one was.
    pub dead: Option<String>,
    /// How everything stands.
    pub status: StatusReply,
    /// What the configuration holds.
    pub list: Listing,
    /// The newest runs, the sums over all of them, and where the copies of each source are.
    pub history: HistoryReply,
    /// The snapshots within reach.
    pub snapshots: Snapshots,
    /// What `doctor` found.
    pub doctor: Diagnosis,
}
