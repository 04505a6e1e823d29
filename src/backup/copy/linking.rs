//! A copy that is linked: a new directory that shares with earlier ones what did not change, and what it lacks of them.

use std::ffi::OsString;

use jiff::Timestamp;

use crate::backup::copy::call::Copying;
use crate::backup::copy::cuts::ContentChanges;
use crate::backup::copy::deletions::Doomed;
use crate::backup::copy::tell::tell;
use crate::backup::copy::{self, Copied, plan};
use crate::backup::failure::failure;
use crate::backup::job::Job;
use crate::backup::place::approach::Origin;
use crate::backup::place::destination::Destination;
use crate::backup::place::marker::Earlier;
use crate::backup::place::there;
use crate::backup::place::way::{Spot, Target};
use crate::backup::session::stop::Stops;
use crate::decide::guard::{self, Cuts, Deletions};
use crate::decide::judge::DeletionVerdict;
use crate::decide::tidying::Kept;
use crate::formats::fingerprint;
use crate::formats::rsync::arguments::{Manner, Unfinished};
use crate::model::{FailureKind, Figures, Guard, HoldReason, Keeping, NotDone, PathSet, SnapshotName, Step, layout};

/// What a new directory is linked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    /// The newest finished copy.
    pub(crate) newest: Option<SnapshotName>,
    /// The finished copies that the new one is judged by.
    pub(crate) judged_by: Vec<SnapshotName>,
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
        Self { newest: kept.newest(now), judged_by: kept.judged_by(now), bases }
    }

    /// What a new directory is linked with, by the names in `snapshots`, best first.
    pub(crate) fn entries(&self) -> Vec<String> {
        let newest = self.newest.map(|newest| newest.to_string());
        self.bases.iter().rev().map(layout::stale).chain(newest).collect()
    }

    /// Links with nothing but these from now on.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(&String) -> bool) {
        self.bases.retain(|base| is_kept(&layout::stale(base)));
        self.newest = self.newest.filter(|newest| is_kept(&newest.to_string()));
    }

    /// Whether one of them may hold unfinished files.
    fn unfinished(&self) -> Unfinished {
        if self.bases.is_empty() { Unfinished::None } else { Unfinished::Possible }
    }

    /// How rsync links with them: relative to the new directory, best first.
    pub(crate) fn manner(&self) -> Manner {
        let bases = self.entries().into_iter().map(|name| OsString::from(format!("../{name}"))).collect();
        Manner::Link { bases, unfinished: self.unfinished() }
    }
}

/// Judges what the new directory of this name lacks of those that were there, and what in it is cut down. The counts of
/// rsync tell it for nothing, where this machine remembers what was there; otherwise the directories themselves do.
pub(crate) fn guard_new(
    (origin, destination): (&Origin<'_>, &Destination),
    (name, links): (SnapshotName, &Links),
    copied: &Copied,
    figures: &mut Figures,
    stops: &mut Stops,
) -> Result<(), NotDone> {
    let (job, guard, files_left) = (origin.job, origin.job.sync.guard, copied.regular_files);
    let mut verdict = GuardVerdict::default();
    for base in links.judged_by.iter().copied() {
        // What lay in an unfinished copy counts as there before for rsync, though it is in no snapshot.
        let is_counted = links.newest == Some(base) && links.unfinished() == Unfinished::None;
        let remembered = job.remembered.filter(|remembered| is_counted && remembered.snapshot == Some(base));
        let is_too_cut = guard::is_too_cut(guard, copied.resized, copied.regular_files);
        if let Some(remembered) = remembered.filter(|_| !is_too_cut) {
            // The log may say that there was more; that there was less it cannot say.
            let logged = destination.record_of(base)?.map_or(0, |record| record.entries);
            let before = remembered.entries.max(logged);
            let gone = before.saturating_sub(copied.figures.entries.saturating_sub(copied.created));
            if !guard::is_too_much(guard, gone, before, files_left) {
                figures.deletions = gone;
                continue;
            }
        }
        let lacks = compared((origin, destination), (base, name), copied, stops)?;
        figures.deletions = lacks.gone.count();
        verdict.add(guard, base, lacks, files_left);
    }
    match verdict.hold(job) {
        None => Ok(()),
        Some(reason) => {
            // Nothing is gone.
            figures.deletions = 0;
            Err(NotDone::Held(reason))
        }
    }
}

/// What a new copy lacks of a finished one, and what in it is cut down.
#[derive(Debug)]
pub(crate) struct Lacks {
    /// Entries that are not in it.
    pub(crate) gone: PathSet,
    /// Entries that the finished one holds.
    pub(crate) before: u64,
    /// Files that are cut down.
    pub(crate) cuts: Cuts,
}

/// Why a copy is held, judged by several finished ones.
#[derive(Debug, Default)]
pub(crate) struct GuardVerdict {
    deletions: Option<Deletions>,
    cut_down: Option<Cuts>,
}

impl GuardVerdict {
    /// Judges it by one of them. What is approved is approved for all of them at once.
    pub(crate) fn add(&mut self, guard: Guard, base: SnapshotName, lacks: Lacks, files_left: u64) {
        let Lacks { gone, before, cuts } = lacks;
        if guard::is_too_much(guard, gone.count(), before, files_left) {
            let seen = Deletions { paths: PathSet::default(), before, unstorable: 0, files_left, against: Some(base) };
            self.deletions.get_or_insert(seen).paths.absorb(&gone);
        }
        if guard::is_too_cut(guard, cuts.paths.count(), cuts.of) {
            let seen = Cuts { paths: PathSet::default(), against: Some(base), of: cuts.of };
            self.cut_down.get_or_insert(seen).paths.absorb(&cuts.paths);
        }
    }

    /// Why it is held, if it is.
    pub(crate) fn hold(self, job: &Job) -> Option<HoldReason> {
        let guard = job.sync.guard;
        let reason = self.deletions.and_then(|seen| guard::hold(guard, seen, job.approved.as_ref()));
        reason.or_else(|| self.cut_down.and_then(|seen| guard::hold_cuts(guard, seen, job.approved_cuts.as_ref())))
    }
}

/// What the new copy lacks of a finished one. What could not be looked at in the source is no loss.
fn compared(
    (origin, destination): (&Origin<'_>, &Destination),
    (base, name): (SnapshotName, SnapshotName),
    copied: &Copied,
    stops: &mut Stops,
) -> Result<Lacks, NotDone> {
    match destination {
        Destination::Here(here) => {
            let (gone, before) = here.lacking(base, Spot::New(name), &copied.obscured)?;
            let census = here.census(base, Spot::New(name))?;
            let mut paths = PathSet::default();
            for path in &census.cut_down {
                paths.add(fingerprint::of_path(path));
            }
            Ok(Lacks { gone, before, cuts: Cuts { paths, of: census.files, against: None } })
        }
        Destination::There(there) => {
            let target = Target::There(there::compared(there.far(), Spot::Finished(base)));
            lacks(&Copying::new(origin, &target), there.far().look.keeping(), stops)
        }
    }
}

/// The same, as rsync tells it: what it would do to make the finished copy like the source.
pub(crate) fn lacks(copying: &Copying<'_>, keeping: Keeping, stops: &mut Stops) -> Result<Lacks, NotDone> {
    let plan = plan::look(Manner::Replace(Unfinished::None), keeping);
    let (mut changes, mut doomed) = (ContentChanges::default(), Doomed::default());
    let (told, verdict) = tell(copying, &plan, stops, &mut |said| {
        changes.hear(said);
        doomed.hear(said);
    })?;
    copy::judged(&copying.way, &told)?;
    if verdict == DeletionVerdict::Undone {
        let what = "it could not be seen what the new snapshot lacks: too much of the source cannot be looked at \
                    (give the user of nbkpd the right to read it, or leave it out with `filters`)";
        return Err(failure(Step::Judge, FailureKind::Permission, what));
    }
    doomed.spare_renamed(&told.tally);
    let gone = doomed.judged(None);
    let before = copy::before(&told, gone.count());
    let cuts = changes.cuts((copying.sync.guard, copying.target), told.tally.regular_files, stops)?;
    Ok(Lacks { gone, before, cuts })
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
