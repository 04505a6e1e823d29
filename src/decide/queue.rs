//! Which syncs run next, in which order, and which may start now.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use jiff::Timestamp;

use crate::model::{BootTime, SyncName};

/// A sync that is possible and wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSync {
    /// When its last success ended; the stalest goes first, and what was never copied goes before all.
    pub last_success: Option<Timestamp>,
    /// Before this moment it does not start: its volumes have to settle, and a person may still hold them.
    pub ready_at: BootTime,
    /// What it needs for itself: drives and servers.
    pub resources: BTreeSet<String>,
}

/// The order in which candidates run: what goes before others first, then the stalest, then by name.
#[must_use]
pub fn order(
    candidates: &BTreeMap<SyncName, DueSync>,
    upstreams: &BTreeMap<SyncName, BTreeSet<SyncName>>,
) -> Vec<SyncName> {
    let mut before: BTreeMap<&SyncName, usize> = BTreeMap::new();
    let mut behind: BTreeMap<&SyncName, Vec<&SyncName>> = BTreeMap::new();
    for name in candidates.keys() {
        let waited_for = candidate_upstreams(name, candidates, upstreams);
        before.insert(name, waited_for.len());
        for upstream in waited_for {
            behind.entry(upstream).or_default().push(name);
        }
    }
    let stalest = |name: &SyncName| candidates.get(name).and_then(|candidate| candidate.last_success);
    let free = before.iter().filter(|(_, count)| **count == 0);
    let mut ready: BinaryHeap<_> = free.map(|(name, _)| Reverse((stalest(name), *name))).collect();
    let mut ordered = Vec::with_capacity(candidates.len());
    while let Some(Reverse((_, name))) = ready.pop() {
        ordered.push(name.clone());
        for next in behind.get(name).into_iter().flatten() {
            if let Some(count) = before.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    ready.push(Reverse((stalest(next), next)));
                }
            }
        }
    }
    ordered
}

/// The upstreams of a sync that wait in the queue too, also those reached through syncs that do not.
fn candidate_upstreams<'a>(
    name: &SyncName,
    candidates: &'a BTreeMap<SyncName, DueSync>,
    upstreams: &BTreeMap<SyncName, BTreeSet<SyncName>>,
) -> BTreeSet<&'a SyncName> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut next: Vec<&SyncName> = upstreams.get(name).into_iter().flatten().collect();
    while let Some(upstream) = next.pop() {
        if !seen.insert(upstream) {
            continue;
        }
        match candidates.get_key_value(upstream) {
            Some((candidate, _)) => {
                found.insert(candidate);
            }
            None => next.extend(upstreams.get(upstream).into_iter().flatten()),
        }
    }
    found
}

/// What runs at the moment, and what it needs for itself.
pub type Running = BTreeMap<SyncName, BTreeSet<String>>;

/// The syncs of the queue that may start now, in its order.
#[must_use]
pub fn startable(
    queue: &[SyncName],
    candidates: &BTreeMap<SyncName, DueSync>,
    upstreams: &BTreeMap<SyncName, BTreeSet<SyncName>>,
    running: &Running,
    max_parallel: usize,
    now: BootTime,
) -> Vec<SyncName> {
    let mut places = max_parallel.saturating_sub(running.len());
    let mut taken: BTreeSet<&String> = running.values().flatten().collect();
    let read_or_filled: BTreeSet<&SyncName> =
        running.keys().flat_map(|name| upstreams.get(name).into_iter().flatten()).collect();
    let mut started = Vec::new();
    for name in queue {
        if places == 0 {
            break;
        }
        let Some(candidate) = candidates.get(name) else { continue };
        let waits_for_upstream = !candidate_upstreams(name, candidates, upstreams).is_empty()
            || upstreams.get(name).into_iter().flatten().any(|upstream| running.contains_key(upstream));
        // What a running sync reads must not be written meanwhile.
        let is_read = read_or_filled.contains(name);
        let is_taken = candidate.resources.iter().any(|resource| taken.contains(resource));
        if candidate.ready_at > now || waits_for_upstream || is_read || is_taken {
            continue;
        }
        taken.extend(candidate.resources.iter());
        started.push(name.clone());
        places -= 1;
    }
    started
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> SyncName {
        text.parse().expect("a name")
    }

    /// `a<b` means that a goes before b; a number is the minute of the last success.
    fn check_order(candidates: &[(&str, Option<i64>)], edges: &[(&str, &str)], expected: &[&str]) {
        let candidates = candidates
            .iter()
            .map(|(sync, minute)| {
                let last_success = minute.map(|m| Timestamp::from_second(m * 60).expect("a time"));
                (name(sync), DueSync { last_success, ready_at: BootTime::default(), resources: BTreeSet::new() })
            })
            .collect();
        let ordered: Vec<_> = order(&candidates, &upstreams(edges)).iter().map(ToString::to_string).collect();
        assert_eq!(ordered, expected);
    }

    fn upstreams(edges: &[(&str, &str)]) -> BTreeMap<SyncName, BTreeSet<SyncName>> {
        let mut upstreams: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (first, second) in edges {
            upstreams.entry(name(second)).or_default().insert(name(first));
        }
        upstreams
    }

    #[test]
    fn the_stalest_goes_first_and_what_was_never_copied_before_all() {
        check_order(&[("a", Some(3)), ("b", Some(1)), ("c", None), ("d", Some(2))], &[], &["c", "b", "d", "a"]);
    }

    #[test]
    fn dependencies_go_before_staleness() {
        check_order(&[("a", Some(3)), ("b", None)], &[("a", "b")], &["a", "b"]);
        check_order(&[("a", Some(3)), ("c", None)], &[("a", "b"), ("b", "c")], &["a", "c"]);
    }

    prop_compose! {
        fn any_plan()(
            stale in proptest::collection::vec((proptest::option::of(0..50i64), 0..4u8, 0..3u64), 1..12),
            edges in proptest::collection::vec((0..12usize, 0..12usize), 0..14),
            busy in proptest::collection::btree_set(0..12usize, 0..4),
        ) -> (BTreeMap<SyncName, DueSync>, BTreeMap<SyncName, BTreeSet<SyncName>>, Running) {
            let label = |index: usize| name(&format!("s{index:02}"));
            let mut candidates: BTreeMap<_, _> = stale.iter().enumerate().map(|(index, (minute, resource, wait))| {
                let last_success = minute.map(|m| Timestamp::from_second(m * 60).expect("a time"));
                let resources = [format!("drive {resource}")].into();
                (label(index), DueSync { last_success, ready_at: BootTime(Duration::from_secs(*wait)), resources })
            }).collect();
            let mut upstreams: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
            for (first, second) in edges {
                // Only upwards, so that there is no cycle.
                if first < second {
                    upstreams.entry(label(second)).or_default().insert(label(first));
                }
            }
            let mut running = Running::new();
            for index in busy {
                candidates.remove(&label(index));
                running.insert(label(index), [format!("drive {}", index % 4)].into());
            }
            (candidates, upstreams, running)
        }
    }

    proptest! {
        #[test]
        fn every_candidate_has_one_place_behind_its_upstreams((candidates, upstreams, _) in any_plan()) {
            let ordered = order(&candidates, &upstreams);
            let places: BTreeMap<_, _> = ordered.iter().enumerate().map(|(place, name)| (name, place)).collect();
            prop_assert_eq!(places.len(), candidates.len());
            prop_assert_eq!(ordered.len(), candidates.len());
            for (name, place) in &places {
                for upstream in candidate_upstreams(name, &candidates, &upstreams) {
                    prop_assert!(places[upstream] < *place);
                }
            }
        }

        #[test]
        fn what_starts_shares_nothing_and_waits_for_its_upstreams(
            (candidates, upstreams, running) in any_plan(), places in 1..5usize,
        ) {
            let now = BootTime(Duration::from_secs(1));
            let ordered = order(&candidates, &upstreams);
            let started = startable(&ordered, &candidates, &upstreams, &running, places, now);
            prop_assert!(started.is_empty() || started.len() + running.len() <= places);
            let mut taken: BTreeSet<String> = running.values().flatten().cloned().collect();
            for name in &started {
                prop_assert!(candidates[name].ready_at <= now);
                for resource in &candidates[name].resources {
                    prop_assert!(taken.insert(resource.clone()), "{resource} is used twice");
                }
                for upstream in upstreams.get(name).into_iter().flatten() {
                    prop_assert!(!running.contains_key(upstream) && !candidates.contains_key(upstream));
                }
            }
            for reader in running.keys() {
                for upstream in upstreams.get(reader).into_iter().flatten() {
                    prop_assert!(!started.contains(upstream));
                }
            }
        }

        #[test]
        fn an_idle_daemon_starts_something_that_is_ready((candidates, upstreams, _) in any_plan()) {
            let now = BootTime(Duration::from_mins(1));
            let ordered = order(&candidates, &upstreams);
            let started = startable(&ordered, &candidates, &upstreams, &Running::new(), 1, now);
            prop_assert_eq!(started.first(), ordered.first());
        }
    }
}
