//! What a run would do, found out by rsync itself without doing it.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::copy::{self, Copying, Pass};
use super::ends::{self, Ends, STAGING};
use super::marker::Earlier;
use super::shelf::Shelf;
use super::stop;
use super::trouble::{failure, of_directory};
use crate::daemon::job::Job;
use crate::decide::guard::{self, Deletions};
use crate::decide::judge::{self, Verdict};
use crate::formats::rsync::arguments::{Effect, Manner, Unfinished};
use crate::formats::rsync::output::{Item, Said};
use crate::model::{Conclusion, FailureKind, Figures, HoldReason, Interruption, Obstacle, SnapshotKind, Step};
use crate::os::directory::{Directory, Reach};
use crate::os::files::Granularity;
use crate::os::{clock, confine, process};

/// So many changes are listed; more are only counted.
const LISTED: usize = 100_000;

/// What a run would do.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The command that told it, for people: with the paths in place of descriptors.
    pub command: Vec<OsString>,
    /// The changes, in rsync's order, as far as they are listed.
    pub changes: Vec<Change>,
    /// How many more there are.
    pub unlisted: u64,
    /// What rsync counted.
    pub figures: Figures,
    /// Why a run would be held, if it would.
    pub hold: Option<HoldReason>,
    /// What could not be read, and the like.
    pub warnings: Vec<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An entry would be deleted.
    Delete(String),
    /// An entry would be created or changed: how, as rsync itemises it, and its name.
    Copy(Item),
}

/// Finds out what a run of this job would do. It may take as long as rsync takes to look at both trees. A job that
/// cannot run ends as a run of it would.
pub fn preview(job: &Job) -> Result<Preview, Conclusion> {
    // On a thread of its own, since it confines itself, and for good.
    let looked = std::thread::scope(|scope| scope.spawn(|| look(job)).join());
    looked.unwrap_or_else(|_| Err(failure(Step::Copy, FailureKind::Other, "the look ended without a result")))
}

fn look(job: &Job) -> Result<Preview, Conclusion> {
    let ends = ends::prove(job).map_err(Conclusion::Skipped)?;
    let missing = Obstacle::ToolMissing { tool: "rsync".into() };
    let rsync = process::find_program("rsync").ok_or(Conclusion::Skipped(vec![missing]))?;
    confine::confine_writes(ends.destination.directory.as_fd())
        .map_err(|error| failure(Step::Prove, FailureKind::Other, format!("could not {error}")))?;
    let (against, into) = compared(job, &ends)?;
    let copying = Copying {
        rsync: &rsync,
        sync: &job.sync,
        approved: job.approved,
        source: &ends.data,
        nested: ends.nested.as_deref(),
        destination: &against,
        into,
        lock: None,
    };
    let manner = match job.sync.snapshots {
        SnapshotKind::None | SnapshotKind::HardLink => Manner::Replace(Unfinished::None),
        SnapshotKind::Btrfs => Manner::InPlace,
    };
    let plan = copy::plan(manner, Granularity::Fine, Earlier::Nothing);
    let (mut changes, mut unlisted) = (Vec::new(), 0_u64);
    let mut hear = |said: &Said| {
        let change = match said {
            Said::Deleted(name) => Change::Delete(name.clone()),
            Said::Changed(item) => Change::Copy(item.clone()),
            Said::Progress(_) | Said::KeptDirectory | Said::Statistic(..) | Said::Entries(..) | Said::Nothing => return,
        };
        if changes.len() < LISTED { changes.push(change) } else { unlisted = unlisted.saturating_add(1) }
    };
    let (_teller, mut stops) = stop::pair()
        .map_err(|cause| failure(Step::Copy, FailureKind::Resource, format!("could not start: {cause}")))?;
    let pass = copy::call(&copying, &plan, Effect::Tell, &mut stops, &mut hear)?;
    let warnings = match judge::verdict(pass.end, &pass.complaints) {
        Verdict::Good(warnings) | Verdict::Partial(warnings) => warnings,
        Verdict::SourceLost(what) => return Err(Conclusion::Interrupted(Interruption::SourceLost(what))),
        Verdict::Stopped => return Err(failure(Step::Copy, FailureKind::Resource, "rsync was stopped")),
        Verdict::Failed(kind, detail) => return Err(failure(Step::Copy, kind, detail)),
    };
    let slash = |path: &Path| path.components().collect::<PathBuf>().join("").into_os_string();
    let (source, destination) = (slash(ends.data.path()), slash(&against.path().join(into)));
    let mut command: Vec<OsString> = vec![rsync.clone().into_os_string()];
    command.extend(copy::words(&copying, &plan, Effect::Tell, &source, &destination));
    Ok(Preview { command, changes, unlisted, figures: figures(&pass), hold: hold(job, &pass), warnings })
}

fn figures(pass: &Pass) -> Figures {
    Figures { deletions: pass.tally.deleted_items, unreadable: pass.complaints.unreadable, ..pass.tally.figures }
}

fn hold(job: &Job, pass: &Pass) -> Option<HoldReason> {
    let deletions = pass.tally.deleted_items;
    let before = copy::before(pass, deletions);
    let seen = Deletions { deletions, before, files_left: pass.tally.regular_files };
    guard::hold(job.sync.guard, seen, job.approved)
}

/// What the source is compared with: what lies there, or the newest snapshot of it, or something that is not there.
fn compared(job: &Job, ends: &Ends) -> Result<(Directory, &'static str), Conclusion> {
    let destination = &ends.destination.directory;
    let opened = match job.sync.snapshots {
        SnapshotKind::None => destination.open_below(Path::new(""), Reach::SameMount).map(|all| (all, "./")),
        SnapshotKind::Btrfs => destination.open_below(Path::new(STAGING), Reach::SameMount).map(|all| (all, "./")),
        SnapshotKind::HardLink => Shelf::open_at(destination).and_then(|shelf| {
            match shelf.as_ref().and_then(|shelf| Some((shelf, shelf.newest(clock::now().wall)?))) {
                Some((shelf, newest)) => shelf.open(newest).map(|newest| (newest, "./")),
                None => destination.open_below(Path::new(""), Reach::SameMount).map(|all| (all, "./.first-copy/")),
            }
        }),
    };
    opened.map_err(|error| of_directory(Step::Copy, &error))
}
