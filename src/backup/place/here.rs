//! The destination of a run on this machine, locked: what is done there, by descriptor.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::backup::failure::{could_not, failure, of_directory};
use crate::backup::job::Job;
use crate::backup::news::Telling;
use crate::backup::place::marker::{Earlier, Marker, MountProof};
use crate::backup::place::pinned::{Pinned, writer_in};
use crate::backup::place::publication::{Account, Publication, Published};
use crate::backup::place::way::{HereTarget, Spot};
use crate::backup::place::writer;
use crate::backup::session::stop::Stops;
use crate::backup::snapshots::{commit, deeds, log};
use crate::decide::guard;
use crate::formats::fingerprint;
use crate::formats::log::LogRecord;
use crate::formats::writer::WriterLine;
use crate::model::layout::{self, LATEST, LOCK, OWN, PARTIAL, WRITER};
use crate::model::{
    Conclusion, FailureKind, Interruption, Keeping, NotDone, Obstacle, PathSet, SnapshotKind, SnapshotName, Standing,
    Step, Writer,
};
use crate::os::census::{self, Census};
use crate::os::directory::{Directory, DirectoryError, Kind, Reach};
use crate::os::files::{self, Hold};
use crate::os::{ours, tree};

/// A destination that is locked.
#[derive(Debug)]
pub(crate) struct HereDestination {
    pub(crate) pinned: Pinned,
    pub(crate) keeping: Keeping,
    own: Directory,
    lock: OwnedFd,
    marker: Marker,
}

impl HereDestination {
    /// Takes the lock of a destination that is proven, for this writer, if no other one has it.
    pub(crate) fn lock(pinned: Pinned, job: &Job, ours: &Writer) -> Result<Self, NotDone> {
        let fail = |error: DirectoryError| of_directory(Step::Lock, &error);
        let destination = &pinned.directory;
        destination.create_directory(OWN, 0o700).map_err(fail)?;
        let own = destination.open_below(Path::new(OWN), Reach::SameMount).map_err(fail)?;
        // Who may read the lock can hold it; whose file it is could change it.
        ours::make_private(&own, &layout::OWN_FILES).map_err(fail)?;
        let taken = Obstacle::LockTaken { path: own.path_of(LOCK) };
        let lock = files::lock(&own, LOCK, Hold::Alone).map_err(fail)?;
        let lock = lock.ok_or(NotDone::Skipped(vec![taken]))?;
        let before = writer_in(&own);
        writer::guard(job, ours, before.clone())?;
        if before.is_none_or(|before| before.id != ours.id) {
            // A full drive has no room for it until the run has made some; the next run says it then.
            let _unsaid = files::write_hint(&own, LOCK, format!("{}\n", WriterLine(ours)).as_bytes());
        }
        // Another user's file may be locked but not be given a time; then the filesystem is taken for a usual one.
        let keeping = Keeping { names: pinned.letters(), ..files::keeps(&lock).unwrap_or_default() };
        // A run over a network gives the lock back between its steps, and knows by this that another one was here.
        // Where there is none, no such run ever was.
        if own.kind_of(WRITER).map_err(fail)? == Kind::File {
            files::write_hint(&own, WRITER, job.run.as_str().as_bytes()).map_err(fail)?;
        }
        let identity = destination.identity().map_err(fail)?;
        let proof = MountProof { mount: destination.unique_mount(), medium: pinned.medium() };
        let marker = Marker::new(job.sync.snapshots, identity, proof);
        Ok(Self { pinned, keeping, own, lock, marker })
    }

    /// Whether its filesystem can hold copies with history, before the first: it would be told when all is copied else.
    pub(crate) fn supports_history(&self) -> Result<(), NotDone> {
        let fail = |error: DirectoryError| of_directory(Step::Recover, &error);
        if self.pinned.directory.kind_of(LATEST).map_err(fail)? == Kind::Link {
            return Ok(());
        }
        match files::lacks_for_snapshots(&self.own).map_err(fail)?.as_slice() {
            [] => Ok(()),
            lacks => {
                let what = format!("the filesystem of {} has no {}", self.own.path().display(), lacks.join(", "));
                Err(failure(Step::Recover, FailureKind::Unsupported, what))
            }
        }
    }

    /// Notes that a copy is under way. Tells what an earlier one left.
    pub(crate) fn begin(&self) -> Result<Earlier, NotDone> {
        let earlier = self.marker.earlier(&self.own);
        self.marker.set(&self.own, earlier).map_err(|error| of_directory(Step::Copy, &error))?;
        Ok(earlier)
    }

    /// A place in it that is to be written, or only compared with.
    pub(crate) fn target(&self, spot: Spot, earlier: Earlier) -> Result<HereTarget<'_>, NotDone> {
        let fail = |error: DirectoryError| of_directory(Step::Copy, &error);
        if let Spot::New(name) = spot {
            let snapshots = deeds::directory_of_snapshots(&self.pinned.directory).map_err(fail)?;
            snapshots.create_directory(&layout::in_progress(name), 0o700).map_err(fail)?;
        }
        let target = HereTarget { lock: Some(&self.lock), ..compared(&self.pinned.directory, spot).map_err(fail)? };
        if spot == Spot::Whole || earlier == Earlier::Damaged {
            // Through a link of this name rsync would go on with files that lie elsewhere.
            tree::remove_impostors(&target.directory, PARTIAL).map_err(fail)?;
        }
        if matches!(earlier, Earlier::Doubtful | Earlier::Damaged) {
            // A write that was lost is still remembered as if it had been made.
            tree::forget_content(&target.directory).map_err(fail)?;
        }
        Ok(target)
    }

    /// Forgets all that the kernel remembers of the files of these bases: what did not reach the device shows then.
    pub(crate) fn forget_bases(&self, bases: &[String]) -> Result<(), NotDone> {
        let fail = |error: DirectoryError| of_directory(Step::Copy, &error);
        for name in bases {
            let base = self.pinned.directory.open_below(&layout::in_snapshots(layout::stale(name)), Reach::SameMount);
            tree::forget_content(&base.map_err(fail)?).map_err(fail)?;
        }
        Ok(())
    }

    /// The symbolic links in each of these entries of `snapshots`.
    pub(crate) fn links(&self, names: &[String]) -> Result<Vec<(String, BTreeSet<PathBuf>)>, NotDone> {
        let fail = |error: DirectoryError| of_directory(Step::Copy, &error);
        let of = |name: &String| {
            let base = self.pinned.directory.open_below(&layout::in_snapshots(name), Reach::SameMount)?;
            Ok((name.clone(), tree::links(&base)?))
        };
        names.iter().map(of).collect::<Result<_, _>>().map_err(fail)
    }

    /// Which of these paths are directories in a new copy.
    pub(crate) fn directories(
        &self,
        new: SnapshotName,
        paths: &BTreeSet<PathBuf>,
    ) -> Result<BTreeSet<PathBuf>, NotDone> {
        let new = compared(&self.pinned.directory, Spot::New(new)).map_err(|error| of_directory(Step::Copy, &error))?;
        Ok(tree::directories(&new.directory, paths, false))
    }

    /// How many entries of a finished copy another place lacks, but for these and what is below them, and how many it
    /// holds.
    pub(crate) fn lacking(
        &self,
        newest: SnapshotName,
        new: Spot,
        spared: &BTreeSet<PathBuf>,
    ) -> Result<(PathSet, u64), NotDone> {
        let fail = |error: DirectoryError| of_directory(Step::Judge, &error);
        let old = compared(&self.pinned.directory, Spot::Finished(newest)).map_err(fail)?.directory;
        let new = compared(&self.pinned.directory, new).map_err(fail)?.directory;
        let before = tree::count(&old).map_err(fail)?;
        let mut gone = PathSet::default();
        let mut hear = |path: &Path| {
            if !path.ancestors().any(|around| spared.contains(around)) {
                gone.add(fingerprint::of_path(path));
            }
        };
        tree::each_missing(&old, &new, &mut hear).map_err(fail)?;
        Ok((gone, before))
    }

    /// How many files a finished copy and another place have in common, and how many are cut down there.
    pub(crate) fn census(&self, newest: SnapshotName, new: Spot) -> Result<Census, NotDone> {
        let fail = |error: DirectoryError| of_directory(Step::Judge, &error);
        let old = compared(&self.pinned.directory, Spot::Finished(newest)).map_err(fail)?.directory;
        let new = compared(&self.pinned.directory, new).map_err(fail)?.directory;
        census::census(&old, &new, guard::is_cut).map_err(fail)
    }

    /// What the log says of a snapshot, if it is among the last.
    pub(crate) fn record_of(&self, name: SnapshotName) -> Result<Option<LogRecord>, NotDone> {
        log::of_snapshot(&self.own, name).map_err(|error| of_directory(Step::Judge, &error))
    }

    /// All that the log says.
    pub(crate) fn records(&self) -> Result<Vec<LogRecord>, String> {
        log::read(&self.own).map_err(|error| could_not(&error))
    }

    /// Flushes, commits and records.
    pub(crate) fn publish(
        &self,
        publication: &Publication<'_>,
        telling: &mut Telling,
        stops: &mut Stops,
    ) -> Result<Published, NotDone> {
        let destination = &self.pinned.directory;
        telling.step(Step::Flush);
        // The only place where a device that failed or went away while rsync wrote shows itself: the descriptor is
        // older than the run.
        destination.flush_filesystem().map_err(|error| of_directory(Step::Flush, &error))?;
        stops.check()?;
        let mut warnings = match publication.kind {
            SnapshotKind::Btrfs => commit::writable(destination),
            SnapshotKind::HardLink | SnapshotKind::None => Vec::new(),
        };
        if let Some(name) = publication.name {
            telling.step(Step::Commit);
            match publication.kind {
                SnapshotKind::Btrfs => commit::take_snapshot(destination, name)?,
                // It lies there under a hidden name.
                SnapshotKind::HardLink | SnapshotKind::None => {}
            }
            // The last moment at which the run can be called off.
            stops.check()?;
            self.record_standing(name, publication)?;
            commit::give_name(destination, name)?;
            // It can always be told again from the names, so that a failure harms nothing.
            let moved = deeds::point_latest(destination, Some(name));
            warnings.extend(moved.err().map(|error| {
                format!("`{LATEST}` was not moved to {name}: {}; the next run does it", could_not(&error))
            }));
        }
        warnings.extend(self.marker.clear(&self.own).err().map(|error| could_not(&error)));
        telling.step(Step::Record);
        let recorded = log::append(&self.own, &(publication.account)(publication.name, &Conclusion::Ok));
        Ok(Published { recorded, warnings })
    }

    /// A snapshot that is not good is said to be so before it has its name, lest it be taken for good if this process
    /// ends here. Until its last line the log tells of a run that was cut short.
    fn record_standing(&self, name: SnapshotName, publication: &Publication<'_>) -> Result<(), NotDone> {
        if publication.standing == Standing::Good {
            return Ok(());
        }
        let line = (publication.account)(Some(name), &Conclusion::Interrupted(Interruption::Killed));
        log::append(&self.own, &line).map_err(|why| {
            let what = format!("some files could not be read, and {why}, which must tell so");
            failure(Step::Record, FailureKind::Other, what)
        })
    }

    /// Notes what a copy that was not finished is worth to the next.
    pub(crate) fn settle(&self, job: &Job, earlier: Earlier, why: &NotDone, stops: &mut Stops) -> Option<String> {
        let noted = self.marker.settle((&self.own, &self.pinned.directory), earlier, why, stops.wanted());
        // That nothing can be noted on a drive that was pulled out is no news. Its content will be compared.
        noted.err().filter(|_| self.pinned.prove_again(job).is_ok()).map(|error| could_not(&error))
    }

    /// Tells the log of a run that did not come to its end.
    pub(crate) fn record_end(&self, ended: &Conclusion, account: Account<'_>) {
        // Whatever the log says of it, it is no success; history has it.
        let _unwritten = log::append(&self.own, &account(None, ended));
    }
}

/// A place in a destination that is only looked at.
pub(crate) fn compared<'a>(destination: &Directory, spot: Spot) -> Result<HereTarget<'a>, DirectoryError> {
    let (below, into) = spot.path();
    let directory = destination.open_below(&below, Reach::SameMount)?;
    Ok(HereTarget { directory, below, into, lock: None })
}
