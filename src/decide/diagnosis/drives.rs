//! Drives that the daemon mounts itself: whether polkit lets it.
//!
//! polkit lets only root ask about one drive. Anybody may ask whether an action is allowed for all of them, and udisks2
//! tells the rest, if the drive is plugged in and not mounted. What cannot be asked without doing it is said.

use std::path::Path;

use crate::decide::strangers::Suspicion;
use crate::model::{
    Area, ContainerSight, DrivePlace, DriveSight, Examined, Finding, Flaw, Held, HeldAt, PolkitSight, Trial, Undo,
    Verdict, VolumeName,
};

const MOUNT: [&str; 3] = [
    "org.freedesktop.udisks2.filesystem-mount",
    "org.freedesktop.udisks2.filesystem-mount-other-seat",
    "org.freedesktop.udisks2.filesystem-mount-system",
];
const UNLOCK: [&str; 3] = [
    "org.freedesktop.udisks2.encrypted-unlock",
    "org.freedesktop.udisks2.encrypted-unlock-other-seat",
    "org.freedesktop.udisks2.encrypted-unlock-system",
];
const POWER_OFF: [&str; 3] = [
    "org.freedesktop.udisks2.power-off-drive",
    "org.freedesktop.udisks2.power-off-drive-other-seat",
    "org.freedesktop.udisks2.power-off-drive-system",
];

/// All that polkit is asked about.
pub fn actions() -> impl Iterator<Item = &'static str> {
    MOUNT.into_iter().chain(UNLOCK).chain(POWER_OFF)
}

/// What polkit says of an action in all its variants, whichever drive it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blanket {
    /// It allows it.
    All,
    /// It allows it for drives of the seat where this user sits.
    Seat,
    /// It does not allow it without knowing the drive.
    None,
}

fn blanket(polkit: &PolkitSight, [plain, other, system]: [&'static str; 3], place: Option<DrivePlace>) -> Blanket {
    let PolkitSight::Allows(actions) = polkit else { return Blanket::None };
    let allows = |action| actions.get(action).copied().unwrap_or(false);
    match place {
        Some(DrivePlace::System) if allows(system) => Blanket::All,
        Some(DrivePlace::System) => Blanket::None,
        Some(DrivePlace::Removable) | None if allows(plain) && allows(other) => Blanket::All,
        Some(DrivePlace::Removable) | None if allows(plain) => Blanket::Seat,
        Some(DrivePlace::Removable) | None => Blanket::None,
    }
}

/// The rule that a user needs.
fn rule(place: Option<DrivePlace>) -> String {
    let system = match place {
        Some(DrivePlace::System) => {
            "; udisks2 takes it for a part of the machine, so add `-system` to its actions by hand"
        }
        Some(DrivePlace::Removable) | None => "",
    };
    format!("install the rule: `nbkpctl drives polkit | sudo tee /etc/polkit-1/rules.d/60-nbkp-$USER.rules`{system}")
}

/// Whether a drive may be mounted.
#[must_use]
pub fn mounting(volume: &VolumeName, polkit: &PolkitSight, drive: &DriveSight) -> Examined {
    let untested = |why: String, fix: String| Verdict::from(Flaw::PermissionUntested.note(why, fix));
    let begin = format!("whether polkit lets nbkpd mount drive `{volume}` cannot be told");
    let again = "then run `nbkpctl doctor` again";
    let verdict = match (&drive.trial, blanket(polkit, MOUNT, drive.place)) {
        (Trial::Allowed, _) => Verdict::Well("udisks2 would mount it".into()),
        (Trial::Refused(words), _) => Flaw::NotAuthorized
            .error(format!("polkit does not let nbkpd mount drive `{volume}`: {words}"), rule(drive.place))
            .into(),
        (_, Blanket::All) => Verdict::Well("polkit lets it be mounted".into()),
        (_, Blanket::Seat) => Verdict::Well("polkit lets it be mounted while its user sits at the machine".into()),
        (Trial::NotPlugged, Blanket::None) => {
            untested(format!("{begin} while it is not plugged in"), format!("plug it in, {again}"))
        }
        (Trial::Ambiguous, Blanket::None) => {
            untested(format!("{begin} while several devices carry its UUID"), format!("unplug all but one, {again}"))
        }
        (Trial::Mounted, Blanket::None) => untested(
            format!("{begin} while it is mounted"),
            format!("unmount it (`nbkpctl unmount {volume}`), {again}"),
        ),
        (Trial::Locked, Blanket::None) => {
            untested(format!("{begin} while it is locked"), format!("try it: `nbkpctl mount {volume}`"))
        }
        (Trial::InFstab, Blanket::None) => untested(
            format!("{begin}: it has a line in /etc/fstab, by which udisks2 goes"),
            format!("try it: `nbkpctl mount {volume}`; the option `user` in that line lets you mount it"),
        ),
        (Trial::Unclear(words), Blanket::None) => {
            untested(format!("{begin}; udisks2 says: {words}"), format!("try it: `nbkpctl mount {volume}`"))
        }
    };
    Area::Drives.examined(format!("mount {volume}"), verdict)
}

/// Whether a drive may be unlocked. udisks2 asks polkit only once it has a passphrase to try, so it cannot be asked.
#[must_use]
pub fn unlocking(volume: &VolumeName, polkit: &PolkitSight, drive: &DriveSight) -> Examined {
    let verdict = match blanket(polkit, UNLOCK, drive.place) {
        Blanket::All => Verdict::Well("polkit lets it be unlocked".into()),
        Blanket::Seat => Verdict::Well("polkit lets it be unlocked while its user sits at the machine".into()),
        Blanket::None => Flaw::PermissionUntested
            .note(
                format!("whether polkit lets nbkpd unlock drive `{volume}` shows only when it is unlocked"),
                format!(
                    "try it with the drive plugged in: `nbkpctl mount {volume}`; if it is refused, {}",
                    rule(drive.place)
                ),
            )
            .into(),
    };
    Area::Drives.examined(format!("unlock {volume}"), verdict)
}

/// Whether a drive may be powered off, which polkit is asked about the whole disk.
#[must_use]
pub fn powering_off(volume: &VolumeName, polkit: &PolkitSight, drive: &DriveSight) -> Examined {
    let verdict = match blanket(polkit, POWER_OFF, drive.place) {
        Blanket::All => Verdict::Well("polkit lets it be powered off".into()),
        Blanket::Seat => Verdict::Well("polkit lets it be powered off while its user sits at the machine".into()),
        Blanket::None => Flaw::PermissionUntested
            .note(
                format!(
                    "polkit does not let nbkpd power off just any drive; whether a rule names `{volume}` shows only \
                     when it is powered off, and if none does, it is unmounted and locked"
                ),
                "write a rule with `action.lookup(\"drive.serial\")`, if it should be (polkit(8))",
            )
            .into(),
    };
    Area::Drives.examined(format!("power off {volume}"), verdict)
}

/// Whether a drive that is plugged in can be read as an encrypted one; `None` if that is not known.
#[must_use]
pub fn container(volume: &VolumeName, drive: &DriveSight) -> Option<Examined> {
    let verdict = match drive.container? {
        ContainerSight::Read => Verdict::Well("udisks2 reads its container".into()),
        ContainerSight::Unread => {
            super::neighbours::cannot_unlock("it cannot read the container, most likely for want of its plug-in")
        }
    };
    Some(Area::Drives.examined(format!("container of {volume}"), verdict))
}

/// A drive that is not plugged in: whether its UUID may be wrong. Nothing is to be told of one that was used before.
#[must_use]
pub fn absent(volume: &VolumeName, suspicion: Option<Suspicion>, was_used: Use) -> Option<Examined> {
    let finding = match (suspicion, was_used) {
        (Some(Suspicion { message, fix }), _) => {
            Flaw::DriveUnknown.warning(message, format!("{fix} in [volumes.{volume}]"))
        }
        (None, Use::Never) => Flaw::DriveUnknown.note(
            format!("drive `{volume}` was never used here, and is not plugged in"),
            "plug it in; if it stays like that, `nbkpctl drives` shows the UUIDs of the drives that are in",
        ),
        (None, Use::Before) => return None,
    };
    Some(Area::Drives.examined(volume.as_str(), finding))
}

/// Whether a drive was used for a good copy before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Never.
    Never,
    /// It was.
    Before,
}

/// What a killed daemon left open, or may have: the next one closes it. `start` is the command that starts it.
#[must_use]
pub fn left_open(held: &Held, start: &str) -> Examined {
    let volume = &held.volume;
    let (place, mount) = match &held.at {
        HeldAt::Here { .. } => ("", format!("`findmnt -S UUID={}` shows where it is mounted", held.uuid)),
        HeldAt::There { .. } => (" in its server", "there `findmnt` shows where it is mounted".to_owned()),
    };
    let what = match held.undo {
        // It is as others left it.
        Undo::Nothing => return Area::Drives.well(format!("left {volume}"), "nothing of it was changed"),
        Undo::Unmount => "mounted",
        Undo::Lock => "unlocked and mounted",
    };
    Area::Drives.examined(
        format!("left {volume}"),
        Flaw::LeftOpen.warning(
            format!("drive `{volume}`{place} may still be {what}, by a daemon that was killed"),
            format!("start nbkpd, which closes it: `{start}`; {mount}"),
        ),
    )
}

/// What was done to a drive is not known.
#[must_use]
pub fn left_unknown(why: &str) -> Examined {
    Area::Drives.examined(
        "left open",
        Flaw::LeftOpen.warning(
            format!("what a daemon that was killed has left open is not known: could not {why}"),
            "close the drive by hand (`findmnt` shows what is mounted), and delete the file",
        ),
    )
}

/// Not known, since udisks2 does not answer.
#[must_use]
pub fn unknown(volume: &VolumeName, why: &str) -> Finding {
    Flaw::NoAnswer.warning(
        format!("nothing is known of drive `{volume}`: could not {why}"),
        "mend udisks2 first (see `neighbours`), then run `nbkpctl doctor` again",
    )
}

/// Whether a line of `/etc/fstab` is about a device with this node, these links, UUID and label.
#[must_use]
pub fn names(spec: &str, (node, links): (&Path, &[std::path::PathBuf]), uuid: &str, label: Option<&str>) -> bool {
    let unquoted = |value: &str| value.trim_matches('"').to_owned();
    match spec.split_once('=') {
        Some(("UUID", value)) => unquoted(value).eq_ignore_ascii_case(uuid),
        Some(("LABEL", value)) => label.is_some_and(|label| unquoted(value) == label),
        Some((tag @ ("PARTUUID" | "PARTLABEL" | "ID"), value)) => {
            let place = Path::new("/dev/disk").join(format!("by-{}", tag.to_ascii_lowercase())).join(unquoted(value));
            links.contains(&place)
        }
        Some(_) | None => Path::new(spec) == node || links.iter().any(|link| link == Path::new(spec)),
    }
}
