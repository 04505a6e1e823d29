//! polkit: whether an action is allowed for this process, whatever it is about.
//!
//! It lets only root pass details, such as the UUID of a drive. Anybody may ask about themselves without. The subject
//! is our name on the bus, as it is when udisks2 asks about us.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use zbus::{Connection, Variant};

use super::bus::Bus;
use crate::model::PolkitSight;
use crate::os::causes::chain;

/// How long it may take to answer one question.
const DEADLINE: Duration = Duration::from_secs(5);

const SERVICE: &str = "org.freedesktop.PolicyKit1";
const AUTHORITY: &str = "/org/freedesktop/PolicyKit1/Authority";
const INTERFACE: &str = "org.freedesktop.PolicyKit1.Authority";

/// Nobody is asked anything: a person is not there (`CheckAuthorizationFlags`).
const NO_INTERACTION: u32 = 0;

/// Asks about each of these actions. One that polkit does not know is not allowed.
pub async fn permissions(bus: &Bus, actions: impl Iterator<Item = &'static str>) -> PolkitSight {
    let connection = match bus.connect(DEADLINE).await {
        Ok(connection) => connection,
        Err(error) => return PolkitSight::Absent(format!("could not {}", chain(&error))),
    };
    let mut allowed = BTreeMap::new();
    for action in actions {
        match is_allowed(&connection, action).await {
            Ok(is_allowed) => drop(allowed.insert(action, is_allowed)),
            Err(error) if is_unknown_action(&error) => drop(allowed.insert(action, false)),
            Err(error) => return PolkitSight::Absent(format!("could not ask it: {}", chain(&error))),
        }
    }
    PolkitSight::Allows(allowed)
}

async fn is_allowed(connection: &Connection, action: &str) -> zbus::Result<bool> {
    let name = connection.unique_name().map(ToString::to_string).unwrap_or_default();
    let subject = ("system-bus-name", HashMap::from([("name", Variant::from(name))]));
    let details: HashMap<&str, &str> = HashMap::new();
    let question = (subject, action, details, NO_INTERACTION, "");
    let reply =
        connection.call_method(Some(SERVICE), AUTHORITY, Some(INTERFACE), "CheckAuthorization", &question).await?;
    let ((is_allowed, _challenge, _details),) =
        reply.body().deserialize::<((bool, bool, HashMap<String, String>),)>()?;
    Ok(is_allowed)
}

fn is_unknown_action(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, Some(words), _)
        if name.as_str() == "org.freedesktop.PolicyKit1.Error.Failed" && words.contains("is not registered"))
}
