//! Drives that are opened for runs and closed behind them.
//!
//! A drive that is opened for one sync stays open for as long as another in the queue needs it. What is seen of it
//! meanwhile is our own doing: it is no plug-in, no unmount of its user's, and no reason to try anew what failed.

use std::time::Duration;

use crate::daemon::job::{Closer, Closing, DriveNews, DriveOrder, Expected, Opening, Sake};
use crate::daemon::observer::Scope;
use crate::daemon::world::memory::{Setback, SetbackReason};
use crate::daemon::world::volumes::VolumeState;
use crate::daemon::world::{Effect, Notice, Stage, World};
use crate::decide::presence::{self, DrivePresence, MountTree};
use crate::decide::{backoff, obstacles};
use crate::model::{
    BlockDevice, BootTime, DeviceRole, Left, Now, OpeningTrouble, Outcome, Remedy, Sync, SyncName, VolumeName,
    VolumeRoot, VolumeSight, WhenDone,
};

/// What is being done with a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hand {
    /// Nothing.
    Off,
    /// It is being opened.
    Opening(Sake),
    /// It is said to be open; the look of this number shows whether it is.
    Awaited(u64, Sake),
    /// It is open, and is closed once nobody needs it.
    Open(Expected),
    /// It is being closed.
    Closing,
    /// It could not be closed; it is tried again.
    Stuck {
        /// When.
        again: BootTime,
        /// How often it was tried.
        tries: u32,
    },
    /// It was closed; until the look of this number, what changes is still our doing.
    Settling(u64),
}

impl Hand {
    /// Whether what changes of the drive is our doing.
    pub(super) fn is_on(&self) -> bool {
        *self != Self::Off
    }
}

/// Whether a sync can start on its drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    NotYet,
}

impl World {
    /// Opens what a sync needs, and says whether it can start already.
    pub(super) fn opens_for(&mut self, name: &SyncName, effects: &mut Vec<Effect>) -> Readiness {
        let Some(sync) = self.configuration.syncs.get(name) else { return Readiness::NotYet };
        let mut readiness = Readiness::Ready;
        for volume in [sync.source.volume.clone(), sync.destination.volume.clone()] {
            let Some(state) = self.volumes.get(&volume) else { continue };
            if self.is_left_over(&volume) {
                readiness = Readiness::NotYet;
                continue;
            }
            match state.hand {
                Hand::Off if obstacles::is_opened_by_us(state.standing()) => {
                    self.open(&volume, Sake::Runs, effects);
                    readiness = Readiness::NotYet;
                }
                Hand::Off => {}
                Hand::Open(_) | Hand::Stuck { .. } if matches!(state.sight, VolumeSight::Present(_)) => {}
                Hand::Open(_)
                | Hand::Stuck { .. }
                | Hand::Opening(_)
                | Hand::Awaited(..)
                | Hand::Closing
                | Hand::Settling(_) => readiness = Readiness::NotYet,
            }
        }
        readiness
    }

    pub(super) fn open(&mut self, volume: &VolumeName, sake: Sake, effects: &mut Vec<Effect>) {
        let Some((device, disk_seq)) = self.carrier(volume) else { return };
        let Some(VolumeRoot::Drive(drive)) = self.configuration.volumes.get(volume).map(|volume| &volume.root) else {
            return;
        };
        let (drive, credentials) = (drive.clone(), self.configuration.credentials.clone());
        self.give_up_leftover(volume);
        let opening = Opening { volume: volume.clone(), drive, device, disk_seq, credentials, sake };
        effects.push(Effect::Drive(Box::new(DriveOrder::Open(opening))));
        if let Some(state) = self.volumes.get_mut(volume) {
            state.hand = Hand::Opening(sake);
            state.last_outcome = None;
        }
    }

    /// The device that carries a drive: its number, and the sequence number of the medium. `None` where several carry
    /// its UUID, since nobody knows which is meant; the members of one filesystem are one drive.
    pub(super) fn carrier(&self, volume: &VolumeName) -> Option<((u32, u32), Option<u64>)> {
        let VolumeRoot::Drive(drive) = &self.configuration.volumes.get(volume)?.root else { return None };
        let container = self.ledger.containers.get(&drive.uuid);
        match presence::sight_of_drive(drive, container, &self.devices, &[], &MountTree::new(&[])) {
            DrivePresence::Ambiguous { .. } => return None,
            // Perhaps only its container is there.
            DrivePresence::Locked { device } => return Some((device.number, device.disk_seq)),
            DrivePresence::NotPlugged
            | DrivePresence::NotEncrypted { .. }
            | DrivePresence::NotMounted { .. }
            | DrivePresence::Mounted { .. } => {}
        }
        let is_carrier = |found: &&BlockDevice| found.uuid == drive.uuid && found.role != DeviceRole::Member;
        match (self.devices.iter().find(is_carrier), &self.volumes.get(volume)?.sight) {
            (Some(found), _) => Some((found.number, found.disk_seq)),
            (None, VolumeSight::Present(present)) => Some((present.device?, present.disk_seq)),
            (None, _) => None,
        }
    }

    /// A run begins on a drive that others have opened: when it is done, what the configuration wants happens to it, too.
    pub(super) fn mind_what_is_done_behind(&mut self, sync: &Sync) {
        for volume in [&sync.source.volume, &sync.destination.volume] {
            if self.when_done(volume) != WhenDone::Leave
                && let Some(state) = self.volumes.get_mut(volume)
                && state.hand == Hand::Off
            {
                state.hand = Hand::Open(Expected::Mounted);
            }
        }
    }

    /// How the last run on the drives of a sync ended.
    pub(super) fn note_outcome(&mut self, sync: &Sync, outcome: Outcome) {
        for volume in [&sync.source.volume, &sync.destination.volume] {
            if let Some(state) = self.volumes.get_mut(volume) {
                state.last_outcome = Some(outcome);
            }
        }
    }

    fn when_done(&self, volume: &VolumeName) -> WhenDone {
        match self.configuration.volumes.get(volume).map(|volume| &volume.root) {
            Some(VolumeRoot::Drive(drive)) => drive.when_done,
            Some(VolumeRoot::Directory(_) | VolumeRoot::Server(_)) | None => WhenDone::Leave,
        }
    }

    /// Closes what no run uses and no candidate needs.
    pub(super) fn close_what_nobody_needs(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let idle: Vec<(VolumeName, Expected)> = self
            .volumes
            .iter()
            .filter_map(|(name, state)| {
                let expected = match &state.hand {
                    Hand::Open(expected) => *expected,
                    Hand::Awaited(_, Sake::Runs) if self.stage == Stage::Stopping => Expected::Anyhow,
                    Hand::Stuck { again, .. } if *again <= now.boot && self.stage == Stage::Working => Expected::Anyhow,
                    Hand::Off | Hand::Stuck { .. } if self.is_to_be_closed(name).is_some() => Expected::Anyhow,
                    Hand::Off
                    | Hand::Opening(_)
                    | Hand::Awaited(..)
                    | Hand::Closing
                    | Hand::Stuck { .. }
                    | Hand::Settling(_) => return None,
                };
                let idle = self.stage != Stage::Starting && self.runs_on(name).is_empty() && !self.is_needed(name);
                idle.then(|| (name.clone(), expected))
            })
            .collect();
        for (volume, expected) in idle {
            self.close(&volume, expected, now, effects);
        }
        self.close_leftovers(now, effects);
    }

    /// Whether a sync in the queue needs a drive as it is. One that was closed meanwhile has to be opened anew.
    fn is_needed(&self, volume: &VolumeName) -> bool {
        let is_open = matches!(self.volumes.get(volume).map(|state| &state.sight), Some(VolumeSight::Present(_)));
        let uses = |name: &SyncName| self.configuration.syncs.get(name).is_some_and(|sync| sync.uses(volume));
        is_open && self.stage == Stage::Working && self.plan.candidates.keys().any(uses)
    }

    fn close(&mut self, volume: &VolumeName, expected: Expected, now: &Now, effects: &mut Vec<Effect>) {
        self.set_back_what_could_not_run(volume, now);
        let asked = self.is_to_be_closed(volume);
        let ended_well = self.volumes.get(volume).is_some_and(|state| state.last_outcome == Some(Outcome::Ok));
        // A drive that a failed run is to be tried on again is put back as it was, and no further.
        let then = asked.unwrap_or(if ended_well { self.when_done(volume) } else { WhenDone::Leave });
        let device = self.carrier(volume).map(|(device, _)| device);
        let closing = Closing { volume: volume.clone(), device, then, expected };
        effects.push(Effect::Drive(Box::new(DriveOrder::Close(closing))));
        if let Some(state) = self.volumes.get_mut(volume) {
            state.tries = if let Hand::Stuck { tries, .. } = state.hand { tries } else { 0 };
            state.hand = Hand::Closing;
        }
    }

    /// What showed itself only when the drive was open stands in the way while it is closed, too; else it would be
    /// opened again at once.
    fn set_back_what_could_not_run(&mut self, volume: &VolumeName, now: &Now) {
        if self.volumes.get(volume).and_then(VolumeState::root).is_none() {
            return;
        }
        let wait = backoff::wait(1, Remedy::AskPerson, 0);
        for (name, prospect) in &self.plan.prospects {
            let uses = self.configuration.syncs.get(name).is_some_and(|sync| sync.uses(volume));
            if let Some(memory) = self.memory.get_mut(name)
                && uses
                && memory.setback.is_none()
                && !prospect.places.is_empty()
            {
                memory.setback = Some(Setback {
                    until: now.boot.after(wait),
                    until_wall: now.wall.checked_add(wait).unwrap_or(now.wall),
                    reason: SetbackReason::Found(prospect.places.clone()),
                });
            }
        }
    }

    /// An order was carried out.
    pub(super) fn drive_news(&mut self, news: DriveNews, now: &Now, effects: &mut Vec<Effect>) {
        let (DriveNews::Opened(volume, _) | DriveNews::Closed(volume, ..)) = &news;
        if let Some(leftover) = self.leftover_in_hand(volume) {
            match news {
                DriveNews::Opened(..) => leftover.hand = Hand::Open(Expected::Anyhow),
                DriveNews::Closed(volume, left, _) => self.leftover_closed(&volume, &left, now, effects),
            }
            return;
        }
        match news {
            DriveNews::Opened(volume, Ok(())) => {
                let look = self.look(Scope::everything(), effects);
                if let Some(state) = self.volumes.get_mut(&volume)
                    && let Hand::Opening(sake) = state.hand
                {
                    state.hand = Hand::Awaited(look, sake);
                    state.refused = None;
                }
            }
            DriveNews::Opened(volume, Err(trouble)) => self.not_opened(&volume, trouble, now, effects),
            DriveNews::Closed(volume, left, closer) => self.closed(&volume, &left, closer, now, effects),
        }
    }

    fn closed(&mut self, volume: &VolumeName, left: &Left, closer: Closer, now: &Now, effects: &mut Vec<Effect>) {
        let look = self.look(Scope::everything(), effects);
        let asked = self.is_to_be_closed(volume).is_some();
        if let Some(state) = self.volumes.get_mut(volume) {
            let failed = matches!(left, Left::InUse(_) | Left::Stuck(_));
            let tries = state.tries.saturating_add(1);
            state.hand = if failed {
                Hand::Stuck { again: now.boot.after(until_again(tries)), tries }
            } else {
                Hand::Settling(look)
            };
            if closer == Closer::Another || (asked && !failed) {
                state.let_go();
            }
            if !failed || tries == 1 || asked {
                effects.extend(left.sentence(volume).map(|_| Effect::Tell(Notice::Left(volume.clone(), left.clone()))));
            }
        }
        self.answer_closes(volume, left);
    }

    /// Takes in a look that covers all that was asked for up to a number.
    pub(super) fn settle_drives(&mut self, covered: u64, now: &Now, effects: &mut Vec<Effect>) {
        let mut unseen = Vec::new();
        let mut opened = Vec::new();
        for (name, state) in &mut self.volumes {
            match state.hand {
                Hand::Awaited(look, sake) if look <= covered => {
                    let root = state.root();
                    state.hand = match sake {
                        Sake::Runs => Hand::Open(Expected::Mounted),
                        Sake::Person => Hand::Off,
                    };
                    match root {
                        Some(root) => opened.push((name.clone(), root)),
                        None => unseen.push(name.clone()),
                    }
                }
                Hand::Settling(look) if look <= covered => state.hand = Hand::Off,
                Hand::Off
                | Hand::Opening(_)
                | Hand::Awaited(..)
                | Hand::Open(_)
                | Hand::Closing
                | Hand::Stuck { .. }
                | Hand::Settling(_) => {}
            }
        }
        for (volume, root) in opened {
            self.answer_mounts(&volume, &Ok(root));
        }
        for volume in unseen {
            let why = "see it mounted here; does the daemon run in a namespace of its own (`PrivateMounts`)?";
            self.not_opened(&volume, OpeningTrouble::Other(why.into()), now, effects);
        }
    }

    /// Waits for no drive any more: whoever says twice that the daemon is to end means it. The next one closes them.
    pub(super) fn leave_drives_open(&mut self) {
        for state in self.volumes.values_mut() {
            state.hand = Hand::Off;
        }
        self.leftovers.clear();
    }

    /// The moments at which a drive is opened or closed again that could not be.
    pub(super) fn moments_of_drives(&self, now: &Now) -> Vec<BootTime> {
        let stuck = |hand: &Hand| if let Hand::Stuck { again, .. } = hand { Some(*again) } else { None };
        let refused = self.volumes.values().filter_map(|state| state.refused.as_ref()).map(|refused| refused.until);
        self.hands().filter_map(stuck).chain(refused).filter(|moment| *moment > now.boot).collect()
    }

    /// Whether a drive is being opened or closed, or is open and about to be closed.
    pub(super) fn drives_are_busy(&self) -> bool {
        self.hands().any(|hand| match hand {
            Hand::Opening(_) | Hand::Awaited(_, Sake::Runs) | Hand::Open(_) | Hand::Closing => true,
            Hand::Off | Hand::Awaited(_, Sake::Person) | Hand::Stuck { .. } | Hand::Settling(_) => false,
        })
    }

    /// What is being done with each drive.
    fn hands(&self) -> impl Iterator<Item = &Hand> {
        self.volumes.values().map(|state| &state.hand).chain(self.leftovers.iter().map(|leftover| &leftover.hand))
    }
}

/// How long to wait before a drive is closed again that could not be.
pub(super) fn until_again(tries: u32) -> Duration {
    backoff::wait(tries, Remedy::TryAgain, 0).min(Duration::from_mins(15))
}
