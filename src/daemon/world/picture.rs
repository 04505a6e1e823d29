//! The picture of everything that people and programs are shown.

use std::collections::BTreeMap;

use crate::daemon::messages::ask::Urgency;
use crate::daemon::messages::event::Effect;
use crate::daemon::world::World;
use crate::daemon::world::announcements::Scene;
use crate::daemon::world::candidates::gives_way;
use crate::daemon::world::plan::Outlook;
use crate::daemon::world::runs::Headway;
use crate::daemon::world::stage::Initiative;
use crate::decide::{due, locations, obstacles};
use crate::model::{
    DaemonState, End, Metered, NetworkSight, Now, Obstacle, Outcome, RunningNow, Status, Sync, SyncName, SyncState,
    SyncStatus, VolumeName, VolumeSight, VolumeStatus,
};

impl World {
    /// Tells the person at the desk what has changed.
    pub(super) fn announce(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        if self.initiative != Initiative::Own {
            return;
        }
        let scene = Scene {
            stage: self.stage,
            settings: &self.settings,
            decisions: &self.decisions,
            volumes: &self.volumes,
            drives: &self.drives,
            histories: &self.histories,
            runs: &self.runs,
            plan: &self.plan,
            now,
        };
        effects.extend(self.announcements.compare(&scene).into_iter().map(Effect::Announce));
    }

    /// The state of everything at `now`.
    #[must_use]
    pub fn status(&self, now: &Now) -> Status {
        let state = if self.decisions.ledger().pause.is_some() {
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
            still: match run.standing {
                Headway::Still(lasts) => Some(lasts),
                Headway::Moves | Headway::LeftBehind => None,
            },
        });
        Status {
            state,
            started: self.started,
            config: self.settings.file().to_owned(),
            config_error: self.settings.error().map(str::to_owned),
            degraded: self.shortcomings.all().clone(),
            locations: self.network.locations().iter().cloned().collect(),
            online: self.network.sight().map(|sight| locations::is_online(sight)),
            metered: self.network.sight().and_then(|sight| metered(sight)),
            volumes: self.volume_statuses(),
            syncs: self.settings.configuration().syncs.values().map(|sync| self.sync_status(sync, now)).collect(),
            queue: self.plan.queue().to_vec(),
            running: running.collect(),
            checking: self.checks.shown(),
        }
    }

    fn volume_statuses(&self) -> Vec<VolumeStatus> {
        let uses = self.uses();
        let all = self.settings.configuration().volumes.values();
        let known = all.filter_map(|volume| Some((volume, self.volumes.get(&volume.name)?)));
        known
            .map(|(volume, state)| {
                let known_use = uses.get(&volume.name);
                let end = known_use.map_or(End::Source, |it| it.end);
                VolumeStatus {
                    name: volume.name.clone(),
                    kind: volume.kind(),
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
                    obstacles: obstacles::of_one_volume(end, &volume.name, state.standing(), self.decisions.ledger()),
                    user: known_use.map(|it| it.by.clone()),
                }
            })
            .collect()
    }

    /// How volumes are used: at which end, a destination if it is ever that, and by which sync, the first.
    fn uses(&self) -> BTreeMap<&VolumeName, Use<'_>> {
        let mut uses: BTreeMap<&VolumeName, Use<'_>> = BTreeMap::new();
        for sync in self.settings.configuration().syncs.values() {
            uses.entry(&sync.source.volume).or_insert(Use { end: End::Source, by: &sync.name });
            uses.entry(&sync.destination.volume).or_insert(Use { end: End::Destination, by: &sync.name }).end =
                End::Destination;
        }
        uses
    }

    fn sync_status(&self, sync: &Sync, now: &Now) -> SyncStatus {
        let prospect = self.plan.prospects().get(&sync.name);
        let memory = self.histories.get(&sync.name);
        let last_success = memory.and_then(|memory| memory.last_success);
        let overdue_at = prospect.and_then(|prospect| prospect.overdue_at);
        let obstacles: Vec<Obstacle> = prospect.into_iter().flat_map(Outlook::obstacles).cloned().collect();
        let state = if self.runs.get(&sync.name).is_some() {
            SyncState::Running
        } else if !sync.enabled {
            SyncState::Disabled
        } else if self.plan.candidates().contains_key(&sync.name) {
            SyncState::Queued
        } else if prospect.is_some_and(Outlook::is_held) {
            SyncState::Held
        } else if prospect.is_some_and(is_failing) {
            SyncState::Failing
        } else if obstacles.is_empty() {
            SyncState::Idle
        } else {
            SyncState::Waiting
        };
        let (damaged, doubted) = self.decisions.damage_of(&sync.name).counts();
        SyncStatus {
            name: sync.name.clone(),
            state,
            freshness: due::freshness(last_success, overdue_at, now.wall),
            obstacles,
            last_success,
            last_run: memory.and_then(|memory| memory.last_run.clone()),
            next_due: prospect.and_then(|prospect| prospect.next_due(now)),
            overdue_at,
            starts_at: self.starts_at(&sync.name, now),
            last_verified: self.decisions.rounds_of(&sync.name).verified,
            damaged,
            doubted,
        }
    }
}

/// Whether the last run failed of what would run if a person asked.
fn is_failing(prospect: &Outlook) -> bool {
    let possible = prospect.obstacles().all(|obstacle| gives_way(obstacle, Some(Urgency::Asked)));
    possible && prospect.last_outcome == Some(Outcome::Failed)
}

/// How a volume is used.
struct Use<'a> {
    end: End,
    by: &'a SyncName,
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
