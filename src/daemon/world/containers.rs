//! Drives that are named by the UUID of the filesystem in a LUKS container. While it is closed nothing of that
//! filesystem is to be seen: which container it lay in is learnt while it is open. Only what is proven teaches anything:
//! whoever knows a UUID can put it into a container of their own.

use std::sync::Arc;

use crate::daemon::messages::event::Effect;
use crate::daemon::world::World;
use crate::decide::presence;
use crate::model::{BlockDevice, DeviceRole, DriveUuid, RemoteProbe, RemoteSight, VolumeName, VolumeRoot, VolumeSight};

impl World {
    /// The sequence number of the medium that a drive is on, if it is in.
    pub(super) fn medium_of(&self, volume: &VolumeName, devices: &[BlockDevice]) -> Option<u64> {
        let drive = self.drive(volume)?;
        presence::medium(drive, self.ledger.containers.get(&drive.uuid), devices)
    }

    /// Learns in which containers the filesystems lie that drives of this machine are named by.
    pub(super) fn learn_containers(&mut self, effects: &mut Vec<Effect>) {
        let is_open = |device: &BlockDevice| matches!(device.role, DeviceRole::Unlocked { .. });
        if !self.devices.iter().any(is_open) {
            return;
        }
        let seen: Vec<(DriveUuid, DriveUuid)> = (self.configuration.volumes.values())
            .filter_map(|volume| {
                let VolumeRoot::Drive(drive) = &volume.root else { return None };
                let VolumeSight::Present(_) = self.volumes.get(&volume.name)?.sight else { return None };
                Some((drive.uuid.clone(), presence::container_of(drive, &self.devices)?.clone()))
            })
            .collect();
        self.keep_containers(seen, effects);
    }

    /// Learns the same of a drive of a server, which tells it with its answer.
    pub(super) fn learn_container_there(
        &mut self,
        volume: &RemoteProbe,
        seen: &RemoteSight,
        effects: &mut Vec<Effect>,
    ) {
        if let (Some(sought), Some(container), VolumeSight::Reached(_)) = (&volume.drive, &seen.container, &seen.sight)
        {
            self.keep_containers(vec![(sought.drive.uuid.clone(), container.clone())], effects);
        }
    }

    fn keep_containers(&mut self, mut seen: Vec<(DriveUuid, DriveUuid)>, effects: &mut Vec<Effect>) {
        seen.retain(|(filesystem, container)| self.ledger.containers.get(filesystem) != Some(container));
        if !seen.is_empty() {
            Arc::make_mut(&mut self.ledger.containers).extend(seen);
            self.keep_ledger(effects);
        }
    }
}
