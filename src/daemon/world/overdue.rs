//! What a person at the desk is told of copies that are overdue: at once, and each day while they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::daemon::world::histories::{Histories, REMINDER};
use crate::daemon::world::plan::Plan;
use crate::daemon::world::runs::Runs;
use crate::daemon::world::settings::Settings;
use crate::model::{BootTime, Matter, Now, Sync, SyncName, VolumeName};

/// What was told to be overdue at each destination, and when.
#[derive(Debug, Default)]
pub(super) struct OverdueCopies(BTreeMap<VolumeName, (BTreeSet<SyncName>, BootTime)>);

/// How old all copies are.
#[derive(Debug)]
pub(super) struct Ages<'a> {
    pub(super) settings: &'a Settings,
    pub(super) histories: &'a Histories,
    pub(super) runs: &'a Runs,
    pub(super) plan: &'a Plan,
    pub(super) now: &'a Now,
}

impl OverdueCopies {
    /// What is to be said of each destination now. What is overdue there is told together, and only once it does not
    /// run anyway.
    pub(super) fn compare(&mut self, ages: &Ages<'_>) -> Vec<(VolumeName, Matter)> {
        let mut found = Vec::new();
        let mut overdue: BTreeMap<&VolumeName, Vec<(&Sync, Option<Duration>)>> = BTreeMap::new();
        for sync in ages.settings.configuration().syncs.values().filter(|sync| sync.enabled) {
            let since = ages.plan.prospects().get(&sync.name).and_then(|prospect| prospect.overdue_at);
            if since.is_some_and(|since| since <= ages.now.wall) {
                let last_success = ages.histories.get(&sync.name).and_then(|memory| memory.last_success);
                let age = last_success.map(|success| ages.now.wall.duration_since(success).unsigned_abs());
                overdue.entry(&sync.destination.volume).or_default().push((sync, age));
            }
        }
        self.0.retain(|volume, (known, _)| {
            let still = overdue.get(volume).map(Vec::as_slice).unwrap_or_default();
            known.retain(|name| still.iter().any(|(sync, _)| sync.name == *name));
            if known.is_empty() {
                found.push((volume.clone(), Matter::Withdrawn));
            }
            !known.is_empty()
        });
        for (volume, overdue) in overdue {
            let known = self.0.get(volume);
            let is_news = |sync: &Sync| {
                let under_way = ages.runs.get(&sync.name).is_some() || ages.plan.candidates().contains_key(&sync.name);
                let is_known = |(known, told): &(BTreeSet<_>, BootTime)| {
                    known.contains(&sync.name) && told.after(REMINDER) > ages.now.boot
                };
                !under_way && !known.is_some_and(is_known)
            };
            if overdue.iter().any(|(sync, _)| is_news(sync)) {
                let syncs: Vec<SyncName> = overdue.iter().map(|(sync, _)| sync.name.clone()).collect();
                // What was never copied is older than any copy.
                let known: Option<Vec<Duration>> = overdue.iter().map(|(_, age)| *age).collect();
                let age = known.and_then(|known| known.into_iter().max());
                let waits_for = syncs.first().and_then(|first| ages.plan.prospects().get(first)?.obstacles().next());
                self.0.insert(volume.clone(), (syncs.iter().cloned().collect(), ages.now.boot));
                let fresh_at = ages.fresh_elsewhere(&syncs);
                let matter = Matter::Overdue { syncs, age, waits_for: waits_for.cloned(), fresh_at };
                found.push((volume.clone(), matter));
            }
        }
        found
    }
}

impl Ages<'_> {
    /// A volume that has fresh copies of all these syncs, which go to other members of its group.
    fn fresh_elsewhere(&self, syncs: &[SyncName]) -> Option<VolumeName> {
        let configuration = self.settings.configuration();
        let is_fresh = |name: &SyncName| {
            let overdue_at = self.plan.prospects().get(name).and_then(|prospect| prospect.overdue_at);
            let is_copied = self.histories.get(name).is_some_and(|memory| memory.last_success.is_some());
            is_copied && overdue_at.is_none_or(|overdue_at| overdue_at > self.now.wall)
        };
        let has_all = |volume: &VolumeName| {
            syncs.iter().all(|sync| {
                let there = sync.on(volume);
                configuration.syncs.contains_key(&there) && is_fresh(&there)
            })
        };
        configuration.groups.values().flat_map(|group| &group.volumes).find(|volume| has_all(volume)).cloned()
    }
}
