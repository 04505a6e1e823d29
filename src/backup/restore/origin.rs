//! Where copies come from, also copies of copies, and what is still there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::backup::failure::could_not;
use crate::backup::job::{SyncAsSeen, sentence};
use crate::backup::place::look::FarSource;
use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, Session};
use crate::formats::ssh::presence::{PresenceCall, SourcePresence, presence};
use crate::formats::text::obstacle_sentences;
use crate::model::{End, EntryState, NotDone, Obstacle, Step, VolumeSight, Worded as _};
use crate::os::directory::{Directory, Reach};
use crate::os::entry;
use crate::os::ssh::SshPlace;

/// So many names are asked for in one script.
const ASKED: usize = 5_000;

/// The sync that copies what this one copies, from where nobody copied it to.
pub(crate) fn origin<'a>(seen: &'a SyncAsSeen, all: &'a [SyncAsSeen]) -> &'a SyncAsSeen {
    let mut first = seen;
    // A chain has no circle; it is not longer than there are syncs.
    for _ in all {
        match all.iter().find(|other| other.sync.destination == first.sync.source) {
            Some(before) => first = before,
            None => break,
        }
    }
    first
}

/// A source, as far as it tells what it still has.
#[derive(Debug)]
pub(crate) enum SourceSight {
    /// Nobody wants to know.
    Unasked,
    /// It is on this machine.
    Here(Directory),
    /// It is at a server.
    There(Box<FarSource>),
    /// It cannot be looked at, for this reason.
    Away(String),
}

impl SourceSight {
    /// Looks at the source of a sync.
    pub(crate) fn of(seen: &SyncAsSeen, ssh: &SshPlace, stops: &mut Stops) -> Self {
        let place = &seen.sync.source;
        let away = |why: String| Self::Away(format!("what its source {place} still has cannot be told: {why}"));
        // A directory that stands in for a source would make all seem to be deleted.
        let amiss: Vec<Obstacle> = seen.obstacles.iter().filter(|obstacle| of_source(obstacle)).cloned().collect();
        if !amiss.is_empty() {
            return away(obstacle_sentences(&amiss, &seen.sync.name));
        }
        match (&seen.source_server, &seen.source) {
            (None, VolumeSight::Present(present)) => {
                let root = Directory::open_root(&present.root);
                match root.and_then(|root| root.open_below(place.subdir.as_path(), Reach::AnyMount)) {
                    Ok(directory) => Self::Here(directory),
                    Err(error) => away(could_not(&error)),
                }
            }
            (Some(server), _) => {
                let Some(job) = &seen.job else { return away(obstacle_sentences(&seen.obstacles, &seen.sync.name)) };
                let proven = Session::for_errand(&seen.sync, (server, End::Source), ssh, stops)
                    .and_then(|session| FarSource::prove(Rc::new(session), job, server, stops));
                match proven {
                    Ok(source) => Self::There(Box::new(source)),
                    Err(why) => away(sentence(&why, &seen.sync.name)),
                }
            }
            (None, _) => away(obstacle_sentences(&seen.obstacles, &seen.sync.name)),
        }
    }

    /// Leaves of these entries those that the source has no more, and tells of which it cannot be told.
    pub(crate) fn leave_deleted(&self, entries: &mut Vec<(PathBuf, Option<EntryState>)>, stops: &mut Stops) -> Untold {
        let mut untold = Untold::default();
        match self {
            Self::Unasked | Self::Away(_) => {}
            Self::Here(source) => entries.retain(|(below, _)| {
                let state = entry::entry_state(source, below);
                if state.is_err() {
                    untold.shut.insert(shown(&source.path_of(&innermost(source, below))));
                    untold.entries.push(below.clone());
                }
                state.is_ok_and(|state| state.is_none())
            }),
            Self::There(source) => {
                let mut gone = Vec::new();
                for part in entries.chunks(ASKED) {
                    let asked: Vec<&Path> = part.iter().map(|(below, _)| below.as_path()).collect();
                    // Where nobody answers, nothing is known.
                    let told = there(source, &asked, stops).unwrap_or_default();
                    for entry in part {
                        if told.gone.contains(&entry.0) {
                            gone.push(entry.clone());
                        } else if !told.there.contains(&entry.0) {
                            untold.entries.push(entry.0.clone());
                        }
                    }
                    let host = source.server.host();
                    untold.shut.extend(told.shut.iter().map(|shut| format!("{host}:{}", shown(&source.at.join(shut)))));
                }
                *entries = gone;
            }
        }
        untold
    }
}

/// What a source does not tell.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    /// The entries that it may have or not.
    pub(crate) entries: Vec<PathBuf>,
    /// The directories that could not be looked into, for people.
    pub(crate) shut: BTreeSet<String>,
}

fn shown(path: &Path) -> String {
    path.components().collect::<PathBuf>().display().to_string()
}

/// The innermost directory on the way to an entry that can be looked at, if not into.
fn innermost(source: &Directory, below: &Path) -> PathBuf {
    let is_seen = |above: &&Path| entry::entry_state(source, above).is_ok();
    below.ancestors().skip(1).find(is_seen).unwrap_or(Path::new("")).to_owned()
}

/// Which of these a source at a server has.
fn there(source: &FarSource, paths: &[&Path], stops: &mut Stops) -> Result<SourcePresence, NotDone> {
    let call = PresenceCall { end: &source.end.end, place: &source.end.data, paths }.call();
    Ok(presence(&source.server.told(&call, (Step::Prove, LONG), stops)?))
}

/// Whether it is about the source itself.
fn of_source(obstacle: &Obstacle) -> bool {
    obstacle.code().word().starts_with("source-")
}
