//! Asks servers how they stand: by which way they are reached, and what lies on them. Each server is asked on its own,
//! so that one that does not answer keeps nobody else waiting.

use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::daemon::messages::probe::{ProbeOrder, ProbeReport};
use crate::decide::locations;
use crate::formats::ssh::complaints::at;
use crate::formats::ssh::probe::{self, ReachedBy};
use crate::model::{Endpoint, HostFault, HostTrouble, NetworkSight, RemoteProbe, Route, ServerSight};
use crate::os::addresses::{self, RouteError};
use crate::os::hosts::{self, Whereabouts};
use crate::os::process::{Bell, Wanted};
use crate::os::ssh::{self, SshPlace};

/// How many servers are asked at once. Each takes a process, which mostly waits.
const AT_ONCE: usize = 24;

/// How long a server may take to look at its volumes. Disks that slept need some seconds.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// Asks servers until nobody orders any more.
pub async fn ask_servers(mut orders: mpsc::Receiver<ProbeOrder>, reports: mpsc::Sender<ProbeReport>, place: SshPlace) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => {
                    let (places, reports, place) = (Arc::clone(&places), reports.clone(), place.clone());
                    under_way.spawn(async move {
                        // It is never closed.
                        let _place = places.acquire_owned().await;
                        let report = ask(order, place).await;
                        // The daemon may be ending.
                        let _ = reports.send(report).await;
                    });
                }
                None => return,
            },
            Some(_) = under_way.join_next() => {}
        }
    }
}

async fn ask(order: ProbeOrder, place: SshPlace) -> ProbeReport {
    let ProbeOrder { configuration, probe, network } = order;
    let mut faults = Vec::new();
    let mut sight = None;
    for route in &probe.routes {
        match ask_by(route, &probe.volumes, &network, &place).await {
            Ok(found) => {
                sight = Some(found);
                break;
            }
            Err(fault) => faults.push(fault),
        }
    }
    ProbeReport { configuration, probe, sight: sight.unwrap_or(ServerSight::OutOfReach(faults)) }
}

async fn ask_by(
    route: &Route,
    volumes: &[RemoteProbe],
    network: &NetworkSight,
    place: &SshPlace,
) -> Result<ServerSight, HostFault> {
    let interface = leave(route, network).await?;
    let (way, place, words) = (route.clone(), place.clone(), probe::arguments(volumes));
    let answer = on_thread(route, move || look(&way, &place, &words)).await??;
    let Endpoint { name, host, .. } = &route.endpoint;
    let way = ReachedBy { endpoint: name, host, interface: interface.as_deref() };
    let sights = probe::sights(&answer, volumes, way);
    sights.map(ServerSight::Reached).map_err(|garbled| at(&route.endpoint, HostTrouble::NoShell(garbled.to_string())))
}

/// Runs the script that looks.
fn look(route: &Route, place: &SshPlace, words: &[OsString]) -> Result<Vec<u8>, HostFault> {
    let bell = Bell::new().map_err(|error| at(&route.endpoint, HostTrouble::Broken(error.to_string())))?;
    let deadline = ssh::patience(route).saturating_add(LONGEST_ANSWER);
    let said = ssh::ask(route, place, (probe::SCRIPT, words), deadline, &bell, || Wanted::GoOn)?;
    Ok(said.output)
}

/// The interface by which a way leaves this machine; the route to the host decides, not which network is the usual one.
/// Where ssh's own configuration takes another way (`ProxyCommand`, `ProxyJump`), nothing is known of it.
async fn leave(route: &Route, network: &NetworkSight) -> Result<Option<String>, HostFault> {
    let way = route.clone();
    let found = on_thread(route, move || hosts::whereabouts(&way)).await?;
    let (host, addresses) = match found {
        Ok(Whereabouts::At { host, addresses }) => (host, addresses),
        Ok(Whereabouts::Unknown) => return Ok(None),
        Err(trouble) => return Err(at(&route.endpoint, trouble)),
    };
    let behind_portal = |address: &IpAddr| locations::is_cut_off(network, *address);
    let open: Vec<IpAddr> = addresses.iter().copied().filter(|address| !behind_portal(address)).collect();
    let named = |trouble| HostFault { host: host.clone(), ..at(&route.endpoint, trouble) };
    if open.is_empty() {
        return Err(named(HostTrouble::Portal));
    }
    let mut refused = None;
    for address in open {
        match addresses::route_to(address).await {
            Ok(interface) => return Ok(interface),
            Err(RouteError::Unreachable(_)) => refused = Some(HostTrouble::NoRoute),
            // The kernel does not tell; ssh will.
            Err(RouteError::Ask(..)) => return Ok(None),
        }
    }
    refused.map_or(Ok(None), |trouble| Err(named(trouble)))
}

/// Runs this on a thread of its own: it waits for other processes.
async fn on_thread<T: Send + 'static>(
    route: &Route,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostFault> {
    let (done, result) = oneshot::channel();
    let broken = |what: String| at(&route.endpoint, HostTrouble::Broken(what));
    let started = std::thread::Builder::new().name("nbkp-probe".into()).spawn(move || {
        // Nobody waits for the result when the daemon stops.
        let _ = done.send(work());
    });
    started.map_err(|error| broken(format!("no thread could be started: {error}")))?;
    result.await.map_err(|_| broken("the question was not asked to its end".into()))
}
