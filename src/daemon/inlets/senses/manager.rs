//! What NetworkManager says, kept up to date.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::daemon::inlets::senses::shortage::Unheard;
use crate::os::bus::{Bus, NotRunning, Presence, Service};
use crate::os::causes::chain;
use crate::os::network_manager::{self, ManagerPhase, ManagerSight};

/// How long it must say nothing before it is looked at, and how long it may go on talking: one connection that comes up
/// makes a hundred signals, a start some two hundred.
const QUIET: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);

/// How long a look may take.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

/// How long until one that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(30);

/// How long what it said is held while it starts anew.
const HELD: Duration = Duration::from_secs(10);

/// How NetworkManager is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manager {
    /// It was not found out yet.
    Unknown,
    /// It is there, and says this.
    Says(ManagerSight),
    /// It is not there, with the reason, and may never have been meant to be.
    Missing(String),
    /// It was there and is gone, with the reason.
    Gone(String),
    /// It is there and does not answer, with the reason.
    Silent(String),
}

/// Keeps up with NetworkManager for as long as somebody wants to know.
pub(crate) async fn follow(bus: Bus, to: watch::Sender<Manager>) -> Result<(), Unheard> {
    let mut service = network_manager::service(bus);
    let (mut held_until, mut seen) = (None, Seen::Never);
    loop {
        let now = look(&mut service, &mut seen).await;
        let settled = match &now {
            Manager::Says(sight) => sight.readiness == ManagerPhase::Settled,
            Manager::Unknown | Manager::Missing(_) | Manager::Gone(_) | Manager::Silent(_) => false,
        };
        // Most often it is back in a moment, and the network stays as it was.
        let known = matches!(*to.borrow(), Manager::Says(_));
        held_until = match (settled, known) {
            (true, _) | (_, false) => None,
            (false, true) => held_until.or_else(|| Some(Instant::now() + HELD)),
        };
        if held_until.is_none_or(|until| until <= Instant::now()) {
            to.send_if_modified(|known| {
                let differs = *known != now;
                *known = now.clone();
                differs
            });
        }
        let rest = match (&now, held_until.filter(|until| *until > Instant::now())) {
            (_, Some(until)) => Some(until),
            (Manager::Silent(_), None) => Some(Instant::now() + AGAIN),
            (Manager::Unknown | Manager::Says(_) | Manager::Missing(_) | Manager::Gone(_), None) => None,
        };
        tokio::select! {
            changed = service.standing.changed() => changed?,
            Some(_) = service.signals.recv() => wait_for_quiet(&mut service).await,
            () = until(rest) => {}
            () = to.closed() => return Ok(()),
        }
    }
}

/// Whether it was ever there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    Once,
}

async fn look(service: &mut Service, seen: &mut Seen) -> Manager {
    let standing = service.standing.borrow_and_update().clone();
    let why = match standing {
        Presence::Unknown => return Manager::Unknown,
        Presence::Here(peer) => {
            *seen = Seen::Once;
            return match timeout(LONGEST_ANSWER, network_manager::look(&peer)).await {
                Ok(Ok(sight)) => Manager::Says(sight),
                Ok(Err(error)) => Manager::Silent(format!("could not {}", chain(&error))),
                Err(_) => Manager::Silent(format!("it says nothing within {} s", LONGEST_ANSWER.as_secs())),
            };
        }
        Presence::Absent(NotRunning::Unknown | NotRunning::Startable) => "it does not run".to_owned(),
        Presence::NoBus(why) => format!("could not {why}"),
    };
    match seen {
        Seen::Never => Manager::Missing(why),
        Seen::Once => Manager::Gone(why),
    }
}

/// Takes what it says until it is quiet for a moment.
async fn wait_for_quiet(service: &mut Service) {
    let latest = Instant::now() + LONGEST;
    while let Ok(Some(_)) = timeout_at(latest.min(Instant::now() + QUIET), service.signals.recv()).await {}
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep(moment.duration_since(Instant::now())).await,
        None => std::future::pending().await,
    }
}
