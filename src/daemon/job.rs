//! What a worker is given, and what it says while it works.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::model::{
    Access, CredentialProvider, Drive, DriveUuid, Interruption, Left, MountId, OpeningTrouble, Progress, Route, RunId,
    RunReport, SentinelId, ServerKey, Sync, SyncName, Trigger, VolumeName, WhenDone,
};

/// Everything that a run needs to know. It was true when the last look was taken; the run proves it again.
#[derive(Debug, Clone)]
pub struct Job {
    /// The id of the run.
    pub run: RunId,
    /// What made it start.
    pub trigger: Trigger,
    /// The sync.
    pub sync: Sync,
    /// Where it reads.
    pub source: JobEnd,
    /// Where it writes.
    pub destination: JobEnd,
    /// The number of deletions that a person approved for this run.
    pub approved: Option<u64>,
}

/// One end of a job. Where both are on a server, it is one and the same, and rsync runs there.
#[derive(Debug, Clone)]
pub enum JobEnd {
    /// It is on this machine.
    Here(LocalEnd),
    /// It is on a server.
    There(RemoteEnd),
}

impl JobEnd {
    /// The sequence number of its medium, for a drive of this machine that has one.
    #[must_use]
    pub fn medium(&self) -> Option<u64> {
        match self {
            Self::Here(end) => end.drive.as_ref()?.disk_seq,
            Self::There(_) => None,
        }
    }

    /// The root of its volume, as a person would write it: `host:path` for a server.
    #[must_use]
    pub fn shown(&self) -> PathBuf {
        match self {
            Self::Here(end) => end.root.clone(),
            Self::There(end) => {
                let host = end.routes.first().map_or("", |route| route.endpoint.host.as_str());
                let mut shown = OsString::from(format!("{host}:"));
                shown.push(&end.root);
                shown.into()
            }
        }
    }
}

/// An end of a job on this machine.
#[derive(Debug, Clone)]
pub struct LocalEnd {
    /// The root of the volume.
    pub root: PathBuf,
    /// The mount that the root must lie on.
    pub mount: MountId,
    /// The drive that must be behind it; `None` for a plain directory.
    pub drive: Option<DriveProof>,
    /// The type of its filesystem.
    pub fs_type: String,
    /// Whether it can be written.
    pub access: Access,
    /// The id that `.nbkp-vol` must carry, if one was seen before.
    pub volume_id: Option<SentinelId>,
    /// The id that `.nbkp-src` or `.nbkp-dst` must carry, if one was seen before.
    pub end_id: Option<SentinelId>,
    /// For a source: whether it is a destination with snapshots, so that its `latest` is what is read.
    pub layout: Layout,
}

/// An end of a job on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteEnd {
    /// The ways to the server, best first; the run takes the first that leads there. Never empty.
    pub routes: Vec<Route>,
    /// The root of the volume there: absolute, or relative to the home directory of the remote user.
    pub root: PathBuf,
    /// The id that `.nbkp-vol` must carry, if one was seen before.
    pub volume_id: Option<SentinelId>,
    /// The id that `.nbkp-src` or `.nbkp-dst` must carry, if one was seen before.
    pub end_id: Option<SentinelId>,
    /// For a source: whether it is a destination with snapshots, so that its `latest` is what is read.
    pub layout: Layout,
}

/// What lies in the directory of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The files themselves.
    Plain,
    /// A destination with snapshots.
    Snapshots,
}

/// What tells that the same medium is still in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriveProof {
    /// The UUID of its filesystem.
    pub uuid: DriveUuid,
    /// The number of its block device, major and minor.
    pub device: (u32, u32),
    /// The sequence number of the medium.
    pub disk_seq: Option<u64>,
}

/// What is to be done with a drive.
#[derive(Debug, Clone)]
pub enum DriveOrder {
    /// It is opened: unlocked if need be, and mounted.
    Open(Opening),
    /// It is closed.
    Close(Closing),
}

/// A drive to be opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its volume.
    pub volume: VolumeName,
    /// What the configuration says of it.
    pub drive: Drive,
    /// Where it is plugged in.
    pub site: Site,
    /// Where its passphrase comes from.
    pub credentials: CredentialProvider,
    /// Whom it is opened for.
    pub sake: Sake,
}

/// Where a drive is plugged in.
#[derive(Debug, Clone)]
pub enum Site {
    /// This machine.
    Here {
        /// The number of the device that carries its UUID, major and minor.
        device: (u32, u32),
        /// The sequence number of the medium.
        disk_seq: Option<u64>,
    },
    /// A server.
    There {
        /// What tells it from others.
        server: ServerKey,
        /// The LUKS container in which the filesystem lay before that the drive is named by.
        container: Option<DriveUuid>,
        /// The ways to it, best first.
        routes: Vec<Route>,
    },
}

/// Whom a drive is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sake {
    /// Runs: it is closed behind them.
    Runs,
    /// A person, who closes it.
    Person,
}

/// A drive to be closed.
#[derive(Debug, Clone)]
pub struct Closing {
    /// Its volume.
    pub volume: VolumeName,
    /// Where it is plugged in.
    pub site: ClosingSite,
    /// What is done beside undoing what was done to open it.
    pub then: WhenDone,
    /// How it is expected to be.
    pub expected: Expected,
}

/// Where a drive is plugged in that is to be closed.
#[derive(Debug, Clone)]
pub enum ClosingSite {
    /// This machine, with the number of its device, major and minor; `None` if that is known only from what was written
    /// down.
    Here(Option<(u32, u32)>),
    /// A server.
    There {
        /// What it carries.
        uuid: DriveUuid,
        /// The LUKS container in which the filesystem lay before that it is named by.
        container: Option<DriveUuid>,
        /// The ways to the server, best first.
        routes: Vec<Route>,
    },
}

/// How a drive is expected to be when it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Mounted: if it is not, somebody else has closed it.
    Mounted,
    /// In any state.
    Anyhow,
}

/// What became of an order.
#[derive(Debug, Clone)]
pub enum DriveNews {
    /// It is open, or it could not be opened.
    Opened(VolumeName, Result<(), OpeningTrouble>),
    /// It was closed, as far as it could be.
    Closed(VolumeName, Left, Closer),
}

/// Who closed a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closer {
    /// We did.
    Us,
    /// Somebody else had done it before.
    Another,
}

/// What a worker says.
#[derive(Debug, Clone)]
pub enum WorkerNews {
    /// How far a run is.
    Progress {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// How far it is.
        progress: Progress,
    },
    /// A run ended; nothing of it is left behind.
    Ended(Box<RunReport>),
}

/// What a worker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop(pub Interruption);
