//! The copy: rsync, called once or twice, listened to, and judged.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::marker::Earlier;
use super::news::Telling;
use super::stop::Stops;
use super::trouble::{failure, of_process};
use crate::decide::guard::{self, Deletions};
use crate::decide::judge::{self, Verdict};
use crate::formats::rsync::arguments::{Call, Comparison, Effect, Manner, Unfinished, arguments};
use crate::formats::rsync::complaints::Listener;
use crate::formats::rsync::exit;
use crate::formats::rsync::output::{Lines, Said, Tally, said};
use crate::model::{Complaints, Conclusion, FailureKind, Figures, Interruption, Mount, Step, Sync, TransferEnd};
use crate::os::directory::Directory;
use crate::os::files::Granularity;
use crate::os::mounts;
use crate::os::process::{self, Ended, Launch, Leftovers, Passed, Stream, Wanted};

/// How a copy is made. There is one way, rsync; another one would be another variant.
#[derive(Debug)]
pub(super) struct CopyPlan {
    /// How files come to lie at the destination.
    pub(super) manner: Manner,
    /// What tells that a file is unchanged.
    pub(super) comparison: Comparison,
    /// How deleting is kept in bounds.
    pub(super) restraint: Restraint,
}

/// How deleting is kept in bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restraint {
    /// First everything is copied and nothing deleted; what would be deleted is judged, and then deleted.
    CopyFirst,
    /// The destination is a new directory, in which nothing is deleted; what it lacks is judged afterwards.
    NewDirectory,
}

/// The one place where the way of copying is chosen.
pub(super) fn plan(manner: Manner, granularity: Granularity, earlier: Earlier) -> CopyPlan {
    let comparison = match (earlier, granularity) {
        (Earlier::Doubtful | Earlier::Damaged, _) => Comparison::Content,
        (Earlier::Nothing | Earlier::Trusted, Granularity::Fine) => Comparison::Nanoseconds,
        (Earlier::Nothing | Earlier::Trusted, Granularity::Seconds) => Comparison::Seconds,
        (Earlier::Nothing | Earlier::Trusted, Granularity::TwoSeconds) => Comparison::TwoSeconds,
    };
    let restraint = match manner {
        Manner::Replace(_) | Manner::InPlace => Restraint::CopyFirst,
        Manner::Link { .. } => Restraint::NewDirectory,
    };
    CopyPlan { manner, comparison, restraint }
}

/// Whether an earlier copy may have left unfinished files.
pub(super) fn unfinished(earlier: Earlier) -> Unfinished {
    match earlier {
        Earlier::Nothing => Unfinished::None,
        Earlier::Trusted | Earlier::Doubtful => Unfinished::Possible,
        // What cannot be read cannot be continued.
        Earlier::Damaged => Unfinished::None,
    }
}

/// What a copy came to.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// What it counted.
    pub(super) figures: Figures,
    /// Entries that were not there before.
    pub(super) created: u64,
    /// Regular files of the source.
    pub(super) regular_files: u64,
    /// What could not be read; empty if nothing.
    pub(super) missing: Vec<String>,
    /// What a person may want to know.
    pub(super) remarks: Vec<String>,
}

/// All that a copy needs.
pub(super) struct Copying<'a> {
    /// rsync itself.
    pub(super) rsync: &'a Path,
    /// The sync.
    pub(super) sync: &'a Sync,
    /// The deletions that a person approved.
    pub(super) approved: Option<u64>,
    /// What is read.
    pub(super) source: &'a Directory,
    /// Where the destination of the sync lies inside that, if it does.
    pub(super) nested: Option<&'a Path>,
    /// What is written.
    pub(super) destination: &'a Directory,
    /// What of it: `./`, all of it, but for a look at what is not there yet.
    pub(super) into: &'a str,
    /// The lock, which rsync inherits as its standard input: if it outlives us, the lock does too. None to look only.
    pub(super) lock: Option<&'a OwnedFd>,
}

/// Copies. Whatever happens, `figures` counts what was done.
pub(super) fn copy(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    stops: &mut Stops,
    telling: &Telling,
    figures: &mut Figures,
) -> Result<Copied, Conclusion> {
    let submounts = Submounts::below(copying.source);
    let hear = &mut |said: &Said| {
        if let Said::Progress(progress) = said {
            telling.progress(*progress);
        }
    };
    let first = match plan.restraint {
        Restraint::CopyFirst => Effect::Copy(Some(0)),
        Restraint::NewDirectory => Effect::Copy(None),
    };
    let pass = call(copying, plan, first, stops, hear)?;
    add(figures, &pass);
    let mut copied = Copied::default();
    worth(&pass, &mut copied)?;
    copied.created = pass.tally.created;
    copied.regular_files = pass.tally.regular_files;
    submounts.still_there(copying.source)?;
    if plan.restraint == Restraint::CopyFirst && (pass.complaints.withheld > 0 || pass.complaints.in_the_way > 0) {
        let limit = allowed(copying, plan, &pass, stops, hear)?;
        let second = call(copying, plan, Effect::Copy(limit), stops, hear)?;
        add(figures, &second);
        if second.complaints.withheld > 0 {
            // The source lost more between the two calls.
            let deletions = second.tally.figures.deletions.saturating_add(second.complaints.withheld);
            return Err(held(copying, deletions, before(&pass, deletions)));
        }
        worth(&second, &mut copied)?;
        submounts.still_there(copying.source)?;
    }
    copied.figures = *figures;
    Ok(copied)
}

/// How many entries may be deleted, if what would be is not held. rsync's own count of what a limit withheld leaves out
/// directories, so it is taken high first, and only if that is too much it is asked exactly.
fn allowed(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    pass: &Pass,
    stops: &mut Stops,
    hear: &mut dyn FnMut(&Said),
) -> Result<Option<u64>, Conclusion> {
    let guard = copying.sync.guard;
    let seen =
        |deletions| Deletions { deletions, before: before(pass, deletions), files_left: pass.tally.regular_files };
    let high = seen(pass.complaints.deletions_at_most().max(1));
    let limit =
        |seen: Deletions| guard::allowance(guard, seen.before, copying.approved).map(|limit| limit.max(seen.deletions));
    if guard::hold(guard, high, copying.approved).is_none() {
        return Ok(limit(high));
    }
    let told = call(copying, plan, Effect::Tell, stops, hear)?;
    worth(&told, &mut Copied::default())?;
    let exact = seen(told.tally.deleted_items);
    match guard::hold(guard, exact, copying.approved) {
        Some(reason) => Err(Conclusion::Held(reason)),
        None => Ok(limit(exact)),
    }
}

/// How many entries the destination held before.
pub(super) fn before(pass: &Pass, deletions: u64) -> u64 {
    pass.tally.figures.entries.saturating_sub(pass.tally.created).saturating_add(deletions)
}

fn held(copying: &Copying<'_>, deletions: u64, before: u64) -> Conclusion {
    let seen = Deletions { deletions, before, files_left: 0 };
    match guard::hold(copying.sync.guard, seen, copying.approved) {
        Some(reason) => Conclusion::Held(reason),
        None => failure(Step::Copy, FailureKind::Other, "the source changed too much while it was copied"),
    }
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

/// Judges a call and adds what it is worth.
fn worth(pass: &Pass, copied: &mut Copied) -> Result<(), Conclusion> {
    match judge::verdict(pass.end, &pass.complaints) {
        Verdict::Good(remarks) => {
            if copied.remarks.is_empty() {
                copied.remarks = remarks;
            }
            Ok(())
        }
        Verdict::Partial(missing) => {
            copied.missing = missing;
            Ok(())
        }
        Verdict::SourceLost(what) => Err(Conclusion::Interrupted(Interruption::SourceLost(what))),
        Verdict::Stopped => Err(failure(Step::Copy, FailureKind::Resource, "rsync was stopped by another program")),
        Verdict::Failed(kind, detail) => Err(failure(Step::Copy, kind, detail)),
    }
}

/// One call of rsync, done.
pub(super) struct Pass {
    pub(super) end: TransferEnd,
    pub(super) tally: Tally,
    pub(super) complaints: Complaints,
}

/// Calls rsync once. `hear` is told all that its output says.
pub(super) fn call(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    effect: Effect,
    stops: &mut Stops,
    hear: &mut dyn FnMut(&Said),
) -> Result<Pass, Conclusion> {
    stops.check()?;
    let starting =
        |cause: std::io::Error| failure(Step::Copy, FailureKind::Resource, format!("could not start rsync: {cause}"));
    let source = Passed::new(copying.source).map_err(starting)?;
    let launch = Launch {
        program: PathBuf::from(copying.rsync),
        arguments: words(copying, plan, effect, &source.operand(), OsStr::new(copying.into)),
        // Its messages are read as they are in no language.
        environment: vec![("LC_ALL".to_owned(), OsString::from("C"))],
        input: copying.lock.map(OwnedFd::try_clone).transpose().map_err(starting)?,
        leftovers: Leftovers::End,
    };
    let running = process::start(launch, Some(copying.destination));
    drop(source);
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

/// The arguments of a call between these operands.
pub(super) fn words(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    effect: Effect,
    source: &OsStr,
    destination: &OsStr,
) -> Vec<OsString> {
    arguments(&Call {
        settings: &copying.sync.rsync,
        filters: &copying.sync.filters,
        filter_file: copying.sync.filter_file.as_deref(),
        nested: copying.nested,
        manner: &plan.manner,
        comparison: plan.comparison,
        effect,
        source,
        destination,
    })
}

/// The filesystems that are mounted below the source. One that goes away during the copy leaves an empty directory,
/// which rsync takes for the truth.
struct Submounts(Vec<Mount>);

impl Submounts {
    fn below(source: &Directory) -> Self {
        let (Some(path), Ok(mounts)) = (source.real_path(), mounts::read()) else { return Self(Vec::new()) };
        Self(mounts.into_iter().filter(|mount| mount.point.starts_with(&path) && mount.point != path).collect())
    }

    fn still_there(&self, source: &Directory) -> Result<(), Conclusion> {
        if self.0.is_empty() {
            return Ok(());
        }
        let now = Self::below(source);
        let there = |mount: &&Mount| now.0.iter().any(|other| other.id == mount.id && other.point == mount.point);
        match self.0.iter().find(|mount| !there(mount)) {
            None => Ok(()),
            Some(gone) => {
                let what = format!("what was mounted at {} is gone", gone.point.display());
                Err(Conclusion::Interrupted(Interruption::SourceLost(what)))
            }
        }
    }
}
