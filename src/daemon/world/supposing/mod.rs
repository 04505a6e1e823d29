//! What the daemon would do about an event that is only supposed. It is tried on a copy of the world, with the
//! observation that the event would bring about, and with servers that answer as is assumed.

mod fates;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fates::AtOnce;

use crate::daemon::messages::ask::Refusal;
use crate::daemon::messages::event::{Effect, Event};
use crate::daemon::messages::look::{LookCause, Observation};
use crate::daemon::messages::probe::{ProbeOrder, ProbeReport};
use crate::daemon::world::World;
use crate::daemon::world::servers::Asked;
use crate::daemon::world::stage::LifeStage;
use crate::daemon::world::volumes::is_away;
use crate::decide::locations;
use crate::model::{
    Absence, Access, ChangeExtent, Drive, End, EndKind, EndSight, EndpointName, Forecast, HostFault, HostTrouble,
    LocationName, Metered, MountId, Mounting, NetworkSight, Node, Now, PresentVolume, ReachedVolume, RemoteProbe,
    RemoteSight, SentinelId, ServerSight, Supposition, Sync, SyncName, SyncSight, VolumeName, VolumeSight, Ways,
};

/// The number of a medium that was never seen.
const ANOTHER_MEDIUM: u64 = u64::MAX;

/// How servers answer that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// As they did before.
    AsBefore,
    /// They are reached, and all that was prepared is there.
    Reached,
    /// No way leads to them.
    NoRoute,
}

impl World {
    /// What would be done about this. Nothing is done, and nothing is looked at.
    pub(super) fn forecast(&self, what: &Supposition, now: &Now) -> Result<Forecast, Refusal> {
        match self.stage {
            LifeStage::Starting => {
                return Err(Refusal::Failed("nbkpd has not looked around yet; ask again in a moment".into()));
            }
            LifeStage::Stopping => return Err(Refusal::Stopping),
            LifeStage::Working => {}
        }
        let mut shadow = self.shadow();
        let mut forecast = Forecast::default();
        let deeds = match what {
            Supposition::Plug(volume) => shadow.plug(volume, &mut forecast.assumed, now)?,
            Supposition::Unplug(volume) => shadow.unplug(volume, now)?,
            Supposition::Join(location) => shadow.join(location, &mut forecast.assumed, now)?,
            Supposition::Leave => shadow.happen(network(NetworkSight::default()), Reply::NoRoute, now),
            Supposition::Sleep => shadow.happen(Event::GoingToSleep, Reply::AsBefore, now),
            Supposition::Metered => shadow.pay_for_ways(Metered::Yes, &mut forecast.assumed, now)?,
            Supposition::Unmetered => shadow.pay_for_ways(Metered::No, &mut forecast.assumed, now)?,
        };
        forecast.syncs = self.fates(what, &shadow, &deeds, now);
        Ok(forecast)
    }

    /// Lets it happen here, and everything that follows from it at once.
    fn happen(&mut self, event: Event, reply: Reply, now: &Now) -> AtOnce {
        let mut all = AtOnce::default();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let effects = self.step(event, now);
            for effect in effects {
                match effect {
                    Effect::Probe(order) => {
                        let sight = self.answer_of(&order, reply);
                        let ProbeOrder { configuration, probe, before, .. } = *order;
                        let ways = if reply == Reply::AsBefore { before } else { Ways::default() };
                        events.push(Event::Probed(Box::new(ProbeReport { configuration, probe, ways, sight })));
                    }
                    Effect::Start(job) => all.started.push(job.sync.name.clone()),
                    Effect::StopRun(sync, why) => all.stopped.push((sync, why)),
                    // Nothing of it is carried out, and nobody is told.
                    Effect::Sense
                    | Effect::LetSleep
                    | Effect::Check(_)
                    | Effect::StopCheck(_)
                    | Effect::Drive(_)
                    | Effect::Record(_)
                    | Effect::Alarm(_)
                    | Effect::Tell(_)
                    | Effect::Call(_)
                    | Effect::Announce(_)
                    | Effect::Finish => {}
                }
            }
        }
        all
    }

    fn answer_of(&self, order: &ProbeOrder, reply: Reply) -> ServerSight {
        let routes = &order.probe.routes;
        match (reply, routes.first().map(|route| &route.endpoint)) {
            (Reply::Reached, Some(endpoint)) => {
                let seen = |volume| self.assumed_there(volume, &endpoint.name, &endpoint.host);
                ServerSight::Reached(order.probe.volumes.iter().map(seen).collect())
            }
            (Reply::NoRoute, Some(_)) => {
                let faults = routes.iter().map(|route| HostFault {
                    host: route.endpoint.host.clone(),
                    port: route.endpoint.port,
                    user: route.endpoint.user.clone(),
                    trouble: HostTrouble::NoRoute,
                });
                ServerSight::OutOfReach(faults.collect())
            }
            (Reply::AsBefore, _) | (_, None) => ServerSight::AsBefore,
        }
    }

    /// A volume of a server as it would be found: with what was prepared, on a drive that is in.
    fn assumed_there(&self, probe: &RemoteProbe, endpoint: &EndpointName, host: &str) -> RemoteSight {
        let known = self.volumes.get(&probe.volume).map(|state| &state.sight);
        if let Some(VolumeSight::NotMounted { .. } | VolumeSight::Locked { .. } | VolumeSight::NotProven { .. }) = known
        {
            let ends = probe.ends.iter().map(|_| EndSight::Unseen).collect();
            let sight = known.cloned().unwrap_or(VolumeSight::Absent(Absence::NotLookedAt));
            return RemoteSight { sight, medium: None, container: None, ends };
        }
        let opened = probe.drive.as_ref().and_then(|sought| closed(&sought.drive, Some(host)));
        let medium = probe.drive.is_some().then_some(ANOTHER_MEDIUM);
        if let Some(sight) = opened {
            let ends = probe.ends.iter().map(|_| EndSight::Unseen).collect();
            return RemoteSight { sight, medium, container: None, ends };
        }
        let sight = VolumeSight::Reached(ReachedVolume {
            endpoint: endpoint.clone(),
            interface: None,
            root: probe.path.clone(),
            access: Access::ReadWrite,
            fs_type: String::new(),
            id: self.decisions.ledger().volume_ids.get(&probe.volume).cloned(),
            medium,
        });
        let ready = |sync: &SyncName, kind| match kind {
            EndKind::Source | EndKind::SourceOfSnapshots => self.ready(sync, End::Source),
            EndKind::Destination(_) => self.ready(sync, End::Destination),
        };
        let ends = probe.ends.iter().map(|end| ready(&end.sync, end.kind)).collect();
        RemoteSight { sight, medium, container: None, ends }
    }

    fn ready(&self, sync: &SyncName, end: End) -> EndSight {
        EndSight::Ready { id: self.decisions.ledger().end_ids.get(&(sync.clone(), end)).cloned() }
    }

    /// The drive of a volume, which must be one, and where it is.
    fn supposed_drive(&self, volume: &VolumeName) -> Result<(Drive, VolumeSight), Refusal> {
        let drive = self.settings.drive_named(volume)?.clone();
        let unseen = || VolumeSight::Absent(Absence::NotLookedAt);
        let sight = self.volumes.get(volume).map_or_else(unseen, |state| state.sight.clone());
        Ok((drive, sight))
    }

    /// Whether a drive is in, as far as anybody can know.
    fn is_plugged_in(&self, volume: &VolumeName, sight: &VolumeSight) -> Result<bool, Refusal> {
        match sight {
            VolumeSight::Absent(Absence::NotPlugged | Absence::NotPluggedThere(_)) => Ok(false),
            away if is_away(away) => Err(Refusal::Failed(if self.settings.is_on_server(volume) {
                format!("the server of `{volume}` is out of reach: what is plugged in there would not be seen")
            } else {
                format!("`{volume}` has not been looked at yet; ask again in a moment")
            })),
            VolumeSight::Absent(_)
            | VolumeSight::Ambiguous { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::Locked { .. }
            | VolumeSight::NotEncrypted { .. }
            | VolumeSight::NotProven { .. }
            | VolumeSight::Present(_)
            | VolumeSight::Reached(_) => Ok(true),
        }
    }

    fn plug(&mut self, volume: &VolumeName, assumed: &mut Vec<String>, now: &Now) -> Result<AtOnce, Refusal> {
        let (drive, sight) = self.supposed_drive(volume)?;
        if self.is_plugged_in(volume, &sight)? {
            return Err(Refusal::Failed(format!(
                "`{volume}` is plugged in already: `nbkpctl why SYNC` tells the rest"
            )));
        }
        assumed.push(match drive.mounting {
            Mounting::Elsewhere => format!("`{volume}` is mounted, and holds what `nbkpctl prepare` made there"),
            Mounting::ForTheRun { .. } => {
                format!("`{volume}` can be opened, and holds what `nbkpctl prepare` made there")
            }
        });
        if self.settings.is_on_server(volume) {
            self.ask_servers(&Asked::OfVolume(volume.clone()));
            return Ok(self.happen(Event::Deadline, Reply::Reached, now));
        }
        let seen = closed(&drive, None).unwrap_or_else(|| self.assumed_here(volume));
        let is_open = matches!(seen, VolumeSight::Present(_));
        let volumes = self.settings.on_the_drive_of(volume);
        let users: Vec<Sync> = volumes.iter().flat_map(|volume| self.settings.users_of(volume)).cloned().collect();
        let syncs = users.iter().map(|sync| {
            let at = |end: End, on: &VolumeName| match self.volumes.ends(&sync.name) {
                _ if is_open && volumes.contains(on) => self.ready(&sync.name, end),
                Some(known) => known.at(end).clone(),
                None => EndSight::Unseen,
            };
            let source = at(End::Source, &sync.source.volume);
            let destination = at(End::Destination, &sync.destination.volume);
            (sync.name.clone(), SyncSight { source, destination })
        });
        let syncs = syncs.collect();
        let volumes = volumes.into_iter().map(|volume| (volume, seen.clone())).collect();
        Ok(self.happen(self.looked_like(volumes, syncs), Reply::AsBefore, now))
    }

    fn unplug(&mut self, volume: &VolumeName, now: &Now) -> Result<AtOnce, Refusal> {
        let (_, sight) = self.supposed_drive(volume)?;
        if !self.is_plugged_in(volume, &sight)? {
            return Err(Refusal::Failed(format!("`{volume}` is not plugged in")));
        }
        let volumes = self.settings.on_the_drive_of(volume);
        let gone = self.host_of(volume).map_or(Absence::NotPlugged, Absence::NotPluggedThere);
        let volumes = volumes.into_iter().map(|volume| (volume, VolumeSight::Absent(gone.clone()))).collect();
        Ok(self.happen(self.looked_like(volumes, BTreeMap::new()), Reply::AsBefore, now))
    }

    /// A look that finds this, and the rest as it was.
    fn looked_like(&self, volumes: BTreeMap<VolumeName, VolumeSight>, syncs: BTreeMap<SyncName, SyncSight>) -> Event {
        Event::Looked(Box::new(Observation {
            configuration: Arc::clone(self.settings.configuration()),
            cause: LookCause::Belated,
            volumes,
            syncs,
            devices: self.volumes.devices().to_vec(),
            degraded: Vec::new(),
        }))
    }

    fn assumed_here(&self, volume: &VolumeName) -> VolumeSight {
        let ledger = self.decisions.ledger();
        let id: Option<SentinelId> = ledger.volume_ids.get(volume).cloned();
        VolumeSight::Present(PresentVolume {
            root: PathBuf::from("/run/media").join(volume.as_str()),
            mount: MountId(u64::MAX),
            access: Access::ReadWrite,
            fs_type: String::new(),
            disk_seq: Some(ANOTHER_MEDIUM),
            hardware: ledger.hardware.get(volume).and_then(|known| known.first()).cloned(),
            // What has no device was never plugged in.
            device: Some((0, 0)),
            unclean: None,
            id,
        })
    }

    fn join(&mut self, name: &LocationName, assumed: &mut Vec<String>, now: &Now) -> Result<AtOnce, Refusal> {
        let locations = &self.settings.configuration().locations;
        let Some(location) = locations.get(name) else {
            return Err(Refusal::UnknownLocation(name.clone(), locations.keys().cloned().collect()));
        };
        let sight = locations::network_of(location);
        assumed.push("each server that has a way from there answers, and holds what `nbkpctl prepare` made".to_owned());
        Ok(self.happen(network(sight), Reply::Reached, now))
    }

    fn pay_for_ways(&mut self, metered: Metered, assumed: &mut Vec<String>, now: &Now) -> Result<AtOnce, Refusal> {
        let Some(mut sight) = self.network.sight().map(|sight| NetworkSight::clone(sight)) else {
            return Err(Refusal::Failed("nbkpd has not seen the network yet; ask again in a moment".into()));
        };
        if sight.links.is_empty() {
            return Err(Refusal::Failed("there is no network that could be metered".into()));
        }
        sight.links.values_mut().for_each(|link| link.metered = metered);
        assumed.push("servers answer as they do now".to_owned());
        Ok(self.happen(network(sight), Reply::AsBefore, now))
    }
}

fn network(sight: NetworkSight) -> Event {
    Event::Network(Box::new(sight), ChangeExtent::Outside)
}

/// A drive that we open, as it is plugged in.
fn closed(drive: &Drive, host: Option<&str>) -> Option<VolumeSight> {
    let device =
        Node { path: PathBuf::from("/dev/disk/by-uuid").join(drive.uuid.as_str()), host: host.map(str::to_owned) };
    let disk_seq = Some(ANOTHER_MEDIUM);
    match &drive.mounting {
        Mounting::Elsewhere => None,
        Mounting::ForTheRun { passphrase: Some(_) } => Some(VolumeSight::Locked { device, disk_seq }),
        Mounting::ForTheRun { passphrase: None } => {
            Some(VolumeSight::NotMounted { device, disk_seq, automount: None, blocked_at: Vec::new() })
        }
    }
}
