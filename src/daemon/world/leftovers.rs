//! Drives that are left over: open by our doing, while the configuration calls their volumes otherwise or no longer.

use crate::daemon::job::{Closing, DriveOrder, Expected, Sake};
use crate::daemon::observer::Scope;
use crate::daemon::world::drives::{Hand, until_again};
use crate::daemon::world::runs::Run;
use crate::daemon::world::{Effect, Notice, Stage, World};
use crate::decide::obstacles;
use crate::model::{Configuration, Drive, Held, Left, Mounting, Now, VolumeName, VolumeRoot, WhenDone};

/// A drive that is left over.
#[derive(Debug)]
pub(super) struct Leftover {
    /// What its volume was called: what was done to open it is written down by that name.
    volume: VolumeName,
    /// What no two runs use at once. It tells the drive, whatever its volume is called now.
    resources: Vec<String>,
    pub(super) hand: Hand,
    /// How often it was tried to close it.
    tries: u32,
}

/// What is seen of a drive is our doing until it is closed, and a look is taken behind that.
const UNTIL_CLOSED: Hand = Hand::Settling(u64::MAX);

impl World {
    /// Takes over what a dead daemon left open: it is closed, unless the queue needs it.
    pub(super) fn take_over(&mut self, held: Held) {
        let root = self.configuration.volumes.get(&held.volume).map(|volume| &volume.root);
        let is_same = matches!(root, Some(VolumeRoot::Drive(drive)) if drive.uuid == held.uuid);
        let hand = Hand::Open(Expected::Anyhow);
        if let Some(state) = self.volumes.get_mut(&held.volume).filter(|_| is_same) {
            state.hand = hand;
        } else {
            let drive = Drive { uuid: held.uuid, mounting: Mounting::Elsewhere, when_done: WhenDone::Leave };
            let resources = obstacles::exclusive_resources(&VolumeRoot::Drive(drive));
            self.leftovers.push(Leftover { volume: held.volume, resources, hand, tries: 0 });
        }
    }

    /// Forgets volumes that are not what they were; those of them that we opened are closed. The configuration is still
    /// the one that named them.
    pub(super) fn part_with(&mut self, is_another: impl Fn(&VolumeName) -> bool) {
        for (volume, state) in std::mem::take(&mut self.volumes) {
            if !is_another(&volume) {
                self.volumes.insert(volume, state);
                continue;
            }
            let hand = match state.hand {
                Hand::Opening(_) | Hand::Closing => state.hand,
                Hand::Awaited(_, Sake::Runs) | Hand::Open(_) | Hand::Stuck { .. } => Hand::Open(Expected::Anyhow),
                Hand::Off | Hand::Awaited(_, Sake::Person) | Hand::Settling(_) => continue,
            };
            let root = self.configuration.volumes.get(&volume).map(|volume| &volume.root);
            let resources = root.map(obstacles::exclusive_resources).unwrap_or_default();
            self.leftovers.push(Leftover { volume, resources, hand, tries: 0 });
        }
    }

    /// Closes what no run stands on any more.
    pub(super) fn close_leftovers(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        for mut leftover in std::mem::take(&mut self.leftovers) {
            if self.is_to_be_tried(&leftover, now) {
                leftover.hand = Hand::Closing;
                for heir in self.heirs(&leftover) {
                    self.put(&heir, &Hand::Off, UNTIL_CLOSED);
                }
                let (volume, then) = (leftover.volume.clone(), WhenDone::Leave);
                let closing = Closing { volume, device: None, then, expected: Expected::Anyhow };
                effects.push(Effect::Drive(Box::new(DriveOrder::Close(closing))));
            }
            self.leftovers.push(leftover);
        }
    }

    fn is_to_be_tried(&self, leftover: &Leftover, now: &Now) -> bool {
        let is_time = match leftover.hand {
            Hand::Open(_) => self.stage != Stage::Starting,
            Hand::Stuck { again, .. } => again <= now.boot && self.stage == Stage::Working,
            Hand::Off | Hand::Opening(_) | Hand::Awaited(..) | Hand::Closing | Hand::Settling(_) => false,
        };
        let stands = |run: &Run| leftover.resources.iter().any(|resource| run.resources.contains(resource));
        let is_free = |heir: &VolumeName| {
            self.volumes.get(heir).is_none_or(|state| matches!(state.hand, Hand::Off | Hand::Stuck { .. }))
        };
        is_time && !self.runs.values().any(stands) && self.heirs(leftover).iter().all(is_free)
    }

    /// The volumes that lie on a drive now that is left over, or that have its name.
    fn heirs(&self, leftover: &Leftover) -> Vec<VolumeName> {
        let lies_on_it = |root: &VolumeRoot| {
            obstacles::exclusive_resources(root).iter().any(|resource| leftover.resources.contains(resource))
        };
        let volumes = self.configuration.volumes.iter();
        let heirs = volumes.filter(|(name, volume)| **name == leftover.volume || lies_on_it(&volume.root));
        heirs.map(|(name, _)| name.clone()).collect()
    }

    fn put(&mut self, volume: &VolumeName, before: &Hand, after: Hand) {
        if let Some(state) = self.volumes.get_mut(volume).filter(|state| state.hand == *before) {
            state.hand = after;
        }
    }

    /// Whether a drive of this name is being opened or closed, or about to be closed, which is another one now.
    pub(super) fn is_left_over(&self, volume: &VolumeName) -> bool {
        let is_stuck = |leftover: &Leftover| matches!(leftover.hand, Hand::Stuck { .. });
        self.leftovers.iter().any(|leftover| leftover.volume == *volume && !is_stuck(leftover))
    }

    /// Gives up what is left over by this name: what is written down by it is about to be written anew, and a backup is
    /// worth more.
    pub(super) fn give_up_leftover(&mut self, volume: &VolumeName) {
        self.leftovers.retain(|leftover| leftover.volume != *volume);
    }

    /// What is left over by this name, while an order about it is under way.
    pub(super) fn leftover_in_hand(&mut self, volume: &VolumeName) -> Option<&mut Leftover> {
        let in_hand = |leftover: &Leftover| matches!(leftover.hand, Hand::Opening(_) | Hand::Closing);
        self.leftovers.iter_mut().find(|leftover| leftover.volume == *volume && in_hand(leftover))
    }

    /// It was tried to close what is left over.
    pub(super) fn leftover_closed(&mut self, volume: &VolumeName, left: &Left, now: &Now, effects: &mut Vec<Effect>) {
        let look = self.look(Scope::everything(), effects);
        let is_it = |leftover: &Leftover| leftover.volume == *volume && leftover.hand == Hand::Closing;
        let Some(place) = self.leftovers.iter().position(is_it) else { return };
        let mut leftover = self.leftovers.remove(place);
        for heir in self.heirs(&leftover) {
            self.put(&heir, &UNTIL_CLOSED, Hand::Settling(look));
        }
        leftover.tries = leftover.tries.saturating_add(1);
        let tries = leftover.tries;
        let failed = matches!(left, Left::InUse(_) | Left::Stuck(_));
        if failed {
            leftover.hand = Hand::Stuck { again: now.boot.after(until_again(tries)), tries };
            self.leftovers.push(leftover);
        }
        if !failed || tries == 1 {
            effects.extend(left.sentence(volume).map(|_| Effect::Tell(Notice::Left(volume.clone(), left.clone()))));
        }
    }
}

/// Whether a volume is where it was: what was seen of another place tells nothing of the one that has its name now.
pub(super) fn leads_to_the_same(before: &Configuration, after: &Configuration, name: &VolumeName) -> bool {
    match (before.volumes.get(name).map(|volume| &volume.root), after.volumes.get(name).map(|volume| &volume.root)) {
        (Some(VolumeRoot::Drive(before)), Some(VolumeRoot::Drive(after))) => before.uuid == after.uuid,
        (before, after) => before == after,
    }
}
