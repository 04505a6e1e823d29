//! The course of a run: its steps, in the order that survives a kill and a power cut at any point.

mod ending;
mod hooks;
mod linking;
pub mod record;
mod there;

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::backup::copy::call::Copying;
use crate::backup::copy::{self, Copied, plan};
use crate::backup::failure::{failure, of_directory, told};
use crate::backup::job::{Job, JobEnd, LocalEnd};
use crate::backup::layout::{LATEST, LOCK, OWN, STAGING, WRITER};
use crate::backup::news::Telling;
use crate::backup::place::here as ends;
use crate::backup::place::here::Ends;
use crate::backup::place::marker::{Earlier, Marker};
use crate::backup::place::way::Target;
use crate::backup::run::hooks::Starter;
use crate::backup::session::stop::Stops;
use crate::backup::snapshots::shelf::{self, Shelf};
use crate::backup::snapshots::{commit, prune};
use crate::formats::rsync::arguments::Manner;
use crate::model::{
    Conclusion, End, FailureKind, Figures, Keep, Keeping, Now, Obstacle, Place, RunReport, SnapshotKind, SnapshotName,
    Standing, Step,
};
use crate::os::confine::{ConfineError, Confinement, confine_writes};
use crate::os::directory::{Directory, DirectoryError, Kind, Reach};
use crate::os::files::{self, Hold};
use crate::os::ssh::SshPlace;
use crate::os::{clock, programs, tree};

/// Runs a job from beginning to end and tells how it went.
pub(crate) fn run(job: &Job, place: &SshPlace, stops: Stops, telling: Telling) {
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
    let done = match &job.destination {
        JobEnd::Here(end) => course.copy_to_here(end, place),
        JobEnd::There(end) => course.copy_to_server(end, place),
    };
    let conclusion = done.err().unwrap_or(Conclusion::Ok);
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
pub(crate) struct Course<'a> {
    pub(crate) job: &'a Job,
    pub(crate) started: Now,
    pub(crate) stops: Stops,
    pub(crate) starter: Starter,
    pub(crate) figures: Figures,
    pub(crate) snapshot: Option<SnapshotName>,
    pub(crate) standing: Standing,
    pub(crate) warnings: Vec<String>,
    /// Last, so that the end is told when all else is dropped.
    pub(crate) telling: Telling,
}

/// What a run holds at its destination once it has the lock.
pub(crate) struct Site<'a> {
    pub(crate) ends: &'a Ends,
    pub(crate) rsync: PathBuf,
    pub(crate) own: Directory,
    pub(crate) lock: OwnedFd,
    pub(crate) keeping: Keeping,
}

impl Site<'_> {
    pub(crate) fn destination(&self) -> &Directory {
        &self.ends.destination.directory
    }
}

impl Course<'_> {
    fn copy_to_here(&mut self, end: &LocalEnd, place: &SshPlace) -> Result<(), Conclusion> {
        self.telling.step(Step::Prove);
        self.stops.check()?;
        let ends = ends::prove(self.job, end, place, &mut self.stops)?;
        let rsync = rsync_here()?;
        self.confined(confine_writes(ends.destination.directory.as_fd()))?;
        let site = self.lock(&ends, rsync)?;
        let done = self.locked(&site);
        done.map_err(|conclusion| {
            let conclusion = self.truth(conclusion, &ends);
            // Whatever the log says of it, it is no success; history has it.
            let _unwritten = self.record(&site, &conclusion);
            conclusion
        })
    }

    pub(crate) fn confined(&self, done: Result<Confinement, ConfineError>) -> Result<(), Conclusion> {
        match done {
            Ok(Confinement::Full) => Ok(()),
            Ok(Confinement::None) => {
                tracing::debug!(nbkp.sync = %self.job.sync.name, "this kernel does not confine writing");
                Ok(())
            }
            Err(error) => Err(failure(Step::Prove, FailureKind::Other, format!("could not {error}"))),
        }
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
        let keeping = Keeping { names: ends.letters(), ..files::keeps(&lock).unwrap_or_default() };
        // A run over a network gives the lock back between its steps, and knows by this that another one was here.
        // Where there is none, no such run ever was.
        if own.kind_of(WRITER).map_err(fail)? == Kind::File {
            files::write_hint(&own, WRITER, self.job.run.as_str().as_bytes()).map_err(fail)?;
        }
        Ok(Site { ends, rsync, own, lock, keeping })
    }

    fn locked(&mut self, site: &Site<'_>) -> Result<(), Conclusion> {
        let kind = self.job.sync.snapshots;
        self.telling.step(Step::Recover);
        let snapshots = match kind {
            SnapshotKind::None => None,
            SnapshotKind::Btrfs | SnapshotKind::HardLink => {
                let now = self.started.wall;
                supported(site, kind)?;
                Some(shelf::recover(site.destination(), kind, now, &mut self.stops, &mut self.warnings)?)
            }
        };
        self.hook_before()?;
        let identity = site.destination().identity().map_err(|error| of_directory(Step::Copy, &error))?;
        let medium = self.job.destination.medium();
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
                // That nothing can be noted on a drive that was pulled out is no news. Its content will be compared.
                if let Err(error) = noted
                    && ends::prove_again(self.job, site.ends, End::Destination, &mut self.stops).is_ok()
                {
                    self.warnings.push(told(&error));
                }
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
            let copied = self.copy(site, site.destination(), Manner::Replace(plan::unfinished(earlier)), earlier)?;
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
                    Earlier::Damaged => Manner::Replace(plan::unfinished(earlier)),
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

    pub(crate) fn copy(
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
            way: site.ends.way(Target { directory: destination, into: "./", lock: Some(&site.lock) }),
            nested: site.ends.nested.as_deref(),
        };
        let plan = plan::plan(manner, site.keeping, earlier);
        let (job, ends) = (self.job, site.ends);
        let proven = |stops: &mut Stops| ends::prove_again(job, ends, End::Source, stops);
        copy::copy(&copying, &plan, &mut self.stops, (&self.telling, &mut self.figures), &proven)
    }

    /// rsync is content. Whether the copy is one depends on whether both ends are still what they were.
    pub(crate) fn judge(&mut self, site: &Site<'_>, copied: Copied) -> Result<(), Conclusion> {
        self.telling.step(Step::Judge);
        self.stops.check()?;
        self.prove_again(site.ends)?;
        self.forbid_empty(&copied)?;
        self.note(copied);
        Ok(())
    }

    /// A copy of nothing is none, if it was not a person's wish that all be deleted.
    pub(crate) fn forbid_empty(&self, copied: &Copied) -> Result<(), Conclusion> {
        if copied.figures.entries > 0 || copied.figures.deletions > 0 || self.figures.deletions > 0 {
            return Ok(());
        }
        let Place { volume, subdir } = &self.job.sync.source;
        let path = format!("{volume}:{}", subdir.as_path().display()).into();
        Err(Conclusion::Skipped(vec![Obstacle::SourceIsEmpty { path }]))
    }

    /// What is missing from a copy, and what a person may want to know of it.
    pub(crate) fn note(&mut self, copied: Copied) {
        if !copied.missing.is_empty() {
            self.standing = Standing::Partial;
        }
        self.warnings.extend(copied.missing);
        self.warnings.extend(copied.remarks);
    }

    pub(crate) fn prove_again(&mut self, ends: &Ends) -> Result<(), Conclusion> {
        ends::prove_again(self.job, ends, End::Source, &mut self.stops)?;
        ends::prove_again(self.job, ends, End::Destination, &mut self.stops)
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
}

/// Before the first copy with history: whether the filesystem can hold it. It would be told when all is copied else.
fn supported(site: &Site<'_>, kind: SnapshotKind) -> Result<(), Conclusion> {
    let fail = |error: DirectoryError| of_directory(Step::Recover, &error);
    if kind != SnapshotKind::HardLink || site.destination().kind_of(LATEST).map_err(fail)? == Kind::Link {
        return Ok(());
    }
    match files::lacks_for_snapshots(&site.own).map_err(fail)?.as_slice() {
        [] => Ok(()),
        lacks => {
            let what = format!("the filesystem of {} has no {}", site.own.path().display(), lacks.join(", "));
            Err(failure(Step::Recover, FailureKind::Unsupported, what))
        }
    }
}

/// rsync of this machine.
pub(crate) fn rsync_here() -> Result<PathBuf, Conclusion> {
    let missing = Obstacle::ToolMissing { tool: "rsync".into(), server: None };
    programs::find_program("rsync").ok_or(Conclusion::Skipped(vec![missing]))
}
