//! What an earlier run left at a destination with snapshots becomes a list of deeds. Here they are carried out one by
//! one, at a server they are sent to a script: what is decided is the same.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::layout::{self, IN_PROGRESS, STALE};
use crate::model::{Failure, FailureKind, FreeSpace, SnapshotEntries, SnapshotKind, SnapshotName, TidyDeed};

/// So many unfinished copies are kept as a basis: each may hold files that the next did not reach.
const MOST_BASES: usize = 4;
/// With less than this left, in bytes, unfinished copies are given up for the sake of a new one.
const LITTLE_SPACE: u64 = 1 << 20;
/// The same for inodes.
const FEW_INODES: u64 = 16;

/// What was listed at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remains {
    /// What lies in `snapshots`; none if there is no such directory.
    pub entries: Option<SnapshotEntries>,
    /// Where `latest` points, if it is there.
    pub latest: Option<PathBuf>,
    /// Links that were about to become `latest`.
    pub links: Vec<String>,
}

/// The snapshots of a destination that was put right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// The complete ones, oldest first.
    pub complete: Vec<SnapshotName>,
    /// The unfinished copies that serve as a basis, oldest first, without their prefix.
    pub bases: Vec<String>,
}

impl Kept {
    /// The newest complete one that does not come from a clock that was wrong.
    #[must_use]
    pub fn newest(&self, now: Timestamp) -> Option<SnapshotName> {
        self.complete.iter().rev().find(|name| !name.is_ahead_of(now)).copied()
    }

    /// A free name for a copy made now.
    #[must_use]
    pub fn next_name(&self, now: Timestamp) -> SnapshotName {
        let mut name = SnapshotName::next(now, self.newest(now));
        while self.complete.contains(&name) {
            name = SnapshotName::next(now, Some(name));
        }
        name
    }
}

/// Deletions that an earlier run began. They come first: they may make the room that the rest is decided by.
#[must_use]
pub fn begun_deletions(found: &Remains) -> Vec<TidyDeed> {
    let trash = found.entries.iter().flat_map(|entries| &entries.trash);
    trash.cloned().map(TidyDeed::Discard).collect()
}

/// What has to be done before a run, and what there is then. It may be cut short anywhere and decided again.
#[must_use]
pub fn tidying(found: &Remains, kind: SnapshotKind, free: FreeSpace, now: Timestamp) -> (Vec<TidyDeed>, Kept) {
    let mut deeds = Vec::new();
    let nothing = SnapshotEntries::default();
    let entries = found.entries.as_ref().unwrap_or(&nothing);
    if found.entries.is_none() {
        deeds.push(TidyDeed::MakeDirectory);
    }
    let mut kept = Kept { complete: entries.complete.clone(), bases: Vec::new() };
    let newest = kept.newest(now);
    match (kind, is_full(free)) {
        (SnapshotKind::HardLink, false) => kept.bases = keep_bases(entries, newest, &mut deeds),
        // Unfinished copies may be what fills it.
        (SnapshotKind::HardLink, true) | (SnapshotKind::None, _) => discard_unfinished(entries, &mut deeds),
        // The newest work is in `staging`; a snapshot that got no name is made again.
        (SnapshotKind::Btrfs, full) => {
            if full {
                deeds.push(TidyDeed::Relieve(newest));
            }
            discard_unfinished(entries, &mut deeds);
        }
    }
    deeds.extend(found.links.iter().cloned().map(TidyDeed::RemoveLink));
    match newest {
        Some(name) if found.latest != Some(layout::in_snapshots(name)) => deeds.push(TidyDeed::PointLatest(Some(name))),
        None if found.latest.is_none() => deeds.push(TidyDeed::PointLatest(None)),
        Some(_) | None => {}
    }
    (deeds, kept)
}

/// Makes room after a run that filled the destination: only for btrfs, whose unfinished files lie in `staging`, and
/// only where a finished copy says what belongs there.
#[must_use]
pub fn relief(why: &Failure, kind: SnapshotKind, kept: &Kept, now: Timestamp) -> Vec<TidyDeed> {
    match (why.kind, kind, kept.newest(now)) {
        (FailureKind::NoSpace, SnapshotKind::Btrfs, Some(newest)) => vec![TidyDeed::Relieve(Some(newest))],
        _ => Vec::new(),
    }
}

/// Whether nothing more can be copied there, as far as the filesystem tells.
fn is_full(free: FreeSpace) -> bool {
    free.bytes.is_some_and(|left| left < LITTLE_SPACE) || free.inodes.is_some_and(|left| left < FEW_INODES)
}

fn discard_unfinished(entries: &SnapshotEntries, deeds: &mut Vec<TidyDeed>) {
    let discard = |prefix: &str, name: &String| TidyDeed::Discard(format!("{prefix}{name}"));
    deeds.extend(entries.in_progress.iter().map(|name| discard(IN_PROGRESS, name)));
    deeds.extend(entries.stale.iter().map(|name| discard(STALE, name)));
}

/// Makes each unfinished copy a basis, and lets go of those that are too many or used up.
fn keep_bases(entries: &SnapshotEntries, newest: Option<SnapshotName>, deeds: &mut Vec<TidyDeed>) -> Vec<String> {
    for name in &entries.in_progress {
        // While a clock is behind the newest copy, each that comes to nothing has the same name.
        if entries.stale.contains(name) {
            deeds.push(TidyDeed::Discard(layout::stale(name)));
        }
        deeds.push(TidyDeed::KeepAsBasis(name.clone()));
    }
    let mut bases: Vec<String> = entries.stale.iter().chain(&entries.in_progress).cloned().collect();
    bases.sort_unstable();
    bases.dedup();
    let surplus = bases.len().saturating_sub(MOST_BASES);
    let mut kept = Vec::new();
    for (place, name) in bases.into_iter().enumerate() {
        // What is older than a finished copy was used up by it.
        let made: Option<SnapshotName> = name.parse().ok();
        let used_up = newest.is_some_and(|newest| made.is_none_or(|made| made <= newest));
        if place < surplus || used_up {
            deeds.push(TidyDeed::Discard(layout::stale(name)));
        } else {
            kept.push(name);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EntryIs, Step};

    const OLD: &str = "2026-11-20T00:00:00.000Z";
    const NEW: &str = "2026-11-21T00:00:00.000Z";
    const LATER: &str = "2026-11-22T00:00:00.000Z";
    const PLENTY: FreeSpace = FreeSpace { bytes: Some(1 << 30), inodes: Some(1 << 20) };

    fn now() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    fn left(latest: &str, names: &[&str]) -> Remains {
        let mut entries = SnapshotEntries::default();
        for name in names {
            entries.add(name, EntryIs::Directory);
        }
        entries.sort();
        let latest = Some(latest).filter(|latest| !latest.is_empty()).map(PathBuf::from);
        Remains { entries: Some(entries), latest, links: Vec::new() }
    }

    /// What is done about it, written short, and which bases stay.
    #[track_caller]
    fn check(found: &Remains, kind: SnapshotKind, free: FreeSpace, expected: &[&str], bases: &[&str]) {
        let (deeds, kept) = tidying(found, kind, free, now());
        let name = |name: &Option<SnapshotName>| name.map_or("nothing".to_owned(), |name| name.to_string());
        let deeds: Vec<_> = begun_deletions(found).into_iter().chain(deeds).collect();
        let deeds: Vec<_> = deeds
            .iter()
            .map(|deed| match deed {
                TidyDeed::MakeDirectory => "make".to_owned(),
                TidyDeed::Discard(name) => format!("discard {name}"),
                TidyDeed::KeepAsBasis(name) => format!("keep {name}"),
                TidyDeed::Relieve(newest) => format!("relieve {}", name(newest)),
                TidyDeed::RemoveLink(name) => format!("remove {name}"),
                TidyDeed::PointLatest(newest) => format!("point {}", name(newest)),
            })
            .collect();
        assert_eq!(deeds, expected);
        assert_eq!(kept.bases, bases);
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        let latest = format!("snapshots/{NEW}");
        let whole = left(&latest, &[OLD, NEW]);
        check(&whole, SnapshotKind::HardLink, PLENTY, &[], &[]);
        let basis = left(&latest, &[OLD, NEW, &format!(".stale-{LATER}")]);
        check(&basis, SnapshotKind::HardLink, PLENTY, &[], &[LATER]);
    }

    #[test]
    fn what_a_dead_run_left_is_put_right() {
        let [unfinished, used_up] = [format!(".inprogress-{LATER}"), format!(".stale-{OLD}")];
        let mut found = left(&format!("snapshots/{OLD}"), &[OLD, NEW, &unfinished, ".trash-x", &used_up]);
        found.links.push(".latest-new".into());
        let [keep, used_up, point] = [format!("keep {LATER}"), format!("discard {used_up}"), format!("point {NEW}")];
        let deeds = ["discard .trash-x", &keep, &used_up, "remove .latest-new", &point];
        check(&found, SnapshotKind::HardLink, PLENTY, &deeds, &[LATER]);
        let deeds = ["discard .trash-x", &format!("discard {unfinished}"), &used_up, "remove .latest-new", &point];
        check(&found, SnapshotKind::Btrfs, PLENTY, &deeds, &[]);
    }

    #[test]
    fn one_that_came_to_nothing_twice_is_kept_once() {
        let found =
            left(&format!("snapshots/{NEW}"), &[NEW, &format!(".stale-{LATER}"), &format!(".inprogress-{LATER}")]);
        let deeds = [format!("discard .stale-{LATER}"), format!("keep {LATER}")];
        check(&found, SnapshotKind::HardLink, PLENTY, &deeds.each_ref().map(String::as_str), &[LATER]);
    }

    #[test]
    fn only_the_newest_bases_stay() {
        let names: Vec<String> = (1..=6).map(|day| format!("2026-11-2{day}T00:00:00.000Z")).collect();
        let stale: Vec<String> = names.iter().map(layout::stale).collect();
        let stale: Vec<&str> = stale.iter().map(String::as_str).collect();
        let deeds = [format!("discard {}", stale[0]), format!("discard {}", stale[1])];
        let bases: Vec<&str> = names[2..].iter().map(String::as_str).collect();
        check(
            &left("/dev/null", &stale),
            SnapshotKind::HardLink,
            PLENTY,
            &deeds.each_ref().map(String::as_str),
            &bases,
        );
    }

    #[test]
    fn a_full_drive_gives_up_what_is_unfinished_whether_bytes_or_inodes_are_short() {
        let (unfinished, stale) = (format!(".inprogress-{LATER}"), format!(".stale-{LATER}"));
        let found = left(&format!("snapshots/{NEW}"), &[NEW, &unfinished, &stale]);
        let [unfinished, stale] = [unfinished, stale].map(|name| format!("discard {name}"));
        let few_bytes = FreeSpace { bytes: Some(LITTLE_SPACE - 1), ..PLENTY };
        let few_inodes = FreeSpace { inodes: Some(FEW_INODES - 1), ..PLENTY };
        for free in [few_bytes, few_inodes] {
            check(&found, SnapshotKind::HardLink, free, &[&unfinished, &stale], &[]);
            let relieve = format!("relieve {NEW}");
            check(&found, SnapshotKind::Btrfs, free, &[&relieve, &unfinished, &stale], &[]);
            check(&left("/dev/null", &[]), SnapshotKind::Btrfs, free, &["relieve nothing"], &[]);
        }
        // What the filesystem does not tell is not short.
        let unknown = FreeSpace { bytes: None, inodes: None };
        check(&found, SnapshotKind::Btrfs, unknown, &[&unfinished, &stale], &[]);
    }

    #[test]
    fn a_run_that_filled_btrfs_is_followed_by_relief_where_a_finished_copy_tells_what_belongs_there() {
        let kept = Kept { complete: vec![NEW.parse().unwrap()], bases: Vec::new() };
        let why = |kind| Failure { at: Step::Copy, kind, detail: String::new() };
        let relieved = [TidyDeed::Relieve(Some(NEW.parse().unwrap()))];
        assert_eq!(relief(&why(FailureKind::NoSpace), SnapshotKind::Btrfs, &kept, now()), relieved);
        assert_eq!(relief(&why(FailureKind::NoSpace), SnapshotKind::HardLink, &kept, now()), []);
        assert_eq!(relief(&why(FailureKind::NoSpace), SnapshotKind::Btrfs, &Kept::default(), now()), []);
        assert_eq!(relief(&why(FailureKind::Io), SnapshotKind::Btrfs, &kept, now()), []);
    }

    #[test]
    fn a_snapshot_from_the_future_is_never_the_latest_and_nothing_complete_is_discarded() {
        let future = left("/dev/null", &[OLD, "2031-01-01T00:00:00.000Z", "lost+found"]);
        check(&future, SnapshotKind::Btrfs, PLENTY, &[&format!("point {OLD}")], &[]);
        let nothing = Remains::default();
        check(&nothing, SnapshotKind::Btrfs, PLENTY, &["make", "point nothing"], &[]);
    }

    #[test]
    fn names_strictly_increase_beside_those_of_a_wrong_clock() {
        let [newest, ahead]: [SnapshotName; 2] = [LATER, "2031-01-01T00:00:00.000Z"].map(|name| name.parse().unwrap());
        let kept = Kept { complete: vec![newest, ahead], bases: Vec::new() };
        assert_eq!(kept.next_name(now()).to_string(), "2026-11-23T00:00:00.000Z");
        assert_eq!(kept.next_name(newest.time()).to_string(), "2026-11-22T00:00:00.001Z");
        assert_eq!(kept.next_name(ahead.time()).to_string(), "2031-01-01T00:00:00.001Z");
    }
}
