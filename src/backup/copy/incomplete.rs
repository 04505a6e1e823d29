//! What was mounted below the source when it was last copied, and is not now: its files are missing from the source,
//! and would leave the copy.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::backup::copy::call::Copying;
use crate::backup::copy::judged;
use crate::backup::copy::plan::CopyPlan;
use crate::backup::copy::tell::tell;
use crate::backup::session::stop::Stops;
use crate::decide::judge::DeletionVerdict;
use crate::formats::rsync::output::{OutputLine, unescaped};
use crate::model::{HoldReason, NotDone};

/// What a copy would lose below places where nothing is mounted any more. What is left out of it by rules, or was
/// empty, is no loss.
#[derive(Debug)]
pub(crate) struct Losses {
    missing: BTreeSet<PathBuf>,
    lost: BTreeSet<PathBuf>,
}

impl Losses {
    /// Nothing yet, below these places.
    pub(crate) fn below(missing: BTreeSet<PathBuf>) -> Self {
        Self { missing, lost: BTreeSet::new() }
    }

    /// Takes what a line of rsync's output says: what would be deleted there, or be written over.
    pub(crate) fn hear(&mut self, said: &OutputLine) {
        let overwritten = || said.changed().filter(|item| !item.how.contains('+')).map(|item| item.name.as_str());
        let Some(name) = said.deleted().or_else(overwritten) else { return };
        if self.lost.len() == self.missing.len() {
            return;
        }
        let bytes = unescaped(name);
        let path = Path::new(OsStr::from_bytes(&bytes));
        let above = path.ancestors().skip(1).find(|above| self.missing.contains(*above));
        self.lost.extend(above.map(Path::to_owned));
    }

    /// What would be lost cannot be known: so it may be all.
    pub(crate) fn doubt(&mut self) {
        self.lost.clone_from(&self.missing);
    }

    /// Why the copy is held, if it is.
    pub(crate) fn hold(self) -> Option<HoldReason> {
        (!self.lost.is_empty()).then_some(HoldReason::SourceIncomplete { missing: self.lost })
    }
}

/// Holds a copy that would lose something, before anything is touched. rsync is asked only where something is missing.
pub(crate) fn guard(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    missing: BTreeSet<PathBuf>,
    stops: &mut Stops,
) -> Result<(), NotDone> {
    let mut losses = Losses::below(missing);
    let (told, verdict) = tell(copying, plan, stops, &mut |said| losses.hear(said))?;
    judged(&copying.way, &told)?;
    if verdict == DeletionVerdict::Undone {
        losses.doubt();
    }
    losses.hold().map_or(Ok(()), |reason| Err(NotDone::Held(reason)))
}

#[cfg(test)]
mod tests {
    use crate::formats::rsync::output::Item;

    use super::*;

    #[test]
    fn only_what_lies_below_a_place_that_is_missing_is_a_loss() {
        let changed =
            |how: &str, name: &str| OutputLine::Changed(Item { how: how.to_owned(), bytes: 1, name: name.to_owned() });
        for (said, is_lost) in [
            (OutputLine::Deleted("pictures/a".into()), true),
            (OutputLine::Deleted("pictures/2020/b/".into()), true),
            (OutputLine::Deleted("pictures/".into()), false),
            (OutputLine::Deleted("pictures-2/a".into()), false),
            (OutputLine::Deleted("my/pictures/a".into()), false),
            (changed(">f.st......", "pictures/index"), true),
            (changed(">f+++++++++", "pictures/new"), false),
            (changed(".d..t......", "pictures/"), false),
        ] {
            let mut losses = Losses::below([PathBuf::from("pictures"), PathBuf::from("music")].into());
            losses.hear(&said);
            let reason = HoldReason::SourceIncomplete { missing: [PathBuf::from("pictures")].into() };
            assert_eq!(losses.hold(), is_lost.then_some(reason), "{said:?}");
        }
    }
}
