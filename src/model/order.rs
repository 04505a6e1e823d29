//! Which sync goes before which.

use std::collections::{BTreeMap, BTreeSet};

use super::{Sync, SyncName};

/// For each sync, those that go before it: the ones named in `after`, and the ones that write what it reads.
#[must_use]
pub fn upstreams(syncs: &BTreeMap<SyncName, Sync>) -> BTreeMap<SyncName, BTreeSet<SyncName>> {
    // Syncs by the volume they write to, so that a thousand syncs do not make a million comparisons.
    let mut writers: BTreeMap<_, Vec<&Sync>> = BTreeMap::new();
    for sync in syncs.values() {
        writers.entry(&sync.destination.volume).or_default().push(sync);
    }
    let before = |sync: &Sync| {
        let written = writers.get(&sync.source.volume).into_iter().flatten();
        let inferred = written.filter(|writer| writer.name != sync.name && writer.destination.overlaps(&sync.source));
        sync.after.iter().cloned().chain(inferred.map(|writer| writer.name.clone())).collect()
    };
    syncs.values().map(|sync| (sync.name.clone(), before(sync))).collect()
}

/// A cycle among names, each before the next and the last before the first, if there is one.
#[must_use]
pub fn first_cycle<N: Ord + Clone>(upstreams: &BTreeMap<N, BTreeSet<N>>) -> Option<Vec<N>> {
    let mut done = BTreeSet::new();
    for start in upstreams.keys() {
        // The way from `start` upwards, each with the upstreams still to be tried.
        let mut way: Vec<(&N, Vec<&N>)> = vec![(start, before(upstreams, start))];
        while let Some((name, rest)) = way.last_mut() {
            let name = *name;
            let Some(next) = rest.pop() else {
                done.insert(name);
                way.pop();
                continue;
            };
            if let Some(at) = way.iter().position(|(name, _)| *name == next) {
                let cycle = way.iter().skip(at).map(|(name, _)| (*name).clone());
                return Some(cycle.rev().collect());
            }
            if !done.contains(next) {
                way.push((next, before(upstreams, next)));
            }
        }
    }
    None
}

fn before<'a, N: Ord>(upstreams: &'a BTreeMap<N, BTreeSet<N>>, name: &N) -> Vec<&'a N> {
    upstreams.get(name).into_iter().flatten().collect()
}
