//! All that the daemon knows, and what it does about an event: synchronous, without I/O, with time as an argument.
//!
//! An event changes what is known; then the plan is made anew, whole, and what follows from it is returned as effects.
//! Nothing here waits, so no decision is cancelled half-way.

mod announcements;
mod asks;
mod memory;
mod picture;
mod plan;
mod runs;
#[cfg(test)]
mod tests;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::daemon::ask::{Ask, Refusal, RequestEnd, Urgency};
use crate::daemon::job::{Job, WorkerNews};
use crate::daemon::observer::{Observation, Scope};
use crate::model::{
    Announcement, BlockDevice, Configuration, Interruption, Ledger, Now, RunId, RunRecord, SyncName, SyncSight,
    Trigger, VolumeName, VolumeRoot, upstreams,
};
use crate::os::history::{Entry, Past};

use announcements::Told;
use memory::SyncMemory;
use plan::Plan;
use runs::Run;
use volumes::{Appearance, VolumeState};

/// What can happen. The set is closed: whatever the daemon reacts to is one of these.
#[derive(Debug)]
pub enum Event {
    /// A look was taken; it covers this many of the looks that the world has asked for since it began.
    Looked(Box<Observation>, u64),
    /// A worker says something.
    News(WorkerNews),
    /// A client asks something.
    Asked(Ask),
    /// The configuration file was read anew.
    Configured(Result<Arc<Configuration>, String>),
    /// The alarm went off.
    Deadline,
    /// The wall clock was set.
    ClockJumped,
    /// A neighbour works no longer, or again; the sentence says what is missing.
    Degraded(&'static str, Option<String>),
    /// A signal or the service manager asks the daemon to end.
    Stop,
    /// The client for whom the daemon's work is done without a daemon has left.
    Abandoned,
}

/// What is to be done about an event.
#[derive(Debug)]
pub enum Effect {
    /// Look at this.
    Look(Scope),
    /// Start a run.
    Start(Box<Job>),
    /// Stop a run.
    StopRun(SyncName, Interruption),
    /// Write something down.
    Keep(Keep),
    /// Wake at this moment; never, if there is none.
    Alarm(Option<Timestamp>),
    /// Tell journal and service manager.
    Tell(Notice),
    /// Tell the person at the desk.
    Announce(Announcement),
    /// Nothing runs any more, and the daemon was asked to end.
    Finish,
}

/// What is to be written down.
#[derive(Debug, Clone)]
pub enum Keep {
    /// A run began or ended.
    Run(Entry),
    /// People decided something, or something was seen for the first time.
    Ledger(Box<Ledger>),
}

/// What is worth a line in the journal.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A run begins.
    RunStarted {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// What made it start.
        trigger: Trigger,
    },
    /// A run ended.
    RunEnded(Box<RunRecord>),
    /// A volume came within reach.
    VolumeCame(VolumeName, PathBuf),
    /// A volume went out of reach.
    VolumeWent(VolumeName),
    /// The configuration was read anew.
    ConfigurationInForce {
        /// How many syncs it holds.
        syncs: usize,
    },
    /// The configuration file has mistakes; the old one stays in force.
    ConfigurationRefused(String),
    /// A copy is older than `max-age`.
    Overdue(SyncName),
    /// A drive may be pulled out: everything is written, and nothing of it is in use any more.
    SafeToRemove(VolumeName),
    /// A neighbour works no longer.
    Degraded(String),
}

/// Whether the daemon starts runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiative {
    /// It does.
    Own,
    /// It only does what its one client asks.
    OnRequest,
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

/// All that the daemon knows.
#[derive(Debug)]
pub struct World {
    initiative: Initiative,
    stage: Stage,
    started: Timestamp,
    config_file: PathBuf,
    configuration: Arc<Configuration>,
    upstreams: BTreeMap<SyncName, BTreeSet<SyncName>>,
    config_error: Option<String>,
    degraded: BTreeMap<&'static str, String>,
    ledger: Ledger,
    volumes: BTreeMap<VolumeName, VolumeState>,
    ends: BTreeMap<SyncName, SyncSight>,
    devices: Vec<BlockDevice>,
    memory: BTreeMap<SyncName, SyncMemory>,
    requests: BTreeMap<SyncName, Request>,
    runs: BTreeMap<SyncName, Run>,
    plan: Plan,
    told: Told,
    /// How many looks were asked for.
    looks: u64,
    /// When the first look was taken.
    first_look: Option<Timestamp>,
    /// Questions that need a fresh look first: the one of this number.
    unanswered: Vec<(u64, Ask)>,
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
    /// What history knows of each sync.
    pub past: BTreeMap<SyncName, Past>,
    /// The seed of run ids and jitter.
    pub seed: u64,
}

impl World {
    /// A world that has not looked around yet.
    #[must_use]
    pub fn new(beginnings: Beginnings, now: &Now) -> Self {
        let Beginnings { initiative, config_file, configuration, ledger, past, seed } = beginnings;
        let memory = past.into_iter().map(|(name, past)| (name, SyncMemory::from_history(past))).collect();
        let mut world = Self {
            initiative,
            stage: Stage::Starting,
            started: now.wall,
            config_file,
            upstreams: upstreams(&configuration.syncs),
            configuration,
            config_error: None,
            degraded: BTreeMap::new(),
            ledger,
            volumes: BTreeMap::new(),
            ends: BTreeMap::new(),
            devices: Vec::new(),
            memory,
            requests: BTreeMap::new(),
            runs: BTreeMap::new(),
            plan: Plan::default(),
            told: Told::default(),
            looks: 0,
            first_look: None,
            unanswered: Vec::new(),
            awaiting_quiet: Vec::new(),
            dice: fastrand::Rng::with_seed(seed),
        };
        world.fit_to_configuration(now);
        world
    }

    /// The configuration in force.
    #[must_use]
    pub fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
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
            Event::Looked(observation, covered) => self.looked(*observation, covered, now, &mut effects),
            Event::Asked(ask) => self.asked(ask, now, &mut effects),
            Event::Configured(read) => self.configured(read, now, &mut effects),
            Event::Deadline => {}
            Event::ClockJumped => {
                self.look(Scope::everything(), &mut effects);
            }
            Event::Degraded(source, sentence) => self.degraded(source, sentence, &mut effects),
            Event::Stop | Event::Abandoned => self.stop(&mut effects),
        }
        self.replan(now, &mut effects);
        self.announce_changes(now, &mut effects);
        if self.stage == Stage::Stopping && self.runs.is_empty() {
            effects.push(Effect::Finish);
        }
        effects
    }

    /// Asks for a look, and returns its number.
    fn look(&mut self, scope: Scope, effects: &mut Vec<Effect>) -> u64 {
        self.looks += 1;
        effects.push(Effect::Look(scope));
        self.looks
    }

    fn looked(&mut self, observation: Observation, covered: u64, now: &Now, effects: &mut Vec<Effect>) {
        let Observation { configuration, volumes, syncs, devices, degraded, .. } = observation;
        if !Arc::ptr_eq(&configuration, &self.configuration) {
            // It tells of places that go by other names now. A look at the new ones is owed, and answers all questions.
            return;
        }
        for (name, sight) in volumes {
            let Some(state) = self.volumes.get_mut(&name).filter(|state| state.sight != sight) else { continue };
            let appeared = state.is_another_mount(&sight);
            effects.extend(state.update(&name, sight, now).map(Effect::Tell));
            self.forget_setbacks_on(&name, appeared);
        }
        self.ends.extend(syncs.into_iter().filter(|(name, _)| self.configuration.syncs.contains_key(name)));
        self.devices = devices;
        self.degraded("looks", (!degraded.is_empty()).then(|| degraded.join("; ")), effects);
        self.stop_runs_whose_ground_is_gone(effects);
        if self.stage == Stage::Starting {
            self.stage = Stage::Working;
            self.first_look = Some(now.wall);
        }
        self.answer_what_waited_for(covered, now, effects);
    }

    /// What set a sync back may be gone with the change of one of its volumes; and one that went and came between two
    /// looks has come within reach anew.
    fn forget_setbacks_on(&mut self, volume: &VolumeName, appeared: Appearance) {
        for sync in self.configuration.syncs.values() {
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
                self.config_error = None;
                if configuration != self.configuration {
                    self.upstreams = upstreams(&configuration.syncs);
                    self.volumes.retain(|name, _| leads_to_the_same(&self.configuration, &configuration, name));
                    self.configuration = configuration;
                    self.fit_to_configuration(now);
                    self.look(Scope::everything(), effects);
                }
                let syncs = self.configuration.syncs.len();
                effects.push(Effect::Tell(Notice::ConfigurationInForce { syncs }));
            }
            Err(mistakes) => {
                effects.push(Effect::Tell(Notice::ConfigurationRefused(mistakes.clone())));
                self.config_error = Some(mistakes);
            }
        }
    }

    /// Makes room for what the configuration names, and forgets what it names no longer. History is not touched.
    fn fit_to_configuration(&mut self, now: &Now) {
        let configuration = Arc::clone(&self.configuration);
        self.volumes.retain(|name, _| configuration.volumes.contains_key(name));
        for (name, volume) in &configuration.volumes {
            self.volumes.entry(name.clone()).or_insert_with(|| VolumeState::new(now));
            if let Some(state) = self.volumes.get_mut(name) {
                state.settle_for(volume);
            }
        }
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

    fn degraded(&mut self, source: &'static str, sentence: Option<String>, effects: &mut Vec<Effect>) {
        match sentence {
            Some(sentence) if self.degraded.get(source) != Some(&sentence) => {
                effects.push(Effect::Tell(Notice::Degraded(sentence.clone())));
                self.degraded.insert(source, sentence);
            }
            Some(_) => {}
            None => {
                self.degraded.remove(source);
            }
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

/// Whether a volume is where it was: what was seen of another place tells nothing of the one that has its name now.
fn leads_to_the_same(before: &Configuration, after: &Configuration, name: &VolumeName) -> bool {
    match (before.volumes.get(name).map(|volume| &volume.root), after.volumes.get(name).map(|volume| &volume.root)) {
        (Some(VolumeRoot::Drive(before)), Some(VolumeRoot::Drive(after))) => before.uuid == after.uuid,
        (before, after) => before == after,
    }
}
