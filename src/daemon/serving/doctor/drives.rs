//! Whether polkit lets the daemon mount, unlock and power off its drives. Nothing is mounted for it.

use std::sync::Arc;

use crate::daemon::serving::doctor::premises::{A_LOOK, Premises, on_a_runtime};
use crate::decide::diagnosis::drives::{self as judge, Use};
use crate::decide::diagnosis::{neighbours, unanswered};
use crate::decide::presence::{DrivePresence, MountTree, sight_of_drive};
use crate::decide::strangers::{self, Plugged};
use crate::model::{
    Area, BlockDevice, Configuration, Containers, CredentialName, Drive, DriveSight, Examined, Mounting, SyncStatus,
    Trial, VolumeName, VolumeRoot, WhenDone,
};
use crate::os::bus::Bus;
use crate::os::causes::chain;
use crate::os::udisks::{Udisks, UdisksError};
use crate::os::{disks, environment, fstab, mounts, polkit};

/// A drive that the daemon mounts itself.
pub(crate) struct Opened<'a> {
    pub(crate) name: &'a VolumeName,
    pub(crate) drive: &'a Drive,
    pub(crate) passphrase: Option<&'a CredentialName>,
}

/// The drives that the daemon mounts itself.
pub(crate) fn opened(configuration: &Configuration) -> impl Iterator<Item = Opened<'_>> {
    configuration.volumes.values().filter_map(|volume| match &volume.root {
        VolumeRoot::Drive(drive) => match &drive.mounting {
            Mounting::ForTheRun { passphrase } => {
                Some(Opened { name: &volume.name, drive, passphrase: passphrase.as_ref() })
            }
            Mounting::Elsewhere => None,
        },
        VolumeRoot::Directory(_) | VolumeRoot::Server(_) => None,
    })
}

/// The drives that are not plugged in, as far as something may be wrong with their UUIDs.
pub(crate) fn absent(known: &Premises) -> Vec<Examined> {
    let Some((devices, containers)) = &known.devices else { return Vec::new() };
    let (others, mounts) = (disks::other_uuids().unwrap_or_default(), mounts::read().unwrap_or_default());
    let plugged = Plugged { devices, others: &others, mounts: &mounts };
    let claimed = strangers::claimed(&known.configuration);
    let is_in = |drive: &Drive| {
        let around = containers.get(&drive.uuid);
        devices.iter().any(|device| device.uuid == drive.uuid || Some(&device.uuid) == around)
    };
    let absent = known.configuration.drives_here().filter(|(_, drive)| !is_in(drive));
    let judged = absent.filter_map(|(name, drive)| {
        let users: Vec<_> = known.configuration.syncs.values().filter(|sync| sync.enabled && sync.uses(name)).collect();
        let copied = |sync: &SyncStatus| sync.last_success.is_some() && users.iter().any(|user| user.name == sync.name);
        let was_used = if known.status.syncs.iter().any(copied) { Use::Before } else { Use::Never };
        let suspicion = strangers::suspicion(&drive.uuid, &plugged, containers, &claimed);
        // Another drive in the place of one that is known is nothing to worry about.
        let suspicion = suspicion.filter(|_| was_used == Use::Never);
        if users.is_empty() { None } else { judge::absent(name, suspicion, was_used) }
    });
    judged.collect()
}

/// Tests each of them.
pub(crate) fn drives(known: &Premises) -> Vec<Examined> {
    let mut all = opened(&known.configuration).peekable();
    if all.peek().is_none() {
        return Vec::new();
    }
    let Some(devices) = &known.devices else {
        return vec![unanswered(Area::Drives, "devices", A_LOOK.as_secs())];
    };
    // That it is not there, or does not answer, is told where neighbours are.
    let Ok(udisks) = Udisks::connect() else { return Vec::new() };
    if udisks.version().is_err() {
        return Vec::new();
    }
    // udisks2 lets root do everything, without asking anybody.
    let allowed =
        (!environment::is_root()).then(|| on_a_runtime(polkit::permissions(&Bus::System, judge::actions()))).flatten();
    let mut examined: Vec<Examined> = allowed.iter().map(neighbours::polkit).collect();
    for Opened { name, drive, passphrase } in all {
        let sight = match sight(&udisks, drive, devices) {
            Ok(sight) => sight,
            Err(error) => {
                examined.push(Area::Drives.examined(name.as_str(), judge::unknown(name, &chain(&error))));
                continue;
            }
        };
        examined.extend(judge::container(name, &sight).filter(|_| passphrase.is_some()));
        let Some(polkit) = &allowed else { continue };
        examined.push(judge::mounting(name, polkit, &sight));
        if passphrase.is_some() {
            examined.push(judge::unlocking(name, polkit, &sight));
        }
        if drive.when_done == WhenDone::PowerOff {
            examined.push(judge::powering_off(name, polkit, &sight));
        }
    }
    examined
}

fn sight(
    udisks: &Udisks,
    drive: &Drive,
    (devices, containers): &(Vec<BlockDevice>, Arc<Containers>),
) -> Result<DriveSight, UdisksError> {
    let unasked = |trial| Ok(DriveSight { trial, place: None, container: None });
    let Ok(table) = mounts::read() else { return unasked(Trial::Unclear("the mount table cannot be read".into())) };
    match sight_of_drive(drive, containers.get(&drive.uuid), devices, &table, &MountTree::new(&table)) {
        DrivePresence::NotPlugged => unasked(Trial::NotPlugged),
        DrivePresence::Ambiguous { .. } => unasked(Trial::Ambiguous),
        DrivePresence::NotEncrypted { .. } => unasked(Trial::Unclear("it should be encrypted, and is not".into())),
        DrivePresence::HoldsMember { .. } | DrivePresence::OnMembers { .. } => {
            unasked(Trial::Unclear("it holds LVM or RAID, or lies on it".into()))
        }
        DrivePresence::NotMounted { device } if !fstab::places_of(device, devices).is_empty() => {
            unasked(Trial::InFstab)
        }
        DrivePresence::NotMounted { device }
        | DrivePresence::Locked { device }
        | DrivePresence::Mounted { device, .. } => udisks.examine(device.number),
    }
}
