//! How the plan is made: whole, after every event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, civil};

use crate::backup::errands::overdue::OverdueCall;
use crate::daemon::messages::call::Call;
use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::world::World;
use crate::daemon::world::histories::SyncHistory;
use crate::daemon::world::opening::DriveReadiness;
use crate::daemon::world::plan::Outlook;
use crate::daemon::world::stage::{Initiative, LifeStage};
use crate::decide::due::{self, Due};
use crate::decide::locations;
use crate::decide::obstacles;
use crate::decide::queue;
use crate::formats::text;
use crate::model::{BootTime, Hours, Now, Obstacle, Outcome, Pause, Sync, SyncName, VolumeName, VolumeSight};

impl World {
    /// Makes the plan anew, starts what may start, and sets the alarm.
    pub(super) fn replan(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        self.decisions.end_pause(now.wall);
        self.decisions.end_holds(now.wall);
        self.foresee(now);
        self.drop_requests_that_became_impossible();
        let candidates = self.candidates(now);
        self.plan.set_candidates(candidates, self.settings.upstreams());
        if self.stage == LifeStage::Working && !self.suspension.is_near() {
            self.start_what_may_start(now, effects);
        }
        self.check_copies(now, effects);
        self.close_what_nobody_needs(now, effects);
        self.tell_what_is_overdue(now, effects);
        self.suspension.note_runs(&self.runs, now);
        let alarm = match self.stage {
            LifeStage::Starting => None,
            LifeStage::Working => self.next_moment(now),
            LifeStage::Stopping => self.drives.waited_until(now),
        };
        effects.extend(self.plan.set_alarm(alarm));
    }

    /// Looks at what stands in the way of each sync.
    pub(super) fn foresee(&mut self, now: &Now) {
        let mut prospects = self.prospects(now);
        self.add_failed_upstreams(&mut prospects);
        self.plan.set_prospects(prospects);
    }

    /// There may be thousands, after each event: what needs a search in a map is done once for each.
    fn prospects(&mut self, now: &Now) -> BTreeMap<SyncName, Outlook> {
        let configuration = Arc::clone(self.settings.configuration());
        let local = now.wall.to_zoned(now.zone.clone()).time();
        let syncs = configuration.syncs.values();
        syncs.map(|sync| (sync.name.clone(), self.prospect(sync, local, now))).collect()
    }

    fn prospect(&mut self, sync: &Sync, local: civil::Time, now: &Now) -> Outlook {
        let places = self.obstacles_of_places(sync);
        self.histories.note_reach(&sync.name, &places, now.wall);
        let history = self.histories.get(&sync.name);
        let last_run = history.and_then(|history| history.last_run.as_ref());
        let (last_success, last_outcome) =
            (history.and_then(|history| history.last_success), last_run.map(|run| run.outcome));
        let past = due::Past {
            last_success,
            last_outcome,
            looked: self.decisions.ledger().held.get(&sync.name).map(|hold| hold.looked),
            known_since: self.decisions.known_since(&sync.name),
            in_reach_since: history.and_then(|history| history.in_reach_since),
        };
        let due = due::due(sync.every, past, now.wall);
        let last_end = last_run.map(|run| run.finished);
        Outlook {
            due,
            due_since: match due {
                Due::Now(want) => due::since(want, sync.every, past, last_end, now.wall),
                Due::At(_) | Due::NextAppearance => None,
            },
            rest: self.rest_of_obstacles(sync, history, &places, local, now),
            places,
            ready_at: self.ready_at(sync),
            last_outcome,
            overdue_at: due::overdue_at(past, sync.max_age),
        }
    }

    fn obstacles_of_places(&self, sync: &Sync) -> Vec<Obstacle> {
        let (source, destination) = (self.volumes.get(&sync.source.volume), self.volumes.get(&sync.destination.volume));
        match (source, destination) {
            (Some(source), Some(destination)) => {
                let ends = self.volumes.ends(&sync.name);
                let mut found = obstacles::of_places(
                    sync,
                    source.standing(),
                    destination.standing(),
                    ends,
                    self.decisions.ledger(),
                );
                found.extend(self.unknown_hardware(sync));
                if self.settings.may_be_mounted(sync) {
                    // A run that found it unmounted behind the hook says so, and the next one waits.
                    found.retain(|obstacle| !obstacles::may_be_mounted(obstacle));
                }
                found
            }
            // A configuration names only volumes that it holds.
            (None, _) | (_, None) => Vec::new(),
        }
    }

    fn rest_of_obstacles(
        &self,
        sync: &Sync,
        history: Option<&SyncHistory>,
        places: &[Obstacle],
        local: civil::Time,
        now: &Now,
    ) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if !sync.enabled {
            found.push(Obstacle::Disabled);
        }
        found.extend(self.decisions.ledger().held.get(&sync.name).cloned().map(Obstacle::Held));
        found.extend(self.decisions.unrestored(&sync.name));
        if let Some(setback) = history.and_then(|history| history.setback.as_ref()) {
            // What the last look tells, too, is said once.
            let is_told = |obstacle: &Obstacle| places.iter().any(|place| place.code() == obstacle.code());
            found.extend(setback.obstacles(now.boot).into_iter().filter(|obstacle| !is_told(obstacle)));
        }
        let stuck = self.runs.stuck_before(sync, &self.settings);
        found.extend(stuck.map(|by| Obstacle::Stuck(by.clone())));
        found.extend(self.refusals(sync, now));
        found.extend(obstacles::of_conditions(&sync.when, local, self.power, self.metered_way(sync)));
        match self.decisions.ledger().pause {
            Some(Pause::Until(until)) => found.push(Obstacle::Paused { until: Some(until) }),
            Some(Pause::UntilResumed) => found.push(Obstacle::Paused { until: None }),
            None => {}
        }
        found
    }

    /// A sync does not run on what a failed one left, unless that one cannot be tried now: absence is no failure.
    fn add_failed_upstreams(&self, prospects: &mut BTreeMap<SyncName, Outlook>) {
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
        for (name, upstreams) in self.settings.upstreams() {
            let failed = stale.iter().filter(|stale| upstreams.contains(**stale));
            found.extend(failed.map(|upstream| (name.clone(), (*upstream).clone())));
        }
        for (name, upstream) in found {
            if let Some(prospect) = prospects.get_mut(&name) {
                prospect.rest.push(Obstacle::UpstreamFailed { upstream });
            }
        }
    }

    /// The volume of a sync on a server, or with repositories, to which the way is metered, and the interface.
    fn metered_way(&self, sync: &Sync) -> Option<(VolumeName, String)> {
        if self.settings.repositories(sync, None).is_some()
            && let Some(interface) = self.network.sight().and_then(|sight| locations::only_metered(sight))
        {
            return Some((sync.source.volume.clone(), interface.to_owned()));
        }
        [&sync.source.volume, &sync.destination.volume].into_iter().find_map(|volume| {
            let VolumeSight::Reached(reached) = &self.volumes.get(volume)?.sight else { return None };
            let interface = reached.interface.as_ref().filter(|interface| self.network.is_metered(interface))?;
            Some((volume.clone(), interface.clone()))
        })
    }

    fn ready_at(&self, sync: &Sync) -> BootTime {
        if self.awaits_server(sync) {
            return BootTime(Duration::MAX);
        }
        let daemon = &self.settings.configuration().daemon;
        let volumes = [&sync.source.volume, &sync.destination.volume];
        let settled = volumes.iter().filter_map(|name| self.volumes.get(name)).map(|state| {
            let settled = state.changed.after(daemon.settle);
            let graced = state.arrived.map_or(settled, |arrived| arrived.after(daemon.grace));
            settled.max(graced)
        });
        settled.max().unwrap_or_default().max(self.suspension.settled(daemon.settle))
    }

    fn start_what_may_start(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let running = self.runs.with_left_behind().map(|(name, run)| (name.clone(), run.resources.clone())).collect();
        let starting = queue::startable(
            self.plan.queue(),
            self.plan.candidates(),
            self.settings.upstreams(),
            &running,
            self.settings.configuration().daemon.max_parallel.saturating_add(self.runs.waiting_in_vain()),
            now.boot,
        );
        for name in starting {
            if self.opens_for(&name, effects) == DriveReadiness::Ready {
                self.start(&name, now, effects);
            }
        }
    }

    fn tell_what_is_overdue(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        for sync in self.settings.configuration().syncs.values().filter(|sync| sync.enabled && sync.max_age.is_some()) {
            let since = self.plan.prospects().get(&sync.name).and_then(|prospect| prospect.overdue_at);
            if let Some(since) = since.filter(|since| *since <= now.wall)
                && self.histories.note_overdue(&sync.name, since, now.boot)
            {
                effects.push(Effect::Tell(Notice::Overdue(sync.name.clone())));
                effects.extend(self.overdue_call(sync, since, now).map(Effect::Call));
            }
        }
    }

    /// What the hook of a copy is told that is overdue since then.
    fn overdue_call(&self, sync: &Sync, since: Timestamp, now: &Now) -> Option<Call> {
        if self.initiative != Initiative::Own {
            return None;
        }
        let prospect = self.plan.prospects().get(&sync.name);
        let obstacles: Vec<Obstacle> = prospect.into_iter().flat_map(|found| found.obstacles().cloned()).collect();
        let mut reason = format!("overdue since {}", text::wall_time(since, &now.zone));
        if !obstacles.is_empty() {
            reason = format!("{reason}: {}", text::obstacle_sentences(&obstacles, &sync.name));
        }
        Some(Call::Overdue(Box::new(OverdueCall {
            command: sync.hooks.overdue.clone()?,
            sync: sync.name.clone(),
            source: sync.source.clone(),
            destination: sync.destination.clone(),
            outcome: prospect.and_then(|found| found.last_outcome),
            reason,
        })))
    }

    /// The next moment at which the passing of time alone changes the plan, or what people are shown of it.
    fn next_moment(&self, now: &Now) -> Option<Timestamp> {
        let wall = |boot: BootTime| now.wall.checked_add(boot.since(now.boot)).ok();
        let ready = self.plan.candidates().values().filter(|candidate| candidate.ready_at > now.boot);
        let mut moments: Vec<Timestamp> = ready.filter_map(|candidate| wall(candidate.ready_at)).collect();
        let ledger = self.decisions.ledger();
        moments.extend(ledger.pause.iter().chain(ledger.holds.values()).filter_map(|pause| pause.until()));
        moments.extend(self.next_question(now));
        let of_sleep = [self.suspension.forgotten(), self.suspension.long_at_work()];
        moments.extend(of_sleep.into_iter().flatten().filter_map(wall));
        moments.extend(self.checks.moments().filter_map(wall));
        moments.extend(self.moments_of_drives(now).into_iter().filter_map(wall));
        for (name, prospect) in self.plan.prospects() {
            let (Some(sync), Some(history)) = (self.settings.configuration().syncs.get(name), self.histories.get(name))
            else {
                continue;
            };
            if !sync.enabled {
                continue;
            }
            moments.extend(prospect.overdue_at);
            if let Some(due) = self.check_due(sync, now) {
                moments.extend([Some(due), wall(prospect.ready_at)].into_iter().flatten());
            }
            let of_history = [history.setback.as_ref().map(|setback| setback.until), history.reminder()];
            moments.extend(of_history.into_iter().flatten().filter_map(wall));
            if let Due::At(at) = prospect.due {
                moments.push(at);
            }
            let edges = sync.when.hours.map(|Hours { from, to }| [from, to]);
            moments.extend(edges.into_iter().flatten().filter_map(|edge| next_time(edge, now)));
        }
        moments.into_iter().filter(|moment| *moment > now.wall).min()
    }

    /// When a sync starts, if it only waits for its volumes to settle.
    pub(super) fn starts_at(&self, name: &SyncName, now: &Now) -> Option<Timestamp> {
        let candidate = self.plan.candidates().get(name).filter(|candidate| candidate.ready_at > now.boot)?;
        now.wall.checked_add(candidate.ready_at.since(now.boot)).ok()
    }
}

/// The next moment at which the local clock shows this time.
fn next_time(time: civil::Time, now: &Now) -> Option<Timestamp> {
    let local = now.wall.to_zoned(now.zone.clone());
    let today = local.with().time(time).build().ok()?;
    if today > local {
        return Some(today.timestamp());
    }
    // Not in 24 hours: there are days of 23 and of 25.
    Some(local.tomorrow().ok()?.with().time(time).build().ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_span_of_hours_begins_on_days_of_23_and_of_25_hours_too() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a time zone");
        for (now, from, opening) in [
            ("2026-10-25T07:00:00+01:00", "00:00", "2026-10-26T00:00:00+01:00"),
            ("2026-10-25T00:30:00+02:00", "00:00", "2026-10-26T00:00:00+01:00"),
            ("2026-03-28T23:45:00+01:00", "23:30", "2026-03-29T23:30:00+02:00"),
            ("2026-11-01T21:00:00+01:00", "22:00", "2026-11-01T22:00:00+01:00"),
        ] {
            let boot = BootTime(Duration::from_secs(1));
            let now = Now { boot, wall: now.parse().expect("a time"), zone: zone.clone() };
            let found = next_time(from.parse().expect("a time of day"), &now);
            assert_eq!(found, Some(opening.parse().expect("a time")), "{now:?}");
        }
    }
}
