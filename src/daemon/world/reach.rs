//! What the network and the servers show.

use jiff::Timestamp;

use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::messages::probe::ProbeReport;
use crate::daemon::world::World;
use crate::daemon::world::network::NetworkChange;
use crate::daemon::world::servers::{Asked, Awaited, ProbeOutcome, Report};
use crate::daemon::world::volumes::is_away;
use crate::decide::{obstacles, reach};
use crate::model::{
    Absence, ChangeExtent, EndSight, EndpointName, NetworkSight, Now, RemoteProbe, Route, ServerKey, ServerProbe,
    ServerSight, Sync, SyncSight, VolumeName, VolumeSight,
};

impl World {
    /// The network is another one now.
    pub(super) fn network_seen(
        &mut self,
        network: NetworkSight,
        extent: ChangeExtent,
        now: &Now,
        effects: &mut Vec<Effect>,
    ) {
        match self.network.take_in(network, self.settings.configuration()) {
            NetworkChange::None => return,
            NetworkChange::Network => {}
            NetworkChange::Locations(here) => effects.push(Effect::Tell(Notice::Located(here))),
        }
        self.routes_changed(extent, now);
    }

    /// Something about the network changed, so that a server may be reached now, or no longer.
    pub(super) fn routes_changed(&mut self, extent: ChangeExtent, now: &Now) {
        if extent == ChangeExtent::Outside {
            self.network.ways_changed(now);
            self.leftovers.try_again(now);
        }
        self.servers.doubt(extent);
    }

    /// Asks servers how they stand, and returns what to wait for.
    pub(super) fn ask_servers(&mut self, which: &Asked) -> Awaited {
        let keys = match which {
            Asked::All => self.servers.all(),
            Asked::Of(syncs) => self.settings.servers_of(syncs),
            Asked::OfVolume(volume) => self.settings.server_of(volume).into_iter().collect(),
            Asked::Unknown => self.servers.unknown(),
        };
        self.servers.ask(keys)
    }

    /// Puts the questions to servers that are owed.
    pub(super) fn put_questions(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let questions =
            self.servers.put_questions(self.settings.configuration(), self.decisions.containers(), &self.network);
        effects.extend(questions.orders.into_iter().map(|order| Effect::Probe(Box::new(order))));
        for key in questions.elsewhere {
            self.server_stands(&key, &VolumeSight::Absent(Absence::Elsewhere), now, effects);
        }
    }

    /// A server was asked, and answered or did not.
    pub(super) fn probed(&mut self, report: &ProbeReport, now: &Now, effects: &mut Vec<Effect>) {
        let jitter = self.dice.u16(..);
        match self.servers.take_in(report, self.settings.configuration(), jitter, now) {
            ProbeOutcome::Void | ProbeOutcome::Lost | ProbeOutcome::AsBefore => {}
            ProbeOutcome::Reached => {
                if let ServerSight::Reached(sights) = &report.sight {
                    for (volume, seen) in report.probe.volumes.iter().zip(sights) {
                        self.learn_container_there(volume, seen);
                        let was_away = self.volumes.get(&volume.volume).is_some_and(|state| is_away(&state.sight));
                        if was_away {
                            self.drives.server_came_back(&volume.volume, now);
                        }
                        self.volume_stands(&volume.volume, seen.sight.clone(), seen.medium, now, effects);
                        self.volumes.take_in_remote_ends(volume, seen.ends.clone());
                    }
                }
                self.look_out_for_drives(&report.probe, jitter, now);
            }
            ProbeOutcome::Faulty { fault, report: is_to_report } => {
                if is_to_report == Report::Yes {
                    effects.push(Effect::Tell(Notice::HostFault(fault.clone())));
                }
                self.server_stands(&report.probe.server, &VolumeSight::Absent(Absence::Host(fault)), now, effects);
            }
        }
    }

    /// A server in which a drive is missing is asked again.
    fn look_out_for_drives(&mut self, probe: &ServerProbe, jitter: u16, now: &Now) {
        let is_missing = |volume: &RemoteProbe| {
            let sight = self.volumes.get(&volume.volume).map(|state| &state.sight);
            self.settings.is_drive(&volume.volume)
                && matches!(sight, Some(VolumeSight::Absent(Absence::NotPluggedThere(_))))
        };
        if probe.volumes.iter().any(is_missing) {
            self.servers.drive_is_missing(&probe.server, jitter, now);
        } else {
            self.servers.no_drive_is_missing(&probe.server);
        }
    }

    /// All volumes of a server stand so.
    fn server_stands(&mut self, key: &ServerKey, sight: &VolumeSight, now: &Now, effects: &mut Vec<Effect>) {
        let probe = reach::probe(key, Vec::new(), self.settings.configuration(), self.decisions.containers());
        for volume in probe.volumes {
            self.volume_stands(&volume.volume, sight.clone(), None, now, effects);
            let unseen = volume.ends.iter().map(|_| EndSight::Unseen).collect();
            self.volumes.take_in_remote_ends(&volume, unseen);
        }
    }

    /// Whether a server that a sync leads to was asked and has not answered yet: what is known of it is old.
    pub(super) fn awaits_server(&self, sync: &Sync) -> bool {
        self.settings.servers_of_sync(sync).any(|key| self.servers.is_awaited(&key))
    }

    /// Whether the ends of a sync that are on servers were looked at, as far as their drives are not closed: those are
    /// opened first.
    pub(super) fn remote_ends_are_seen(&self, sync: &Sync) -> bool {
        let is_closed = |volume: &VolumeName| {
            self.volumes.get(volume).is_some_and(|state| obstacles::is_opened_by_us(state.standing()))
        };
        let seen = |volume: &VolumeName, sight: fn(&SyncSight) -> &EndSight| {
            !self.settings.is_on_server(volume)
                || is_closed(volume)
                || self.volumes.ends(&sync.name).is_some_and(|ends| *sight(ends) != EndSight::Unseen)
        };
        seen(&sync.source.volume, |ends| &ends.source) && seen(&sync.destination.volume, |ends| &ends.destination)
    }

    /// The ways to the server of a volume, the one by which it was reached last before the others: a better one that
    /// did not lead there then would cost a wait.
    pub(super) fn routes_to(&self, volume: &VolumeName, reached_by: Option<&EndpointName>) -> Vec<Route> {
        let key = self.settings.server_of(volume).unwrap_or(ServerKey(Vec::new()));
        let mut routes = reach::routes(&key, self.settings.configuration(), self.network.locations());
        routes.sort_by_key(|route| reached_by != Some(&route.endpoint.name));
        routes
    }

    /// When a server is asked again by itself, if one of its syncs is wanted at all.
    pub(super) fn next_question(&self, now: &Now) -> Option<Timestamp> {
        let at = self.servers.next_question()?;
        now.wall.checked_add(at.since(now.boot)).ok()
    }
}
