//! How old the data in a copy is, where one sync reads what another one wrote; and where the copies of a source are.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::{DriveUuid, Place, ServerKey, Sync, SyncName, Volume, VolumeName, VolumeRoot};

/// A run that made its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Success {
    /// When it began to read.
    pub started: Timestamp,
    /// When the copy was complete.
    pub finished: Timestamp,
}

/// The successes of syncs, in any order.
pub type Successes = BTreeMap<SyncName, Vec<Success>>;

/// What the newest copy of a sync holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// From when its data is; `None` where history does not reach back to where it came from.
    pub data_of: Option<Timestamp>,
    /// When it arrived.
    pub arrived: Timestamp,
    /// The syncs that fill its source.
    pub through: BTreeSet<SyncName>,
}

/// The syncs that fill the source of each sync.
fn writers(syncs: &BTreeMap<SyncName, Sync>) -> BTreeMap<&SyncName, Vec<&SyncName>> {
    let mut by_volume: BTreeMap<&VolumeName, Vec<&Sync>> = BTreeMap::new();
    for sync in syncs.values() {
        by_volume.entry(&sync.destination.volume).or_default().push(sync);
    }
    let of = |sync: &Sync| {
        let near = by_volume.get(&sync.source.volume).into_iter().flatten();
        near.filter(|writer| writer.name != sync.name && writer.destination.overlaps(&sync.source))
            .map(|writer| &writer.name)
            .collect()
    };
    syncs.values().map(|sync| (&sync.name, of(sync))).collect()
}

/// What the newest copy of each sync that has one holds. A copy holds what its source held when the run began; where
/// other syncs fill the source, that is what their last successes before had brought, and the oldest of it counts.
#[must_use]
pub fn arrivals(syncs: &BTreeMap<SyncName, Sync>, successes: &Successes) -> BTreeMap<SyncName, Delivery> {
    let writers = writers(syncs);
    let mut arrivals = BTreeMap::new();
    for name in syncs.keys() {
        let newest = successes.get(name).into_iter().flatten().max_by_key(|success| success.finished);
        if let Some(newest) = newest {
            let through = writers.get(name).into_iter().flatten().map(|name| (*name).clone()).collect();
            let data_of = data_of(name, *newest, &writers, successes, syncs.len());
            arrivals.insert(name.clone(), Delivery { data_of, arrived: newest.finished, through });
        }
    }
    arrivals
}

/// From when the data is that a run copied. A valid configuration has no cycle; `depth` bounds what another one costs.
fn data_of(
    name: &SyncName,
    run: Success,
    writers: &BTreeMap<&SyncName, Vec<&SyncName>>,
    successes: &Successes,
    depth: usize,
) -> Option<Timestamp> {
    let above = writers.get(name).map(Vec::as_slice).unwrap_or_default();
    if above.is_empty() {
        return Some(run.started);
    }
    let depth = depth.checked_sub(1)?;
    let each = above.iter().map(|writer| {
        let before = successes.get(*writer).into_iter().flatten().filter(|success| success.finished <= run.started);
        let last = before.max_by_key(|success| success.finished)?;
        data_of(writer, *last, writers, successes, depth)
    });
    each.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// Where the copies of a source are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread<'a> {
    /// The source, which no other sync fills.
    pub source: &'a Place,
    /// The syncs that copy it, or what they copied of it.
    pub syncs: BTreeSet<&'a SyncName>,
    /// Those of them that have a copy.
    pub copied: BTreeSet<&'a SyncName>,
    /// On how many media it is, itself counted. What lies in directories of this machine is on one.
    pub media: usize,
    /// How many copies are off-site, as far as that can be known: at a server, or on a drive that is away.
    pub off_site: usize,
    /// From when the newest data is.
    pub newest: Option<Timestamp>,
    /// From when the data of the copy is that is most behind.
    pub oldest: Option<Timestamp>,
}

/// A thing that breaks or is stolen as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Medium {
    Machine,
    Drive(DriveUuid),
    Server(ServerKey),
}

/// Where the copies of each source are; `away` are the volumes that are not within reach.
#[must_use]
pub fn spreads<'a>(
    syncs: &'a BTreeMap<SyncName, Sync>,
    volumes: &BTreeMap<VolumeName, Volume>,
    arrivals: &BTreeMap<SyncName, Delivery>,
    away: &BTreeSet<VolumeName>,
) -> Vec<Spread<'a>> {
    let writers = writers(syncs);
    let mut readers: BTreeMap<&SyncName, Vec<&SyncName>> = BTreeMap::new();
    for (reader, above) in &writers {
        for writer in above {
            readers.entry(writer).or_default().push(reader);
        }
    }
    let mut origins: BTreeMap<&Place, Vec<&SyncName>> = BTreeMap::new();
    for sync in syncs.values().filter(|sync| writers.get(&sync.name).is_none_or(Vec::is_empty)) {
        origins.entry(&sync.source).or_default().push(&sync.name);
    }
    let spread = |(source, first): (&'a Place, Vec<&SyncName>)| {
        let mut next = first;
        let mut reached: BTreeMap<&SyncName, &Sync> = BTreeMap::new();
        while let Some(name) = next.pop() {
            if let Some((name, sync)) = syncs.get_key_value(name)
                && reached.insert(name, sync).is_none()
            {
                next.extend(readers.get(name).into_iter().flatten());
            }
        }
        let copied: Vec<&Sync> = reached.values().copied().filter(|sync| arrivals.contains_key(&sync.name)).collect();
        let places = copied.iter().map(|sync| &sync.destination.volume).chain([&source.volume]);
        let media: BTreeSet<Medium> = places.filter_map(|volume| Some(medium(&volumes.get(volume)?.root))).collect();
        let is_off = |sync: &&&Sync| match volumes.get(&sync.destination.volume).map(|volume| &volume.root) {
            Some(VolumeRoot::Server(_)) => true,
            Some(VolumeRoot::Drive(_)) => away.contains(&sync.destination.volume),
            Some(VolumeRoot::Directory(_)) | None => false,
        };
        let data = || copied.iter().filter_map(|sync| arrivals.get(&sync.name)?.data_of);
        Spread {
            source,
            media: media.len(),
            off_site: copied.iter().filter(is_off).count(),
            newest: data().max(),
            oldest: data().min(),
            copied: copied.iter().map(|sync| &sync.name).collect(),
            syncs: reached.into_keys().collect(),
        }
    };
    origins.into_iter().map(spread).collect()
}

fn medium(root: &VolumeRoot) -> Medium {
    match (root, root.drive()) {
        (_, Some(drive)) => Medium::Drive(drive.uuid.clone()),
        (VolumeRoot::Server(server), None) => Medium::Server(server.key()),
        (VolumeRoot::Directory(_) | VolumeRoot::Drive(_), None) => Medium::Machine,
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Drive, Mounting, Server, WhenDone};

    fn place(text: &str) -> Place {
        let (volume, subdir) = text.split_once(':').unwrap();
        Place { volume: volume.parse().unwrap(), subdir: subdir.parse().unwrap() }
    }

    fn syncs(each: &[(&str, &str, &str)]) -> BTreeMap<SyncName, Sync> {
        let sync = |(name, source, destination): &(&str, &str, &str)| {
            Sync::new(name.parse().unwrap(), place(source), place(destination))
        };
        each.iter().map(|one| (one.0.parse().unwrap(), sync(one))).collect()
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    /// Each success with the minutes in which it began and ended.
    fn ran(each: &[(&str, i64, i64)]) -> Successes {
        let mut successes = Successes::new();
        for (name, started, finished) in each {
            let success = Success { started: at(*started), finished: at(*finished) };
            successes.entry(name.parse().unwrap()).or_default().push(success);
        }
        successes
    }

    /// From which minute the data of a sync is, and when it arrived.
    fn check(syncs: &BTreeMap<SyncName, Sync>, runs: &[(&str, i64, i64)], name: &str, expected: (Option<i64>, i64)) {
        let arrivals = arrivals(syncs, &ran(runs));
        let found = &arrivals[&name.parse().unwrap()];
        assert_eq!((found.data_of, found.arrived), (expected.0.map(at), at(expected.1)), "{name}");
    }

    #[test]
    fn data_is_as_old_as_what_the_source_had_when_it_was_read() {
        let chain = syncs(&[("a", "laptop:", "usb:x"), ("b", "usb:x", "nas:y"), ("c", "nas:", "red:z")]);
        let runs = [("a", 0, 5), ("b", 10, 20), ("a", 12, 18), ("c", 30, 40), ("b", 35, 39)];
        check(&chain, &runs, "a", (Some(12), 18));
        check(&chain, &runs, "b", (Some(12), 39));
        // It began to read before the second run of b was through; the first had read before the second of a was.
        check(&chain, &runs, "c", (Some(0), 40));
        // What came from further back than history knows has no time.
        check(&chain, &[("b", 10, 20)], "b", (None, 20));
        check(&chain, &[("a", 15, 17), ("b", 10, 20)], "b", (None, 20));
        assert!(!arrivals(&chain, &ran(&runs[..1])).contains_key(&"b".parse().unwrap()), "it was never copied");
    }

    #[test]
    fn of_several_ways_the_one_furthest_behind_counts_and_circles_end() {
        let both = syncs(&[("a", "laptop:a", "usb:x/a"), ("b", "laptop:b", "usb:x/b"), ("all", "usb:x", "nas:")]);
        check(&both, &[("a", 8, 9), ("b", 2, 3), ("all", 10, 11)], "all", (Some(2), 11));
        let circle = syncs(&[("a", "laptop:", "usb:"), ("b", "usb:", "laptop:")]);
        let runs: Vec<_> = (0..40).flat_map(|n| [("a", 4 * n, 4 * n + 1), ("b", 4 * n + 2, 4 * n + 3)]).collect();
        check(&circle, &runs, "b", (None, 159));
    }

    #[test]
    fn copies_media_and_what_is_elsewhere_are_counted() {
        let chain = syncs(&[
            ("near", "laptop:d", "disk:d"),
            ("usb", "laptop:d", "usb:d"),
            ("nas", "usb:d", "nas:d"),
            ("never", "laptop:d", "nas:e"),
            ("other", "laptop:p", "usb:p"),
        ]);
        let drive = Drive {
            uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap(),
            mounting: Mounting::Elsewhere,
            when_done: WhenDone::Leave,
        };
        let server = Server { endpoints: vec!["lan".parse().unwrap()], path: "/srv".into(), drive: None };
        let roots = [
            ("laptop", VolumeRoot::Directory("/home/a".into())),
            ("disk", VolumeRoot::Directory("/disk".into())),
            ("usb", VolumeRoot::Drive(drive)),
            ("nas", VolumeRoot::Server(server)),
        ];
        let volumes: BTreeMap<VolumeName, Volume> = roots
            .map(|(name, root)| {
                (name.parse().unwrap(), Volume { name: name.parse().unwrap(), root, repositories: vec![] })
            })
            .into();
        let arrivals = arrivals(&chain, &ran(&[("near", 50, 51), ("usb", 1, 2), ("nas", 3, 4)]));
        let shown = |away: &[&str]| -> Vec<String> {
            let away = away.iter().map(|name| name.parse().unwrap()).collect();
            let spreads = spreads(&chain, &volumes, &arrivals, &away);
            let text = |one: &Spread<'_>| {
                let (copied, syncs) = (one.copied.len(), one.syncs.len());
                let data = (one.newest == Some(at(50)), one.oldest == Some(at(1)));
                format!("{} {copied}/{syncs} media {} off {} {data:?}", one.source, one.media, one.off_site)
            };
            spreads.iter().map(text).collect()
        };
        let never = "laptop:p 0/1 media 1 off 0 (false, false)";
        assert_eq!(shown(&[]), ["laptop:d 3/4 media 3 off 1 (true, true)", never]);
        assert_eq!(shown(&["usb"]), ["laptop:d 3/4 media 3 off 2 (true, true)", never]);
    }
}
