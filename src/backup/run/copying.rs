//! The copy of each kind of snapshots, with what is damaged written anew.

use crate::backup::copy::call::Copying;
use crate::backup::copy::crossings::Crossings;
use crate::backup::copy::linking::{Links, guard_new};
use crate::backup::copy::plan::{self, Circumstances, CopyPlan};
use crate::backup::copy::{self, Copied, unchanged};
use crate::backup::news::Telling;
use crate::backup::place::marker::Earlier;
use crate::backup::place::submounts::Submounts;
use crate::backup::place::way::Spot;
use crate::backup::run::{Course, Ends, mending};
use crate::backup::session::stop::Stops;
use crate::decide::tidying::Kept;
use crate::formats::rsync::arguments::{Manner, Veil};
use crate::formats::rsync::{chosen, rules};
use crate::model::{Figures, MountsBelow, NotDone, Outcome, SnapshotKind, SnapshotName, Standing, Unchanged, layout};

/// Copies by one call, as far as one does it.
fn copy_to(
    (submounts, Ends { origin, destination }): (Option<&Submounts>, &Ends<'_>),
    spot: Spot,
    ((manner, veil), earlier): ((Manner, Veil), Earlier),
    report: (&Telling, &mut Figures),
    stops: &mut Stops,
) -> Result<Copied, NotDone> {
    let plan = plan::plan(manner, Circumstances { source: &origin.source, destination, earlier });
    let target = destination.target(spot, earlier)?;
    let proven = |stops: &mut Stops| origin.still_whole(submounts, stops);
    let copying = Copying { past: destination.past(), ..Copying::new(origin, &target) };
    copy::copy(&copying, &CopyPlan { veil, ..plan }, stops, report, &proven)
}

impl Course<'_> {
    /// Copies, writes anew what is damaged, and tells the name that the copy is to get, if it is a snapshot. It is none
    /// where the newest one holds all of it.
    pub(super) fn copy(
        &mut self,
        ends: &Ends<'_>,
        kept: &Kept,
        earlier: Earlier,
    ) -> Result<(Copied, Option<SnapshotName>), NotDone> {
        let name = kept.next_name(self.started.wall);
        let like_newest = self.like_newest(ends, kept, earlier);
        let replace = Manner::Replace(plan::unfinished(earlier));
        let (mut copied, spot, name) = match self.job.sync.snapshots {
            SnapshotKind::None => (self.copy_to(ends, Spot::Whole, replace, earlier)?, Spot::Whole, None),
            SnapshotKind::Btrfs => {
                let manner = match earlier {
                    Earlier::Nothing | Earlier::Trusted | Earlier::Doubtful => Manner::InPlace,
                    Earlier::Damaged => replace,
                };
                let copied = self.copy_to(ends, Spot::Staging, manner, earlier)?;
                let is_new = copied.changed > 0 || copied.figures.deletions > 0 || !copied.missing.is_empty();
                // What lies in staging may be more than what the newest snapshot was made of: others write there, too.
                if !is_new && self.look_at(ends, like_newest)?.is_some() {
                    self.unchanged = like_newest;
                    return Ok((copied, None));
                }
                (copied, Spot::Staging, Some(name))
            }
            SnapshotKind::HardLink => {
                if let Some(copied) = self.look_at(ends, like_newest)? {
                    self.unchanged = like_newest;
                    return Ok((copied, None));
                }
                let links = Links::new(kept, earlier, self.started.wall);
                if earlier == Earlier::Doubtful {
                    ends.destination.forget_bases(&links.bases)?;
                }
                (self.copy_linked(ends, name, links, earlier)?, Spot::New(name), Some(name))
            }
        };
        let report = (&self.telling, &mut self.figures);
        self.mended = mending::mend((&ends.origin, &ends.destination), (spot, &mut copied), report, &mut self.stops)?;
        Ok((copied, name))
    }

    /// The newest snapshot, if a copy that finds nothing new in it need not make another: it is good, nothing of it is
    /// to be mended, and a look at it tells all in which another would differ.
    fn like_newest(&self, ends: &Ends<'_>, kept: &Kept, earlier: Earlier) -> Option<SnapshotName> {
        let (job, newest) = (self.job, kept.newest(self.started.wall)?);
        let is_last = kept.complete.last() == Some(&newest) && kept.bases.is_empty() && earlier == Earlier::Nothing;
        let is_sound = job.damage.paths.is_empty() && !job.damage.snapshots.contains(&newest);
        let is_wanted = job.sync.unchanged == Unchanged::NoSnapshot && self.standing == Standing::Good;
        // One of now or later would pass for one that this run made.
        let is_older = newest.time().as_millisecond() < self.started.wall.as_millisecond();
        if !(is_last && is_sound && is_wanted && is_older && self.looks_tell_all(ends)) {
            return None;
        }
        let records = ends.destination.records().ok()?;
        let last = records.iter().rev().find(|record| record.snapshot.is_some())?;
        let is_good = last.outcome == Outcome::Ok && last.standing == Standing::Good && last.sync == job.sync.name;
        (is_good && last.snapshot == Some(newest) && ends.destination.protects(newest)).then_some(newest)
    }

    /// Whether a look at a snapshot tells all in which another would differ. Whatever is protected there stays there,
    /// and so does what lies below a mount.
    fn looks_tell_all(&self, ends: &Ends<'_>) -> bool {
        let sync = &self.job.sync;
        let has_no_mounts = || self.submounts.as_ref().is_some_and(|submounts| submounts.paths().is_empty());
        let are_all_seen = sync.mounts == MountsBelow::Copied || has_no_mounts();
        chosen::looks_tell_all(&sync.rsync) && are_all_seen && !rules::may_protect(&ends.origin.sync.filters)
    }

    /// Whether a new snapshot would be like the newest: then none is made.
    fn look_at(&mut self, ends: &Ends<'_>, newest: Option<SnapshotName>) -> Result<Option<Copied>, NotDone> {
        let Some(newest) = newest else { return Ok(None) };
        let target = ends.destination.compared(Spot::Finished(newest))?;
        let copying = Copying::new(&ends.origin, &target);
        let seen = unchanged::unless_new(&copying, ends.destination.keeping(), &mut self.stops)?;
        if let Some(copied) = &seen {
            self.figures = copied.figures;
        }
        Ok(seen)
    }

    fn copy_linked(
        &mut self,
        ends: &Ends<'_>,
        name: SnapshotName,
        mut links: Links,
        earlier: Earlier,
    ) -> Result<Copied, NotDone> {
        let Ends { origin, destination } = ends;
        let (crossings, unknown) = Crossings::find(destination, &mut links, &mut self.stops)?;
        self.warnings.extend(unknown.iter().map(|base| {
            format!(
                "all is copied anew: `{}/{base}` holds names with a line break, or cannot be looked through",
                layout::SNAPSHOTS
            )
        }));
        let Self { submounts, stops, telling, figures, .. } = self;
        let mut copy = |manner, veil: Veil, stops: &mut Stops| {
            let mut of_call = Figures::default();
            let is_first = veil.only.is_empty();
            let report = (&*telling, if is_first { &mut *figures } else { &mut of_call });
            copy_to((submounts.as_ref(), ends), Spot::New(name), ((manner, veil), earlier), report, stops)
        };
        let source = (&origin.source, &origin.sync);
        let copied = crossings.copy_around(source, (destination, name), &links, stops, &mut copy)?;
        self.figures = copied.figures;
        guard_new((origin, destination), (name, &links), &copied, &mut self.figures, &mut self.stops)?;
        Ok(copied)
    }

    fn copy_to(&mut self, ends: &Ends<'_>, spot: Spot, manner: Manner, earlier: Earlier) -> Result<Copied, NotDone> {
        let Self { submounts, stops, telling, figures, .. } = self;
        copy_to((submounts.as_ref(), ends), spot, ((manner, Veil::default()), earlier), (telling, figures), stops)
    }
}
