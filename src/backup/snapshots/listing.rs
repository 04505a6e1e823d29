//! What lies at a destination on this machine: its snapshots, and what an earlier run left.

use std::collections::BTreeSet;
use std::path::Path;

use crate::backup::failure::{failure, of_directory};
use crate::backup::snapshots::log;
use crate::decide::retention::Candidate;
use crate::decide::tidying::Remains;
use crate::formats::log::LogRecord;
use crate::model::layout::{ANY_NEW_LATEST, LATEST, OWN, SNAPSHOTS};
use crate::model::{EntryIs, FailureKind, FreeSpace, NotDone, SnapshotEntries, SnapshotName, Standing, Step};
use crate::os::directory::{Directory, DirectoryError, Errno, Kind, Reach};

/// As many entries are read at most; a hostile drive may hold more.
const MOST: usize = 100_000;

/// The complete snapshots of a destination, oldest first, with what its log says of them.
pub fn snapshots_at(destination: &Directory) -> Result<Vec<Candidate>, DirectoryError> {
    let Some(entries) = entries(destination)? else { return Ok(Vec::new()) };
    let records = match open_if_there(destination, OWN)? {
        Some(own) => log::read(&own)?,
        None => Vec::new(),
    };
    Ok(candidates(&entries.complete, &records))
}

/// Complete snapshots, oldest first, with what a log says of them; nothing said is nothing bad.
pub(crate) fn candidates(complete: &[SnapshotName], records: &[LogRecord]) -> Vec<Candidate> {
    let record = |name: SnapshotName| records.iter().rev().find(|record| record.snapshot == Some(name));
    let standing = |name| record(name).map_or(Standing::Good, |record| record.standing);
    complete.iter().map(|name| Candidate { name: *name, standing: standing(*name) }).collect()
}

/// The same with these, which hold damaged files, in doubt: no rule counts them as good.
pub(crate) fn doubted(mut all: Vec<Candidate>, damaged: &BTreeSet<SnapshotName>) -> Vec<Candidate> {
    for candidate in all.iter_mut().filter(|candidate| damaged.contains(&candidate.name)) {
        candidate.standing = candidate.standing.max(Standing::Suspect);
    }
    all
}

/// The same with the one just made, of which neither the list nor the log need tell. It need not be the newest: the
/// clock may have been wrong before.
pub(crate) fn candidates_with(
    made: Option<Candidate>,
    complete: &[SnapshotName],
    records: &[LogRecord],
) -> Vec<Candidate> {
    let mut all = candidates(complete, records);
    all.retain(|candidate| made.is_none_or(|made| made.name != candidate.name));
    all.extend(made);
    all.sort_unstable_by_key(|candidate| candidate.name);
    all
}

/// What lies in `snapshots`; `None` if there is no such directory.
pub(crate) fn entries(destination: &Directory) -> Result<Option<SnapshotEntries>, DirectoryError> {
    let Some(directory) = open_if_there(destination, SNAPSHOTS)? else { return Ok(None) };
    let mut found = SnapshotEntries::default();
    for entry in directory.entries(MOST)? {
        let kind = match entry.kind {
            Some(kind) => kind,
            None => directory.kind_of(&entry.name)?,
        };
        let is = if kind == Kind::Directory { EntryIs::Directory } else { EntryIs::Other };
        // Names that no run of ours gives are passed over.
        if let Some(name) = entry.name.to_str() {
            found.add(name, is);
        }
    }
    found.sort();
    Ok(Some(found))
}

/// All that an earlier run may have left.
pub(crate) fn leftovers(destination: &Directory) -> Result<Remains, NotDone> {
    let fail = |error: DirectoryError| of_directory(Step::Recover, &error);
    for name in [SNAPSHOTS, LATEST] {
        forbid_impostor(destination, name)?;
    }
    let mut links = Vec::new();
    for entry in destination.entries(MOST).map_err(fail)? {
        if let Some(name) = entry.name.to_str().filter(|name| name.starts_with(ANY_NEW_LATEST))
            && entry.kind == Some(Kind::Link)
        {
            links.push(name.to_owned());
        }
    }
    let latest = destination.link_target(LATEST).map_err(fail)?;
    Ok(Remains { entries: entries(destination).map_err(fail)?, latest, links })
}

/// What is left on its filesystem.
pub(crate) fn free(destination: &Directory) -> FreeSpace {
    match destination.space() {
        Ok(space) => FreeSpace { bytes: Some(space.bytes), inodes: space.inodes },
        Err(_) => FreeSpace::default(),
    }
}

fn open_if_there(destination: &Directory, name: &str) -> Result<Option<Directory>, DirectoryError> {
    match destination.open_below(Path::new(name), Reach::SameMount) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.cause() == Errno::NOENT => Ok(None),
        Err(error) => Err(error),
    }
}

/// A link where a directory must be, or a directory where a link must be, is not ours and not followed.
fn forbid_impostor(destination: &Directory, name: &str) -> Result<(), NotDone> {
    let kind = destination.kind_of(name).map_err(|error| of_directory(Step::Recover, &error))?;
    let expected = if name == LATEST { Kind::Link } else { Kind::Directory };
    if kind == Kind::Nothing || kind == expected {
        return Ok(());
    }
    let is = match kind {
        Kind::Nothing => "nothing",
        Kind::Directory => "a directory",
        Kind::File => "a file",
        Kind::Link => "a symbolic link",
        Kind::Special => "a special file",
    };
    let path = destination.path_of(name);
    Err(failure(Step::Recover, FailureKind::Hostile, format!("{} is {is}, which is not followed", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_just_made_is_known_beside_one_of_the_future() {
        let [old, made, ahead] = ["2026-11-21T17:30:00.000Z", "2026-11-22T17:30:00.000Z", "2099-01-01T00:00:00.000Z"]
            .map(|name| name.parse::<SnapshotName>().unwrap());
        let new = Candidate { name: made, standing: Standing::Partial };
        for complete in [&[old, ahead][..], &[old, made, ahead]] {
            let found = candidates_with(Some(new), complete, &[]);
            let found: Vec<_> = found.iter().map(|candidate| (candidate.name, candidate.standing)).collect();
            assert_eq!(found, [(old, Standing::Good), (made, Standing::Partial), (ahead, Standing::Good)]);
        }
        assert_eq!(candidates_with(None, &[old], &[]), [Candidate { name: old, standing: Standing::Good }]);
    }
}
