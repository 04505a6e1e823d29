//! What a run would do, found out by rsync itself without doing it.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;

use crate::backup::copy::call::{self, Copying};
use crate::backup::copy::plan::CopyPlan;
use crate::backup::copy::{self, Good, Pass, plan};
use crate::backup::errands::view::View;
use crate::backup::failure::{failure, of_directory};
use crate::backup::job::{Job, JobEnd};
use crate::backup::layout::STAGING;
use crate::backup::place::here as ends;
use crate::backup::place::here::Ends;
use crate::backup::place::marker::Earlier;
use crate::backup::place::way::Target;
use crate::backup::run::rsync_here;
use crate::backup::session::stop::{self, Stops};
use crate::backup::snapshots::shelf::Shelf;
use crate::decide::guard::{self, Deletions};
use crate::decide::judge;
use crate::formats::rsync::arguments::{Effect, Manner, Unfinished, slash};
use crate::formats::rsync::output::{Item, Said};
use crate::model::{Conclusion, FailureKind, Figures, HoldReason, Keeping, Plight, SnapshotKind, Step};
use crate::os::directory::{Directory, Reach};
use crate::os::ssh::SshPlace;
use crate::os::{clock, confine};

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
pub fn preview(job: &Job, place: &SshPlace) -> Result<Preview, Conclusion> {
    // On a thread of its own, since it confines itself, and for good.
    let looked = std::thread::scope(|scope| scope.spawn(|| look(job, place)).join());
    looked.unwrap_or_else(|_| Err(failure(Step::Copy, FailureKind::Other, "the look ended without a result")))
}

fn look(job: &Job, place: &SshPlace) -> Result<Preview, Conclusion> {
    // A look is not called off: whoever asked for it may leave.
    let (_teller, mut stops) = stop::pair()
        .map_err(|cause| failure(Step::Copy, FailureKind::Resource, format!("could not start: {cause}")))?;
    match &job.destination {
        JobEnd::Here(end) => {
            let ends = ends::prove(job, end, place, &mut stops)?;
            let rsync = rsync_here()?;
            confined(confine::confine_writes(ends.destination.directory.as_fd()))?;
            let (against, into) = compared(job, &ends)?;
            let copying = Copying {
                rsync: &rsync,
                sync: &job.sync,
                approved: job.approved,
                way: ends.way(Target { directory: &against, into, lock: None }),
                nested: ends.nested.as_deref(),
            };
            let shown = (ends.shown_source(), slash(&against.path().join(into)));
            told(job, &copying, (&shown, ends.kept()), &mut stops)
        }
        JobEnd::There(end) => {
            let view = View::open(job, end, place, &mut stops)?;
            confined(confine::confine_to_nothing())?;
            told(job, &view.copying(job), (&view.shown(), view.kept()), &mut stops)
        }
    }
}

fn confined(done: Result<confine::Confinement, confine::ConfineError>) -> Result<(), Conclusion> {
    done.map(drop).map_err(|error| failure(Step::Prove, FailureKind::Other, format!("could not {error}")))
}

/// Has rsync tell what it would do; `shown` is what is read and written, as a person writes it.
fn told(
    job: &Job,
    copying: &Copying<'_>,
    ((source, destination), keeping): (&(OsString, OsString), Keeping),
    stops: &mut Stops,
) -> Result<Preview, Conclusion> {
    let manner = match job.sync.snapshots {
        SnapshotKind::None | SnapshotKind::HardLink => Manner::Replace(Unfinished::None),
        SnapshotKind::Btrfs => Manner::InPlace,
    };
    let plan = plan::plan(manner, keeping, Earlier::Nothing);
    let (mut changes, mut unlisted) = (Vec::new(), 0_u64);
    let mut hear = |said: &Said| {
        let change = match said {
            Said::Deleted(name) => Change::Delete(name.clone()),
            Said::Changed(item) => Change::Copy(item.clone()),
            Said::Progress(_)
            | Said::Unchanged(_)
            | Said::LeftOut(_)
            | Said::GaveUpDeleting
            | Said::KeptDirectory
            | Said::Statistic(..)
            | Said::Entries(..)
            | Said::Nothing => return,
        };
        if changes.len() < LISTED { changes.push(change) } else { unlisted = unlisted.saturating_add(1) }
    };
    let mut pass = copy::call(copying, &plan, Effect::Tell, stops, &mut hear)?;
    let mut warnings = match copy::judged(&copying.way, &pass)? {
        Good::Whole(warnings) | Good::Partial(warnings) => warnings,
    };
    match judge::deletions(&pass.complaints) {
        judge::Deletions::Done => {}
        judge::Deletions::Undone => warnings.push(judge::UNDONE.to_owned()),
        judge::Deletions::Again(spared) => {
            // A run deletes with a second call, which passes over what cannot be looked at.
            changes.retain(|change| matches!(change, Change::Copy(_)));
            let without = CopyPlan { spared, ..plan.clone() };
            let mut hear = |said: &Said| {
                let Said::Deleted(name) = said else { return };
                if changes.len() < LISTED {
                    changes.push(Change::Delete(name.clone()));
                } else {
                    unlisted = unlisted.saturating_add(1);
                }
            };
            pass.tally.deleted_items =
                copy::call(copying, &without, Effect::Tell, stops, &mut hear)?.tally.deleted_items;
        }
    }
    let mut command: Vec<OsString> = vec![copying.rsync.as_os_str().to_owned()];
    command.extend(call::shown(copying, &plan, Effect::Tell, source, destination));
    Ok(Preview { command, changes, unlisted, figures: figures(&pass), hold: hold(job, &pass), warnings })
}

fn figures(pass: &Pass) -> Figures {
    Figures {
        deletions: pass.tally.deleted_items,
        unreadable: pass.complaints.count(Plight::Unreadable),
        ..pass.tally.figures
    }
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
