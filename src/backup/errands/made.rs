//! What was made at one end of a sync, here or at a server.

use crate::formats::similar::did_you_mean;
use crate::formats::wire::PreparedSync;
use crate::model::{MOST_INTRUDERS, SyncName};

/// What was made at one end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Made {
    /// What is new.
    pub made: Vec<String>,
    /// What was there already.
    pub already: Vec<String>,
    /// The place that the first run makes equal to the source, and how many entries lie there, if any do.
    pub holds: Option<(String, u64)>,
    /// The place that was left as it is, and how many entries lie there that are no copy, if that is why.
    pub taken: Option<(String, u64)>,
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
                "{place} holds {}; the first run makes it equal to the source, so look with `nbkpctl diff {sync}` \
                 first",
                entries(count)
            )
        }));
        report.problems.extend(self.taken.map(|(place, count)| {
            format!(
                "{place} holds {} that nbkp did not make, and stays as it is; give `{sync}` another directory in the \
                 configuration file, or look there, and `nbkpctl prepare {sync}` makes it the destination all the same",
                entries(count)
            )
        }));
        report.problems.extend(self.problem);
    }
}

fn entries(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        MOST_INTRUDERS.. => format!("{count} entries or more"),
        _ => format!("{count} entries"),
    }
}

/// What to say of a source that is not there, among these names.
pub(crate) fn missing_source(path: &str, beside: &[&str]) -> String {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let near = did_you_mean(name, beside.iter().copied()).unwrap_or_else(|| "create it, or correct `source`".into());
    format!("the source {path} does not exist, and is not made for you; {near}")
}

/// What to say of a destination whose filesystem cannot hold copies with history, and what to choose.
pub(crate) fn unsupported(path: &str, lacks: &str) -> String {
    format!(
        "the filesystem of {path} has no {lacks}, which `snapshots = \"hard-link\"` needs; choose \
         `snapshots = \"none\"`, or a destination on ext4, xfs or btrfs"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_no_further_is_called_more() {
        assert_eq!([1, 2, 999, 1000].map(entries), ["1 entry", "2 entries", "999 entries", "1000 entries or more"]);
    }

    #[test]
    fn a_source_that_is_missing_is_named_with_what_may_be_meant() {
        let near = missing_source("/home/a/Documnets", &["Pictures", "Documents"]);
        assert!(near.contains("/home/a/Documnets does not exist") && near.contains("`Documents`"), "{near}");
        assert!(missing_source("/home/a/x", &[]).contains("correct `source`"));
    }
}
