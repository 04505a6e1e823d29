//! The daemon itself: its configuration, its ears, its place.

use std::collections::BTreeMap;
use std::path::Path;

use super::{alone, mend};
use crate::model::{
    Area, Configuration, Confined, Examined, FileInForce, FileSight, Flaw, Lingering, MountView, OthersRights, Verdict,
    VolumeRoot, Walls,
};

/// Whether a daemon runs, and is of the version of the client: what a client can tell of the one that it spoke to.
/// `restart` is the command that restarts it.
#[must_use]
pub fn version(theirs: &str, ours: &str, restart: &str) -> Examined {
    if theirs == ours {
        return Area::Daemon.well("nbkpd", format!("version {theirs} runs"));
    }
    Area::Daemon.examined(
        "nbkpd",
        Flaw::VersionMismatch.warning(
            format!("version {theirs} runs, and this is nbkpctl {ours}"),
            format!("run `{restart}`, once both are installed in the same version"),
        ),
    )
}

/// No daemon runs; `start` is the command that starts it.
#[must_use]
pub fn not_running(socket: &Path, start: &str) -> Examined {
    Area::Daemon.examined(
        "nbkpd",
        Flaw::DaemonNotRunning.error(
            format!("no daemon runs (nobody answers at {}), so nothing is backed up by itself", socket.display()),
            format!("start it: `{start}`"),
        ),
    )
}

/// The configuration file: who can change it, and whether the daemon goes by it. It names commands that are run.
#[must_use]
pub fn configuration(
    file: &Path,
    (itself, directory): (&FileSight, &FileSight),
    says: &FileInForce,
    reload: &str,
) -> Examined {
    let mut findings = Vec::new();
    let shown = file.display();
    if let FileSight::There(guarded) = itself
        && guarded.is_open_to_others()
    {
        let finding = Flaw::ConfigurationExposed.error(
            format!("others can change {shown}, which names commands that nbkpd runs"),
            alone(guarded, "go-w", &shown, "name one of your own with --config (`cp` makes one of it)"),
        );
        findings.push(finding.mended_by(mend(guarded, file, OthersRights::Write)));
    }
    let around = file.parent().unwrap_or(Path::new("/")).display();
    if let FileSight::There(guarded) = directory
        && guarded.is_open_to_others()
    {
        findings.push(Flaw::ConfigurationExposed.error(
            format!("others can replace {shown}: they may write to {around}"),
            alone(guarded, "go-w", &around, "move the configuration into a directory of your own"),
        ));
    }
    match says {
        // That it is not trusted is said above.
        FileInForce::Same | FileInForce::Untrusted => {}
        FileInForce::Other => {
            let message = format!("nbkpd goes by another configuration than {shown} holds now");
            findings.push(Flaw::ConfigurationNotInForce.warning(message, format!("run `{reload}`")));
        }
        FileInForce::Broken(why) => {
            let message = format!("{shown} cannot be used, and nbkpd goes by what it was before: {why}");
            let fix = format!("correct it: `nbkpctl config check {shown}` shows each mistake");
            findings.push(Flaw::ConfigurationRefused.error(message, fix));
        }
    }
    Area::Daemon.examined("configuration", Verdict::of(findings, || format!("{shown} is in force")))
}

/// Whether there is anything to do.
#[must_use]
pub fn work(configuration: &Configuration) -> Examined {
    let enabled = configuration.syncs.values().filter(|sync| sync.enabled).count();
    if enabled > 0 {
        return Area::Daemon.well("work", format!("syncs that are enabled: {enabled}"));
    }
    Area::Daemon.examined(
        "work",
        Flaw::NoSync.warning(
            "no sync is enabled, so nothing is ever copied",
            "write a [syncs.…] section into the configuration, or set `enabled = true` in one",
        ),
    )
}

/// What the daemon itself says of neighbours that do not work. What is tested on its own is left to that test.
#[must_use]
pub fn degraded(sentences: &BTreeMap<&'static str, String>) -> Examined {
    let told = sentences.iter().filter(|(source, _)| !matches!(**source, "logind" | "NetworkManager" | "confinement"));
    let findings: Vec<_> =
        told.map(|(source, sentence)| Flaw::Degraded.warning(sentence.clone(), remedy(source, sentence))).collect();
    Area::Daemon.examined("senses", Verdict::of(findings, || "everything that happens is heard".to_owned()))
}

/// What holds rsync less than it should be held, in a sentence; none if all is well.
#[must_use]
pub fn confinement(confined: &Confined) -> Option<String> {
    let why = confined.why.as_ref().map_or_else(
        || match confined.walls {
            Walls::Apart | Walls::Landlock => "nbkpd may not make mounts".to_owned(),
            Walls::None => "this kernel has no Landlock, or it is switched off".to_owned(),
        },
        Clone::clone,
    );
    match (confined.walls, confined.is_root) {
        (Walls::Apart, _) | (Walls::Landlock, false) => None,
        (Walls::Landlock, true) => Some(format!(
            "rsync is held by Landlock alone ({why}): where a user swaps directories below a source or destination \
             meanwhile, a file elsewhere could get another owner or mode"
        )),
        (Walls::None, _) => Some(format!(
            "nothing holds rsync to source and destination ({why}): what is swapped for a link meanwhile is followed"
        )),
    }
}

/// The same as a thing that was tested.
#[must_use]
pub fn walls(confined: &Confined) -> Examined {
    let verdict = match (confinement(confined), confined.walls) {
        (None, Walls::Apart) => Verdict::Well("rsync has a root of its own: both ends and the programs".into()),
        (None, Walls::Landlock | Walls::None) => {
            Verdict::Well("rsync is held by Landlock to source and destination".into())
        }
        (Some(sentence), walls) => {
            let fix = match walls {
                Walls::Apart | Walls::Landlock => {
                    "let nbkpd make mount namespaces (CAP_SYS_ADMIN, `RestrictNamespaces=mnt`, mount calls in \
                     `SystemCallFilter`), or keep copies of users' files in a directory that only root may enter"
                }
                Walls::None => "use a kernel with Landlock (`lsm=landlock,…` on its command line)",
            };
            Flaw::Unconfined.warning(sentence, fix).into()
        }
    };
    Area::Daemon.examined("confinement", verdict)
}

/// What mends a source of events, by its key and its own words.
fn remedy(source: &str, sentence: &str) -> String {
    let words = match source {
        "ears" if sentence.contains("no udevd runs") => "start udev: `systemctl start systemd-udevd`",
        "ears" if sentence.contains("configuration") => {
            "raise the limit of watches (`sysctl fs.inotify.max_user_watches=524288 \
             fs.inotify.max_user_instances=512`), then restart nbkpd"
        }
        "ears" => "restart nbkpd; its log tells more",
        "history" | "past" => "make the state directory usable (see `state`), then restart nbkpd",
        "looks" => "check udev and /proc; `nbkpctl scan` looks again",
        "network" => "wait: it is tried again by itself; if it stays so, restart nbkpd",
        _ => "restart nbkpd; its log tells more",
    };
    words.to_owned()
}

/// Whether the daemon of a user goes on without a session. `None` if it does not matter.
#[must_use]
pub fn lingering(lingering: Lingering) -> Option<Examined> {
    match lingering {
        Lingering::NotAsked => None,
        Lingering::On => Some(Area::Daemon.well("session", "nbkpd runs on when you log out")),
        Lingering::Off => Some(Area::Daemon.examined(
            "session",
            Flaw::NoLingering.note(
                "nbkpd ends when you log out",
                "run `loginctl enable-linger`, if it should make backups without you",
            ),
        )),
    }
}

/// Whether what is mounted on the machine is seen by the daemon. `None` if no drive depends on it.
#[must_use]
pub fn mounts(view: &MountView, configuration: &Configuration) -> Option<Examined> {
    let drives = configuration.volumes.values().filter(|volume| matches!(volume.root, VolumeRoot::Drive(_)));
    let names: Vec<&str> = drives.map(|volume| volume.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let verdict = match view {
        MountView::Same => Verdict::Well("nbkpd sees the mounts of the machine".into()),
        MountView::Follows => Verdict::Well("mounts of the machine appear for nbkpd, too".into()),
        MountView::Unknown(why) => Flaw::MountsNotSeen
            .note(
                format!("whether nbkpd sees what is mounted on the machine cannot be told: {why}"),
                "compare `findmnt -N $(pidof nbkpd)` with `findmnt` while a drive is mounted",
            )
            .into(),
        MountView::Apart(points) => {
            let points: Vec<_> = points.iter().map(|point| point.display().to_string()).collect();
            Flaw::MountsNotSeen
                .warning(
                    format!(
                        "what is mounted below {} does not appear for nbkpd, so these drives are not seen: {}",
                        points.join(" and "),
                        names.join(", ")
                    ),
                    "take settings that make a private mount namespace (`PrivateMounts`, `MountFlags=private`, a \
                     container) out of the unit of nbkpd, and restart it",
                )
                .into()
        }
    };
    Some(Area::Daemon.examined("mounts", verdict))
}

/// Where clients find the daemon.
#[must_use]
pub fn socket(path: &Path, itself: &FileSight, directory: &FileSight, restart: &str) -> Examined {
    let around = path.parent().unwrap_or(Path::new("/")).display();
    let mut findings = Vec::new();
    if let FileSight::Missing = itself {
        findings.push(Flaw::SocketExposed.error(
            format!("the socket {} was taken away, so no other client reaches nbkpd", path.display()),
            format!("run `{restart}`"),
        ));
    }
    if let FileSight::There(guarded) = directory
        && guarded.is_open_to_others()
    {
        findings.push(Flaw::SocketExposed.warning(
            format!("others may put another socket in the place of {}", path.display()),
            alone(guarded, "700", &around, "name a socket in a directory of your own with --socket"),
        ));
    }
    Area::Daemon.examined("socket", Verdict::of(findings, || path.display().to_string()))
}
