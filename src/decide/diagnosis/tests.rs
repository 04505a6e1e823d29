//! What is seen, and what is said of it.

mod kept;
mod places;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::decide::diagnosis::{credentials, daemon, drives, neighbours, state, syncs, tools, unanswered, volumes};
use crate::model::{
    Absence, Area, BarePoint, Configuration, Confined, ContainerSight, CredentialProvider, DaemonSettings, DaemonState,
    Drive, DrivePlace, DriveSight, End, Examined, FileInForce, FileKind, FileSight, Flaw, Freshness, Guarded, Held,
    HeldAt, HistorySight, HostFault, HostTrouble, Lingering, Locks, MountView, Mounting, Notify, Obstacle,
    OpeningTrouble, Outcome, Owner, Place, PolkitSight, ProgramVersion, Room, RunRecord, SecretSight, SentinelFault,
    ServiceSight, Status, Sync, SyncName, SyncState, SyncStatus, Trial, Trigger, Undo, Volume, VolumeKind, VolumeName,
    VolumeRoot, VolumeStatus, Walls, WhenDone, Worded,
};

const NOW: &str = "2026-11-22T17:30:00Z";

/// Severity and code of each finding, and whether each has a remedy that says something.
fn found(examined: &Examined) -> Vec<String> {
    let findings = examined.verdict.findings();
    for finding in findings {
        assert!(!finding.fix.is_empty() && !finding.message.is_empty(), "{finding:?}");
        assert!(!finding.message.ends_with('.') && !finding.fix.ends_with('.'), "a fragment: {finding:?}");
    }
    findings.iter().map(|finding| format!("{} {}", finding.severity, finding.code.word())).collect()
}

/// What is said of it, findings and remedies, or what was seen.
fn words(examined: &Examined) -> String {
    format!("{:?}", examined.verdict)
}

fn file(owner: Owner, mode: u32) -> FileSight {
    FileSight::There(Guarded { kind: FileKind::Other, owner, mode })
}

fn directory(mode: u32) -> FileSight {
    FileSight::There(Guarded { kind: FileKind::Directory, owner: Owner::Us, mode })
}

fn name(text: &str) -> VolumeName {
    text.parse().unwrap()
}

fn sync_name(text: &str) -> SyncName {
    text.parse().unwrap()
}

fn sync(text: &str, enabled: bool) -> Sync {
    let place = |volume: &str| Place { volume: name(volume), subdir: "".parse().unwrap() };
    Sync { enabled, ..Sync::new(sync_name(text), place("laptop"), place("usb")) }
}

fn configuration(syncs: &[Sync]) -> Configuration {
    let uuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
    let drive = Drive { uuid, mounting: Mounting::Elsewhere, when_done: WhenDone::Leave };
    let roots = [("laptop", VolumeRoot::Directory("/home/a".into())), ("usb", VolumeRoot::Drive(drive))];
    let seconds = Duration::from_secs;
    Configuration {
        daemon: DaemonSettings { max_parallel: 1, settle: seconds(2), grace: seconds(10), notify: Notify::None },
        locations: BTreeMap::new(),
        endpoints: BTreeMap::new(),
        volumes: roots.map(|(text, root)| (name(text), Volume { name: name(text), root, repositories: vec![] })).into(),
        groups: BTreeMap::new(),
        credentials: CredentialProvider::SecretService,
        monitoring: crate::model::Monitoring::default(),
        syncs: syncs.iter().map(|sync| (sync.name.clone(), sync.clone())).collect(),
    }
}

fn status(volumes: Vec<VolumeStatus>, syncs: Vec<SyncStatus>) -> Status {
    Status {
        state: DaemonState::Idle,
        started: NOW.parse().unwrap(),
        config: "/c.toml".into(),
        config_error: None,
        degraded: BTreeMap::new(),
        locations: Vec::new(),
        online: None,
        metered: None,
        volumes,
        syncs,
        queue: Vec::new(),
        running: Vec::new(),
        checking: None,
    }
}

fn volume_status(obstacles: Vec<Obstacle>) -> VolumeStatus {
    VolumeStatus { name: name("usb"), kind: VolumeKind::Drive, path: None, obstacles, user: Some(sync_name("mail")) }
}

fn sync_status(obstacles: Vec<Obstacle>, freshness: Freshness) -> SyncStatus {
    SyncStatus {
        name: sync_name("mail"),
        state: SyncState::Waiting,
        freshness,
        obstacles,
        last_success: None,
        last_run: None,
        next_due: None,
        overdue_at: None,
        starts_at: None,
        damaged: 0,
        doubted: 0,
        last_verified: None,
    }
}

fn run(outcome: Outcome, finished: &str) -> RunRecord {
    RunRecord {
        run: "r1".parse().unwrap(),
        sync: sync_name("mail"),
        trigger: Trigger::Schedule,
        started: NOW.parse().unwrap(),
        finished: finished.parse().unwrap(),
        outcome,
        figures: crate::model::Figures::default(),
        heaviest: Vec::new(),
        snapshot: None,
        error: Some("no space is left (make room)".into()),
        warnings: Vec::new(),
    }
}

fn absent(absence: Absence) -> Obstacle {
    Obstacle::VolumeAbsent { end: End::Destination, volume: name("usb"), absence }
}

fn host(trouble: HostTrouble) -> Obstacle {
    absent(Absence::Host(HostFault { host: "nas".into(), port: None, user: None, trouble }))
}

// --- the daemon -----------------------------------------------------------------------------------------------------

#[test]
fn who_can_change_the_configuration_can_run_commands() {
    let check = |itself: &FileSight, around: &FileSight, says: &FileInForce| {
        found(&daemon::configuration(Path::new("/c/c.toml"), (itself, around), says, "systemctl reload nbkpd"))
    };
    let (ours, around) = (file(Owner::Us, 0o600), directory(0o700));
    assert!(check(&ours, &around, &FileInForce::Same).is_empty());
    assert!(check(&file(Owner::Root, 0o644), &directory(0o755), &FileInForce::Same).is_empty());
    for mode in [0o602, 0o620, 0o1602] {
        assert_eq!(
            check(&file(Owner::Us, mode), &around, &FileInForce::Same),
            ["error configuration-exposed"],
            "{mode:o}"
        );
    }
    assert_eq!(check(&file(Owner::Other(7), 0o600), &around, &FileInForce::Same), ["error configuration-exposed"]);
    assert_eq!(check(&ours, &directory(0o777), &FileInForce::Same), ["error configuration-exposed"]);
    assert!(check(&ours, &directory(0o1777), &FileInForce::Same).is_empty(), "a sticky directory");
    assert_eq!(check(&ours, &around, &FileInForce::Other), ["warning configuration-not-in-force"]);
    assert_eq!(check(&ours, &around, &FileInForce::Broken("line 3".into())), ["error configuration-refused"]);
    assert_eq!(check(&file(Owner::Us, 0o666), &around, &FileInForce::Untrusted), ["error configuration-exposed"]);
}

#[test]
fn a_daemon_that_does_not_run_or_is_another_is_told_with_the_command() {
    let missing = daemon::not_running(Path::new("/run/s.sock"), "systemctl enable --now nbkpd");
    assert_eq!(found(&missing), ["error daemon-not-running"]);
    assert!(words(&missing).contains("/run/s.sock") && words(&missing).contains("`systemctl enable --now nbkpd`"));
    assert_eq!(found(&daemon::version("0.1.0", "0.2.0", "x")), ["warning version-mismatch"]);
    assert!(found(&daemon::version("0.2.0", "0.2.0", "x")).is_empty());
}

#[test]
fn a_configuration_without_work_is_told() {
    assert!(found(&daemon::work(&configuration(&[sync("mail", true)]))).is_empty());
    assert_eq!(found(&daemon::work(&configuration(&[sync("mail", false)]))), ["warning no-sync"]);
    assert_eq!(found(&daemon::work(&configuration(&[]))), ["warning no-sync"]);
}

#[test]
fn what_the_daemon_does_not_hear_is_told_once_with_its_own_remedy() {
    assert!(found(&daemon::degraded(&BTreeMap::new())).is_empty());
    let deaf = "drives that come and go are not heard: no udevd runs (/run/udev/control is missing)".to_owned();
    let both = BTreeMap::from([("ears", deaf), ("logind", "asleep".to_owned())]);
    let told = daemon::degraded(&both);
    assert_eq!(found(&told), ["warning degraded"], "logind is tested on its own");
    assert!(words(&told).contains("systemctl start systemd-udevd"));
    let limits = "changes of the configuration are not heard (SIGHUP still is): could not watch: too many".to_owned();
    assert!(words(&daemon::degraded(&BTreeMap::from([("ears", limits)]))).contains("fs.inotify"));
}

#[test]
fn what_holds_rsync_is_told_where_it_is_less_than_it_should_be() {
    let confined = |walls, is_root| Confined { walls, is_root, why: None };
    for (walls, is_root, told) in [
        (Walls::Apart, true, None),
        (Walls::Landlock, false, None),
        (Walls::Landlock, true, Some("Landlock alone")),
        (Walls::None, true, Some("nothing holds rsync")),
        (Walls::None, false, Some("nothing holds rsync")),
    ] {
        let examined = daemon::walls(&confined(walls, is_root));
        let sentence = daemon::confinement(&confined(walls, is_root));
        assert_eq!(found(&examined), if told.is_some() { vec!["warning unconfined"] } else { vec![] });
        assert!(told.is_none_or(|told| sentence.is_some_and(|sentence| sentence.contains(told))));
    }
    let refused = Confined { why: Some("could not unshare".into()), ..confined(Walls::Landlock, true) };
    assert!(words(&daemon::walls(&refused)).contains("could not unshare"));
}

#[test]
fn the_place_of_the_daemon_is_told_where_it_matters() {
    assert!(daemon::lingering(Lingering::NotAsked).is_none());
    assert!(found(&daemon::lingering(Lingering::On).unwrap()).is_empty());
    assert_eq!(found(&daemon::lingering(Lingering::Off).unwrap()), ["note no-lingering"]);

    let with_drive = configuration(&[]);
    let without = Configuration { volumes: BTreeMap::new(), ..with_drive.clone() };
    let apart = MountView::Apart(vec!["/run/media".into()]);
    assert!(daemon::mounts(&apart, &without).is_none());
    let told = daemon::mounts(&apart, &with_drive).unwrap();
    assert_eq!(found(&told), ["warning mounts-not-seen"]);
    assert!(words(&told).contains("/run/media") && words(&told).contains("usb"));
    for view in [MountView::Same, MountView::Follows] {
        assert!(found(&daemon::mounts(&view, &with_drive).unwrap()).is_empty());
    }
    assert_eq!(found(&daemon::mounts(&MountView::Unknown("x".into()), &with_drive).unwrap()), ["note mounts-not-seen"]);

    let socket = |itself: &FileSight, around: &FileSight| {
        found(&daemon::socket(Path::new("/run/n/s.sock"), itself, around, "systemctl restart nbkpd"))
    };
    assert!(socket(&file(Owner::Us, 0o600), &directory(0o700)).is_empty());
    assert_eq!(socket(&FileSight::Missing, &directory(0o700)), ["error socket-exposed"]);
    assert_eq!(socket(&file(Owner::Us, 0o600), &directory(0o770)), ["warning socket-exposed"]);
    assert_eq!(found(&unanswered(Area::Tools, "files", 15)), ["warning no-answer"]);
}

// --- tools
// ------------------------------------------------------------------------------------------------------------

#[test]
fn rsync_is_there_and_new_enough() {
    let version = |minor, patch| found(&tools::rsync(Some(&Ok(ProgramVersion(3, minor, patch)))));
    assert!(version(1, 3).is_empty() && version(2, 0).is_empty());
    assert_eq!(version(1, 2), ["error tool-outdated"]);
    assert_eq!(found(&tools::rsync(None)), ["error tool-missing"]);
    assert_eq!(found(&tools::rsync(Some(&Err("it ended with code 127".into())))), ["error tool-missing"]);
    assert_eq!(found(&tools::program("ssh", "openssh-client", None, "leads to servers")), ["error tool-missing"]);
    assert!(found(&tools::program("ssh", "x", Some(Path::new("/usr/bin/ssh")), "y")).is_empty());
}

#[test]
fn keys_hooks_and_filters_are_there() {
    let key = |sight: &FileSight| found(&tools::key(Path::new("/k"), sight));
    assert!(key(&file(Owner::Us, 0o600)).is_empty() && key(&file(Owner::Us, 0o400)).is_empty());
    assert_eq!(key(&file(Owner::Us, 0o640)), ["error key-exposed"]);
    assert_eq!(key(&FileSight::Missing), ["error key-missing"]);
    assert_eq!(key(&FileSight::Unseen("Permission denied".into())), ["error key-missing"]);
    let mail = sync_name("mail");
    let hook = tools::hook(&mail, "before", "dump", (None, None));
    assert_eq!(found(&hook), ["error hook-missing"]);
    assert!(words(&hook).contains("[syncs.mail]"));
    let dump = Path::new("/bin/dump");
    assert!(found(&tools::hook(&mail, "before", "dump", (Some(dump), None))).is_empty());
    let confined = tools::hook(&mail, "before", "dump", (Some(dump), Some("reach the session bus: it is not there")));
    assert_eq!(found(&confined), ["warning hook-confined"]);
    assert!(words(&confined).contains("set-user-id programs"));
    assert_eq!(found(&tools::passphrase_command(dump, "reach the system bus")), ["warning hook-confined"]);
    let filters = |sight: &FileSight| found(&tools::filter_file(&mail, Path::new("/f"), sight));
    assert!(filters(&file(Owner::Us, 0o644)).is_empty());
    assert_eq!(filters(&FileSight::Missing), ["error filter-file-missing"]);
    assert_eq!(filters(&FileSight::Unseen("x".into())), ["error filter-file-missing"]);
}

// --- neighbours
// -------------------------------------------------------------------------------------------------------

#[test]
fn a_neighbour_that_is_not_there_is_told_with_what_follows() {
    let (here, no_bus) = (ServiceSight::Here("2.9.4".into()), ServiceSight::NoBus("reach the system bus".into()));
    let mute = ServiceSight::Mute("it hangs".into());
    assert!(found(&neighbours::udisks(&here)).is_empty());
    for sight in [&ServiceSight::Absent, &no_bus, &mute] {
        assert_eq!(found(&neighbours::udisks(sight)), ["error udisks-absent"]);
        assert_eq!(found(&neighbours::network_manager(sight)), ["warning network-manager-absent"]);
        assert_eq!(found(&neighbours::upower(sight)), ["note upower-absent"]);
    }
    assert!(words(&neighbours::udisks(&no_bus)).contains("systemctl start dbus"));
    assert!(words(&neighbours::udisks(&ServiceSight::Absent)).contains("apt install udisks2"));
    assert!(words(&neighbours::udisks(&mute)).contains("systemctl restart udisks2"));
    assert_eq!(found(&neighbours::luks(None)), ["warning luks-unsupported"]);
    assert!(found(&neighbours::luks(Some(Path::new("/usr/lib/libbd_crypto.so.2")))).is_empty());
    assert_eq!(found(&neighbours::polkit(&PolkitSight::Absent("x".into()))), ["error polkit-absent"]);
    assert!(found(&neighbours::polkit(&PolkitSight::Allows(BTreeMap::new()))).is_empty());

    assert!(found(&neighbours::notifications(&here)).is_empty());
    assert!(found(&neighbours::notifications(&ServiceSight::Startable)).is_empty());
    assert_eq!(found(&neighbours::notifications(&ServiceSight::Absent)), ["warning notifications-absent"]);
    assert_eq!(found(&neighbours::notifications(&no_bus)), ["note notifications-absent"], "a server has no desktop");
}

#[test]
fn each_lock_of_logind_is_told_on_its_own() {
    let check = |locks: Option<&Locks>| -> Vec<String> {
        neighbours::logind(&ServiceSight::Absent, locks).iter().flat_map(found).collect()
    };
    let (granted, refused) = (|| Ok(()), || Err("Access denied".to_owned()));
    assert!(check(Some(&Locks { sleep: granted(), idle: granted() })).is_empty());
    assert_eq!(check(Some(&Locks { sleep: refused(), idle: granted() })), ["warning sleep-not-delayed"]);
    assert_eq!(check(Some(&Locks { sleep: granted(), idle: refused() })), ["warning idle-not-held"]);
    assert_eq!(check(None), ["warning sleep-not-delayed"]);
}

// --- passphrases and drives
// -------------------------------------------------------------------------------------------

#[test]
fn a_passphrase_is_there_locked_or_missing() {
    let usb = "usb".parse().unwrap();
    let told = |sight: SecretSight| credentials::passphrase(&usb, &sight);
    assert!(found(&told(SecretSight::There("x".into()))).is_empty());
    assert_eq!(found(&told(SecretSight::Locked)), ["warning keyring-locked"]);
    assert_eq!(found(&told(SecretSight::MissingOrLocked)), ["warning keyring-locked"]);
    assert_eq!(found(&told(SecretSight::NoKeyring("x".into()))), ["warning keyring-absent"]);
    let missing = told(SecretSight::Missing("no keyring has an item".into()));
    assert_eq!(found(&missing), ["error credential-missing"]);
    assert!(words(&missing).contains("`secret-tool store --label='nbkp usb' service nbkp id usb`"));
    let file = told(SecretSight::Missing("the file /c/usb is missing".into()));
    assert!(!words(&file).contains("secret-tool") && words(&file).contains("put it there"));
    let exposed = told(SecretSight::Exposed("others may use /c/usb".into(), "chmod 600 /c/usb".into()));
    assert_eq!(found(&exposed), ["error credential-exposed"]);
    assert!(words(&exposed).contains("run `chmod 600 /c/usb`"));
}

#[test]
fn every_code_is_of_one_flaw_and_in_kebab_case() {
    let codes: std::collections::BTreeSet<&str> = Flaw::WORDS.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), Flaw::WORDS.len());
    assert!(codes.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '-')), "{codes:?}");
}
