//! Opens and closes drives: each order on a thread of its own, which may wait for a slow drive.
//!
//! What will be changed is written down first, and forgotten when it is undone. Whatever happens in between, the next
//! closing (or the next daemon) finds there what is left to do.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::daemon::job::{Closer, Closing, DriveNews, DriveOrder, Expected, Opening, Sake};
use crate::daemon::unlock;
use crate::decide::presence::{DrivePresence, MountTree, sight_of_drive};
use crate::model::{Closed, Held, Holder, Left, Mounting, OpeningTrouble, Undo, WhenDone};
use crate::os::directory::{Directory, Done};
use crate::os::machine::{self, DeviceState};
use crate::os::udisks::{Facts, Power, Udisks, UdisksError};
use crate::os::{clock, disks, held, holders, mounts};

/// How long what was mounted may take to be seen here: udev looks at what was unlocked, too.
const UNTIL_SEEN: Duration = Duration::from_secs(10);
/// How long a drive may be in use before it counts: a file manager or a look of ours may have it open for a moment.
const UNTIL_BUSY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Carries out an order. Exactly one piece of news follows.
pub fn start(order: DriveOrder, state_dir: PathBuf, news: &Sender<DriveNews>) {
    let volume = match &order {
        DriveOrder::Open(opening) => opening.volume.clone(),
        DriveOrder::Close(closing) => closing.volume.clone(),
    };
    let unstarted = match &order {
        DriveOrder::Open(_) => DriveNews::Opened(volume.clone(), Err(OpeningTrouble::Other("start a thread".into()))),
        DriveOrder::Close(_) => {
            DriveNews::Closed(volume.clone(), Left::Stuck("no thread could be started".into()), Closer::Us)
        }
    };
    let telling = news.clone();
    let thread = std::thread::Builder::new().name(format!("drive-{volume}")).spawn(move || {
        let done = match order {
            DriveOrder::Open(opening) => DriveNews::Opened(opening.volume.clone(), open(&opening, &state_dir)),
            DriveOrder::Close(closing) => {
                let (left, closer) = close(&closing, &state_dir);
                DriveNews::Closed(closing.volume, left, closer)
            }
        };
        // Nobody listens any more when the daemon has ended.
        let _ = telling.blocking_send(done);
    });
    if thread.is_err() {
        // There are a few drives, and a place for the news of each.
        let _ = news.try_send(unstarted);
    }
}

fn open(opening: &Opening, state_dir: &Path) -> Result<(), OpeningTrouble> {
    let device = opening.device;
    match machine::device_state(device) {
        DeviceState::Present(seq) if opening.disk_seq.is_none() || seq.is_none() || seq == opening.disk_seq => {}
        DeviceState::Present(_) | DeviceState::Gone => {
            return Err(OpeningTrouble::Other("open it: it was unplugged meanwhile".into()));
        }
    }
    let udisks = Udisks::connect().map_err(|error| unlock::trouble(&error))?;
    let facts = udisks.facts(device).map_err(|error| unlock::trouble(&error))?;
    let mut changes = Changes::new(opening, &facts, state_dir);
    if let Mounting::ForTheRun { passphrase: Some(name) } = &opening.drive.mounting {
        if !facts.is_encrypted() {
            return Err(OpeningTrouble::Other("open it: it is not encrypted, though it has a `passphrase`".into()));
        }
        if facts.is_locked() {
            unlock::by_helper(device, name, &opening.credentials)?;
        }
    } else if facts.is_locked() {
        return Err(OpeningTrouble::Other("open it: it is locked, and the configuration has no `passphrase`".into()));
    }
    let mounted = udisks.mount(device).map_err(|error| unlock::trouble(&error))?;
    changes.settle(mounted);
    wait_until_seen(opening)
}

/// What an opening changes, as it is written down.
struct Changes<'a> {
    held: Held,
    sake: Sake,
    state_dir: &'a Path,
}

impl<'a> Changes<'a> {
    /// Writes down what is about to be changed.
    fn new(opening: &Opening, facts: &Facts, state_dir: &'a Path) -> Self {
        let undo = match (facts.is_locked(), facts.mount_points().is_empty()) {
            (true, _) => Undo::Lock,
            (false, true) => Undo::Unmount,
            (false, false) => Undo::Nothing,
        };
        let held = Held {
            volume: opening.volume.clone(),
            uuid: opening.drive.uuid.clone(),
            device: opening.device,
            disk_seq: opening.disk_seq,
            boot: machine::boot_id(),
            undo,
        };
        // What is open already keeps its own entry: this opening found it so.
        let changes = Self { held, sake: opening.sake, state_dir };
        if undo != Undo::Nothing {
            changes.write();
        }
        changes
    }

    /// Writes down what was changed. What others mounted at the same moment is theirs, unless it was us who unlocked it;
    /// and what a person asked for is the person's.
    fn settle(&mut self, mounted: Done) {
        let volume = &self.held.volume;
        let forgotten = match (self.sake, self.held.undo, mounted) {
            (Sake::Person, ..) | (Sake::Runs, Undo::Unmount, Done::AlreadySo) => held::forget(self.state_dir, volume),
            (Sake::Runs, Undo::Nothing | Undo::Unmount | Undo::Lock, _) => Ok(()),
        };
        if let Err(error) = forgotten {
            let cause = error.cause();
            tracing::warn!(nbkp.volume = %volume, "the next start closes drive `{volume}`: could not {error}: {cause}");
        }
    }

    /// A backup is worth more than knowing, after a crash, that the drive has to be closed.
    fn write(&self) {
        if let Err(error) = held::write(self.state_dir, &self.held) {
            let (volume, cause) = (&self.held.volume, error.cause());
            tracing::warn!(
                nbkp.volume = %volume,
                "if nbkpd is killed now, drive `{volume}` stays open: could not {error}: {cause}"
            );
        }
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
        sleep(PAUSE);
    }
}

fn close(closing: &Closing, state_dir: &Path) -> (Left, Closer) {
    let held = match held::read(state_dir, &closing.volume) {
        Ok(held) => held,
        Err(error) => return (Left::Stuck(format!("could not {error}")), Closer::Us),
    };
    let undo = held.as_ref().map_or(Undo::Nothing, |held| held.undo);
    let (left, closer) = match device_to_close(closing.device, held.as_ref(), machine::device_state) {
        Some(device) => close_device(device, undo, closing).unwrap_or_else(|error| (told(&error), Closer::Us)),
        None => (Left::Gone, Closer::Us),
    };
    match (&left, held) {
        (Left::InUse(_) | Left::Stuck(_), _) | (_, None) => {}
        (Left::AsFound | Left::Safe(_) | Left::Shared(_) | Left::Gone, Some(held)) => {
            if let Err(error) = held::forget(state_dir, &held.volume) {
                let (volume, cause) = (&held.volume, error.cause());
                tracing::warn!(nbkp.volume = %volume, "could not {error}: {cause}");
            }
        }
    }
    (left, closer)
}

/// The device that is closed: the one that was opened, and no other that carries its UUID. A drive that was pulled out
/// has nothing to be undone.
fn device_to_close(
    carrier: Option<(u32, u32)>,
    held: Option<&Held>,
    state: impl Fn((u32, u32)) -> DeviceState,
) -> Option<(u32, u32)> {
    let device = held.map(|held| held.device).or(carrier)?;
    let opened = held.and_then(|held| held.disk_seq);
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
    let locks = undo == Undo::Lock || matches!(closing.then, WhenDone::Lock | WhenDone::PowerOff);
    if locks && let Some(holders) = patiently(|| udisks.lock(device), users)? {
        return Ok((Left::InUse(holders), closer));
    }
    if !facts.others.is_empty() {
        return Ok((Left::Shared(facts.others), closer));
    }
    match (closing.then, facts.power) {
        (WhenDone::PowerOff, Power::CanBeCut) => {
            let how = match udisks.power_off(device) {
                Ok(_) => Closed::PoweredOff,
                // Nothing of it is in use any more, which is what matters.
                Err(error) => {
                    tracing::warn!(nbkp.volume = %closing.volume, "could not {error}; the drive is closed all the same");
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
        sleep(PAUSE);
    }
}

/// Tries for a while what others may be in the way of; if they stay, tells who they are.
fn patiently(
    act: impl Fn() -> Result<Done, UdisksError>,
    who: impl Fn() -> Vec<Holder>,
) -> Result<Option<Vec<Holder>>, UdisksError> {
    let begun = clock::boot();
    loop {
        match act() {
            Ok(_) | Err(UdisksError::Gone(_)) => return Ok(None),
            Err(UdisksError::Busy(..)) if clock::boot().since(begun) > UNTIL_BUSY => return Ok(Some(who())),
            Err(UdisksError::Busy(..)) => sleep(PAUSE),
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
        let held = Held { volume, uuid, device: (8, 1), disk_seq: Some(3), boot: None, undo };
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
