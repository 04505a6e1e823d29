//! The picture of everything that people and programs are shown.

use crate::daemon::world::World;
use crate::decide::{due, locations, obstacles};
use crate::model::{
    DaemonState, End, Metered, NetworkSight, Now, Obstacle, RunningNow, Status, Sync, SyncName, SyncState, SyncStatus,
    VolumeName, VolumeRoot, VolumeSight, VolumeStatus,
};

impl World {
    /// The state of everything at `now`.
    #[must_use]
    pub fn status(&self, now: &Now) -> Status {
        let state = if self.ledger.pause.is_some() {
            DaemonState::Paused
        } else if self.runs.is_empty() {
            DaemonState::Idle
        } else {
            DaemonState::Running
        };
        let running = self.runs.iter().map(|(sync, run)| RunningNow {
            sync: sync.clone(),
            destination: run.sync.destination.volume.clone(),
            run: run.id.clone(),
            progress: run.progress,
        });
        Status {
            state,
            started: self.started,
            config: self.config_file.clone(),
            config_error: self.config_error.clone(),
            degraded: self.degraded.values().cloned().collect(),
            locations: self.reach.locations().iter().cloned().collect(),
            online: self.reach.network().map(locations::is_online),
            metered: self.reach.network().and_then(metered),
            volumes: self.volume_statuses(),
            syncs: self.configuration.syncs.values().map(|sync| self.sync_status(sync, now)).collect(),
            queue: self.plan.queue.clone(),
            running: running.collect(),
        }
    }

    fn volume_statuses(&self) -> Vec<VolumeStatus> {
        let all = self.configuration.volumes.values();
        let known = all.filter_map(|volume| Some((volume, self.volumes.get(&volume.name)?)));
        known
            .map(|(volume, state)| VolumeStatus {
                name: volume.name.clone(),
                kind: match volume.root {
                    VolumeRoot::Directory(_) => "directory",
                    VolumeRoot::Drive(_) => "drive",
                    VolumeRoot::Server(_) => "server",
                },
                path: match &state.sight {
                    VolumeSight::Present(present) => Some(present.root.clone()),
                    VolumeSight::Reached(reached) => Some(reached.root.clone()),
                    VolumeSight::Absent(_)
                    | VolumeSight::Ambiguous { .. }
                    | VolumeSight::NotMounted { .. }
                    | VolumeSight::Locked { .. }
                    | VolumeSight::NotEncrypted { .. }
                    | VolumeSight::NotProven { .. } => None,
                },
                obstacles: obstacles::of_one_volume(
                    self.main_end(&volume.name),
                    &volume.name,
                    state.standing(),
                    &self.ledger,
                ),
                user: self.user_of(&volume.name),
            })
            .collect()
    }

    /// The end at which a volume is used: the destination, if it is ever that.
    fn main_end(&self, volume: &VolumeName) -> End {
        let written = self.configuration.syncs.values().any(|sync| sync.destination.volume == *volume);
        if written { End::Destination } else { End::Source }
    }

    fn user_of(&self, volume: &VolumeName) -> Option<SyncName> {
        let uses = |sync: &&Sync| sync.destination.volume == *volume || sync.source.volume == *volume;
        self.configuration.syncs.values().find(uses).map(|sync| sync.name.clone())
    }

    fn sync_status(&self, sync: &Sync, now: &Now) -> SyncStatus {
        let prospect = self.plan.prospects.get(&sync.name);
        let memory = self.memory.get(&sync.name);
        let last_success = memory.and_then(|memory| memory.last_success);
        let obstacles: Vec<Obstacle> =
            prospect.into_iter().flat_map(super::plan::Prospect::obstacles).cloned().collect();
        let state = if self.runs.contains_key(&sync.name) {
            SyncState::Running
        } else if !sync.enabled {
            SyncState::Disabled
        } else if self.plan.candidates.contains_key(&sync.name) {
            SyncState::Queued
        } else if self.is_held(&sync.name) {
            SyncState::Held
        } else if obstacles.is_empty() {
            SyncState::Idle
        } else {
            SyncState::Waiting
        };
        SyncStatus {
            name: sync.name.clone(),
            state,
            freshness: due::freshness(last_success, sync.max_age, now.wall),
            obstacles,
            last_success,
            last_run: memory.and_then(|memory| memory.last_run.clone()),
            next_due: self.next_due(sync, now),
            overdue_at: due::overdue_at(last_success, sync.max_age),
            starts_at: self.starts_at(&sync.name, now),
        }
    }
}

/// Whether one of the ways out is metered; unknown if none is known to be, and of one it is not known.
fn metered(network: &NetworkSight) -> Option<bool> {
    let mut kinds = network.links.values().map(|link| link.metered);
    if kinds.clone().any(|metered| metered == Metered::Yes) {
        Some(true)
    } else if !network.links.is_empty() && kinds.all(|metered| metered == Metered::No) {
        Some(false)
    } else {
        None
    }
}
