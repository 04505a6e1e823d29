//! Drives of servers, opened and closed by `udisksctl` there.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::{Changes, PAUSE, UNTIL_BUSY};
use crate::daemon::job::{Closer, Closing, Expected, Opening};
use crate::daemon::unlock::{self, Container};
use crate::formats::ssh::drive::{Facts, Life, Meant, Medium, Role, State, Tool};
use crate::formats::ssh::script::Marks;
use crate::model::{
    Closed, DriveUuid, Held, HeldAt, Holder, Left, Mounting, OpeningTrouble, Route, ServerKey, Undo, VolumeName,
    WhenDone,
};
use crate::os::directory::Done;
use crate::os::server_drive::{ServerDrive, ServerDriveError};
use crate::os::ssh::{self, SshPlace};
use crate::os::{clock, machine};

/// How long what was asked for may take to show: udev and udisks2 there look at what was unlocked, too.
const UNTIL_SEEN: Duration = Duration::from_secs(15);

/// How long it may be mounted elsewhere, too, or again.
const UNTIL_CLOSED: Duration = Duration::from_mins(2);

fn connect(volume: &VolumeName, routes: &[Route], place: &SshPlace) -> Result<ServerDrive, ServerDriveError> {
    let marks = Marks::new(&format!("{:016x}", machine::fingerprint()), &format!("drive-{volume}"));
    ServerDrive::connect(routes, place, marks)
}

/// Opens the drive of a server that is reached by these ways.
pub(super) fn open(
    opening: &Opening,
    (server, routes): (&ServerKey, &[Route]),
    state_dir: &Path,
    place: &SshPlace,
) -> Result<(), OpeningTrouble> {
    let connection = connect(&opening.volume, routes, place).map_err(unlock::trouble_there)?;
    let mut meant = Meant { uuid: opening.drive.uuid.clone(), medium: None };
    let facts = connection.look(&meant).map_err(unlock::trouble_there)?;
    let medium = opened_by_us(opening, &facts, &connection)?;
    meant.medium = Some(medium.clone());
    let at = HeldAt::There { server: server.clone(), node: medium.node, disk_seq: medium.seq, boot: medium.boot };
    let mut changes = Changes::new(opening, at, undo(&facts.state), state_dir);
    if let (State::Locked, Mounting::ForTheRun { passphrase: Some(name) }) = (&facts.state, &opening.drive.mounting) {
        let way = ssh::way(connection.route(), place).map_err(|fault| OpeningTrouble::OutOfReach(Box::new(fault)))?;
        unlock::by_helper(Container::There { meant: meant.clone(), way }, name, &opening.credentials)?;
    }
    let mounted = mount(&connection, &meant).map_err(unlock::trouble_there)?;
    changes.settle(mounted);
    Ok(())
}

/// The medium, if it is one that may be opened.
fn opened_by_us(opening: &Opening, facts: &Facts, connection: &ServerDrive) -> Result<Medium, OpeningTrouble> {
    let other = |why: &str| Err(OpeningTrouble::Other(format!("open it: {why}")));
    if facts.tool == Tool::Missing {
        let host = &connection.route().endpoint.host;
        return Err(OpeningTrouble::NoUdisks(format!("find the program `udisksctl` on `{host}`")));
    }
    let passphrase = match &opening.drive.mounting {
        Mounting::ForTheRun { passphrase } => passphrase.as_ref(),
        Mounting::Elsewhere => None,
    };
    match (&facts.state, facts.role, passphrase) {
        (State::Unplugged, ..) => other("it was unplugged meanwhile"),
        (State::Ambiguous, ..) => other("several devices there carry its UUID"),
        (State::Locked, _, None) => other("it is locked, and the configuration has no `passphrase`"),
        (State::Closed | State::Open(_), Role::Plain, Some(_)) => {
            other("it is not encrypted, though it has a `passphrase`")
        }
        (State::Locked, _, Some(_)) | (State::Closed | State::Open(_), ..) => facts
            .medium()
            .filter(|medium| !medium.boot.is_empty())
            .ok_or_else(|| OpeningTrouble::Other("open it: the server does not tell its boot".into())),
    }
}

/// What an opening will have changed.
fn undo(state: &State) -> Undo {
    match state {
        State::Locked => Undo::Lock,
        State::Open(_) => Undo::Nothing,
        State::Closed | State::Unplugged | State::Ambiguous => Undo::Unmount,
    }
}

fn mount(connection: &ServerDrive, meant: &Meant) -> Result<Done, ServerDriveError> {
    let begun = clock::boot();
    let mut facts = connection.look(meant)?;
    let mut done = Done::AlreadySo;
    loop {
        if let State::Open(_) = facts.state {
            return Ok(done);
        }
        let late = clock::boot().since(begun) > UNTIL_SEEN;
        facts = match connection.mount(meant) {
            Ok(facts) => {
                done = Done::Changed;
                facts
            }
            // Somebody else does the same, or udisks2 does not know it yet: the next look tells.
            Err(ServerDriveError::Passing(..)) if !late => {
                done = Done::AlreadySo;
                connection.look(meant)?
            }
            Err(error) => return Err(error),
        };
        if late && !matches!(facts.state, State::Open(_)) {
            return Err(ServerDriveError::Passing("mount it", "it is not to be seen there".into()));
        }
        if !matches!(facts.state, State::Open(_)) {
            sleep(PAUSE);
        }
    }
}

/// Closes the drive that was opened, or else the one that carries this UUID.
pub(super) fn close(
    closing: &Closing,
    (uuid, routes): (&DriveUuid, &[Route]),
    held: Option<&Held>,
    place: &SshPlace,
) -> (Left, Closer) {
    let closed =
        connect(&closing.volume, routes, place).and_then(|connection| Work { connection, closing }.close(uuid, held));
    closed.unwrap_or_else(|error| (told(error), Closer::Us))
}

/// A drive that is being closed.
struct Work<'a> {
    connection: ServerDrive,
    closing: &'a Closing,
}

impl Work<'_> {
    fn close(&self, uuid: &DriveUuid, held: Option<&Held>) -> Result<(Left, Closer), ServerDriveError> {
        let (mut meant, undo) = meant(uuid, held);
        let facts = self.connection.look(&meant)?;
        if is_gone(&meant, &facts) {
            return Ok((Left::Gone, Closer::Us));
        }
        if undo == Undo::Nothing && self.closing.then == WhenDone::Leave {
            return Ok((Left::AsFound, Closer::Us));
        }
        if facts.state == State::Ambiguous {
            return Ok((Left::Stuck("several devices there carry its UUID".into()), Closer::Us));
        }
        if facts.tool == Tool::Missing {
            return Err(ServerDriveError::Absent("the program `udisksctl` is missing".into()));
        }
        meant.medium = meant.medium.or_else(|| facts.medium());
        let closer = match (self.closing.expected, &facts.state) {
            (Expected::Anyhow, _) | (Expected::Mounted, State::Open(_)) => Closer::Us,
            (Expected::Mounted, _) => Closer::Another,
        };
        Ok((self.close_it(&meant, undo, facts)?, closer))
    }

    fn close_it(&self, meant: &Meant, undo: Undo, facts: Facts) -> Result<Left, ServerDriveError> {
        let mut facts = facts;
        let was_open = matches!(facts.state, State::Open(_));
        let begun = clock::boot();
        while let State::Open(point) = &facts.state {
            if clock::boot().since(begun) > UNTIL_CLOSED {
                let why = format!("it is mounted at {} again and again", point.display());
                return Err(ServerDriveError::Passing("unmount it", why));
            }
            facts = match self.patiently(meant, |connection| connection.unmount(meant))? {
                Ok(facts) => facts,
                Err(holders) => return Ok(Left::InUse(holders)),
            };
        }
        if was_open && let Some(holders) = self.still_in_use(meant)? {
            return Ok(Left::InUse(holders));
        }
        let then = self.closing.then;
        if facts.role == Role::Encrypted
            && facts.state == State::Closed
            && (undo == Undo::Lock || matches!(then, WhenDone::Lock | WhenDone::PowerOff))
        {
            facts = match self.patiently(meant, |connection| connection.lock(meant))? {
                Ok(facts) => facts,
                Err(holders) => return Ok(Left::InUse(holders)),
            };
        }
        if !facts.others.is_empty() {
            return Ok(Left::Shared(facts.others));
        }
        Ok(Left::Safe(if then == WhenDone::PowerOff { self.power_off(meant) } else { Closed::PluggedIn }))
    }

    /// Nothing of it is in use any more, which is what matters: not all hardware can be powered off.
    fn power_off(&self, meant: &Meant) -> Closed {
        match self.connection.power_off(meant) {
            Ok(_) => Closed::PoweredOff,
            Err(error) => {
                let volume = &self.closing.volume;
                tracing::info!(nbkp.volume = %volume, "drive `{volume}` is closed, and not powered off: could not {error}");
                Closed::PluggedIn
            }
        }
    }

    /// Tries for a while what others may be in the way of; if they stay, tells who they are.
    fn patiently(
        &self,
        meant: &Meant,
        act: impl Fn(&ServerDrive) -> Result<Facts, ServerDriveError>,
    ) -> Result<Result<Facts, Vec<Holder>>, ServerDriveError> {
        let begun = clock::boot();
        loop {
            let late = clock::boot().since(begun) > UNTIL_BUSY;
            match act(&self.connection) {
                Ok(facts) => return Ok(Ok(facts)),
                Err(ServerDriveError::Busy(..)) if late => return Ok(Err(self.connection.users(meant)?.users)),
                // Somebody else may have done it meanwhile.
                Err(ServerDriveError::Passing(..)) if !late => return Ok(Ok(self.connection.look(meant)?)),
                Err(ServerDriveError::Busy(..)) => sleep(PAUSE),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether what is unmounted there is in use elsewhere, as in a container. The kernel needs a moment to be done with
    /// it.
    fn still_in_use(&self, meant: &Meant) -> Result<Option<Vec<Holder>>, ServerDriveError> {
        let begun = clock::boot();
        loop {
            let facts = self.connection.users(meant)?;
            if facts.users.is_empty() && facts.life == Life::Gone {
                return Ok(None);
            }
            if clock::boot().since(begun) > UNTIL_BUSY {
                return Ok(Some(facts.users));
            }
            sleep(PAUSE);
        }
    }
}

/// Whether the drive that is meant is there no more. What was pulled out, or was open before the server started anew, has
/// nothing to be undone.
fn is_gone(meant: &Meant, facts: &Facts) -> bool {
    let is_another = |medium: &Medium| facts.boot != medium.boot || facts.seq != medium.seq;
    facts.state == State::Unplugged || meant.medium.as_ref().is_some_and(is_another)
}

/// Which medium is closed: the one that was opened, and no other that carries its UUID.
fn meant(uuid: &DriveUuid, held: Option<&Held>) -> (Meant, Undo) {
    match held {
        Some(Held { uuid, at: HeldAt::There { node, disk_seq, boot, .. }, undo, .. }) => {
            let medium = Medium { node: node.clone(), boot: boot.clone(), seq: disk_seq.clone() };
            (Meant { uuid: uuid.clone(), medium: Some(medium) }, *undo)
        }
        // What is written down was done elsewhere.
        Some(Held { at: HeldAt::Here { .. }, .. }) | None => {
            (Meant { uuid: uuid.clone(), medium: None }, Undo::Nothing)
        }
    }
}

fn told(error: ServerDriveError) -> Left {
    match error {
        ServerDriveError::OutOfReach(fault) => Left::OutOfReach(fault),
        ServerDriveError::Absent(_)
        | ServerDriveError::NotAuthorized(..)
        | ServerDriveError::Busy(..)
        | ServerDriveError::WrongSecret
        | ServerDriveError::Passing(..)
        | ServerDriveError::Refused(..) => Left::Stuck(format!("could not {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ssh::drive;

    #[test]
    fn what_was_opened_is_closed_and_no_clone_of_it() {
        let uuid: DriveUuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
        let other: DriveUuid = "11111111-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
        let server = ServerKey(vec!["nas".parse().unwrap()]);
        let at = HeldAt::There { server, node: "/dev/sdb1".into(), disk_seq: "9".into(), boot: "b".into() };
        let held = Held { volume: "attic".parse().unwrap(), uuid: uuid.clone(), at, undo: Undo::Lock };
        let (opened, undo) = meant(&other, Some(&held));
        let medium = Medium { node: "/dev/sdb1".into(), boot: "b".into(), seq: "9".into() };
        assert_eq!((opened, undo), (Meant { uuid: uuid.clone(), medium: Some(medium) }, Undo::Lock));
        assert_eq!(meant(&uuid, None), (Meant { uuid, medium: None }, Undo::Nothing));
    }

    #[test]
    fn nothing_is_undone_of_another_medium_or_another_boot() {
        let medium = Medium { node: "/dev/sdb1".into(), boot: "b".into(), seq: "9".into() };
        let meant = |medium| Meant { uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap(), medium };
        let facts = |state: &str, boot: &str, seq: &str| {
            let answer = format!("state {state}\nnode /dev/sdb1\npoint /mnt\nboot {boot}\nseq {seq}\n");
            drive::read(answer.as_bytes()).unwrap()
        };
        let opened = meant(Some(medium));
        assert!(!is_gone(&opened, &facts("open", "b", "9")));
        for other in [facts("open", "c", "9"), facts("open", "b", "10"), facts("unplugged", "b", "")] {
            assert!(is_gone(&opened, &other), "{other:?}");
        }
        assert!(!is_gone(&meant(None), &facts("open", "c", "10")));
    }
}
