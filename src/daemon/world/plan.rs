//! The plan: for each sync what stands in its way and whether a copy is wanted; then the queue. It is made anew, whole,
//! after every event, and never edited.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::daemon::ask::Urgency;
use crate::daemon::world::drives::Readiness;
use crate::daemon::world::{Effect, Initiative, Notice, Stage, World};
use crate::decide::{due, due::Due, obstacles, queue};
use crate::model::{
    BootTime, Every, Freshness, Hours, Now, Obstacle, Outcome, Pause, Sync, SyncName, Trigger, VolumeName, VolumeRoot,
    VolumeSight,
};

/// The plan.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) prospects: BTreeMap<SyncName, Prospect>,
    pub(super) candidates: BTreeMap<SyncName, queue::Candidate>,
    pub(super) queue: Vec<SyncName>,
    /// When the alarm is set to go off.
    alarm: Option<Timestamp>,
}

/// How one sync stands.
#[derive(Debug)]
pub(super) struct Prospect {
    /// What stands in its way at its two places.
    pub(super) places: Vec<Obstacle>,
    /// What else stands in its way: a person's word, its own past, the hour.
    pub(super) rest: Vec<Obstacle>,
    /// Whether a copy is wanted.
    pub(super) due: Due,
    /// Before this moment it does not start by itself.
    pub(super) ready_at: BootTime,
}

impl Prospect {
    pub(super) fn obstacles(&self) -> impl Iterator<Item = &Obstacle> {
        self.places.iter().chain(&self.rest)
    }
}

impl World {
    /// Makes the plan anew, starts what may start, and sets the alarm.
    pub(super) fn replan(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        self.end_a_pause_that_is_over(now, effects);
        let mut prospects = self.prospects(now);
        self.add_failed_upstreams(&mut prospects);
        self.plan.prospects = prospects;
        self.drop_requests_that_became_impossible();
        self.plan.candidates = self.candidates(now);
        self.plan.queue = queue::order(&self.plan.candidates, &self.upstreams);
        if self.stage == Stage::Working && !self.sleep.is_near() {
            self.start_what_may_start(now, effects);
        }
        self.close_what_nobody_needs(now, effects);
        self.tell_what_is_overdue(now, effects);
        self.note_labour(now);
        let alarm = if self.stage == Stage::Working { self.next_moment(now) } else { None };
        if alarm != self.plan.alarm {
            self.plan.alarm = alarm;
            effects.push(Effect::Alarm(alarm));
        }
    }

    fn end_a_pause_that_is_over(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        if let Some(Pause::Until(until)) = self.ledger.pause
            && until <= now.wall
        {
            self.ledger.pause = None;
            self.keep_ledger(effects);
        }
    }

    fn prospects(&mut self, now: &Now) -> BTreeMap<SyncName, Prospect> {
        let configuration = std::sync::Arc::clone(&self.configuration);
        let local = now.wall.to_zoned(now.zone.clone()).time();
        let mut prospects = BTreeMap::new();
        for sync in configuration.syncs.values() {
            let places = self.obstacles_of_places(sync);
            let memory = self.memory.entry(sync.name.clone()).or_default();
            if !places.is_empty() {
                memory.in_reach_since = None;
            } else if memory.in_reach_since.is_none() {
                memory.in_reach_since = Some(now.wall);
            }
            let past = due::Past {
                last_success: memory.last_success,
                last_outcome: memory.last_run.as_ref().map(|run| run.outcome),
                in_reach_since: memory.in_reach_since,
            };
            let due = due::due(sync.every, past, now.wall);
            let rest = self.rest_of_obstacles(sync, &places, local, now);
            let ready_at = self.ready_at(sync);
            prospects.insert(sync.name.clone(), Prospect { places, rest, due, ready_at });
        }
        prospects
    }

    fn obstacles_of_places(&self, sync: &Sync) -> Vec<Obstacle> {
        let (source, destination) = (self.volumes.get(&sync.source.volume), self.volumes.get(&sync.destination.volume));
        match (source, destination) {
            (Some(source), Some(destination)) => {
                let ends = self.ends.get(&sync.name);
                let mut found =
                    obstacles::of_places(sync, source.standing(), destination.standing(), ends, &self.ledger);
                found.extend(self.unknown_hardware(sync));
                found
            }
            // A configuration names only volumes that it holds.
            (None, _) | (_, None) => Vec::new(),
        }
    }

    fn rest_of_obstacles(
        &self,
        sync: &Sync,
        places: &[Obstacle],
        local: jiff::civil::Time,
        now: &Now,
    ) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if !sync.enabled {
            found.push(Obstacle::Disabled);
        }
        if let Some(memory) = self.memory.get(&sync.name) {
            if let Some(last) = &memory.last_run
                && last.outcome == Outcome::Held
                && let Some(reason) = &last.hold
                && !self.ledger.approvals.contains_key(&sync.name)
            {
                found.push(Obstacle::Held(reason.clone()));
            }
            if let Some(setback) = &memory.setback {
                // What the last look tells, too, is said once.
                let is_told = |obstacle: &Obstacle| places.iter().any(|place| place.code() == obstacle.code());
                found.extend(setback.obstacles(now.boot).into_iter().filter(|obstacle| !is_told(obstacle)));
            }
        }
        found.extend(self.refusals(sync, now));
        found.extend(obstacles::of_conditions(&sync.when, local, self.power, self.metered_way(sync)));
        match self.ledger.pause {
            Some(Pause::Until(until)) => found.push(Obstacle::Paused { until: Some(until) }),
            Some(Pause::UntilResumed) => found.push(Obstacle::Paused { until: None }),
            None => {}
        }
        found
    }

    /// A sync does not run on what a failed one left, unless that one cannot be tried now: absence is no failure.
    fn add_failed_upstreams(&self, prospects: &mut BTreeMap<SyncName, Prospect>) {
        let stale: Vec<&SyncName> = prospects
            .iter()
            .filter(|(name, prospect)| {
                let last = self.memory.get(*name).and_then(|memory| memory.last_run.as_ref());
                let failed = last.is_some_and(|run| match run.outcome {
                    Outcome::Failed | Outcome::Held | Outcome::Interrupted => true,
                    Outcome::Ok | Outcome::Skipped => false,
                });
                failed && prospect.places.is_empty() && !prospect.rest.contains(&Obstacle::Disabled)
            })
            .map(|(name, _)| name)
            .collect();
        if stale.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for (name, upstreams) in &self.upstreams {
            let failed = stale.iter().filter(|stale| upstreams.contains(**stale));
            found.extend(failed.map(|upstream| (name.clone(), (*upstream).clone())));
        }
        for (name, upstream) in found {
            if let Some(prospect) = prospects.get_mut(&name) {
                prospect.rest.push(Obstacle::UpstreamFailed { upstream });
            }
        }
    }

    /// The volume of a sync on a server to which the way is metered, and the interface.
    fn metered_way(&self, sync: &Sync) -> Option<(VolumeName, String)> {
        [&sync.source.volume, &sync.destination.volume].into_iter().find_map(|volume| {
            let VolumeSight::Reached(reached) = &self.volumes.get(volume)?.sight else { return None };
            let interface = reached.interface.as_ref().filter(|interface| self.reach.is_metered(interface))?;
            Some((volume.clone(), interface.clone()))
        })
    }

    fn ready_at(&self, sync: &Sync) -> BootTime {
        if self.awaits_server(sync) {
            return BootTime(Duration::MAX);
        }
        let daemon = &self.configuration.daemon;
        let volumes = [&sync.source.volume, &sync.destination.volume];
        let settled = volumes.iter().filter_map(|name| self.volumes.get(*name)).map(|state| {
            let settled = state.changed.after(daemon.settle);
            let graced = state.arrived.map_or(settled, |arrived| arrived.after(daemon.grace));
            settled.max(graced)
        });
        settled.max().unwrap_or_default().max(self.sleep.settled(daemon.settle))
    }

    fn candidates(&mut self, now: &Now) -> BTreeMap<SyncName, queue::Candidate> {
        let mut candidates = BTreeMap::new();
        for (name, prospect) in &self.plan.prospects {
            let asked = self.requests.get(name).map(|request| request.urgency);
            let wanted = asked.is_some() || (self.initiative == Initiative::Own && matches!(prospect.due, Due::Now(_)));
            let possible = prospect.obstacles().all(|obstacle| gives_way(obstacle, asked));
            // A sync that was just written into the configuration was not looked at yet.
            let possible = possible && self.ends.contains_key(name);
            let possible =
                possible && self.configuration.syncs.get(name).is_some_and(|sync| self.remote_ends_are_seen(sync));
            let is_candidate = wanted && possible && !self.runs.contains_key(name) && self.stage != Stage::Stopping;
            let trigger = is_candidate.then(|| self.trigger(name, prospect, asked.is_some(), now));
            let sync = self.configuration.syncs.get(name);
            let resources = sync.map(|sync| self.resources(sync)).unwrap_or_default();
            let Some(memory) = self.memory.get_mut(name) else { continue };
            if !self.runs.contains_key(name) {
                memory.queued_by = match (trigger, memory.queued_by) {
                    (Some(Trigger::Request), _) => Some(Trigger::Request),
                    (Some(trigger), before) => before.or(Some(trigger)),
                    (None, _) => None,
                };
            }
            if is_candidate {
                let ready_at = if asked.is_some() { BootTime::default() } else { prospect.ready_at };
                let last_success = memory.last_success;
                candidates.insert(name.clone(), queue::Candidate { last_success, ready_at, resources });
            }
        }
        candidates
    }

    pub(super) fn resources(&self, sync: &Sync) -> std::collections::BTreeSet<String> {
        let volumes = [&sync.source.volume, &sync.destination.volume];
        let known = volumes.iter().filter_map(|name| self.configuration.volumes.get(*name));
        known.flat_map(|volume| obstacles::exclusive_resources(&volume.root)).collect()
    }

    /// What puts a sync into the queue.
    fn trigger(&self, name: &SyncName, prospect: &Prospect, asked: bool, now: &Now) -> Trigger {
        let came_now = self.memory.get(name).is_some_and(|memory| memory.in_reach_since == Some(now.wall));
        let leads_to = |is_one: fn(&VolumeRoot) -> bool| {
            self.configuration.syncs.get(name).is_some_and(|sync| {
                let volumes = [&sync.source.volume, &sync.destination.volume];
                let mut roots = volumes.iter().filter_map(|volume| self.configuration.volumes.get(*volume));
                roots.any(|volume| is_one(&volume.root))
            })
        };
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

    fn start_what_may_start(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let running = self.runs.iter().map(|(name, run)| (name.clone(), run.resources.clone())).collect();
        let starting = queue::startable(
            &self.plan.queue,
            &self.plan.candidates,
            &self.upstreams,
            &running,
            self.configuration.daemon.max_parallel,
            now.boot,
        );
        for name in starting {
            if self.opens_for(&name, effects) == Readiness::Ready {
                self.start(&name, now, effects);
            }
        }
    }

    fn tell_what_is_overdue(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        for sync in self.configuration.syncs.values().filter(|sync| sync.enabled && sync.max_age.is_some()) {
            let Some(memory) = self.memory.get_mut(&sync.name) else { continue };
            let at = due::overdue_at(memory.last_success, sync.max_age);
            let overdue = due::freshness(memory.last_success, sync.max_age, now.wall) == Freshness::Overdue;
            if overdue && memory.overdue_told != at {
                memory.overdue_told = at;
                effects.push(Effect::Tell(Notice::Overdue(sync.name.clone())));
            }
        }
    }

    /// The next moment at which the passing of time alone changes the plan.
    fn next_moment(&self, now: &Now) -> Option<Timestamp> {
        let wall = |boot: BootTime| now.wall.checked_add(boot.since(now.boot)).ok();
        let ready = self.plan.candidates.values().filter(|candidate| candidate.ready_at > now.boot);
        let mut moments: Vec<Timestamp> = ready.filter_map(|candidate| wall(candidate.ready_at)).collect();
        if let Some(Pause::Until(until)) = self.ledger.pause {
            moments.push(until);
        }
        moments.extend(self.next_question(now));
        let of_sleep = [self.sleep.forgotten(), self.sleep.long_at_work()];
        moments.extend(of_sleep.into_iter().flatten().filter_map(wall));
        moments.extend(self.moments_of_drives(now).into_iter().filter_map(wall));
        for (name, prospect) in &self.plan.prospects {
            let (Some(sync), Some(memory)) = (self.configuration.syncs.get(name), self.memory.get(name)) else {
                continue;
            };
            if !sync.enabled || self.runs.contains_key(name) {
                continue;
            }
            moments.extend(due::overdue_at(memory.last_success, sync.max_age));
            if !prospect.places.is_empty() || self.initiative == Initiative::OnRequest {
                continue;
            }
            moments.extend(memory.setback.as_ref().and_then(|setback| wall(setback.until)));
            match (prospect.due, sync.when.hours) {
                (Due::At(at), _) => moments.push(at),
                (Due::Now(_), Some(hours)) => moments.extend(next_opening(hours, now)),
                (Due::Now(_), None) | (Due::NextAppearance, _) => {}
            }
        }
        moments.into_iter().filter(|moment| *moment > now.wall).min()
    }

    /// When a sync starts, if it only waits for its volumes to settle.
    pub(super) fn starts_at(&self, name: &SyncName, now: &Now) -> Option<Timestamp> {
        let candidate = self.plan.candidates.get(name).filter(|candidate| candidate.ready_at > now.boot)?;
        now.wall.checked_add(candidate.ready_at.since(now.boot)).ok()
    }

    /// Whether a sync waits for nothing but its next appearance or its next due time.
    pub(super) fn next_due(&self, sync: &Sync, now: &Now) -> Option<Timestamp> {
        match (self.plan.prospects.get(&sync.name).map(|prospect| prospect.due), sync.every) {
            (Some(Due::Now(_)), _) => Some(now.wall),
            (Some(Due::At(at)), _) => Some(at),
            (Some(Due::NextAppearance) | None, Every::Appearance | Every::Interval(_)) => None,
        }
    }
}

/// Whether an obstacle gives way: to a person's word, or to the pace of attempts. Proofs, guards and holds never do.
pub(super) fn gives_way(obstacle: &Obstacle, asked: Option<Urgency>) -> bool {
    match obstacle {
        Obstacle::BackingOff { .. }
        | Obstacle::LockTaken { .. }
        | Obstacle::ToolMissing { .. }
        | Obstacle::NotOpened { .. } => asked.is_some(),
        // A failed run may itself have filled the drive, with what only another run takes away; it is tried at the pace of failures.
        Obstacle::NoSpace { .. } => true,
        Obstacle::OutsideHours(_)
        | Obstacle::Metered { .. }
        | Obstacle::Battery { .. }
        | Obstacle::Paused { .. }
        | Obstacle::UpstreamFailed { .. } => asked == Some(Urgency::Forced),
        Obstacle::Disabled
        | Obstacle::VolumeAbsent { .. }
        | Obstacle::DirectoryMissing { .. }
        | Obstacle::NoSnapshotYet { .. }
        | Obstacle::NotMounted { .. }
        | Obstacle::Locked { .. }
        | Obstacle::NotEncrypted { .. }
        | Obstacle::Sentinel { .. }
        | Obstacle::SentinelMismatch { .. }
        | Obstacle::DuplicateUuid { .. }
        | Obstacle::DeviceUnknown { .. }
        | Obstacle::ReadOnly { .. }
        | Obstacle::NotBtrfs { .. }
        | Obstacle::Held(_)
        | Obstacle::VolumeHeld { .. } => false,
    }
}

/// The next moment at which a span of local time begins.
fn next_opening(hours: Hours, now: &Now) -> Option<Timestamp> {
    let local = now.wall.to_zoned(now.zone.clone());
    let today = local.with().time(hours.from).build().ok()?;
    if today > local {
        return Some(today.timestamp());
    }
    let tomorrow = today.checked_add(SignedDuration::from_hours(24)).ok()?;
    Some(tomorrow.with().time(hours.from).build().ok()?.timestamp())
}
