//! Drives that are named by the UUID of the filesystem in a LUKS container. While it is closed nothing of that
//! filesystem is to be seen: which container it lay in is learnt while it is open. Only what is proven teaches
//! anything: whoever knows a UUID can put it into a container of their own.

use crate::daemon::world::World;
use crate::decide::presence;
use crate::model::{BlockDevice, DeviceRole, DriveUuid, RemoteProbe, RemoteSight, VolumeName, VolumeRoot, VolumeSight};

impl World {
    /// The sequence number of the medium that a drive is on, if it is in.
    pub(super) fn medium_of(&self, volume: &VolumeName, devices: &[BlockDevice]) -> Option<u64> {
        let drive = self.settings.drive(volume)?;
        presence::medium(drive, self.decisions.ledger().containers.get(&drive.uuid), devices)
    }

    /// Learns in which containers the filesystems lie that drives of this machine are named by.
    pub(super) fn learn_containers(&mut self) {
        let is_open = |device: &BlockDevice| matches!(device.role, DeviceRole::Unlocked { .. });
        if !self.volumes.devices().iter().any(is_open) {
            return;
        }
        let seen: Vec<(DriveUuid, DriveUuid)> = (self.settings.configuration().volumes.values())
            .filter_map(|volume| {
                let VolumeRoot::Drive(drive) = &volume.root else { return None };
                let VolumeSight::Present(_) = self.volumes.get(&volume.name)?.sight else { return None };
                Some((drive.uuid.clone(), presence::container_of(drive, self.volumes.devices())?.clone()))
            })
            .collect();
        self.decisions.learn_containers(seen);
    }

    /// Learns the same of a drive of a server, which tells it with its answer.
    pub(super) fn learn_container_there(&mut self, volume: &RemoteProbe, seen: &RemoteSight) {
        if let (Some(sought), Some(container), VolumeSight::Reached(_)) = (&volume.drive, &seen.container, &seen.sight)
        {
            self.decisions.learn_containers(vec![(sought.drive.uuid.clone(), container.clone())]);
        }
    }
}
