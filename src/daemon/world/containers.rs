//! Drives that are named by the UUID of the filesystem in a LUKS container. While it is closed nothing of that
//! filesystem is to be seen: which container it lay in is learnt while it is open.

use std::sync::Arc;

use crate::daemon::world::{Effect, World};
use crate::decide::presence;
use crate::model::{BlockDevice, DeviceRole, DriveUuid, VolumeRoot, VolumeSight};

impl World {
    /// Learns in which containers the filesystems lie that drives are named by. Only what is proven teaches anything:
    /// whoever knows a UUID can put it into a container of their own.
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
            .filter(|(filesystem, container)| self.ledger.containers.get(filesystem) != Some(container))
            .collect();
        if !seen.is_empty() {
            Arc::make_mut(&mut self.ledger.containers).extend(seen);
            self.keep_ledger(effects);
        }
    }
}
