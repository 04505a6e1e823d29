//! Drives that are opened for runs and closed behind them.
//!
//! A drive that is opened for one sync stays open for as long as another in the queue needs it. What is seen of it
//! meanwhile is our own doing: it is no plug-in, no unmount of its user's, and no reason to try anew what failed.

use std::time::Duration;

use crate::backup::drives::order::{Closer, Closing, DriveNews, DriveOrder, Expected, Opening, Sake};
use crate::daemon::messages::ask::Refusal;
use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::world::memory::{Setback, SetbackReason};
use crate::daemon::world::sites::Check;
use crate::daemon::world::volumes::VolumeState;
use crate::daemon::world::{Stage, World};
use crate::decide::presence::{self, DrivePresence, MountTree};
use crate::decide::{backoff, obstacles};
use crate::model::{
    Absence, BlockDevice, BootTime, DeviceRole, End, Left, Now, Obstacle, OpeningTrouble, Outcome, Remedy, Sync,
    SyncName, VolumeName, VolumeRoot, VolumeSight, WhenDone,
};

/// What is being done with a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hand {
    /// Nothing.
    Off,
    /// It is being opened.
    Opening(Sake),
    /// It is said to be open; this shows whether it is.
    Awaited(Check, Sake),
    /// It is open, and is closed once nobody needs it.
    Open(Expected),
    /// It is being closed.
    Closing,
    /// It is being closed by the name that its volume had before.
    ClosedByAnotherName,
    /// It could not be closed; it is tried again.
    Stuck {
        /// When.
        again: BootTime,
        /// How often it was tried.
        tries: u32,
    },
    /// It was closed; until this is taken, what changes is still our doing.
    Settling(Check),
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
        let Some(sync) = self.settings.configuration().syncs.get(name) else { return Readiness::NotYet };
        let mut readiness = Readiness::Ready;
        for volume in [sync.source.volume.clone(), sync.destination.volume.clone()] {
            let Some(state) = self.volumes.get(&volume) else { continue };
            if self.is_left_over(&volume) || self.is_changed_through_another(&volume) {
                readiness = Readiness::NotYet;
                continue;
            }
            match state.hand {
                Hand::Off if obstacles::is_opened_by_us(state.standing()) => {
                    self.open(&volume, Sake::Runs, effects);
                    readiness = Readiness::NotYet;
                }
                Hand::Off => {}
                Hand::Open(_) | Hand::Stuck { .. } if is_open(&state.sight) => {}
                Hand::Open(_)
                | Hand::Stuck { .. }
                | Hand::Opening(_)
                | Hand::Awaited(..)
                | Hand::Closing
                | Hand::ClosedByAnotherName
                | Hand::Settling(_) => readiness = Readiness::NotYet,
            }
        }
        readiness
    }

    pub(super) fn open(&mut self, volume: &VolumeName, sake: Sake, effects: &mut Vec<Effect>) {
        let Some(site) = self.site(volume) else { return };
        let Some(drive) = self.settings.drive(volume).cloned() else { return };
        let credentials = self.settings.configuration().credentials.clone();
        self.give_up_leftover(volume);
        let opening = Opening { volume: volume.clone(), drive, site, credentials, sake };
        effects.push(Effect::Drive(Box::new(DriveOrder::Open(opening))));
        if let Some(state) = self.volumes.get_mut(volume) {
            state.hand = Hand::Opening(sake);
            state.last_outcome = None;
        }
    }

    /// The device that carries a drive: its number, and the sequence number of the medium. `None` where several carry
    /// its UUID, since nobody knows which is meant; the members of one filesystem are one drive.
    pub(super) fn carrier(&self, volume: &VolumeName) -> Option<((u32, u32), Option<u64>)> {
        let VolumeRoot::Drive(drive) = &self.settings.configuration().volumes.get(volume)?.root else { return None };
        let container = self.decisions.ledger().containers.get(&drive.uuid);
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
            let is_off = |name: &VolumeName| self.volumes.get(name).is_some_and(|state| state.hand == Hand::Off);
            if self.settings.when_done(volume) != WhenDone::Leave
                && self.settings.on_the_drive_of(volume).iter().all(is_off)
                && let Some(state) = self.volumes.get_mut(volume)
            {
                state.hand = Hand::Open(Expected::Mounted);
            }
        }
    }

    /// How the last run on the drives of a sync ended.
    pub(super) fn note_outcome(&mut self, sync: &Sync, outcome: Outcome) {
        for volume in [&sync.source.volume, &sync.destination.volume] {
            for name in self.settings.on_the_drive_of(volume) {
                if let Some(state) = self.volumes.get_mut(&name) {
                    state.last_outcome = Some(outcome);
                }
            }
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
                    | Hand::ClosedByAnotherName
                    | Hand::Stuck { .. }
                    | Hand::Settling(_) => return None,
                };
                let is_free = |name: &VolumeName| self.runs_on(name).is_empty() && !self.is_needed(name);
                let idle = self.stage != Stage::Starting && self.settings.on_the_drive_of(name).iter().all(is_free);
                (idle && self.is_within_reach(name)).then(|| (name.clone(), expected))
            })
            .collect();
        for (volume, expected) in idle {
            self.close(&volume, expected, now, effects);
        }
        self.close_leftovers(now, effects);
    }

    /// Whether a sync in the queue needs a drive as it is. One that was closed meanwhile has to be opened anew.
    fn is_needed(&self, volume: &VolumeName) -> bool {
        let is_open = self.volumes.get(volume).is_some_and(|state| is_open(&state.sight));
        let uses =
            |name: &SyncName| self.settings.configuration().syncs.get(name).is_some_and(|sync| sync.uses(volume));
        is_open && self.stage == Stage::Working && self.plan.candidates.keys().any(uses)
    }

    fn close(&mut self, volume: &VolumeName, expected: Expected, now: &Now, effects: &mut Vec<Effect>) {
        self.set_back_what_could_not_run(volume, now);
        let asked = self.is_to_be_closed(volume);
        let ended_well = self.volumes.get(volume).is_some_and(|state| state.last_outcome == Some(Outcome::Ok));
        // A drive that a failed run is to be tried on again is put back as it was, and no further.
        let then = asked.unwrap_or(if ended_well { self.settings.when_done(volume) } else { WhenDone::Leave });
        let Some(site) = self.site_to_close(volume) else { return };
        let closing = Closing { volume: volume.clone(), site, then, expected };
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
            let uses = self.settings.configuration().syncs.get(name).is_some_and(|sync| sync.uses(volume));
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
                let check = self.check(&volume);
                if let Some(state) = self.volumes.get_mut(&volume)
                    && let Hand::Opening(sake) = state.hand
                {
                    state.hand = Hand::Awaited(check, sake);
                    state.refused = None;
                }
            }
            DriveNews::Opened(volume, Err(trouble)) => self.not_opened(&volume, trouble, now, effects),
            DriveNews::Closed(volume, left, closer) => self.closed(&volume, &left, closer, now, effects),
        }
    }

    fn closed(&mut self, volume: &VolumeName, left: &Left, closer: Closer, now: &Now, effects: &mut Vec<Effect>) {
        let check = self.check(volume);
        let drive = self.drive_name(volume);
        let asked = self.is_to_be_closed(volume).is_some();
        if let Some(state) = self.volumes.get_mut(volume) {
            let failed = left.is_open();
            let tries = state.tries.saturating_add(1);
            state.hand = if failed {
                Hand::Stuck { again: now.boot.after(until_again(tries)), tries }
            } else {
                Hand::Settling(check)
            };
            if !failed || tries == 1 || asked {
                effects.extend(left.sentence(&drive).map(|_| Effect::Tell(Notice::Left(drive.clone(), left.clone()))));
            }
        }
        if closer == Closer::Another || (asked && !left.is_open()) {
            self.let_go_with_all_on_it(volume);
        }
        self.answer_closes(volume, left);
    }

    /// A person has closed a drive, or wants it closed: no volume on it opens it again.
    pub(super) fn let_go_with_all_on_it(&mut self, volume: &VolumeName) {
        for name in self.settings.on_the_drive_of(volume) {
            if let Some(state) = self.volumes.get_mut(&name) {
                state.let_go();
            }
        }
    }

    /// Whether a drive is being opened or closed for the sake of another volume on it.
    fn is_changed_through_another(&self, volume: &VolumeName) -> bool {
        let is_under_way = |name: &VolumeName| match self.volumes.get(name).map(|state| &state.hand) {
            Some(
                Hand::Opening(_) | Hand::Awaited(..) | Hand::Closing | Hand::ClosedByAnotherName | Hand::Settling(_),
            ) => true,
            Some(Hand::Off | Hand::Open(_) | Hand::Stuck { .. }) | None => false,
        };
        self.settings.on_the_drive_of(volume).iter().any(|name| name != volume && is_under_way(name))
    }

    /// Takes in what looks and servers told: drives were seen that something was done with.
    pub(super) fn settle_drives(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let is_seen = |hand: &Hand| match hand {
            Hand::Awaited(check, _) | Hand::Settling(check) => self.is_taken(check),
            Hand::Off
            | Hand::Opening(_)
            | Hand::Open(_)
            | Hand::Closing
            | Hand::ClosedByAnotherName
            | Hand::Stuck { .. } => false,
        };
        let seen: Vec<VolumeName> =
            self.volumes.iter().filter(|(_, state)| is_seen(&state.hand)).map(|(name, _)| name.clone()).collect();
        for volume in seen {
            self.settle(&volume, now, effects);
        }
    }

    fn settle(&mut self, volume: &VolumeName, now: &Now, effects: &mut Vec<Effect>) {
        let (root, is_there) = (self.shown_root(volume), self.settings.is_on_server(volume));
        let Some(state) = self.volumes.get_mut(volume) else { return };
        let Hand::Awaited(_, sake) = state.hand else {
            state.hand = Hand::Off;
            return;
        };
        state.hand = match sake {
            Sake::Runs => Hand::Open(Expected::Mounted),
            Sake::Person => Hand::Off,
        };
        if let Some(root) = root {
            return self.answer_mounts(volume, &Ok(root));
        }
        let sight = state.sight.clone();
        if let VolumeSight::Absent(absence @ (Absence::NoDirectory(_) | Absence::Unreadable(..))) = sight {
            let obstacle = Obstacle::VolumeAbsent { end: End::Destination, volume: volume.clone(), absence };
            return match sake {
                // They can mend it, now that it is mounted.
                Sake::Person => {
                    let why = format!("{} is mounted, but {obstacle}", self.drive_name(volume));
                    self.answer_mounts(volume, &Err(Refusal::Failed(why)));
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

    /// Whether a drive is being opened or closed, or is open and about to be closed. What is out of reach is waited for by
    /// the next daemon.
    pub(super) fn drives_are_busy(&self) -> bool {
        let open = self.volumes.iter().filter(|(name, _)| self.is_within_reach(name));
        let left_over = self.leftovers.iter().filter(|leftover| self.can_be_closed(leftover));
        let waiting = open.map(|(_, state)| &state.hand).chain(left_over.map(|leftover| &leftover.hand));
        let mut waiting = waiting.filter(|hand| matches!(hand, Hand::Awaited(_, Sake::Runs) | Hand::Open(_)));
        waiting.next().is_some() || self.hands().any(|hand| matches!(hand, Hand::Opening(_) | Hand::Closing))
    }

    /// What is being done with each drive.
    fn hands(&self) -> impl Iterator<Item = &Hand> {
        self.volumes.values().map(|state| &state.hand).chain(self.leftovers.iter().map(|leftover| &leftover.hand))
    }
}

/// Whether a volume is there and can be used.
fn is_open(sight: &VolumeSight) -> bool {
    matches!(sight, VolumeSight::Present(_) | VolumeSight::Reached(_))
}

/// How long to wait before a drive is closed again that could not be.
pub(super) fn until_again(tries: u32) -> Duration {
    backoff::wait(tries, Remedy::TryAgain, 0).min(Duration::from_mins(15))
}
