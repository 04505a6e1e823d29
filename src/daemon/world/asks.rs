//! What clients ask.

mod approving;
mod restoring;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::backup::job::SyncAsSeen;
use crate::daemon::messages::ask::{Accepted, Ask, Refusal, RequestEnd, Urgency};
use crate::daemon::messages::event::Effect;
use crate::daemon::messages::look::Scope;
use crate::daemon::world::World;
use crate::daemon::world::candidates::gives_way;
use crate::daemon::world::plan::Outlook;
use crate::daemon::world::requests::Question;
use crate::daemon::world::servers::Asked;
use crate::daemon::world::stage::LifeStage;
use crate::model::{End, Interruption, Now, Obstacle, Pause, Sync, SyncName, VolumeName, VolumeSight};

impl World {
    /// What was decided has found no way to the disk, and goes there with the next event.
    pub(crate) fn keep_again(&mut self) {
        self.decisions.keep_again();
    }

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
            Ask::KnownDevices { .. }
            | Ask::Checked { .. }
            | Ask::RestoreBegins { .. }
            | Ask::RestoreEnds { .. }
            | Ask::Simulate { .. }
            | Ask::Cancel { .. }
            | Ask::Pause { .. }
            | Ask::Resume { .. }
            | Ask::Hold { .. }
            | Ask::Release { .. } => None,
        };
        match scope {
            // What a person just did must count: their question is answered from a fresh look.
            Some((scope, servers)) if self.stage != LifeStage::Stopping => {
                let look = self.looks.ask(scope);
                let servers = self.ask_servers(&servers);
                self.requests.let_wait(Question { look, servers, ask });
            }
            Some(_) | None => self.answer(ask, now, effects),
        }
    }

    /// Servers take their time to answer, or to be given up: they are waited for only where somebody named a sync that
    /// leads there, or where nothing is known of them yet.
    fn servers_asked_for(&self, asked: &[SyncName]) -> Asked {
        match self.settings.resolve(asked) {
            Ok(names) if !asked.is_empty() => Asked::Of(names.into_iter().collect()),
            Ok(_) | Err(_) => Asked::Unknown,
        }
    }

    fn scope_of(&self, asked: &[SyncName]) -> Scope {
        match self.settings.resolve(asked) {
            Ok(names) if !asked.is_empty() => Scope::syncs(names),
            Ok(_) | Err(_) => Scope::everything(),
        }
    }

    /// Answers those whose look is taken. The plan tells how things stand after it.
    pub(super) fn answer_what_waited_for(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let (looks, servers) = (&self.looks, &self.servers);
        let is_ready = |one: &Question| looks.has_answered(one.look) && servers.have_answered(&one.servers);
        let ready = self.requests.take_answerable(is_ready);
        if ready.is_empty() {
            return;
        }
        for ask in ready {
            self.answer(ask, now, effects);
        }
        // What they asked for may be possible now.
        self.replan(now, effects);
    }

    /// Whoever asked may have left: then there is nobody to tell, and nothing is lost by it.
    fn answer(&mut self, ask: Ask, now: &Now, effects: &mut Vec<Effect>) {
        match ask {
            Ask::Scan { answer } => drop(answer.send(())),
            Ask::Prepared { syncs, answer } => {
                self.adopt_what_was_prepared(&syncs);
                let _ = answer.send(());
            }
            Ask::Checked { report, record, share, turn, answer } => {
                self.decisions.note_check(&report, share, turn);
                self.checked_by_hand(*record, (report.snapshot == report.newest).then_some(share), effects);
                let _ = answer.send(());
            }
            Ask::RestoreBegins { key, restore, answer } => {
                let _ = answer.send(self.begin_restore(key, restore));
            }
            Ask::RestoreEnds { key, origin, ending, answer } => {
                self.decisions.restore_ends(&key, origin.as_deref(), ending);
                let _ = answer.send(());
            }
            Ask::Run { syncs, urgency, answer, ends } => {
                let _ = answer.send(self.request(&syncs, urgency, &ends, now));
            }
            Ask::Cancel { syncs, answer } => drop(answer.send(self.cancel(&syncs, now, effects))),
            Ask::Pause { length, answer } => {
                self.decisions.pause(for_so_long(length, now));
                let _ = answer.send(());
            }
            Ask::Resume { answer } => {
                self.decisions.resume();
                let _ = answer.send(());
            }
            Ask::Hold { volume, length, answer } => self.hold(volume, for_so_long(length, now), answer, effects),
            Ask::Release { volume, answer } => drop(answer.send(self.release(&volume))),
            Ask::Mount { volume, answer } => self.mount(&volume, answer, effects),
            Ask::Unmount { volume, then, answer } => self.unmount(volume, then, answer, effects),
            Ask::Approve { sync, answer } => drop(answer.send(self.approve(&sync))),
            Ask::Simulate { what, answer } => drop(answer.send(self.forecast(&what, now))),
            Ask::Prospects { syncs, answer } => drop(answer.send(self.prospects_of(&syncs, now))),
            Ask::Devices { answer } | Ask::KnownDevices { answer } => {
                drop(answer.send((self.volumes.devices().to_vec(), Arc::clone(self.decisions.containers()))));
            }
        }
    }

    fn request(
        &mut self,
        asked: &[SyncName],
        urgency: Urgency,
        ends: &mpsc::Sender<RequestEnd>,
        now: &Now,
    ) -> Result<Vec<Accepted>, Refusal> {
        if self.stage == LifeStage::Stopping {
            return Err(Refusal::Stopping);
        }
        let syncs = self.settings.resolve(asked)?;
        if !asked.is_empty() {
            self.take_back_what_they_use(&syncs, now);
        }
        let mut accepted = Vec::new();
        for sync in syncs {
            let prospect = self.plan.prospects().get(&sync);
            // What was found in the way is not there any more, or shows itself once the drive is open.
            let is_past = prospect.is_some_and(|prospect| prospect.places.is_empty());
            let past = if is_past { self.histories.forget_found(&sync) } else { Vec::new() };
            let blocking = prospect.into_iter().flat_map(Outlook::obstacles);
            let blocking = blocking.filter(|obstacle| !past.contains(obstacle) && !gives_way(obstacle, Some(urgency)));
            let obstacles: Vec<_> = blocking.cloned().collect();
            if obstacles.is_empty() {
                self.requests.ask_for_run(&sync, urgency, self.runs.get(&sync), ends.clone());
            }
            accepted.push(Accepted { sync, obstacles });
        }
        Ok(accepted)
    }

    /// Whoever names a sync wants its drives used, also those that they had let go.
    fn take_back_what_they_use(&mut self, syncs: &BTreeSet<SyncName>, now: &Now) {
        let configuration = Arc::clone(self.settings.configuration());
        let ends = syncs.iter().filter_map(|name| configuration.syncs.get(name)).flat_map(Sync::ends);
        let taken = ends.filter(|(_, place)| self.take_back_with_all_on_it(&place.volume));
        if taken.count() > 0 {
            self.foresee(now);
        }
    }

    pub(super) fn drop_requests_that_became_impossible(&mut self) {
        let mut impossible = Vec::new();
        for name in self.requests.names().filter(|name| self.runs.get(name).is_none()) {
            let Some(prospect) = self.plan.prospects().get(name) else { continue };
            let urgency = self.requests.urgency(name);
            let obstacles: Vec<Obstacle> =
                prospect.obstacles().filter(|obstacle| !gives_way(obstacle, urgency)).cloned().collect();
            if !obstacles.is_empty() {
                impossible.push((name.clone(), obstacles));
            }
        }
        for (name, obstacles) in impossible {
            self.requests.drop_run(&name, &obstacles);
        }
    }

    fn cancel(&mut self, asked: &[SyncName], now: &Now, effects: &mut Vec<Effect>) -> Result<Vec<SyncName>, Refusal> {
        let mut cancelled = BTreeSet::new();
        for name in self.meant_to_be_cancelled(asked)? {
            if let Some(stop) = self.checks.cancel(&name, now.boot) {
                effects.push(stop);
                cancelled.insert(name.clone());
            }
            if self.runs.get(&name).is_some() {
                effects.extend(self.runs.stop(&name, Interruption::Cancelled));
                self.requests.drop_behind(&self.runs, |sync| *sync == name);
                cancelled.insert(name);
            } else if self.plan.candidates().contains_key(&name) {
                self.requests.drop_run(&name, &[]);
                if let Some(sync) = self.settings.configuration().syncs.get(&name) {
                    self.histories.set_aside(&name, sync.every, now);
                }
                cancelled.insert(name);
            }
        }
        Ok(cancelled.into_iter().collect())
    }

    /// Also what runs on under a name that the configuration has no longer.
    fn meant_to_be_cancelled(&self, asked: &[SyncName]) -> Result<BTreeSet<SyncName>, Refusal> {
        let bygone: BTreeSet<SyncName> = self.bygone_runs().cloned().collect();
        if asked.is_empty() {
            return Ok(self.settings.resolve(asked)?.into_iter().chain(bygone).collect());
        }
        let (meant, rest): (Vec<_>, Vec<_>) = asked.iter().cloned().partition(|name| bygone.contains(name));
        let known = if rest.is_empty() { BTreeSet::new() } else { self.settings.resolve(&rest)? };
        Ok(meant.into_iter().chain(known).collect())
    }

    /// What runs under a name that the configuration has no longer.
    fn bygone_runs(&self) -> impl Iterator<Item = &SyncName> {
        let known = &self.settings.configuration().syncs;
        self.runs.iter().map(|(name, _)| name).filter(|name| !known.contains_key(*name))
    }

    fn hold(
        &mut self,
        volume: VolumeName,
        length: Pause,
        answer: oneshot::Sender<Result<(), Refusal>>,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(refusal) = self.settings.check_volume(&volume) {
            let _ = answer.send(Err(refusal));
            return;
        }
        self.decisions.hold(&volume, length);
        effects.extend(self.runs.stop_on(&volume, &Interruption::DriveHeld));
        self.requests.await_quiet(volume, answer);
    }

    fn release(&mut self, volume: &VolumeName) -> Result<(), Refusal> {
        self.settings.check_volume(volume)?;
        self.decisions.release(volume);
        self.take_back_with_all_on_it(volume);
        Ok(())
    }

    /// A person prepared these syncs: their drives and sentinels are the right ones from now on.
    fn adopt_what_was_prepared(&mut self, asked: &[SyncName]) {
        for name in self.settings.resolve(asked).unwrap_or_default() {
            let Some(sync) = self.settings.configuration().syncs.get(&name).cloned() else { continue };
            for (end, place) in [(End::Source, &sync.source), (End::Destination, &sync.destination)] {
                self.accept_ids(&name, end, place);
                if let Some(VolumeSight::Present(present)) = self.volumes.get(&place.volume).map(|state| &state.sight)
                    && let Some(hardware) = &present.hardware
                {
                    self.decisions.accept_hardware(&place.volume, hardware.clone());
                }
            }
            self.histories.forget_setback(&name);
        }
    }

    fn prospects_of(&mut self, asked: &[SyncName], now: &Now) -> Result<Vec<SyncAsSeen>, Refusal> {
        let names = self.settings.resolve(asked)?;
        let mut found = Vec::new();
        for name in names {
            let run = self.new_run_id(now);
            let sync = self.settings.configuration().syncs.get(&name);
            found.extend(sync.map(|sync| self.as_seen(sync, run)));
        }
        Ok(found)
    }
}

/// How long something lasts that a person wants for so long.
fn for_so_long(length: Option<Duration>, now: &Now) -> Pause {
    length.and_then(|length| now.wall.checked_add(length).ok()).map_or(Pause::UntilResumed, Pause::Until)
}
