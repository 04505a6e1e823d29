//! What must hold between syncs: no two write the same place, none writes into what it reads, none waits for itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::reader::{BadValue, Reading};
use super::syncs::SyncSpans;
use crate::model::{
    DriveUuid, Endpoint, EndpointName, Place, Subdir, Sync, SyncName, Volume, VolumeName, VolumeRoot, first_cycle,
    upstreams,
};

/// What a place lies on, whatever the volumes are called that lead there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Ground {
    /// This machine.
    Here,
    /// A drive, wherever it is mounted.
    Drive(DriveUuid),
    /// A server, below its root.
    Server(EndpointName),
    /// A server, below the home directory of the user that this endpoint logs in as.
    Home(EndpointName),
    /// A drive of a server.
    ServerDrive(DriveUuid),
}

/// Notes what does not hold between syncs.
pub(super) fn check(
    reading: &mut Reading<'_>,
    syncs: &BTreeMap<SyncName, (Sync, SyncSpans)>,
    volumes: &BTreeMap<VolumeName, Volume>,
    endpoints: &BTreeMap<EndpointName, Endpoint>,
) {
    let servers = servers(endpoints, volumes);
    let ground = |place: &Place| ground(place, volumes, &servers);
    // In order, everything below a directory follows it directly, so each place is compared with one other only.
    let mut destinations = Vec::new();
    for (sync, spans) in syncs.values() {
        let Some(destination) = ground(&sync.destination) else { continue };
        if ground(&sync.source).is_some_and(|source| overlap(&source, &destination)) {
            let message = format!(
                "the sync `{}` would copy into itself: `{}` and `{}` overlap",
                sync.name, sync.source, sync.destination
            );
            let help = "choose a destination that is neither inside its source nor around it";
            reading.mistake(spans.destination.clone(), BadValue::new(message).help(help));
        }
        if let Some((from, to)) = two_servers(sync, volumes, &servers) {
            let message =
                format!("the sync `{}` would copy from one server to another: `{from}` and `{to}`", sync.name);
            let help = format!(
                "rsync cannot; copy through this machine: one sync from `{from}` to a local volume, and one from \
                 there to `{to}`"
            );
            reading.mistake(spans.destination.clone(), BadValue::new(message).help(help));
        }
        destinations.push((destination, sync, spans));
    }
    mirrors(reading, syncs, volumes, &ground);
    destinations.sort_by(|(a, x, _), (b, y, _)| (a, &x.name).cmp(&(b, &y.name)));
    let mut upper: Option<&(_, &Sync, &SyncSpans)> = None;
    for lower in &destinations {
        match upper {
            Some(upper) if overlap(&upper.0, &lower.0) => {
                let (first, second) =
                    if upper.2.name.start <= lower.2.name.start { (upper, lower) } else { (lower, upper) };
                let how = if upper.0 == lower.0 { "the same place" } else { "overlapping places" };
                let message = format!(
                    "the syncs `{}` and `{}` write {how}: `{}` and `{}`",
                    first.1.name, second.1.name, first.1.destination, second.1.destination
                );
                let help = "give each sync a destination of its own";
                reading.mistake(second.2.destination.clone(), BadValue::new(message).help(help));
            }
            Some(_) | None => upper = Some(lower),
        }
    }
    circle(reading, syncs);
}

/// Mirrors of repositories are read whole, and written by nobody but git.
fn mirrors(
    reading: &mut Reading<'_>,
    syncs: &BTreeMap<SyncName, (Sync, SyncSpans)>,
    volumes: &BTreeMap<VolumeName, Volume>,
    ground: &impl Fn(&Place) -> Option<(Ground, PathBuf)>,
) {
    for volume in volumes.values().filter(|volume| !volume.repositories.is_empty()) {
        let whole = Place { volume: volume.name.clone(), subdir: Subdir::default() };
        for (sync, spans) in syncs.values() {
            if sync.source.volume == volume.name && sync.source != whole {
                let message = format!("the mirrors of `{}` are copied together", volume.name);
                let help =
                    format!("write source = \"{}:\"; a repository of its own takes a volume of its own", volume.name);
                reading.mistake(spans.source.clone(), BadValue::new(message).help(help));
            }
            let places = (ground(&whole), ground(&sync.destination));
            if let (Some(mirrors), Some(destination)) = places
                && overlap(&mirrors, &destination)
            {
                let message = format!("`{}` holds mirrors of repositories, which nothing else may write", volume.name);
                reading.mistake(spans.destination.clone(), BadValue::new(message).help("choose another destination"));
            }
        }
    }
}

/// The volumes of a sync, if they are on two servers.
fn two_servers<'a>(
    sync: &'a Sync,
    volumes: &BTreeMap<VolumeName, Volume>,
    servers: &BTreeMap<&EndpointName, &EndpointName>,
) -> Option<(&'a VolumeName, &'a VolumeName)> {
    let server = |volume: &VolumeName| match &volumes.get(volume)?.root {
        VolumeRoot::Server(server) => servers.get(server.endpoints.first()?),
        VolumeRoot::Directory(_) | VolumeRoot::Drive(_) => None,
    };
    let (from, to) = (&sync.source.volume, &sync.destination.volume);
    (server(from)? != server(to)?).then_some((from, to))
}

fn overlap(a: &(Ground, PathBuf), b: &(Ground, PathBuf)) -> bool {
    a.0 == b.0 && (a.1.starts_with(&b.1) || b.1.starts_with(&a.1))
}

fn ground(
    place: &Place,
    volumes: &BTreeMap<VolumeName, Volume>,
    servers: &BTreeMap<&EndpointName, &EndpointName>,
) -> Option<(Ground, PathBuf)> {
    let subdir = place.subdir.as_path();
    Some(match &volumes.get(&place.volume)?.root {
        VolumeRoot::Directory(path) => (Ground::Here, join(path, subdir)),
        VolumeRoot::Drive(drive) => (Ground::Drive(drive.uuid.clone()), subdir.to_owned()),
        VolumeRoot::Server(server) => {
            let path = join(&server.path, subdir);
            match (&server.drive, server.endpoints.first()) {
                (Some(drive), _) => (Ground::ServerDrive(drive.uuid.clone()), path),
                (None, Some(endpoint)) => {
                    let name = (*servers.get(endpoint)?).clone();
                    (if path.is_absolute() { Ground::Server(name) } else { Ground::Home(name) }, path)
                }
                (None, None) => return None,
            }
        }
    })
}

/// Joined without a trailing slash, which an empty second part would leave.
fn join(path: &std::path::Path, subdir: &std::path::Path) -> PathBuf {
    path.components().chain(subdir.components()).collect()
}

/// For each endpoint, one that stands for its server: endpoints reach one server if a volume lists both, or if they
/// have the same host and port.
fn servers<'a>(
    endpoints: &'a BTreeMap<EndpointName, Endpoint>,
    volumes: &'a BTreeMap<VolumeName, Volume>,
) -> BTreeMap<&'a EndpointName, &'a EndpointName> {
    let mut stands: BTreeMap<_, _> = endpoints.keys().map(|name| (name, name)).collect();
    let mut hosts: BTreeMap<_, Vec<&EndpointName>> = BTreeMap::new();
    for endpoint in endpoints.values() {
        hosts.entry((&endpoint.host, endpoint.port)).or_default().push(&endpoint.name);
    }
    let listed = volumes.values().filter_map(|volume| match &volume.root {
        VolumeRoot::Server(server) => Some(server.endpoints.iter().collect()),
        VolumeRoot::Directory(_) | VolumeRoot::Drive(_) => None,
    });
    for together in hosts.into_values().chain(listed) {
        let joined: Vec<_> = together.iter().filter_map(|name| stands.get(name).copied()).collect();
        if let Some(first) = joined.iter().min().copied() {
            for name in stands.values_mut().filter(|name| joined.contains(name)) {
                *name = first;
            }
        }
    }
    stands
}

/// Notes syncs that wait for each other in a circle.
fn circle(reading: &mut Reading<'_>, syncs: &BTreeMap<SyncName, (Sync, SyncSpans)>) {
    let plain = syncs.iter().map(|(name, (sync, _))| (name.clone(), sync.clone())).collect();
    let Some(cycle) = first_cycle(&upstreams(&plain)) else { return };
    let Some(first) = cycle.first() else { return };
    let way: Vec<_> = cycle.iter().chain([first]).map(|name| format!("`{name}`")).collect();
    // The place where one of them says that it waits; else where one reads what another writes.
    let pairs = cycle.iter().zip(cycle.iter().skip(1).chain([first]));
    let said = pairs.filter_map(|(before, name)| {
        let (_, spans) = syncs.get(name)?;
        spans.after.iter().find(|text| before.as_str() == text.get_ref() || before.base() == text.get_ref())
    });
    let read = || syncs.get(first).map(|(_, spans)| spans.source.clone());
    let place = said.map(toml::Spanned::span).next().or_else(read).unwrap_or_default();
    let message = format!("these syncs wait for each other in a circle: {}", way.join(" -> "));
    let help =
        "each goes after the one before it, by `after` or because it reads what that one writes; break the circle";
    reading.mistake(place, BadValue::new(message).help(help));
}
