//! The plan: for each sync what stands in its way and whether a copy is wanted; then the queue. It is made anew, whole,
//! after every event, and never edited.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::world::drives::Readiness;
use crate::daemon::world::memory::SyncMemory;
use crate::daemon::world::{Initiative, Stage, World};
use crate::decide::due::{self, Due};
use crate::decide::obstacles::{self, asks_for_approval};
use crate::decide::queue;
use crate::model::{
    BootTime, Freshness, Hours, Now, Obstacle, Outcome, Pause, Sync, SyncName, VolumeName, VolumeSight,
};

/// The plan.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) prospects: BTreeMap<SyncName, Prospect>,
    pub(super) candidates: BTreeMap<SyncName, queue::DueSync>,
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
    /// How its last run ended.
    last_outcome: Option<Outcome>,
    /// When it is or was overdue.
    pub(super) overdue_at: Option<Timestamp>,
}

impl Prospect {
    pub(super) fn obstacles(&self) -> impl Iterator<Item = &Obstacle> {
        self.places.iter().chain(&self.rest)
    }

    /// When a copy is wanted next, if time alone brings that about.
    pub(super) fn next_due(&self, now: &Now) -> Option<Timestamp> {
        match self.due {
            Due::Now(_) => Some(now.wall),
            Due::At(at) => Some(at),
            Due::NextAppearance => None,
        }
    }

    /// Whether a person has to approve something before it can run.
    pub(super) fn is_held(&self) -> bool {
        self.obstacles().any(asks_for_approval)
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

    /// There may be thousands, after each event: what needs a search in a map is done once for each.
    fn prospects(&mut self, now: &Now) -> BTreeMap<SyncName, Prospect> {
        let configuration = Arc::clone(&self.configuration);
        let local = now.wall.to_zoned(now.zone.clone()).time();
        let syncs = configuration.syncs.values();
        syncs.map(|sync| (sync.name.clone(), self.prospect(sync, local, now))).collect()
    }

    fn prospect(&mut self, sync: &Sync, local: jiff::civil::Time, now: &Now) -> Prospect {
        let places = self.obstacles_of_places(sync);
        if let Some(memory) = self.memory.get_mut(&sync.name) {
            memory.in_reach_since = places.is_empty().then(|| memory.in_reach_since.unwrap_or(now.wall));
        }
        let memory = self.memory.get(&sync.name);
        let last_run = memory.and_then(|memory| memory.last_run.as_ref());
        let (last_success, last_outcome) =
            (memory.and_then(|memory| memory.last_success), last_run.map(|run| run.outcome));
        let in_reach_since = memory.and_then(|memory| memory.in_reach_since);
        Prospect {
            due: due::due(sync.every, due::Past { last_success, last_outcome, in_reach_since }, now.wall),
            rest: self.rest_of_obstacles(sync, memory, &places, local, now),
            places,
            ready_at: self.ready_at(sync),
            last_outcome,
            overdue_at: due::overdue_at(last_success, sync.max_age),
        }
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
        memory: Option<&SyncMemory>,
        places: &[Obstacle],
        local: jiff::civil::Time,
        now: &Now,
    ) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if !sync.enabled {
            found.push(Obstacle::Disabled);
        }
        if let Some(memory) = memory {
            if let Some(last) = &memory.last_run
                && last.outcome == Outcome::Held
                && let Some(reason) = &last.hold
                && !self.ledger.is_approved(&sync.name, reason)
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
            .filter(|(_, prospect)| {
                let failed = prospect.last_outcome.is_some_and(|outcome| match outcome {
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
            let is_out = prospect.rest.contains(&Obstacle::Disabled) || self.runs.contains_key(name);
            moments.extend(prospect.overdue_at.filter(|_| !is_out));
            if is_out || !prospect.places.is_empty() || self.initiative != Initiative::Own {
                continue;
            }
            let (Some(sync), Some(memory)) = (self.configuration.syncs.get(name), self.memory.get(name)) else {
                continue;
            };
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
