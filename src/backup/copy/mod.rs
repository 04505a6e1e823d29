//! The copy: rsync, called and listened to, and judged. It never deletes by itself: what it would delete is judged
//! first.

pub mod call;
pub mod cuts;
pub mod deletions;
pub mod linking;
pub mod plan;

use crate::backup::copy::call::{Copying, launch};
use crate::backup::copy::cuts::{ContentChanges, may_cut};
use crate::backup::copy::deletions::Doomed;
use crate::backup::copy::plan::{CopyPlan, Restraint, Strategy};
use crate::backup::failure::{failure, of_process};
use crate::backup::news::Telling;
use crate::backup::place::way::CopyWay;
use crate::backup::session::failure::refused;
use crate::backup::session::stop::Stops;
use crate::decide::guard::{self, Deletions};
use crate::decide::judge::{self, CopyVerdict};
use crate::formats::rsync::arguments::{CopyMode, Manner, Unfinished};
use crate::formats::rsync::complaints::Listener;
use crate::formats::rsync::exit;
use crate::formats::rsync::output::{Lines, OutputLine, Tally, said};
use crate::model::{Complaints, End, FailureKind, Figures, Interruption, Mount, NotDone, Step, TransferEnd};
use crate::os::directory::Directory;
use crate::os::mounts;
use crate::os::process::{self, Ended, Stream, Wanted};

/// What a copy came to.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// What it counted.
    pub(crate) figures: Figures,
    /// Entries that were not there before.
    pub(crate) created: u64,
    /// Regular files of the source.
    pub(crate) regular_files: u64,
    /// Those of them that had another size before.
    pub(crate) resized: u64,
    /// What could not be read; empty if nothing.
    pub(crate) missing: Vec<String>,
    /// What a person may want to know.
    pub(crate) remarks: Vec<String>,
}

/// Copies. Whatever happens, `figures` counts what was done.
pub(crate) fn copy(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    stops: &mut Stops,
    telling: &Telling,
    figures: &mut Figures,
) -> Result<Copied, NotDone> {
    match plan.strategy {
        Strategy::Walk => walk(copying, plan, stops, telling, figures),
    }
}

/// Has rsync walk both trees.
fn walk(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    stops: &mut Stops,
    telling: &Telling,
    figures: &mut Figures,
) -> Result<Copied, NotDone> {
    let submounts = copying.way.source().map(Submounts::below);
    if plan.restraint == Restraint::CopyFirst {
        guard_content(copying, plan, stops)?;
    }
    let mut changes = ContentChanges::default();
    let hear = &mut |said: &OutputLine| {
        changes.hear(said);
        if let OutputLine::Progress(progress) = said {
            telling.progress(*progress);
        }
    };
    let pass = call(copying, plan, CopyMode::Copy, stops, hear)?;
    add(figures, &pass);
    let mut copied = Copied::default();
    worth(copying, &pass, &mut copied)?;
    copied.created = pass.tally.created;
    copied.regular_files = pass.tally.regular_files;
    still_there(submounts.as_ref(), copying)?;
    if plan.restraint == Restraint::CopyFirst && (pass.complaints.withheld > 0 || pass.complaints.in_the_way > 0) {
        let doomed = judged_deletions((copying, plan), &pass, stops, &mut copied)?;
        still_there(submounts.as_ref(), copying)?;
        let deleted = doomed.delete(copying.target, stops)?;
        figures.deletions = figures.deletions.saturating_add(deleted.count);
        copied.missing.extend(deleted.missing());
    }
    if pass.complaints.in_the_way > 0 {
        // What was in the way is gone.
        let second = call(copying, plan, CopyMode::Copy, stops, hear)?;
        add(figures, &second);
        worth(copying, &second, &mut copied)?;
        still_there(submounts.as_ref(), copying)?;
        if second.complaints.in_the_way > 0 {
            return Err(failure(Step::Copy, FailureKind::Other, "the source changed too much while it was copied"));
        }
    }
    copied.resized = changes.resized();
    copied.remarks.extend(guard::replaced(copying.sync.guard, changes.replaced(), copied.regular_files));
    copied.figures = *figures;
    Ok(copied)
}

/// Holds a copy that would cut down too many files where they lie, before it does. rsync is asked only where that may
/// be.
fn guard_content(copying: &Copying<'_>, plan: &CopyPlan, stops: &mut Stops) -> Result<(), NotDone> {
    if !may_cut(copying)? {
        return Ok(());
    }
    let mut changes = ContentChanges::default();
    let told = call(copying, plan, CopyMode::Tell, stops, &mut |said| changes.hear(said))?;
    judged(&copying.way, &told)?;
    changes.hold(copying, told.tally.regular_files)?.map_or(Ok(()), |reason| Err(NotDone::Held(reason)))
}

/// What would be deleted, as rsync tells it, if that is not held. The second look is taken only where there is
/// something.
fn judged_deletions(
    (copying, plan): (&Copying<'_>, &CopyPlan),
    pass: &Pass,
    stops: &mut Stops,
    copied: &mut Copied,
) -> Result<Doomed, NotDone> {
    let mut doomed = Doomed::default();
    let told = call(copying, plan, CopyMode::Tell, stops, &mut |said| doomed.hear(said))?;
    worth(copying, &told, copied)?;
    let orphans = match plan.manner {
        Manner::Replace(Unfinished::Possible) => doomed.orphans(),
        Manner::Replace(Unfinished::None) | Manner::InPlace | Manner::Link { .. } => 0,
    };
    let deletions = doomed.count().saturating_sub(orphans);
    let seen = Deletions { deletions, before: before(pass, deletions), files_left: told.tally.regular_files };
    match guard::hold(copying.sync.guard, seen, copying.approved) {
        Some(reason) => Err(NotDone::Held(reason)),
        None => Ok(doomed),
    }
}

/// How many entries the destination held before.
pub(crate) fn before(pass: &Pass, deletions: u64) -> u64 {
    pass.tally.figures.entries.saturating_sub(pass.tally.created).saturating_add(deletions)
}

fn add(figures: &mut Figures, pass: &Pass) {
    let seen = &pass.tally.figures;
    figures.files_transferred = figures.files_transferred.saturating_add(seen.files_transferred);
    figures.bytes_transferred = figures.bytes_transferred.saturating_add(seen.bytes_transferred);
    figures.deletions = figures.deletions.saturating_add(seen.deletions);
    figures.entries = seen.entries.max(figures.entries);
    figures.size = seen.size.max(figures.size);
    figures.unreadable = figures.unreadable.max(pass.complaints.unreadable);
    let vanished = pass.complaints.vanished_files.saturating_add(pass.complaints.vanished_directories);
    figures.vanished = figures.vanished.max(vanished);
}

fn still_there(submounts: Option<&Submounts>, copying: &Copying<'_>) -> Result<(), NotDone> {
    match (submounts, copying.way.source()) {
        (Some(submounts), Some(source)) => submounts.still_there(source),
        _ => Ok(()),
    }
}

/// Judges a call and adds what it is worth.
fn worth(copying: &Copying<'_>, pass: &Pass, copied: &mut Copied) -> Result<(), NotDone> {
    match judged(&copying.way, pass)? {
        Good::Whole(remarks) => {
            if copied.remarks.is_empty() {
                copied.remarks = remarks;
            }
        }
        Good::Partial(missing) => copied.missing = missing,
    }
    Ok(())
}

/// What a copy that counts has to be told of.
pub(crate) enum Good {
    /// What a person may want to know.
    Whole(Vec<String>),
    /// What is missing.
    Partial(Vec<String>),
}

/// Judges a call; one that does not count says how the run ends.
pub(crate) fn judged(way: &CopyWay<'_>, pass: &Pass) -> Result<Good, NotDone> {
    Err(match judge::verdict(pass.end, &pass.complaints, way.distance()) {
        CopyVerdict::Good(remarks) => return Ok(Good::Whole(remarks)),
        CopyVerdict::Partial(missing) => return Ok(Good::Partial(missing)),
        CopyVerdict::SourceLost(what) => NotDone::Interrupted(Interruption::SourceLost(what)),
        CopyVerdict::Disconnected(what) => NotDone::Interrupted(Interruption::Network(what)),
        CopyVerdict::Refused(why) => {
            let (host, reading) = match way {
                CopyWay::Pull(far, _) => (far.server.host(), End::Source),
                CopyWay::Push(_, far) | CopyWay::There(far) => (far.server.host(), End::Destination),
                CopyWay::Here(..) => ("this machine", End::Destination),
            };
            refused(host, &why, reading)
        }
        CopyVerdict::Stopped => failure(Step::Copy, FailureKind::Resource, "rsync was stopped by another program"),
        CopyVerdict::Failed(kind, detail) => failure(Step::Copy, kind, detail),
    })
}

/// One call of rsync, done.
pub(crate) struct Pass {
    pub(crate) end: TransferEnd,
    pub(crate) tally: Tally,
    pub(crate) complaints: Complaints,
}

/// Calls rsync once. `hear` is told all that its output says.
pub(crate) fn call(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    effect: CopyMode,
    stops: &mut Stops,
    hear: &mut dyn FnMut(&OutputLine),
) -> Result<Pass, NotDone> {
    stops.check()?;
    let starting =
        |cause: std::io::Error| failure(Step::Copy, FailureKind::Resource, format!("could not start rsync: {cause}"));
    let (launch, passed) = launch(copying, plan, effect).map_err(starting)?;
    let inside = match &copying.way {
        CopyWay::Here(_, target) | CopyWay::Pull(_, target) => Some(&target.directory),
        CopyWay::Push(..) | CopyWay::There(_) => None,
    };
    let running = process::start(launch, inside);
    drop(passed);
    let running = running.map_err(|error| of_process(Step::Copy, &error))?;
    let (mut tally, mut listener) = (Tally::default(), Listener::default());
    let (mut output, mut errors) = (Lines::default(), Lines::default());
    let bell = stops.bell.share().map_err(starting)?;
    let heard = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Output => output.feed(bytes, |line| {
            let said = said(line);
            hear(&said);
            tally.add(&said);
        }),
        Stream::Errors => errors.feed(bytes, |line| listener.hear(line)),
    };
    let ended = running.listen(&bell, heard, || stops.wanted()).map_err(|error| of_process(Step::Copy, &error))?;
    output.finish(|line| tally.add(&said(line)));
    errors.finish(|line| listener.hear(line));
    listener.kept_directories(tally.kept_directories);
    for line in listener.last_lines() {
        tracing::debug!(nbkp.sync = %copying.sync.name, line, "rsync complained");
    }
    if stops.wanted() != Wanted::GoOn && ended != Ended::Code(0) {
        stops.check()?;
    }
    let end = match ended {
        Ended::Code(code) => exit::meaning(code),
        Ended::Signal(signal) => TransferEnd::Killed(signal),
    };
    Ok(Pass { end, tally, complaints: listener.complaints().clone() })
}

/// The filesystems that are mounted below the source. One that goes away during the copy leaves an empty directory,
/// which rsync takes for the truth.
struct Submounts(Vec<Mount>);

impl Submounts {
    fn below(source: &Directory) -> Self {
        let (Some(path), Ok(mounts)) = (source.real_path(), mounts::read()) else { return Self(Vec::new()) };
        Self(mounts.into_iter().filter(|mount| mount.point.starts_with(&path) && mount.point != path).collect())
    }

    fn still_there(&self, source: &Directory) -> Result<(), NotDone> {
        if self.0.is_empty() {
            return Ok(());
        }
        let now = Self::below(source);
        let there = |mount: &&Mount| now.0.iter().any(|other| other.id == mount.id && other.point == mount.point);
        match self.0.iter().find(|mount| !there(mount)) {
            None => Ok(()),
            Some(gone) => {
                let what = format!("what was mounted at {} is gone", gone.point.display());
                Err(NotDone::Interrupted(Interruption::SourceLost(what)))
            }
        }
    }
}
