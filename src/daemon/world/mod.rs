//! All that the daemon knows, and what it does about an event: synchronous, without I/O, with time as an argument.
//!
//! An event changes what is known; then the plan is made anew, whole, and what follows from it is returned as effects.
//! Nothing here waits, so no decision is cancelled half-way.

mod announcements;
mod asks;
mod candidates;
mod containers;
mod decisions;
mod drives;
mod jobs;
mod leftovers;
mod lessons;
mod looks;
mod memory;
mod network;
mod picture;
mod plan;
mod reach;
mod refused;
mod runs;
mod servers;
mod settings;
mod shortcomings;
mod sites;
mod sleep;
#[cfg(test)]
mod tests;
mod volumes;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use announcements::Told;
use decisions::Decisions;
use jiff::Timestamp;
use leftovers::Leftover;
use looks::Looks;
use memory::SyncMemory;
use network::Network;
use plan::Plan;
use reach::Asked;
use runs::Run;
use servers::{Awaited, Servers};
use settings::{Settings, leads_to_the_same};
use shortcomings::Shortcomings;
use sleep::Sleep;
use tokio::sync::{mpsc, oneshot};
use volumes::{Appearance, Doing, VolumeState};
use words::Words;

use crate::backup::news::WorkerNews;
use crate::daemon::messages::ask::{Ask, Refusal, RequestEnd, Urgency};
use crate::daemon::messages::event::{Effect, Event, Keep, Notice};
use crate::daemon::messages::look::{LookRequest, Observation, Scope};
use crate::decide::flight::Ticket;
use crate::model::{
    BlockDevice, Configuration, Held, Interruption, Ledger, Now, PowerSight, SyncName, SyncSight, VolumeName,
    VolumeSight,
};
use crate::os::history::Past;

/// Whether the daemon starts runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiative {
    /// It does.
    Own,
    /// It only does what its one client asks.
    OnRequest,
    /// It only looks, for its one client, and changes nothing.
    Never,
}

/// How the daemon stands to its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// No look has been taken yet; questions wait for it.
    Starting,
    /// It works.
    Working,
    /// It was asked to end; runs are being stopped.
    Stopping,
}

/// What a person asked of one sync.
#[derive(Debug)]
struct Request {
    urgency: Urgency,
    ends: Vec<mpsc::Sender<RequestEnd>>,
}

/// A question of a client that is answered once this look is taken, and these servers have answered.
#[derive(Debug)]
struct Unanswered {
    look: Ticket,
    servers: Awaited,
    ask: Ask,
}

/// All that the daemon knows.
#[derive(Debug)]
pub struct World {
    initiative: Initiative,
    stage: Stage,
    started: Timestamp,
    settings: Settings,
    shortcomings: Shortcomings,
    decisions: Decisions,
    volumes: BTreeMap<VolumeName, VolumeState>,
    network: Network,
    servers: Servers,
    power: PowerSight,
    sleep: Sleep,
    ends: BTreeMap<SyncName, SyncSight>,
    devices: Vec<BlockDevice>,
    memory: BTreeMap<SyncName, SyncMemory>,
    requests: BTreeMap<SyncName, Request>,
    runs: BTreeMap<SyncName, Run>,
    plan: Plan,
    told: Told,
    looks: Looks,
    first_look: Option<Timestamp>,
    unanswered: Vec<Unanswered>,
    words: Words,
    leftovers: Vec<Leftover>,
    /// Whoever waits until nothing runs on a volume.
    awaiting_quiet: Vec<(VolumeName, oneshot::Sender<Result<(), Refusal>>)>,
    /// A source of numbers for run ids and jitter, so that the world itself stays without chance.
    dice: fastrand::Rng,
}

/// What a world is made of.
#[derive(Debug)]
pub struct Beginnings {
    /// Whether it starts runs by itself.
    pub initiative: Initiative,
    /// The configuration file.
    pub config_file: PathBuf,
    /// What it says.
    pub configuration: Arc<Configuration>,
    /// What people decided and what was seen before.
    pub ledger: Ledger,
    /// The drives that a dead daemon left open.
    pub held: Vec<Held>,
    /// What history knows of each sync.
    pub past: BTreeMap<SyncName, Past>,
    /// The seed of run ids and jitter.
    pub seed: u64,
}

impl World {
    /// A world that has not looked around yet.
    #[must_use]
    pub fn new(beginnings: Beginnings, now: &Now) -> Self {
        let Beginnings { initiative, config_file, configuration, ledger, held, past, seed } = beginnings;
        let memory = past.into_iter().map(|(name, past)| (name, SyncMemory::from_history(past))).collect();
        let mut world = Self {
            initiative,
            stage: Stage::Starting,
            started: now.wall,
            settings: Settings::new(config_file, configuration),
            shortcomings: Shortcomings::default(),
            decisions: Decisions::new(ledger),
            volumes: BTreeMap::new(),
            network: Network::default(),
            servers: Servers::default(),
            power: PowerSight::default(),
            sleep: Sleep::default(),
            ends: BTreeMap::new(),
            devices: Vec::new(),
            memory,
            requests: BTreeMap::new(),
            runs: BTreeMap::new(),
            plan: Plan::default(),
            told: Told::default(),
            looks: Looks::default(),
            first_look: None,
            unanswered: Vec::new(),
            words: Words::default(),
            leftovers: Vec::new(),
            awaiting_quiet: Vec::new(),
            dice: fastrand::Rng::with_seed(seed),
        };
        world.fit_to_configuration(now);
        for held in held {
            world.take_over(held);
        }
        world
    }

    /// The configuration in force.
    #[must_use]
    pub fn configuration(&self) -> &Arc<Configuration> {
        self.settings.configuration()
    }

    /// Something may have changed that this look would show.
    pub(crate) fn owe_look(&mut self, scope: Scope) {
        self.looks.ask(scope);
    }

    /// Whether a look is owed, and none is under way.
    pub(crate) fn can_look(&self) -> bool {
        self.looks.can_begin()
    }

    /// Begins the look that is owed, if one can begin.
    pub(crate) fn begin_look(&mut self) -> Option<LookRequest> {
        let configuration = Arc::clone(self.settings.configuration());
        let containers = Arc::clone(self.decisions.containers());
        Some(LookRequest { scope: self.looks.begin()?, configuration, containers })
    }

    /// Takes in what happened, and answers with what is to be done.
    pub fn step(&mut self, event: Event, now: &Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::News(WorkerNews::Progress { sync, progress, .. }) => {
                if let Some(run) = self.runs.get_mut(&sync) {
                    run.progress = progress;
                }
                // Progress changes nothing that a plan depends on.
                return effects;
            }
            Event::News(WorkerNews::Ended(report)) => self.run_ended(&report, now, &mut effects),
            Event::Looked(observation) => self.looked(*observation, now, &mut effects),
            Event::Probed(report) => self.probed(&report, now, &mut effects),
            Event::Network(network) => self.network_seen(*network, now, &mut effects),
            Event::RoutesChanged => self.routes_changed(now),
            Event::Power(power) => self.power = power,
            Event::GoingToSleep => self.go_to_sleep(now, &mut effects),
            Event::Woke => self.wake(now),
            Event::Drive(news) => self.drive_news(news, now, &mut effects),
            Event::KeyringChanged => self.keyring_changed(now),
            Event::Asked(ask) => self.asked(ask, now, &mut effects),
            Event::Configured(read) => self.configured(read, now, &mut effects),
            Event::Deadline => {}
            Event::ClockJumped => {
                self.looks.ask(Scope::everything());
            }
            Event::Degraded(neighbour, sentence) => {
                effects.extend(self.shortcomings.note(neighbour, sentence).map(Effect::Tell));
            }
            Event::Stop if self.stage == Stage::Stopping => {
                self.leave_drives_open();
                self.stop(&mut effects);
            }
            Event::Stop | Event::Abandoned => self.stop(&mut effects),
        }
        // Behind each event: one that comes at the very moment of the alarm sets it anew, and it does not go off.
        self.wake_if_nobody_slept(now);
        self.servers.ask_again(now);
        self.settle_drives(now, &mut effects);
        self.put_questions(now, &mut effects);
        self.stop_runs_whose_ground_is_gone(&mut effects);
        self.replan(now, &mut effects);
        self.answer_what_waited_for(now, &mut effects);
        self.let_sleep(&mut effects);
        self.announce_changes(now, &mut effects);
        if let Some(ledger) = self.decisions.take_unwritten() {
            // Before what follows from it.
            effects.insert(0, Effect::Keep(Keep::Ledger(ledger)));
        }
        if self.stage == Stage::Stopping && self.runs.is_empty() && !self.drives_are_busy() {
            effects.push(Effect::Finish);
        }
        effects
    }

    fn looked(&mut self, observation: Observation, now: &Now, effects: &mut Vec<Effect>) {
        let Observation { configuration, occasion, volumes, syncs, devices, degraded } = observation;
        if !Arc::ptr_eq(&configuration, self.settings.configuration()) {
            // It tells of places that go by other names now.
            self.looks.taken_in_vain(occasion);
            return;
        }
        self.looks.taken(occasion);
        for (name, sight) in volumes {
            let medium = self.medium_of(&name, &devices);
            self.volume_stands(&name, sight, medium, now, effects);
        }
        for (name, sight) in syncs {
            self.local_ends_stand(&name, sight);
        }
        self.devices = devices;
        self.learn_containers();
        effects.extend(
            self.shortcomings.note("looks", (!degraded.is_empty()).then(|| degraded.join("; "))).map(Effect::Tell),
        );
        if self.stage == Stage::Starting {
            self.stage = Stage::Working;
            self.first_look = Some(now.wall);
        }
    }

    /// A volume stands so now; for a drive with the sequence number of the medium, if that is known.
    fn volume_stands(
        &mut self,
        name: &VolumeName,
        sight: VolumeSight,
        medium: Option<u64>,
        now: &Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.volumes.get(name).is_none_or(|state| state.sight == sight) {
            return;
        }
        let is_in_hand = |name: &VolumeName| self.volumes.get(name).is_some_and(|state| state.hand.is_on());
        let whose =
            if self.settings.on_the_drive_of(name).iter().any(is_in_hand) { Doing::Ours } else { Doing::Theirs };
        let Some(state) = self.volumes.get_mut(name) else { return };
        let appeared = state.is_another_mount(&sight);
        let (doing, notice) = state.update(name, (sight, medium), whose, now);
        effects.extend(notice.map(Effect::Tell));
        if doing == Doing::Theirs {
            self.forget_setbacks_on(name, appeared);
        }
    }

    /// What set a sync back may be gone with the change of one of its volumes; and one that went and came between two
    /// looks has come within reach anew.
    fn forget_setbacks_on(&mut self, volume: &VolumeName, appeared: Appearance) {
        for sync in self.settings.configuration().syncs.values() {
            if (sync.source.volume == *volume || sync.destination.volume == *volume)
                && let Some(memory) = self.memory.get_mut(&sync.name)
            {
                memory.setback = None;
                if appeared == Appearance::Anew {
                    memory.in_reach_since = None;
                }
            }
        }
    }

    fn configured(&mut self, read: Result<Arc<Configuration>, String>, now: &Now, effects: &mut Vec<Effect>) {
        match read {
            Ok(configuration) => {
                self.settings.forget_error();
                if configuration != *self.settings.configuration() {
                    let before = Arc::clone(self.settings.configuration());
                    self.part_with(|name| !leads_to_the_same(&before, &configuration, name));
                    self.settings.replace(configuration);
                    self.fit_to_configuration(now);
                    self.refuse_words_of_others(&before);
                    self.try_leftovers_again(now);
                    self.looks.ask(Scope::everything());
                    self.ask_servers(&Asked::All);
                }
                let notice = Notice::ConfigurationInForce { syncs: self.settings.configuration().syncs.len() };
                effects.push(Effect::Tell(notice));
            }
            Err(mistakes) => {
                effects.push(Effect::Tell(Notice::ConfigurationRefused(mistakes.clone())));
                self.settings.refuse(mistakes);
            }
        }
    }

    /// Makes room for what the configuration names, and forgets what it names no longer. History is not touched.
    fn fit_to_configuration(&mut self, now: &Now) {
        let configuration = Arc::clone(self.settings.configuration());
        self.volumes.retain(|name, _| configuration.volumes.contains_key(name));
        for (name, volume) in &configuration.volumes {
            self.volumes.entry(name.clone()).or_insert_with(|| VolumeState::new(now));
            if let Some(state) = self.volumes.get_mut(name) {
                state.settle_for(volume);
            }
        }
        self.servers.fit(&configuration);
        self.network.fit(&configuration);
        // What was seen may have been seen elsewhere: nothing starts before the look that this brings about.
        self.ends.clear();
        for name in configuration.syncs.keys() {
            let memory = self.memory.entry(name.clone()).or_default();
            // A failure that only a person can mend may be mended by what they just wrote.
            memory.setback = None;
            self.forget_other_places(name);
        }
        let gone: Vec<_> =
            self.requests.keys().filter(|name| !configuration.syncs.contains_key(name)).cloned().collect();
        for name in gone {
            self.drop_request(&name, &[]);
        }
    }

    fn stop(&mut self, effects: &mut Vec<Effect>) {
        self.stage = Stage::Stopping;
        for name in self.runs.keys() {
            effects.push(Effect::StopRun(name.clone(), Interruption::Stopping));
        }
        let requested: Vec<_> = self.requests.keys().filter(|name| !self.runs.contains_key(*name)).cloned().collect();
        for name in requested {
            self.drop_request(&name, &[]);
        }
    }
}
