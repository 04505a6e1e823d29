//! Drives that are left over: open by our doing, while the configuration calls their volumes otherwise or no longer.

use std::path::PathBuf;
use std::time::Duration;

use crate::backup::drives::order::{Closing, ClosingSite, DriveOrder, Expected, Sake};
use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::world::drives::{Hand, until_again};
use crate::daemon::world::runs::Run;
use crate::daemon::world::{Stage, World};
use crate::decide::{obstacles, reach};
use crate::model::{
    Drive, DriveName, DriveUuid, Held, HeldAt, Left, Mounting, Now, Route, Server, ServerKey, VolumeName, VolumeRoot,
    WhenDone,
};

/// A drive that is left over.
#[derive(Debug)]
pub(super) struct Leftover {
    /// What its volume was called: what was done to open it is written down by that name.
    volume: VolumeName,
    /// What no two runs use at once. It tells the drive, whatever its volume is called now.
    resource: Option<String>,
    /// Where it is plugged in.
    site: LeftAt,
    pub(super) hand: Hand,
    /// How often it was tried to close it.
    tries: u32,
}

/// Where a drive is plugged in that is left over.
#[derive(Debug)]
enum LeftAt {
    Here,
    /// A server, with the ways to it that were known last.
    There {
        uuid: DriveUuid,
        server: ServerKey,
        routes: Vec<Route>,
    },
}

impl World {
    /// Takes over what a dead daemon left open: it is closed, unless the queue needs it.
    pub(super) fn take_over(&mut self, held: Held) {
        let root = self.settings.configuration().volumes.get(&held.volume).map(|volume| &volume.root);
        let is_same = match (root, &held.at) {
            (Some(VolumeRoot::Drive(drive)), HeldAt::Here { .. }) => drive.uuid == held.uuid,
            (Some(VolumeRoot::Server(root)), HeldAt::There { server, .. }) => {
                root.key() == *server && root.drive.as_ref().is_some_and(|drive| drive.uuid == held.uuid)
            }
            (Some(_) | None, _) => false,
        };
        let hand = Hand::Open(Expected::Anyhow);
        if let Some(state) = self.volumes.get_mut(&held.volume).filter(|_| is_same) {
            state.hand = hand;
        } else {
            let uuid = held.uuid;
            let drive = Drive { uuid: uuid.clone(), mounting: Mounting::Elsewhere, when_done: WhenDone::Leave };
            let (root, site) = match held.at {
                HeldAt::Here { .. } => (VolumeRoot::Drive(drive), LeftAt::Here),
                HeldAt::There { server, .. } => {
                    let root = Server { endpoints: server.0.clone(), path: PathBuf::new(), drive: Some(drive) };
                    (VolumeRoot::Server(root), LeftAt::There { uuid, server, routes: Vec::new() })
                }
            };
            let resource = obstacles::drive_resource(&root);
            self.leftovers.push(Leftover { volume: held.volume, resource, site, hand, tries: 0 });
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
                Hand::Off | Hand::Awaited(_, Sake::Person) | Hand::ClosedByAnotherName | Hand::Settling(_) => continue,
            };
            let root = self.settings.configuration().volumes.get(&volume).map(|volume| &volume.root);
            let resource = root.and_then(obstacles::drive_resource);
            let site = match root {
                Some(VolumeRoot::Server(Server { drive: Some(drive), endpoints, .. })) => LeftAt::There {
                    uuid: drive.uuid.clone(),
                    server: ServerKey(endpoints.clone()),
                    routes: self.routes_to(&volume, None),
                },
                Some(VolumeRoot::Server(_) | VolumeRoot::Drive(_) | VolumeRoot::Directory(_)) | None => LeftAt::Here,
            };
            self.leftovers.push(Leftover { volume, resource, site, hand, tries: 0 });
        }
    }

    /// Closes what no run stands on any more.
    pub(super) fn close_leftovers(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        for mut leftover in std::mem::take(&mut self.leftovers) {
            if self.is_to_be_tried(&leftover, now) {
                leftover.hand = Hand::Closing;
                for heir in self.heirs(&leftover) {
                    self.put(&heir, &Hand::Off, Hand::ClosedByAnotherName);
                }
                let (volume, then) = (leftover.volume.clone(), WhenDone::Leave);
                let site = self.site_of(&leftover);
                let closing = Closing { volume, site, then, expected: Expected::Anyhow };
                effects.push(Effect::Drive(Box::new(DriveOrder::Close(closing))));
            }
            self.leftovers.push(leftover);
        }
    }

    fn is_to_be_tried(&self, leftover: &Leftover, now: &Now) -> bool {
        let is_time = match leftover.hand {
            Hand::Open(_) => self.stage != Stage::Starting,
            Hand::Stuck { again, .. } => again <= now.boot && self.stage == Stage::Working,
            Hand::Off
            | Hand::Opening(_)
            | Hand::Awaited(..)
            | Hand::Closing
            | Hand::ClosedByAnotherName
            | Hand::Settling(_) => false,
        };
        let stands = |run: &Run| leftover.resource.as_ref().is_some_and(|resource| run.resources.contains(resource));
        let is_free = |heir: &VolumeName| {
            self.volumes.get(heir).is_none_or(|state| matches!(state.hand, Hand::Off | Hand::Stuck { .. }))
        };
        is_time
            && self.can_be_closed(leftover)
            && !self.runs.values().any(stands)
            && self.heirs(leftover).iter().all(is_free)
    }

    /// Whether something can be done about a drive that is left over: the network has to be known for one of a server.
    pub(super) fn can_be_closed(&self, leftover: &Leftover) -> bool {
        matches!(leftover.site, LeftAt::Here) || self.network.sight().is_some()
    }

    /// Whether nobody knows how to reach it: the configuration names no way to its server any more.
    fn has_no_way(&self, leftover: &Leftover) -> bool {
        matches!(self.site_of(leftover), ClosingSite::There { routes, .. } if routes.is_empty())
    }

    /// The configuration or the network is another one, and there may be a way.
    pub(super) fn try_leftovers_again(&mut self, now: &Now) {
        for leftover in &mut self.leftovers {
            if let Hand::Stuck { again, .. } = &mut leftover.hand {
                *again = now.boot;
            }
        }
    }

    fn site_of(&self, leftover: &Leftover) -> ClosingSite {
        let LeftAt::There { uuid, server, routes } = &leftover.site else { return ClosingSite::Here(None) };
        let named = reach::routes(server, self.settings.configuration(), self.network.locations());
        let container = self.decisions.ledger().containers.get(uuid).cloned();
        let routes = if named.is_empty() { routes.clone() } else { named };
        ClosingSite::There { uuid: uuid.clone(), container, routes }
    }

    /// A drive that is left over, as people are told of it.
    fn name_of(&self, volume: &VolumeName) -> DriveName {
        let is_it = |leftover: &&Leftover| leftover.volume == *volume;
        let host = match self.leftovers.iter().find(is_it).map(|leftover| self.site_of(leftover)) {
            Some(ClosingSite::There { routes, .. }) => routes.first().map(|route| route.endpoint.host.clone()),
            Some(ClosingSite::Here(_)) | None => None,
        };
        DriveName { volume: volume.clone(), host }
    }

    /// The volumes that lie on a drive now that is left over, or that have its name.
    fn heirs(&self, leftover: &Leftover) -> Vec<VolumeName> {
        let lies_on_it =
            |root: &VolumeRoot| leftover.resource.is_some() && obstacles::drive_resource(root) == leftover.resource;
        let volumes = self.settings.configuration().volumes.iter();
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
        let drive = self.name_of(volume);
        let is_it = |leftover: &Leftover| leftover.volume == *volume && leftover.hand == Hand::Closing;
        let Some(place) = self.leftovers.iter().position(is_it) else { return };
        let mut leftover = self.leftovers.remove(place);
        for heir in self.heirs(&leftover) {
            let check = self.check(&heir);
            self.put(&heir, &Hand::ClosedByAnotherName, Hand::Settling(check));
        }
        leftover.tries = leftover.tries.saturating_add(1);
        let tries = leftover.tries;
        let failed = left.is_open();
        if failed {
            let wait = if self.has_no_way(&leftover) { Duration::MAX } else { until_again(tries) };
            leftover.hand = Hand::Stuck { again: now.boot.after(wait), tries };
            self.leftovers.push(leftover);
        }
        if !failed || tries == 1 {
            effects.extend(left.sentence(&drive).map(|_| Effect::Tell(Notice::Left(drive.clone(), left.clone()))));
        }
    }
}
