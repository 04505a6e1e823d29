//! `nbkpctl doctor`: nothing to mend on a healthy machine, and each thing that is broken with its remedy.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bus::{Neighbour, bus, system_bus};
use crate::common::daemon::Daemon;
use crate::common::drive::Filesystem::{Btrfs, Ext4, Luks};
use crate::common::mini_host::{MiniHost, array};
use crate::common::system_bus::{Login, SystemBus};
use crate::common::{attempt, run, until};
use crate::keyring::keyring;
use crate::storage::{polkit, polkit_again, udisks};

/// What doctor finds: `severity code` and the remedies, by subject.
struct Found {
    code: Option<i32>,
    by_subject: BTreeMap<String, Vec<(String, String)>>,
    all: Value,
}

/// The client, started in a way that leaves the state directory as it is.
fn asking(host: &MiniHost) -> Command {
    let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "client");
    let names = ["NBKP_SOCKET", "NBKP_STATE_DIR"];
    let ours =
        |value: &OsStr| value.to_str().unwrap().replace("/client/", "/nbkpd/").replace("state-client", "state-nbkpd");
    let set: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| names.contains(&name.to_str()?).then_some((name.to_owned(), ours(value?))))
        .collect();
    command.envs(set).stdin(Stdio::null());
    command
}

impl Found {
    #[track_caller]
    fn by(host: &MiniHost) -> Self {
        Self::told(&mut asking(host))
    }

    /// By a client that looks for the daemon at a place where it is not.
    #[track_caller]
    fn by_another(host: &MiniHost) -> Self {
        Self::told(asking(host).env("NBKP_SOCKET", "/run/elsewhere.sock"))
    }

    #[track_caller]
    fn told(client: &mut Command) -> Self {
        let output = client.args(["doctor", "--json"]).output().unwrap();
        let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let mut by_subject: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for finding in array(&all["findings"]) {
            let word = |key: &str| finding[key].as_str().unwrap().to_owned();
            for key in ["message", "fix"] {
                assert!(!word(key).is_empty(), "{finding}");
            }
            let (code, fix) = (format!("{} {}", word("severity"), word("code")), word("fix"));
            by_subject.entry(word("subject")).or_default().push((code, fix));
        }
        Self { code: output.status.code(), by_subject, all }
    }

    /// The codes of what was found of this.
    fn of(&self, subject: &str) -> Vec<&str> {
        let found = self.by_subject.get(subject).into_iter().flatten();
        found.map(|(code, _)| code.as_str()).collect()
    }

    /// Fails unless exactly this was found of it, with a remedy that says this.
    #[track_caller]
    fn has(&self, subject: &str, code: &str, fix: &str) {
        assert_eq!(self.of(subject), [code], "{subject} in {:#}", self.all);
        assert!(self.by_subject[subject][0].1.contains(fix), "{fix:?} in {:#}", self.all);
    }

    /// Whether this was tested, and nothing found.
    fn is_well(&self, subject: &str) -> bool {
        array(&self.all["tested"]).iter().any(|test| test["subject"] == subject && array(&test["codes"]).is_empty())
    }
}

pub fn a_healthy_machine_has_nothing_to_mend(host: &MiniHost) {
    let _bus = SystemBus::start();
    let _login = Login::start();
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    // logind is met a moment after the start.
    until("nothing is to be mended", || Found::by(host).by_subject.is_empty());
    host.ctl(&["doctor"]).exits(0).says("things were tested; all is well").says("✓ rsync");
    host.ctl(&["troubleshoot", "-q"]).exits(0).says("all is well");
    let found = Found::by(host);
    for subject in [
        "nbkpd",
        "configuration",
        "senses",
        "socket",
        "directory",
        "history",
        "ledger",
        "clock",
        "rsync",
        "sleep",
        "idle",
    ] {
        assert!(found.is_well(subject), "{subject} in {:#}", found.all);
    }
    usb.unplug();
    assert!(Found::by(host).by_subject.is_empty(), "a drive in a drawer is nothing to mend");
    assert_eq!(array(&host.ctl(&["status", "--json"]).json()["running"]).len(), 0);
}

pub fn what_is_broken_is_named_with_its_remedy(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(5);
    let nas = host.server("nas").prepared_for("documents");
    nas.join();
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let hook = "hooks = { before = [\"no-such-program\"] }\nfilter-file = \"/no/such/filters\"";
    let config = host.config().drive(&usb).server(&nas).sync("documents", "usb", "btrfs", hook);
    let far = "[syncs.far]\nsource = \"laptop:documents\"\ndestination = \"nas:documents\"\nsnapshots = \"hard-link\"";
    host.configure(&config.also(far));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("far", 1, "ok");
    let before = Found::by(host);
    before.has("hook `before` of documents", "error hook-missing", "[syncs.documents]");
    before.has("filters /no/such/filters", "error filter-file-missing", "[syncs.documents]");
    for subject in ["rsync", "nas", "far", "history", "configuration", "directory"] {
        assert!(before.is_well(subject), "{subject} in {:#}", before.all);
    }

    // Everything breaks at once.
    nas.switch_off();
    std::fs::remove_file(source.path.join(".nbkp-src")).unwrap();
    std::fs::set_permissions(host.config_file(), PermissionsExt::from_mode(0o666)).unwrap();
    let programs = host.root.join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::fs::write(programs.join("rsync"), "#!/bin/sh\necho 'rsync  version 3.0.9  protocol version 30'\n").unwrap();
    std::fs::set_permissions(programs.join("rsync"), PermissionsExt::from_mode(0o755)).unwrap();
    let state = host.root.join("state-nbkpd");
    std::fs::write(state.join("history.db"), "no database at all").unwrap();
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o755)).unwrap();
    let key = nas.file("user");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();

    let found = Found::by(host);
    assert_eq!(found.code, Some(1));
    found.has("configuration", "error configuration-exposed", "chmod go-w");
    found.has("rsync", "error tool-outdated", "apt install rsync");
    found.has("nas", "warning host-unreachable", "ssh");
    found.has("history", "warning history-broken", "history.db.old`");
    found.has(&format!("key {}", key.display()), "error key-exposed", "chmod 600");
    // Of a source that a hook may mount nobody knows before it ran; `far` reads the same one without.
    assert!(found.of("far").contains(&"error source-sentinel-missing"), "{:#}", found.all);
    found.has("directory", "warning state-exposed", "chmod 700");
    // What can be mended without harm is mended when it is asked for, and the rest keeps its remedy.
    let fixed = asking(host).args(["doctor", "--fix", "--json"]).output().unwrap();
    let fixed: Value = serde_json::from_slice(&fixed.stdout).unwrap();
    let mended: Vec<_> = array(&fixed["mended"]).iter().filter_map(Value::as_str).collect();
    assert_eq!(mended.len(), 3, "{fixed:#}");
    assert!(mended.contains(&format!("mended: `chmod go-rwx {}`", key.display()).as_str()), "{mended:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!([&host.config_file(), &state, &key].map(|path| mode(path)), [0o644, 0o700, 0o600]);
    let found = Found::by(host);
    for subject in ["configuration", "directory", &format!("key {}", key.display())] {
        assert!(found.is_well(subject), "{subject} in {:#}", found.all);
    }
    found.has("rsync", "error tool-outdated", "apt install rsync");
    let again = asking(host).args(["doctor", "--fix"]).output().unwrap();
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing was mended"), "{again:?}");
    host.ctl(&["doctor"]).exits(1).says("✗ rsync").says("→ install a newer one: `apt install rsync`").says("errors, ");

    // What a broken file holds is told with its carets, and the rest is tested all the same.
    std::fs::set_permissions(host.config_file(), PermissionsExt::from_mode(0o600)).unwrap();
    host.configure_with("[daemon]\nsettle = \"soon\"\n");
    host.ctl(&["doctor"]).exits(2).says("✗ configuration").says("2 | settle = \"soon\"").says("✗ rsync");
    let found = Found::by(host);
    assert_eq!(found.code, Some(2));
    found.has("configuration", "error configuration-refused", "nbkpctl config check");
}

pub fn a_state_directory_that_takes_nothing_is_found(host: &MiniHost) {
    host.configure(&host.config().also("[volumes.shelf]\npath = \"/run\"").sync("documents", "shelf", "none", ""));
    let state = host.root.join("state-nbkpd");
    std::fs::create_dir(&state).unwrap();
    run("mount", &[&"-t", &"tmpfs", &"-o", &"size=32m,mode=700", &"tmpfs", &state]);
    let _daemon = host.start();
    assert!(Found::by(host).is_well("directory"));
    let ballast = format!("of={}", state.join("ballast").display());
    run("dd", &[&"if=/dev/zero", &ballast, &"bs=1M", &"count=24", &"status=none"]);
    Found::by(host).has("directory", "warning state-full", "df -h");
    assert!(!attempt("dd", &[&"if=/dev/zero", &ballast, &"bs=1M", &"status=none"]).status.success());
    Found::by(host).has("directory", "error state-unusable", "make room");
    std::fs::remove_file(state.join("ballast")).unwrap();
    assert!(Found::by(host).is_well("directory"));
    run("mount", &[&"-t", &"tmpfs", &"-o", &"ro,mode=700", &"tmpfs", &state]);
    Found::by(host).has("directory", "error state-unusable", "findmnt -T");
    run("umount", &[&state]);
    assert!(Found::by(host).is_well("directory"));
    assert_eq!(std::fs::read_dir(&state).unwrap().filter(is_of_doctor).count(), 0);
}

fn is_of_doctor(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".doctor"))
}

/// A drive that is opened for its runs.
fn opened(host: &MiniHost, uuid: &str, more: &str) -> String {
    let config = host.config().also(&format!("[volumes.usb]\ndrive = \"{uuid}\"\nmount = true\n{more}"));
    config.text().to_owned()
}

pub fn a_keyring_that_is_locked_or_away_is_found(host: &MiniHost) {
    const SESSION: &str = "/run/bus";
    let (_bus, _udisks, _session) = (system_bus(), udisks(), bus("session", SESSION));
    let mut usb = host.drive("usb", Luks);
    host.configure_with(&opened(host, &usb.uuid, "passphrase = \"usb\""));
    let _daemon = host.start();
    usb.attach();
    Found::by(host).has("usb", "warning keyring-absent", "provider");
    let mut keyring = keyring("the password of the login", SESSION);
    Found::by(host).has("usb", "error credential-missing", "secret-tool store --label='nbkp usb'");
    let on_session =
        |line: &str| run("sh", &[&"-ec", &format!("export DBUS_SESSION_BUS_ADDRESS=unix:path={SESSION}; {line}")]);
    on_session("printf x | secret-tool store --label=nbkp service nbkp id usb");
    assert!(Found::by(host).of("usb").is_empty());
    let service = "/org/freedesktop/secrets";
    let lock = format!("org.freedesktop.Secret.Service Lock ao 1 {service}/collection/login");
    on_session(&format!("busctl --user call org.freedesktop.secrets {service} {lock}"));
    Found::by(host).has("usb", "warning keyring-locked", "unlock your keyring");
    keyring.kill();
    Found::by(host).has("usb", "warning keyring-absent", "log in");
}

pub fn that_udisks_is_missing_is_told_once(host: &MiniHost) {
    let _bus = system_bus();
    let mut usb = host.drive("usb", Ext4);
    host.configure_with(&opened(host, &usb.uuid, ""));
    let _daemon = host.start();
    usb.attach();
    until("the drive is seen", || host.ctl(&["drives"]).said.contains(&usb.uuid));
    let found = Found::by(host);
    found.has("udisks2", "error udisks-absent", "apt install udisks2");
    assert!(found.of("usb").is_empty(), "{:#}", found.all);
}

pub fn with_the_printed_rule_a_user_may_mount(host: &MiniHost) {
    // Loop devices are built in, as udisks sees it, unless it is told otherwise.
    std::fs::create_dir_all("/run/udev/rules.d").unwrap();
    let as_drives = "SUBSYSTEM==\"block\", KERNEL==\"loop*\", ENV{UDISKS_SYSTEM}=\"0\"\n";
    std::fs::write("/run/udev/rules.d/99-drives.rules", as_drives).unwrap();
    run("udevadm", &[&"control", &"--reload"]);
    let (_bus, mut without, _udisks) = (system_bus(), polkit(""), udisks());
    let host = host.used_by(65534);
    let mut usb = host.drive("usb", Ext4);
    host.configure_with(&opened(&host, &usb.uuid, ""));
    let _daemon = host.start();
    Found::by(&host).has("mount usb", "note permission-untested", "plug it in");
    usb.attach();
    until("udisks knows the drive", || Found::by(&host).of("mount usb") == ["error not-authorized"]);
    Found::by(&host).has("mount usb", "error not-authorized", "`nbkpctl drives polkit | sudo tee");

    without.kill();
    let rule = host.ctl(&["drives", "polkit"]).exits(0);
    std::fs::write("/etc/polkit-1/rules.d/40-nbkp.rules", &rule.said).unwrap();
    let _polkit = polkit_again();
    assert!(Found::by(&host).is_well("mount usb"));
    let mounted = attempt("findmnt", &[&"--source", &usb.device()]);
    assert_eq!(String::from_utf8_lossy(&mounted.stdout), "", "nothing is mounted for a question");
    host.ctl(&["mount", "usb"]).exits(0);
    Found::by(&host).has("mount usb", "note permission-untested", "`nbkpctl unmount usb`");
}

pub fn a_mount_point_without_its_mount_is_found(host: &MiniHost) {
    let mut usb = host.drive("usb", Ext4);
    usb.plug();
    let point = usb.point().join("shelf");
    std::fs::create_dir_all(point.join("backups")).unwrap();
    std::fs::write("/run/fstab", format!("UUID=0000-0000 {} ext4 noauto 0 0\n", point.display())).unwrap();
    run("mount", &[&"--bind", &"/run/fstab", &"/etc/fstab"]);
    let shelf = format!("[volumes.shelf]\npath = \"{}\"", point.join("backups").display());
    host.configure(&host.config().also(&shelf).sync("documents", "shelf", "none", ""));
    let _daemon = host.start();
    let subject = format!("shelf at {}", point.display());
    Found::by(host).has(&subject, "warning mount-point-bare", &format!("`chattr +i {}`", point.display()));
    run("chattr", &[&"+i", &point]);
    Found::by(host).has(&subject, "note mount-point-bare", &format!("`mount {}`", point.display()));
    run("chattr", &[&"-i", &point]);
    run("mount", &[&"-t", &"tmpfs", &"tmpfs", &point]);
    assert!(Found::by(host).of(&subject).is_empty());
    run("umount", &[&point]);
}

pub fn a_destination_that_cannot_hold_history_is_found(host: &MiniHost) {
    host.source("documents").fill(3);
    let (image, point) = (host.root.join("stick.img"), host.root.join("stick"));
    std::fs::create_dir(&point).unwrap();
    run("truncate", &[&"--size=64M", &image]);
    let device = attempt("losetup", &[&"--find", &"--show", &image]).stdout;
    let device = String::from_utf8(device).unwrap().trim().to_owned();
    run("mkfs.exfat", &[&device]);
    run("mount.exfat-fuse", &[&device, &point]);
    std::fs::create_dir(point.join("documents")).unwrap();
    for sentinel in [point.join(".nbkp-vol"), point.join("documents/.nbkp-dst")] {
        std::fs::write(sentinel, "").unwrap();
    }
    let stick = format!("[volumes.stick]\npath = \"{}\"", point.display());
    let configured = |kind| host.config().also(&stick).sync("documents", "stick", kind, "enabled = true");
    host.configure(&configured("hard-link"));
    Found::by(host).has("documents", "error snapshots-unsupported", "`snapshots = \"none\"`");
    let left: Vec<_> =
        std::fs::read_dir(point.join("documents")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".nbkp-dst"], "nothing is left of the trial");
    host.configure(&configured("none"));
    assert!(!Found::by(host).of("documents").iter().any(|found| found.contains("snapshots-unsupported")));
    run("umount", &[&point]);
    run("losetup", &[&"--detach", &device]);
}

pub fn a_server_with_one_session_a_connection_is_found(host: &MiniHost) {
    host.source("documents").fill(3);
    let nas = host.server("nas").prepared_for("documents");
    host.configure(&host.config().server(&nas).sync("documents", "nas", "none", "enabled = true"));
    nas.join();
    let subject = format!("nas at {}", nas.address());
    let _daemon = host.start();
    assert!(Found::by(host).of(&subject).is_empty());
    nas.switch_off();
    std::fs::write(nas.file("sessions.more"), "MaxSessions 1\n").unwrap();
    nas.switch_on();
    Found::by(host).has(&subject, "error one-session", "MaxSessions 10");
    // What it is told of is what a run fails by.
    host.ctl(&["run", "documents", "--wait"]).exits(1).says("MaxSessions 10");
}

pub fn a_tree_at_a_server_in_other_hands_is_found(host: &MiniHost) {
    host.source("documents").fill(3);
    let nas = host.server("nas").prepared_for("documents");
    let following = "[syncs.videos]\nsource = \"laptop:documents\"\ndestination = \"nas:videos\"\n\
                     rsync = { extra-options = [\"--copy-links\"] }\n";
    host.configure(&host.config().server(&nas).sync("documents", "nas", "none", "enabled = true").also(following));
    nas.join();
    let subject = format!("nas:documents at {}", nas.address());
    let _daemon = host.start();
    // A run would give the destination the owner of the source.
    host.ctl(&["pause"]).exits(0);
    until("nothing runs", || array(&host.status()["running"]).is_empty());
    run("chown", &[&"12345", &nas.destination("documents").root]);
    assert!(Found::by(host).is_well(&subject), "rsync of root has a root of its own there");
    Found::by(host).has("links of videos", "warning links-followed", "`--copy-links`");
    // Where it can have none, whoever owns the tree has it follow what they like.
    let tools = host.root.join("refusing");
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("unshare"), "#!/bin/sh\necho unshare: not permitted >&2\nexit 1\n").unwrap();
    run("chmod", &[&"+x", &tools.join("unshare")]);
    nas.switch_off();
    let path = format!("SetEnv PATH={}:/usr/sbin:/usr/bin:/sbin:/bin\n", tools.display());
    std::fs::write(nas.file("sessions.more"), path).unwrap();
    nas.switch_on();
    Found::by(host).has(&subject, "warning unconfined", "an account of its own");
    run("chown", &[&"0", &nas.destination("documents").root]);
    assert!(Found::by(host).is_well(&subject), "whom the machine belongs to needs no rsync");
}

pub fn it_does_the_same_without_a_daemon(host: &MiniHost) {
    host.source("documents").fill(3);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    usb.plug();
    let found = Found::by(host);
    assert_eq!(found.code, Some(1));
    found.has("nbkpd", "error daemon-not-running", "`systemctl enable --now nbkpd`");
    let errors = found.by_subject.values().flatten().filter(|(code, _)| code.starts_with("error")).count();
    assert_eq!(errors, 1, "{:#}", found.all);
    assert!(found.is_well("rsync") && found.is_well("usb") && found.is_well("configuration"), "{:#}", found.all);
    host.ctl(&["doctor"]).exits(1).says("✗ nbkpd").says("✓ rsync");
    assert!(host.ctl(&["history", "documents", "--json"]).json()["runs"].as_array().unwrap().is_empty(), "nothing ran");

    let state = host.root.join("state-nbkpd");
    run("mount", &[&"-t", &"tmpfs", &"-o", &"ro,mode=700", &"tmpfs", &state]);
    let found = Found::by(host);
    found.has("directory", "error state-unusable", "findmnt -T");
    assert!(found.is_well("rsync") && found.is_well("usb"), "the rest is tested all the same: {:#}", found.all);
    assert_eq!((found.code, found.of("nbkpd")), (Some(1), vec!["error daemon-not-running"]));
    run("umount", &[&state]);

    host.configure_with("[volumes.usb]\ndrive = \"zz\"\n");
    host.ctl(&["doctor"]).exits(2).says("drive = \"zz\"").says("^^^^").says("✗ nbkpd");
    let found = Found::by(host);
    assert_eq!(found.code, Some(2));
    found.has("configuration", "error configuration-refused", "nbkpctl config check");
    std::fs::remove_file(host.config_file()).unwrap();
    assert_eq!(Found::by(host).code, Some(2));
}

/// All that lies in the state directory, byte by byte.
struct CopyTraits(BTreeMap<PathBuf, Vec<u8>>);

impl CopyTraits {
    fn now(host: &MiniHost) -> Self {
        let entries = std::fs::read_dir(host.root.join("state-nbkpd")).unwrap().map(|entry| entry.unwrap().path());
        Self(entries.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect())
    }

    /// Fails if anything has come, gone or changed since.
    #[track_caller]
    fn stays(&self, host: &MiniHost) {
        let Self(now) = Self::now(host);
        let paths = self.0.keys().chain(now.keys());
        let other: Vec<_> = paths.filter(|path| self.0.get(*path) != now.get(*path)).collect();
        assert!(other.is_empty(), "{other:?} came, went or changed");
    }
}

pub fn without_a_daemon_it_changes_nothing(host: &MiniHost) {
    host.source("documents").fill(3);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    usb.plug();
    let state = host.root.join("state-nbkpd");
    let first = Found::by(host);
    first.has("nbkpd", "error daemon-not-running", "`systemctl enable --now nbkpd`");
    assert!(["directory", "history", "ledger"].iter().all(|subject| first.is_well(subject)), "{:#}", first.all);
    assert!(!state.exists(), "the daemon makes it");

    let daemon = host.start();
    host.run_ends("documents", 1, "ok");
    host.ctl(&["hold", "usb"]).exits(0);
    let (history, ledger) = (state.join("history.db"), state.join("ledger.json"));
    until("the hold is kept", || std::fs::read_to_string(&ledger).is_ok_and(|text| text.contains("\"usb\"")));
    let stuck = Found::by_another(host);
    stuck.has("directory", "error state-unusable", "nbkpctl doctor");
    daemon.kill();
    let before = CopyTraits::now(host);
    let found = Found::by(host);
    assert!(found.is_well("history") && found.is_well("ledger") && found.is_well("documents"), "{:#}", found.all);
    assert!(found.all.to_string().contains("hold"), "what is kept counts: {:#}", found.all);
    before.stays(host);

    std::fs::write(&history, "no database at all").unwrap();
    std::fs::write(&ledger, "{ nonsense").unwrap();
    let before = CopyTraits::now(host);
    let found = Found::by(host);
    found.has("history", "warning history-broken", "history.db.old`");
    found.has("ledger", "warning ledger-broken", "`nbkpctl hold`");
    before.stays(host);
}

pub fn without_a_daemon_it_leaves_open_what_a_killed_one_opened(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").write_big("big", 24, 7);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let drive = opened(host, &usb.uuid, "");
    let slow = "snapshots = \"hard-link\"\nrsync = { bandwidth = \"2M\" }";
    let sync = "[syncs.documents]\nsource = \"laptop:documents\"\ndestination = \"usb:documents\"";
    host.configure_with(&format!("{drive}\n{sync}\n{slow}\n"));
    let daemon = host.start();
    usb.attach();
    host.copies("documents", 1 << 20);
    daemon.kill();
    until("rsync has ended with its daemon's death", || {
        attempt("pgrep", &[&"--runstates", &"R,S,D", &"rsync"]).status.code() == Some(1)
    });
    host.configure_with(&drive);
    let before = CopyTraits::now(host);
    let found = Found::by(host);
    found.has("left usb", "warning left-open", "`systemctl start nbkpd`");
    let errors = found.by_subject.values().flatten().filter(|(code, _)| code.starts_with("error")).count();
    assert_eq!((errors, found.of("nbkpd")), (1, vec!["error daemon-not-running"]), "{:#}", found.all);
    before.stays(host);
    run("findmnt", &[&"--source", &usb.device()]);
    let _again = host.start();
    until("the next daemon closes it", || !attempt("findmnt", &[&"--source", &usb.device()]).status.success());
    assert!(Found::by(host).of("left usb").is_empty());
}

/// A neighbour that is there and does not answer, until this goes.
struct Stopped(Pid);

impl Stopped {
    fn new(neighbour: &Neighbour) -> Self {
        let pid = Pid::from_child(&neighbour.0);
        kill_process(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

pub fn what_does_not_answer_costs_its_own_test(host: &MiniHost) {
    let system = system_bus();
    let dead = host.root.join("dead");
    std::fs::create_dir(&dead).unwrap();
    std::fs::create_dir(host.root.join("behind")).unwrap();
    let arguments = ["-f".to_owned(), host.root.join("behind").display().to_string(), dead.display().to_string()];
    let behind = Neighbour::start("/usr/bin/bindfs", &arguments.each_ref().map(String::as_str), &[]);
    until("the mount is there", || attempt("mountpoint", &[&"-q", &dead]).status.success());
    let filters = format!("filter-file = \"{}\"", dead.join("filters").display());
    let text = opened(host, "2d577679-a7b6-429d-8250-3d0d80e034df", "when-done = \"lock\"");
    let sync = format!("[syncs.documents]\nsource = \"laptop\"\ndestination = \"usb\"\n{filters}\n");
    host.configure_with(&format!("{text}\n{sync}"));
    let daemon = host.start();
    let stopped = (Stopped::new(&system), Stopped::new(&behind));
    let asked = Instant::now();
    let found = Found::by(host);
    assert!(asked.elapsed() < Duration::from_secs(55), "{:?} {:#}", asked.elapsed(), found.all);
    found.has("files", "warning no-answer", "dead mount");
    found.has("udisks2", "error udisks-absent", "systemctl start dbus");
    assert!(found.is_well("rsync") && found.is_well("directory"), "{:#}", found.all);
    answers(&daemon, host);
    drop(stopped);
    until("what answers again is tested again", || Found::by(host).of("files").is_empty());
    attempt("umount", &[&dead]);
}

fn answers(daemon: &Daemon, host: &MiniHost) {
    assert!(daemon.ended().is_none());
    let asked = Instant::now();
    host.ctl(&["status"]).exits(0);
    assert!(asked.elapsed() < Duration::from_secs(3), "status waits");
    assert!(Path::new("/run/nbkpd/nbkpd.sock").exists());
}
