//! The course of a run: its steps, in the order that survives a kill and a power cut at any point.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::copy::{self, Copied, Copying};
use super::ends::{self, Ends, LOCK, OWN, STAGING};
use super::hooks::{self, Occasion, Starter};
use super::marker::{Earlier, Marker};
use super::news::Telling;
use super::record::{self, Account};
use super::shelf::{self, IN_PROGRESS, Shelf};
use super::stop::Stops;
use super::trouble::{failure, of_directory, told};
use super::{commit, prune};
use crate::daemon::job::Job;
use crate::decide::guard::{self, Deletions};
use crate::formats::rsync::arguments::{Manner, Unfinished};
use crate::model::{
    Conclusion, End, FailureKind, Figures, Interruption, Keep, Now, Obstacle, RunReport, SnapshotKind, SnapshotName,
    Standing, Step,
};
use crate::os::confine::{Confinement, confine_writes};
use crate::os::directory::{Directory, DirectoryError, Reach};
use crate::os::files::{self, Granularity, Hold};
use crate::os::{clock, process, tree};

/// Runs a job from beginning to end and tells how it went.
pub(super) fn run(job: &Job, stops: Stops, telling: Telling) {
    let started = clock::now();
    let mut course = Course {
        job,
        started,
        stops,
        telling,
        starter: Starter::new(&job.sync.hooks),
        figures: Figures::default(),
        snapshot: None,
        standing: Standing::Good,
        warnings: Vec::new(),
    };
    let conclusion = course.prove_and_go_on().err().unwrap_or(Conclusion::Ok);
    course.hook_afterwards(&conclusion);
    course.telling.step(Step::Undo);
    let report = RunReport {
        run: job.run.clone(),
        sync: job.sync.name.clone(),
        conclusion,
        figures: course.figures,
        snapshot: course.snapshot,
        warnings: course.warnings,
    };
    course.telling.ended(report);
}

/// A run under way, and what it has come to so far. A step that does not go on returns how the run ends.
struct Course<'a> {
    job: &'a Job,
    started: Now,
    stops: Stops,
    starter: Starter,
    figures: Figures,
    snapshot: Option<SnapshotName>,
    standing: Standing,
    warnings: Vec<String>,
    /// Last, so that the end is told when all else is dropped.
    telling: Telling,
}

/// What a run holds at its destination once it has the lock.
struct Site<'a> {
    ends: &'a Ends,
    rsync: PathBuf,
    own: Directory,
    lock: OwnedFd,
    granularity: Granularity,
}

impl Site<'_> {
    fn destination(&self) -> &Directory {
        &self.ends.destination.directory
    }
}

impl Course<'_> {
    fn prove_and_go_on(&mut self) -> Result<(), Conclusion> {
        self.telling.step(Step::Prove);
        self.stops.check()?;
        let ends = ends::prove(self.job).map_err(Conclusion::Skipped)?;
        let missing = Obstacle::ToolMissing { tool: "rsync".into() };
        let rsync = process::find_program("rsync").ok_or(Conclusion::Skipped(vec![missing]))?;
        match confine_writes(ends.destination.directory.as_fd()) {
            Ok(Confinement::Full) => {}
            Ok(Confinement::None) => {
                tracing::debug!(nbkp.sync = %self.job.sync.name, "this kernel does not confine writing");
            }
            Err(error) => {
                return Err(failure(Step::Prove, FailureKind::Other, format!("could not {error}")));
            }
        }
        let site = self.lock(&ends, rsync)?;
        let done = self.locked(&site);
        done.map_err(|conclusion| {
            let conclusion = self.truth(conclusion, &ends);
            // Whatever the log says of it, it is no success; history has it.
            let _unwritten = self.record(&site, &conclusion);
            conclusion
        })
    }

    fn lock<'e>(&mut self, ends: &'e Ends, rsync: PathBuf) -> Result<Site<'e>, Conclusion> {
        self.telling.step(Step::Lock);
        let fail = |error: DirectoryError| of_directory(Step::Lock, &error);
        let destination = &ends.destination.directory;
        destination.create_directory(OWN, 0o755).map_err(fail)?;
        let own = destination.open_below(Path::new(OWN), Reach::SameMount).map_err(fail)?;
        let taken = Obstacle::LockTaken { path: own.path_of(LOCK) };
        let lock = files::lock(&own, LOCK, Hold::Alone).map_err(fail)?;
        let lock = lock.ok_or(Conclusion::Skipped(vec![taken]))?;
        // Another user's file may be locked but not be given a time; then the filesystem is taken for a usual one.
        let granularity = files::granularity(&lock).unwrap_or(Granularity::Fine);
        Ok(Site { ends, rsync, own, lock, granularity })
    }

    fn locked(&mut self, site: &Site<'_>) -> Result<(), Conclusion> {
        let kind = self.job.sync.snapshots;
        self.telling.step(Step::Recover);
        let snapshots = match kind {
            SnapshotKind::None => None,
            SnapshotKind::Btrfs | SnapshotKind::HardLink => {
                let now = self.started.wall;
                Some(shelf::recover(site.destination(), kind, now, &mut self.stops, &mut self.warnings)?)
            }
        };
        self.hook_before()?;
        let identity = site.destination().identity().map_err(|error| of_directory(Step::Copy, &error))?;
        let medium = self.job.destination.drive.as_ref().and_then(|drive| drive.disk_seq);
        let marker = Marker::new(&site.own, kind, identity, medium);
        let earlier = marker.earlier();
        self.telling.step(Step::Copy);
        marker.set(earlier)?;
        match self.copy_and_commit(site, snapshots.as_ref(), earlier) {
            Ok(()) => {}
            Err(conclusion) => {
                let (place, now) = (site.destination(), self.started.wall);
                self.warnings.extend(shelf::make_room_after(&conclusion, place, snapshots.as_ref(), now));
                let noted = marker.settle(site.destination(), earlier, &conclusion, self.stops.wanted());
                self.warnings.extend(noted.err().map(|error| told(&error)));
                return Err(conclusion);
            }
        }
        self.warnings.extend(marker.clear().err().map(|error| told(&error)));
        match (self.record(site, &Conclusion::Ok), &snapshots) {
            (Ok(()), Some(snapshots)) => self.prune(site, snapshots),
            (Ok(()), None) => {}
            (Err(why), _) => self.warnings.push(format!("{why}; nothing is pruned before a run is recorded")),
        }
        Ok(())
    }

    fn copy_and_commit(
        &mut self,
        site: &Site<'_>,
        snapshots: Option<&Shelf>,
        earlier: Earlier,
    ) -> Result<(), Conclusion> {
        let Some(snapshots) = snapshots else {
            let copied = self.copy(site, site.destination(), Manner::Replace(copy::unfinished(earlier)), earlier)?;
            self.judge(site, copied)?;
            return self.flush(site);
        };
        let name = snapshots.next_name(self.started.wall);
        match self.job.sync.snapshots {
            SnapshotKind::Btrfs | SnapshotKind::None => {
                let staging = site.destination().open_below(Path::new(STAGING), Reach::SameMount);
                let staging = staging.map_err(|error| of_directory(Step::Copy, &error))?;
                let manner = match earlier {
                    Earlier::Nothing | Earlier::Trusted | Earlier::Doubtful => Manner::InPlace,
                    Earlier::Damaged => Manner::Replace(copy::unfinished(earlier)),
                };
                let copied = self.copy(site, &staging, manner, earlier)?;
                self.judge(site, copied)?;
                self.flush(site)?;
                self.telling.step(Step::Commit);
                commit::take_snapshot(site.destination(), snapshots, name)?;
            }
            SnapshotKind::HardLink => {
                self.link(site, snapshots, name, earlier)?;
                self.flush(site)?;
                self.telling.step(Step::Commit);
            }
        }
        // The last moment at which the run can be called off.
        self.stops.check()?;
        self.record_standing(site, name)?;
        commit::publish(snapshots, name)?;
        self.snapshot = Some(name);
        self.warnings.extend(commit::move_latest(site.destination(), name).err());
        Ok(())
    }

    fn link(
        &mut self,
        site: &Site<'_>,
        snapshots: &Shelf,
        name: SnapshotName,
        earlier: Earlier,
    ) -> Result<(), Conclusion> {
        let fail = |error: DirectoryError| of_directory(Step::Copy, &error);
        let hidden = format!("{IN_PROGRESS}{name}");
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

    fn copy(
        &mut self,
        site: &Site<'_>,
        destination: &Directory,
        manner: Manner,
        earlier: Earlier,
    ) -> Result<Copied, Conclusion> {
        if matches!(earlier, Earlier::Doubtful | Earlier::Damaged) {
            // A write that was lost is still remembered as if it had been made.
            tree::forget_content(destination).map_err(|error| of_directory(Step::Copy, &error))?;
        }
        let copying = Copying {
            rsync: &site.rsync,
            sync: &self.job.sync,
            approved: self.job.approved,
            source: &site.ends.data,
            nested: site.ends.nested.as_deref(),
            destination,
            into: "./",
            lock: Some(&site.lock),
        };
        let plan = copy::plan(manner, site.granularity, earlier);
        copy::copy(&copying, &plan, &mut self.stops, &self.telling, &mut self.figures)
    }

    /// rsync is content. Whether the copy is one depends on whether both ends are still what they were.
    fn judge(&mut self, site: &Site<'_>, copied: Copied) -> Result<(), Conclusion> {
        self.telling.step(Step::Judge);
        self.stops.check()?;
        self.prove_again(site.ends)?;
        if !copied.missing.is_empty() {
            self.standing = Standing::Partial;
        }
        self.warnings.extend(copied.missing);
        self.warnings.extend(copied.remarks);
        Ok(())
    }

    fn prove_again(&self, ends: &Ends) -> Result<(), Conclusion> {
        ends::prove_again(self.job, ends, End::Source)
            .map_err(|what| Conclusion::Interrupted(Interruption::SourceLost(what)))?;
        ends::prove_again(self.job, ends, End::Destination)
            .map_err(|what| Conclusion::Interrupted(Interruption::DestinationLost(what)))
    }

    /// The only place where a device that failed or went away while rsync wrote shows itself: the descriptor is older
    /// than the run.
    fn flush(&mut self, site: &Site<'_>) -> Result<(), Conclusion> {
        self.telling.step(Step::Flush);
        site.destination().flush_filesystem().map_err(|error| of_directory(Step::Flush, &error))?;
        self.stops.check()
    }

    fn prune(&mut self, site: &Site<'_>, snapshots: &Shelf) {
        self.telling.step(Step::Prune);
        // The backup is made: whatever goes wrong or is called off from here on is only told.
        self.warnings.extend(snapshots.discard_bases());
        if self.job.sync.keep == Keep::All {
            return;
        }
        let now = Now { wall: clock::now().wall, ..self.started.clone() };
        let done = shelf::snapshots_at(site.destination()).map_err(|error| told(&error)).and_then(|finished| {
            let victims = prune::victims(&finished, self.job.sync.keep, &now);
            prune::prune(snapshots, &victims, &self.job.sync.name, &mut self.stops)
                .map_err(|_stopped| "pruning was called off; the next run goes on with it".to_owned())
        });
        match done {
            Ok(warnings) => self.warnings.extend(warnings),
            Err(warning) => self.warnings.push(warning),
        }
    }

    /// Writes the end of the run to the log; one that went well is only warned of what went wrong with that.
    fn record(&mut self, site: &Site<'_>, conclusion: &Conclusion) -> Result<(), String> {
        if *conclusion == Conclusion::Ok {
            self.telling.step(Step::Record);
        }
        record::append(&site.own, &self.account(self.snapshot).ended(conclusion))
    }

    /// A snapshot that is not good is said to be so before it has its name, lest it be taken for good if this process
    /// ends here. Until its last line the log tells of a run that was cut short.
    fn record_standing(&self, site: &Site<'_>, name: SnapshotName) -> Result<(), Conclusion> {
        if self.standing == Standing::Good {
            return Ok(());
        }
        let line = self.account(Some(name)).ended(&Conclusion::Interrupted(Interruption::Killed));
        record::append(&site.own, &line).map_err(|why| {
            let what = format!("some files could not be read, and {why}, which must tell so");
            failure(Step::Record, FailureKind::Other, what)
        })
    }

    fn account(&self, snapshot: Option<SnapshotName>) -> Account<'_> {
        let Self { job, figures, standing, .. } = self;
        Account { job, started: self.started.wall, figures: *figures, snapshot, standing: *standing }
    }

    /// A failure whose cause is that an end went away is an interruption: it mends itself when the drive is back.
    fn truth(&self, conclusion: Conclusion, ends: &Ends) -> Conclusion {
        match &conclusion {
            Conclusion::Failed(failure) if failure.kind != FailureKind::Hook => {
                self.prove_again(ends).err().unwrap_or(conclusion)
            }
            Conclusion::Failed(_)
            | Conclusion::Ok
            | Conclusion::Skipped(_)
            | Conclusion::Interrupted(_)
            | Conclusion::Held(_) => conclusion,
        }
    }

    fn hook_before(&mut self) -> Result<(), Conclusion> {
        let Some(command) = &self.job.sync.hooks.before else { return Ok(()) };
        self.telling.step(Step::Before);
        let occasion = Occasion { hook: "before", step: Step::Before, outcome: None, snapshot: None };
        hooks::run(&self.starter, command, self.job, &occasion, &mut self.stops)
    }

    fn hook_afterwards(&mut self, conclusion: &Conclusion) {
        let hooks = &self.job.sync.hooks;
        let (hook, command) = match conclusion {
            Conclusion::Ok => ("after", &hooks.after),
            Conclusion::Failed(_) | Conclusion::Held(_) => ("failed", &hooks.failed),
            Conclusion::Skipped(_) | Conclusion::Interrupted(_) => return,
        };
        let Some(command) = command else { return };
        let occasion = Occasion { hook, step: self.telling.now(), outcome: Some(conclusion), snapshot: self.snapshot };
        if let Err(Conclusion::Failed(failure)) =
            hooks::run(&self.starter, command, self.job, &occasion, &mut self.stops)
        {
            self.warnings.push(failure.detail);
        }
    }
}
