//! What an earlier run left at a server, and what is done about it. The rules are those of the shelf on this machine.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use jiff::Timestamp;

use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, Server, Stoppable, failure as trouble};
use crate::decide::retention::Candidate;
use crate::formats::log;
use crate::formats::ssh::answers::{self, Look};
use crate::formats::ssh::script;
use crate::model::{Conclusion, SnapshotKind, SnapshotName, Standing, Step};

/// So many unfinished copies are kept as a basis.
const BASES: usize = 4;
/// With less than this left, in KiB, unfinished copies are given up for the sake of a new one.
const LITTLE_SPACE: u64 = 1024;

/// The snapshots of a destination at a server, as they are once it is put right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FarShelf {
    /// The complete ones, oldest first.
    pub(crate) complete: Vec<SnapshotName>,
    /// The unfinished copies that serve as a basis, oldest first, without their prefix.
    pub(crate) stale: Vec<String>,
}

/// Something that `tidy.sh` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Makes the directory of snapshots.
    MakeShelf,
    /// Deletes an entry.
    Discard(String),
    /// Makes an unfinished copy a basis.
    KeepAsBasis(String),
    /// Points `latest` to a snapshot; to nothing if there is none.
    PointLatest(Option<SnapshotName>),
}

/// The words of `tidy.sh`.
pub(crate) fn words(deeds: &[Deed]) -> impl Iterator<Item = OsString> {
    deeds.iter().flat_map(|deed| {
        let (verb, name) = match deed {
            Deed::MakeShelf => ("shelf", "snapshots".to_owned()),
            Deed::Discard(name) => ("discard", name.clone()),
            Deed::KeepAsBasis(name) => ("stale", name.clone()),
            Deed::PointLatest(name) => ("latest", name.map_or("none".to_owned(), |name| name.to_string())),
        };
        [OsString::from(verb), OsString::from(name)]
    })
}

impl FarShelf {
    /// The newest complete one that does not come from a clock that was wrong.
    pub(crate) fn newest(&self, now: Timestamp) -> Option<SnapshotName> {
        self.complete.iter().rev().find(|name| !name.is_ahead_of(now)).copied()
    }

    /// A free name for a copy made now.
    pub(crate) fn next_name(&self, now: Timestamp) -> SnapshotName {
        let mut name = SnapshotName::next(now, self.newest(now));
        while self.complete.contains(&name) {
            name = SnapshotName::next(now, Some(name));
        }
        name
    }
}

/// What has to be done before a run, and what there is then.
pub(crate) fn recover(look: &Look, kind: SnapshotKind, now: Timestamp) -> (Vec<Deed>, FarShelf) {
    let Some(found) = &look.shelf else {
        let mut deeds = vec![Deed::MakeShelf];
        if look.latest.as_ref().is_none_or(|latest| latest.as_os_str().is_empty()) {
            deeds.push(Deed::PointLatest(None));
        }
        return (deeds, FarShelf::default());
    };
    let mut shelf = FarShelf { complete: found.complete.clone(), stale: Vec::new() };
    let newest = shelf.newest(now);
    let mut deeds: Vec<Deed> = found.trash.iter().cloned().map(Deed::Discard).collect();
    let discard = |prefix: &str, name: &String| Deed::Discard(format!("{prefix}{name}"));
    let full = look.free.is_some_and(|free| free < LITTLE_SPACE);
    if kind != SnapshotKind::HardLink || full {
        deeds.extend(found.in_progress.iter().map(|name| discard(".inprogress-", name)));
        deeds.extend(found.stale.iter().map(|name| discard(".stale-", name)));
    } else {
        // While a clock is behind the newest copy, each that comes to nothing has the same name.
        let (twice, once): (Vec<_>, Vec<_>) = found.stale.iter().partition(|name| found.in_progress.contains(name));
        deeds.extend(twice.into_iter().map(|name| discard(".stale-", name)));
        deeds.extend(found.in_progress.iter().cloned().map(Deed::KeepAsBasis));
        let mut bases: Vec<String> = once.into_iter().chain(&found.in_progress).cloned().collect();
        bases.sort_unstable();
        let surplus = bases.len().saturating_sub(BASES);
        for (place, name) in bases.into_iter().enumerate() {
            let made: Option<SnapshotName> = name.parse().ok();
            let used_up = newest.is_some_and(|newest| made.is_none_or(|made| made <= newest));
            if place < surplus || used_up {
                deeds.push(discard(".stale-", &name));
            } else {
                shelf.stale.push(name);
            }
        }
    }
    let target = look.latest.as_deref().unwrap_or(Path::new(""));
    match newest {
        Some(name) if target != Path::new("snapshots").join(name.to_string()) => {
            deeds.push(Deed::PointLatest(Some(name)));
        }
        None if target.as_os_str().is_empty() => deeds.push(Deed::PointLatest(None)),
        Some(_) | None => {}
    }
    (deeds, shelf)
}

/// Puts the shelf of a destination in order, under its lock. Returns what could not be done and stands in nobody's way.
/// An empty token is that of an errand, which a run may be followed by.
pub(crate) fn tidy(
    server: &Server,
    destination: &[OsString],
    token: &OsStr,
    (at, deeds): (Step, &[Deed]),
    stops: &mut Stops,
) -> Result<Vec<String>, Conclusion> {
    if deeds.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = destination.to_vec();
    all.push(token.to_owned());
    all.extend(words(deeds));
    let said = server.ask(script::TIDY, &all, (Stoppable::Yes, LONG), stops)?;
    if let Some(word) = answers::last_word(&said.output) {
        return Err(trouble::ended(server.host(), at, &word));
    }
    if said.code != 0 {
        return Err(trouble::gave_up(server.host(), at, &said));
    }
    let warnings = answers::lines(&said.output).filter(|(word, _)| *word == "warn");
    Ok(warnings.map(|(_, text)| format!("{}: {}", server.host(), answers::shown(text))).collect())
}

/// The complete snapshots, oldest first, with what the log says of them.
pub(crate) fn candidates(complete: &[SnapshotName], log: &[u8]) -> Vec<Candidate> {
    let records = log::records(log);
    let standing = |name: SnapshotName| records.iter().rev().find(|record| record.snapshot == Some(name));
    let mut candidates: Vec<Candidate> = complete
        .iter()
        .map(|name| Candidate {
            name: *name,
            standing: standing(*name).map_or(Standing::Good, |record| record.standing),
        })
        .collect();
    candidates.sort_unstable_by_key(|candidate| candidate.name);
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ssh::answers;

    const OLD: &str = "2026-11-20T00:00:00.000Z";
    const NEW: &str = "2026-11-21T00:00:00.000Z";
    const LATER: &str = "2026-11-22T00:00:00.000Z";

    fn deeds(answer: &str, kind: SnapshotKind) -> Vec<Deed> {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        recover(&answers::looked(answer.as_bytes()), kind, now).0
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        let whole = format!("latest snapshots/{NEW}\nshelf\nentry {OLD}\nentry {NEW}\nfree 9999\n");
        assert_eq!(deeds(&whole, SnapshotKind::HardLink), []);
        let basis = format!("{whole}entry .stale-{LATER}\n");
        assert_eq!(deeds(&basis, SnapshotKind::HardLink), []);
    }

    #[test]
    fn what_a_dead_run_left_is_put_right() {
        let left = format!(
            "latest snapshots/{OLD}\nshelf\nentry {OLD}\nentry {NEW}\nentry .inprogress-{LATER}\nentry .trash-x\nentry .stale-{OLD}\n"
        );
        let discard = |name: String| Deed::Discard(name);
        let latest = Deed::PointLatest(Some(NEW.parse().unwrap()));
        assert_eq!(
            deeds(&left, SnapshotKind::HardLink),
            [
                discard(".trash-x".into()),
                Deed::KeepAsBasis(LATER.into()),
                discard(format!(".stale-{OLD}")),
                latest.clone()
            ]
        );
        assert_eq!(
            deeds(&left, SnapshotKind::Btrfs),
            [
                discard(".trash-x".into()),
                discard(format!(".inprogress-{LATER}")),
                discard(format!(".stale-{OLD}")),
                latest
            ]
        );
    }

    #[test]
    fn a_snapshot_from_the_future_is_never_the_latest_and_nothing_complete_is_discarded() {
        let future =
            format!("latest /dev/null\nshelf\nentry {OLD}\nentry 2031-01-01T00:00:00.000Z\nentry lost+found\n");
        assert_eq!(deeds(&future, SnapshotKind::Btrfs), [Deed::PointLatest(Some(OLD.parse().unwrap()))]);
        assert_eq!(deeds("latest \n", SnapshotKind::Btrfs), [Deed::MakeShelf, Deed::PointLatest(None)]);
    }
}
