//! Jobs: what a run of a sync is given, as things stand; and what an errand is given.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::path::PathBuf;

use crate::backup::job::{DriveProof, Job, JobEnd, Layout, LocalEnd, Memory, Remembered, RemoteEnd, SyncAsSeen};
use crate::daemon::world::World;
use crate::daemon::world::plan::Outlook;
use crate::model::{
    Absence, Access, End, MountsBelow, Outcome, Place, Repositories, RunId, SnapshotKind, Sync, SyncName, Trigger,
    VolumeRoot, VolumeSight,
};

impl World {
    /// The job of a sync as things stand, if both its volumes are present.
    pub(super) fn job(&self, sync: &Sync, run: RunId, trigger: Trigger) -> Option<Job> {
        Some(Job {
            run,
            trigger,
            repositories: self.repositories(sync),
            source: self.job_end(sync, End::Source, &sync.source)?,
            destination: self.job_end(sync, End::Destination, &sync.destination)?,
            approved: self.decisions.ledger().approvals.get(&sync.name).cloned(),
            approved_cuts: self.decisions.ledger().approved_cuts.get(&sync.name).cloned(),
            damage: self.decisions.damage_of(&sync.name),
            writers: self.decisions.ledger().writers.get(&sync.name).cloned().unwrap_or_default(),
            submounts: self.submounts(sync),
            asked: self.decisions.ledger().held.get(&sync.name).map(|hold| discriminant(&hold.reason)),
            remembered: self.remembered(&sync.name),
            memory: match self.histories.get(&sync.name).and_then(|history| history.last_run.as_ref()) {
                Some(_) => Memory::Kept,
                None => Memory::Lost,
            },
            sync: sync.clone(),
        })
    }

    /// How a sync stands, for who reads or writes its copies beside runs.
    pub(super) fn as_seen(&self, sync: &Sync, run: RunId) -> SyncAsSeen {
        let name = &sync.name;
        let unseen = VolumeSight::Absent(Absence::NotLookedAt);
        let sight = |volume| self.volumes.get(volume).map_or(unseen.clone(), |state| state.sight.clone());
        let obstacles = self.plan.prospects().get(name).into_iter().flat_map(Outlook::obstacles);
        let closed = sync.ends().into_iter().filter_map(|(end, place)| self.closed_drive(end, &place.volume));
        SyncAsSeen {
            repositories: self.repositories(sync),
            source: sight(&sync.source.volume),
            destination: sight(&sync.destination.volume),
            source_server: self.remote_end(sync, End::Source, &sync.source),
            destination_server: self.remote_end(sync, End::Destination, &sync.destination),
            last_success: self.histories.get(name).and_then(|memory| memory.last_success),
            damage: self.decisions.damage_of(name),
            turn: self.decisions.ledger().turns.get(name).copied(),
            obstacles: obstacles.cloned().chain(closed).collect(),
            job: self.job(sync, run, Trigger::Request).map(Box::new),
            sync: sync.clone(),
        }
    }

    fn repositories(&self, sync: &Sync) -> Option<Repositories> {
        let last_copied = self.histories.get(&sync.name).and_then(|history| history.last_success);
        self.settings.repositories(sync, last_copied)
    }

    /// What must be mounted below the source. What is not copied is not missed.
    fn submounts(&self, sync: &Sync) -> BTreeSet<PathBuf> {
        match sync.mounts {
            MountsBelow::Copied => self.decisions.ledger().submounts.get(&sync.name).cloned().unwrap_or_default(),
            MountsBelow::LeftOut => BTreeSet::new(),
        }
    }

    fn remembered(&self, sync: &SyncName) -> Option<Remembered> {
        let last = self.histories.get(sync)?.last_run.as_ref().filter(|last| last.outcome == Outcome::Ok)?;
        Some(Remembered { snapshot: last.snapshot, entries: last.figures.entries })
    }

    fn job_end(&self, sync: &Sync, end: End, place: &Place) -> Option<JobEnd> {
        let root = &self.settings.configuration().volumes.get(&place.volume)?.root;
        let is_hooked = end == End::Source && self.settings.may_be_mounted(sync);
        let present = match &self.volumes.get(&place.volume)?.sight {
            VolumeSight::Present(present) => present,
            VolumeSight::Absent(_) | VolumeSight::NotProven { .. } if is_hooked => {
                return self.unmounted_source(sync, root).map(JobEnd::Here);
            }
            VolumeSight::Reached(_) => return self.remote_end(sync, end, place).map(JobEnd::There),
            VolumeSight::Absent(_)
            | VolumeSight::Ambiguous { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::Locked { .. }
            | VolumeSight::NotEncrypted { .. }
            | VolumeSight::NotProven { .. } => return None,
        };
        let drive = match (root, present.device) {
            (VolumeRoot::Drive(drive), Some(device)) => {
                Some(DriveProof { uuid: drive.uuid.clone(), device, disk_seq: present.disk_seq })
            }
            (VolumeRoot::Drive(_) | VolumeRoot::Directory(_) | VolumeRoot::Server(_), _) => None,
        };
        Some(JobEnd::Here(LocalEnd {
            root: present.root.clone(),
            mount: (!is_hooked).then_some(present.mount),
            drive,
            fs_type: present.fs_type.clone(),
            access: present.access,
            volume_id: self.decisions.ledger().volume_ids.get(&place.volume).cloned(),
            end_id: self.decisions.ledger().end_ids.get(&(sync.name.clone(), end)).cloned(),
            layout: self.layout(sync, end, place),
        }))
    }

    /// A source that its hook is expected to mount. The run proves it behind the hook.
    fn unmounted_source(&self, sync: &Sync, root: &VolumeRoot) -> Option<LocalEnd> {
        let VolumeRoot::Directory(root) = root else { return None };
        Some(LocalEnd {
            root: root.clone(),
            mount: None,
            drive: None,
            fs_type: String::new(),
            access: Access::ReadWrite,
            volume_id: self.decisions.ledger().volume_ids.get(&sync.source.volume).cloned(),
            end_id: self.decisions.ledger().end_ids.get(&(sync.name.clone(), End::Source)).cloned(),
            layout: self.layout(sync, End::Source, &sync.source),
        })
    }

    /// The end of a sync on a server, also where it is not proven to be the right one; none while no way leads there,
    /// or while nobody knows where its drive is.
    pub(super) fn remote_end(&self, sync: &Sync, end: End, place: &Place) -> Option<RemoteEnd> {
        let VolumeRoot::Server(server) = &self.settings.configuration().volumes.get(&place.volume)?.root else {
            return None;
        };
        let (reached_by, root) = match &self.volumes.get(&place.volume)?.sight {
            VolumeSight::Reached(reached) => (Some(&reached.endpoint), reached.root.clone()),
            VolumeSight::NotProven { root, .. } => (None, root.clone()),
            VolumeSight::Absent(_)
            | VolumeSight::Ambiguous { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::Locked { .. }
            | VolumeSight::NotEncrypted { .. }
            | VolumeSight::Present(_) => (None, Some(server.path.clone()).filter(|_| server.drive.is_none())?),
        };
        let routes = Some(self.routes_to(&place.volume, reached_by)).filter(|routes| !routes.is_empty())?;
        Some(RemoteEnd {
            routes,
            root,
            volume_id: self.decisions.ledger().volume_ids.get(&place.volume).cloned(),
            end_id: self.decisions.ledger().end_ids.get(&(sync.name.clone(), end)).cloned(),
            layout: self.layout(sync, end, place),
        })
    }

    fn layout(&self, sync: &Sync, end: End, place: &Place) -> Layout {
        match end {
            End::Source if self.keeps_snapshots(place) => Layout::Snapshots,
            End::Destination if sync.snapshots != SnapshotKind::None => Layout::Snapshots,
            End::Source | End::Destination => Layout::Plain,
        }
    }

    /// Whether a place is exactly the destination of a sync with snapshots.
    fn keeps_snapshots(&self, place: &Place) -> bool {
        let mut writers = self.settings.configuration().syncs.values();
        writers.any(|writer| writer.destination == *place && writer.snapshots != SnapshotKind::None)
    }
}
