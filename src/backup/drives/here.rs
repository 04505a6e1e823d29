//! Drives of this machine, opened and closed by udisks2.

use std::path::Path;
use std::time::Duration;

use crate::backup::drives::changes::{ANOTHER, Changes, PAUSE, UNTIL_BUSY, locks};
use crate::backup::drives::order::{Closer, Closing, Expected, Opening};
use crate::backup::drives::unlock::{self, LockedContainer};
use crate::decide::presence::{DrivePresence, MountTree, sight_of_drive};
use crate::model::{Closed, Held, HeldAt, Holder, Left, Mounting, OpeningTrouble, Undo, WhenDone};
use crate::os::causes::chain;
use crate::os::directory::{ChangeMade, Directory};
use crate::os::machine::{self, DeviceState};
use crate::os::udisks::{Power, Udisks, UdisksError, VolumeFacts};
use crate::os::{clock, disks, holders, mounts};

/// How long what was mounted may take to be seen here: udev looks at what was unlocked, too.
const UNTIL_SEEN: Duration = Duration::from_secs(10);
/// Opens the drive on the device of this number with this medium in it.
pub(crate) fn open(
    opening: &Opening,
    (device, disk_seq): ((u32, u32), Option<u64>),
    state_dir: &Path,
) -> Result<(), OpeningTrouble> {
    match machine::device_state(device) {
        DeviceState::Present(seq) if disk_seq.is_none() || seq.is_none() || seq == disk_seq => {}
        DeviceState::Present(_) | DeviceState::Gone => {
            return Err(OpeningTrouble::Other("open it: it was unplugged meanwhile".into()));
        }
    }
    let udisks = Udisks::connect().map_err(|error| unlock::trouble(&error))?;
    let facts = udisks.facts(device).map_err(|error| unlock::trouble(&error))?;
    let at = HeldAt::Here { device, disk_seq, boot: machine::boot_id() };
    let mut changes = Changes::new(opening, at, undo(&facts), state_dir);
    if let Mounting::ForTheRun { passphrase: Some(name) } = &opening.drive.mounting {
        if !facts.is_encrypted() {
            return Err(OpeningTrouble::Other("open it: it is not encrypted, though it has a `passphrase`".into()));
        }
        if facts.is_locked() {
            unlock::by_helper(LockedContainer::Here(device), name, &opening.credentials)?;
            wait_until_meant(opening)?;
        }
    } else if facts.is_locked() {
        return Err(OpeningTrouble::Other("open it: it is locked, and the configuration has no `passphrase`".into()));
    }
    let mounted = udisks.mount(device).map_err(|error| unlock::trouble(&error))?;
    changes.settle(mounted);
    wait_until_seen(opening)
}

/// What an opening will have changed.
fn undo(facts: &VolumeFacts) -> Undo {
    match (facts.is_locked(), facts.mount_points().is_empty()) {
        (true, _) => Undo::Lock,
        (false, true) => Undo::Unmount,
        (false, false) => Undo::Nothing,
    }
}

/// Waits until the drive is seen in the container where it was known to lie: nothing else in it is mounted.
fn wait_until_meant(opening: &Opening) -> Result<(), OpeningTrouble> {
    let begun = clock::boot();
    loop {
        let devices = disks::enumerate().map_err(|error| OpeningTrouble::Other(chain(&error)))?;
        if sight_of_drive(&opening.drive, None, &devices, &[], &MountTree::new(&[])) != DrivePresence::NotPlugged {
            return Ok(());
        }
        if clock::boot().since(begun) > UNTIL_SEEN {
            return Err(OpeningTrouble::Other(format!("open it: {ANOTHER}")));
        }
        clock::wait(PAUSE);
    }
}

/// Waits until we see with our own eyes what udisks says: udev and the mount table are what everything else goes by.
fn wait_until_seen(opening: &Opening) -> Result<(), OpeningTrouble> {
    let begun = clock::boot();
    loop {
        let (Ok(devices), Ok(table)) = (disks::enumerate(), mounts::read()) else {
            return Err(OpeningTrouble::Other("see drives and mounts".into()));
        };
        if let DrivePresence::Mounted { .. } =
            sight_of_drive(&opening.drive, None, &devices, &table, &MountTree::new(&table))
        {
            return Ok(());
        }
        if clock::boot().since(begun) > UNTIL_SEEN {
            let why = "see it mounted here; does the daemon run in a namespace of its own (`PrivateMounts`)?";
            return Err(OpeningTrouble::Other(why.into()));
        }
        clock::wait(PAUSE);
    }
}

/// Closes the drive that was opened, or else the one on the device of this number.
pub(crate) fn close(closing: &Closing, carrier: Option<(u32, u32)>, held: Option<&Held>) -> (Left, Closer) {
    let undo = held.map_or(Undo::Nothing, |held| held.undo);
    match device_to_close(carrier, held, machine::device_state) {
        Some(device) => close_device(device, undo, closing).unwrap_or_else(|error| (told(&error), Closer::Us)),
        None => (Left::Gone, Closer::Us),
    }
}

/// The device that is closed: the one that was opened, and no other that carries its UUID. A drive that was pulled out
/// has nothing to be undone.
fn device_to_close(
    carrier: Option<(u32, u32)>,
    held: Option<&Held>,
    state: impl Fn((u32, u32)) -> DeviceState,
) -> Option<(u32, u32)> {
    let (device, opened) = match held.map(|held| &held.at) {
        Some(HeldAt::Here { device, disk_seq, .. }) => (*device, *disk_seq),
        // What is written down was done elsewhere.
        Some(HeldAt::There { .. }) => return None,
        None => (carrier?, None),
    };
    match state(device) {
        DeviceState::Present(seq) => (opened.is_none() || seq.is_none() || seq == opened).then_some(device),
        DeviceState::Gone => None,
    }
}

fn close_device(device: (u32, u32), undo: Undo, closing: &Closing) -> Result<(Left, Closer), UdisksError> {
    let unmounts = undo != Undo::Nothing || closing.then != WhenDone::Leave;
    if !unmounts {
        return Ok((Left::AsFound, Closer::Us));
    }
    let udisks = Udisks::connect()?;
    let facts = udisks.facts(device)?;
    let points = facts.mount_points();
    let closer = match closing.expected {
        Expected::Mounted if points.is_empty() => Closer::Another,
        Expected::Mounted | Expected::Anyhow => Closer::Us,
    };
    for point in points {
        // What is not on the drive yet goes there now; if it cannot, the drive is not what it seems.
        let flushed = Directory::open_root(point).and_then(|root| root.flush_filesystem());
        if let Err(error) = flushed {
            let cause = error.cause();
            return Ok((Left::Stuck(format!("could not {error}: {cause}")), closer));
        }
    }
    let filesystem = facts.in_mount_tables();
    let users = || filesystem.as_ref().map(holders::of).unwrap_or_default();
    if let Some(holders) = patiently(|| udisks.unmount(device), users)? {
        return Ok((Left::InUse(holders), closer));
    }
    if let Some(holders) = filesystem.as_ref().and_then(still_in_use) {
        return Ok((Left::InUse(holders), closer));
    }
    let locks = locks(undo, closing.then);
    if locks && let Some(holders) = patiently(|| udisks.lock(device), users)? {
        return Ok((Left::InUse(holders), closer));
    }
    // Now: another part of it may have come into use meanwhile.
    let in_use = udisks.in_use_on_drive(&facts)?;
    if !in_use.is_empty() {
        return Ok((Left::Shared(in_use), closer));
    }
    match (closing.then, facts.power) {
        (WhenDone::PowerOff, Power::CanBeCut) => {
            let how = match udisks.power_off(device) {
                Ok(_) => Closed::PoweredOff,
                // At the last moment something was mounted.
                Err(UdisksError::Busy(..)) => return Ok((Left::Shared(udisks.in_use_on_drive(&facts)?), closer)),
                // Nothing of it is in use any more, which is what matters.
                Err(error) => {
                    let volume = &closing.volume;
                    tracing::warn!(nbkp.volume = %volume, "could not {error}; the drive is closed all the same");
                    Closed::PluggedIn
                }
            };
            Ok((Left::Safe(how), closer))
        }
        (WhenDone::PowerOff, Power::Stays) | (WhenDone::Leave | WhenDone::Unmount | WhenDone::Lock, _) => {
            Ok((Left::Safe(Closed::PluggedIn), closer))
        }
    }
}

/// Whether what is unmounted here is in use elsewhere, as in a container: then it is not written to the drive to the
/// end. The kernel itself needs a moment to be done with it.
fn still_in_use(filesystem: &holders::Filesystem) -> Option<Vec<Holder>> {
    let begun = clock::boot();
    loop {
        let users = holders::of(filesystem);
        if users.is_empty() && !holders::is_alive(filesystem) {
            return None;
        }
        if clock::boot().since(begun) > UNTIL_BUSY {
            return Some(users);
        }
        clock::wait(PAUSE);
    }
}

/// Tries for a while what others may be in the way of; if they stay, tells who they are.
fn patiently(
    act: impl Fn() -> Result<ChangeMade, UdisksError>,
    who: impl Fn() -> Vec<Holder>,
) -> Result<Option<Vec<Holder>>, UdisksError> {
    let begun = clock::boot();
    loop {
        match act() {
            Ok(_) | Err(UdisksError::Gone(_)) => return Ok(None),
            Err(UdisksError::Busy(..)) if clock::boot().since(begun) > UNTIL_BUSY => return Ok(Some(who())),
            Err(UdisksError::Busy(..)) => clock::wait(PAUSE),
            Err(error) => return Err(error),
        }
    }
}

fn told(error: &UdisksError) -> Left {
    match error {
        UdisksError::Gone(_) => Left::Gone,
        UdisksError::Busy(..) => Left::InUse(Vec::new()),
        UdisksError::Absent(_)
        | UdisksError::NotAuthorized(..)
        | UdisksError::WrongSecret
        | UdisksError::Silent(..)
        | UdisksError::Refused(..) => Left::Stuck(format!("could not {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_opened_is_closed_and_no_clone_of_it() {
        let uuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
        let (volume, undo) = ("usb".parse().unwrap(), Undo::Unmount);
        let held = Held { volume, uuid, at: HeldAt::Here { device: (8, 1), disk_seq: Some(3), boot: None }, undo };
        let clone = Some((8, 17));
        let state = |opened: DeviceState| {
            move |device: (u32, u32)| if device == (8, 1) { opened } else { DeviceState::Present(Some(4)) }
        };
        for opened in [DeviceState::Present(Some(3)), DeviceState::Present(None)] {
            assert_eq!(device_to_close(clone, Some(&held), state(opened)), Some((8, 1)));
            assert_eq!(device_to_close(None, Some(&held), state(opened)), Some((8, 1)));
        }
        for opened in [DeviceState::Present(Some(5)), DeviceState::Gone] {
            assert_eq!(device_to_close(clone, Some(&held), state(opened)), None, "it was pulled out");
        }
        // What others opened is the one that is in.
        assert_eq!(device_to_close(clone, None, state(DeviceState::Gone)), clone);
        assert_eq!(device_to_close(None, None, state(DeviceState::Gone)), None);
    }
}
