//! The copy: rsync, called and listened to, and judged. It never deletes by itself: what it would delete is judged
//! first.

pub mod call;
pub mod crossings;
pub mod cuts;
pub mod deletions;
pub mod incomplete;
pub mod linking;
pub mod merge_files;
pub mod orphans;
pub mod plan;
pub mod tell;
pub mod unchanged;
pub mod weights;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::backup::copy::call::{Copying, not_started, start};
use crate::backup::copy::cuts::{ContentChanges, may_cut};
use crate::backup::copy::deletions::Doomed;
use crate::backup::copy::merge_files::Traps;
use crate::backup::copy::orphans::{Sent, forget_beginning, take_up};
use crate::backup::copy::plan::{CopyPlan, Restraint, Strategy};
use crate::backup::copy::weights::Weights;
use crate::backup::failure::{failure, of_directory, of_process};
use crate::backup::news::Telling;
use crate::backup::place::way::CopyWay;
use crate::backup::session::failure::refused;
use crate::backup::session::stop::Stops;
use crate::decide::guard::{self, Deletions};
use crate::decide::judge::{self, CopyVerdict, DeletionVerdict};
use crate::decide::plights;
use crate::formats::rsync::arguments::{CopyMode, Manner, Unfinished};
use crate::formats::rsync::complaints::Listener;
use crate::formats::rsync::exit;
use crate::formats::rsync::output::{Lines, OutputLine, Tally, said};
use crate::formats::rsync::pace::CopyPace;
use crate::model::{
    Complaints, End, FailureKind, Figures, Guard, HeavyDirectory, Interruption, Lack, Letters, Named, NotDone, Plight,
    Step, TransferEnd,
};
use crate::os::process::{Ended, Stream, Wanted};

/// So many files may be too large for the destination: each costs a call.
const MOST_TOO_LARGE: usize = 50;

/// What a copy came to.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// What it counted.
    pub(crate) figures: Figures,
    /// The directories of which most was sent, the first the most.
    pub(crate) heaviest: Vec<HeavyDirectory>,
    /// Entries that were made or changed in any way, each time that it was.
    pub(crate) changed: u64,
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
    /// What of the source could not be looked at, as far as all of that is known.
    pub(crate) obscured: BTreeSet<PathBuf>,
}

impl Copied {
    /// Takes in what a further call came to, of what the one before left to it.
    pub(crate) fn add(&mut self, further: Self) {
        let (figures, more) = (&mut self.figures, further.figures);
        figures.files_transferred = figures.files_transferred.saturating_add(more.files_transferred);
        figures.bytes_transferred = figures.bytes_transferred.saturating_add(more.bytes_transferred);
        figures.size = figures.size.saturating_add(more.size);
        figures.unreadable = figures.unreadable.saturating_add(more.unreadable);
        figures.vanished = figures.vanished.saturating_add(more.vanished);
        // It counts directories that the call before made.
        figures.entries = figures.entries.saturating_add(further.created);
        self.changed = self.changed.saturating_add(further.changed);
        self.created = self.created.saturating_add(further.created);
        self.regular_files = self.regular_files.saturating_add(further.regular_files);
        self.resized = self.resized.saturating_add(further.resized);
        self.obscured.extend(further.obscured);
        for (told, new) in [(&mut self.missing, further.missing), (&mut self.remarks, further.remarks)] {
            let new = new.into_iter().filter(|line| !told.contains(line)).collect::<Vec<_>>();
            told.extend(new);
        }
    }
}

/// Copies. Whatever happens, the figures count what was done. `proven` proves the source again: what is gone from one
/// that went away is not deleted.
pub(crate) fn copy(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    stops: &mut Stops,
    report: (&Telling, &mut Figures),
    proven: &dyn Fn(&mut Stops) -> Result<(), NotDone>,
) -> Result<Copied, NotDone> {
    match plan.strategy {
        Strategy::Walk => walk(copying, plan, stops, report, proven),
    }
}

/// Has rsync walk both trees.
fn walk(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    stops: &mut Stops,
    (telling, figures): (&Telling, &mut Figures),
    proven: &dyn Fn(&mut Stops) -> Result<(), NotDone>,
) -> Result<Copied, NotDone> {
    if plan.restraint == Restraint::CopyFirst {
        guard_content(copying, plan, stops)?;
    }
    let (mut changes, mut pace, mut weights) = (ContentChanges::default(), CopyPace::default(), Weights::default());
    let sent = RefCell::new(Sent::default());
    let is_continued = plan.manner == Manner::Replace(Unfinished::Possible);
    if let (CopyWay::Here(source, target), true) = (&copying.way, is_continued) {
        let options = &copying.sync.rsync.options;
        take_up(source, &target.directory, options).map_err(|error| of_directory(Step::Copy, &error))?;
    }
    let hear = &mut |said: &OutputLine| {
        changes.hear(said);
        weights.hear(said);
        if is_continued {
            sent.borrow_mut().hear(said);
        }
        if let OutputLine::Progress(told) = said {
            telling.progress(pace.progress(*told));
        }
    };
    let mut copied = Copied::default();
    let (pass, plan) = first_pass(copying, plan, stops, hear, (figures, &mut copied))?;
    worth(copying, &pass, &mut copied)?;
    copied.created = copied.created.saturating_add(pass.tally.created);
    copied.regular_files = pass.tally.regular_files;
    if pass.complaints.obscured.more == 0 {
        copied.obscured.clone_from(&pass.complaints.obscured.paths);
    }
    let given_up = judge::deletions(&pass.complaints);
    let mut refusal = None;
    let is_left = given_up != DeletionVerdict::Done || pass.complaints.withheld > 0 || pass.complaints.in_the_way > 0;
    if plan.restraint == Restraint::NewDirectory || is_left {
        proven(stops)?;
    }
    if plan.restraint == Restraint::CopyFirst && is_left {
        let mut plan = plan.clone();
        plan.spared.extend(spared(&given_up));
        let doomed = judged_deletions((copying, &plan), (&pass, &sent.borrow()), stops, &mut copied)?;
        proven(stops)?;
        let deleted = doomed.delete(copying.target, stops)?;
        figures.deletions = figures.deletions.saturating_add(deleted.count);
        refusal = deleted.refusal();
    }
    if pass.complaints.in_the_way > 0 {
        // What was in the way is gone.
        let second = call(copying, &plan, CopyMode::Copy, stops, hear)?;
        add(figures, &second);
        worth(copying, &second, &mut copied)?;
        if second.complaints.in_the_way > 0 {
            return Err(failure(Step::Copy, FailureKind::Other, "the source changed too much while it was copied"));
        }
    }
    copied.changed = changes.all();
    copied.heaviest = weights.heaviest();
    copied.resized = changes.resized();
    copied.remarks.extend(guard::replaced(copying.sync.guard, changes.replaced(), copied.regular_files));
    copied.figures = *figures;
    refusal.map_or(Ok(copied), Err)
}

/// The first call; it is made again without files that are too large for the destination, at the first of which rsync
/// gives up. What is passed over then is missing from the copy.
fn first_pass(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    stops: &mut Stops,
    hear: &mut dyn FnMut(&OutputLine),
    (figures, copied): (&mut Figures, &mut Copied),
) -> Result<(Pass, CopyPlan), NotDone> {
    let mut plan = plan.clone();
    let mut too_large = Named::default();
    let mut pass = loop {
        let pass = call(copying, &plan, CopyMode::Copy, stops, hear)?;
        add(figures, &pass);
        let known = plan.spared.len();
        // What rsync keeps of such a file at a server would pass for it.
        let (CopyWay::Here(_, target) | CopyWay::Pull(_, target)) = &copying.way else { break pass };
        if pass.end == TransferEnd::FileError && known < MOST_TOO_LARGE {
            plan.spared.extend(pass.complaints.too_large.iter().cloned());
        }
        if plan.spared.len() == known {
            break pass;
        }
        for path in &pass.complaints.too_large {
            forget_beginning(target, &plan.manner, path).map_err(|error| of_directory(Step::Copy, &error))?;
            too_large.add(path.display().to_string());
        }
        copied.created = copied.created.saturating_add(pass.tally.created);
    };
    if plan.manner == Manner::InPlace && pass.complaints.count(Plight::Unwritten) > 0 {
        // An ordinary user may not write to a file that lets nobody, but may put another in its place.
        let manner = Manner::Link { bases: Vec::new(), unfinished: Unfinished::Possible };
        let beside = call(copying, &CopyPlan { manner, ..plan.clone() }, CopyMode::Copy, stops, hear)?;
        add(figures, &beside);
        copied.created = copied.created.saturating_add(beside.tally.created);
        pass.end = beside.end;
        pass.complaints.entries = beside.complaints.entries;
        pass.complaints.gravest = pass.complaints.gravest.or(beside.complaints.gravest);
        pass.complaints.unknown = pass.complaints.unknown.or(beside.complaints.unknown);
    }
    if too_large.count > 0 {
        copied.missing.push(plights::told(Plight::Unstorable(Lack::Size), &too_large));
    }
    Ok((pass, plan))
}

/// What a second call passes over, so that it deletes what else is to go.
pub(crate) fn spared(given_up: &DeletionVerdict) -> BTreeSet<PathBuf> {
    match given_up {
        DeletionVerdict::Again(spared) => spared.clone(),
        DeletionVerdict::Done | DeletionVerdict::Undone => BTreeSet::new(),
    }
}

/// Holds a copy that would cut down too many files where they lie, before it does. rsync is asked only where that may
/// be.
fn guard_content(copying: &Copying<'_>, plan: &CopyPlan, stops: &mut Stops) -> Result<(), NotDone> {
    if !may_cut(copying, stops)? {
        return Ok(());
    }
    let mut changes = ContentChanges::default();
    let told = call(copying, plan, CopyMode::Tell, stops, &mut |said| changes.hear(said))?;
    judged(&copying.way, &told)?;
    changes.hold(copying, told.tally.regular_files, stops)?.map_or(Ok(()), |reason| Err(NotDone::Held(reason)))
}

/// What would be deleted, as rsync tells it, if that is not held. The second look is taken only where there is
/// something.
fn judged_deletions(
    (copying, plan): (&Copying<'_>, &CopyPlan),
    (pass, sent): (&Pass, &Sent),
    stops: &mut Stops,
    copied: &mut Copied,
) -> Result<Doomed, NotDone> {
    let mut doomed = Doomed::default();
    let told = call(copying, plan, CopyMode::Tell, stops, &mut |said| doomed.hear(said))?;
    doomed.spare_renamed(&told.tally);
    if told.complaints.entries.keys().all(|plight| pass.complaints.entries.contains_key(plight)) {
        // It is told of already, and of more entries: a look sees fewer that cannot be written.
        judged(&copying.way, &told)?;
    } else {
        worth(copying, &told, copied)?;
    }
    if judge::deletions(&told.complaints) != DeletionVerdict::Done {
        copied.missing.push(judge::UNDONE.to_owned());
    }
    // Whoever allows no deletion means none, and an emptied source deletes nothing.
    let guard = copying.guard();
    let is_bound = copying.sync.guard == Guard::MaxDelete(0) || told.tally.regular_files == 0;
    let paths = doomed.judged((!is_bound).then_some(sent));
    let before = before(pass, paths.count());
    let (files_left, unstorable) = (told.tally.regular_files, pass.complaints.unstorable());
    let seen = Deletions { paths, before, unstorable, files_left, against: None };
    match guard::hold(guard, seen, copying.approved) {
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
    figures.unreadable = figures.unreadable.max(pass.complaints.count(Plight::Unreadable));
    figures.vanished = figures.vanished.max(pass.complaints.count(Plight::Changed));
}

/// Judges a call and adds what it is worth.
fn worth(copying: &Copying<'_>, pass: &Pass, copied: &mut Copied) -> Result<(), NotDone> {
    match judged(&copying.way, pass)? {
        Good::Whole(remarks) => {
            if copied.remarks.is_empty() {
                copied.remarks = remarks;
            }
        }
        Good::Partial(missing) => {
            // Of what a call passes over, only the one before was told.
            let new = missing.into_iter().filter(|told| !copied.missing.contains(told)).collect::<Vec<_>>();
            copied.missing.extend(new);
        }
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
    let traps = Traps::find(copying, plan.restraint, stops)?;
    let around = CopyPlan { spared: plan.spared.iter().cloned().chain(traps.directories()).collect(), ..plan.clone() };
    let running = start(copying, &around, effect)?;
    let (mut tally, mut listener) = (tally(plan), Listener::below(copying.roots()));
    let (mut output, mut errors) = (Lines::default(), Lines::default());
    let bell = stops.bell.share().map_err(|cause| not_started(&cause))?;
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
    listener.add(&tally, plan.keeping);
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
    let mut complaints = listener.complaints().clone();
    traps.tell(&mut complaints);
    Ok(Pass { end, tally, complaints })
}

fn tally(plan: &CopyPlan) -> Tally {
    match plan.keeping.names {
        Letters::Apart => Tally::default(),
        Letters::Same => Tally::of_names(),
    }
}
