//! Sets of paths that are only compared with each other.

use std::collections::BTreeSet;
use std::sync::Arc;

/// So many paths are known one by one; of more, only whether they are the very same.
const MOST: usize = 20_000;

/// Which paths a guard saw, by a number for each: it takes little room wherever it is kept, and names nobody's files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathSet {
    count: u64,
    sum: u64,
    each: Arc<BTreeSet<u64>>,
}

impl PathSet {
    /// A set as it was kept.
    #[must_use]
    pub fn kept(count: u64, sum: u64, each: BTreeSet<u64>) -> Self {
        Self { count, sum, each: Arc::new(each) }
    }

    /// Adds the path with this number, which it does not have.
    pub fn add(&mut self, number: u64) {
        let is_known = self.is_known();
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.wrapping_add(number);
        let each = Arc::make_mut(&mut self.each);
        if is_known && each.len() < MOST {
            each.insert(number);
        } else {
            each.clear();
        }
    }

    /// Adds the paths of another set.
    pub fn absorb(&mut self, other: &Self) {
        if other.is_known() {
            let new: Vec<u64> = other.each.difference(&self.each).copied().collect();
            for number in new {
                self.add(number);
            }
        } else {
            self.count = self.count.saturating_add(other.count);
            self.sum = self.sum.wrapping_add(other.sum);
            self.each = Arc::default();
        }
    }

    /// Whether its paths are known one by one.
    fn is_known(&self) -> bool {
        u64::try_from(self.each.len()) == Ok(self.count)
    }

    /// How many paths it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of their numbers.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The numbers, if there are not too many.
    #[must_use]
    pub fn each(&self) -> &BTreeSet<u64> {
        &self.each
    }

    /// Whether all of another set is in this one. A set that is too large to be known one by one is only in itself.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.is_known() && other.is_known() {
            other.each.is_subset(&self.each)
        } else {
            (self.count, self.sum) == (other.count, other.sum)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: impl IntoIterator<Item = u64>) -> PathSet {
        let mut set = PathSet::default();
        for number in numbers {
            set.add(number);
        }
        set
    }

    #[test]
    fn a_set_covers_itself_and_less_and_nothing_else() {
        let shown = set(0..60);
        assert!(shown.covers(&shown) && shown.covers(&set(10..50)) && shown.covers(&set([])));
        assert!(!shown.covers(&set(1..61)) && !shown.covers(&set([60])) && !set([]).covers(&set([0])));
    }

    #[test]
    fn two_sets_become_one() {
        let mut both = set(0..60);
        both.absorb(&set(40..80));
        assert_eq!(both, set(0..80));
        both.absorb(&set(0..30_000));
        assert!(both.each().is_empty() && both.count() == 30_080 && !both.covers(&set(0..80)));
    }

    #[test]
    fn a_set_that_is_too_large_covers_itself_alone() {
        let shown = set(0..30_000);
        assert!(shown.each().is_empty() && shown.count() == 30_000);
        assert!(shown.covers(&set((0..30_000).rev())));
        assert!(!shown.covers(&set(1..30_001)) && !shown.covers(&set(0..29_999)) && !shown.covers(&set(0..5)));
    }
}
