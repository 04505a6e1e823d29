//! The ends of a sync at a server, as a look found and proved them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::backup::job::{Job, Layout, RemoteEnd};
use crate::backup::place::here::named_snapshot;
use crate::backup::session::stop::Stops;
use crate::backup::session::{SHORT, Server, Stoppable, failure as trouble};
use crate::formats::sentinel;
use crate::formats::ssh::answers::{self, Look};
use crate::formats::ssh::script;
use crate::model::{Conclusion, End, Interruption, Obstacle, Place, SentinelFault, SentinelId, SnapshotKind, Step};

/// rsync may take so long for one call, in seconds; what lasts longer goes on with the next run. It bounds what a broken
/// connection leaves behind.
const MOST: &str = "172800";

/// A source at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FarSource {
    /// The words of `transfer.sh` for it.
    words: [OsString; 5],
    /// Where what is read really lies.
    pub(crate) at: PathBuf,
}

/// A destination at a server.
#[derive(Debug, Clone)]
pub(crate) struct FarDestination {
    /// What `enter` is given for it.
    pub(crate) words: [OsString; 4],
    /// Where it really lies.
    pub(crate) at: PathBuf,
    /// What else was seen.
    pub(crate) look: Look,
}

/// What a look at a destination is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// It is about to be written.
    Write,
    /// It is only looked at.
    List,
}

/// The kind of snapshots, as scripts are told it.
pub(crate) fn word(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::None => "none",
        SnapshotKind::Btrfs => "btrfs",
        SnapshotKind::HardLink => "link",
    }
}

/// The directory of the volume's root, as `cd` takes it.
pub(crate) fn root(end: &RemoteEnd) -> OsString {
    let root = if end.root.as_os_str().is_empty() { Path::new(".") } else { &end.root };
    if root.is_absolute() { root.into() } else { Path::new("./").join(root).into() }
}

impl FarSource {
    /// Looks at a source and proves it.
    pub(crate) fn prove(server: &Server, job: &Job, end: &RemoteEnd, stops: &mut Stops) -> Result<Self, Conclusion> {
        let place = &job.sync.source;
        let kind = match end.layout {
            Layout::Plain => "none",
            Layout::Snapshots => "link",
        };
        let look = look(server, (end, End::Source, place), ["read", kind, ""], stops)?;
        tools(&look, place)?;
        let mut at = look.at.clone().unwrap_or_default();
        let data = match end.layout {
            Layout::Plain => PathBuf::new(),
            Layout::Snapshots => {
                let shown = PathBuf::from(format!("{}:{}", server.host(), at.display()));
                let skipped = |obstacle| Conclusion::Skipped(vec![obstacle]);
                let target = look.latest.clone().unwrap_or_default();
                if target.as_os_str().is_empty() || target == Path::new("/dev/null") {
                    return Err(skipped(Obstacle::NoSnapshotYet { path: shown }));
                }
                if named_snapshot(&target).is_none() {
                    let reason = "it does not point to a snapshot beside it".into();
                    let path = shown.join("latest");
                    return Err(skipped(Obstacle::DirectoryMissing { end: End::Source, path, reason }));
                }
                target
            }
        };
        at.push(&data);
        let [root, volume, directory, text] = entering(end, place, &look);
        Ok(Self { words: [root, volume, directory, text, data.into_os_string()], at })
    }

    /// Whether it is still the one that was proven: what else is new, such as a newer snapshot, does not matter.
    pub(crate) fn prove_again(
        &self,
        server: &Server,
        job: &Job,
        end: &RemoteEnd,
        stops: &mut Stops,
    ) -> Result<(), Conclusion> {
        let place = &job.sync.source;
        let lost = |what: String| Conclusion::Interrupted(Interruption::SourceLost(what));
        let look = look(server, (end, End::Source, place), ["read", "none", ""], stops).map_err(|conclusion| {
            let Conclusion::Skipped(obstacles) = conclusion else { return conclusion };
            lost(obstacles.first().map(ToString::to_string).unwrap_or_default())
        })?;
        let [.., data] = &self.words;
        let at = look.at.clone().unwrap_or_default().join(data);
        if entering(end, place, &look).as_slice() == self.words.get(..4).unwrap_or_default() && at == self.at {
            Ok(())
        } else {
            Err(lost(format!("{}:{} is another one than before", server.host(), self.at.display())))
        }
    }
}

impl FarDestination {
    /// Looks at a destination and proves it.
    pub(crate) fn prove(
        server: &Server,
        (end, place, kind): (&RemoteEnd, &Place, SnapshotKind),
        (intent, marker): (Intent, &str),
        stops: &mut Stops,
    ) -> Result<Self, Conclusion> {
        let what = match intent {
            Intent::Write => "write",
            Intent::List => "list",
        };
        let look = look(server, (end, End::Destination, place), [what, word(kind), marker], stops)?;
        tools(&look, place)?;
        let at = look.at.clone().unwrap_or_default();
        if kind == SnapshotKind::Btrfs && look.staging.as_deref() != Some("subvolume") {
            let found = match look.staging.as_deref() {
                Some("missing") => "it does not exist",
                Some("directory") => "it is an ordinary directory",
                Some("foreign") => "it is not on btrfs",
                Some(_) | None => "something else is in the way",
            };
            let path = format!("{}:{}/staging", server.host(), at.display()).into();
            return Err(Conclusion::Skipped(vec![Obstacle::NotBtrfs { path, found: found.into() }]));
        }
        Ok(Self { words: entering(end, place, &look), at, look })
    }
}

/// The words of `transfer.sh` for these ends, for the arguments of rsync to follow.
pub(crate) fn transfer(source: Option<&FarSource>, destination: Option<[OsString; 9]>) -> Vec<OsString> {
    let mut words = vec![OsString::from(MOST)];
    words.extend(source.map_or_else(Default::default, |source| source.words.clone()));
    words.extend(destination.unwrap_or_default());
    words
}

/// What `enter` is given.
fn entering(end: &RemoteEnd, place: &Place, look: &Look) -> [OsString; 4] {
    let text = |text: &Vec<u8>| OsString::from_vec(text.clone());
    [root(end), text(&look.volume), place.subdir.as_path().into(), text(&look.end)]
}

fn tools(look: &Look, place: &Place) -> Result<(), Conclusion> {
    if look.missing_tools.is_empty() {
        return Ok(());
    }
    let missing = |tool: &String| Obstacle::ToolMissing { tool: tool.clone(), server: Some(place.volume.clone()) };
    Err(Conclusion::Skipped(look.missing_tools.iter().map(missing).collect()))
}

/// Asks how an end stands; its sentinels are the ones that are expected.
fn look(
    server: &Server,
    (end, which, place): (&RemoteEnd, End, &Place),
    [what, kind, marker]: [&str; 3],
    stops: &mut Stops,
) -> Result<Look, Conclusion> {
    let id = |id: Option<&SentinelId>| OsString::from(id.map_or("", |id| id.0.as_str()));
    let words: [&OsStr; 9] = [
        OsStr::new(what),
        &root(end),
        place.subdir.as_path().as_os_str(),
        OsStr::new(kind),
        server.token(),
        server.client(),
        OsStr::new(marker),
        &id(end.volume_id.as_ref()),
        &id(end.end_id.as_ref()),
    ];
    let said = server.ask(script::LOOK, &words.map(OsStr::to_owned), (Stoppable::Yes, SHORT), stops)?;
    let look = answers::looked(&said.output);
    if let Some(word) = &look.obstacle {
        let mut word = word.clone();
        if word.text.starts_with(".nbkp") {
            let at = look.at.as_ref().or(look.root.as_ref()).cloned().unwrap_or_default();
            word.text = format!("{}/{}", at.display(), word.text);
        }
        return Err(trouble::obstacle(server.host(), (which, place), &word));
    }
    if said.code != 0 || look.at.is_none() {
        return Err(trouble::gave_up(server.host(), Step::Prove, &said));
    }
    let own = match which {
        End::Source => ".nbkp-src",
        End::Destination => ".nbkp-dst",
    };
    let checks = [
        (&look.volume, ".nbkp-vol", &look.root, end.volume_id.as_ref()),
        (&look.end, own, &look.at, end.end_id.as_ref()),
    ];
    for (text, name, at, id) in checks {
        let path = at.clone().unwrap_or_default().join(name);
        let path = PathBuf::from(format!("{}:{}", server.host(), path.display()));
        check(text, id).map_err(|wrong| {
            Conclusion::Skipped(vec![match wrong {
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

/// The words of `transfer.sh` for a destination that is only compared.
pub(crate) fn looking(destination: &FarDestination, into: &str) -> [OsString; 9] {
    let [root, volume, directory, text] = destination.words.clone();
    let none = OsString::new;
    [root, volume, directory, text, into.into(), none(), none(), none(), none()]
}
