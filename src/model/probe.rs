//! What is looked for: the ends of syncs on a volume, here or on a server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::{
    Drive, DriveUuid, EndSight, EndpointName, HostFault, Route, ServerKey, SnapshotKind, Subdir, SyncName, VolumeName,
    VolumeSight,
};

/// An end of a sync to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndProbe {
    /// The sync.
    pub sync: SyncName,
    /// The directory below the root of the volume.
    pub subdir: Subdir,
    /// What must be there.
    pub kind: EndKind,
}

/// What must be at the end of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndKind {
    /// The files themselves, with `.nbkp-src`.
    Source,
    /// A destination with snapshots, of which the latest is read, with `.nbkp-src` beside them.
    SourceOfSnapshots,
    /// A destination that keeps history in this way, with `.nbkp-dst`.
    Destination(SnapshotKind),
}

/// A server to look at, with all that lies on it: one question for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProbe {
    /// The server.
    pub server: ServerKey,
    /// The ways to it from here, best first; the first that leads there is taken.
    pub routes: Vec<Route>,
    /// The volumes on it.
    pub volumes: Vec<RemoteProbe>,
}

/// A volume on a server to look at, and the ends of syncs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteProbe {
    /// The volume.
    pub volume: VolumeName,
    /// Its root: absolute, relative to the home directory of the remote user, or to the root of the drive.
    pub path: PathBuf,
    /// The drive on the server that holds it.
    pub drive: Option<SoughtDrive>,
    /// The ends to look at.
    pub ends: Vec<EndProbe>,
}

/// A drive of a server to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoughtDrive {
    /// What the configuration says of it.
    pub drive: Drive,
    /// The LUKS container in which its filesystem lay before.
    pub container: Option<DriveUuid>,
}

/// How a volume on a server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSight {
    /// The volume.
    pub sight: VolumeSight,
    /// The medium that it is on, for a drive that we open.
    pub medium: Option<u64>,
    /// The LUKS container in which the filesystem lies that its drive is named by.
    pub container: Option<DriveUuid>,
    /// The ends on it, in the order of the probe.
    pub ends: Vec<EndSight>,
}

/// What was found on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSight {
    /// It was reached, and its volumes stand so, in the order of the probe.
    Reached(Vec<RemoteSight>),
    /// None of the ways led there: what was wrong with each.
    OutOfReach(Vec<HostFault>),
    /// It was not asked, since the ways to it lead as they did before.
    AsBefore,
}

/// How the ways to a server led when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ways {
    /// The ways that there were, best first.
    pub endpoints: Vec<EndpointName>,
    /// Where each began, up to the one by which the server was reached.
    pub begun: Vec<Beginning>,
}

/// Where a way to a server begins: its first host, and how each of its addresses is reached from here. Nothing is known
/// of a name that leads nowhere, nor of what only ssh knows; there is no address then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beginning {
    /// The name of the host.
    pub host: String,
    /// Its addresses, each with a text that is another one when another way leads there.
    pub addresses: BTreeMap<IpAddr, String>,
}
