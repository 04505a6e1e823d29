//! Drives that are plugged in and must not be used: the person at the desk is told of each once, while it stands so.

use std::collections::BTreeMap;

use crate::daemon::world::settings::Settings;
use crate::daemon::world::volumes::{Volumes, is_open, unclean, unusable};
use crate::model::{Announcement, Matter, Obstacle, Subject, Unclean, VolumeName};

/// What was told of.
#[derive(Debug, Default)]
pub(super) struct UnusableDrives {
    unusable: BTreeMap<VolumeName, Obstacle>,
    /// Those whose filesystem should be checked, until it is mounted without that.
    unclean: BTreeMap<VolumeName, Unclean>,
}

impl UnusableDrives {
    /// Compares how drives stand with what was told, and says what is to be told now.
    pub(super) fn compare(&mut self, settings: &Settings, volumes: &Volumes) -> Vec<Announcement> {
        let mut found = Vec::new();
        let about = |volume: &VolumeName, matter| Announcement { subject: Subject::Drive(volume.clone()), matter };
        self.unusable.retain(|volume, _| {
            let stays = stands(volume, volumes).is_some();
            if !stays {
                found.push(about(volume, Matter::Withdrawn));
            }
            stays
        });
        self.compare_unclean(settings, volumes, &mut found);
        for volume in volumes.names() {
            // Nobody is told of what nobody uses.
            let user = settings.users_of(volume).find(|sync| sync.enabled);
            let (Some(obstacle), Some(user)) = (stands(volume, volumes), user) else { continue };
            if self.unusable.get(volume) != Some(&obstacle) {
                self.unusable.insert(volume.clone(), obstacle.clone());
                found.push(about(volume, Matter::Unusable(obstacle, user.name.clone())));
            }
        }
        found
    }

    /// One that is used all the same is told of once, and once more when something else is wrong with it.
    fn compare_unclean(&mut self, settings: &Settings, volumes: &Volumes, found: &mut Vec<Announcement>) {
        for volume in volumes.names().filter(|volume| settings.users_of(volume).any(|sync| sync.enabled)) {
            let Some(state) = volumes.get(volume).filter(|state| is_open(&state.sight)) else { continue };
            let before = self.unclean.get(volume);
            let subject = Subject::Drive(volume.clone());
            match unclean(&state.sight) {
                Some(unclean) if before != Some(unclean) => {
                    self.unclean.insert(volume.clone(), unclean.clone());
                    found.push(Announcement { subject, matter: Matter::Unclean(unclean.clone()) });
                }
                None if before.is_some() => {
                    self.unclean.remove(volume);
                    found.push(Announcement { subject, matter: Matter::Withdrawn });
                }
                Some(_) | None => {}
            }
        }
    }
}

fn stands(volume: &VolumeName, volumes: &Volumes) -> Option<Obstacle> {
    unusable(volume, &volumes.get(volume)?.sight)
}
