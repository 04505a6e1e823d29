//! A copy that is linked: a new directory that shares with earlier ones what did not change, and what it lacks of them.

use std::ffi::OsString;

use jiff::Timestamp;

use crate::backup::copy::call::Copying;
use crate::backup::copy::{self, Copied, plan};
use crate::backup::place::approach::Origin;
use crate::backup::place::destination::Destination;
use crate::backup::place::marker::Earlier;
use crate::backup::place::there;
use crate::backup::place::way::{Spot, Target};
use crate::backup::session::stop::Stops;
use crate::decide::guard::{self, Deletions};
use crate::decide::tidying::Kept;
use crate::formats::rsync::arguments::{CopyMode, Manner, Unfinished};
use crate::model::{Figures, NotDone, SnapshotName, layout};

/// What a new directory is linked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    /// The newest finished copy.
    pub(crate) newest: Option<SnapshotName>,
    /// The unfinished copies, oldest first, without their prefix.
    pub(crate) bases: Vec<String>,
}

impl Links {
    /// What there is to link with, after a copy that left this. What cannot be read is no basis.
    pub(crate) fn new(kept: &Kept, earlier: Earlier, now: Timestamp) -> Self {
        let bases = match earlier {
            Earlier::Nothing | Earlier::Trusted | Earlier::Doubtful => kept.bases.clone(),
            Earlier::Damaged => Vec::new(),
        };
        Self { newest: kept.newest(now), bases }
    }

    /// Whether one of them may hold unfinished files.
    fn unfinished(&self) -> Unfinished {
        if self.bases.is_empty() { Unfinished::None } else { Unfinished::Possible }
    }

    /// How rsync links with them: relative to the new directory, best first.
    pub(crate) fn manner(&self) -> Manner {
        let beside = |name: String| OsString::from(format!("../{name}"));
        let newest = self.newest.map(|newest| newest.to_string());
        let bases = self.bases.iter().rev().map(layout::stale).chain(newest).map(beside).collect();
        Manner::Link { bases, unfinished: self.unfinished() }
    }
}

/// Judges what the new directory of this name lacks of the newest snapshot. The counts of rsync and of the log tell it
/// for nothing; where they cannot, or tell of too much, all names are compared.
pub(crate) fn guard_new(
    (origin, destination): (&Origin<'_>, &Destination),
    (name, links): (SnapshotName, &Links),
    copied: &Copied,
    figures: &mut Figures,
    stops: &mut Stops,
) -> Result<(), NotDone> {
    let Some(newest) = links.newest else { return Ok(()) };
    let hold = |(deletions, before)| {
        let seen = Deletions { deletions, before, files_left: copied.regular_files };
        guard::hold(origin.job.sync.guard, seen, origin.job.approved)
    };
    let counted = match links.unfinished() {
        // What lay in an unfinished copy counts as there before for rsync, though it is in no snapshot.
        Unfinished::Possible => None,
        Unfinished::None => destination.record_of(newest)?,
    };
    if let Some(record) = counted.filter(|record| record.entries > 0) {
        let kept = copied.figures.entries.saturating_sub(copied.created);
        let gone = record.entries.saturating_sub(kept);
        if hold((gone, record.entries)).is_none() {
            figures.deletions = gone;
            return Ok(());
        }
    }
    let (gone, before) = match destination {
        Destination::Here(here) => here.lacking(newest, Spot::New(name))?,
        Destination::There(there) => {
            // rsync is asked what it would delete to make the snapshot like the source.
            let target = Target::There(there::compared(there.far(), Spot::Finished(newest)));
            let copying = Copying::new(origin, &target);
            let plan = plan::look(Manner::Replace(Unfinished::None));
            let told = copy::call(&copying, &plan, CopyMode::Tell, stops, &mut |_| {})?;
            copy::judged(&copying.way, &told)?;
            let gone = told.tally.deleted_items;
            (gone, copy::before(&told, gone))
        }
    };
    figures.deletions = gone;
    hold((gone, before)).map_or(Ok(()), |reason| Err(NotDone::Held(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_unfinished_copy_comes_first_and_what_cannot_be_read_is_no_basis() {
        let [first, second, newest] =
            ["2026-11-21T00:00:00.000Z", "2026-11-22T00:00:00.000Z", "2026-11-20T00:00:00.000Z"];
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let kept = Kept { complete: vec![newest.parse().unwrap()], bases: vec![first.into(), second.into()] };
        let bases = [format!("../.stale-{second}"), format!("../.stale-{first}"), format!("../{newest}")];
        let linked = Manner::Link { bases: bases.map(OsString::from).to_vec(), unfinished: Unfinished::Possible };
        for earlier in [Earlier::Nothing, Earlier::Trusted, Earlier::Doubtful] {
            assert_eq!(Links::new(&kept, earlier, now).manner(), linked);
        }
        let alone = Manner::Link { bases: vec![format!("../{newest}").into()], unfinished: Unfinished::None };
        assert_eq!(Links::new(&kept, Earlier::Damaged, now).manner(), alone);
    }
}
