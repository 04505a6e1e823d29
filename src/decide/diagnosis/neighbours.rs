//! Services of the machine and of the desktop. One that nothing in the configuration needs is not asked for.

use std::path::Path;

use crate::model::{Area, Examined, Flaw, Locks, PolkitSight, ServiceSight, Verdict};

/// What starts the bus of the machine.
const START_THE_BUS: &str = "start the system bus: `systemctl start dbus`";

/// udisks2, which mounts drives.
#[must_use]
pub fn udisks(sight: &ServiceSight) -> Examined {
    let verdict = match sight {
        ServiceSight::Here(version) => Verdict::Well(format!("version {version}")),
        ServiceSight::Startable | ServiceSight::Absent => Flaw::UdisksAbsent
            .error(
                "udisks2, which mounts drives, is not there",
                "install it: `apt install udisks2`; or leave out `mount = true`",
            )
            .into(),
        ServiceSight::NoBus(why) => Flaw::UdisksAbsent
            .error(format!("udisks2, which mounts drives, is out of reach: could not {why}"), START_THE_BUS)
            .into(),
        ServiceSight::Mute(why) => Flaw::UdisksAbsent
            .error(format!("udisks2 does not answer: {why}"), "restart it: `systemctl restart udisks2`")
            .into(),
    };
    Area::Neighbours.examined("udisks2", verdict)
}

/// What udisks2 needs to unlock drives, by where its plug-in lies. Only a drive that is plugged in tells for certain.
#[must_use]
pub fn luks(plugin: Option<&Path>) -> Examined {
    match plugin {
        Some(path) => Area::Neighbours.well("encryption", path.display().to_string()),
        None => Area::Neighbours.examined(
            "encryption",
            Flaw::LuksUnsupported.warning(
                "udisks2 most likely cannot unlock drives: its plug-in `libbd_crypto` is in none of the usual \
                 directories",
                INSTALL_THE_PLUGIN,
            ),
        ),
    }
}

/// What makes udisks2 able to unlock drives.
const INSTALL_THE_PLUGIN: &str = "install its plug-in: `apt install libblockdev-crypto2` (from Debian 13 on \
                                  `libblockdev-crypto3`), then `systemctl restart udisks2`";

/// udisks2 cannot unlock drives, for this reason.
#[must_use]
pub fn cannot_unlock(why: &str) -> Verdict {
    Flaw::LuksUnsupported.error(format!("udisks2 cannot unlock drives: {why}"), INSTALL_THE_PLUGIN).into()
}

/// polkit, which udisks2 asks.
#[must_use]
pub fn polkit(sight: &PolkitSight) -> Examined {
    match sight {
        PolkitSight::Allows(_) => Area::Neighbours.well("polkit", "it answers"),
        PolkitSight::Absent(why) => Area::Neighbours.examined(
            "polkit",
            Flaw::PolkitAbsent.error(
                format!("polkit does not answer, and without it udisks2 mounts nothing for a user: {why}"),
                "install it: `apt install polkitd`",
            ),
        ),
    }
}

/// What logind grants a run.
#[must_use]
pub fn logind(sight: &ServiceSight, locks: Option<&Locks>) -> Vec<Examined> {
    let Some(Locks { sleep, idle }) = locks else { return vec![without_logind(sight)] };
    let allow = |what: &str| {
        format!(
            "allow `org.freedesktop.login1.inhibit-{what}` in polkit to the user that runs nbkpd \
             (`pkaction --verbose --action-id org.freedesktop.login1.inhibit-{what}` shows who may)"
        )
    };
    let sleep = match sleep {
        Ok(()) => Verdict::Well("the machine waits for a run before it sleeps".into()),
        Err(why) => {
            let message = format!("the machine does not wait for a run before it sleeps, which cuts it off: {why}");
            Flaw::SleepNotDelayed.warning(message, allow("delay-sleep")).into()
        }
    };
    let idle = match idle {
        Ok(()) => Verdict::Well("idle sleep can be held off".into()),
        Err(why) => {
            let message = format!("an idle machine may fall asleep during a run: {why}");
            Flaw::IdleNotHeld.warning(message, allow("block-idle")).into()
        }
    };
    vec![Area::Neighbours.examined("sleep", sleep), Area::Neighbours.examined("idle", idle)]
}

fn without_logind(sight: &ServiceSight) -> Examined {
    let (why, fix) = match sight {
        ServiceSight::NoBus(why) => (format!("could not {why}"), START_THE_BUS),
        ServiceSight::Mute(why) => (why.clone(), "restart it: `systemctl restart systemd-logind`"),
        ServiceSight::Here(_) | ServiceSight::Startable | ServiceSight::Absent => {
            ("it does not run".to_owned(), "start it: `systemctl start systemd-logind`")
        }
    };
    let message =
        format!("sleep is not noticed without logind, so that it cuts a run off, which goes on after it: {why}");
    Area::Neighbours.examined("sleep", Flaw::SleepNotDelayed.warning(message, fix))
}

/// Who shows notifications; without a session bus there is no desktop either.
#[must_use]
pub fn notifications(sight: &ServiceSight) -> Examined {
    let fix =
        "start one (desktops have it; `apt install dunst` is a small one), or set `notify = \"none\"` in [daemon]";
    let verdict = match sight {
        ServiceSight::Here(_) => Verdict::Well("they are shown".into()),
        ServiceSight::Startable => Verdict::Well("the bus starts who shows them when there is one".into()),
        ServiceSight::Absent => Flaw::NotificationsAbsent
            .warning(
                "nobody shows notifications in this session, so that problems are told by `nbkpctl status` only",
                fix,
            )
            .into(),
        ServiceSight::Mute(why) => {
            Flaw::NotificationsAbsent.warning(format!("who shows notifications does not answer: {why}"), fix).into()
        }
        ServiceSight::NoBus(_) => Flaw::NotificationsAbsent
            .note("nbkpd runs without a desktop session, so that problems are told by `nbkpctl status` only", fix)
            .into(),
    };
    Area::Neighbours.examined("notifications", verdict)
}

/// NetworkManager, by which locations with `ssids` or `connections` are recognised.
#[must_use]
pub fn network_manager(sight: &ServiceSight) -> Examined {
    let why = match sight {
        ServiceSight::Here(_) => return Area::Neighbours.well("NetworkManager", "it runs"),
        ServiceSight::Startable | ServiceSight::Absent => "it does not run".to_owned(),
        ServiceSight::Mute(why) => why.clone(),
        ServiceSight::NoBus(why) => format!("could not {why}"),
    };
    Area::Neighbours.examined(
        "NetworkManager",
        Flaw::NetworkManagerAbsent.warning(
            format!("locations with `ssids` or `connections` are not recognised without NetworkManager: {why}"),
            "start it (`systemctl enable --now NetworkManager`), or name these places by `gateways` or `subnets`",
        ),
    )
}

/// UPower, by which the charge of the battery is followed.
#[must_use]
pub fn upower(sight: &ServiceSight) -> Examined {
    match sight {
        ServiceSight::Here(_) | ServiceSight::Startable => Area::Neighbours.well("UPower", "it is there"),
        ServiceSight::Absent | ServiceSight::Mute(_) | ServiceSight::NoBus(_) => Area::Neighbours.examined(
            "UPower",
            Flaw::UpowerAbsent.note(
                "without UPower a change of the battery is seen within a minute instead of at once",
                "install it: `apt install upower`",
            ),
        ),
    }
}
