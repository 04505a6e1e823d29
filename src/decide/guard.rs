//! The guard: how much a run may delete without a person's word.

use crate::model::{Guard, HoldReason};

/// What a run would delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletions {
    /// Entries that would go.
    pub deletions: u64,
    /// Entries that were there before.
    pub before: u64,
    /// Regular files that the source has now.
    pub files_left: u64,
}

/// So few deletions are not held where a share is allowed: in a small tree one file is a large share.
const HANDFUL: u64 = 10;

/// How many of so many entries may go without a person's word; `None` for any number. A handful may, but never most of
/// what there is.
fn allowance(guard: Guard, before: u64) -> Option<u64> {
    match guard {
        Guard::Off => None,
        // Whoever allows none means none.
        Guard::MaxDelete(0) => Some(0),
        Guard::MaxDelete(percent) => {
            let share = before.saturating_mul(u64::from(percent)) / 100;
            Some(share.max(HANDFUL.min(before / 2)))
        }
    }
}

/// Why a run is held, if it is; `approved` is the number of deletions that a person accepted. An emptied source is
/// held even with the guard off: nobody means to back up nothing.
#[must_use]
pub fn hold(guard: Guard, seen: Deletions, approved: Option<u64>) -> Option<HoldReason> {
    let Deletions { deletions, before, files_left } = seen;
    if deletions == 0 || approved.is_some_and(|approved| deletions <= approved) {
        return None;
    }
    let emptied = files_left == 0;
    let over = allowance(guard, before).is_some_and(|allowed| deletions > allowed);
    let allowed_percent = match guard {
        Guard::Off => 100,
        Guard::MaxDelete(percent) => percent,
    };
    (emptied || over).then_some(HoldReason::Deletions { deletions, before, allowed_percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: Guard, deletions: u64, before: u64, files_left: u64, approved: Option<u64>, held: Held) {
        let seen = Deletions { deletions, before, files_left };
        let found = if hold(guard, seen, approved).is_some() { Held::Yes } else { Held::No };
        assert_eq!(found, held, "{guard:?} {seen:?} {approved:?}");
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
    fn an_emptied_source_is_held_however_small_and_whatever_the_guard() {
        for guard in [Guard::Off, Guard::MaxDelete(25), Guard::MaxDelete(100)] {
            check(guard, 1, 1, 0, None, Held::Yes);
            check(guard, 0, 0, 0, None, Held::No);
        }
    }

    #[test]
    fn a_person_allows_exactly_what_was_shown() {
        let quarter = Guard::MaxDelete(25);
        check(quarter, 60, 100, 40, Some(60), Held::No);
        check(quarter, 61, 100, 39, Some(60), Held::Yes);
        check(quarter, 3, 3, 0, Some(3), Held::No);
        check(quarter, 20, 100, 80, Some(3), Held::No);
    }
}
