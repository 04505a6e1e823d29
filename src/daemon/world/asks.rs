//! What clients ask.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::backup::errands::SyncAsSeen;
use crate::daemon::messages::ask::{Accepted, Ask, Refusal, RequestEnd, Urgency};
use crate::daemon::messages::event::Effect;
use crate::daemon::messages::look::Scope;
use crate::daemon::world::candidates::gives_way;
use crate::daemon::world::{Asked, Request, Stage, Unanswered, World};
use crate::formats::similar::closest;
use crate::model::{
    Absence, End, EndSight, HoldReason, Interruption, Now, Obstacle, Pause, Place, Sync, SyncName, Trigger, VolumeName,
    VolumeSight,
};

impl World {
    pub(super) fn asked(&mut self, ask: Ask, now: &Now, effects: &mut Vec<Effect>) {
        if matches!(ask, Ask::Scan { .. }) {
            effects.push(Effect::Sense);
        }
        let scope = match &ask {
            Ask::Scan { .. } => Some((Scope::everything(), Asked::All)),
            Ask::Devices { .. } => Some((Scope::everything(), Asked::Of(Vec::new()))),
            Ask::Mount { volume, .. } | Ask::Unmount { volume, .. } => {
                Some((Scope::everything(), Asked::OfVolume(volume.clone())))
            }
            Ask::Prepared { syncs, .. } => Some((Scope::everything(), self.servers_asked_for(syncs))),
            Ask::Run { syncs, .. } | Ask::Prospects { syncs, .. } => {
                Some((self.scope_of(syncs), self.servers_asked_for(syncs)))
            }
            Ask::Approve { sync, .. } => {
                let syncs = std::slice::from_ref(sync);
                Some((self.scope_of(syncs), self.servers_asked_for(syncs)))
            }
            Ask::Cancel { .. } | Ask::Pause { .. } | Ask::Resume { .. } | Ask::Hold { .. } | Ask::Release { .. } => {
                None
            }
        };
        match scope {
            // What a person just did must count: their question is answered from a fresh look.
            Some((scope, servers)) if self.stage != Stage::Stopping => {
                let look = self.look(scope, effects);
                let servers = self.ask_servers(&servers, now, effects);
                self.unanswered.push(Unanswered { look, servers, ask });
            }
            Some(_) | None => self.answer(ask, now, effects),
        }
    }

    /// Servers take their time to answer, or to be given up: they are waited for only where somebody named a sync that
    /// leads there, or where nothing is known of them yet.
    fn servers_asked_for(&self, asked: &[SyncName]) -> Asked {
        match self.resolve(asked) {
            Ok(names) if !asked.is_empty() => Asked::Of(names.into_iter().collect()),
            Ok(_) | Err(_) => Asked::Unknown,
        }
    }

    fn scope_of(&self, asked: &[SyncName]) -> Scope {
        match self.resolve(asked) {
            Ok(names) if !asked.is_empty() => Scope::syncs(names),
            Ok(_) | Err(_) => Scope::everything(),
        }
    }

    pub(super) fn answer_what_waited_for(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let waiting = std::mem::take(&mut self.unanswered);
        let is_ready = |one: &Unanswered| one.look <= self.looks_taken && self.reach.answered(&one.servers);
        let (ready, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        self.unanswered = waiting;
        if !ready.is_empty() {
            // The answers tell how things stand after this look.
            self.replan(now, effects);
        }
        for Unanswered { ask, .. } in ready {
            self.answer(ask, now, effects);
        }
    }

    /// Whoever asked may have left: then there is nobody to tell, and nothing is lost by it.
    fn answer(&mut self, ask: Ask, now: &Now, effects: &mut Vec<Effect>) {
        match ask {
            Ask::Scan { answer } => drop(answer.send(())),
            Ask::Prepared { syncs, answer } => {
                self.adopt_what_was_prepared(&syncs, effects);
                let _ = answer.send(());
            }
            Ask::Run { syncs, urgency, answer, ends } => {
                let _ = answer.send(self.request(&syncs, urgency, &ends));
            }
            Ask::Cancel { syncs, answer } => drop(answer.send(self.cancel(&syncs, now, effects))),
            Ask::Pause { length, answer } => {
                let until = length.and_then(|length| now.wall.checked_add(length).ok());
                self.ledger.pause = Some(until.map_or(Pause::UntilResumed, Pause::Until));
                self.keep_ledger(effects);
                let _ = answer.send(());
            }
            Ask::Resume { answer } => {
                self.ledger.pause = None;
                self.keep_ledger(effects);
                let _ = answer.send(());
            }
            Ask::Hold { volume, answer } => self.hold(volume, answer, effects),
            Ask::Release { volume, answer } => drop(answer.send(self.release(&volume, effects))),
            Ask::Mount { volume, answer } => self.mount(&volume, answer, effects),
            Ask::Unmount { volume, then, answer } => self.unmount(volume, then, answer, effects),
            Ask::Approve { sync, answer } => drop(answer.send(self.approve(&sync, effects))),
            Ask::Prospects { syncs, answer } => drop(answer.send(self.prospects_of(&syncs, now))),
            Ask::Devices { answer } => drop(answer.send((self.devices.clone(), Arc::clone(&self.ledger.containers)))),
        }
    }

    /// The syncs that a person means; all if none are named.
    fn resolve(&self, asked: &[SyncName]) -> Result<BTreeSet<SyncName>, Refusal> {
        let known = &self.configuration.syncs;
        if asked.is_empty() {
            return Ok(known.keys().cloned().collect());
        }
        let mut names = BTreeSet::new();
        for asked in asked {
            let meant: Vec<_> = known.keys().filter(|name| name.answers_to(asked)).cloned().collect();
            if meant.is_empty() {
                let close = closest(asked.as_str(), known.keys().map(SyncName::as_str));
                let close = close.iter().filter_map(|name| name.parse().ok()).collect();
                return Err(Refusal::UnknownSync(asked.clone(), close));
            }
            names.extend(meant);
        }
        Ok(names)
    }

    fn request(
        &mut self,
        asked: &[SyncName],
        urgency: Urgency,
        ends: &mpsc::Sender<RequestEnd>,
    ) -> Result<Vec<Accepted>, Refusal> {
        if self.stage == Stage::Stopping {
            return Err(Refusal::Stopping);
        }
        let mut accepted = Vec::new();
        for sync in self.resolve(asked)? {
            let prospect = self.plan.prospects.get(&sync);
            let blocking = prospect.into_iter().flat_map(crate::daemon::world::plan::Prospect::obstacles);
            let obstacles: Vec<_> = blocking.filter(|obstacle| !gives_way(obstacle, Some(urgency))).cloned().collect();
            if obstacles.is_empty() {
                let request =
                    self.requests.entry(sync.clone()).or_insert_with(|| Request { urgency, ends: Vec::new() });
                if urgency == Urgency::Forced {
                    request.urgency = urgency;
                }
                request.ends.push(ends.clone());
            }
            accepted.push(Accepted { sync, obstacles });
        }
        Ok(accepted)
    }

    pub(super) fn drop_requests_that_became_impossible(&mut self) {
        let mut impossible = Vec::new();
        for (name, request) in &self.requests {
            let Some(prospect) = self.plan.prospects.get(name) else { continue };
            let blocking = prospect.obstacles().filter(|obstacle| !gives_way(obstacle, Some(request.urgency)));
            let obstacles: Vec<Obstacle> = blocking.cloned().collect();
            if !obstacles.is_empty() && !self.runs.contains_key(name) {
                impossible.push((name.clone(), obstacles));
            }
        }
        for (name, obstacles) in impossible {
            self.drop_request(&name, &obstacles);
        }
    }

    pub(super) fn drop_request(&mut self, name: &SyncName, obstacles: &[Obstacle]) {
        for end in self.requests.remove(name).into_iter().flat_map(|request| request.ends) {
            let _ = end.try_send(RequestEnd::Dropped { sync: name.clone(), obstacles: obstacles.to_vec() });
        }
    }

    fn cancel(&mut self, asked: &[SyncName], now: &Now, effects: &mut Vec<Effect>) -> Result<Vec<SyncName>, Refusal> {
        let mut cancelled = Vec::new();
        for name in self.resolve(asked)? {
            if self.runs.contains_key(&name) {
                self.stop_run(&name, Interruption::Cancelled, effects);
                cancelled.push(name);
            } else if self.plan.candidates.contains_key(&name) {
                self.drop_request(&name, &[]);
                self.set_aside(&name, now);
                cancelled.push(name);
            }
        }
        Ok(cancelled)
    }

    fn hold(&mut self, volume: VolumeName, answer: oneshot::Sender<Result<(), Refusal>>, effects: &mut Vec<Effect>) {
        if let Err(refusal) = self.check_volume(&volume) {
            let _ = answer.send(Err(refusal));
            return;
        }
        if self.ledger.holds.insert(volume.clone()) {
            self.keep_ledger(effects);
        }
        let on_it: Vec<_> = self.runs_on(&volume);
        for name in &on_it {
            self.stop_run(name, Interruption::DriveHeld, effects);
        }
        self.awaiting_quiet.push((volume, answer));
        self.answer_whoever_waits_for_quiet();
    }

    pub(super) fn answer_whoever_waits_for_quiet(&mut self) {
        for (volume, answer) in std::mem::take(&mut self.awaiting_quiet) {
            if self.runs_on(&volume).is_empty() {
                let _ = answer.send(Ok(()));
            } else {
                self.awaiting_quiet.push((volume, answer));
            }
        }
    }

    fn release(&mut self, volume: &VolumeName, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        self.check_volume(volume)?;
        if self.ledger.holds.remove(volume) {
            self.keep_ledger(effects);
        }
        self.take_back_with_all_on_it(volume);
        Ok(())
    }

    pub(super) fn check_volume(&self, volume: &VolumeName) -> Result<(), Refusal> {
        let known = &self.configuration.volumes;
        if known.contains_key(volume) {
            return Ok(());
        }
        let close = closest(volume.as_str(), known.keys().map(VolumeName::as_str));
        Err(Refusal::UnknownVolume(volume.clone(), close.iter().filter_map(|name| name.parse().ok()).collect()))
    }

    fn approve(&mut self, asked: &SyncName, effects: &mut Vec<Effect>) -> Result<Vec<String>, Refusal> {
        let mut approved = Vec::new();
        for name in self.resolve(std::slice::from_ref(asked))? {
            let Some(sync) = self.configuration.syncs.get(&name).cloned() else { continue };
            let obstacles: Vec<Obstacle> = self
                .plan
                .prospects
                .get(&name)
                .into_iter()
                .flat_map(crate::daemon::world::plan::Prospect::obstacles)
                .cloned()
                .collect();
            for obstacle in obstacles {
                approved.extend(self.approve_one(&sync, obstacle));
            }
        }
        if !approved.is_empty() {
            self.keep_ledger(effects);
        }
        Ok(approved)
    }

    /// Accepts what one obstacle asks a person about, and says what that means.
    fn approve_one(&mut self, sync: &Sync, obstacle: Obstacle) -> Option<String> {
        let name = &sync.name;
        if let Obstacle::Held(HoldReason::Deletions { deletions, .. }) = obstacle {
            self.ledger.approvals.insert(name.clone(), deletions);
            Some(format!("the next run of `{name}` may delete up to {deletions} files"))
        } else if let Obstacle::Held(HoldReason::CutDown { files, .. }) = obstacle {
            self.ledger.approved_cuts.insert(name.clone(), files);
            Some(format!("the next run of `{name}` may cut down up to {files} files"))
        } else if let Obstacle::DeviceUnknown { volume, hardware } = obstacle {
            let sentence = format!("volume `{volume}` may use the hardware {hardware}");
            self.ledger.hardware.entry(volume).or_default().insert(hardware);
            Some(sentence)
        } else if let Obstacle::SentinelMismatch { end, path } = obstacle {
            self.accept_ids(name, end, if end == End::Source { &sync.source } else { &sync.destination });
            Some(format!("the {end} of `{name}` is the place with the id in {}", path.display()))
        } else {
            None
        }
    }

    /// Takes the ids that the sentinels of a place carry now for the right ones.
    fn accept_ids(&mut self, sync: &SyncName, end: End, place: &Place) {
        if let Some(id) = self.volumes.get(&place.volume).and_then(|state| state.sight.proven_id()) {
            match id {
                Some(id) => self.ledger.volume_ids.insert(place.volume.clone(), id.clone()),
                None => self.ledger.volume_ids.remove(&place.volume),
            };
        }
        let sight = self.ends.get(sync).map(|ends| if end == End::Source { &ends.source } else { &ends.destination });
        match sight {
            Some(EndSight::Ready { id: Some(id) }) => {
                self.ledger.end_ids.insert((sync.clone(), end), id.clone());
            }
            Some(EndSight::Ready { id: None }) => {
                self.ledger.end_ids.remove(&(sync.clone(), end));
            }
            Some(EndSight::Unseen | EndSight::Faulty(_)) | None => {}
        }
    }

    /// A person prepared these syncs: their drives and sentinels are the right ones from now on.
    fn adopt_what_was_prepared(&mut self, asked: &[SyncName], effects: &mut Vec<Effect>) {
        for name in self.resolve(asked).unwrap_or_default() {
            let Some(sync) = self.configuration.syncs.get(&name).cloned() else { continue };
            for (end, place) in [(End::Source, &sync.source), (End::Destination, &sync.destination)] {
                self.accept_ids(&name, end, place);
                if let Some(VolumeSight::Present(present)) = self.volumes.get(&place.volume).map(|state| &state.sight)
                    && let Some(hardware) = &present.hardware
                {
                    self.ledger.hardware.entry(place.volume.clone()).or_default().insert(hardware.clone());
                }
            }
            if let Some(memory) = self.memory.get_mut(&name) {
                memory.setback = None;
            }
        }
        self.keep_ledger(effects);
    }

    fn prospects_of(&mut self, asked: &[SyncName], now: &Now) -> Result<Vec<SyncAsSeen>, Refusal> {
        let names = self.resolve(asked)?;
        let unseen = VolumeSight::Absent(Absence::NotLookedAt);
        let mut found = Vec::new();
        for name in names {
            let run = self.new_run_id(now);
            let Some(sync) = self.configuration.syncs.get(&name) else { continue };
            let sight = |volume| self.volumes.get(volume).map_or(unseen.clone(), |state| state.sight.clone());
            let obstacles =
                self.plan.prospects.get(&name).into_iter().flat_map(crate::daemon::world::plan::Prospect::obstacles);
            let closed = sync.ends().into_iter().filter_map(|(end, place)| self.closed_drive(end, &place.volume));
            found.push(SyncAsSeen {
                source: sight(&sync.source.volume),
                destination: sight(&sync.destination.volume),
                source_server: self.remote_end(sync, End::Source, &sync.source),
                destination_server: self.remote_end(sync, End::Destination, &sync.destination),
                obstacles: obstacles.cloned().chain(closed).collect(),
                job: self.job(sync, run, Trigger::Request).map(Box::new),
                sync: sync.clone(),
            });
        }
        Ok(found)
    }
}
