//! A whole, valid configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{
    Drive, EndpointName, GroupName, LocationName, Monitoring, Place, Server, SnapshotKind, Sync, SyncName, Volume,
    VolumeName, VolumeRoot,
};

/// A whole, valid configuration: every name in it resolves, no two destinations overlap, no dependency is cyclic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The daemon's own settings.
    pub daemon: DaemonSettings,
    /// Networks it recognises.
    pub locations: BTreeMap<LocationName, Location>,
    /// Ways to reach servers, `extends` resolved.
    pub endpoints: BTreeMap<EndpointName, Endpoint>,
    /// Named roots.
    pub volumes: BTreeMap<VolumeName, Volume>,
    /// Volumes that rotate in one role.
    pub groups: BTreeMap<GroupName, Group>,
    /// Where secrets come from.
    pub credentials: CredentialProvider,
    /// Where others than the person at the desk learn how backups stand.
    pub monitoring: Monitoring,
    /// The syncs, those to a group once for each member.
    pub syncs: BTreeMap<SyncName, Sync>,
}

/// The daemon's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonSettings {
    /// How many syncs that share no drive and no server may run at once; at least one.
    pub max_parallel: usize,
    /// Quiet time after the last change of a volume before a run starts.
    pub settle: Duration,
    /// Time after a plug-in before a run starts, in which a person may hold it.
    pub grace: Duration,
    /// Which desktop notifications are shown.
    pub notify: Notify,
}

/// Which desktop notifications are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// All.
    All,
    /// Failures, holds and overdue copies.
    Problems,
    /// None.
    None,
}

/// A network that the daemon recognises; any one match is enough.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location {
    /// Wi-Fi names.
    pub ssids: Vec<String>,
    /// NetworkManager connection names or UUIDs.
    pub connections: Vec<String>,
    /// MAC addresses of the default gateway, in lower case.
    pub gateways: Vec<String>,
    /// Subnets in CIDR notation.
    pub subnets: Vec<String>,
}

/// One way to reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub name: EndpointName,
    /// A name, an address, or a Host of `~/.ssh/config`.
    pub host: String,
    /// The port, if not ssh's own choice.
    pub port: Option<u16>,
    /// The remote user, if not ssh's own choice.
    pub user: Option<String>,
    /// The private key file.
    pub key: Option<PathBuf>,
    /// Where it is used; empty for anywhere.
    pub locations: Vec<LocationName>,
    /// The endpoints to jump through, first hop first.
    pub proxy_jump: Vec<EndpointName>,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// The file of known host keys.
    pub known_hosts: Option<PathBuf>,
    /// Options passed as `ssh -o`.
    pub options: Vec<String>,
}

impl Endpoint {
    /// A host that is reached as ssh reaches it by itself, in this time at most.
    #[must_use]
    pub fn plain(name: EndpointName, host: String, user: Option<String>, connect_timeout: Duration) -> Self {
        Self {
            name,
            host,
            user,
            connect_timeout,
            port: None,
            key: None,
            locations: Vec::new(),
            proxy_jump: Vec::new(),
            known_hosts: None,
            options: Vec::new(),
        }
    }
}

impl fmt::Display for Endpoint {
    /// `user@host:port`, as far as they are named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A way to a server: an endpoint, and the endpoints to jump through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The endpoint that is the server.
    pub endpoint: Endpoint,
    /// The endpoints on the way, the nearest first.
    pub hops: Vec<Endpoint>,
}

impl fmt::Display for Route {
    /// Where it leads, and through what: a private address behind another gateway is another host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.endpoint)?;
        self.hops.iter().rev().try_for_each(|hop| write!(f, " via {hop}"))
    }
}

impl Configuration {
    /// Whether it names programs that are run: whoever may write it decides what is run.
    #[must_use]
    pub fn names_programs(&self) -> bool {
        let hooked = |sync: &Sync| sync.hooks.named().next().is_some();
        matches!(self.credentials, CredentialProvider::Command(_)) || self.syncs.values().any(hooked)
    }

    /// The drives of this machine, under the names of their volumes.
    pub fn drives_here(&self) -> impl Iterator<Item = (&VolumeName, &Drive)> {
        self.volumes.values().filter_map(|volume| match &volume.root {
            VolumeRoot::Drive(drive) => Some((&volume.name, drive)),
            VolumeRoot::Directory(_) | VolumeRoot::Server(_) => None,
        })
    }

    /// The places that hold snapshots: who reads one of them, reads its `latest`.
    #[must_use]
    pub fn snapshot_destinations(&self) -> BTreeSet<&Place> {
        let keeping = self.syncs.values().filter(|sync| sync.snapshots != SnapshotKind::None);
        keeping.map(|sync| &sync.destination).collect()
    }

    /// The way to an endpoint. A hop that has hops of its own is reached through them.
    #[must_use]
    pub fn route(&self, name: &EndpointName) -> Option<Route> {
        let endpoint = self.endpoints.get(name)?.clone();
        let mut hops = Vec::new();
        self.add_hops(&endpoint, &mut hops);
        Some(Route { endpoint, hops })
    }

    /// What a server is known by, whatever its volume and endpoints are called: the drive in it, or the ways to it.
    #[must_use]
    pub fn known_by(&self, server: &Server) -> BTreeSet<String> {
        match &server.drive {
            Some(drive) => [format!("drive {}", drive.uuid)].into(),
            None => server.endpoints.iter().filter_map(|name| self.route(name)).map(|way| way.to_string()).collect(),
        }
    }

    /// There are no circles: a configuration that holds one is refused.
    fn add_hops(&self, endpoint: &Endpoint, hops: &mut Vec<Endpoint>) {
        for hop in endpoint.proxy_jump.iter().filter_map(|name| self.endpoints.get(name)) {
            if hops.is_empty() {
                self.add_hops(hop, hops);
            }
            hops.push(hop.clone());
        }
    }
}

/// Volumes that rotate in one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Its members, in the order of the configuration; never empty.
    pub volumes: Vec<VolumeName>,
}

/// Where secrets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialProvider {
    /// The Secret Service of the desktop.
    SecretService,
    /// A command that prints the secret; `{id}` in it is replaced by the credential's name.
    Command(Vec<String>),
    /// Files.
    File,
    /// Environment variables.
    Environment,
}
