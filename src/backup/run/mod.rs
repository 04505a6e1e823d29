//! The course of a run, from here or a server to here or a server: its steps, in the order that survives a kill and a
//! power cut at any point. The order of this page is the order of the run.

mod copying;
mod hooks;
mod mending;
mod record;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use std::mem::discriminant;

use crate::backup::copy::call::Copying;
use crate::backup::copy::plan;
use crate::backup::copy::{Copied, incomplete};
use crate::backup::job::{Job, Memory};
use crate::backup::mirrors;
use crate::backup::news::Telling;
use crate::backup::place::approach::{Approach, Origin};
use crate::backup::place::destination::Destination;
use crate::backup::place::marker::Earlier;
use crate::backup::place::publication::{Publication, Published};
use crate::backup::place::submounts::Submounts;
use crate::backup::place::way::Spot;
use crate::backup::place::writer;
use crate::backup::run::hooks::{Before, CourseEnd, HookMoment, Starter};
use crate::backup::run::record::RunSoFar;
use crate::backup::session::stop::Stops;
use crate::backup::snapshots::listing::{candidates_with, doubted};
use crate::backup::snapshots::prune;
use crate::decide::retention::Candidate;
use crate::decide::tidying::{self, Kept};
use crate::model::{
    Conclusion, FailureKind, Figures, HeavyDirectory, NotDone, Now, Obstacle, Place, Retention, RunRecord, RunReport,
    SnapshotKind, SnapshotName, Standing, Step, TidyDeed, layout,
};
use crate::os::clock;
use crate::os::ssh::SshPlace;

/// Runs a job from beginning to end and tells how it went.
pub(crate) fn run(job: &Job, place: &SshPlace, stops: Stops, telling: Telling) {
    let started = clock::now();
    let mut course = Course {
        job,
        started,
        stops,
        telling,
        starter: Starter::new(&job.sync.hooks),
        before: Before::ToCome,
        mirrors: None,
        figures: Figures::default(),
        heaviest: Vec::new(),
        snapshot: None,
        unchanged: None,
        standing: Standing::Good,
        writer: None,
        submounts: None,
        mended: BTreeSet::new(),
        warnings: Vec::new(),
        earlier: Vec::new(),
    };
    let conclusion = Conclusion::from(course.go(place));
    course.hook_afterwards(&conclusion);
    course.telling.step(Step::Undo);
    let report = RunReport {
        run: job.run.clone(),
        sync: job.sync.name.clone(),
        conclusion,
        figures: course.figures,
        heaviest: course.heaviest,
        snapshot: course.snapshot.or(course.unchanged),
        writer: course.writer,
        mended: course.mended,
        submounts: course.submounts.map(|submounts| submounts.paths()),
        warnings: course.warnings,
        earlier: course.earlier,
    };
    course.telling.ended(report);
}

/// A run under way, and what it has come to so far. A step goes on or returns why it does not.
struct Course<'a> {
    job: &'a Job,
    started: Now,
    stops: Stops,
    starter: Starter,
    before: Before,
    /// Keeps others from fetching what is copied.
    mirrors: Option<OwnedFd>,
    figures: Figures,
    heaviest: Vec<HeavyDirectory>,
    snapshot: Option<SnapshotName>,
    /// The snapshot that holds all that was found, where none was made for that.
    unchanged: Option<SnapshotName>,
    standing: Standing,
    /// As whom it writes the destination.
    writer: Option<String>,
    /// What is mounted below the source, if that is known.
    submounts: Option<Submounts>,
    mended: BTreeSet<PathBuf>,
    warnings: Vec<String>,
    earlier: Vec<RunRecord>,
    /// Last, so that the end is told when all else is dropped.
    telling: Telling,
}

/// Both ends of a run, the destination locked.
struct Ends<'a> {
    origin: Origin<'a>,
    destination: Destination,
}

impl<'a> Course<'a> {
    fn go(&mut self, place: &SshPlace) -> Result<(), NotDone> {
        if self.job.repositories.is_some() {
            self.renew_mirrors()?;
        }
        self.telling.step(Step::Prove);
        self.stops.check()?;
        let mut approach = match Approach::prove(self.job, place, &mut self.stops) {
            // What the hook mounts is what is copied. Nothing is locked before the destination is proven, too.
            Err(NotDone::Skipped(obstacles)) if hooks::may_mend(self.job, &obstacles) => {
                self.hook_before()?;
                Approach::prove(self.job, place, &mut self.stops)?
            }
            proven => proven?,
        };
        approach.confine()?;
        self.telling.step(Step::Lock);
        let (origin, destination) = approach.lock(&mut self.stops)?;
        let mut ends = Ends { origin, destination };
        self.writer = Some(writer::ours(&ends.origin.source).id);
        self.under_lock(&mut ends).map_err(|why| self.close(&ends, &why))
    }

    /// What is fetched is what is copied. A repository of which there is no mirror is missing in the copy.
    fn renew_mirrors(&mut self) -> Result<(), NotDone> {
        self.telling.step(Step::Fetch);
        let fetched = mirrors::renew(self.job, &mut self.stops)?;
        if fetched.missing > 0 {
            self.standing = Standing::Partial;
        }
        self.warnings.extend(fetched.warnings);
        self.mirrors = fetched.lock;
        Ok(())
    }

    fn under_lock(&mut self, ends: &mut Ends<'_>) -> Result<(), NotDone> {
        self.telling.step(Step::Recover);
        let kept = match self.job.sync.snapshots {
            SnapshotKind::None => Kept::default(),
            SnapshotKind::Btrfs => self.recover(&ends.destination)?,
            SnapshotKind::HardLink => {
                ends.destination.supports_history()?;
                self.recover(&ends.destination)?
            }
        };
        if self.job.memory == Memory::Lost {
            self.earlier = record::earlier(self.job, &ends.destination.records().unwrap_or_default());
        }
        if self.before == Before::ToCome && self.job.sync.hooks.before.is_some() {
            self.hook_before()?;
            // Both are what it left: it may have mounted something.
            ends.origin.renew(&ends.destination, &mut self.stops)?;
            ends.destination.prove_again(self.job)?;
        }
        self.telling.step(Step::Copy);
        self.guard_submounts(ends, &kept)?;
        let earlier = ends.destination.begin()?;
        let done = self.copy(ends, &kept, earlier).and_then(|(copied, name)| {
            self.judge(ends, copied)?;
            self.publish(ends, name)
        });
        let published = done.inspect_err(|why| self.settle(ends, (&kept, earlier), why))?;
        self.warnings.extend(published.warnings);
        match published.recorded {
            Ok(()) if self.job.sync.snapshots == SnapshotKind::None => {}
            Ok(()) => self.prune(&ends.destination, &kept),
            Err(why) => self.warnings.push(format!("{why}; nothing is pruned before a run is recorded")),
        }
        Ok(())
    }

    /// Puts right what an earlier run left. It may be killed at any point and started again.
    fn recover(&mut self, destination: &Destination) -> Result<Kept, NotDone> {
        let left = destination.leftovers()?;
        let begun = destination.tidy(Step::Recover, &tidying::begun_deletions(&left), &mut self.stops)?;
        self.warnings.extend(begun.warnings);
        let (deeds, kept) = tidying::tidying(&left, self.job.sync.snapshots, begun.free, self.started.wall);
        let done = destination.tidy(Step::Recover, &deeds, &mut self.stops)?;
        self.warnings.extend(done.warnings);
        Ok(kept)
    }

    fn hook_before(&mut self) -> Result<(), NotDone> {
        let Some(command) = &self.job.sync.hooks.before else { return Ok(()) };
        self.telling.step(Step::Before);
        let occasion = HookMoment { hook: "before", step: Step::Before, ending: None };
        hooks::run(&self.starter, command, self.job, (&occasion, None), &mut self.stops)?;
        self.before = Before::HasRun;
        // From here on it is not the hook that takes its time.
        self.telling.step(Step::Prove);
        Ok(())
    }

    /// Sees what is mounted below the source, and whether something is missing of what was there at the last good run.
    fn guard_submounts(&mut self, ends: &Ends<'_>, kept: &Kept) -> Result<(), NotDone> {
        self.submounts = ends.origin.source.submounts();
        let missing = self.submounts.as_ref().map(|submounts| submounts.missing(&self.job.submounts));
        let Some(missing) = missing.filter(|missing| !missing.is_empty()) else { return Ok(()) };
        let kind = self.job.sync.snapshots;
        let target = ends.destination.compared(Spot::judged(kind, kept, self.started.wall))?;
        let plan = plan::look(plan::manner_of_look(kind), ends.destination.keeping());
        incomplete::guard(&Copying::new(&ends.origin, &target), &plan, missing, &mut self.stops)
    }

    /// rsync is content. Whether the copy is one depends on whether both ends are still what they were.
    fn judge(&mut self, ends: &Ends<'_>, copied: Copied) -> Result<(), NotDone> {
        self.telling.step(Step::Judge);
        self.stops.check()?;
        self.prove_again(ends)?;
        self.forbid_empty(&copied)?;
        if !copied.missing.is_empty() {
            self.standing = Standing::Partial;
        }
        self.heaviest = copied.heaviest;
        self.warnings.extend(copied.missing);
        self.warnings.extend(copied.remarks);
        Ok(())
    }

    /// A copy of nothing is none, if it was not a person's wish that all be deleted.
    fn forbid_empty(&self, copied: &Copied) -> Result<(), NotDone> {
        if copied.figures.entries > 0 || copied.figures.deletions > 0 || self.figures.deletions > 0 {
            return Ok(());
        }
        let Place { volume, subdir } = &self.job.sync.source;
        let path = format!("{volume}:{}", subdir.as_path().display()).into();
        Err(NotDone::Skipped(vec![Obstacle::SourceIsEmpty { path }]))
    }

    fn prove_again(&mut self, ends: &Ends<'_>) -> Result<(), NotDone> {
        ends.origin.still_whole(self.submounts.as_ref(), &mut self.stops)?;
        ends.destination.prove_again(self.job)
    }

    /// Flush, commit and record. Once this is done the copy is complete, whatever happens.
    fn publish(&mut self, ends: &Ends<'_>, name: Option<SnapshotName>) -> Result<Published, NotDone> {
        let so_far = self.so_far();
        let unchanged = self.unchanged;
        let account =
            |made: Option<SnapshotName>, conclusion: &Conclusion| so_far.ended(made.or(unchanged), conclusion);
        let (kind, standing) = (self.job.sync.snapshots, self.standing);
        let publication = Publication { kind, name, standing, account: &account };
        let published = ends.destination.publish(&publication, &mut self.telling, &mut self.stops)?;
        self.snapshot = name;
        Ok(published)
    }

    /// Lets go of the unfinished copies that this one made needless, and of snapshots that no rule wants. The backup is
    /// made: whatever goes wrong or is called off from here on is only told.
    fn prune(&mut self, destination: &Destination, kept: &Kept) {
        self.telling.step(Step::Prune);
        let mut deeds: Vec<_> = kept.bases.iter().map(|name| TidyDeed::Discard(layout::stale(name))).collect();
        if self.job.sync.keep != Retention::All {
            match self.unwanted(destination, kept) {
                Ok(unwanted) => deeds.extend(unwanted),
                Err(why) => self.warnings.push(why),
            }
        }
        match destination.tidy(Step::Prune, &deeds, &mut self.stops) {
            Ok(done) => self.warnings.extend(done.warnings),
            Err(NotDone::Interrupted(why)) => {
                self.warnings.push(format!("pruning was cut short: {why}; the next run goes on with it"));
            }
            Err(why @ (NotDone::Skipped(_) | NotDone::Failed(_) | NotDone::Held(_))) => {
                self.warnings.push(format!("nothing was pruned: {why}"));
            }
        }
    }

    fn unwanted(&self, destination: &Destination, kept: &Kept) -> Result<Vec<TidyDeed>, String> {
        let made = self.snapshot.map(|name| Candidate { name, standing: self.standing });
        let finished = candidates_with(made, &kept.complete, &destination.records()?);
        let finished = doubted(finished, &self.job.damage.snapshots);
        let now = Now { wall: clock::now().wall, ..self.started.clone() };
        let victims = prune::victims(&finished, self.job.sync.keep, &now);
        for victim in &victims {
            tracing::info!(nbkp.sync = %self.job.sync.name, "pruning the snapshot {}: {}", victim.name, victim.reason);
        }
        Ok(prune::deeds(&victims))
    }

    /// Makes room after a run that filled the destination, and notes what its copy is worth to the next.
    fn settle(&mut self, ends: &Ends<'_>, (kept, earlier): (&Kept, Earlier), why: &NotDone) {
        let (job, kind) = (self.job, self.job.sync.snapshots);
        if let NotDone::Failed(failure) = why {
            let deeds = tidying::relief(failure, kind, kept, self.started.wall);
            match ends.destination.tidy(Step::Recover, &deeds, &mut self.stops) {
                Ok(done) => self.warnings.extend(done.warnings),
                Err(why) => self.warnings.push(format!("no room was made: {why}")),
            }
        }
        self.warnings.extend(ends.destination.settle(job, earlier, why, &mut self.stops));
    }

    /// The last word at the destination about a run that did not come to its end. Tells how it truly ended: a failure
    /// whose cause is that an end went away is an interruption, which mends itself when the drive is back.
    fn close(&mut self, ends: &Ends<'_>, why: &NotDone) -> NotDone {
        let truth = match why {
            NotDone::Failed(failure) if failure.kind != FailureKind::Hook => self.prove_again(ends).err(),
            NotDone::Failed(_) | NotDone::Skipped(_) | NotDone::Interrupted(_) | NotDone::Held(_) => None,
        };
        let truth = truth.unwrap_or_else(|| why.clone());
        let so_far = self.so_far();
        let account = |snapshot, conclusion: &Conclusion| so_far.ended(snapshot, conclusion);
        ends.destination.close((why, &truth), &account, &mut self.stops);
        truth
    }

    fn so_far(&self) -> RunSoFar<'a> {
        let Self { job, figures, standing, .. } = *self;
        RunSoFar { job, started: self.started.wall, writer: self.writer.clone(), figures, standing }
    }

    fn hook_afterwards(&mut self, conclusion: &Conclusion) {
        let is_known = matches!(conclusion, Conclusion::Held(reason) if self.job.asked == Some(discriminant(reason)));
        // Who was told of it is not told again each time that the same look is taken; what `before` did is undone.
        if is_known && self.before == Before::ToCome {
            return;
        }
        let Some((hook, command)) = hooks::following(&self.job.sync.hooks, conclusion, self.before) else { return };
        self.telling.step(Step::After);
        let limit = self.stops.heeded().map(|why| hooks::patience(&why));
        let seconds = self.started.wall.duration_until(clock::now().wall).as_secs().try_into().unwrap_or(0);
        let ending = CourseEnd { conclusion, figures: self.figures, snapshot: self.snapshot, seconds };
        let occasion = HookMoment { hook, step: Step::After, ending: Some(ending) };
        if let Err(NotDone::Failed(failure)) =
            hooks::run(&self.starter, command, self.job, (&occasion, limit), &mut self.stops)
        {
            self.warnings.push(failure.detail);
        }
    }
}
