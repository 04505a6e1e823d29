//! Asks servers how they stand: by which way they are reached, and what lies on them. Each server is asked on its own,
//! so that one that does not answer keeps nobody else waiting.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::daemon::messages::probe::{ProbeNeed, ProbeOrder, ProbeReport};
use crate::decide::locations;
use crate::formats::ssh::complaints::at;
use crate::formats::ssh::probe::{self, Garbled, ReachedBy};
use crate::model::{
    Beginning, ChangeExtent, Endpoint, EndpointName, HostFault, HostTrouble, LinkKind, NetworkSight, RemoteProbe,
    Route, ServerSight, Ways,
};
use crate::os::addresses::{self, RouteError, RouteSight};
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
    let ProbeOrder { configuration, probe, network, before, need } = order;
    let endpoints: Vec<EndpointName> = probe.routes.iter().map(|route| route.endpoint.name.clone()).collect();
    if before.endpoints == endpoints && leads_as_before(need, &before.begun, &probe.routes, &network).await {
        return ProbeReport { configuration, probe, ways: before, sight: ServerSight::AsBefore };
    }
    let mut faults = Vec::new();
    let mut ways = Ways { endpoints, begun: Vec::new() };
    let mut known = before.begun.into_iter();
    for route in &probe.routes {
        let (begun, found) = ask_by(route, known.next(), &probe.volumes, &network, &place).await;
        ways.begun.push(begun);
        match found {
            Ok(sight) => return ProbeReport { configuration, probe, ways, sight },
            Err(fault) => faults.push(fault),
        }
    }
    ProbeReport { configuration, probe, ways, sight: ServerSight::OutOfReach(faults) }
}

/// Whether these ways to a server lead as they did, as far as this change may matter.
async fn leads_as_before(need: ProbeNeed, before: &[Beginning], routes: &[Route], network: &NetworkSight) -> bool {
    let ProbeNeed::Doubt(extent) = need else { return false };
    for begun in before {
        // First of all: where another way leads to the same address, the question goes out at once.
        for (address, way) in &begun.addresses {
            if way_to(*address, network).await.1 != *way {
                return false;
            }
        }
    }
    if extent == ChangeExtent::Inside {
        // What a name leads to that led nowhere may have come up in here.
        return before.iter().all(|begun| begun.host.is_empty() || !begun.addresses.is_empty());
    }
    for (begun, route) in before.iter().zip(routes) {
        let is_address = begun.host.parse::<IpAddr>().is_ok();
        if begun.addresses.is_empty() || !is_address && leave(route, network).await.0 != *begun {
            return false;
        }
    }
    true
}

/// Asks by a way. Where it began before, it is taken at once if it leads out of here: looking its name up takes its
/// time, and ssh does that anyway.
async fn ask_by(
    route: &Route,
    known: Option<Beginning>,
    volumes: &[RemoteProbe],
    network: &NetworkSight,
    place: &SshPlace,
) -> (Beginning, Result<ServerSight, HostFault>) {
    let look = || {
        let (way, place, words) = (route.clone(), place.clone(), probe::arguments(volumes));
        on_thread(route, move || look(&way, &place, &words))
    };
    // As they are now: what changes while the question is under way is another way.
    let (mut is_open, mut now) = (false, BTreeMap::new());
    for address in known.iter().flat_map(|known| known.addresses.keys()) {
        let (out, way) = way_to(*address, network).await;
        is_open = is_open || out.is_ok();
        now.insert(*address, way);
    }
    let (begun, interface, answer) = if is_open {
        let (answer, (mut begun, interface)) = tokio::join!(look(), leave(route, network));
        for (address, way) in &mut begun.addresses {
            *way = now.remove(address).unwrap_or_else(|| std::mem::take(way));
        }
        (begun, interface.unwrap_or_default(), answer)
    } else {
        match leave(route, network).await {
            (begun, Ok(interface)) => (begun, interface, look().await),
            (begun, Err(fault)) => return (begun, Err(fault)),
        }
    };
    let sight = answer.and_then(|answer| answer).and_then(|answer| {
        let Endpoint { name, host, .. } = &route.endpoint;
        let way = ReachedBy { endpoint: name, host, interface: interface.as_deref() };
        let garbled = |garbled: Garbled| at(&route.endpoint, HostTrouble::NoShell(garbled.to_string()));
        probe::sights(&answer, volumes, way).map(ServerSight::Reached).map_err(garbled)
    });
    (begun, sight)
}

/// Runs the script that looks.
fn look(route: &Route, place: &SshPlace, words: &[OsString]) -> Result<Vec<u8>, HostFault> {
    let bell = Bell::new().map_err(|error| at(&route.endpoint, HostTrouble::Broken(error.to_string())))?;
    let deadline = ssh::patience(route).saturating_add(LONGEST_ANSWER);
    let said = ssh::ask(route, place, (probe::SCRIPT, words), deadline, &bell, || Wanted::GoOn)?;
    Ok(said.output)
}

/// Where a way begins, and the interface by which it leaves this machine; the route to the host decides, not which
/// network is the usual one. Where ssh's own configuration takes another way (`ProxyCommand`, `ProxyJump`), nothing is
/// known of it.
async fn leave(route: &Route, network: &NetworkSight) -> (Beginning, Result<Option<String>, HostFault>) {
    let way = route.clone();
    let found = on_thread(route, move || hosts::whereabouts(&way)).await;
    let (host, addresses) = match found {
        Ok(Ok(Whereabouts::At { host, addresses })) => (host, addresses),
        Ok(Ok(Whereabouts::Unknown)) => return (Beginning::default(), Ok(None)),
        Ok(Err(trouble)) => {
            let host = route.endpoint.host.clone();
            return (Beginning { host, ..Beginning::default() }, Err(at(&route.endpoint, trouble)));
        }
        Err(fault) => return (Beginning::default(), Err(fault)),
    };
    let mut begun = Beginning { host, addresses: BTreeMap::new() };
    let mut outs = Vec::new();
    for address in addresses {
        let (out, way) = way_to(address, network).await;
        begun.addresses.insert(address, way);
        outs.push(out);
    }
    let interface =
        best(outs).map_err(|trouble| HostFault { host: begun.host.clone(), ..at(&route.endpoint, trouble) });
    (begun, interface)
}

/// How packets to an address leave this machine, and a text that is another one when they leave by another way.
async fn way_to(address: IpAddr, network: &NetworkSight) -> (Result<Option<String>, HostTrouble>, String) {
    if locations::is_cut_off(network, address) {
        return (Err(HostTrouble::Portal), "portal".into());
    }
    match addresses::route_to(address).await {
        Ok(RouteSight { interface, mark }) => {
            let own = interface.as_ref().and_then(|interface| network.links.get(interface));
            let text = format!("{interface:?} {mark} {:?}", own.map(|link| &link.addresses));
            // What a tunnel itself goes through does not show in the way into it.
            let below = own.filter(|link| link.kind == LinkKind::Tunnel).map(|_| {
                let links = network.links.iter().filter(|(_, link)| link.kind == LinkKind::Direct);
                (links.map(|(name, link)| (name, &link.addresses)).collect::<Vec<_>>(), &network.gateways)
            });
            (Ok(interface), format!("{text} {below:?}"))
        }
        Err(RouteError::Unreachable(_)) => (Err(HostTrouble::NoRoute), "none".into()),
        // The kernel does not tell; ssh will.
        Err(RouteError::Ask(..)) => (Ok(None), "unknown".into()),
    }
}

/// The first way out; if there is none, what is wrong with them.
fn best(outs: Vec<Result<Option<String>, HostTrouble>>) -> Result<Option<String>, HostTrouble> {
    let mut wrong = None;
    for out in outs {
        match out {
            Ok(interface) => return Ok(interface),
            Err(HostTrouble::NoRoute) => wrong = Some(HostTrouble::NoRoute),
            Err(trouble) => wrong = wrong.or(Some(trouble)),
        }
    }
    wrong.map_or(Ok(None), Err)
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
