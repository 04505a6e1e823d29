//! What is asked on the buses of the machine and of the session, as far as the configuration needs it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::daemon::serving::doctor::drives;
use crate::daemon::serving::doctor::premises::{Premises, on_a_runtime};
use crate::daemon::world::Initiative;
use crate::decide::diagnosis::{credentials, daemon, neighbours as judge, unanswered};
use crate::decide::locations::{Wish, wishes};
use crate::model::{
    Area, CredentialName, CredentialProvider, DriveUuid, Examined, Lingering, Notify, SecretSight, ServiceSight,
};
use crate::os::bus::{self, Bus, NotRunning, Presence};
use crate::os::causes::chain;
use crate::os::udisks::{Udisks, trial};
use crate::os::{logind, network_manager, secrets, service};

/// How long a service may take to answer one question.
const DEADLINE: Duration = Duration::from_secs(5);

/// Whether the daemon runs on without a session.
pub(crate) fn lingering(known: &Premises) -> Vec<Examined> {
    if known.initiative != Initiative::Own || !service::is_of_a_user() {
        return Vec::new();
    }
    let asked = async {
        match bus::standing(Bus::System, "org.freedesktop.login1", DEADLINE).await {
            Presence::Here(peer) => logind::lingering(&peer).await.unwrap_or(Lingering::NotAsked),
            Presence::Unknown | Presence::Absent(_) | Presence::NoBus(_) => Lingering::NotAsked,
        }
    };
    on_a_runtime(asked).and_then(daemon::lingering).into_iter().collect()
}

/// Services of the machine and the session.
pub(crate) fn neighbours(known: &Premises) -> Vec<Examined> {
    let mut examined = Vec::new();
    if drives::opened(&known.configuration).next().is_some() {
        let found = udisks();
        examined.push(judge::udisks(&found));
        let mut encrypted = drives::opened(&known.configuration).filter(|opened| opened.passphrase.is_some());
        let is_plugged = |uuid: &DriveUuid| {
            known.devices.iter().any(|(devices, _)| devices.iter().any(|device| device.uuid == *uuid))
        };
        // One that is plugged in shows by itself whether its container can be read.
        if matches!(found, ServiceSight::Here(_)) && encrypted.any(|opened| !is_plugged(&opened.drive.uuid)) {
            examined.push(judge::luks(trial::crypto_plugin().as_deref()));
        }
    }
    let asked = on_a_runtime(async {
        let mut examined = sleep().await;
        if known.configuration.daemon.notify != Notify::None {
            let standing = bus::standing(Bus::Session, "org.freedesktop.Notifications", DEADLINE).await;
            examined.push(judge::notifications(&sight(standing)));
        }
        let wishes = wishes(&known.configuration);
        if wishes.contains(&Wish::Connections) {
            examined.push(judge::network_manager(&manager().await));
        }
        if wishes.contains(&Wish::Battery) {
            let standing = bus::standing(Bus::System, "org.freedesktop.UPower", DEADLINE).await;
            examined.push(judge::upower(&sight(standing)));
        }
        examined
    });
    examined.extend(asked.unwrap_or_else(|| vec![unanswered(Area::Neighbours, "services", DEADLINE.as_secs())]));
    examined
}

/// Whether the passphrases of drives are where the configuration says.
pub(crate) fn passphrases(known: &Premises) -> Vec<Examined> {
    let names: BTreeSet<&CredentialName> =
        drives::opened(&known.configuration).filter_map(|opened| opened.passphrase).collect();
    let provider = &known.configuration.credentials;
    let absent = if *provider == CredentialProvider::SecretService && !names.is_empty() { no_keyring() } else { None };
    let sight = |name| absent.clone().unwrap_or_else(|| secrets::sight(provider, name));
    names.into_iter().map(|name| credentials::passphrase(name, &sight(name))).collect()
}

/// Why no keyring is there, if so. None is started: one that the desktop has not started might ask questions.
fn no_keyring() -> Option<SecretSight> {
    let why = match on_a_runtime(bus::standing(Bus::Session, "org.freedesktop.secrets", DEADLINE))? {
        Presence::Here(_) => return None,
        Presence::Absent(NotRunning::Startable) => "it is installed, and was not started in this session".to_owned(),
        Presence::Absent(NotRunning::Unknown) => "none runs in this session".to_owned(),
        Presence::NoBus(why) => format!("could not {why}"),
        Presence::Unknown => "it is not known".to_owned(),
    };
    Some(SecretSight::NoKeyring(why))
}

async fn sleep() -> Vec<Examined> {
    match bus::standing(Bus::System, "org.freedesktop.login1", DEADLINE).await {
        Presence::Here(peer) => {
            let locks = logind::try_locks(&peer).await;
            judge::logind(&ServiceSight::Here(String::new()), Some(&locks))
        }
        standing @ (Presence::Unknown | Presence::Absent(_) | Presence::NoBus(_)) => {
            judge::logind(&sight(standing), None)
        }
    }
}

async fn manager() -> ServiceSight {
    match bus::standing(Bus::System, "org.freedesktop.NetworkManager", DEADLINE).await {
        Presence::Here(peer) => match network_manager::look(&peer).await {
            Ok(_) => ServiceSight::Here(String::new()),
            Err(error) => ServiceSight::Mute(format!("could not {}", chain(&error))),
        },
        standing @ (Presence::Unknown | Presence::Absent(_) | Presence::NoBus(_)) => sight(standing),
    }
}

/// It is started by the bus where it does not run, as it is for a run.
fn udisks() -> ServiceSight {
    let standing = on_a_runtime(bus::standing(Bus::System, "org.freedesktop.UDisks2", DEADLINE));
    match standing.map(sight) {
        Some(ServiceSight::Here(_) | ServiceSight::Startable) => {
            match Udisks::connect().and_then(|udisks| udisks.version()) {
                Ok(version) => ServiceSight::Here(version),
                Err(error) => ServiceSight::Mute(format!("could not {error}")),
            }
        }
        Some(absent) => absent,
        None => ServiceSight::Mute("it could not be asked".into()),
    }
}

fn sight(standing: Presence) -> ServiceSight {
    match standing {
        Presence::Here(_) => ServiceSight::Here(String::new()),
        Presence::Absent(NotRunning::Startable) => ServiceSight::Startable,
        Presence::Absent(NotRunning::Unknown) => ServiceSight::Absent,
        Presence::NoBus(why) => ServiceSight::NoBus(why),
        Presence::Unknown => ServiceSight::Mute("it is not known".into()),
    }
}
