//! What differs between two copies of a sync, as rsync tells it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::backup::failure::{failure, of_directory, of_process};
use crate::backup::job::{SyncAsSeen, sentence};
use crate::backup::place::copies::{Copies, HereCopies, have_history};
use crate::backup::restore::fetch::not_confined;
use crate::backup::session::LONG;
use crate::backup::session::stop::Stops;
use crate::decide::retention::Candidate;
use crate::formats::rsync::arguments::slash;
use crate::formats::rsync::comparing::compare_options;
use crate::formats::rsync::output::{Lines, OutputLine, said};
use crate::formats::ssh::compare::{CompareCall, ended};
use crate::formats::text::wall_time;
use crate::model::{FailureKind, NotDone, Obstacle, SnapshotName, Step, SyncName, Walls, layout};
use crate::os::apart::SOURCE;
use crate::os::confine::{WhatIsRead, confine_to_nothing};
use crate::os::directory::{Directory, Reach};
use crate::os::enclosure::{Bounds, Enclosure, Workplace};
use crate::os::passed::Passed;
use crate::os::process::{self, Ended, Launch, Leftovers, Stream};
use crate::os::ssh::SshPlace;
use crate::os::{clock, programs};

/// What rsync ends with where some entries could not be looked at.
const PARTIAL_ENDS: [i32; 2] = [23, 24];

/// Two copies that were compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ComparedCopies {
    /// The one that what differs is told of.
    pub(crate) older: SnapshotName,
    /// The other one.
    pub(crate) newer: SnapshotName,
    /// What is wanting.
    pub(crate) notes: Vec<String>,
}

/// Compares the copies of two moments. What differs goes to `hear`.
pub(crate) fn between(
    seen: &SyncAsSeen,
    (older, newer): (Timestamp, Timestamp),
    ssh: &SshPlace,
    (stops, hear): (&mut Stops, &mut (dyn FnMut(&OutputLine) + Send)),
) -> Result<ComparedCopies, String> {
    let sync = &seen.sync.name;
    if !have_history(seen.sync.snapshots) {
        return Err(format!("`{sync}` keeps no snapshots, so there are no two to compare"));
    }
    let copies = Copies::open(seen, ssh, stops)?;
    let finished = copies.finished();
    let (older, newer) = (as_of(&finished, older, sync)?, as_of(&finished, newer, sync)?);
    if older == newer {
        return Err(format!("both are the snapshot {older} of `{sync}`; name two moments between which one was made"));
    }
    let places = (layout::in_snapshots(older), layout::in_snapshots(newer));
    let code = match &copies {
        Copies::Here(here) => compare_here(here, &places, stops, hear).map_err(|why| sentence(&why, sync))?,
        Copies::There(far) => {
            let far = &far.destination;
            let options = compare_options(far.look.keeping());
            let call = CompareCall { end: &far.end, newer: &places.1, older: &places.0, options: &options }.call();
            let answer = far.server.told(&call, (Step::Copy, LONG), stops).map_err(|why| sentence(&why, sync))?;
            for line in answer.split(|byte| *byte == b'\n') {
                hear(&said(line));
            }
            ended(&answer)
        }
    };
    let notes = match code {
        Some(0) => Vec::new(),
        Some(code) if PARTIAL_ENDS.contains(&code) => {
            vec!["some entries could not be looked at, and what differs in them is not told".to_owned()]
        }
        Some(code) => return Err(format!("rsync ended with code {code} where it compared {older} and {newer}")),
        None => vec!["more differs than the server can tell in one answer; the rest is not listed".to_owned()],
    };
    Ok(ComparedCopies { older, newer, notes })
}

/// The newest snapshot that is not newer than a moment.
fn as_of(finished: &[Candidate], moment: Timestamp, sync: &SyncName) -> Result<SnapshotName, String> {
    let times = finished.iter().map(|candidate| candidate.name);
    let found = times.clone().filter(|name| name.time() <= moment).max_by_key(|name| name.time());
    found.ok_or_else(|| {
        let zone = clock::now().zone;
        let oldest = times.min_by_key(|name| name.time());
        let oldest = oldest.map(|name| format!("; the oldest is {name}")).unwrap_or_default();
        format!("`{sync}` has no snapshot that is as old as {}{oldest}", wall_time(moment, &zone))
    })
}

/// Compares two directories of a destination on this machine, on a thread that is confined to reading them. Returns
/// the code with which rsync ended.
fn compare_here(
    here: &HereCopies,
    (older, newer): &(PathBuf, PathBuf),
    stops: &mut Stops,
    hear: &mut (dyn FnMut(&OutputLine) + Send),
) -> Result<Option<i32>, NotDone> {
    let missing = Obstacle::ToolMissing { tool: "rsync".into(), server: None };
    let rsync = programs::find_program("rsync").ok_or(NotDone::Skipped(vec![missing]))?;
    let open = |below: &Path| here.directory.open_below(below, Reach::SameMount);
    let open = |below: &Path| open(below).map_err(|error| of_directory(Step::Copy, &error));
    let (older, newer) = (open(older)?, open(newer)?);
    let options = compare_options(here.keeping());
    let bounds = Bounds::new((Some(&newer), Some(&older)), vec![rsync.clone()], WhatIsRead::TheseAlone)
        .map_err(|error| not_confined(&error))?;
    let done = std::thread::scope(|scope| {
        let confined = || {
            let enclosure = Enclosure::split_off(bounds).map_err(|error| not_confined(&error))?;
            confine_to_nothing().map_err(|error| not_confined(&error.into()))?;
            called(&enclosure, (&older, &newer), (rsync, options), stops, hear)
        };
        scope.spawn(confined).join()
    });
    done.unwrap_or_else(|_| Err(failure(Step::Copy, FailureKind::Other, "the work ended without a result")))
}

fn called(
    enclosure: &Enclosure,
    (older, newer): (&Directory, &Directory),
    (rsync, mut arguments): (PathBuf, Vec<OsString>),
    stops: &mut Stops,
    hear: &mut (dyn FnMut(&OutputLine) + Send),
) -> Result<Option<i32>, NotDone> {
    let not_started =
        |cause: &std::io::Error| failure(Step::Copy, FailureKind::Resource, format!("could not start rsync: {cause}"));
    let (walls, _why) = enclosure.open().map_err(|error| not_confined(&error))?;
    let is_apart = walls == Walls::Apart;
    let passed = if is_apart { None } else { Some(Passed::new(newer).map_err(|cause| not_started(&cause))?) };
    let source = passed.as_ref().map_or_else(|| slash(Path::new(SOURCE)), Passed::operand);
    arguments.extend(["--".into(), source, "./".into()]);
    let fixed = [("LC_ALL", "C"), ("HOME", "/dev/null")];
    let environment = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let launch = Launch { program: rsync, arguments, environment, input: None, leftovers: Leftovers::End };
    let (ready, workplace) = if is_apart {
        let found = older.identity().map_err(|error| of_directory(Step::Copy, &error))?;
        let directory = Some((PathBuf::new(), found.device, found.inode));
        (process::made_ready(launch, None), Some(Workplace { directory, list: None }))
    } else {
        (process::made_ready(launch, Some(older)), None)
    };
    let running = enclosure.start_child(ready, workplace).map_err(|error| not_confined(&error))?;
    drop(passed);
    let (mut output, mut errors) = (Lines::default(), Lines::default());
    let bell = stops.bell.share().map_err(|cause| not_started(&cause))?;
    let mut complained = None;
    let heard = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Output => output.feed(bytes, |line| hear(&said(line))),
        Stream::Errors => errors.feed(bytes, |line| {
            complained.get_or_insert_with(|| String::from_utf8_lossy(line).into_owned());
        }),
    };
    let ended = running.listen(&bell, heard, || stops.wanted()).map_err(|error| of_process(Step::Copy, &error))?;
    output.finish(|line| hear(&said(line)));
    stops.check()?;
    match ended {
        Ended::Code(code) if code == 0 || PARTIAL_ENDS.contains(&code) => Ok(Some(code)),
        Ended::Code(code) => {
            let why = complained.unwrap_or_else(|| format!("rsync ended with code {code}"));
            Err(failure(Step::Copy, FailureKind::Other, why))
        }
        Ended::Signal(signal) => {
            Err(failure(Step::Copy, FailureKind::Resource, format!("rsync was ended by signal {signal}")))
        }
    }
}
