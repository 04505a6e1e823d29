//! What an earlier run left at a server, and what is done about it. The rules are those of the shelf on this machine.

use std::ffi::OsStr;
use std::path::Path;

use jiff::Timestamp;

use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, Server, Stoppable, failure as trouble};
use crate::decide::retention::Candidate;
use crate::formats::log;
use crate::formats::ssh::answers::{self, Look};
use crate::formats::ssh::calls::{ProvenEnd, TidyCall};
use crate::model::layout::{self, IN_PROGRESS, STALE};
use crate::model::{Conclusion, SnapshotKind, SnapshotName, Standing, Step, TidyDeed};

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
pub(crate) fn recover(look: &Look, kind: SnapshotKind, now: Timestamp) -> (Vec<TidyDeed>, FarShelf) {
    let Some(found) = &look.shelf else {
        let mut deeds = vec![TidyDeed::MakeShelf];
        if look.latest.as_ref().is_none_or(|latest| latest.as_os_str().is_empty()) {
            deeds.push(TidyDeed::PointLatest(None));
        }
        return (deeds, FarShelf::default());
    };
    let mut shelf = FarShelf { complete: found.complete.clone(), stale: Vec::new() };
    let newest = shelf.newest(now);
    let mut deeds: Vec<TidyDeed> = found.trash.iter().cloned().map(TidyDeed::Discard).collect();
    let discard = |prefix: &str, name: &String| TidyDeed::Discard(format!("{prefix}{name}"));
    let full = look.free.is_some_and(|free| free < LITTLE_SPACE);
    if kind != SnapshotKind::HardLink || full {
        deeds.extend(found.in_progress.iter().map(|name| discard(IN_PROGRESS, name)));
        deeds.extend(found.stale.iter().map(|name| discard(STALE, name)));
    } else {
        // While a clock is behind the newest copy, each that comes to nothing has the same name.
        let (twice, once): (Vec<_>, Vec<_>) = found.stale.iter().partition(|name| found.in_progress.contains(name));
        deeds.extend(twice.into_iter().map(|name| discard(STALE, name)));
        deeds.extend(found.in_progress.iter().cloned().map(TidyDeed::KeepAsBasis));
        let mut bases: Vec<String> = once.into_iter().chain(&found.in_progress).cloned().collect();
        bases.sort_unstable();
        let surplus = bases.len().saturating_sub(BASES);
        for (place, name) in bases.into_iter().enumerate() {
            let made: Option<SnapshotName> = name.parse().ok();
            let used_up = newest.is_some_and(|newest| made.is_none_or(|made| made <= newest));
            if place < surplus || used_up {
                deeds.push(discard(STALE, &name));
            } else {
                shelf.stale.push(name);
            }
        }
    }
    let target = look.latest.as_deref().unwrap_or(Path::new(""));
    match newest {
        Some(name) if target != layout::in_snapshots(name) => {
            deeds.push(TidyDeed::PointLatest(Some(name)));
        }
        None if target.as_os_str().is_empty() => deeds.push(TidyDeed::PointLatest(None)),
        Some(_) | None => {}
    }
    (deeds, shelf)
}

/// Puts the shelf of a destination in order, under its lock. Returns what could not be done and stands in nobody's way.
/// Without a run it is a person's order.
pub(crate) fn tidy(
    server: &Server,
    end: &ProvenEnd,
    run: Option<&OsStr>,
    (at, deeds): (Step, &[TidyDeed]),
    stops: &mut Stops,
) -> Result<Vec<String>, Conclusion> {
    if deeds.is_empty() {
        return Ok(Vec::new());
    }
    let said = server.ask(&TidyCall { end, run, deeds }.call(), (Stoppable::Yes, LONG), stops)?;
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
    let records = log::parse(log);
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

    fn deeds(answer: &str, kind: SnapshotKind) -> Vec<TidyDeed> {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        recover(&answers::look(answer.as_bytes()), kind, now).0
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        let whole = format!("newest snapshots/{NEW}\nshelf\nentry {OLD}\nentry {NEW}\nfree 9999\n");
        assert_eq!(deeds(&whole, SnapshotKind::HardLink), []);
        let basis = format!("{whole}entry .stale-{LATER}\n");
        assert_eq!(deeds(&basis, SnapshotKind::HardLink), []);
    }

    #[test]
    fn what_a_dead_run_left_is_put_right() {
        let left = format!(
            "newest snapshots/{OLD}\nshelf\nentry {OLD}\nentry {NEW}\nentry .inprogress-{LATER}\nentry .trash-x\nentry .stale-{OLD}\n"
        );
        let discard = |name: String| TidyDeed::Discard(name);
        let latest = TidyDeed::PointLatest(Some(NEW.parse().unwrap()));
        assert_eq!(
            deeds(&left, SnapshotKind::HardLink),
            [
                discard(".trash-x".into()),
                TidyDeed::KeepAsBasis(LATER.into()),
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
            format!("newest /dev/null\nshelf\nentry {OLD}\nentry 2031-01-01T00:00:00.000Z\nentry lost+found\n");
        assert_eq!(deeds(&future, SnapshotKind::Btrfs), [TidyDeed::PointLatest(Some(OLD.parse().unwrap()))]);
        assert_eq!(deeds("newest \n", SnapshotKind::Btrfs), [TidyDeed::MakeShelf, TidyDeed::PointLatest(None)]);
    }
}
