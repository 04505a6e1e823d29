//! What was made at one end of a sync, here or at a server.

use crate::formats::wire::PreparedSync;
use crate::model::SyncName;

/// What was made at one end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Made {
    /// What is new.
    pub made: Vec<String>,
    /// What was there already.
    pub already: Vec<String>,
    /// The place that the first run makes equal to the source, and how many entries lie there, if any do.
    pub holds: Option<(String, String)>,
    /// What could not be made.
    pub problem: Option<String>,
}

impl Made {
    /// Adds it to what is told of a sync.
    pub(crate) fn report(self, sync: &SyncName, report: &mut PreparedSync) {
        report.made.extend(self.made);
        report.already.extend(self.already);
        report.already.extend(self.holds.map(|(place, count)| {
            format!(
                "{place} holds {count} entries; the first run makes it equal to the source, \
                 so look with `nbkpctl diff {sync}` first"
            )
        }));
        report.problems.extend(self.problem);
    }
}
