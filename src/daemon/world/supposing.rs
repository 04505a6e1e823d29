//! What the daemon would do about an event that is only supposed. It is tried on a copy of the world, with the
//! observation that the event would bring about, and with servers that answer as is assumed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::daemon::messages::ask::Refusal;
use crate::daemon::messages::event::{Effect, Event};
use crate::daemon::messages::look::{LookCause, Observation};
use crate::daemon::messages::probe::{ProbeOrder, ProbeReport};
use crate::daemon::world::World;
use crate::daemon::world::candidates::gives_way;
use crate::daemon::world::plan::Outlook;
use crate::daemon::world::servers::Asked;
use crate::daemon::world::stage::LifeStage;
use crate::decide::due::Due;
use crate::decide::locations;
use crate::formats::similar::did_you_mean;
use crate::formats::text;
use crate::model::{
    Absence, Access, ChangeExtent, Consequence, Drive, End, EndKind, EndSight, EndpointName, Forecast, Foreseen,
    HostFault, HostTrouble, Interruption, LocationName, Metered, MountId, Mounting, NetworkSight, Node, Now, Obstacle,
    PresentVolume, ReachedVolume, RemoteProbe, RemoteSight, SentinelId, ServerSight, Supposition, Sync, SyncName,
    SyncSight, VolumeName, VolumeRoot, VolumeSight, Ways,
};

/// The number of a medium that was never seen.
const ANOTHER_MEDIUM: u64 = u64::MAX;

/// What is done at once.
#[derive(Debug, Default)]
struct Deeds {
    started: Vec<SyncName>,
    stopped: Vec<(SyncName, Interruption)>,
}

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
    fn happen(&mut self, event: Event, reply: Reply, now: &Now) -> Deeds {
        let mut all = Deeds::default();
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
        self.settings.check_volume(volume)?;
        let root = self.settings.configuration().volumes.get(volume).map(|volume| &volume.root);
        let sight = self.volumes.get(volume).map(|state| state.sight.clone());
        match (root.and_then(VolumeRoot::drive), sight) {
            (Some(drive), Some(sight)) => Ok((drive.clone(), sight)),
            (None, _) | (_, None) => Err(Refusal::Failed(format!(
                "`{volume}` is no drive: it has no `drive` in the configuration, and cannot be plugged in or pulled out"
            ))),
        }
    }

    fn plug(&mut self, volume: &VolumeName, assumed: &mut Vec<String>, now: &Now) -> Result<Deeds, Refusal> {
        let (drive, sight) = self.supposed_drive(volume)?;
        if !matches!(sight, VolumeSight::Absent(_)) {
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
            if !matches!(sight, VolumeSight::Absent(Absence::NotPluggedThere(_))) {
                return Err(Refusal::Failed(format!(
                    "the server of `{volume}` is out of reach: what is plugged in there would not be seen"
                )));
            }
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

    fn unplug(&mut self, volume: &VolumeName, now: &Now) -> Result<Deeds, Refusal> {
        let (_, sight) = self.supposed_drive(volume)?;
        if matches!(sight, VolumeSight::Absent(_)) {
            return Err(Refusal::Failed(format!("`{volume}` is not plugged in")));
        }
        let volumes = self.settings.on_the_drive_of(volume);
        let gone = if self.settings.is_on_server(volume) {
            Absence::NotPluggedThere("its server".into())
        } else {
            Absence::NotPlugged
        };
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

    fn join(&mut self, name: &LocationName, assumed: &mut Vec<String>, now: &Now) -> Result<Deeds, Refusal> {
        let locations = &self.settings.configuration().locations;
        let Some(location) = locations.get(name) else {
            let near = did_you_mean(name.as_str(), locations.keys().map(LocationName::as_str));
            let near = near.map(|near| format!("; {near}")).unwrap_or_default();
            return Err(Refusal::Failed(format!("no location `{name}`{near}")));
        };
        let sight = locations::network_of(location);
        assumed.push("each server that has a way from there answers, and holds what `nbkpctl prepare` made".to_owned());
        Ok(self.happen(network(sight), Reply::Reached, now))
    }

    fn pay_for_ways(&mut self, metered: Metered, assumed: &mut Vec<String>, now: &Now) -> Result<Deeds, Refusal> {
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

    /// What became of each sync in the shadow.
    fn fates(&self, what: &Supposition, shadow: &Self, deeds: &Deeds, now: &Now) -> Vec<Foreseen> {
        let first: Vec<&SyncName> = deeds.started.iter().chain(shadow.plan.queue()).collect();
        let names = self.settings.configuration().syncs.keys();
        let rest = names.filter(|name| !first.contains(name));
        let order: Vec<&SyncName> = first.iter().copied().chain(rest).collect();
        let mut all: Vec<Foreseen> =
            order.into_iter().map(|name| self.fate(name, what, (shadow, deeds), now)).collect();
        all.sort_by_key(|foreseen| foreseen.fate);
        all
    }

    fn fate(&self, name: &SyncName, what: &Supposition, (shadow, deeds): (&Self, &Deeds), now: &Now) -> Foreseen {
        let told = |fate, reasons| Foreseen { sync: name.clone(), fate, after: None, reasons };
        let stopped = deeds.stopped.iter().find(|(sync, _)| sync == name).map(|(_, why)| why);
        if let Some(run) = self.runs.get(name) {
            let is_far = [&run.sync.source.volume, &run.sync.destination.volume]
                .into_iter()
                .any(|volume| self.settings.is_on_server(volume));
            return match (stopped, what) {
                (Some(why), _) => told(Consequence::Interrupted, vec![why.to_string()]),
                (None, Supposition::Leave) if is_far => {
                    let why = Interruption::Network("its server is out of reach".into());
                    told(Consequence::Interrupted, vec![why.to_string()])
                }
                (None, _) => told(Consequence::GoesOn, Vec::new()),
            };
        }
        if deeds.started.contains(name) {
            return told(Consequence::Starts, Vec::new());
        }
        if let Some(candidate) = shadow.plan.candidates().get(name) {
            if shadow.suspension.is_near() {
                return told(Consequence::Stays, vec!["it would wait until the machine wakes".to_owned()]);
            }
            let after = candidate.ready_at.since(now.boot);
            return Foreseen { after: (!after.is_zero()).then_some(after), ..told(Consequence::Starts, Vec::new()) };
        }
        told(Consequence::Stays, shadow.why_it_stays(name, now))
    }

    fn why_it_stays(&self, name: &SyncName, now: &Now) -> Vec<String> {
        let Some(prospect) = self.plan.prospects().get(name) else { return Vec::new() };
        let firm: Vec<&Obstacle> = Outlook::obstacles(prospect).filter(|found| !gives_way(found, None)).collect();
        if !firm.is_empty() {
            return firm.into_iter().map(ToString::to_string).collect();
        }
        vec![match prospect.due {
            Due::At(at) => format!("no copy is due before {}", text::wall_time(at, &now.zone)),
            Due::NextAppearance => "its copy of this appearance is made".to_owned(),
            Due::Now(_) => "its places were not looked at yet".to_owned(),
        }]
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
