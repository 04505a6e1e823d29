//! Bringing an entry of a copy to its place, by rsync.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::backup::failure::{could_not, failure, of_directory, of_process};
use crate::backup::place::way::MOST;
use crate::backup::restore::aim::Aim;
use crate::backup::restore::naming::renamed;
use crate::backup::session::Session;
use crate::backup::session::failure::refused;
use crate::backup::session::stop::Stops;
use crate::decide::judge::{self, CopyVerdict, Distance};
use crate::decide::plights;
use crate::formats::rsync::arguments::{Passage, slash};
use crate::formats::rsync::complaints::Listener;
use crate::formats::rsync::exit;
use crate::formats::rsync::output::{Lines, OutputLine, Tally, said};
use crate::formats::rsync::pace::CopyPace;
use crate::formats::rsync::restoring::{self, RestoreCall};
use crate::formats::ssh::arguments::SHARED_HOST;
use crate::formats::ssh::calls::{ProvenEnd, SeenThere, TransferCall, Usage, WrittenEnd};
use crate::model::{
    Complaints, Earnest, End, Existing, Failure, FailureKind, Figures, Interruption, Keeping, NotDone, Obstacle,
    Plight, Privileges, Progress, RestoreEnding, RsyncSettings, Step, TransferEnd, Walls,
};
use crate::os::apart::{DESTINATION, SOURCE};
use crate::os::causes::chain;
use crate::os::confine::{WhatIsRead, confine_to_nothing, confine_writes};
use crate::os::directory::Directory;
use crate::os::enclosure::{Bounds, Enclosure, EnclosureError, Workplace};
use crate::os::passed::Passed;
use crate::os::process::{self, Bell, Ended, Launch, Leftovers, Running, Stream, Wanted};
use crate::os::{files, programs};

/// So many files that stay are named; more are counted.
const NAMED: usize = 1000;

/// Where an entry is taken from.
#[derive(Debug)]
pub(crate) enum FetchOrigin<'a> {
    /// From this directory of a copy on this machine.
    Here(&'a Directory),
    /// From a copy at a server.
    There {
        /// The connection.
        server: &'a Session,
        /// The destination.
        end: &'a ProvenEnd,
        /// The directory of the copy, below that.
        place: PathBuf,
        /// Where that really lies.
        at: PathBuf,
    },
}

/// How it is brought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchManner<'a> {
    /// The settings by which the copy was made, if they are known.
    pub(crate) settings: Option<&'a RsyncSettings>,
    /// What the filesystem of the copy keeps.
    pub(crate) keeping: Keeping,
    /// Whether what gives a file power is given back.
    pub(crate) privileges: Privileges,
    /// What becomes of what is there.
    pub(crate) existing: Existing,
    /// Whether anything is changed.
    pub(crate) earnest: Earnest,
}

/// What was brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetched {
    /// What rsync counted.
    pub(crate) figures: Figures,
    /// Files that are there already, as the copy has them.
    pub(crate) same: u64,
    /// Files that stay although the copy has others, as far as they are named.
    pub(crate) kept: Vec<String>,
    /// How many these are.
    pub(crate) kept_count: u64,
    /// What is wanting.
    pub(crate) missing: Vec<String>,
    /// Whether some of that has nothing of a person's in its place.
    pub(crate) leaves_gaps: bool,
    /// What else a person may want to know.
    pub(crate) remarks: Vec<String>,
}

/// Why it was not brought, and whether any of it was: not before rsync has started.
#[derive(Debug)]
pub(crate) struct Unfetched {
    pub(crate) why: NotDone,
    pub(crate) ending: RestoreEnding,
}

impl From<NotDone> for Unfetched {
    fn from(why: NotDone) -> Self {
        Self { why, ending: RestoreEnding::Untouched }
    }
}

/// What is told while it is brought.
#[derive(Debug, Clone)]
pub(crate) enum FetchNews {
    /// How far it is.
    Progress(Progress),
    /// An entry that comes, or would come.
    Entry(String),
}

/// Brings it. The thread that does it writes nowhere but below the aim, and rsync comes to nothing but that and the
/// copy.
pub(crate) fn fetch(
    origin: &FetchOrigin<'_>,
    aim: &Aim,
    manner: FetchManner<'_>,
    stops: &mut Stops,
    hear: &mut (dyn FnMut(FetchNews) + Send),
) -> Result<Fetched, Unfetched> {
    let missing = Obstacle::ToolMissing { tool: "rsync".into(), server: None };
    let rsync = programs::find_program("rsync").ok_or(NotDone::Skipped(vec![missing]))?;
    let (source, further) = match origin {
        FetchOrigin::Here(directory) => (Some(*directory), Vec::new()),
        FetchOrigin::There { server, .. } => (None, server.needed()),
    };
    let needed = std::iter::once(rsync.clone()).chain(further).collect();
    let bounds = Bounds::new((source, Some(&aim.directory)), needed, WhatIsRead::TheseAlone)
        .map_err(|error| not_confined(&error))?;
    let done = std::thread::scope(|scope| {
        let confined = || {
            let enclosure = Enclosure::split_off(bounds).map_err(|error| not_confined(&error))?;
            let confined = match manner.earnest {
                Earnest::Real => confine_writes(aim.directory.as_fd()),
                Earnest::Pretended => confine_to_nothing(),
            };
            confined.map_err(|error| not_confined(&error.into()))?;
            call((origin, &enclosure, &rsync), aim, manner, stops, hear)
        };
        scope.spawn(confined).join()
    });
    let broken = || failure(Step::Copy, FailureKind::Other, "the work ended without a result");
    done.unwrap_or_else(|_| Err(Unfetched { why: broken(), ending: RestoreEnding::Cut }))
}

pub(crate) fn not_confined(error: &EnclosureError) -> NotDone {
    match error {
        EnclosureError::Process(error) => of_process(Step::Copy, error),
        EnclosureError::Place(error) => of_directory(Step::Copy, error),
        EnclosureError::Thread(_)
        | EnclosureError::Moved(_)
        | EnclosureError::Ended
        | EnclosureError::Confine(_)
        | EnclosureError::Rights(_)
        | EnclosureError::Apart(_) => failure(Step::Copy, FailureKind::Other, could_not(error)),
    }
}

fn call(
    (origin, enclosure, rsync): (&FetchOrigin<'_>, &Enclosure, &Path),
    aim: &Aim,
    manner: FetchManner<'_>,
    stops: &mut Stops,
    hear: &mut (dyn FnMut(FetchNews) + Send),
) -> Result<Fetched, Unfetched> {
    stops.check()?;
    let bell = stops.bell.share().map_err(|cause| not_started(&cause))?;
    let running = start((origin, enclosure, rsync), aim, manner)?;
    attended((origin, enclosure), aim, (running, &bell), stops, hear)
        .map_err(|why| Unfetched { why, ending: RestoreEnding::Cut })
}

/// What an rsync that has started comes to.
fn attended(
    (origin, enclosure): (&FetchOrigin<'_>, &Enclosure),
    aim: &Aim,
    (running, bell): (Running, &Bell),
    stops: &mut Stops,
    hear: &mut (dyn FnMut(FetchNews) + Send),
) -> Result<Fetched, NotDone> {
    let (mut tally, mut listener) = (Tally::default(), Listener::below(roots((origin, enclosure), aim)));
    let (mut output, mut errors) = (Lines::default(), Lines::default());
    let (mut fetched, mut pace) = (Fetched::default(), CopyPace::default());
    let mut take = |line: &[u8]| {
        let line_said = said(line);
        tally.add(&line_said);
        match line_said {
            OutputLine::Progress(told) => hear(FetchNews::Progress(pace.progress(told))),
            OutputLine::Changed(item) => hear(FetchNews::Entry(format!("{} {}", item.how, item.name))),
            OutputLine::Nothing => fetched.hear(line),
            OutputLine::Deleted(_)
            | OutputLine::Unchanged(_)
            | OutputLine::LeftOut(_)
            | OutputLine::GaveUpDeleting
            | OutputLine::KeptDirectory
            | OutputLine::Statistic(..)
            | OutputLine::Entries(..) => {}
        }
    };
    let heard = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Output => output.feed(bytes, &mut take),
        Stream::Errors => errors.feed(bytes, |line| listener.hear(line)),
    };
    let ended = running.listen(bell, heard, || stops.wanted()).map_err(|error| of_process(Step::Copy, &error))?;
    output.finish(&mut take);
    errors.finish(|line| listener.hear(line));
    listener.add(&tally, Keeping::default());
    if stops.wanted() != Wanted::GoOn && ended != Ended::Code(0) {
        stops.check()?;
    }
    let end = match ended {
        Ended::Code(code) => exit::meaning(code),
        Ended::Signal(signal) => TransferEnd::Killed(signal),
    };
    fetched.figures = tally.figures;
    let walls = enclosure.walls();
    in_names_of_ours(judge(origin, end, &listener, fetched), |text| in_ours(text, (origin, walls), aim))
}

/// The same with what rsync said in names that a person knows.
fn in_names_of_ours(done: Result<Fetched, NotDone>, ours: impl Fn(&str) -> String) -> Result<Fetched, NotDone> {
    match done {
        Ok(mut fetched) => {
            fetched.missing.iter_mut().chain(&mut fetched.remarks).for_each(|text| *text = ours(text));
            Ok(fetched)
        }
        Err(NotDone::Failed(failure)) => Err(NotDone::Failed(Failure { detail: ours(&failure.detail), ..failure })),
        Err(NotDone::Interrupted(Interruption::SourceLost(what))) => {
            Err(NotDone::Interrupted(Interruption::SourceLost(ours(&what))))
        }
        Err(why) => Err(why),
    }
}

/// What rsync said, with the real names of both ends: where it sees nothing else they are called otherwise, at a server
/// too.
fn in_ours(text: &str, (origin, walls): (&FetchOrigin<'_>, Option<Walls>), aim: &Aim) -> String {
    let is_of_sender = text.contains("[sender]");
    let (name, real) = match origin {
        FetchOrigin::There { place, at, .. } if is_of_sender => {
            (DESTINATION, at.ancestors().nth(place.components().count()).unwrap_or(at))
        }
        FetchOrigin::Here(_) | FetchOrigin::There { .. } if walls != Some(Walls::Apart) => return text.to_owned(),
        FetchOrigin::Here(directory) if is_of_sender => (SOURCE, directory.path()),
        FetchOrigin::Here(_) | FetchOrigin::There { .. } => (DESTINATION, aim.directory.path()),
    };
    renamed(text, name, real)
}

fn judge(origin: &FetchOrigin<'_>, end: TransferEnd, heard: &Listener, fetched: Fetched) -> Result<Fetched, NotDone> {
    let distance = match origin {
        FetchOrigin::Here(_) => Distance::Here,
        FetchOrigin::There { .. } => Distance::Server,
    };
    let complaints = heard.complaints();
    let is_about_entries = complaints.refused.is_none()
        && complaints.gravest.is_none()
        && (!complaints.entries.is_empty() || complaints.in_the_way > 0);
    if is_about_entries && matches!(end, TransferEnd::Complete | TransferEnd::Vanished | TransferEnd::Partial) {
        return Ok(wanting(complaints, fetched));
    }
    Err(match judge::verdict(end, complaints, distance) {
        CopyVerdict::Good(remarks) => return Ok(Fetched { remarks, ..fetched }),
        CopyVerdict::Partial(missing) => return Ok(Fetched { missing, leaves_gaps: true, ..fetched }),
        CopyVerdict::SourceLost(what) => NotDone::Interrupted(Interruption::SourceLost(what)),
        CopyVerdict::Disconnected(what) => NotDone::Interrupted(Interruption::Network(what)),
        CopyVerdict::Refused(why) => {
            let host = match origin {
                FetchOrigin::Here(_) => "this machine",
                FetchOrigin::There { server, .. } => server.host(),
            };
            refused(host, &why, End::Source)
        }
        CopyVerdict::Stopped => failure(Step::Copy, FailureKind::Resource, "rsync was stopped by another program"),
        CopyVerdict::Failed(kind, detail) => failure(Step::Copy, kind, detail),
    })
}

/// What is wanting where single entries did not come back, and the rest did.
fn wanting(complaints: &Complaints, mut fetched: Fetched) -> Fetched {
    for (plight, named) in &complaints.entries {
        let whole = matches!(plight, Plight::Stripped | Plight::Dangling);
        let to = if whole { &mut fetched.remarks } else { &mut fetched.missing };
        to.push(plights::told_of_restore(*plight, named));
    }
    fetched.missing.extend(complaints.unknown.iter().map(|line| format!("rsync did not do everything: {line}")));
    fetched.leaves_gaps = !fetched.missing.is_empty();
    if complaints.in_the_way > 0 {
        fetched.missing.push(
            "a directory that is not empty, or something else of another kind, is in the way and stays: move it away, \
             or use `--to DIR`"
                .into(),
        );
    }
    fetched
}

impl Fetched {
    fn hear(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        match restoring::stays(&line) {
            Some((_, false)) => self.same = self.same.saturating_add(1),
            Some((name, true)) => {
                self.kept_count = self.kept_count.saturating_add(1);
                if self.kept.len() < NAMED {
                    self.kept.push(name.to_owned());
                }
            }
            None => {}
        }
    }
}

/// What entries are named relative to: rsync tells where they lie for it.
fn roots((origin, enclosure): (&FetchOrigin<'_>, &Enclosure), aim: &Aim) -> Vec<PathBuf> {
    let from = match origin {
        FetchOrigin::Here(directory) => directory.real_path().into_iter().collect(),
        FetchOrigin::There { at, place, .. } => vec![at.clone(), Path::new(DESTINATION).join(place)],
    };
    let apart = [SOURCE, DESTINATION].map(PathBuf::from);
    let apart = (enclosure.walls() == Some(Walls::Apart)).then_some(apart);
    from.into_iter().chain(aim.directory.real_path()).chain(apart.into_iter().flatten()).collect()
}

fn not_started(cause: &std::io::Error) -> NotDone {
    failure(Step::Copy, FailureKind::Resource, format!("could not start rsync: {cause}"))
}

fn start(
    (origin, enclosure, rsync): (&FetchOrigin<'_>, &Enclosure, &Path),
    aim: &Aim,
    manner: FetchManner<'_>,
) -> Result<Running, NotDone> {
    let (walls, why) = enclosure.open().map_err(|error| not_confined(&error))?;
    if let Some(why) = why {
        tracing::debug!("could not {}", chain(&why));
    }
    let is_apart = walls == Walls::Apart;
    // What is passed is dropped once rsync has it.
    let (launch, _passed) = launch(origin, aim, manner, (rsync, is_apart)).map_err(|cause| not_started(&cause))?;
    if !is_apart {
        return enclosure
            .start_child(process::made_ready(launch, Some(&aim.directory)), None)
            .map_err(|error| not_confined(&error));
    }
    let found = aim.directory.identity().map_err(|error| of_directory(Step::Copy, &error))?;
    let directory = Some((PathBuf::new(), found.device, found.inode));
    let workplace = Workplace { directory, list: Some(list(aim)) };
    enclosure.start_child(process::made_ready(launch, None), Some(workplace)).map_err(|error| not_confined(&error))
}

/// What is brought, as rsync reads it from a file.
fn list(aim: &Aim) -> Vec<u8> {
    [aim.item.as_os_str().as_bytes(), b"\0"].concat()
}

fn launch(
    origin: &FetchOrigin<'_>,
    aim: &Aim,
    manner: FetchManner<'_>,
    (rsync, is_apart): (&Path, bool),
) -> std::io::Result<(Launch, Vec<Passed>)> {
    let listed = if is_apart { None } else { Some(Passed::new(&files::in_memory(&list(aim))?)?) };
    let (source, passed, through) = match origin {
        FetchOrigin::Here(_) if is_apart => (slash(Path::new(SOURCE)), None, None),
        FetchOrigin::Here(directory) => {
            let passed = Passed::new(directory)?;
            (passed.operand(), Some(passed), None)
        }
        FetchOrigin::There { server, end, place, .. } => {
            let written = WrittenEnd { end, place: place.clone(), usage: Usage::Restored };
            let outlook = SeenThere::Ends;
            let call = TransferCall { most: MOST, source: None, destination: Some(written), outlook }.call();
            let through = (server.remote_shell(), server.rsync_path(&call));
            (OsString::from(format!("{SHARED_HOST}:./")), None, Some(through))
        }
    };
    let passage = match &through {
        None => Passage::None,
        Some((shell, server)) => Passage::Network { shell, server },
    };
    let arguments = restoring::restore_arguments(&RestoreCall {
        passage,
        settings: manner.settings,
        keeping: manner.keeping,
        privileges: manner.privileges,
        existing: manner.existing,
        earnest: manner.earnest,
        list: &listed.as_ref().map_or_else(Enclosure::list, Passed::path),
        source: &source,
        destination: &slash(&Path::new(".").join(&aim.missing)),
    });
    let fixed = [("LC_ALL", "C"), ("HOME", "/dev/null")];
    let environment = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let launch = Launch { program: rsync.to_owned(), arguments, environment, input: None, leftovers: Leftovers::End };
    Ok((launch, passed.into_iter().chain(listed).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::session::stop;

    #[test]
    fn what_ends_before_rsync_has_started_changed_nothing() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directory = Directory::open_root(from.path()).unwrap();
        let aim = Aim::into(to.path(), Path::new("letter"), Earnest::Real).unwrap();
        let (teller, mut stops) = stop::pair().unwrap();
        teller.tell(Interruption::Cancelled);
        let manner = FetchManner {
            settings: None,
            keeping: Keeping::default(),
            privileges: Privileges::LeftOut,
            existing: Existing::Stays,
            earnest: Earnest::Real,
        };
        let done = fetch(&FetchOrigin::Here(&directory), &aim, manner, &mut stops, &mut |_| {});
        let Err(Unfetched { why: NotDone::Interrupted(Interruption::Cancelled), ending }) = done else {
            panic!("{done:?}")
        };
        assert_eq!(ending, RestoreEnding::Untouched);
    }
}
