//! All that the daemon knows, and what it does about an event: synchronous, without I/O, with time as an argument.
//!
//! An event changes what is known; then the plan is made anew, whole, and what follows from it is returned as effects.
//! Nothing here waits, so no decision is cancelled half-way.

mod announcements;
mod asks;
mod candidates;
mod checking;
mod checks;
mod closing;
mod containers;
mod decisions;
mod drive_requests;
mod drives;
mod histories;
mod jobs;
mod leftovers;
mod looks;
mod mounting;
mod network;
mod opening;
mod overdue;
mod picture;
mod plan;
mod planning;
mod reach;
mod refused;
mod requests;
mod running;
mod runs;
mod servers;
mod settings;
mod shadow;
mod shortcomings;
mod sites;
mod stage;
mod supposing;
mod suspension;
#[cfg(test)]
mod tests;
mod unusable;
mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use announcements::Announcements;
use checks::Checks;
use decisions::Decisions;
use drive_requests::DriveRequests;
use drives::DriveStates;
use histories::Histories;
use jiff::Timestamp;
use leftovers::{Around, LeftoverDrives};
use looks::Looks;
use network::NetworkState;
use plan::Plan;
use requests::Requests;
use runs::Runs;
use servers::{Asked, Servers};
use settings::{Settings, leads_to_the_same};
use shortcomings::Shortcomings;
use suspension::Suspension;
use volumes::{Arrival, Doing, Volumes};

use crate::backup::check::order::CheckTelling;
use crate::backup::news::WorkerNews;
use crate::daemon::messages::event::{Effect, Event, Notice, Record};
use crate::daemon::messages::look::{LookRequest, Observation, Scope};
use crate::daemon::messages::sensed::Activity;
use crate::model::{
    Configuration, CredentialProvider, Held, Ledger, Now, PowerSight, SyncName, VolumeName, VolumeSight,
};
use crate::os::history::LastRuns;
pub use stage::Initiative;
use stage::LifeStage;

/// All that the daemon knows.
#[derive(Debug)]
pub struct World {
    initiative: Initiative,
    stage: LifeStage,
    started: Timestamp,
    settings: Settings,
    shortcomings: Shortcomings,
    decisions: Decisions,
    volumes: Volumes,
    drives: DriveStates,
    network: NetworkState,
    servers: Servers,
    power: PowerSight,
    suspension: Suspension,
    histories: Histories,
    requests: Requests,
    drive_requests: DriveRequests,
    runs: Runs,
    plan: Plan,
    announcements: Announcements,
    checks: Checks,
    looks: Looks,
    first_look: Option<Timestamp>,
    leftovers: LeftoverDrives,
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
    pub past: BTreeMap<SyncName, LastRuns>,
    /// The seed of run ids and jitter.
    pub seed: u64,
}

impl World {
    /// A world that has not looked around yet.
    #[must_use]
    pub fn new(beginnings: Beginnings, now: &Now) -> Self {
        let Beginnings { initiative, config_file, configuration, ledger, held, past, seed } = beginnings;
        let mut world = Self {
            initiative,
            stage: LifeStage::Starting,
            started: now.wall,
            settings: Settings::new(config_file, configuration),
            shortcomings: Shortcomings::default(),
            decisions: Decisions::new(ledger),
            volumes: Volumes::default(),
            drives: DriveStates::default(),
            network: NetworkState::default(),
            servers: Servers::default(),
            power: PowerSight::default(),
            suspension: Suspension::default(),
            histories: Histories::new(past),
            requests: Requests::default(),
            drive_requests: DriveRequests::default(),
            runs: Runs::default(),
            plan: Plan::default(),
            announcements: Announcements::default(),
            checks: Checks::default(),
            looks: Looks::default(),
            first_look: None,
            leftovers: LeftoverDrives::default(),
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

    /// What is under way, as far as the senses have to know.
    pub(crate) fn activity(&self, now: &Now) -> Activity {
        self.suspension.activity(self.power, now)
    }

    /// Whether a drive waits for a keyring.
    pub(crate) fn waits_for_keyring(&self) -> bool {
        self.settings.configuration().credentials == CredentialProvider::SecretService && self.drives.wait_for_keyring()
    }

    /// Something may have changed that this look would show.
    pub(crate) fn owe_look(&mut self, scope: Scope) {
        if scope.has_blocks() {
            self.drives.blocks_changed();
        }
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
                self.runs.progressed(&sync, progress);
                // Progress changes nothing that a plan depends on.
                return effects;
            }
            Event::News(WorkerNews::Life { run, sync, life }) => self.run_lives(&sync, &run, life, now, &mut effects),
            Event::News(WorkerNews::Ended(report)) => self.run_ended(&report, now, &mut effects),
            Event::Check(CheckTelling::Progress(run, progress)) => {
                self.check_told(CheckTelling::Progress(run, progress), now, &mut effects);
                return effects;
            }
            Event::Check(telling) => self.check_told(telling, now, &mut effects),
            Event::Looked(observation) => self.looked(*observation, now, &mut effects),
            Event::Probed(report) => self.probed(&report, now, &mut effects),
            Event::Network(network, extent) => self.network_seen(*network, extent, now, &mut effects),
            Event::RoutesChanged(extent) => self.routes_changed(extent, now),
            Event::Power(power) => self.power = power,
            Event::GoingToSleep => {
                self.suspension.announced(now);
                effects.extend(self.runs.suspend());
            }
            Event::Woke => self.wake(now),
            Event::Drive(news) => self.drive_news(news, now, &mut effects),
            Event::KeyringChanged => self.drives.keyring_changed(now),
            Event::Asked(ask) => self.asked(ask, now, &mut effects),
            Event::Configured(read) => self.configured(read, now, &mut effects),
            Event::Deadline => {}
            Event::ClockJumped => {
                self.looks.ask(Scope::everything());
            }
            Event::Degraded(neighbour, sentence) => {
                effects.extend(self.shortcomings.note(neighbour, sentence).map(Effect::Tell));
            }
            Event::Stop if self.stage == LifeStage::Stopping => {
                self.leave_drives_open();
                self.stop(&mut effects);
            }
            Event::Stop => self.stop_in_time(now, &mut effects),
            Event::Abandoned => self.stop(&mut effects),
        }
        // Behind each event: one that comes at the very moment of the alarm sets it anew, and it does not go off.
        if self.suspension.is_overdue(now) {
            self.wake(now);
        }
        self.servers.ask_again(now);
        self.settle_drives(now, &mut effects);
        self.put_questions(now, &mut effects);
        effects.extend(self.runs.stop_the_groundless(&self.volumes));
        self.replan(now, &mut effects);
        self.answer_what_waited_for(now, &mut effects);
        self.requests.answer_where_it_is_quiet(&self.runs, &self.checks, self.decisions.ledger(), now.boot);
        effects.extend(self.suspension.let_sleep(&self.runs));
        self.announce(now, &mut effects);
        if let Some(ledger) = self.decisions.take_unwritten() {
            // Before what follows from it.
            effects.insert(0, Effect::Record(Record::Ledger(ledger)));
        }
        if self.stage == LifeStage::Stopping && self.runs.is_empty() && !self.drives_are_busy() {
            effects.push(Effect::Finish);
        }
        effects
    }

    fn looked(&mut self, observation: Observation, now: &Now, effects: &mut Vec<Effect>) {
        let Observation { configuration, cause, volumes, syncs, devices, degraded } = observation;
        if !Arc::ptr_eq(&configuration, self.settings.configuration()) {
            // It tells of places that go by other names now.
            self.looks.taken_in_vain(cause);
            return;
        }
        self.looks.taken(cause);
        for (name, sight) in volumes {
            let medium = self.medium_of(&name, &devices);
            self.volume_stands(&name, sight, medium, now, effects);
        }
        for (name, sight) in syncs {
            self.volumes.take_in_local_ends(&self.settings, &name, sight);
        }
        self.volumes.see_devices(devices);
        self.learn_containers();
        effects.extend(
            self.shortcomings.note("looks", (!degraded.is_empty()).then(|| degraded.join("; "))).map(Effect::Tell),
        );
        if self.stage == LifeStage::Starting {
            self.stage = LifeStage::Working;
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
        let is_ours = !self.drives.are_idle(&self.settings.on_the_drive_of(name));
        let whose = if is_ours { Doing::Ours } else { Doing::Theirs };
        let Some(change) = self.volumes.take_in(name, (sight, medium), whose, now) else { return };
        effects.extend(change.notice.map(Effect::Tell));
        if change.arrival == Arrival::PluggedIn {
            self.drives.plugged_in(name);
        }
        if change.whose == Doing::Theirs {
            for sync in self.settings.users_of(name) {
                self.histories.volume_changed(&sync.name, change.appearance);
            }
        }
    }

    fn configured(&mut self, read: Result<Arc<Configuration>, String>, now: &Now, effects: &mut Vec<Effect>) {
        match read {
            Ok(configuration) => {
                self.settings.forget_error();
                if configuration != *self.settings.configuration() {
                    let before = Arc::clone(self.settings.configuration());
                    self.part_with_what_is_another(&before, &configuration);
                    self.settings.replace(configuration);
                    self.fit_to_configuration(now);
                    self.refuse_drive_requests(&before);
                    self.leftovers.try_again(now);
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
        self.volumes.fit(&configuration, now);
        self.drives.fit(&configuration);
        self.servers.fit(&configuration);
        self.network.fit(&configuration);
        self.histories.fit(configuration.syncs.keys());
        self.learn_syncs(&configuration, now);
        self.requests.drop_runs(|name| !configuration.syncs.contains_key(name));
    }

    /// Forgets volumes that are not what they were; those of them that we opened are closed.
    fn part_with_what_is_another(&mut self, before: &Configuration, after: &Configuration) {
        let volumes: Vec<VolumeName> = self.volumes.names().cloned().collect();
        for volume in volumes.iter().filter(|name| !leads_to_the_same(before, after, name)) {
            self.volumes.forget(volume);
            let phase = self.drives.forget(volume);
            let around = Around { settings: &self.settings, decisions: &self.decisions, network: &self.network };
            self.leftovers.part_with(volume, phase, around);
        }
    }

    /// Everything may be different after a sleep: drives were pulled, networks left.
    fn wake(&mut self, now: &Now) {
        self.suspension.over(now);
        self.looks.ask(Scope::everything());
        self.ask_servers(&Asked::All);
    }

    fn stop(&mut self, effects: &mut Vec<Effect>) {
        self.stage = LifeStage::Stopping;
        effects.extend(self.runs.end_all());
        let runs = &self.runs;
        self.requests.drop_runs(|name| runs.get(name).is_none());
        self.requests.drop_behind(runs, |_| true);
    }
}
