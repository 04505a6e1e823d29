//! Drives of servers, opened and closed by `udisksctl` there.

use std::path::Path;
use std::time::Duration;

use crate::backup::drives::changes::{ANOTHER, Changes, PAUSE, UNTIL_BUSY, locks};
use crate::backup::drives::order::{Closer, Closing, Opening};
use crate::backup::drives::unlock::{self, LockedContainer};
use crate::formats::ssh::drive::{DriveDeed, Encryption, Facts, Life, Meant, Medium, State, Tool};
use crate::formats::ssh::script::Marks;
use crate::model::{
    Closed, DriveUuid, Held, HeldAt, Holder, Left, Mounting, OpeningTrouble, Route, ServerKey, Undo, VolumeName,
    WhenDone,
};
use crate::os::causes::chain;
use crate::os::directory::ChangeMade;
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
pub(crate) fn open(
    opening: &Opening,
    (server, container, routes): (&ServerKey, Option<&DriveUuid>, &[Route]),
    state_dir: &Path,
    place: &SshPlace,
) -> Result<(), OpeningTrouble> {
    let connection = connect(&opening.volume, routes, place).map_err(unlock::trouble_there)?;
    let mut meant = Meant { uuid: opening.drive.uuid.clone(), container: container.cloned(), medium: None };
    let facts = connection.look(&meant).map_err(unlock::trouble_there)?;
    let medium = opened_by_us(opening, &facts, &connection)?;
    meant.medium = Some(medium.clone());
    let at = HeldAt::There { server: server.clone(), node: medium.node, disk_seq: medium.seq, boot: medium.boot };
    let mut changes = Changes::new(opening, at, undo(&facts.state), state_dir);
    if let (State::Locked, Mounting::ForTheRun { passphrase: Some(name) }) = (&facts.state, &opening.drive.mounting) {
        let way = ssh::way(connection.route(), place).map_err(|fault| OpeningTrouble::OutOfReach(Box::new(fault)))?;
        let unlocked =
            unlock::by_helper(LockedContainer::There { meant: meant.clone(), way }, name, &opening.credentials);
        unlocked.or_else(|trouble| after_all(&connection, &meant, trouble))?;
    }
    let mounted = mount(&connection, &meant).map_err(unlock::trouble_there)?;
    changes.settle(mounted);
    Ok(())
}

/// A server that did not say what became of an unlocking may go on with it. It is ours then, and closed behind the
/// runs.
fn after_all(connection: &ServerDrive, meant: &Meant, trouble: OpeningTrouble) -> Result<(), OpeningTrouble> {
    let OpeningTrouble::Other(_) = trouble else { return Err(trouble) };
    let begun = clock::boot();
    while connection.look(meant).map_err(unlock::trouble_there)?.state == State::Locked {
        if clock::boot().since(begun) > UNTIL_SEEN {
            return Err(trouble);
        }
        clock::wait(Duration::from_secs(1));
    }
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
        (State::Other, ..) => other(ANOTHER),
        (State::Locked, _, None) => other("it is locked, and the configuration has no `passphrase`"),
        (State::Closed | State::Open(_), Encryption::Plain, Some(_)) => {
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
        State::Closed | State::Unplugged | State::Ambiguous | State::Other => Undo::Unmount,
    }
}

fn mount(connection: &ServerDrive, meant: &Meant) -> Result<ChangeMade, ServerDriveError> {
    let begun = clock::boot();
    let mut facts = connection.look(meant)?;
    let mut done = ChangeMade::AlreadySo;
    loop {
        if let State::Open(_) = facts.state {
            return Ok(done);
        }
        let late = clock::boot().since(begun) > UNTIL_SEEN;
        facts = match connection.mount(meant) {
            Ok(facts) => {
                if facts.deed == DriveDeed::Done {
                    done = ChangeMade::Changed;
                }
                facts
            }
            // Somebody else does the same, or udisks2 does not know it yet: the next look tells.
            Err(ServerDriveError::Passing(..)) if !late => connection.look(meant)?,
            // What was asked may go on, and is ours.
            Err(ServerDriveError::Unanswered(..)) if !late => {
                done = ChangeMade::Changed;
                connection.look(meant)?
            }
            Err(error) => return Err(error),
        };
        if late && facts.state == State::Other {
            return Err(ServerDriveError::Refused("open it", ANOTHER.into()));
        }
        if late && !matches!(facts.state, State::Open(_)) {
            return Err(ServerDriveError::Passing("mount it", "it is not to be seen there".into()));
        }
        if !matches!(facts.state, State::Open(_)) {
            clock::wait(PAUSE);
        }
    }
}

/// Closes the drive that was opened, or else this one.
pub(crate) fn close(
    closing: &Closing,
    (any, routes): (Meant, &[Route]),
    held: Option<&Held>,
    place: &SshPlace,
) -> (Left, Closer) {
    let closed =
        connect(&closing.volume, routes, place).and_then(|connection| Work { connection, closing }.close(any, held));
    // One that is closed already may have been closed by another machine, which is no word of a person.
    (closed.unwrap_or_else(told), Closer::Us)
}

/// A drive that is being closed.
struct Work<'a> {
    connection: ServerDrive,
    closing: &'a Closing,
}

impl Work<'_> {
    fn close(&self, any: Meant, held: Option<&Held>) -> Result<Left, ServerDriveError> {
        let (mut meant, undo) = meant(any, held);
        let facts = self.connection.look(&meant)?;
        if is_gone(&meant, undo, &facts) {
            return Ok(Left::Gone);
        }
        if undo == Undo::Nothing && self.closing.then == WhenDone::Leave {
            return Ok(Left::AsFound);
        }
        if facts.state == State::Ambiguous {
            return Ok(Left::Stuck("several devices there carry its UUID".into()));
        }
        if facts.tool == Tool::Missing {
            return Err(ServerDriveError::Absent("the program `udisksctl` is missing".into()));
        }
        // From here on by the container around it, which is still to be seen when it is locked.
        meant.medium = facts.medium();
        meant.container = facts.outer.clone().or(meant.container);
        self.close_it(&meant, undo, facts)
    }

    /// Unmounts and locks it, until a look shows that it is so: somebody else may mount it again at any moment, and
    /// what was asked for is nothing that was done.
    fn close_it(&self, meant: &Meant, undo: Undo, facts: Facts) -> Result<Left, ServerDriveError> {
        let locks = locks(undo, self.closing.then);
        let begun = clock::boot();
        let mut facts = facts;
        loop {
            if is_gone(meant, undo, &facts) {
                return Ok(Left::Gone);
            }
            let is_late = clock::boot().since(begun) > UNTIL_CLOSED;
            let done = match &facts.state {
                State::Open(point) if is_late => {
                    let why = format!("it is mounted at {} again and again", point.display());
                    return Err(ServerDriveError::Passing("unmount it", why));
                }
                State::Open(_) => self.patiently(meant, |connection| connection.unmount(meant))?,
                State::Ambiguous => return Ok(Left::Stuck("several devices there carry its UUID".into())),
                State::Closed | State::Other => match self.still_in_use(meant)? {
                    Err(holders) => return Ok(Left::InUse(holders)),
                    Ok(seen) if !is_unmounted(&seen.state) => Ok(seen),
                    Ok(seen) if !locks || seen.role == Encryption::Plain => return Ok(self.left(meant, seen)),
                    Ok(_) if is_late => {
                        return Err(ServerDriveError::Passing("lock it", "it is open again and again".into()));
                    }
                    Ok(_) => match self.patiently(meant, |connection| connection.lock(meant))? {
                        // Named by what was in it, it is to be seen no more.
                        Ok(seen) if seen.state == State::Unplugged && seen.deed == DriveDeed::Done => {
                            return Ok(self.left(meant, seen));
                        }
                        locked => locked,
                    },
                },
                State::Locked | State::Unplugged => return Ok(self.left(meant, facts)),
            };
            facts = match done {
                Ok(facts) => facts,
                Err(holders) => return Ok(Left::InUse(holders)),
            };
        }
    }

    /// How a drive is left behind of which nothing is in use any more.
    fn left(&self, meant: &Meant, facts: Facts) -> Left {
        if !facts.others.is_empty() {
            return Left::Shared(facts.others);
        }
        if self.closing.then == WhenDone::PowerOff { self.power_off(meant) } else { Left::Safe(Closed::PluggedIn) }
    }

    /// Nothing of it is in use any more, which is what matters: not all hardware can be powered off.
    fn power_off(&self, meant: &Meant) -> Left {
        let volume = &self.closing.volume;
        let closed = format!("drive `{volume}` is closed, and not powered off");
        match self.connection.power_off(meant) {
            Ok(facts) if facts.deed == DriveDeed::Done => return Left::Safe(Closed::PoweredOff),
            // At the last moment something was mounted.
            Err(ServerDriveError::Busy(..)) => {
                return Left::Shared(self.connection.look(meant).map(|facts| facts.others).unwrap_or_default());
            }
            Ok(facts) if !facts.others.is_empty() => return Left::Shared(facts.others),
            Ok(_) => tracing::info!(nbkp.volume = %volume, "{closed}: it is not seen"),
            Err(error) => tracing::info!(nbkp.volume = %volume, "{closed}: could not {}", chain(&error)),
        }
        Left::Safe(Closed::PluggedIn)
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
                Err(ServerDriveError::Passing(..) | ServerDriveError::Unanswered(..)) if !late => {
                    return Ok(Ok(self.connection.look(meant)?));
                }
                Err(ServerDriveError::Busy(..)) => clock::wait(PAUSE),
                Err(error) => return Err(error),
            }
        }
    }

    /// How it stands, unless it is in use elsewhere though it is not mounted there, as in a container. The kernel needs
    /// a moment to be done with it.
    fn still_in_use(&self, meant: &Meant) -> Result<Result<Facts, Vec<Holder>>, ServerDriveError> {
        let begun = clock::boot();
        loop {
            let facts = self.connection.users(meant)?;
            if !is_unmounted(&facts.state) || (facts.users.is_empty() && facts.life == Life::Gone) {
                return Ok(Ok(facts));
            }
            if clock::boot().since(begun) > UNTIL_BUSY {
                return Ok(Err(facts.users));
            }
            clock::wait(PAUSE);
        }
    }
}

/// Whether it is to be seen and not mounted.
fn is_unmounted(state: &State) -> bool {
    matches!(state, State::Closed | State::Other)
}

/// Whether the drive that is meant is there no more. What was pulled out, or was open before the server started anew,
/// has nothing to be undone; and a container that holds something else is ours to lock only if we unlocked it.
fn is_gone(meant: &Meant, undo: Undo, facts: &Facts) -> bool {
    let is_another = |medium: &Medium| facts.boot != medium.boot || facts.seq != medium.seq;
    let is_theirs = facts.state == State::Other && undo != Undo::Lock;
    facts.state == State::Unplugged || is_theirs || meant.medium.as_ref().is_some_and(is_another)
}

/// Which medium is closed: the one that was opened, and no other that carries its UUID.
fn meant(any: Meant, held: Option<&Held>) -> (Meant, Undo) {
    match held {
        Some(Held { uuid, at: HeldAt::There { node, disk_seq, boot, .. }, undo, .. }) => {
            let medium = Medium { node: node.clone(), boot: boot.clone(), seq: disk_seq.clone() };
            let container = any.container.filter(|_| any.uuid == *uuid);
            (Meant { uuid: uuid.clone(), container, medium: Some(medium) }, *undo)
        }
        // What is written down was done elsewhere.
        Some(Held { at: HeldAt::Here { .. }, .. }) | None => (any, Undo::Nothing),
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
        | ServerDriveError::Unanswered(..)
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
        let container = Some("22222222-a7b6-429d-8250-3d0d80e034df".parse().unwrap());
        let any = |uuid: &DriveUuid| Meant { uuid: uuid.clone(), container: container.clone(), medium: None };
        let medium = Some(Medium { node: "/dev/sdb1".into(), boot: "b".into(), seq: "9".into() });
        let opened = Meant { medium, ..any(&uuid) };
        assert_eq!(meant(any(&uuid), Some(&held)), (opened.clone(), Undo::Lock));
        let another = Meant { container: None, ..opened };
        assert_eq!(meant(any(&other), Some(&held)), (another, Undo::Lock), "the container is that of another drive");
        assert_eq!(meant(any(&uuid), None), (any(&uuid), Undo::Nothing));
    }

    #[test]
    fn nothing_is_undone_of_another_medium_or_another_boot() {
        let medium = Medium { node: "/dev/sdb1".into(), boot: "b".into(), seq: "9".into() };
        let uuid: DriveUuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
        let meant = |medium| Meant { uuid: uuid.clone(), container: None, medium };
        let facts = |state: &str, boot: &str, seq: &str| {
            let answer = format!("state {state}\nnode /dev/sdb1\npoint /mnt\nboot {boot}\nseq {seq}\n");
            drive::facts_in(answer.as_bytes()).unwrap()
        };
        let opened = meant(Some(medium));
        assert!(!is_gone(&opened, Undo::Lock, &facts("open", "b", "9")));
        for other in [facts("open", "c", "9"), facts("open", "b", "10"), facts("unplugged", "b", "")] {
            assert!(is_gone(&opened, Undo::Lock, &other), "{other:?}");
        }
        assert!(!is_gone(&meant(None), Undo::Nothing, &facts("open", "c", "10")));
        // What holds another filesystem is locked by whoever unlocked it.
        assert!(!is_gone(&opened, Undo::Lock, &facts("other", "b", "9")));
        assert!(is_gone(&opened, Undo::Unmount, &facts("other", "b", "9")));
    }
}
