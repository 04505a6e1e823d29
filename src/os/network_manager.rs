//! NetworkManager: which connections are active, which Wi-Fi is joined, what is metered, whether there is internet.
//!
//! Its signals say only "look again": one connection that comes up makes about a hundred. Objects vanish between two
//! questions; that is an answer, too. Numbers are those of its D-Bus interface (`nm-dbus-interface.h`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use zbus::fdo::{self, PropertiesProxy};
use zbus::names::InterfaceName;
use zbus::proxy::CacheProperties;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant};

use super::bus::{Bus, Peer, Service, Watched};
use crate::model::{ActiveConnection, Connectivity, Metered};

/// How long it may take to answer one question.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where it answers.
const PATH: &str = "/org/freedesktop/NetworkManager";

/// The interfaces that are read.
const MANAGER: &str = "org.freedesktop.NetworkManager";
const ACTIVE: &str = "org.freedesktop.NetworkManager.Connection.Active";
const DEVICE: &str = "org.freedesktop.NetworkManager.Device";
const WIRELESS: &str = "org.freedesktop.NetworkManager.Device.Wireless";
const ACCESS_POINT: &str = "org.freedesktop.NetworkManager.AccessPoint";

/// `NM_ACTIVE_CONNECTION_STATE_ACTIVATED`
const ACTIVATED: u32 = 2;

/// What NetworkManager knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManagerSight {
    /// How far the internet is within reach.
    pub connectivity: Connectivity,
    /// The connections that are up.
    pub connections: BTreeSet<ActiveConnection>,
    /// The names of the Wi-Fi networks that are joined; bytes that are no UTF-8 are replaced.
    pub ssids: BTreeSet<String>,
    /// Whether the interfaces of these connections are metered.
    pub metered: BTreeMap<String, Metered>,
    /// Whether it has taken up its work.
    pub readiness: ManagerPhase,
}

/// Whether NetworkManager has taken up its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ManagerPhase {
    /// It has just been started, and is still finding out which connections are up.
    Starting,
    /// What it says is all there is.
    #[default]
    Settled,
}

/// Why nothing is known of it.
#[derive(Debug, thiserror::Error)]
#[error("ask NetworkManager")]
pub struct ManagerError(#[from] zbus::Error);

/// Begins to watch it. Each signal says that another look is owed.
#[must_use]
pub fn service(bus: Bus) -> Service {
    // Not all of them: on Wi-Fi it tells of the strength of the signal every few seconds.
    let signals = &[
        "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',\
         arg0='org.freedesktop.NetworkManager.Device'",
        "path_namespace='/org/freedesktop/NetworkManager/ActiveConnection'",
        "path='/org/freedesktop/NetworkManager'",
    ];
    Watched { bus, name: MANAGER, signals, deadline: DEADLINE }.watch()
}

/// Looks at what is there now.
pub async fn look(peer: &Peer) -> Result<ManagerSight, ManagerError> {
    let path = ObjectPath::try_from(PATH)?;
    // The one object that does not come and go.
    let Some(manager) = properties(peer, &path, MANAGER).await? else { return Ok(ManagerSight::default()) };
    let mut sight = ManagerSight { connectivity: connectivity(number(&manager, "Connectivity")), ..Default::default() };
    if value(&manager, "Startup") == Some(true) {
        sight.readiness = ManagerPhase::Starting;
    }
    for active in paths(&manager, "ActiveConnections") {
        add_connection(peer, &active, &mut sight).await?;
    }
    Ok(sight)
}

async fn add_connection(peer: &Peer, path: &OwnedObjectPath, sight: &mut ManagerSight) -> zbus::Result<()> {
    let Some(active) = properties(peer, path, ACTIVE).await? else { return Ok(()) };
    if number(&active, "State") != Some(ACTIVATED) || text(&active, "Type").as_deref() == Some("loopback") {
        return Ok(());
    }
    if let (Some(name), Some(uuid)) = (text(&active, "Id"), text(&active, "Uuid")) {
        sight.connections.insert(ActiveConnection { name, uuid });
    }
    let wireless = text(&active, "Type").as_deref() == Some("802-11-wireless");
    for device in paths(&active, "Devices") {
        if let Some(properties) = properties(peer, &device, DEVICE).await? {
            // A modem is one thing as a device and another as an interface.
            let interface = text(&properties, "IpInterface").filter(|name| !name.is_empty());
            if let Some(interface) = interface.or_else(|| text(&properties, "Interface")) {
                sight.metered.insert(interface, metered(number(&properties, "Metered")));
            }
        }
        if wireless && let Some(ssid) = ssid(peer, &device).await? {
            sight.ssids.insert(ssid);
        }
    }
    Ok(())
}

async fn ssid(peer: &Peer, device: &OwnedObjectPath) -> zbus::Result<Option<String>> {
    let Some(device) = properties(peer, device, WIRELESS).await? else { return Ok(None) };
    let Some(access_point) = value::<OwnedObjectPath>(&device, "ActiveAccessPoint") else { return Ok(None) };
    if access_point.as_str() == "/" {
        return Ok(None);
    }
    let Some(access_point) = properties(peer, &access_point, ACCESS_POINT).await? else { return Ok(None) };
    let name = value::<Vec<u8>>(&access_point, "Ssid").filter(|name| !name.is_empty());
    Ok(name.map(|name| String::from_utf8_lossy(&name).into_owned()))
}

/// All properties of an object, in one question; `None` if it is gone.
async fn properties(
    peer: &Peer,
    path: &ObjectPath<'_>,
    interface: &'static str,
) -> zbus::Result<Option<HashMap<String, OwnedVariant>>> {
    let builder = PropertiesProxy::builder(&peer.connection).destination(peer.owner.clone()).path(path.to_owned());
    let object = builder.cache_properties(CacheProperties::No).build().await?;
    match object.get_all(InterfaceName::from_static_str(interface)?).await {
        Ok(properties) => Ok(Some(properties)),
        Err(fdo::Error::UnknownObject(_) | fdo::Error::UnknownInterface(_) | fdo::Error::UnknownMethod(_)) => Ok(None),
        // How GLib says that an object has no such interface.
        Err(fdo::Error::InvalidArgs(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn value<T: TryFrom<OwnedVariant>>(properties: &HashMap<String, OwnedVariant>, name: &str) -> Option<T> {
    T::try_from(properties.get(name)?.try_clone().ok()?).ok()
}

fn text(properties: &HashMap<String, OwnedVariant>, name: &str) -> Option<String> {
    value(properties, name)
}

fn number(properties: &HashMap<String, OwnedVariant>, name: &str) -> Option<u32> {
    value(properties, name)
}

fn paths(properties: &HashMap<String, OwnedVariant>, name: &str) -> Vec<OwnedObjectPath> {
    value(properties, name).unwrap_or_default()
}

/// `NMConnectivityState`
fn connectivity(number: Option<u32>) -> Connectivity {
    match number {
        Some(1) => Connectivity::None,
        Some(2) => Connectivity::Portal,
        Some(3) => Connectivity::Limited,
        Some(4) => Connectivity::Full,
        Some(_) | None => Connectivity::Unknown,
    }
}

/// `NMMetered`: a guess is taken for an answer.
fn metered(number: Option<u32>) -> Metered {
    match number {
        Some(1 | 3) => Metered::Yes,
        Some(2 | 4) => Metered::No,
        Some(_) | None => Metered::Unknown,
    }
}
