//! What is to be done with a drive, and what became of it.

use crate::model::{
    CredentialProvider, Drive, DriveUuid, Left, OpeningTrouble, Route, ServerKey, VolumeName, WhenDone,
};

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
