//! The ends of a sync at a server, as a look found and proved them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::backup::job::{Job, Layout, RemoteEnd};
use crate::backup::place::submounts::Submounts;
use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, SHORT, Session, Stoppable, failure as trouble};
use crate::formats::log;
use crate::formats::rsync::version;
use crate::formats::sentinel;
use crate::formats::ssh::answers::{self, Look};
use crate::formats::ssh::calls::{Intent, LookCall, ProvenEnd, ReadEnd};
use crate::formats::ssh::links::DirectoriesCall;
use crate::formats::ssh::sizes::{self, SampleCall, SizesCall};
use crate::formats::ssh::traps::{self, TrapsCall};
use crate::model::layout;
use crate::model::{
    End, HoldReason, Interruption, NotDone, Obstacle, Place, Precedent, SentinelFault, SentinelId, SnapshotKind, Step,
};
use crate::os::copies;

/// A source at a server.
#[derive(Debug)]
pub(crate) struct FarSource {
    /// The connection.
    pub(crate) server: Rc<Session>,
    /// What of it is read.
    pub(crate) end: ReadEnd,
    /// Where what is read really lies.
    pub(crate) at: PathBuf,
    /// The id that its sentinel carries.
    pub(crate) id: Option<SentinelId>,
    /// What is mounted below that, if the server tells.
    pub(crate) submounts: Option<Submounts>,
    wanted: RemoteEnd,
}

/// A destination at a server.
#[derive(Debug)]
pub(crate) struct FarDestination {
    /// The connection.
    pub(crate) server: Rc<Session>,
    /// How each script goes there.
    pub(crate) end: ProvenEnd,
    /// Where it really lies.
    pub(crate) at: PathBuf,
    /// What else was seen.
    pub(crate) look: Look,
}

/// The directory of the volume's root, as `cd` takes it.
pub(crate) fn root(end: &RemoteEnd) -> PathBuf {
    let root = if end.root.as_os_str().is_empty() { Path::new(".") } else { &end.root };
    if root.is_absolute() { root.into() } else { Path::new("./").join(root) }
}

impl FarSource {
    /// Looks at a source and proves it.
    pub(crate) fn prove(server: Rc<Session>, job: &Job, end: &RemoteEnd, stops: &mut Stops) -> Result<Self, NotDone> {
        let place = &job.sync.source;
        let kind = match end.layout {
            Layout::Plain => SnapshotKind::None,
            Layout::Snapshots => SnapshotKind::HardLink,
        };
        let look = look(&server, (end, End::Source, place), (Intent::Read, kind), stops)?;
        tools(&look, place)?;
        let mut at = look.at.clone().unwrap_or_default();
        let data = match end.layout {
            Layout::Plain => PathBuf::new(),
            Layout::Snapshots => {
                let shown = PathBuf::from(format!("{}:{}", server.host(), at.display()));
                let skipped = |obstacle| NotDone::Skipped(vec![obstacle]);
                let target = look.latest.clone().unwrap_or_default();
                if target.as_os_str().is_empty() || target == Path::new(layout::NOWHERE) {
                    return Err(skipped(Obstacle::NoSnapshotYet { path: shown }));
                }
                if layout::named_snapshot(&target).is_none() {
                    let reason = "it does not point to a snapshot beside it".into();
                    let path = shown.join(layout::LATEST);
                    return Err(skipped(Obstacle::DirectoryMissing { end: End::Source, path, reason }));
                }
                target
            }
        };
        at.push(&data);
        let end_there = ReadEnd { end: proven(end, place, &look), data };
        let id = sentinel::id(&look.end).ok().flatten();
        let submounts = look.mounts.map(|mounts| Submounts::below(&at, mounts));
        Ok(Self { server, end: end_there, at, id, submounts, wanted: end.clone() })
    }

    /// Whether it is still the one that was proven: what else is new, such as a newer snapshot, does not matter.
    /// Tells what is mounted below it.
    pub(crate) fn prove_again(&self, job: &Job, stops: &mut Stops) -> Result<Option<Submounts>, NotDone> {
        let (server, end, place) = (&self.server, &self.wanted, &job.sync.source);
        let lost = |what: String| NotDone::Interrupted(Interruption::SourceLost(what));
        let asked = (Intent::Read, SnapshotKind::None);
        let look = look(server, (end, End::Source, place), asked, stops).map_err(|why| {
            let NotDone::Skipped(obstacles) = why else { return why };
            lost(obstacles.first().map(ToString::to_string).unwrap_or_default())
        })?;
        let at = look.at.clone().unwrap_or_default().join(&self.end.data);
        if proven(end, place, &look) == self.end.end && at == self.at {
            Ok(look.mounts.map(|mounts| Submounts::below(&at, mounts)))
        } else {
            Err(lost(format!("{}:{} is another one than before", server.host(), self.at.display())))
        }
    }
}

impl FarDestination {
    /// What its log says of earlier copies.
    pub(crate) fn past(&self) -> Precedent {
        copies::of_records(&log::records(&self.look.past))
    }

    /// Looks at a destination and proves it.
    pub(crate) fn prove(
        server: Rc<Session>,
        (end, place, kind): (&RemoteEnd, &Place, SnapshotKind),
        intent: Intent<'_>,
        stops: &mut Stops,
    ) -> Result<Self, NotDone> {
        let look = look(&server, (end, End::Destination, place), (intent, kind), stops)?;
        tools(&look, place)?;
        let at = look.at.clone().unwrap_or_default();
        if kind == SnapshotKind::Btrfs && look.staging.as_deref() != Some("subvolume") {
            let found = match look.staging.as_deref() {
                Some("missing") => "it does not exist",
                Some("directory") => "it is an ordinary directory",
                Some("foreign") => "it is not on btrfs",
                Some(_) | None => "something else is in the way",
            };
            let path = format!("{}:{}", server.host(), at.join(layout::STAGING).display()).into();
            return Err(NotDone::Skipped(vec![Obstacle::NotBtrfs { path, found: found.into() }]));
        }
        Ok(Self { server, end: proven(end, place, &look), at, look })
    }
}

/// So many paths are sent to a server in one script.
const SENT: usize = 20_000;

/// Which of these paths below a place of a server are directories.
pub(crate) fn directories(
    server: &Session,
    (end, which, place): (&ProvenEnd, End, &Path),
    (paths, follows): (&BTreeSet<PathBuf>, bool),
    stops: &mut Stops,
) -> Result<BTreeSet<PathBuf>, NotDone> {
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let mut found = BTreeSet::new();
    for paths in paths.chunks(SENT) {
        let call = DirectoriesCall { end, which, place, follows, paths };
        found.extend(answers::directories(&server.told(&call.call(), (Step::Copy, LONG), stops)?, paths));
    }
    Ok(found)
}

/// The sizes of those of these files that are regular ones below a place of a server.
pub(crate) fn sizes(
    server: &Session,
    (end, which, place): (&ProvenEnd, End, &Path),
    paths: &[&Path],
    stops: &mut Stops,
) -> Result<BTreeMap<PathBuf, u64>, NotDone> {
    let mut found = BTreeMap::new();
    for paths in paths.chunks(SENT) {
        let call = SizesCall { end, which, place, paths };
        found.extend(sizes::sizes(&server.told(&call.call(), (Step::Judge, LONG), stops)?));
    }
    Ok(found)
}

/// What is no file below a place of a server where rsync would read one of these names.
pub(crate) fn no_files(
    server: &Session,
    (end, which, place): (&ProvenEnd, End, &Path),
    names: &BTreeSet<OsString>,
    stops: &mut Stops,
) -> Result<BTreeSet<PathBuf>, NotDone> {
    let call = TrapsCall { end, which, place, names };
    Ok(traps::traps(&server.told(&call.call(), (Step::Copy, LONG), stops)?))
}

/// From so many directories of a server a sample is taken.
const SAMPLED: usize = 200;

/// Some files below a place of a destination at a server with their sizes: so many, or all of a smaller one.
pub(crate) fn sample(
    server: &Session,
    (end, place): (&ProvenEnd, &Path),
    files: usize,
    stops: &mut Stops,
) -> Result<Vec<(PathBuf, u64)>, NotDone> {
    let call = SampleCall { end, place, directories: SAMPLED, files };
    Ok(sizes::sizes(&server.told(&call.call(), (Step::Judge, LONG), stops)?).into_iter().collect())
}

fn proven(end: &RemoteEnd, place: &Place, look: &Look) -> ProvenEnd {
    let text = |text: &Vec<u8>| OsString::from_vec(text.clone());
    let directory = place.subdir.as_path().to_owned();
    ProvenEnd { root: root(end), volume: text(&look.volume), directory, end: text(&look.end) }
}

fn tools(look: &Look, place: &Place) -> Result<(), NotDone> {
    let server = place.volume.clone();
    if let Some(found) = look.rsync.filter(|found| *found < version::OLDEST_AT_A_SERVER) {
        return Err(NotDone::Skipped(vec![Obstacle::ToolOutdated { tool: "rsync".into(), found, server }]));
    }
    if look.missing_tools.is_empty() {
        return Ok(());
    }
    let missing = |tool: &String| Obstacle::ToolMissing { tool: tool.clone(), server: Some(place.volume.clone()) };
    Err(NotDone::Skipped(look.missing_tools.iter().map(missing).collect()))
}

/// Asks how an end stands; its sentinels are the ones that are expected.
fn look(
    server: &Session,
    (end, which, place): (&RemoteEnd, End, &Place),
    (intent, kind): (Intent<'_>, SnapshotKind),
    stops: &mut Stops,
) -> Result<Look, NotDone> {
    let call = LookCall {
        intent,
        root: &root(end),
        directory: place.subdir.as_path(),
        kind,
        run: server.token(),
        client: server.client(),
        marker: layout::marker(kind),
        volume: end.volume_id.as_ref(),
        end: end.end_id.as_ref(),
    };
    let said = server.ask(&call.call(), (Stoppable::Yes, SHORT), stops)?;
    let look = answers::looked(&said.output);
    if let Some(word) = &look.obstacle {
        if let ("foreign", Some(writer)) = (word.word.as_str(), &look.writer) {
            return Err(NotDone::Held(HoldReason::ForeignWriter { writer: writer.clone(), here: String::new() }));
        }
        let mut word = word.clone();
        if word.text.starts_with(layout::OWN) {
            let at = look.at.as_ref().or(look.root.as_ref()).cloned().unwrap_or_default();
            word.text = format!("{}/{}", at.display(), word.text);
        }
        return Err(trouble::obstacle(server.host(), (which, place), &word));
    }
    if said.code != 0 || look.at.is_none() {
        return Err(trouble::gave_up(server.host(), Step::Prove, &said));
    }
    let checks = [
        (&look.volume, layout::VOLUME_SENTINEL, &look.root, end.volume_id.as_ref()),
        (&look.end, layout::sentinel(which), &look.at, end.end_id.as_ref()),
    ];
    for (text, name, at, id) in checks {
        let path = at.clone().unwrap_or_default().join(name);
        let path = PathBuf::from(format!("{}:{}", server.host(), path.display()));
        check(text, id).map_err(|wrong| {
            NotDone::Skipped(vec![match wrong {
                Wrong::Fault(fault) => Obstacle::Sentinel { end: which, path, fault },
                Wrong::Id => Obstacle::SentinelMismatch { end: which, path },
            }])
        })?;
    }
    Ok(look)
}

enum Wrong {
    Fault(SentinelFault),
    Id,
}

fn check(text: &[u8], id: Option<&SentinelId>) -> Result<(), Wrong> {
    let limit = usize::try_from(sentinel::LIMIT).unwrap_or(usize::MAX);
    if text.len() > limit {
        return Err(Wrong::Fault(SentinelFault::Unusable(format!("it is larger than {limit} bytes"))));
    }
    let found = sentinel::id(text).map_err(|error| Wrong::Fault(SentinelFault::Unusable(error.to_string())))?;
    match id {
        Some(id) if found.as_ref() != Some(id) => Err(Wrong::Id),
        Some(_) | None => Ok(()),
    }
}
