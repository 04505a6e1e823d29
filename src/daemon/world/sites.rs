//! Where drives are plugged in: into this machine, or into a server.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::backup::drives::order::{ClosingSite, Site};
use crate::daemon::messages::look::Scope;
use crate::daemon::world::World;
use crate::daemon::world::drives::Check;
use crate::daemon::world::servers::Asked;
use crate::daemon::world::volumes::{VolumeState, is_away};
use crate::decide::presence::{self, DrivePresence, MountTree, is_member};
use crate::model::{Absence, BlockDevice, DriveName, EndpointName, ServerKey, VolumeName, VolumeRoot, VolumeSight};

impl World {
    /// Where a drive is plugged in that is to be opened; none where nobody knows, or no way leads there.
    pub(super) fn site(&self, volume: &VolumeName) -> Option<Site> {
        match self.site_to_close(volume)? {
            ClosingSite::Here(_) => {
                let (device, disk_seq) = self.carrier(volume)?;
                Some(Site::Here { device, disk_seq })
            }
            ClosingSite::There { routes, .. } if routes.is_empty() => None,
            ClosingSite::There { container, routes, .. } => {
                Some(Site::There { server: self.settings.server_of(volume)?, container, routes })
            }
        }
    }

    /// The same for one that is to be closed.
    pub(super) fn site_to_close(&self, volume: &VolumeName) -> Option<ClosingSite> {
        match &self.settings.configuration().volumes.get(volume)?.root {
            VolumeRoot::Directory(_) => None,
            VolumeRoot::Drive(_) => Some(ClosingSite::Here(self.carrier(volume).map(|(device, _)| device))),
            VolumeRoot::Server(server) => {
                let uuid = server.drive.as_ref()?.uuid.clone();
                let container = self.decisions.containers().get(&uuid).cloned();
                let routes = self.routes_to(volume, self.reached_by(volume));
                Some(ClosingSite::There { uuid, container, routes })
            }
        }
    }

    fn reached_by(&self, volume: &VolumeName) -> Option<&EndpointName> {
        let VolumeSight::Reached(reached) = &self.volumes.get(volume)?.sight else { return None };
        Some(&reached.endpoint)
    }

    /// A drive as people are told of it.
    pub(super) fn drive_name(&self, volume: &VolumeName) -> DriveName {
        DriveName { volume: volume.clone(), host: self.host_of(volume) }
    }

    /// The host of the server that a volume is on: the one by which it was reached, or else the best.
    pub(super) fn host_of(&self, volume: &VolumeName) -> Option<String> {
        let ServerKey(endpoints) = self.settings.server_of(volume)?;
        let sight = &self.volumes.get(volume)?.sight;
        if let VolumeSight::NotMounted { device, .. } | VolumeSight::Locked { device, .. } = sight
            && device.host.is_some()
        {
            return device.host.clone();
        }
        if let VolumeSight::Absent(Absence::NotPluggedThere(host)) = sight {
            return Some(host.clone());
        }
        let endpoint = self.reached_by(volume).or(endpoints.first())?;
        Some(self.settings.configuration().endpoints.get(endpoint)?.host.clone())
    }

    /// Where a drive is open, as a person would write it: `host:path` for one of a server.
    pub(super) fn shown_root(&self, volume: &VolumeName) -> Option<PathBuf> {
        let root = self.volumes.get(volume).and_then(VolumeState::root)?;
        let Some(host) = self.host_of(volume) else { return Some(root) };
        let mut shown = OsString::from(format!("{host}:"));
        shown.push(root);
        Some(shown.into())
    }

    /// Whether something can be done with a drive now. One of a server that is out of reach waits.
    pub(super) fn is_within_reach(&self, volume: &VolumeName) -> bool {
        !self.settings.is_on_server(volume) || self.volumes.get(volume).is_some_and(|state| !is_away(&state.sight))
    }

    /// Has a drive looked at that something was done with.
    pub(super) fn check(&mut self, volume: &VolumeName) -> Check {
        if self.settings.is_on_server(volume) {
            Check::Answers(self.ask_servers(&Asked::OfVolume(volume.clone())))
        } else {
            Check::Look(self.looks.ask(Scope::everything()))
        }
    }

    /// Whether it was looked at.
    pub(super) fn is_taken(&self, check: &Check) -> bool {
        match check {
            Check::Look(look) => self.looks.has_answered(*look),
            Check::Answers(awaited) => self.servers.have_answered(awaited),
        }
    }

    /// The device that carries a drive: its number, and the sequence number of the medium. `None` where several carry
    /// its UUID, since nobody knows which is meant; the members of one filesystem are one drive.
    fn carrier(&self, volume: &VolumeName) -> Option<((u32, u32), Option<u64>)> {
        let VolumeRoot::Drive(drive) = &self.settings.configuration().volumes.get(volume)?.root else { return None };
        let container = self.decisions.ledger().containers.get(&drive.uuid);
        match presence::sight_of_drive(drive, container, self.volumes.devices(), &[], &MountTree::new(&[])) {
            DrivePresence::Ambiguous { .. } => return None,
            // Perhaps only its container is there.
            DrivePresence::Locked { device } => return Some((device.number, device.disk_seq)),
            DrivePresence::NotPlugged
            | DrivePresence::NotEncrypted { .. }
            | DrivePresence::HoldsMember { .. }
            | DrivePresence::OnMembers { .. }
            | DrivePresence::NotMounted { .. }
            | DrivePresence::Mounted { .. } => {}
        }
        let is_carrier = |found: &&BlockDevice| found.uuid == drive.uuid && !is_member(found);
        match (self.volumes.devices().iter().find(is_carrier), &self.volumes.get(volume)?.sight) {
            (Some(found), _) => Some((found.number, found.disk_seq)),
            (None, VolumeSight::Present(present)) => Some((present.device?, present.disk_seq)),
            (None, _) => None,
        }
    }
}
