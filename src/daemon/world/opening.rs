//! How drives are opened for runs. A drive that is opened for one sync stays open for as long as another in the queue
//! needs it.

use crate::backup::drives::order::{DriveNews, DriveOrder, Expected, Opening, Sake};
use crate::daemon::messages::ask::Refusal;
use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::world::World;
use crate::daemon::world::drives::{News, Phase};
use crate::daemon::world::volumes::is_open;
use crate::decide::obstacles;
use crate::model::{
    Absence, End, Now, Obstacle, OpeningTrouble, Place, Sync, SyncName, VolumeName, VolumeSight, WhenDone,
};

/// Whether a sync can start on its drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DriveReadiness {
    Ready,
    NotYet,
}

impl World {
    /// Opens what a sync needs, and says whether it can start already.
    pub(super) fn opens_for(&mut self, name: &SyncName, effects: &mut Vec<Effect>) -> DriveReadiness {
        let Some(sync) = self.settings.configuration().syncs.get(name) else { return DriveReadiness::NotYet };
        let mut readiness = DriveReadiness::Ready;
        for volume in [sync.source.volume.clone(), sync.destination.volume.clone()] {
            let Some(state) = self.volumes.get(&volume) else { continue };
            if self.leftovers.has(&volume) || self.is_changed_through_another(&volume) {
                readiness = DriveReadiness::NotYet;
                continue;
            }
            match self.drives.phase(&volume) {
                Phase::Idle if obstacles::is_opened_by_us(state.standing()) => {
                    self.open(&volume, Sake::Runs, effects);
                    readiness = DriveReadiness::NotYet;
                }
                Phase::Idle => {}
                Phase::Open(_) | Phase::Stuck { .. } if is_open(&state.sight) => {}
                Phase::Open(_)
                | Phase::Stuck { .. }
                | Phase::Opening(_)
                | Phase::Awaited(..)
                | Phase::Closing
                | Phase::ClosedByAnotherName
                | Phase::Settling(_) => readiness = DriveReadiness::NotYet,
            }
        }
        readiness
    }

    /// Whether a drive is being opened or closed for the sake of another volume on it.
    fn is_changed_through_another(&self, volume: &VolumeName) -> bool {
        let on_it = self.settings.on_the_drive_of(volume);
        self.drives.is_one_changing(on_it.into_iter().filter(|name| name != volume))
    }

    /// Has a drive opened.
    pub(super) fn open(&mut self, volume: &VolumeName, sake: Sake, effects: &mut Vec<Effect>) {
        let Some(site) = self.site(volume) else { return };
        let Some(drive) = self.settings.drive(volume).cloned() else { return };
        let credentials = self.settings.configuration().credentials.clone();
        self.leftovers.give_up(volume);
        let opening = Opening { volume: volume.clone(), drive, site, credentials, sake };
        effects.push(Effect::Drive(Box::new(DriveOrder::Open(opening))));
        self.drives.begin_opening(volume, sake);
    }

    /// A run begins on a drive that others have opened: once it is done, what the configuration wants is done with it.
    pub(super) fn close_after(&mut self, sync: &Sync) {
        for volume in [&sync.source.volume, &sync.destination.volume] {
            if self.settings.when_done(volume) != WhenDone::Leave
                && self.drives.are_idle(&self.settings.on_the_drive_of(volume))
            {
                self.drives.is_to_be_closed(volume, Expected::Mounted);
            }
        }
    }

    /// An order was carried out.
    pub(super) fn drive_news(&mut self, news: DriveNews, now: &Now, effects: &mut Vec<Effect>) {
        let (DriveNews::Opened(volume, _) | DriveNews::Closed(volume, ..)) = &news;
        if self.leftovers.is_one_changing(volume) {
            match news {
                DriveNews::Opened(volume, _) => self.leftovers.opened(&volume),
                DriveNews::Closed(volume, left, _) => self.leftover_closed(&volume, &left, now, effects),
            }
            return;
        }
        match news {
            DriveNews::Opened(volume, Ok(())) => {
                let check = self.check(&volume);
                self.drives.opened(&volume, check);
            }
            DriveNews::Opened(volume, Err(trouble)) => self.not_opened(&volume, trouble, now, effects),
            DriveNews::Closed(volume, left, closer) => self.closed(&volume, &left, closer, now, effects),
        }
    }

    /// Takes in what looks and servers have shown: drives were seen that something was done with.
    pub(super) fn settle_drives(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        for volume in self.drives.seen(|check| self.is_taken(check)) {
            if let Some(sake) = self.drives.settle(&volume) {
                self.settle_opened(&volume, sake, now, effects);
            }
        }
    }

    /// A drive that was opened was seen: is it open?
    fn settle_opened(&mut self, volume: &VolumeName, sake: Sake, now: &Now, effects: &mut Vec<Effect>) {
        let (root, is_there) = (self.shown_root(volume), self.settings.is_on_server(volume));
        let Some(sight) = self.volumes.get(volume).map(|state| state.sight.clone()) else { return };
        if let Some(root) = root {
            if sake == Sake::Person {
                for sync in self.settings.users_of(volume) {
                    self.histories.forget_found(&sync.name);
                }
            }
            return self.drive_requests.answer_mounts(volume, &Ok(root));
        }
        if let VolumeSight::Absent(absence @ (Absence::NoDirectory(_) | Absence::Unreadable(..))) = sight {
            let obstacle = Obstacle::VolumeAbsent { end: End::Destination, volume: volume.clone(), absence };
            return match sake {
                // They can mend it, now that it is mounted.
                Sake::Person => {
                    let remedy = self.with_remedy(volume, obstacle);
                    let why = format!("{} is mounted, but {remedy}", self.drive_name(volume));
                    self.drive_requests.answer_mounts(volume, &Err(Refusal::Failed(why)));
                }
                Sake::Runs => {
                    self.not_opened(volume, OpeningTrouble::Other(format!("use it: {obstacle}")), now, effects);
                }
            };
        }
        let unseen = if is_there {
            "see it mounted there"
        } else {
            "see it mounted here; does the daemon run in a namespace of its own (`PrivateMounts`)?"
        };
        let trouble = if let VolumeSight::Absent(Absence::Host(fault)) = sight {
            OpeningTrouble::OutOfReach(Box::new(fault))
        } else {
            OpeningTrouble::Other(unseen.into())
        };
        self.not_opened(volume, trouble, now, effects);
    }

    /// An order to open could not be carried out.
    fn not_opened(&mut self, volume: &VolumeName, trouble: OpeningTrouble, now: &Now, effects: &mut Vec<Effect>) {
        let drive = self.drive_name(volume);
        if let OpeningTrouble::OutOfReach(_) = trouble {
            // How the server stands is known better than what was seen of it.
            self.check(volume);
        }
        let jitter = self.dice.u16(..);
        let news = self.drives.refused(volume, trouble.clone(), jitter, now);
        let obstacle = Obstacle::NotOpened { end: End::Destination, drive: drive.clone(), trouble: trouble.clone() };
        self.drive_requests.answer_mounts(volume, &Err(Refusal::Failed(self.with_remedy(volume, obstacle.clone()))));
        for sync in self.settings.users_of(volume) {
            self.requests.drop_run(&sync.name, std::slice::from_ref(&obstacle));
        }
        if news == News::Yes {
            effects.push(Effect::Tell(Notice::NotOpened(trouble, drive)));
        }
    }

    /// That drives of a sync could not be opened.
    pub(super) fn refusals(&self, sync: &Sync, now: &Now) -> Vec<Obstacle> {
        let refused = |(end, place): (End, &Place)| {
            let trouble = self.drives.refusal(&place.volume, now)?;
            obstacles::is_opened_by_us(self.volumes.get(&place.volume)?.standing()).then(|| Obstacle::NotOpened {
                end,
                drive: self.drive_name(&place.volume),
                trouble: trouble.clone(),
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
            let mut devices = self.volumes.devices().iter();
            let found = devices.find(|found| device.host.is_none() && found.node == device.path)?;
            let ledger = self.decisions.ledger();
            let (hardware, stranger) = ledger.unknown_hardware(&place.volume, found.hardware.as_ref())?;
            let volume = place.volume.clone();
            obstacles::is_opened_by_us(state.standing()).then_some(Obstacle::DeviceUnknown {
                volume,
                hardware,
                stranger,
            })
        };
        sync.ends().into_iter().filter_map(unknown).collect()
    }
}
