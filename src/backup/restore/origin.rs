//! Where copies come from, also copies of copies, and what is still there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::backup::failure::could_not;
use crate::backup::job::{SyncAsSeen, sentence};
use crate::backup::place::look::FarSource;
use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, Session};
use crate::formats::ssh::sizes::{self, SizesCall};
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

    /// Leaves of these entries those that the source has no more. Returns of how many it cannot be told.
    pub(crate) fn leave_deleted(&self, entries: &mut Vec<(PathBuf, Option<EntryState>)>, stops: &mut Stops) -> u64 {
        let mut unsure = 0_u64;
        match self {
            Self::Unasked | Self::Away(_) => {}
            Self::Here(source) => entries.retain(|(below, _)| {
                let state = entry::entry_state(source, below);
                unsure = unsure.saturating_add(u64::from(state.is_err()));
                state.is_ok_and(|state| state.is_none())
            }),
            Self::There(source) => {
                let mut gone = Vec::new();
                for part in entries.chunks(ASKED) {
                    let asked: Vec<&Path> = part.iter().map(|(below, _)| below.as_path()).collect();
                    match there(source, &asked, stops) {
                        Ok(known) => {
                            let is_gone = |(below, _): &&(PathBuf, _)| known.get(below) == Some(&false);
                            gone.extend(part.iter().filter(is_gone).cloned());
                            let untold = part.iter().filter(|(below, _)| !known.contains_key(below)).count();
                            unsure = unsure.saturating_add(u64::try_from(untold).unwrap_or(u64::MAX));
                        }
                        Err(_) => unsure = unsure.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX)),
                    }
                }
                *entries = gone;
            }
        }
        unsure
    }
}

/// Which of these a source at a server has; those are left out of which no script can be told.
fn there(source: &FarSource, paths: &[&Path], stops: &mut Stops) -> Result<BTreeMap<PathBuf, bool>, NotDone> {
    let call = SizesCall { end: &source.end.end, which: End::Source, place: &source.end.data, paths }.call();
    let answer = source.server.told(&call, (Step::Prove, LONG), stops)?;
    let there = sizes::present(&answer);
    let can_be_asked = |path: &&&Path| !path.as_os_str().as_encoded_bytes().contains(&b'\n');
    let known = paths.iter().filter(can_be_asked).map(|path| (path.to_path_buf(), there.contains(*path)));
    Ok(known.collect())
}

/// Whether it is about the source itself.
fn of_source(obstacle: &Obstacle) -> bool {
    obstacle.code().word().starts_with("source-")
}
