//! The guard: how much a run may delete without a person's word.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use crate::model::{Guard, HoldReason, PathSet, SnapshotName};

/// What a run would delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletions {
    /// Entries that would go.
    pub paths: PathSet,
    /// Entries that were there before.
    pub before: u64,
    /// Entries of the source that the destination cannot hold.
    pub unstorable: u64,
    /// Regular files that the source has now.
    pub files_left: u64,
    /// The snapshot that this was compared with, if it was one.
    pub against: Option<SnapshotName>,
}

/// So few deletions are not held where a share is allowed: in a small tree one file is a large share.
const HANDFUL: u64 = 10;

/// How many of so many entries may go without a person's word; `None` for any number. A handful may, but never most of
/// what there is.
fn allowance(guard: Guard, before: u64, unstorable: u64) -> Option<u64> {
    match guard {
        Guard::Off => None,
        // Whoever allows none means none.
        Guard::MaxDelete(0) => Some(0),
        Guard::MaxDelete(percent) => {
            let share = before.saturating_mul(u64::from(percent)) / 100;
            Some(share.max(HANDFUL.min(before.saturating_add(unstorable) / 2)))
        }
    }
}

/// Whether it may be that so many deletions, of so many entries, are held.
#[must_use]
pub fn is_too_much(guard: Guard, deletions: u64, before: u64, files_left: u64) -> bool {
    is_over(deletions, files_left, allowance(guard, before, 0))
}

fn is_over(deletions: u64, files_left: u64, allowed: Option<u64>) -> bool {
    deletions > 0 && (files_left == 0 || allowed.is_some_and(|allowed| deletions > allowed))
}

/// Why a run is held, if it is; `approved` are the deletions that a person accepted: these or some of them are let
/// pass, and no others. An emptied source is held even with the guard off: nobody means to back up nothing.
#[must_use]
pub fn hold(guard: Guard, seen: Deletions, approved: Option<&PathSet>) -> Option<HoldReason> {
    let Deletions { paths, before, unstorable, files_left, against } = seen;
    if approved.is_some_and(|approved| approved.covers(&paths)) {
        return None;
    }
    let allowed_percent = match guard {
        Guard::Off => 100,
        Guard::MaxDelete(percent) => percent,
    };
    let is_held = is_over(paths.count(), files_left, allowance(guard, before, unstorable));
    is_held.then_some(HoldReason::Deletions { paths, before, allowed_percent, against })
}

/// Files that would be cut down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cuts {
    /// Which.
    pub paths: PathSet,
    /// Of how many.
    pub of: u64,
    /// The snapshot that this was compared with, if it was one.
    pub against: Option<SnapshotName>,
}

/// Whether a file is cut down: to nothing, or to less than a tenth.
#[must_use]
pub fn is_cut(before: u64, now: u64) -> bool {
    before > 0 && (now == 0 || now < before / 10)
}

/// Whether it may be that so many files that are cut down, of so many, are held.
#[must_use]
pub fn is_too_cut(guard: Guard, files: u64, of: u64) -> bool {
    match guard {
        Guard::Off => false,
        // Where no deletion is allowed, files still change: a handful may shrink.
        Guard::MaxDelete(percent) => files > (of.saturating_mul(u64::from(percent)) / 100).max(HANDFUL.min(of / 2)),
    }
}

/// So much rarer than in all are the files that are cut down in a sample that is believed.
const DOUBT: u64 = 4;

/// Whether a sample of files, each with the part of the tree in which it lies and whether it is cut down, says that too
/// many may be. A part most of which is cut down may be larger than its share of the sample.
#[must_use]
pub fn may_be_too_cut<'a>(guard: Guard, sample: impl IntoIterator<Item = (&'a OsStr, bool)>) -> bool {
    let (mut all, mut parts) = ((0_u64, 0_u64), BTreeMap::<_, (u64, u64)>::new());
    for (part, is_cut) in sample {
        for (files, cut) in [&mut all, parts.entry(part).or_default()] {
            *files = files.saturating_add(1);
            *cut = cut.saturating_add(u64::from(is_cut));
        }
    }
    let is_mostly_cut = |(files, cut): &(u64, u64)| *cut > HANDFUL && cut.saturating_mul(2) > *files;
    let (files, cut) = all;
    is_too_cut(guard, cut.saturating_mul(DOUBT), files) || (guard != Guard::Off && parts.values().any(is_mostly_cut))
}

/// Why a run is held for what it would do to contents, if it is; `approved` are the files that a person accepted.
#[must_use]
pub fn hold_cuts(guard: Guard, seen: Cuts, approved: Option<&PathSet>) -> Option<HoldReason> {
    let Cuts { paths, of, against } = seen;
    let allowed_percent = match guard {
        Guard::Off => return None,
        Guard::MaxDelete(percent) => percent,
    };
    let is_held = is_too_cut(guard, paths.count(), of) && !approved.is_some_and(|approved| approved.covers(&paths));
    is_held.then_some(HoldReason::CutDown { paths, of, allowed_percent, against })
}

/// What a person is told of a run that wrote so many of the files anew, if they are more than the share that may go.
#[must_use]
pub fn replaced(guard: Guard, files: u64, of: u64) -> Option<String> {
    let allowed = allowance(guard, of, 0)?.max(HANDFUL);
    (files > allowed).then(|| format!("{files} of {of} files have another content than before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: Guard, deletions: u64, before: u64, files_left: u64, approved: Option<u64>, held: Held) {
        let seen = Deletions { paths: paths(0..deletions), before, unstorable: 0, files_left, against: None };
        let approved = approved.map(|approved| paths(0..approved));
        let found = if hold(guard, seen, approved.as_ref()).is_some() { Held::Yes } else { Held::No };
        assert_eq!(found, held, "{guard:?} {deletions} of {before}, {files_left} left; {approved:?}");
    }

    fn paths(numbers: std::ops::Range<u64>) -> PathSet {
        let mut paths = PathSet::default();
        for number in numbers {
            paths.add(number);
        }
        paths
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Held {
        Yes,
        No,
    }

    #[test]
    fn a_share_is_allowed_and_a_handful_unless_it_is_most_of_what_there_is() {
        let quarter = Guard::MaxDelete(25);
        check(quarter, 25, 100, 75, None, Held::No);
        check(quarter, 26, 100, 74, None, Held::Yes);
        check(quarter, 10, 20, 10, None, Held::No);
        check(quarter, 11, 22, 11, None, Held::Yes);
        check(quarter, 7, 12, 5, None, Held::Yes);
        check(quarter, 6, 12, 6, None, Held::No);
        check(quarter, 1, 2, 1, None, Held::No);
        check(quarter, 2, 3, 1, None, Held::Yes);
        check(Guard::MaxDelete(1), 11, 1_000_000, 9, None, Held::No);
        check(Guard::MaxDelete(0), 1, 1_000_000, 9, None, Held::Yes);
        check(Guard::MaxDelete(0), 1, 1_000_000, 9, Some(1), Held::No);
        check(Guard::MaxDelete(100), 999, 1000, 1, None, Held::No);
        check(Guard::Off, 999, 1000, 1, None, Held::No);
    }

    #[test]
    fn what_the_destination_cannot_hold_counts_for_a_handful_and_for_no_share() {
        let held = |deletions, before, unstorable, files_left| {
            let seen = Deletions { paths: paths(0..deletions), before, unstorable, files_left, against: None };
            hold(Guard::MaxDelete(25), seen, None).is_some()
        };
        assert!(held(1, 1, 0, 1) && !held(1, 1, 1, 1));
        assert!(held(1, 1, 1, 0), "an emptied source");
        assert!(held(10, 10, 9, 9) && !held(9, 9, 9, 9) && held(11, 11, 1000, 900));
    }

    #[test]
    fn an_emptied_source_is_held_however_small_and_whatever_the_guard() {
        for guard in [Guard::Off, Guard::MaxDelete(25), Guard::MaxDelete(100)] {
            check(guard, 1, 1, 0, None, Held::Yes);
            check(guard, 0, 0, 0, None, Held::No);
        }
    }

    #[test]
    fn files_that_are_cut_down_are_held_by_the_same_share() {
        for (before, now, cut) in
            [(0, 0, false), (1, 0, true), (1, 1, false), (100, 9, true), (100, 10, false), (100, 1000, false)]
        {
            assert_eq!(is_cut(before, now), cut, "{before} {now}");
        }
        let held = |guard, files, of, approved: Option<u64>| {
            let approved = approved.map(|approved| paths(0..approved));
            hold_cuts(guard, Cuts { paths: paths(0..files), of, against: None }, approved.as_ref()).is_some()
        };
        let quarter = Guard::MaxDelete(25);
        assert!(!held(quarter, 25, 100, None) && held(quarter, 26, 100, None));
        assert!(!held(quarter, 5, 10, None) && held(quarter, 6, 10, None) && held(quarter, 1, 1, None));
        assert!(!held(Guard::MaxDelete(0), 10, 1000, None) && held(Guard::MaxDelete(0), 11, 1000, None));
        assert!(!held(quarter, 60, 100, Some(60)) && held(quarter, 61, 100, Some(60)));
        assert!(!held(Guard::Off, 100, 100, None));
        assert_eq!(replaced(quarter, 25, 100), None);
        assert!(replaced(quarter, 26, 100).unwrap().starts_with("26 of 100 files"));
        assert_eq!(replaced(Guard::Off, 100, 100), None);
    }

    #[test]
    fn a_sample_is_believed_only_where_few_are_cut_down() {
        let may_be = |guard, parts: &[(&'static str, usize, usize)]| {
            let files = |(part, files, cut): &(&'static str, usize, usize)| {
                let (part, cut) = (OsStr::new(*part), *cut);
                (0..*files).map(move |number| (part, number < cut)).collect::<Vec<_>>()
            };
            may_be_too_cut(guard, parts.iter().flat_map(files))
        };
        let quarter = Guard::MaxDelete(25);
        assert!(!may_be(quarter, &[("a", 100, 6)]) && may_be(quarter, &[("a", 100, 7)]));
        // Exact where it is the whole tree: of ten files six are too many, and five may go.
        assert!(may_be(quarter, &[("a", 10, 6)]) && !may_be(quarter, &[("a", 10, 0)]));
        assert!(!may_be(quarter, &[("a", 20, 11), ("b", 980, 0)].map(|(part, files, _)| (part, files, 10))));
        assert!(may_be(quarter, &[("a", 20, 11), ("b", 980, 0)]));
        assert!(!may_be(quarter, &[("a", 40, 11), ("b", 980, 0)]));
        assert!(!may_be(Guard::Off, &[("a", 100, 100)]) && !may_be(quarter, &[]));
    }

    #[test]
    fn a_person_allows_exactly_what_was_shown() {
        let quarter = Guard::MaxDelete(25);
        check(quarter, 60, 100, 40, Some(60), Held::No);
        check(quarter, 61, 100, 39, Some(60), Held::Yes);
        check(quarter, 3, 3, 0, Some(3), Held::No);
        check(quarter, 20, 100, 80, Some(3), Held::No);
        // As many others are others.
        let others = Deletions { paths: paths(1..61), before: 100, unstorable: 0, files_left: 40, against: None };
        assert!(hold(quarter, others, Some(&paths(0..60))).is_some());
        let others = Cuts { paths: paths(1..61), of: 100, against: None };
        assert!(hold_cuts(quarter, others, Some(&paths(0..60))).is_some());
    }
}
