//! Drives that are left over: open by our doing, while the configuration calls their volumes otherwise or no longer.

use std::path::PathBuf;
use std::time::Duration;

use crate::backup::drives::order::{ClosingSite, Expected, Sake};
use crate::daemon::world::decisions::Decisions;
use crate::daemon::world::drives::{Phase, until_again};
use crate::daemon::world::network::NetworkState;
use crate::daemon::world::settings::Settings;
use crate::decide::{obstacles, reach};
use crate::model::{
    Drive, DriveName, DriveUuid, Held, HeldAt, Left, Mounting, Now, Route, Server, ServerKey, VolumeName, VolumeRoot,
    WhenDone,
};

/// All that is left over.
#[derive(Debug, Clone, Default)]
pub(super) struct LeftoverDrives(Vec<Leftover>);

/// A drive that is left over.
#[derive(Debug, Clone)]
pub(super) struct Leftover {
    /// What its volume was called: what was done to open it is written down by that name.
    volume: VolumeName,
    /// What no two runs use at once. It tells the drive, whatever its volume is called now.
    resource: Option<String>,
    /// Where it is plugged in.
    site: LeftAt,
    phase: Phase,
    /// How often it was tried to close it.
    tries: u32,
}

/// Where a drive is plugged in that is left over.
#[derive(Debug, Clone)]
enum LeftAt {
    Here,
    /// A server, with the ways to it that were known last.
    There {
        uuid: DriveUuid,
        server: ServerKey,
        routes: Vec<Route>,
    },
}

/// What else decides about a drive that is left over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) settings: &'a Settings,
    pub(super) decisions: &'a Decisions,
    pub(super) network: &'a NetworkState,
}

impl LeftoverDrives {
    /// Takes over what a dead daemon left open and the configuration names no longer.
    pub(super) fn take_over(&mut self, held: Held) {
        let uuid = held.uuid;
        let drive = Drive { uuid: uuid.clone(), mounting: Mounting::Elsewhere, when_done: WhenDone::Leave };
        let (root, site) = match held.at {
            HeldAt::Here { .. } => (VolumeRoot::Drive(drive), LeftAt::Here),
            HeldAt::There { server, .. } => {
                let root = Server { endpoints: server.0.clone(), path: PathBuf::new(), drive: Some(drive) };
                (VolumeRoot::Server(root), LeftAt::There { uuid, server, routes: Vec::new() })
            }
        };
        self.add(held.volume, obstacles::drive_resource(&root), site, Phase::Open(Expected::Anyhow));
    }

    /// Takes over a drive whose volume is not what it was; `phase` is what was being done with it, and the
    /// configuration in force is still the one that named it. One that we did not open is not ours to close.
    pub(super) fn part_with(&mut self, volume: &VolumeName, phase: Phase, around: Around<'_>) {
        let phase = match phase {
            Phase::Opening(_) | Phase::Closing => phase,
            Phase::Awaited(_, Sake::Runs) | Phase::Open(_) | Phase::Stuck { .. } => Phase::Open(Expected::Anyhow),
            Phase::Idle | Phase::Awaited(_, Sake::Person) | Phase::ClosedByAnotherName | Phase::Settling(_) => return,
        };
        let configuration = around.settings.configuration();
        let root = configuration.volumes.get(volume).map(|volume| &volume.root);
        let resource = root.and_then(obstacles::drive_resource);
        let site = match root {
            Some(VolumeRoot::Server(Server { drive: Some(drive), endpoints, .. })) => {
                let server = ServerKey(endpoints.clone());
                let routes = reach::routes(&server, configuration, around.network.locations());
                LeftAt::There { uuid: drive.uuid.clone(), server, routes }
            }
            Some(VolumeRoot::Server(_) | VolumeRoot::Drive(_) | VolumeRoot::Directory(_)) | None => LeftAt::Here,
        };
        self.add(volume.clone(), resource, site, phase);
    }

    fn add(&mut self, volume: VolumeName, resource: Option<String>, site: LeftAt, phase: Phase) {
        self.0.push(Leftover { volume, resource, site, phase, tries: 0 });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Leftover> {
        self.0.iter()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Leftover> {
        self.0.get(index)
    }

    /// Whether a drive of this name is being opened or closed, or about to be closed, which is another one now.
    pub(super) fn has(&self, volume: &VolumeName) -> bool {
        let is_stuck = |leftover: &Leftover| matches!(leftover.phase, Phase::Stuck { .. });
        self.0.iter().any(|leftover| leftover.volume == *volume && !is_stuck(leftover))
    }

    /// Gives up what is left over by this name: what is written down by it is about to be written anew, and a backup is
    /// worth more.
    pub(super) fn give_up(&mut self, volume: &VolumeName) {
        self.0.retain(|leftover| leftover.volume != *volume);
    }

    /// Gives up all. The next daemon closes them.
    pub(super) fn give_up_all(&mut self) {
        self.0.clear();
    }

    /// Whether an order about what is left over by this name is under way.
    pub(super) fn is_one_changing(&self, volume: &VolumeName) -> bool {
        self.0.iter().any(|leftover| leftover.volume == *volume && leftover.is_changing())
    }

    /// What is left over by this name was opened, or not: it is closed either way.
    pub(super) fn opened(&mut self, volume: &VolumeName) {
        let is_it = |leftover: &&mut Leftover| leftover.volume == *volume && leftover.is_changing();
        if let Some(leftover) = self.0.iter_mut().find(is_it) {
            leftover.phase = Phase::Open(Expected::Anyhow);
        }
    }

    /// The configuration or the network is another one, and there may be a way.
    pub(super) fn try_again(&mut self, now: &Now) {
        for leftover in &mut self.0 {
            if let Phase::Stuck { again, .. } = &mut leftover.phase {
                *again = now.boot;
            }
        }
    }

    /// An order to close this one is given.
    pub(super) fn begin_closing(&mut self, index: usize) {
        if let Some(leftover) = self.0.get_mut(index) {
            leftover.phase = Phase::Closing;
        }
    }

    /// The one of this name that is being closed.
    pub(super) fn closing(&self, volume: &VolumeName) -> Option<&Leftover> {
        self.0.iter().find(|leftover| leftover.volume == *volume && leftover.phase == Phase::Closing)
    }

    /// It was tried to close what is left over by this name. Returns how often.
    pub(super) fn closed(&mut self, volume: &VolumeName, left: &Left, around: Around<'_>, now: &Now) -> Option<u32> {
        let is_it = |leftover: &Leftover| leftover.volume == *volume && leftover.phase == Phase::Closing;
        let mut leftover = self.0.remove(self.0.iter().position(is_it)?);
        leftover.tries = leftover.tries.saturating_add(1);
        let tries = leftover.tries;
        if left.is_open() {
            let wait = if leftover.has_no_way(around) { Duration::MAX } else { until_again(tries) };
            leftover.phase = Phase::Stuck { again: now.boot.after(wait), tries };
            self.0.push(leftover);
        }
        Some(tries)
    }
}

impl Leftover {
    pub(super) fn volume(&self) -> &VolumeName {
        &self.volume
    }

    pub(super) fn resource(&self) -> Option<&String> {
        self.resource.as_ref()
    }

    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    fn is_changing(&self) -> bool {
        matches!(self.phase, Phase::Opening(_) | Phase::Closing)
    }

    /// Whether something can be done about it: the network has to be known for one of a server.
    pub(super) fn can_be_closed(&self, network: &NetworkState) -> bool {
        matches!(self.site, LeftAt::Here) || network.sight().is_some()
    }

    /// Whether nobody knows how to reach it: the configuration names no way to its server any more.
    fn has_no_way(&self, around: Around<'_>) -> bool {
        matches!(self.site(around), ClosingSite::There { routes, .. } if routes.is_empty())
    }

    /// Where it is plugged in.
    pub(super) fn site(&self, around: Around<'_>) -> ClosingSite {
        let LeftAt::There { uuid, server, routes } = &self.site else { return ClosingSite::Here(None) };
        let named = reach::routes(server, around.settings.configuration(), around.network.locations());
        let container = around.decisions.containers().get(uuid).cloned();
        let routes = if named.is_empty() { routes.clone() } else { named };
        ClosingSite::There { uuid: uuid.clone(), container, routes }
    }

    /// What people call it.
    pub(super) fn drive_name(&self, around: Around<'_>) -> DriveName {
        let host = match self.site(around) {
            ClosingSite::There { routes, .. } => routes.first().map(|route| route.endpoint.host.clone()),
            ClosingSite::Here(_) => None,
        };
        DriveName { volume: self.volume.clone(), host }
    }

    /// The volumes that lie on it now, or that have its name.
    pub(super) fn heirs(&self, settings: &Settings) -> Vec<VolumeName> {
        let lies_on_it =
            |root: &VolumeRoot| self.resource.is_some() && obstacles::drive_resource(root) == self.resource;
        let volumes = settings.configuration().volumes.iter();
        let heirs = volumes.filter(|(name, volume)| **name == self.volume || lies_on_it(&volume.root));
        heirs.map(|(name, _)| name.clone()).collect()
    }
}
