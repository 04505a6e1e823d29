//! Servers: what lies on one, by which ways it is reached from here, and when it is asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{
    Configuration, Containers, Drive, EndKind, EndProbe, HostFault, HostTrouble, LocationName, Place, RemoteProbe,
    Route, Server, ServerKey, ServerProbe, SoughtDrive, VolumeName, VolumeRoot,
};

/// How long to wait before a server that was out of reach is asked again, at first and at most. Nothing tells that a
/// server was switched on, so somebody has to ask; a change of the network asks at once.
const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_mins(30);

/// The servers of a configuration, with the volumes on each.
#[must_use]
pub fn servers(configuration: &Configuration) -> BTreeMap<ServerKey, Vec<VolumeName>> {
    let mut servers: BTreeMap<ServerKey, Vec<VolumeName>> = BTreeMap::new();
    for volume in configuration.volumes.values() {
        if let VolumeRoot::Server(server) = &volume.root {
            servers.entry(server.key()).or_default().push(volume.name.clone());
        }
    }
    servers
}

/// The ways to a server that are meant for these locations, best first.
#[must_use]
pub fn routes(server: &ServerKey, configuration: &Configuration, here: &BTreeSet<LocationName>) -> Vec<Route> {
    let meant = |route: &Route| {
        let locations = &route.endpoint.locations;
        locations.is_empty() || locations.iter().any(|location| here.contains(location))
    };
    server.0.iter().filter_map(|endpoint| configuration.route(endpoint)).filter(meant).collect()
}

/// All that there is to look at on a server, by these ways; `containers` are those in which the filesystems lay before.
#[must_use]
pub fn probe(
    server: &ServerKey,
    routes: Vec<Route>,
    configuration: &Configuration,
    containers: &Containers,
) -> ServerProbe {
    let on_it = configuration.volumes.values().filter_map(|volume| match &volume.root {
        VolumeRoot::Server(root) if root.endpoints == server.0 => Some((&volume.name, root)),
        VolumeRoot::Server(_) | VolumeRoot::Directory(_) | VolumeRoot::Drive(_) => None,
    });
    let keeping = configuration.snapshot_destinations();
    let volumes = on_it.map(|(name, root)| remote_probe(name, (root, containers), configuration, &keeping)).collect();
    ServerProbe { server: server.clone(), routes, volumes }
}

fn remote_probe(
    name: &VolumeName,
    (root, containers): (&Server, &Containers),
    configuration: &Configuration,
    keeping: &BTreeSet<&Place>,
) -> RemoteProbe {
    let mut ends = Vec::new();
    for sync in configuration.syncs.values() {
        let mut add = |place: &Place, kind| {
            if place.volume == *name {
                ends.push(EndProbe { sync: sync.name.clone(), subdir: place.subdir.clone(), kind });
            }
        };
        let reads_snapshots = keeping.contains(&sync.source);
        add(&sync.source, if reads_snapshots { EndKind::SourceOfSnapshots } else { EndKind::Source });
        add(&sync.destination, EndKind::Destination(sync.snapshots));
    }
    let sought = |drive: &Drive| SoughtDrive { drive: drive.clone(), container: containers.get(&drive.uuid).cloned() };
    RemoteProbe { volume: name.clone(), path: root.path.clone(), drive: root.drive.as_ref().map(sought), ends }
}

/// The fault that tells a person most: what only they can mend before what mends itself, and of equals that of the best
/// way.
#[must_use]
pub fn most_telling(faults: &[HostFault]) -> Option<&HostFault> {
    faults.iter().find(|fault| fault.asks_person()).or_else(|| faults.first())
}

/// Whether a fault shows that a connection that is up leads nowhere any more.
#[must_use]
pub fn cuts_off(fault: &HostFault) -> bool {
    match fault.trouble {
        HostTrouble::NoRoute => true,
        HostTrouble::NoName
        | HostTrouble::Portal
        | HostTrouble::Refused
        | HostTrouble::Silent
        | HostTrouble::UnknownKey
        | HostTrouble::OtherKey
        | HostTrouble::NotAdmitted
        | HostTrouble::NoShell(_)
        | HostTrouble::Broken(_) => false,
    }
}

/// How long to wait after the `failures`th look in a row that did not reach a server, up to a quarter less as `jitter`
/// has it.
#[must_use]
pub fn wait(failures: u32, jitter: u16) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    full.saturating_sub((full / 4).mul_f64(f64::from(jitter) / f64::from(u16::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{self, Context};
    use crate::model::{Configuration, SnapshotKind};

    const NAS: &str = r#"
        [locations.home]
        subnets = ["192.168.7.0/24"]
        [ssh-endpoints.bastion]
        host = "bastion.example.org"
        [ssh-endpoints.inner]
        host = "inner"
        proxy-jump = ["bastion"]
        [ssh-endpoints.lan]
        host = "nas.local"
        locations = ["home"]
        [ssh-endpoints.wan]
        host = "nas"
        proxy-jump = ["inner"]
        [volumes.laptop]
        path = "/home/a"
        [volumes.nas]
        ssh = ["lan", "wan"]
        path = "/srv"
        [volumes.attic]
        ssh = ["lan", "wan"]
        path = "/attic"
        [syncs.photos]
        source = "laptop:Photos"
        destination = "nas:photos"
        snapshots = "btrfs"
        [syncs.back]
        source = "nas:photos"
        destination = "laptop:back"
    "#;

    fn configuration() -> Configuration {
        let context = Context { file: "/config.toml".into(), home: "/home/a".into() };
        config::parse(NAS, &context).unwrap()
    }

    fn hosts(here: &[&str]) -> Vec<String> {
        let here = here.iter().map(|name| name.parse().unwrap()).collect();
        let key = ServerKey(vec!["lan".parse().unwrap(), "wan".parse().unwrap()]);
        let routes = routes(&key, &configuration(), &here);
        routes
            .iter()
            .map(|route| {
                let hops: Vec<_> = route.hops.iter().map(|hop| hop.host.as_str()).collect();
                format!("{} by {hops:?}", route.endpoint.host)
            })
            .collect()
    }

    #[test]
    fn ways_are_taken_where_they_are_meant_for() {
        let wan = r#"nas by ["bastion.example.org", "inner"]"#;
        assert_eq!(hosts(&["home"]), ["nas.local by []", wan]);
        assert_eq!(hosts(&[]), [wan]);
    }

    #[test]
    fn volumes_with_the_same_ways_are_asked_together() {
        let configuration = configuration();
        let servers = servers(&configuration);
        assert_eq!(servers.len(), 1);
        let (key, volumes) = servers.first_key_value().unwrap();
        assert_eq!(volumes.len(), 2);
        let probe = probe(key, Vec::new(), &configuration, &Containers::new());
        let ends = |name: &str| {
            let volume = probe.volumes.iter().find(|volume| volume.volume.as_str() == name).unwrap();
            volume.ends.iter().map(|end| (end.sync.to_string(), end.kind)).collect::<Vec<_>>()
        };
        assert_eq!(ends("attic"), []);
        assert_eq!(
            ends("nas"),
            [
                ("back".to_owned(), EndKind::SourceOfSnapshots),
                ("photos".to_owned(), EndKind::Destination(SnapshotKind::Btrfs)),
            ]
        );
    }

    #[test]
    fn what_only_a_person_can_mend_is_told_first() {
        let fault = |trouble| HostFault { host: "nas".into(), port: None, user: None, trouble };
        let faults = [fault(HostTrouble::Silent), fault(HostTrouble::NotAdmitted), fault(HostTrouble::NoRoute)];
        assert_eq!(most_telling(&faults).map(|fault| &fault.trouble), Some(&HostTrouble::NotAdmitted));
        assert_eq!(most_telling(&[fault(HostTrouble::Silent)]).map(|fault| &fault.trouble), Some(&HostTrouble::Silent));
        assert_eq!(most_telling(&[]), None);
    }

    #[test]
    fn a_server_is_asked_again_soon_and_then_seldom() {
        assert_eq!(wait(1, 0), Duration::from_secs(15));
        assert_eq!(wait(2, 0), Duration::from_secs(30));
        assert_eq!(wait(40, 0), LONGEST);
        assert!(wait(40, u16::MAX) >= LONGEST * 3 / 4);
    }
}
