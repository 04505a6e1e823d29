//! logind: it tells before the machine sleeps and after it woke, waits a moment for us, and does not take the machine
//! for idle while we copy (`systemd-logind`'s inhibitor locks).

use std::time::Duration;

use zbus::{Message, OwnedFd, OwnedObjectPath, proxy};

use super::bus::{Bus, Peer, Service, Watched};
use crate::model::{Lingering, Locks};
use crate::os::causes::chain;

/// How long it may take to answer one question.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why logind does not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("ask logind")]
pub struct LogindError(#[from] zbus::Error);

/// Holds off what it was taken for while it lives.
#[derive(Debug)]
pub struct Inhibitor {
    _lock: OwnedFd,
}

/// What is held off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldOff {
    /// Sleep, for as long as logind waits (`InhibitDelayMaxSec`, 5 s if nothing else is set).
    Sleep,
    /// What happens to a machine that nobody uses (`IdleAction`), for as long as we like. Who closes the lid or asks
    /// for sleep gets it all the same.
    Idleness,
}

impl HeldOff {
    /// The kind of the lock, the reason that people are shown, and the mode.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Sleep => ("sleep", "finish or stop the running backup cleanly", "delay"),
            Self::Idleness => ("idle", "a backup is being made", "block"),
        }
    }
}

/// What the machine is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is going to sleep.
    ToSleep,
    /// It has woken.
    ToWake,
}

#[proxy(interface = "org.freedesktop.login1.Manager", default_path = "/org/freedesktop/login1")]
trait Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;

    fn get_user(&self, uid: u32) -> zbus::Result<OwnedObjectPath>;

    #[zbus(property)]
    fn preparing_for_sleep(&self) -> zbus::Result<bool>;
}

#[proxy(interface = "org.freedesktop.login1.User")]
trait User {
    #[zbus(property)]
    fn linger(&self) -> zbus::Result<bool>;
}

/// Begins to watch it. Each signal is a turn.
#[must_use]
pub fn service(bus: Bus) -> Service {
    let signals =
        &["path='/org/freedesktop/login1',interface='org.freedesktop.login1.Manager',member='PrepareForSleep'"];
    Watched { bus, name: "org.freedesktop.login1", signals, deadline: DEADLINE }.watch()
}

/// What a signal says; `None` if it makes no sense.
#[must_use]
pub fn turn(signal: &Message) -> Option<Turn> {
    let to_sleep: bool = signal.body().deserialize().ok()?;
    Some(if to_sleep { Turn::ToSleep } else { Turn::ToWake })
}

/// The turn that the machine is in, for whoever missed the signal.
pub async fn last_turn(peer: &Peer) -> Result<Turn, LogindError> {
    Ok(if manager(peer).await?.preparing_for_sleep().await? { Turn::ToSleep } else { Turn::ToWake })
}

/// Has this held off from now on.
pub async fn inhibit(peer: &Peer, what: HeldOff) -> Result<Inhibitor, LogindError> {
    let (kind, why, mode) = what.words();
    let lock = manager(peer).await?.inhibit(kind, "Nomad Backup", why, mode).await?;
    Ok(Inhibitor { _lock: lock })
}

/// Takes the locks that are taken for runs, and gives each back at once: whether logind grants them.
pub async fn try_locks(peer: &Peer) -> Locks {
    let taken =
        async |what| inhibit(peer, what).await.map(drop).map_err(|error| format!("could not {}", chain(&error)));
    Locks { sleep: taken(HeldOff::Sleep).await, idle: taken(HeldOff::Idleness).await }
}

/// Whether the processes of the user of this process outlive their sessions.
pub async fn lingering(peer: &Peer) -> Result<Lingering, LogindError> {
    let user = manager(peer).await?.get_user(rustix::process::geteuid().as_raw()).await?;
    let builder = UserProxy::builder(&peer.connection).destination(peer.owner.clone()).path(user);
    let user = builder.cache_properties(zbus::proxy::CacheProperties::No).build().await?;
    Ok(if user.linger().await? { Lingering::On } else { Lingering::Off })
}

async fn manager(peer: &Peer) -> zbus::Result<ManagerProxy<'_>> {
    let builder = ManagerProxy::builder(&peer.connection).destination(peer.owner.clone());
    builder.cache_properties(zbus::proxy::CacheProperties::No).build().await
}
