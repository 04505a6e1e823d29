//! Candidates: the syncs that are wanted and possible, and what put them into the queue.

use std::collections::BTreeMap;

use crate::daemon::messages::ask::Urgency;
use crate::daemon::world::World;
use crate::daemon::world::plan::Outlook;
use crate::daemon::world::stage::{Initiative, LifeStage};
use crate::decide::due::{self, Due};
use crate::decide::queue;
use crate::model::{BootTime, Now, Obstacle, SyncName, Trigger, VolumeRoot};

impl World {
    pub(super) fn candidates(&mut self, now: &Now) -> BTreeMap<SyncName, queue::DueSync> {
        let candidates: BTreeMap<SyncName, (Trigger, queue::DueSync)> =
            if self.stage == LifeStage::Stopping { BTreeMap::new() } else { self.wanted_and_possible(now).collect() };
        self.histories.note_triggers(|name| candidates.get(name).map(|(trigger, _)| *trigger), &self.runs);
        candidates.into_iter().map(|(name, (_, candidate))| (name, candidate)).collect()
    }

    fn wanted_and_possible(&self, now: &Now) -> impl Iterator<Item = (SyncName, (Trigger, queue::DueSync))> {
        self.plan.prospects().iter().filter_map(|(name, prospect)| {
            let asked = self.requests.urgency(name);
            let is_due = self.initiative == Initiative::Own && matches!(prospect.due, Due::Now(_));
            let gives_way = |obstacle| gives_way(obstacle, asked);
            if (asked.is_none() && !is_due) || !prospect.obstacles().all(gives_way) || self.runs.get(name).is_some() {
                return None;
            }
            let sync = self.settings.configuration().syncs.get(name)?;
            // A sync that was just written into the configuration was not looked at yet.
            if self.volumes.ends(name).is_none() || !self.remote_ends_are_seen(sync) {
                return None;
            }
            let candidate = queue::DueSync {
                last_success: self.histories.get(name)?.last_success,
                ready_at: if asked.is_some() { BootTime::default() } else { prospect.ready_at },
                resources: self.settings.resources(sync),
            };
            Some((name.clone(), (self.trigger(name, prospect, asked.is_some(), now), candidate)))
        })
    }

    /// What puts a sync into the queue.
    fn trigger(&self, name: &SyncName, prospect: &Outlook, asked: bool, now: &Now) -> Trigger {
        let came_now = self.histories.get(name).is_some_and(|history| history.in_reach_since == Some(now.wall));
        let sync = self.settings.configuration().syncs.get(name);
        let leads_to = |is_one: fn(&VolumeRoot) -> bool| sync.is_some_and(|sync| self.settings.leads_to(sync, is_one));
        if asked {
            Trigger::Request
        } else if self.first_look == Some(now.wall) {
            Trigger::Start
        } else if came_now && leads_to(|root| matches!(root, VolumeRoot::Server(_))) {
            Trigger::Network
        } else if came_now && leads_to(|root| matches!(root, VolumeRoot::Drive(_))) {
            Trigger::Drive
        } else if came_now {
            Trigger::Mount
        } else if prospect.due == Due::Now(due::Want::Unfinished) {
            Trigger::Retry
        } else {
            Trigger::Schedule
        }
    }
}

/// Whether an obstacle gives way: to a person's word, or to the pace of attempts. Proofs and a person's holds never do.
pub(super) fn gives_way(obstacle: &Obstacle, asked: Option<Urgency>) -> bool {
    match obstacle {
        Obstacle::BackingOff { .. }
        | Obstacle::PutOff { .. }
        | Obstacle::LockTaken { .. }
        | Obstacle::ToolMissing { .. }
        | Obstacle::ToolOutdated { .. }
        | Obstacle::NotOpened { .. } => asked.is_some(),
        // A failed run may itself have filled the drive, with what only another run takes away; it is tried at the pace
        // of failures. A hold is a question: a run takes the same look again, when it is due or asked for, and the hold
        // falls if nothing is to be asked any more.
        Obstacle::NoSpace { .. } | Obstacle::Held(_) => true,
        Obstacle::OutsideHours(_)
        | Obstacle::Metered { .. }
        | Obstacle::Battery { .. }
        | Obstacle::Paused { .. }
        | Obstacle::UpstreamFailed { .. } => asked == Some(Urgency::Forced),
        Obstacle::Disabled
        | Obstacle::VolumeAbsent { .. }
        | Obstacle::DirectoryMissing { .. }
        | Obstacle::SourceIsEmpty { .. }
        | Obstacle::NoSnapshotYet { .. }
        | Obstacle::NotMounted { .. }
        | Obstacle::Locked { .. }
        | Obstacle::NotEncrypted { .. }
        | Obstacle::Sentinel { .. }
        | Obstacle::SentinelMismatch { .. }
        | Obstacle::DuplicateUuid { .. }
        | Obstacle::DeviceUnknown { .. }
        | Obstacle::Stuck(_)
        | Obstacle::ReadOnly { .. }
        | Obstacle::LayoutMismatch(..)
        | Obstacle::NotBtrfs { .. }
        | Obstacle::Unrestored(_)
        | Obstacle::VolumeHeld { .. } => false,
    }
}
