//! Servers: how they stand, and when they are asked. One question to a server is under way at most, and one more owed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::messages::probe::{ProbeOrder, ProbeReport};
use crate::daemon::world::World;
use crate::decide::{locations, obstacles, reach};
use crate::model::{
    Absence, BootTime, EndKind, EndSight, EndpointName, HostFault, LocationName, Metered, NetworkSight, Now,
    RemoteProbe, RemoteSight, Route, ServerKey, ServerSight, Sync, SyncName, SyncSight, VolumeName, VolumeRoot,
    VolumeSight,
};

/// So long after a network was joined a connection that breaks is not counted: networks come up piece by piece.
const COMING_UP: Duration = Duration::from_mins(5);

/// The network, and the servers in it.
#[derive(Debug, Default)]
pub(super) struct Reachability {
    /// `None` until it was seen for the first time.
    network: Option<Arc<NetworkSight>>,
    /// The locations that are recognised.
    here: BTreeSet<LocationName>,
    /// When the network last changed.
    changed: BootTime,
    servers: BTreeMap<ServerKey, Server>,
}

/// What is known of a server.
#[derive(Debug, Default)]
struct Server {
    /// How many questions were asked, and how many of them are answered.
    asked: u64,
    answered: u64,
    /// How many are answered once the one under way is.
    under_way: Option<u64>,
    /// How often in a row it was out of reach.
    failures: u32,
    /// How often in a row it was reached while a drive was not plugged in that we open there.
    missing: u32,
    /// When it is asked again because of either: nobody tells when a server is switched on, or a drive plugged into it.
    again: Option<BootTime>,
    /// What a person was told of it.
    told: Option<HostFault>,
}

/// Questions to servers that somebody waits for: of each the number.
pub(super) type Awaited = BTreeMap<ServerKey, u64>;

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

impl Reachability {
    /// The locations that are recognised.
    pub(super) fn locations(&self) -> &BTreeSet<LocationName> {
        &self.here
    }

    /// The network, if it was seen.
    pub(super) fn network(&self) -> Option<&NetworkSight> {
        self.network.as_deref()
    }

    /// Whether what goes through this interface is paid for by volume.
    pub(super) fn is_metered(&self, interface: &str) -> bool {
        self.network().is_some_and(|network| locations::metered(network, interface) == Metered::Yes)
    }

    /// Whether the network is still coming up.
    pub(super) fn comes_up(&self, now: BootTime) -> bool {
        now.since(self.changed) < COMING_UP
    }

    /// Whether all these questions are answered.
    pub(super) fn answered(&self, awaited: &Awaited) -> bool {
        // A server that the configuration names no longer is not waited for.
        awaited.iter().all(|(key, number)| self.servers.get(key).is_none_or(|server| server.answered >= *number))
    }

    /// The next moment at which a server is asked again.
    pub(super) fn next_question(&self) -> Option<BootTime> {
        self.servers.values().filter_map(|server| server.again).min()
    }
}

impl World {
    /// Makes room for the servers that the configuration names, and forgets the others.
    pub(super) fn fit_servers_to_configuration(&mut self) {
        let named = reach::servers(&self.configuration);
        self.reach.servers.retain(|key, _| named.contains_key(key));
        for key in named.into_keys() {
            self.reach.servers.entry(key).or_default();
        }
        if let Some(network) = &self.reach.network {
            self.reach.here = locations::recognised(&self.configuration.locations, network);
        }
    }

    /// The network is another one now.
    pub(super) fn network_seen(&mut self, network: NetworkSight, now: &Now, effects: &mut Vec<Effect>) {
        if self.reach.network.as_deref() == Some(&network) {
            return;
        }
        let here = locations::recognised(&self.configuration.locations, &network);
        if here != self.reach.here {
            effects.push(Effect::Tell(Notice::Located(here.clone())));
        }
        self.reach.here = here;
        self.reach.network = Some(Arc::new(network));
        self.routes_changed(now, effects);
    }

    /// Something about the network changed, so that a server may be reached now, or no longer.
    pub(super) fn routes_changed(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        self.reach.changed = now.boot;
        for server in self.reach.servers.values_mut() {
            (server.failures, server.missing, server.again) = (0, 0, None);
        }
        self.try_leftovers_again(now);
        self.ask_servers(&Asked::All, now, effects);
    }

    /// Asks servers how they stand, and returns what to wait for.
    pub(super) fn ask_servers(&mut self, which: &Asked, now: &Now, effects: &mut Vec<Effect>) -> Awaited {
        let keys: Vec<ServerKey> = match which {
            Asked::All => self.reach.servers.keys().cloned().collect(),
            Asked::Of(syncs) => self.servers_of(syncs).into_iter().collect(),
            Asked::OfVolume(volume) => self.server_of(volume).into_iter().collect(),
            Asked::Unknown => {
                let unknown = self.reach.servers.iter().filter(|(_, server)| server.answered == 0);
                unknown.map(|(key, _)| key.clone()).collect()
            }
        };
        let mut awaited = Awaited::new();
        for key in keys {
            let Some(server) = self.reach.servers.get_mut(&key) else { continue };
            server.asked = server.asked.saturating_add(1);
            server.again = None;
            awaited.insert(key.clone(), server.asked);
            self.put_question(&key, now, effects);
        }
        awaited
    }

    /// Puts the question to a server that is owed, unless one is under way or nobody knows the network yet.
    fn put_question(&mut self, key: &ServerKey, now: &Now, effects: &mut Vec<Effect>) {
        let Some(network) = &self.reach.network else { return };
        let Some(server) = self.reach.servers.get_mut(key).filter(|server| server.under_way.is_none()) else { return };
        if server.answered >= server.asked {
            return;
        }
        let routes = reach::routes(key, &self.configuration, &self.reach.here);
        if routes.is_empty() {
            server.answered = server.asked;
            server.told = None;
            self.server_stands(key, &VolumeSight::Absent(Absence::Elsewhere), now, effects);
            return;
        }
        server.under_way = Some(server.asked);
        effects.push(Effect::Probe(Box::new(ProbeOrder {
            configuration: Arc::clone(&self.configuration),
            probe: reach::probe(key, routes, &self.configuration, &self.ledger.containers),
            network: Arc::clone(network),
        })));
    }

    /// A server was asked, and answered or did not.
    pub(super) fn probed(&mut self, report: ProbeReport, now: &Now, effects: &mut Vec<Effect>) {
        let key = report.probe.server.clone();
        let jitter = self.dice.u16(..);
        let Some(server) = self.reach.servers.get_mut(&key) else { return };
        let covered = server.under_way.take().unwrap_or(server.answered);
        if !Arc::ptr_eq(&report.configuration, &self.configuration) {
            // What was asked may not be what is named now; the question after it is owed.
            self.put_question(&key, now, effects);
            return;
        }
        server.answered = server.answered.max(covered);
        match report.sight {
            ServerSight::Reached(sights) => {
                (server.failures, server.again, server.told) = (0, None, None);
                for (volume, seen) in report.probe.volumes.iter().zip(sights) {
                    self.learn_container_there(volume, &seen, effects);
                    let RemoteSight { sight, medium, container: _, ends } = seen;
                    self.server_came_back(&volume.volume, now);
                    self.volume_stands(&volume.volume, sight, medium, now, effects);
                    self.remote_ends_stand(volume, ends);
                }
                self.look_out_for_drives(&key, &report.probe.volumes, jitter, now);
            }
            ServerSight::OutOfReach(faults) => {
                server.failures = server.failures.saturating_add(1);
                server.again = Some(now.boot.after(reach::wait(server.failures, jitter)));
                if let Some(fault) = reach::most_telling(&faults).cloned() {
                    if fault.asks_person() && server.told.as_ref() != Some(&fault) {
                        server.told = Some(fault.clone());
                        effects.push(Effect::Tell(Notice::HostFault(fault.clone())));
                    }
                    self.server_stands(&key, &VolumeSight::Absent(Absence::Host(fault)), now, effects);
                }
            }
        }
        self.settle_drives(now, effects);
        self.stop_runs_whose_ground_is_gone(effects);
        self.put_question(&key, now, effects);
        self.answer_what_waited_for(now, effects);
    }

    /// A server in which a drive is missing is asked again, soon and then seldom.
    fn look_out_for_drives(&mut self, key: &ServerKey, volumes: &[RemoteProbe], jitter: u16, now: &Now) {
        let is_missing = |volume: &RemoteProbe| {
            let sight = self.volumes.get(&volume.volume).map(|state| &state.sight);
            self.is_drive(&volume.volume) && matches!(sight, Some(VolumeSight::Absent(Absence::NotPluggedThere(_))))
        };
        let missing = volumes.iter().any(is_missing);
        let Some(server) = self.reach.servers.get_mut(key) else { return };
        server.missing = if missing { server.missing.saturating_add(1) } else { 0 };
        if missing {
            server.again = Some(now.boot.after(reach::wait(server.missing, jitter)));
        }
    }

    /// All volumes of a server stand so.
    fn server_stands(&mut self, key: &ServerKey, sight: &VolumeSight, now: &Now, effects: &mut Vec<Effect>) {
        let probe = reach::probe(key, Vec::new(), &self.configuration, &self.ledger.containers);
        for volume in probe.volumes {
            self.volume_stands(&volume.volume, sight.clone(), None, now, effects);
            let unseen = volume.ends.iter().map(|_| EndSight::Unseen).collect();
            self.remote_ends_stand(&volume, unseen);
        }
    }

    fn remote_ends_stand(&mut self, volume: &RemoteProbe, sights: Vec<EndSight>) {
        for (end, seen) in volume.ends.iter().zip(sights) {
            let unseen = || SyncSight { source: EndSight::Unseen, destination: EndSight::Unseen };
            let sight = self.ends.entry(end.sync.clone()).or_insert_with(unseen);
            match end.kind {
                EndKind::Source | EndKind::SourceOfSnapshots => sight.source = seen,
                EndKind::Destination(_) => sight.destination = seen,
            }
        }
    }

    /// What a look of this machine found at the ends of a sync, without those that are on a server: of these it knows
    /// nothing.
    pub(super) fn local_ends_stand(&mut self, name: &SyncName, seen: SyncSight) {
        let Some(sync) = self.configuration.syncs.get(name) else { return };
        let known = self.ends.get(name);
        let kept = |end: fn(&SyncSight) -> &EndSight| known.map_or(EndSight::Unseen, |known| end(known).clone());
        let source = if self.is_on_server(&sync.source.volume) { kept(|sight| &sight.source) } else { seen.source };
        let destination = if self.is_on_server(&sync.destination.volume) {
            kept(|sight| &sight.destination)
        } else {
            seen.destination
        };
        self.ends.insert(name.clone(), SyncSight { source, destination });
    }

    pub(super) fn is_on_server(&self, volume: &VolumeName) -> bool {
        self.server_of(volume).is_some()
    }

    pub(super) fn server_of(&self, volume: &VolumeName) -> Option<ServerKey> {
        match &self.configuration.volumes.get(volume)?.root {
            VolumeRoot::Server(server) => Some(server.key()),
            VolumeRoot::Directory(_) | VolumeRoot::Drive(_) => None,
        }
    }

    /// The servers that these syncs lead to.
    pub(super) fn servers_of(&self, syncs: &[SyncName]) -> BTreeSet<ServerKey> {
        let syncs = syncs.iter().filter_map(|name| self.configuration.syncs.get(name));
        let volumes = syncs.flat_map(|sync| [&sync.source.volume, &sync.destination.volume]);
        volumes.filter_map(|volume| self.server_of(volume)).collect()
    }

    /// Whether a server that a sync leads to was asked and has not answered yet: what is known of it is old.
    pub(super) fn awaits_server(&self, sync: &Sync) -> bool {
        self.servers_of(std::slice::from_ref(&sync.name))
            .iter()
            .any(|key| self.reach.servers.get(key).is_some_and(|server| server.answered < server.asked))
    }

    /// Whether the ends of a sync that are on servers were looked at, as far as their drives are not closed: those are
    /// opened first.
    pub(super) fn remote_ends_are_seen(&self, sync: &Sync) -> bool {
        let is_closed = |volume: &VolumeName| {
            self.volumes.get(volume).is_some_and(|state| obstacles::is_opened_by_us(state.standing()))
        };
        let seen = |volume: &VolumeName, sight: fn(&SyncSight) -> &EndSight| {
            !self.is_on_server(volume)
                || is_closed(volume)
                || self.ends.get(&sync.name).is_some_and(|ends| *sight(ends) != EndSight::Unseen)
        };
        seen(&sync.source.volume, |ends| &ends.source) && seen(&sync.destination.volume, |ends| &ends.destination)
    }

    /// The ways to the server of a volume, the one by which it was reached last before the others: a better one that did
    /// not lead there then would cost a wait.
    pub(super) fn routes_to(&self, volume: &VolumeName, reached_by: Option<&EndpointName>) -> Vec<Route> {
        let key = self.server_of(volume).unwrap_or(ServerKey(Vec::new()));
        let mut routes = reach::routes(&key, &self.configuration, &self.reach.here);
        routes.sort_by_key(|route| reached_by != Some(&route.endpoint.name));
        routes
    }

    /// Asks the servers whose time has come.
    pub(super) fn ask_servers_again(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let due: Vec<ServerKey> = (self.reach.servers.iter())
            .filter(|(_, server)| server.again.is_some_and(|again| again <= now.boot))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            if let Some(server) = self.reach.servers.get_mut(&key) {
                server.asked = server.asked.saturating_add(1);
                server.again = None;
            }
            self.put_question(&key, now, effects);
        }
    }

    /// When a server is asked again by itself, if one of its syncs is wanted at all.
    pub(super) fn next_question(&self, now: &Now) -> Option<Timestamp> {
        let at = self.reach.next_question()?;
        now.wall.checked_add(at.since(now.boot)).ok()
    }
}
