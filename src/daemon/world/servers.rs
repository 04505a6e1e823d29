//! The servers: which of them are asked how they stand, and when. One question to a server is under way at most, and
//! one more is owed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::daemon::messages::probe::{ProbeNeed, ProbeOrder, ProbeReport};
use crate::daemon::world::network::NetworkState;
use crate::decide::flight::{Departure, Flight, Ticket};
use crate::decide::reach;
use crate::model::{
    BootTime, ChangeExtent, Configuration, Containers, HostFault, Now, ServerKey, ServerSight, SyncName, VolumeName,
    Ways,
};

/// The servers that the configuration names.
#[derive(Debug, Clone, Default)]
pub(super) struct Servers(BTreeMap<ServerKey, Server>);

/// What is known of a server.
#[derive(Debug, Clone)]
struct Server {
    questions: Flight,
    /// What is owed.
    owed: ProbeNeed,
    /// What is under way.
    put: ProbeNeed,
    /// How the ways to it led when it was asked last.
    ways: Ways,
    /// How often in a row it was out of reach.
    failures: u32,
    /// How often in a row it was reached while a drive was not plugged in that we open there.
    missing: u32,
    /// When it is asked again because of either: nobody tells when a server is switched on, or a drive plugged into it.
    again: Option<BootTime>,
    /// The fault that a person was told of.
    reported: Option<HostFault>,
}

/// Nothing is owed: whatever is asked is more than this.
const NOTHING: ProbeNeed = ProbeNeed::Doubt(ChangeExtent::Inside);

impl Default for Server {
    fn default() -> Self {
        Self {
            questions: Flight::default(),
            owed: NOTHING,
            put: NOTHING,
            ways: Ways::default(),
            failures: 0,
            missing: 0,
            again: None,
            reported: None,
        }
    }
}

/// Questions to servers that somebody waits for.
pub(super) type Awaited = BTreeMap<ServerKey, Ticket>;

/// Which servers are asked.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// All.
    All,
    /// Those that these syncs lead to.
    Of(Vec<SyncName>),
    /// The one that this volume is on, if it is on any.
    OfVolume(VolumeName),
    /// Those of which nothing is known yet.
    Unknown,
}

/// What becomes of the questions that are owed.
#[derive(Debug, Default)]
pub(super) struct OwedQuestions {
    /// These are put.
    pub(super) orders: Vec<ProbeOrder>,
    /// To these servers no way leads from here.
    pub(super) elsewhere: Vec<ServerKey>,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ProbeOutcome {
    /// It is of a configuration or a server that is named no longer.
    Void,
    /// The ways to the server are as they were, and so is what is known of it.
    AsBefore,
    /// The server was reached.
    Reached,
    /// It was not, and nobody knows why.
    Lost,
    /// It was not, because of this.
    Faulty {
        fault: HostFault,
        /// Whether a person has to be told.
        report: Report,
    },
}

/// Whether a person has to be told of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Yes,
    No,
}

impl Servers {
    /// Makes room for the servers that the configuration names, and forgets the others.
    pub(super) fn fit(&mut self, configuration: &Configuration) {
        let named = reach::servers(configuration);
        self.0.retain(|key, _| named.contains_key(key));
        for key in named.into_keys() {
            self.0.entry(key).or_default();
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<ServerKey> {
        self.0.keys().cloned().collect()
    }

    /// Those of which nothing is known yet.
    pub(super) fn unknown(&self) -> BTreeSet<ServerKey> {
        let unknown = self.0.iter().filter(|(_, server)| !server.questions.has_landed());
        unknown.map(|(key, _)| key.clone()).collect()
    }

    /// Asks these how they stand, and returns what to wait for.
    pub(super) fn ask(&mut self, keys: BTreeSet<ServerKey>) -> Awaited {
        let mut awaited = Awaited::new();
        for key in keys {
            if let Some(server) = self.0.get_mut(&key) {
                (server.again, server.owed) = (None, ProbeNeed::Question);
                awaited.insert(key, server.questions.ask());
            }
        }
        awaited
    }

    /// Asks those whose time has come.
    pub(super) fn ask_again(&mut self, now: &Now) {
        for server in self.0.values_mut().filter(|server| server.again.is_some_and(|again| again <= now.boot)) {
            server.questions.ask();
            (server.again, server.owed) = (None, ProbeNeed::Question);
        }
    }

    /// A server may be reached now, or no longer: those are asked to which other ways lead now.
    pub(super) fn doubt(&mut self, extent: ChangeExtent) {
        for server in self.0.values_mut() {
            server.questions.ask();
            server.owed = server.owed.max(ProbeNeed::Doubt(extent));
        }
    }

    /// Puts the questions that are owed, except where one is under way. Nothing is asked before the network is known.
    pub(super) fn put_questions(
        &mut self,
        configuration: &Arc<Configuration>,
        containers: &Containers,
        network: &NetworkState,
    ) -> OwedQuestions {
        let mut questions = OwedQuestions::default();
        let Some(sight) = network.sight() else { return questions };
        for (key, server) in self.0.iter_mut().filter(|(_, server)| server.questions.can_depart()) {
            let routes = reach::routes(key, configuration, network.locations());
            if routes.is_empty() {
                server.questions.answer_at_once();
                (server.reported, server.ways) = (None, Ways::default());
                questions.elsewhere.push(key.clone());
            } else if server.questions.depart() == Departure::Yes {
                server.put = std::mem::replace(&mut server.owed, NOTHING);
                questions.orders.push(ProbeOrder {
                    configuration: Arc::clone(configuration),
                    probe: reach::probe(key, routes, configuration, containers),
                    network: Arc::clone(sight),
                    before: server.ways.clone(),
                    need: server.put,
                });
            }
        }
        questions
    }

    /// Takes in an answer.
    pub(super) fn take_in(
        &mut self,
        report: &ProbeReport,
        configuration: &Arc<Configuration>,
        jitter: u16,
        now: &Now,
    ) -> ProbeOutcome {
        let Some(server) = self.0.get_mut(&report.probe.server) else { return ProbeOutcome::Void };
        if !Arc::ptr_eq(&report.configuration, configuration) {
            // What was asked may not be what is named now.
            server.questions.lose();
            server.owed = ProbeNeed::Question;
            return ProbeOutcome::Void;
        }
        server.questions.land();
        if report.sight != ServerSight::AsBefore {
            server.ways.clone_from(&report.ways);
            if server.put != ProbeNeed::Question {
                // How often it was not reached by other ways says nothing about what comes.
                (server.failures, server.missing) = (0, 0);
            }
        }
        match &report.sight {
            ServerSight::AsBefore => ProbeOutcome::AsBefore,
            ServerSight::Reached(_) => {
                (server.failures, server.again, server.reported) = (0, None, None);
                ProbeOutcome::Reached
            }
            ServerSight::OutOfReach(faults) => {
                server.failures = server.failures.saturating_add(1);
                server.again = Some(now.boot.after(reach::wait(server.failures, jitter)));
                let Some(fault) = reach::most_telling(faults).cloned() else { return ProbeOutcome::Lost };
                if fault.asks_person() && server.reported.as_ref() != Some(&fault) {
                    server.reported = Some(fault.clone());
                    return ProbeOutcome::Faulty { fault, report: Report::Yes };
                }
                ProbeOutcome::Faulty { fault, report: Report::No }
            }
        }
    }

    /// A drive that we open at a server is not plugged in there: it is asked again, soon and then seldom.
    pub(super) fn drive_is_missing(&mut self, key: &ServerKey, jitter: u16, now: &Now) {
        let Some(server) = self.0.get_mut(key) else { return };
        server.missing = server.missing.saturating_add(1);
        server.again = Some(now.boot.after(reach::wait(server.missing, jitter)));
    }

    /// All drives that we open at a server are plugged in there.
    pub(super) fn no_drive_is_missing(&mut self, key: &ServerKey) {
        if let Some(server) = self.0.get_mut(key) {
            server.missing = 0;
        }
    }

    /// Nothing new comes of the questions that are under way.
    pub(super) fn land_all(&mut self) {
        self.0.values_mut().for_each(|server| server.questions.land());
    }

    /// Whether all these questions are answered. A server that the configuration names no longer is not waited for.
    pub(super) fn have_answered(&self, awaited: &Awaited) -> bool {
        let is_answered =
            |(key, ticket): (_, &Ticket)| self.0.get(key).is_none_or(|server| server.questions.has_answered(*ticket));
        awaited.iter().all(is_answered)
    }

    /// Whether one was asked and has not answered yet: what is known of it is old.
    pub(super) fn is_awaited(&self, key: &ServerKey) -> bool {
        self.0.get(key).is_some_and(|server| server.questions.is_awaited())
    }

    /// The next moment at which one is asked again.
    pub(super) fn next_question(&self) -> Option<BootTime> {
        self.0.values().filter_map(|server| server.again).min()
    }
}
