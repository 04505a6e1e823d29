//! All that stands in the way of a sync.

use crate::model::layout;
use crate::model::{
    Absence, Access, BatteryRule, Conditions, End, EndFault, EndSight, HalfRestored, Ledger, MeteredRule, Mounting,
    Obstacle, PowerSight, RestoreStage, SentinelFault, Sync, SyncSight, Unmounted, Volume, VolumeName, VolumeRoot,
    VolumeSight,
};

/// A volume as far as obstacles depend on it.
#[derive(Debug, Clone, Copy)]
pub struct VolumeStanding<'a> {
    /// How it stands.
    pub sight: &'a VolumeSight,
    /// Whether a person unmounted its drive since it was plugged in.
    pub custody: Custody,
    /// How it is opened.
    pub opening: &'a Mounting,
}

/// Whose a drive is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// It may be used.
    Ours,
    /// A person unmounted it; it stays alone until it is plugged in again.
    LetGo,
}

/// What stands in the way at the two places of a sync. It can only change by a look, or by a word of a person.
#[must_use]
pub fn of_places(
    sync: &Sync,
    source: VolumeStanding<'_>,
    destination: VolumeStanding<'_>,
    ends: Option<&SyncSight>,
    ledger: &Ledger,
) -> Vec<Obstacle> {
    let mut found = Vec::new();
    of_volume(End::Source, &sync.source.volume, source, ledger, &mut found);
    if sync.destination.volume == sync.source.volume {
        // One volume, said once; only whether it can be written matters at this end beside.
        of_access(&sync.destination.volume, destination.sight, &mut found);
    } else {
        of_volume(End::Destination, &sync.destination.volume, destination, ledger, &mut found);
        of_access(&sync.destination.volume, destination.sight, &mut found);
    }
    if let Some(ends) = ends {
        of_end(sync, End::Source, &ends.source, ledger, &mut found);
        of_end(sync, End::Destination, &ends.destination, ledger, &mut found);
    }
    found
}

/// Whether an obstacle may be gone once something is mounted at the source, or made there.
#[must_use]
pub fn may_be_mounted(obstacle: &Obstacle) -> bool {
    matches!(
        obstacle,
        Obstacle::VolumeAbsent { end: End::Source, absence: Absence::NoDirectory(_), .. }
            | Obstacle::DirectoryMissing { end: End::Source, .. }
            | Obstacle::Sentinel { end: End::Source, fault: SentinelFault::Missing, .. }
    )
}

/// What keeps one volume from being used, whichever sync asks.
#[must_use]
pub fn of_one_volume(end: End, name: &VolumeName, standing: VolumeStanding<'_>, ledger: &Ledger) -> Vec<Obstacle> {
    let mut found = Vec::new();
    of_volume(end, name, standing, ledger, &mut found);
    found
}

fn of_volume(end: End, name: &VolumeName, standing: VolumeStanding<'_>, ledger: &Ledger, found: &mut Vec<Obstacle>) {
    let volume = || name.clone();
    if let Some(hold) = ledger.holds.get(name) {
        found.push(Obstacle::VolumeHeld { volume: volume(), until: hold.until() });
    }
    match standing.sight {
        VolumeSight::Absent(absence) => {
            found.push(Obstacle::VolumeAbsent { end, volume: volume(), absence: absence.clone() });
        }
        VolumeSight::Ambiguous { devices } => {
            found.push(Obstacle::DuplicateUuid { volume: volume(), devices: devices.clone() });
        }
        VolumeSight::NotMounted { .. } | VolumeSight::Locked { .. } if is_opened_by_us(standing) => {}
        // Whoever lets an encrypted drive go may lock it, too.
        VolumeSight::Locked { device, .. } if standing.custody == Custody::LetGo => {
            found.push(Obstacle::NotMounted { end, volume: volume(), device: device.clone(), how: Unmounted::ByUser });
        }
        VolumeSight::NotMounted { device, blocked_at, .. } => {
            let how = match standing.custody {
                _ if !blocked_at.is_empty() => Unmounted::Blocked(blocked_at.clone()),
                Custody::LetGo => Unmounted::ByUser,
                Custody::Ours => Unmounted::Plainly,
            };
            found.push(Obstacle::NotMounted { end, volume: volume(), device: device.clone(), how });
        }
        VolumeSight::Locked { device, .. } => {
            found.push(Obstacle::Locked { end, volume: volume(), device: device.clone() });
        }
        VolumeSight::NotEncrypted { device } => {
            found.push(Obstacle::NotEncrypted { volume: volume(), device: device.clone() });
        }
        VolumeSight::NotProven { root, fault } => {
            found.push(Obstacle::Sentinel { end, path: root.join(layout::VOLUME_SENTINEL), fault: fault.clone() });
        }
        VolumeSight::Reached(reached) => {
            if standing.custody == Custody::LetGo {
                let device = reached.root.clone().into();
                found.push(Obstacle::NotMounted { end, volume: volume(), device, how: Unmounted::ByUser });
            }
            if ledger.volume_ids.get(name).is_some_and(|known| reached.id.as_ref() != Some(known)) {
                found.push(Obstacle::SentinelMismatch { end, path: reached.root.join(layout::VOLUME_SENTINEL) });
            }
        }
        VolumeSight::Present(present) => {
            if standing.custody == Custody::LetGo {
                let device = present.root.clone().into();
                found.push(Obstacle::NotMounted { end, volume: volume(), device, how: Unmounted::ByUser });
            }
            if ledger.volume_ids.get(name).is_some_and(|known| present.id.as_ref() != Some(known)) {
                found.push(Obstacle::SentinelMismatch { end, path: present.root.join(layout::VOLUME_SENTINEL) });
            }
            if let Some((hardware, stranger)) = ledger.unknown_hardware(name, present.hardware.as_ref()) {
                found.push(Obstacle::DeviceUnknown { volume: volume(), hardware, stranger });
            }
        }
    }
}

/// Whether a run opens this drive by itself, so that it is no obstacle that it is closed.
#[must_use]
pub fn is_opened_by_us(standing: VolumeStanding<'_>) -> bool {
    let can_be_opened = match (standing.sight, standing.opening) {
        (VolumeSight::NotMounted { blocked_at, .. }, Mounting::ForTheRun { .. }) => blocked_at.is_empty(),
        (VolumeSight::Locked { .. }, Mounting::ForTheRun { passphrase }) => passphrase.is_some(),
        (_, _) => false,
    };
    can_be_opened && standing.custody == Custody::Ours
}

fn of_access(name: &VolumeName, sight: &VolumeSight, found: &mut Vec<Obstacle>) {
    let (access, root) = match sight {
        VolumeSight::Present(present) => (present.access, &present.root),
        VolumeSight::Reached(reached) => (reached.access, &reached.root),
        VolumeSight::Absent(_)
        | VolumeSight::Ambiguous { .. }
        | VolumeSight::NotMounted { .. }
        | VolumeSight::Locked { .. }
        | VolumeSight::NotEncrypted { .. }
        | VolumeSight::NotProven { .. } => return,
    };
    if access == Access::ReadOnly {
        found.push(Obstacle::ReadOnly { volume: name.clone(), root: root.clone() });
    }
}

fn of_end(sync: &Sync, end: End, sight: &EndSight, ledger: &Ledger, found: &mut Vec<Obstacle>) {
    match sight {
        EndSight::Unseen => {}
        EndSight::Ready { id } => {
            if ledger.end_ids.get(&(sync.name.clone(), end)).is_some_and(|known| id.as_ref() != Some(known)) {
                let path = sync.place(end).subdir.as_path().join(layout::sentinel(end));
                found.push(Obstacle::SentinelMismatch { end, path });
            }
        }
        EndSight::Faulty(faults) => found.extend(faults.iter().map(|fault| of_fault(sync, end, fault))),
    }
}

fn of_fault(sync: &Sync, end: End, fault: &EndFault) -> Obstacle {
    match fault {
        EndFault::NoDirectory(path, reason) => {
            Obstacle::DirectoryMissing { end, path: path.clone(), reason: reason.clone() }
        }
        EndFault::Sentinel(path, fault) => Obstacle::Sentinel { end, path: path.clone(), fault: fault.clone() },
        EndFault::NoSnapshotYet(path) => Obstacle::NoSnapshotYet { path: path.clone() },
        EndFault::OtherLayout { path, holds } => Obstacle::LayoutMismatch(path.clone(), *holds),
        EndFault::NotBtrfs { path, fs_type } => {
            Obstacle::NotBtrfs { path: path.clone(), found: format!("it is on {fs_type}") }
        }
        EndFault::NoStaging(path) => {
            Obstacle::NotBtrfs { path: path.clone(), found: "missing, or a plain directory".into() }
        }
        EndFault::NoSpace(path) => Obstacle::NoSpace { path: path.clone() },
        EndFault::NoTool(tool) => {
            // Only a server tells what is missing before a run.
            Obstacle::ToolMissing { tool: tool.clone(), server: Some(sync.place(end).volume.clone()) }
        }
        EndFault::OldRsync(found) => {
            Obstacle::ToolOutdated { tool: "rsync".into(), found: *found, server: sync.place(end).volume.clone() }
        }
    }
}

/// What the conditions of a sync say at this local time, on this power, and where the way to this volume leaves through
/// this metered interface.
#[must_use]
pub fn of_conditions(
    when: &Conditions,
    local: jiff::civil::Time,
    power: PowerSight,
    metered: Option<(VolumeName, String)>,
) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if let Some(hours) = when.hours.filter(|hours| !hours.contain(local)) {
        found.push(Obstacle::OutsideHours(hours));
    }
    if let Some((volume, interface)) = metered.filter(|_| when.metered == MeteredRule::Avoid) {
        found.push(Obstacle::Metered { volume, interface });
    }
    if let PowerSight::Battery(left) = power
        && !suffices(when.battery, left)
    {
        found.push(Obstacle::Battery { rule: when.battery, left });
    }
    found
}

/// Whether a battery with so much left is what a sync asks for.
fn suffices(rule: BatteryRule, left: Option<u8>) -> bool {
    match rule {
        BatteryRule::Any => true,
        BatteryRule::Mains => false,
        BatteryRule::AtLeast(share) => left.is_some_and(|left| left >= share),
    }
}

/// Whether an obstacle means that a person must approve something.
#[must_use]
pub fn asks_for_approval(obstacle: &Obstacle) -> bool {
    matches!(
        obstacle,
        Obstacle::Held(_)
            | Obstacle::Unrestored(HalfRestored { stage: RestoreStage::Cut, .. })
            | Obstacle::DeviceUnknown { .. }
            | Obstacle::SentinelMismatch { .. }
    )
}

/// What must not be used by two runs at once for the sake of a volume: its drive or its server, or the mirrors that are
/// fetched.
#[must_use]
pub fn exclusive_resources(volume: &Volume) -> Vec<String> {
    let root = &volume.root;
    match root {
        VolumeRoot::Directory(_) if volume.repositories.is_empty() => Vec::new(),
        VolumeRoot::Directory(path) => vec![format!("mirrors in {}", path.display())],
        VolumeRoot::Drive(_) => drive_resource(root).into_iter().collect(),
        VolumeRoot::Server(server) => {
            let endpoints = server.endpoints.iter().map(|endpoint| format!("server {endpoint}"));
            endpoints.chain(drive_resource(root)).collect()
        }
    }
}

/// What tells the drive that a volume is on, whatever the volume is called.
#[must_use]
pub fn drive_resource(root: &VolumeRoot) -> Option<String> {
    let uuid = &root.drive()?.uuid;
    Some(match root {
        // By whichever way: two volumes may name other ways to the same server.
        VolumeRoot::Server(_) => format!("drive {uuid} at a server"),
        VolumeRoot::Drive(_) | VolumeRoot::Directory(_) => format!("drive {uuid}"),
    })
}
