//! A drive of a server: unlocked, mounted, unmounted, locked and powered off there by `udisksctl`, over one connection.
//!
//! As on this machine, each operation is asked for and then looked at: what is true is how the drive stands afterwards,
//! not what a call was answered.

use std::time::Duration;

use super::process::{Bell, Wanted};
use super::ssh::shared::Shared;
use super::ssh::{NoAnswer, SshPlace};
use crate::formats::ssh::answers;
use crate::formats::ssh::drive::{Facts, Meant, Tool, Verb, arguments, facts_in};
use crate::formats::ssh::script::{self, Marks};
use crate::formats::udisks::{self, Meaning};
use crate::model::{HostFault, HostTrouble, Route};

/// How long a look may take: disks that slept need some seconds.
const LOOK: Duration = Duration::from_mins(1);
/// How long it may take to mount, to lock or to power off.
const CHANGE: Duration = Duration::from_mins(2);
/// How long it may take to write what a slow drive has not got yet.
const FLUSH: Duration = Duration::from_mins(30);

/// Why a drive of a server was not brought to be as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerDriveError {
    /// The server cannot be used (any more).
    #[error("reach the server")]
    OutOfReach(HostFault),
    /// There is no udisks2 there.
    #[error("reach udisks2 there: {0}")]
    Absent(String),
    /// polkit does not let this account do it.
    #[error("{0}: polkit does not let this account do it there: {1}")]
    NotAuthorized(&'static str, String),
    /// Somebody uses it.
    #[error("{0}: it is in use: {1}")]
    Busy(&'static str, String),
    /// It is not so yet; the next look tells more.
    #[error("{0}: it did not come about: {1}")]
    Passing(&'static str, String),
    /// Nobody said whether it was done; the next look tells whether it is so.
    #[error("{0}: no answer came: {1}")]
    Unanswered(&'static str, String),
    /// The passphrase opens nothing.
    #[error("unlock it: the passphrase is not the right one")]
    WrongSecret,
    /// udisks2 there says no.
    #[error("{0}: {1}")]
    Refused(&'static str, String),
}

/// A connection to the server that a drive is plugged into.
#[derive(Debug)]
pub struct ServerDrive {
    shared: Shared,
    bell: Bell,
    marks: Marks,
}

impl ServerDrive {
    /// Connects by the first way that leads there; of several that do not, tells of the last.
    pub fn connect(routes: &[Route], place: &SshPlace, marks: Marks) -> Result<Self, ServerDriveError> {
        let mut fault = HostFault {
            host: "the server".into(),
            port: None,
            user: None,
            trouble: HostTrouble::Broken("the configuration names no way that is meant for this network".into()),
        };
        for route in routes {
            let bell = Bell::new().map_err(|error| broken(route, error.to_string()))?;
            match Shared::open(route, place, &bell, || Wanted::GoOn) {
                Ok(shared) => return Ok(Self { shared, bell, marks }),
                Err(found) => fault = found,
            }
        }
        Err(ServerDriveError::OutOfReach(fault))
    }

    /// The way by which it is reached.
    #[must_use]
    pub fn route(&self) -> &Route {
        self.shared.route()
    }

    /// How a drive stands.
    pub fn look(&self, meant: &Meant) -> Result<Facts, ServerDriveError> {
        self.run(meant, Verb::Look, LOOK)
    }

    /// How it stands, and who uses it.
    pub fn users(&self, meant: &Meant) -> Result<Facts, ServerDriveError> {
        self.run(meant, Verb::Users, LOOK)
    }

    /// Mounts it: where fstab says, or below `/run/media`.
    pub fn mount(&self, meant: &Meant) -> Result<Facts, ServerDriveError> {
        self.change(meant, Verb::Mount, "mount it", CHANGE)
    }

    /// Writes what is not on it yet, and unmounts it at one of the places where it is mounted.
    pub fn unmount(&self, meant: &Meant) -> Result<Facts, ServerDriveError> {
        self.change(meant, Verb::Unmount, "unmount it", FLUSH)
    }

    /// Locks its container.
    pub fn lock(&self, meant: &Meant) -> Result<Facts, ServerDriveError> {
        self.change(meant, Verb::Lock, "lock it", CHANGE)
    }

    /// Powers off the hardware that it is a part of, which makes it go away.
    pub fn power_off(&self, meant: &Meant) -> Result<Facts, ServerDriveError> {
        self.change(meant, Verb::PowerOff, "power it off", CHANGE)
    }

    fn change(
        &self,
        meant: &Meant,
        verb: Verb,
        what: &'static str,
        deadline: Duration,
    ) -> Result<Facts, ServerDriveError> {
        let facts = self.run(meant, verb, deadline)?;
        if let Some(why) = &facts.unflushed {
            return Err(ServerDriveError::Refused("write to it what is not there yet", why.clone()));
        }
        match &facts.why {
            Some(why) if facts.tool == Tool::Missing => Err(ServerDriveError::Absent(why.clone())),
            Some(why) => Err(judge(what, why)),
            None => Ok(facts),
        }
    }

    fn run(&self, meant: &Meant, verb: Verb, deadline: Duration) -> Result<Facts, ServerDriveError> {
        let words = arguments(meant, verb);
        let said = self.shared.ask((script::ACT, &words), &self.marks, deadline, &self.bell, || Wanted::GoOn);
        let said = said.map_err(|trouble: NoAnswer| ServerDriveError::OutOfReach(trouble.told(self.route())))?;
        facts_in(&said.output).ok_or_else(|| broken(self.route(), answers::shown(&said.errors)))
    }
}

fn broken(route: &Route, what: String) -> ServerDriveError {
    ServerDriveError::OutOfReach(crate::formats::ssh::complaints::at(&route.endpoint, HostTrouble::Broken(what)))
}

/// What a complaint of `udisksctl` means, which was to do this.
#[must_use]
pub fn judge(what: &'static str, complaint: &str) -> ServerDriveError {
    let (kind, words) = udisks::told(complaint);
    let words = words.to_owned();
    match kind {
        Meaning::Absent => ServerDriveError::Absent(words),
        Meaning::NotAuthorized => ServerDriveError::NotAuthorized(what, words),
        Meaning::Busy => ServerDriveError::Busy(what, words),
        Meaning::Passing => ServerDriveError::Passing(what, words),
        Meaning::Unanswered => ServerDriveError::Unanswered(what, words),
        Meaning::WrongSecret => ServerDriveError::WrongSecret,
        Meaning::Refused => ServerDriveError::Refused(what, words),
    }
}
