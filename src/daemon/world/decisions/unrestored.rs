//! Restores that have not brought all back: which syncs wait for them, and until when.

use std::path::Path;

use crate::daemon::world::decisions::{AtWork, Decisions};
use crate::model::{HalfRestored, Obstacle, RestoreEnding, RestoreKey, RestoreStage, SyncName, UnfinishedRestore};

impl Decisions {
    /// A restore goes into the sources of these syncs, which wait for its end.
    pub(crate) fn restore_begins(&mut self, key: RestoreKey, mut restore: UnfinishedRestore) {
        let before = self.ledger.restores.get(&key);
        let there = self.restoring.entry(key.clone());
        there.or_insert(AtWork { count: 0, cut: before.is_some() }).count += 1;
        if let Some(before) = before {
            restore.since = before.since;
            restore.syncs.extend(before.syncs.iter().cloned());
            restore.origin = restore.origin.filter(|origin| before.origin.as_ref() == Some(origin));
        }
        self.change().restores.insert(key, restore);
    }

    /// It has ended. What came back whole takes with it what was begun before of the same entries of the same copy, and
    /// nothing else.
    pub(crate) fn restore_ends(&mut self, key: &RestoreKey, origin: Option<&Path>, ending: RestoreEnding) {
        let Some(there) = self.restoring.get_mut(key) else { return };
        there.count = there.count.saturating_sub(1);
        there.cut |= ending == RestoreEnding::Cut;
        let (is_last, was_cut) = (there.count == 0, there.cut);
        if is_last {
            self.restoring.remove(key);
        }
        match ending {
            RestoreEnding::Whole => {
                let restoring = self.restoring.clone();
                let whole = origin.map(|origin| (key.place.as_path(), origin));
                let is_done = |other: &RestoreKey, unfinished: &UnfinishedRestore| {
                    let is_brought = whole.is_some_and(|whole| unfinished.is_part_of(&other.place, whole));
                    (other == key || is_brought) && !restoring.contains_key(other)
                };
                self.change().restores.retain(|other, unfinished| !is_done(other, unfinished));
            }
            RestoreEnding::Untouched if is_last && !was_cut => drop(self.change().restores.remove(key)),
            RestoreEnding::Cut => {
                let mixed = |unfinished: &&mut UnfinishedRestore| unfinished.origin.as_deref() != origin;
                if let Some(unfinished) = self.change().restores.get_mut(key).filter(mixed) {
                    unfinished.origin = None;
                }
            }
            RestoreEnding::Untouched => {}
        }
    }

    /// The restores into the source of a sync that have not brought all back.
    pub(crate) fn unrestored(&self, sync: &SyncName) -> impl Iterator<Item = Obstacle> {
        let of_sync = self.ledger.restores.iter().filter(|(_, restore)| restore.syncs.contains(sync));
        of_sync.map(|(key, UnfinishedRestore { since, .. })| {
            let is_under_way = self.restoring.contains_key(key);
            let stage = if is_under_way { RestoreStage::UnderWay } else { RestoreStage::Cut };
            let RestoreKey { place, command } = key.clone();
            Obstacle::Unrestored(HalfRestored { place, since: *since, command, stage })
        })
    }

    /// What is there of a restore is all that is wanted of the source of a sync.
    pub(crate) fn accept_unrestored(&mut self, sync: &SyncName, key: &RestoreKey) {
        let restores = &mut self.change().restores;
        if let Some(restore) = restores.get_mut(key) {
            restore.syncs.remove(sync);
            if restore.syncs.is_empty() {
                restores.remove(key);
            }
        }
    }
}
