//! Drives that the daemon mounts for its runs, with the real udisksd.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bus::{Neighbour, bus, system_bus};
use crate::common::config::Config;
use crate::common::drive::Drive;
use crate::common::drive::Filesystem::{Btrfs, Ext4, Luks};
use crate::common::folder::Folder;
use crate::common::mini_host::{MiniHost, array};
use crate::common::{attempt, eventually, run, text_of, throughout, until};
use crate::keyring::keyring;
use crate::storage::{polkit, polkit_again, udisks};

/// The configuration of a drive that is mounted for its runs.
fn opened(host: &MiniHost, drive: &Drive, when_done: &str) -> Config {
    let line = format!("drive = \"{}\"", drive.uuid);
    host.config().drive(drive).with(&line, &format!("{line}\nmount = true\nwhen-done = \"{when_done}\""))
}

/// Where a drive is mounted.
fn points(drive: &Drive) -> Vec<PathBuf> {
    let listed = attempt("findmnt", &[&"--noheadings", &"--output", &"TARGET", &"--source", &drive.device()]);
    String::from_utf8_lossy(&listed.stdout).lines().map(PathBuf::from).collect()
}

fn until_unmounted(drive: &Drive) {
    until("the drive is unmounted", || points(drive).is_empty());
}

pub fn is_mounted_for_its_runs_and_let_go(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    for name in ["documents", "photos"] {
        host.source(name).fill(20);
    }
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents").prepared_plainly_for("photos");
    let config = opened(host, &usb, "unmount");
    host.configure(&config.sync("documents", "usb", "btrfs", "").sync("photos", "usb", "none", ""));
    let daemon = host.start();
    usb.attach();
    assert_eq!(host.run_ends("documents", 1, "ok")["trigger"], "drive");
    host.run_ends("photos", 1, "ok");
    until_unmounted(&usb);
    until("it is said to be safe", || daemon.log().contains("drive `usb` is closed; it is safe to remove"));
    let log = daemon.log();
    assert_eq!(log.matches("volume usb is there").count(), 1, "it is mounted once for both: {log}");
    let state = text_of(host.config_file().with_file_name("state-nbkpd").join("drive-usb.json"));
    assert_eq!(state, "", "nothing is held any more");
    assert_eq!(host.obstacles("documents"), [""; 0]);
    throughout("what we let go is not taken again", Duration::from_secs(1), || points(&usb).is_empty());

    // It is there when it is asked for, and a second time.
    host.source("documents").write("new", "new");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    until_unmounted(&usb);
    daemon.stop();

    // Without a daemon the same is done, and undone before the client ends.
    host.source("documents").write("newer", "newer");
    host.ctl(&["run", "documents"]).exits(0);
    assert_eq!(points(&usb).len(), 0);
    usb.mount();
    assert_eq!(usb.destination("documents").snapshots().len(), 3);
    usb.destination("documents").latest().is_like(&host.source("documents"));
    Folder::at(usb.point().join("photos")).is_like(&host.source("photos"));
}

pub fn mounted_by_the_desktop_it_stays(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&opened(host, &usb, "leave").sync("documents", "usb", "hard-link", ""));
    // Before the daemon could: the desktop of this user is always faster.
    usb.plug();
    let daemon = host.start();
    host.run_ends("documents", 1, "ok");
    throughout("it stays where its user mounted it", Duration::from_secs(2), || points(&usb) == [usb.point()]);
    assert!(!daemon.log().contains("safe to remove"), "{}", daemon.log());

    // Whoever unmounts it has let it go, `mount = true` or not.
    usb.unmount();
    host.stopped_by("documents", "destination-not-mounted");
    // Who asks for a run of it has it back.
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    until("it is closed again", || points(&usb).is_empty());
    throughout("it is left alone", Duration::from_secs(1), || points(&usb).is_empty());
    host.ctl(&["release", "usb"]).exits(0);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    until_unmounted(&usb);
}

pub fn in_use_it_is_not_called_safe(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let hook = "hooks = { before = [\"touch\", \"/run/copying\"], after = [\"sh\", \"-c\", \"until test -e \
                /run/go-on; do sleep 0.05; done\"] }";
    host.configure(&opened(host, &usb, "unmount").sync("documents", "usb", "hard-link", hook));
    let daemon = host.start();
    usb.attach();
    let point = eventually("it is mounted", || points(&usb).first().cloned());
    // Somebody looks into the drive while the run is under way, and stays there.
    let inside = format!("cd {} && exec sleep 1000", point.display());
    let mut reader = Neighbour::start("/bin/sh", &["-c", &inside], &[]);
    until("it is in there", || {
        Path::new(&format!("/proc/{}/cwd", reader.0.id())).read_link().is_ok_and(|cwd| cwd == point)
    });
    std::fs::write("/run/go-on", "").unwrap();
    host.run_ends("documents", 1, "ok");
    let named = format!("drive `usb` is still in use: sleep (process {}) uses {}", reader.0.id(), point.display());
    until("who uses it is told", || daemon.log().contains(&named));
    assert!(!daemon.log().contains("safe to remove"), "{}", daemon.log());
    assert_eq!(points(&usb), [point]);
    reader.kill();
    until_unmounted(&usb);
    until("it is said to be safe", || daemon.log().contains("drive `usb` is closed; it is safe to remove"));
}

pub fn in_use_in_a_container_it_is_not_called_safe(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&opened(host, &usb, "unmount"));
    let _daemon = host.start();
    usb.attach();
    until("it is mounted", || host.ctl(&["mount", "usb"]).code == Some(0));
    std::fs::write(points(&usb)[0].join("file"), "x").unwrap();
    // A namespace of mounts in which nothing that is done here shows.
    let line = format!("exec sleep 1000 < {}/file", points(&usb)[0].display());
    let unshare = ["--mount", "--propagation=private", "sh", "-c", &line];
    let mut container = Neighbour::start("/usr/bin/unshare", &unshare, &[]);
    let comm = format!("/proc/{}/comm", container.0.id());
    until("the container is there", || text_of(&comm) == "sleep\n");
    host.ctl(&["eject", "usb"]).exits(1).says("still in use").says("do not pull it out");
    assert_eq!(points(&usb).len(), 0, "here it is unmounted all the same");
    container.kill();
    host.ctl(&["eject", "usb"]).exits(0).says("safe to remove");
}

pub fn what_a_killed_daemon_left_open_is_closed(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    let source = host.source("documents");
    source.write_big("big", 24, 7);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let slow = "rsync = { bandwidth = \"2M\" }";
    host.configure(&opened(host, &usb, "unmount").sync("documents", "usb", "hard-link", slow));
    let daemon = host.start();
    usb.attach();
    host.copies("documents", 1 << 20);
    let held = host.config_file().with_file_name("state-nbkpd").join("drive-usb.json");
    assert!(text_of(&held).contains("\"undo\":\"unmount\""), "{}", text_of(&held));
    daemon.kill();
    // Another life, in which nothing is to be done on the drive.
    until("rsync has ended with its daemon's death", || {
        attempt("pkill", &[&"--runstates", &"R,S,D", &"rsync"]).status.code() == Some(1)
    });
    host.configure(&opened(host, &usb, "unmount"));
    assert!(!points(&usb).is_empty());
    let _again = host.start();
    until_unmounted(&usb);
    until("nothing is held", || !held.exists());
}

pub fn what_is_missing_on_it_is_not_asked_again_and_again(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4);
    host.configure(&opened(host, &usb, "leave").sync("documents", "usb", "hard-link", ""));
    let daemon = host.start();
    usb.attach();
    host.stopped_by("documents", "destination-sentinel-missing");
    until_unmounted(&usb);
    let looks = |log: &str| log.matches("drive `usb` is closed").count();
    until("it was opened once", || looks(&daemon.log()) == 1);
    throughout("it is not opened again", Duration::from_secs(2), || looks(&daemon.log()) == 1);
    assert!(host.obstacles("documents").contains(&"destination-sentinel-missing".to_owned()));
}

pub fn a_dead_mount_in_the_way_is_named(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let mut again = usb.clone_of(&host.root.join("again.img"));
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"0s\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    // It is pulled out, and what was mounted by hand stays; then it is plugged in again, with another name.
    usb.yank();
    run("udevadm", &[&"trigger", &"--settle", &usb.device()]);
    host.stopped_by("documents", "destination-volume-absent");
    again.attach();
    host.stopped_by("documents", "destination-not-mounted");
    let point = usb.point().display().to_string();
    let advice = format!("sudo umount -l {point}");
    for words in [&["status"][..], &["mount", "usb"], &["doctor"], &["prepare", "documents"]] {
        let told = host.ctl(words);
        let text = told.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&advice), "{words:?}: {told}");
    }
    usb.clear_away();
    until("it is as after any plug-in", || !host.ctl(&["status"]).to_string().contains("umount"));
    again.mount();
    host.run_ends("documents", 2, "ok");
}

pub fn without_the_right_it_waits(host: &MiniHost) {
    let (_bus, _polkit, _udisks) = (system_bus(), polkit(""), udisks());
    let host = host.used_by(65534);
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&opened(&host, &usb, "leave").sync("documents", "usb", "hard-link", ""));
    let daemon = host.start();
    usb.attach();
    host.stopped_by("documents", "not-authorized");
    assert_eq!(host.sync("documents")["state"], "waiting");
    host.ctl(&["status"]).says("`nbkpctl drives polkit`");
    assert!(daemon.log().contains("drive `usb` could not be opened"), "{}", daemon.log());
    assert_eq!(points(&usb).len(), 0);
    assert_eq!(array(&host.status()["running"]).len(), 0);
}

pub fn with_the_printed_rule_it_is_opened_and_no_other(host: &MiniHost) {
    // Loop devices are built in, as udisks sees it, unless it is told otherwise.
    std::fs::create_dir_all("/run/udev/rules.d").unwrap();
    let as_drives = "SUBSYSTEM==\"block\", KERNEL==\"loop*\", ENV{UDISKS_SYSTEM}=\"0\"\n";
    std::fs::write("/run/udev/rules.d/99-drives.rules", as_drives).unwrap();
    run("udevadm", &[&"control", &"--reload"]);
    let (_bus, mut without, _udisks) = (system_bus(), polkit(""), udisks());
    without.kill();
    let host = host.used_by(65534);
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let mut other = host.drive("other", Ext4).prepared_for("documents");
    host.configure(&opened(&host, &usb, "leave").sync("documents", "usb", "hard-link", ""));
    let rule = host.ctl(&["drives", "polkit"]).exits(0);
    std::fs::write("/etc/polkit-1/rules.d/40-nbkp.rules", &rule.said).unwrap();
    let _polkit = polkit_again();
    let _daemon = host.start();
    other.attach();
    usb.attach();
    host.run_ends("documents", 1, "ok");
    until_unmounted(&usb);
    let node = other.device();
    let refused = attempt(
        "setpriv",
        &[&"--reuid", &"65534", &"--clear-groups", &"udisksctl", &"mount", &"--no-user-interaction", &"-b", &node],
    );
    assert!(String::from_utf8_lossy(&refused.stderr).contains("NotAuthorized"), "{refused:?}");
}

pub fn a_person_mounts_and_ejects_it(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&opened(host, &usb, "power-off").also("[volumes.old]\ndrive = \"5e3f-1a2b\""));
    let _daemon = host.start();
    host.ctl(&["mount", "usb"]).exits(1).says("drive `usb` is not plugged in");
    host.ctl(&["eject", "laptop"]).exits(2).says("`laptop` is no drive").says("drives: `old` and `usb`");
    host.ctl(&["eject", "ubs"]).exits(2).says("usb");
    usb.attach();
    until("the drive is known", || {
        host.ctl(&["scan"]).said.contains("usb") && host.ctl(&["mount", "usb"]).code == Some(0)
    });
    let mounted = host.ctl(&["mount", "usb", "--json"]).exits(0).json();
    assert_eq!(points(&usb), [PathBuf::from(mounted["path"].as_str().unwrap())]);
    // What a person opened stays open, run or not.
    host.configure(&opened(host, &usb, "leave").sync("documents", "usb", "hard-link", ""));
    until("the sync is known", || host.ctl(&["list"]).said.contains("documents"));
    host.run_ends("documents", 1, "ok");
    throughout("it stays open", Duration::from_secs(1), || !points(&usb).is_empty());

    let inside = format!("cd {} && exec sleep 1000", points(&usb)[0].display());
    let mut reader = Neighbour::start("/bin/sh", &["-c", &inside], &[]);
    let cwd = PathBuf::from(format!("/proc/{}/cwd", reader.0.id()));
    until("it is in there", || cwd.read_link().is_ok_and(|cwd| points(&usb).contains(&cwd)));
    host.ctl(&["eject", "usb"]).exits(1).says("still in use: sleep (process").says("do not pull it out");
    reader.kill();
    let ejected = host.ctl(&["eject", "usb", "--json"]).exits(0).json();
    assert_eq!((&ejected["safe_to_remove"], &ejected["powered_off"]), (&true.into(), &false.into()));
    assert_eq!(points(&usb).len(), 0);
    host.stopped_by("documents", "destination-not-mounted");
    // Who asks for a run of it has it back.
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    until("it is closed again", || host.ctl(&["unmount", "usb"]).code == Some(0));
    assert_eq!(points(&usb).len(), 0);
}

pub fn another_partition_in_use_is_not_called_safe(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    let image = host.root.join("stick.img");
    std::fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    run("sh", &[&"-ec", &"printf 'size=40MiB\\nsize=40MiB\\n' | sfdisk -q \"$0\"", &image]);
    let stick = run("losetup", &[&"--find", &"--show", &"--partscan", &image]);
    // Not every kernel reads a table of partitions by itself.
    attempt("partx", &[&"--add", &stick]);
    let [first, second] = ["p1", "p2"].map(|part| format!("{stick}{part}"));
    for part in [&first, &second] {
        let number = text_of(format!("/sys/class/block/{}/dev", part.trim_start_matches("/dev/")));
        let (major, minor) = number.trim().split_once(':').expect("the kernel knows the partition");
        if !Path::new(part).exists() {
            run("mknod", &[part, &"b", &major, &minor]);
        }
        run("mkfs.ext4", &[&"-qF", part]);
    }
    run("udevadm", &[&"settle"]);
    let uuid = run("blkid", &[&"-p", &"-s", &"UUID", &"-o", &"value", &first]);
    let at = host.root.join("second");
    std::fs::create_dir_all(&at).unwrap();
    let lines = format!("[volumes.usb]\ndrive = \"{uuid}\"\nmount = true\nwhen-done = \"power-off\"");
    host.configure(&host.config().also(&lines));
    let daemon = host.start();
    until("it is open", || host.ctl(&["mount", "usb"]).code == Some(0));
    run("mount", &[&second, &at]);
    host.ctl(&["eject", "usb"]).exits(1).says(&format!("other parts of it are in use: {second}; do not pull it out"));
    assert!(!daemon.log().contains("safe to remove"), "{}", daemon.log());
    run("umount", &[&at]);
    host.ctl(&["mount", "usb"]).exits(0);
    host.ctl(&["eject", "usb"]).exits(0).says("safe to remove");
    daemon.stop();
    run("losetup", &[&"--detach", &stick]);
}

pub fn a_locked_keyring_is_waited_for_and_the_secret_shows_nowhere(host: &MiniHost) {
    const CANARY: &str = "correct-horse-canary-staple";
    const SESSION: &str = "/run/bus";
    let (_bus, _udisks, _session) = (system_bus(), udisks(), bus("session", SESSION));
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Luks);
    let config = opened(host, &usb, "lock").with("mount = true", "mount = true\npassphrase = \"usb\"");
    host.configure(&config.sync("documents", "usb", "hard-link", ""));
    let daemon = host.start();
    usb.attach();
    host.stopped_by("documents", "credential-locked");
    host.ctl(&["why", "documents"]).says("no keyring is there");
    assert_eq!(host.sync("documents")["state"], "waiting");

    let mut keyring = unlocked(SESSION);
    until("it is missed in the keyring", || host.ctl(&["why", "documents"]).said.contains("cannot be had"));
    let on_session =
        |line: &str| run("sh", &[&"-ec", &format!("export DBUS_SESSION_BUS_ADDRESS=unix:path={SESSION}; {line}")]);
    on_session(&format!("printf %s {CANARY} | secret-tool store --label=nbkp service nbkp id usb"));
    let service = "/org/freedesktop/secrets";
    let lock = format!("org.freedesktop.Secret.Service Lock ao 1 {service}/collection/login");
    on_session(&format!("busctl --user call org.freedesktop.secrets {service} {lock}"));
    host.ctl(&["run", "documents", "--wait"]);
    until("the keyring is locked", || host.ctl(&["why", "documents"]).said.contains("is locked"));

    // Nobody does anything but unlock the keyring.
    keyring.kill();
    let _again = unlocked(SESSION);
    until("udisks was handed the passphrase", || daemon.log().contains("could not unlock it: "));
    until("that is told", || !host.obstacles("documents").contains(&"credential-locked".to_owned()));
    let state = host.config_file().with_file_name("state-nbkpd");
    let found = attempt("grep", &[&"-rl", &CANARY, &state, &host.config_file(), &"/run/udisksd.log"]);
    assert_eq!((found.status.code(), daemon.log().contains(CANARY)), (Some(1), false), "{found:?}");
}

fn unlocked(session: &str) -> Neighbour {
    keyring("the password of the login", session)
}

pub fn another_luks_header_is_told_before_it_is_unlocked(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Luks);
    let config = opened(host, &usb, "lock").with("mount = true", "mount = true\npassphrase = \"usb\"");
    host.configure(&config.sync("documents", "usb", "hard-link", ""));
    let state = host.config_file().with_file_name("state-nbkpd");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(state.join("ledger.json"), r#"{ "version": 1, "hardware": { "usb": ["luks:another"] } }"#).unwrap();
    let daemon = host.start();
    usb.attach();
    host.stopped_by("documents", "device-unknown");
    host.ctl(&["status"]).says("the LUKS header of drive `usb` is not the one that it was used with");
    host.ctl(&["run", "documents", "--wait"]).exits(4);
    assert!(!daemon.log().contains("could not unlock it"), "{}", daemon.log());
    host.ctl(&["approve", "documents"]).exits(0);
    host.stopped_by("documents", "credential-locked");
    // Somebody makes it anew, with the same UUID and passphrase, while it is plugged in.
    let format = "printf 'another passphrase' | cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 \
                  --pbkdf-force-iterations 1000 --uuid \"$1\" \"$0\" -";
    run("sh", &[&"-ec", &format, &usb.device(), &usb.uuid]);
    run("udevadm", &[&"trigger", &"--settle", &usb.device()]);
    host.stopped_by("documents", "device-unknown");
}

pub fn a_filesystem_that_was_mended_is_opened_at_once(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&opened(host, &usb, "unmount").sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    // No kernel mounts a filesystem whose first table of inodes lies outside of it.
    run("debugfs", &[&"-w", &"-R", &"set_bg 0 inode_table 99999999", &usb.image()]);
    usb.attach();
    let why = || host.ctl(&["why", "documents"]).said;
    until("it is called damaged", || why().contains("e2fsck"));
    assert!(host.history("documents").is_empty());
    // A person does what they are told to do, and nothing else.
    let mended = attempt("e2fsck", &[&"-f", &"-y", &usb.device()]);
    assert!(mended.status.code().is_some_and(|code| code < 4), "{mended:?}");
    host.run_ends("documents", 1, "ok");
}

pub fn a_plain_filesystem_in_place_of_an_encrypted_one_is_refused(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let config = opened(host, &usb, "lock").with("mount = true", "mount = true\npassphrase = \"usb\"");
    host.configure(&config.sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    host.stopped_by("documents", "not-encrypted");
    host.ctl(&["run", "documents"]).says("should be encrypted, but");
    host.ctl(&["mount", "usb"]).exits(1).says("should be encrypted, but");
    throughout("nothing is copied to it", Duration::from_secs(1), || host.history("documents").is_empty());
    assert_eq!(usb.destination("documents").snapshots().len(), 0);
}

pub fn pulled_out_in_mid_run_it_is_forgotten(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    let source = host.source("documents");
    source.write_big("big", 24, 7);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let slow = "rsync = { bandwidth = \"4M\" }";
    host.configure(&opened(host, &usb, "unmount").sync("documents", "usb", "hard-link", slow));
    let daemon = host.start();
    usb.attach();
    host.copies("documents", 1 << 20);
    usb.yank();
    let record = host.run_ends("documents", 1, "interrupted");
    assert_eq!(record["outcome"], "interrupted");
    run("umount", &[&"--lazy", &points(&usb)[0]]);
    assert!(!daemon.log().contains("safe to remove"), "{}", daemon.log());
    usb.clear_away();
    usb.attach();
    host.run_ends("documents", 2, "ok");
    until_unmounted(&usb);
}
