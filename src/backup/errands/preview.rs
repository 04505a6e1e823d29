//! What a run would do, found out by rsync itself without doing it.

use std::ffi::OsString;
use std::fmt;

use crate::backup::copy::call::{self, Copying};
use crate::backup::copy::cuts::ContentChanges;
use crate::backup::copy::deletions::Doomed;
use crate::backup::copy::incomplete::Losses;
use crate::backup::copy::linking::{self, GuardVerdict, Lacks};
use crate::backup::copy::plan;
use crate::backup::copy::tell::tell;
use crate::backup::copy::{self, Good, Pass};
use crate::backup::failure::failure;
use crate::backup::job::Job;
use crate::backup::place::approach::{Approach, Origin, Seen};
use crate::backup::place::source::CopySource;
use crate::backup::place::way::{Spot, Target};
use crate::backup::place::writer;
use crate::backup::session::stop::{self, Stops};
use crate::decide::guard::{self, Deletions};
use crate::decide::judge::{self, DeletionVerdict};
use crate::decide::tidying::Kept;
use crate::formats::rsync::arguments::{CopyMode, slash};
use crate::formats::rsync::output::{Item, OutputLine, unescaped};
use crate::model::layout::{LATEST, SNAPSHOTS, STAGING};
use crate::model::{
    FailureKind, Figures, Guard, HoldReason, Keeping, NotDone, Plight, SnapshotKind, SnapshotName, Step,
};
use crate::os::clock;
use crate::os::ssh::SshPlace;

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
    /// What follows the copy, for people.
    pub then: Vec<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An entry would be deleted.
    Delete(String),
    /// An entry would be created or changed: how, as rsync itemises it, and its name.
    Copy(Item),
}

impl Change {
    /// What a line of rsync's output says, if it tells of one.
    #[must_use]
    pub fn of(said: &OutputLine) -> Option<Self> {
        let deleted = said.deleted().map(|name| Self::Delete(name.to_owned()));
        deleted.or_else(|| said.changed().cloned().map(Self::Copy))
    }
}

impl fmt::Display for Change {
    /// As rsync itself writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete(name) => write!(f, "*deleting   {name}"),
            Self::Copy(item) => write!(f, "{} {}", item.how, item.name),
        }
    }
}

/// Finds out what a run of this job would do. It may take as long as rsync takes to look at both trees. A job that
/// cannot run ends as a run of it would.
pub fn preview(job: &Job, place: &SshPlace) -> Result<Preview, NotDone> {
    // On a thread of its own, since it confines itself, and for good.
    let looked = std::thread::scope(|scope| scope.spawn(|| look(job, place)).join());
    looked.unwrap_or_else(|_| Err(failure(Step::Copy, FailureKind::Other, "the look ended without a result")))
}

fn look(job: &Job, place: &SshPlace) -> Result<Preview, NotDone> {
    // A look is not called off: whoever asked for it may leave.
    let (_teller, mut stops) = stop::pair()
        .map_err(|cause| failure(Step::Copy, FailureKind::Resource, format!("could not start: {cause}")))?;
    let mut approach = Approach::prove(job, place, &mut stops)?;
    approach.confine()?;
    let (origin, seen) = approach.look(&mut stops)?;
    let (kept, now) = (finished(job.sync.snapshots, &seen)?, clock::now().wall);
    let mut judged_by = kept.judged_by(now).into_iter();
    let newest = judged_by.next();
    let further = judged_by.map(|base| {
        let target = seen.compared(Spot::Finished(base))?;
        Ok((base, linking::lacks(&Copying::new(&origin, &target), seen.keeping(), &mut stops)?))
    });
    let further = further.collect::<Result<Vec<_>, NotDone>>()?;
    let target = seen.compared(Spot::judged(job.sync.snapshots, &kept, now))?;
    let foreign = writer::hold(job, &writer::ours(&origin.source), seen.writer());
    let missing = origin.source.submounts().map(|submounts| submounts.missing(&job.submounts)).unwrap_or_default();
    let losses = Losses::below(missing);
    let copying = Copying { past: seen.past(), ..Copying::new(&origin, &target) };
    let about = (&shown(&origin, &target), seen.keeping(), losses);
    let told = told(&copying, about, (job, newest, further), &mut stops)?;
    Ok(Preview { hold: foreign.or(told.hold), ..told })
}

/// The finished copies that a new one is judged by. Others are judged by what lies there.
fn finished(kind: SnapshotKind, seen: &Seen) -> Result<Kept, NotDone> {
    let complete = match kind {
        SnapshotKind::None | SnapshotKind::Btrfs => Vec::new(),
        SnapshotKind::HardLink => seen.leftovers()?.entries.unwrap_or_default().complete,
    };
    Ok(Kept { complete, bases: Vec::new() })
}

/// What is read and written, as a person would write it: at the server itself, if both are there.
fn shown(origin: &Origin<'_>, target: &Target<'_>) -> (OsString, OsString) {
    match (&origin.source, target) {
        (source, Target::Here(here)) => (source.shown(), slash(&here.directory.path().join(here.into))),
        (CopySource::Here(source), Target::There(far)) => {
            (slash(source.data.path()), far.server.shown(&far.at.join(&far.place).join(far.into)))
        }
        (CopySource::There(source), Target::There(far)) => {
            (slash(&source.at), slash(&far.at.join(&far.place).join(far.into)))
        }
    }
}

/// Has rsync tell what it would do; `shown` is what is read and written, as a person writes it.
fn told(
    copying: &Copying<'_>,
    ((source, destination), keeping, mut losses): (&(OsString, OsString), Keeping, Losses),
    (job, newest, further): (&Job, Option<SnapshotName>, Vec<(SnapshotName, Lacks)>),
    stops: &mut Stops,
) -> Result<Preview, NotDone> {
    let plan = plan::look(plan::manner_of_look(job.sync.snapshots), keeping);
    let then = then(job.sync.snapshots);
    let (mut changes, mut unlisted) = (Vec::new(), 0_u64);
    let (mut content, mut doomed) = (ContentChanges::default(), Doomed::default());
    let mut hear = |said: &OutputLine| {
        content.hear(said);
        losses.hear(said);
        doomed.hear(said);
        let Some(change) = Change::of(said) else { return };
        if changes.len() < LISTED { changes.push(change) } else { unlisted = unlisted.saturating_add(1) }
    };
    let (mut pass, verdict) = tell(copying, &plan, stops, &mut hear)?;
    let mut warnings = match copy::judged(&copying.way, &pass)? {
        Good::Whole(warnings) | Good::Partial(warnings) => warnings,
    };
    if verdict == DeletionVerdict::Undone {
        losses.doubt();
        warnings.push(judge::UNDONE.to_owned());
    }
    spare_renamed(&mut changes, &mut pass);
    let mut command: Vec<OsString> = vec![copying.rsync.as_os_str().to_owned()];
    command.extend(call::shown(copying, &plan, CopyMode::Tell, source, destination));
    doomed.spare_renamed(&pass.tally);
    let (gone, files_left) = (doomed.judged(None), pass.tally.regular_files);
    let before = copy::before(&pass, gone.count());
    let cuts = content.cuts((job.sync.guard, copying.target), files_left, stops)?;
    let lacks = Lacks { gone, before, cuts };
    let hold = losses
        .hold()
        .or_else(|| hold((job, copying.guard()), newest.map(|newest| (newest, further)), lacks, files_left));
    Ok(Preview { command, changes, unlisted, figures: figures(&pass), hold, warnings, then })
}

/// Why the guard would hold a run, judged by what lies there, or by the newest finished copy and some further ones.
fn hold(
    (job, guard): (&Job, Guard),
    finished: Option<(SnapshotName, Vec<(SnapshotName, Lacks)>)>,
    lacks: Lacks,
    files_left: u64,
) -> Option<HoldReason> {
    let Some((newest, further)) = finished else {
        let Lacks { gone: paths, before, cuts } = lacks;
        // What the destination cannot hold shows itself only when it is written.
        let seen = Deletions { paths, before, unstorable: 0, files_left, against: None };
        let deletions = guard::hold(guard, seen, job.approved.as_ref());
        return deletions.or_else(|| guard::hold_cuts(job.sync.guard, cuts, job.approved_cuts.as_ref()));
    };
    let mut verdict = GuardVerdict::default();
    for (base, lacks) in std::iter::once((newest, lacks)).chain(further) {
        verdict.add(guard, base, lacks, files_left);
    }
    verdict.hold(job)
}

/// Leaves out the deletions that a run does not make: of the copy of what was only renamed, to other capital letters.
fn spare_renamed(changes: &mut Vec<Change>, pass: &mut Pass) {
    let all = changes.len();
    pass.tally.keep_deleted(changes, |change| match change {
        Change::Delete(name) => Some(unescaped(name)),
        Change::Copy(_) => None,
    });
    let spared = u64::try_from(all.saturating_sub(changes.len())).unwrap_or(0);
    pass.tally.deleted_items = pass.tally.deleted_items.saturating_sub(spared);
}

/// What makes the copy complete, as a person would say it.
fn then(kind: SnapshotKind) -> Vec<String> {
    let made = match kind {
        SnapshotKind::None => return Vec::new(),
        SnapshotKind::Btrfs => format!("snapshot `{STAGING}` read-only into `{SNAPSHOTS}/`"),
        SnapshotKind::HardLink => format!("give the finished copy its name in `{SNAPSHOTS}/`"),
    };
    vec![made, format!("point `{LATEST}` to it")]
}

fn figures(pass: &Pass) -> Figures {
    Figures {
        deletions: pass.tally.deleted_items,
        unreadable: pass.complaints.count(Plight::Unreadable),
        ..pass.tally.figures
    }
}
