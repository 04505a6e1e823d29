//! logind: it tells before the machine sleeps and after it woke, and waits a moment for us (`systemd-logind`'s
//! inhibitor locks).

use std::time::Duration;

use zbus::{Message, OwnedFd, proxy};

use super::bus::{Bus, Peer, Service, Watched};

/// How long it may take to answer one question.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why sleep does not wait for us.
#[derive(Debug, thiserror::Error)]
#[error("ask logind: {0}")]
pub struct LogindError(#[from] zbus::Error);

/// Holds off sleep while it lives, for as long as logind waits (`InhibitDelayMaxSec`, 5 s if nothing else is set).
#[derive(Debug)]
pub struct Inhibitor {
    _lock: OwnedFd,
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

    #[zbus(property)]
    fn preparing_for_sleep(&self) -> zbus::Result<bool>;
}

/// Begins to watch it. Each signal is a turn.
#[must_use]
pub fn watch(bus: Bus) -> Service {
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

/// Has sleep wait for us.
pub async fn inhibit(peer: &Peer) -> Result<Inhibitor, LogindError> {
    let why = "finish or stop the running backup cleanly";
    let lock = manager(peer).await?.inhibit("sleep", "Nomad Backup", why, "delay").await?;
    Ok(Inhibitor { _lock: lock })
}

async fn manager(peer: &Peer) -> zbus::Result<ManagerProxy<'_>> {
    let builder = ManagerProxy::builder(&peer.connection).destination(peer.owner.clone());
    builder.cache_properties(zbus::proxy::CacheProperties::No).build().await
}
