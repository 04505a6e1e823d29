//! Drives that are plugged in and must not be used: the person at the desk is told of each once, while it stands so.

use std::collections::BTreeMap;

use crate::daemon::world::settings::Settings;
use crate::daemon::world::volumes::{Volumes, unusable};
use crate::model::{Announcement, Matter, Obstacle, Subject, VolumeName};

/// What was told of.
#[derive(Debug, Default)]
pub(super) struct UnusableDrives(BTreeMap<VolumeName, Obstacle>);

impl UnusableDrives {
    /// Compares how drives stand with what was told, and says what is to be told now.
    pub(super) fn compare(&mut self, settings: &Settings, volumes: &Volumes) -> Vec<Announcement> {
        let mut found = Vec::new();
        let about = |volume: &VolumeName, matter| Announcement { subject: Subject::Drive(volume.clone()), matter };
        self.0.retain(|volume, _| {
            let stays = stands(volume, volumes).is_some();
            if !stays {
                found.push(about(volume, Matter::Withdrawn));
            }
            stays
        });
        for volume in volumes.names() {
            // Nobody is told of what nobody uses.
            let user = settings.users_of(volume).find(|sync| sync.enabled);
            let (Some(obstacle), Some(user)) = (stands(volume, volumes), user) else { continue };
            if self.0.get(volume) != Some(&obstacle) {
                self.0.insert(volume.clone(), obstacle.clone());
                found.push(about(volume, Matter::Unusable(obstacle, user.name.clone())));
            }
        }
        found
    }
}

fn stands(volume: &VolumeName, volumes: &Volumes) -> Option<Obstacle> {
    unusable(volume, &volumes.get(volume)?.sight)
}
