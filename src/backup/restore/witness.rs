//! Who is told of a restore before it changes anything: a run must not take what is half there for all there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::backup::job::SyncAsSeen;
use crate::backup::restore::sought::source_here;
use crate::model::{RestoreEnding, SyncName};
use crate::os::entry;

/// What comes where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// Where it really comes to.
    pub place: PathBuf,
    /// What that is: a copy, by a name that is its own, and the entry below it.
    pub origin: PathBuf,
}

/// Who is told of a restore.
pub trait Witness: Send {
    /// It goes there from now on, and to what lies below. Names the syncs that wait for its end; says why it must not
    /// begin, for a person, where that could not be kept.
    fn begins(&mut self, landing: &Landing) -> Result<BTreeSet<SyncName>, String>;

    /// It has ended.
    fn ends(&mut self, landing: &Landing, ending: RestoreEnding);
}

/// The syncs whose sources a restore to this place goes into, by whichever name they are known.
pub(crate) fn gone_into(all: &[SyncAsSeen], place: &Path) -> BTreeSet<SyncName> {
    let overlaps = |seen: &&SyncAsSeen| source_here(seen).is_some_and(|source| entry::overlap(&source, place));
    all.iter().filter(overlaps).map(|seen| seen.sync.name.clone()).collect()
}

/// What a restore that did not bring all back means for the syncs that wait for its end.
pub(crate) fn until_whole(waiting: &BTreeSet<SyncName>) -> Option<String> {
    let first = waiting.first()?;
    let names: Vec<_> = waiting.iter().map(|name| format!("`{name}`")).collect();
    let make = if names.len() == 1 { "makes" } else { "make" };
    Some(format!(
        "until all has come back, {} {make} no copies, since what is missing would leave them; `nbkpctl why {first}` \
         tells how it goes on",
        names.join(", ")
    ))
}
