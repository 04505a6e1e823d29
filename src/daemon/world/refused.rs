//! Drives that cannot be opened: what is told of it, and when it is tried again.

use crate::backup::drives::order::Expected;
use crate::daemon::messages::ask::Refusal;
use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::world::World;
use crate::daemon::world::drives::{Hand, until_again};
use crate::decide::{backoff, obstacles};
use crate::model::{
    BootTime, End, Now, Obstacle, OpeningTrouble, Place, Remedy, Sync, SyncName, VolumeName, VolumeSight,
};

/// That a drive could not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) trouble: OpeningTrouble,
    pub(super) until: BootTime,
    tries: u32,
}

impl World {
    /// An order could not be carried out.
    pub(super) fn not_opened(
        &mut self,
        volume: &VolumeName,
        trouble: OpeningTrouble,
        now: &Now,
        effects: &mut Vec<Effect>,
    ) {
        let jitter = self.dice.u16(..);
        let drive = self.drive_name(volume);
        if let OpeningTrouble::OutOfReach(_) = trouble {
            // How the server stands is known better than what was seen of it.
            self.check(volume);
        }
        let Some(state) = self.volumes.get_mut(volume) else { return };
        let tries = state.refused.as_ref().map_or(0, |refused| refused.tries).saturating_add(1);
        let wait = match trouble {
            OpeningTrouble::KeyringLocked(_) | OpeningTrouble::KeyringAbsent(_) => backoff::wait_for_obstacle(u32::MAX),
            OpeningTrouble::NoSecret(..) | OpeningTrouble::WrongSecret(_) | OpeningTrouble::NotAuthorized(_) => {
                backoff::wait(tries, Remedy::AskPerson, jitter)
            }
            OpeningTrouble::NoUdisks(_) | OpeningTrouble::OutOfReach(_) | OpeningTrouble::Other(_) => {
                backoff::wait(tries, Remedy::TryAgain, jitter)
            }
        };
        let is_news = state.refused.as_ref().is_none_or(|refused| refused.trouble != trouble);
        state.refused = Some(Refused { trouble: trouble.clone(), until: now.boot.after(wait), tries });
        // Part of it may be done, and is undone by closing it.
        state.hand = match trouble {
            OpeningTrouble::OutOfReach(_) => Hand::Stuck { again: now.boot.after(until_again(1)), tries: 1 },
            OpeningTrouble::KeyringLocked(_)
            | OpeningTrouble::KeyringAbsent(_)
            | OpeningTrouble::NoSecret(..)
            | OpeningTrouble::WrongSecret(_)
            | OpeningTrouble::NotAuthorized(_)
            | OpeningTrouble::NoUdisks(_)
            | OpeningTrouble::Other(_) => Hand::Open(Expected::Anyhow),
        };
        let told = trouble.clone();
        let obstacle = Obstacle::NotOpened { end: End::Destination, drive: drive.clone(), trouble: told };
        self.answer_mounts(volume, &Err(Refusal::Failed(obstacle.to_string())));
        let users: Vec<SyncName> = self.settings.users_of(volume).map(|sync| sync.name.clone()).collect();
        for name in users {
            self.drop_request(&name, std::slice::from_ref(&obstacle));
        }
        if is_news {
            effects.push(Effect::Tell(Notice::NotOpened(trouble, drive)));
        }
    }

    /// That drives of a sync could not be opened.
    pub(super) fn refusals(&self, sync: &Sync, now: &Now) -> Vec<Obstacle> {
        let refused = |(end, place): (End, &Place)| {
            let state = self.volumes.get(&place.volume)?;
            let refused = state.refused.as_ref().filter(|refused| refused.until > now.boot)?;
            obstacles::is_opened_by_us(state.standing()).then(|| Obstacle::NotOpened {
                end,
                drive: self.drive_name(&place.volume),
                trouble: refused.trouble.clone(),
            })
        };
        sync.ends().into_iter().filter_map(refused).collect()
    }

    /// What is known of the hardware of a drive while it is closed. Nothing is opened on hardware that was never used.
    pub(super) fn unknown_hardware(&self, sync: &Sync) -> Vec<Obstacle> {
        let unknown = |(_, place): (End, &Place)| {
            let state = self.volumes.get(&place.volume)?;
            let (VolumeSight::NotMounted { device, .. } | VolumeSight::Locked { device, .. }) = &state.sight else {
                return None;
            };
            let hardware = self
                .devices
                .iter()
                .find(|found| device.host.is_none() && found.node == device.path)?
                .hardware
                .clone()?;
            let known =
                self.decisions.ledger().hardware.get(&place.volume).is_some_and(|known| known.contains(&hardware));
            let volume = place.volume.clone();
            (!known && obstacles::is_opened_by_us(state.standing()))
                .then_some(Obstacle::DeviceUnknown { volume, hardware })
        };
        sync.ends().into_iter().filter_map(unknown).collect()
    }

    /// A secret may be within reach now that was not: it is tried now, and the same trouble is no news.
    pub(super) fn keyring_changed(&mut self, now: &Now) {
        for state in self.volumes.values_mut() {
            if let Some(Refused {
                trouble: OpeningTrouble::KeyringLocked(_) | OpeningTrouble::KeyringAbsent(_),
                until,
                ..
            }) = &mut state.refused
            {
                *until = now.boot;
            }
        }
    }

    /// Whether a drive waits for a keyring.
    #[must_use]
    pub fn waits_for_keyring(&self) -> bool {
        self.volumes.values().any(|state| {
            matches!(
                state.refused,
                Some(Refused { trouble: OpeningTrouble::KeyringLocked(_) | OpeningTrouble::KeyringAbsent(_), .. })
            )
        })
    }
}
