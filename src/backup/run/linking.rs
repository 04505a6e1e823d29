//! A copy that is linked: a new directory that shares with the newest snapshot what did not change.

use std::path::Path;

use crate::backup::copy::Copied;
use crate::backup::failure::of_directory;
use crate::backup::place::marker::Earlier;
use crate::backup::run::{Course, Site, record};
use crate::backup::snapshots::shelf::Shelf;
use crate::decide::guard::{self, Deletions};
use crate::formats::rsync::arguments::{Manner, Unfinished};
use crate::model::layout;
use crate::model::{Conclusion, SnapshotName, Step};
use crate::os::directory::{Directory, DirectoryError, Reach};
use crate::os::tree;

impl Course<'_> {
    pub(crate) fn link(
        &mut self,
        site: &Site<'_>,
        snapshots: &Shelf,
        name: SnapshotName,
        earlier: Earlier,
    ) -> Result<(), Conclusion> {
        let fail = |error: DirectoryError| of_directory(Step::Copy, &error);
        let hidden = layout::in_progress(name);
        snapshots.directory.create_directory(&hidden, 0o755).map_err(fail)?;
        let new = snapshots.directory.open_below(Path::new(&hidden), Reach::SameMount).map_err(fail)?;
        let mut bases = match earlier {
            Earlier::Nothing | Earlier::Trusted => snapshots.bases(),
            Earlier::Doubtful => snapshots.bases_as_they_are().map_err(fail)?,
            Earlier::Damaged => Vec::new(),
        };
        let unfinished = if bases.is_empty() { Unfinished::None } else { Unfinished::Possible };
        let newest = snapshots.newest(self.started.wall);
        bases.extend(newest.map(|newest| format!("../{newest}").into()));
        let copied = self.copy(site, &new, Manner::Link { bases, unfinished }, earlier)?;
        if let Some(newest) = newest {
            self.guard_new(site, snapshots, newest, &new, unfinished, &copied)?;
        }
        self.judge(site, copied)
    }

    /// Judges what a new directory lacks of the newest snapshot. The counts of rsync and of the log tell it for nothing;
    /// where they cannot, or tell of too much, the names are compared.
    fn guard_new(
        &mut self,
        site: &Site<'_>,
        snapshots: &Shelf,
        newest: SnapshotName,
        new: &Directory,
        unfinished: Unfinished,
        copied: &Copied,
    ) -> Result<(), Conclusion> {
        let fail = |error: DirectoryError| of_directory(Step::Judge, &error);
        let guard = self.job.sync.guard;
        let seen = |deletions, before| Deletions { deletions, before, files_left: copied.regular_files };
        // What lay in an unfinished copy counts as there before for rsync, though it is in no snapshot.
        let counted = match unfinished {
            Unfinished::Possible => None,
            Unfinished::None => record::of_snapshot(&site.own, newest).map_err(fail)?,
        };
        if let Some(record) = counted.filter(|record| record.entries > 0) {
            let kept = copied.figures.entries.saturating_sub(copied.created);
            let gone = record.entries.saturating_sub(kept);
            if guard::hold(guard, seen(gone, record.entries), self.job.approved).is_none() {
                self.figures.deletions = gone;
                return Ok(());
            }
        }
        let old = snapshots.open(newest).map_err(fail)?;
        let before = tree::count(&old).map_err(fail)?;
        let gone = tree::count_missing(&old, new).map_err(fail)?;
        self.figures.deletions = gone;
        match guard::hold(guard, seen(gone, before), self.job.approved) {
            Some(reason) => Err(Conclusion::Held(reason)),
            None => Ok(()),
        }
    }
}
