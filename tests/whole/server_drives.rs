//! Drives that are plugged into a server, and opened there for the runs of this machine: a real sshd, `udisksctl` and
//! udisksd.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bus::{Neighbour, system_bus};
use crate::common::config::Config;
use crate::common::daemon::{Daemon, Wrapping};
use crate::common::drive::Drive;
use crate::common::drive::Filesystem::{Btrfs, Ext4, Luks};
use crate::common::folder::Folder;
use crate::common::mini_host::{MiniHost, array};
use crate::common::server::Server;
use crate::common::{attempt, eventually, run, text_of, throughout, until};
use crate::luks::Luks as Served;
use crate::storage::{polkit, polkit_again, udisks};

/// A configuration in which the drive is the volume `attic`, on this server.
fn attic(host: &MiniHost, nas: &Server, drive: &Drive, keys: &str) -> Config {
    let volume = format!("[volumes.attic]\nssh = [\"nas\"]\ndrive = \"{}\"\nmount = true\n{keys}", drive.uuid);
    host.config().also(&nas.endpoint()).also(&volume)
}

/// Where a drive is mounted.
fn points(drive: &Drive) -> Vec<PathBuf> {
    let listed = attempt("findmnt", &[&"--noheadings", &"--output", &"TARGET", &"--source", &drive.device()]);
    String::from_utf8_lossy(&listed.stdout).lines().map(PathBuf::from).collect()
}

fn until_unmounted(drive: &Drive) {
    until("the drive is unmounted", || points(drive).is_empty());
}

/// What is written down of the drive.
fn held(host: &MiniHost) -> PathBuf {
    host.config_file().with_file_name("state-nbkpd").join("drive-attic.json")
}

fn safe(nas: &Server) -> String {
    format!("drive `attic` on `{}` is closed; it is safe to remove", nas.address())
}

pub fn is_mounted_there_for_its_runs_and_let_go(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    for name in ["documents", "photos"] {
        host.source(name).fill(20);
    }
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Btrfs).prepared_for("documents").prepared_plainly_for("photos");
    drive.attach();
    let config = attic(host, &nas, &drive, "when-done = \"unmount\"");
    host.configure(&config.sync("documents", "attic", "btrfs", "").sync("photos", "attic", "none", ""));
    let daemon = host.start();
    host.stopped_by("documents", "host-unreachable");
    nas.join();
    host.run_ends("documents", 1, "ok");
    host.run_ends("photos", 1, "ok");
    until_unmounted(&drive);
    until("it is said to be safe", || daemon.log().contains(&safe(&nas)));
    let log = daemon.log();
    assert_eq!(log.matches("volume attic is there").count(), 1, "it is mounted once for both: {log}");
    until("nothing is held any more", || !held(host).exists());
    assert_eq!(host.obstacles("documents"), [""; 0]);
    throughout("what we let go is not taken again", Duration::from_secs(1), || points(&drive).is_empty());

    host.source("documents").write("new", "new");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    until_unmounted(&drive);
    daemon.stop();

    // Without a daemon the same is done, and undone before the client ends.
    host.source("documents").write("newer", "newer");
    host.ctl(&["run", "documents"]).exits(0);
    assert_eq!(points(&drive).len(), 0);
    drive.mount();
    assert_eq!(drive.destination("documents").snapshots().len(), 3);
    drive.destination("documents").latest().is_like(&host.source("documents"));
    Folder::at(drive.point().join("photos")).is_like(&host.source("photos"));
}

pub fn mounted_by_somebody_there_it_stays(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4);
    drive.edit(|root| {
        std::fs::create_dir_all(root.join("backups/documents")).unwrap();
        std::fs::write(root.join("backups/.nbkp-vol"), "").unwrap();
        std::fs::write(root.join("backups/documents/.nbkp-dst"), "").unwrap();
    });
    let config = attic(host, &nas, &drive, "path = \"backups\"");
    host.configure(&config.sync("documents", "attic", "none", ""));
    let daemon = host.start();
    drive.plug();
    nas.join();
    host.run_ends("documents", 1, "ok");
    Folder::at(drive.point().join("backups/documents")).is_like(&host.source("documents"));
    throughout("it stays where it was mounted", Duration::from_secs(2), || points(&drive) == [drive.point()]);
    assert!(!daemon.log().contains("safe to remove"), "{}", daemon.log());

    // That somebody closes it there may be another machine that is done with it.
    drive.unmount();
    host.ctl(&["scan"]).exits(0);
    assert_eq!(host.obstacles("documents"), [""; 0]);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    until_unmounted(&drive);
}

/// Somebody works in a directory.
fn reader(inside: &Path) -> Neighbour {
    let line = format!("cd {} && exec sleep 1000", inside.display());
    let reader = Neighbour::start("/bin/sh", &["-c", &line], &[]);
    let cwd = PathBuf::from(format!("/proc/{}/cwd", reader.0.id()));
    until("it is in there", || cwd.read_link().is_ok_and(|cwd| cwd == inside));
    reader
}

pub fn in_use_there_it_is_not_called_safe(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents");
    let hook = "hooks = { after = [\"sh\", \"-c\", \"until test -e /run/go-on; do sleep 0.05; done\"] }";
    let config = attic(host, &nas, &drive, "when-done = \"unmount\"");
    host.configure(&config.sync("documents", "attic", "hard-link", hook));
    let daemon = host.start();
    drive.attach();
    nas.join();
    let point = eventually("it is mounted", || points(&drive).first().cloned());
    let mut reader = reader(&point);
    std::fs::write("/run/go-on", "").unwrap();
    host.run_ends("documents", 1, "ok");
    let (address, pid) = (nas.address(), reader.0.id());
    let named = format!("drive `attic` on `{address}` is still in use: sleep (process {pid}) uses {}", point.display());
    until("who uses it is told", || daemon.log().contains(&named));
    assert!(!daemon.log().contains("safe to remove"), "{}", daemon.log());
    assert_eq!(points(&drive), [point]);
    reader.kill();
    until_unmounted(&drive);
    until("it is said to be safe", || daemon.log().contains(&safe(&nas)));
}

pub fn in_use_in_a_container_there_it_is_not_called_safe(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents");
    host.configure(&attic(host, &nas, &drive, ""));
    let _daemon = host.start();
    drive.attach();
    nas.join();
    until("it is mounted", || host.ctl(&["mount", "attic"]).code == Some(0));
    std::fs::write(points(&drive)[0].join("file"), "x").unwrap();
    let line = format!("exec sleep 1000 < {}/file", points(&drive)[0].display());
    let unshare = ["--mount", "--propagation=private", "sh", "-c", &line];
    let mut container = Neighbour::start("/usr/bin/unshare", &unshare, &[]);
    let comm = format!("/proc/{}/comm", container.0.id());
    until("the container is there", || text_of(&comm) == "sleep\n");
    host.ctl(&["eject", "attic"]).exits(1).says("still in use").says("do not pull it out");
    assert_eq!(points(&drive).len(), 0, "there it is unmounted all the same");
    host.ctl(&["eject", "attic"]).exits(1).says("still in use").says("do not pull it out");
    container.kill();
    host.ctl(&["eject", "attic"]).exits(0).says("safe to remove");
}

pub fn two_machines_share_it(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    host.source("photos").write_big("film", 16, 7);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents").prepared_plainly_for("photos");
    let hook =
        "hooks = { after = [\"sh\", \"-c\", \"touch /run/copied; until test -e /run/go-on; do sleep 0.05; done\"] }";
    let config = attic(host, &nas, &drive, "");
    host.configure(&config.clone().sync("documents", "attic", "hard-link", hook));
    drive.attach();
    nas.join();
    let first = host.start();
    let point = eventually("it is mounted", || points(&drive).first().cloned());

    // The other machine finds it open, and copies for as long as the first one is done.
    let theirs = host.root.join("theirs.toml");
    let slow = "rsync = { bandwidth = \"2M\" }";
    std::fs::write(&theirs, config.sync("photos", "attic", "none", slow).text()).unwrap();
    let log = host.root.join("other.log");
    let second = Daemon::launch(&log, Path::new("/run/notify-other"), &Wrapping::Plain, |program| {
        let mut command = host.command(program, "other");
        command.env("NBKP_CONFIG", &theirs);
        command
    });
    second.wait_until_ready();
    until("the first one has copied", || Path::new("/run/copied").exists());
    let bytes = || host.ctl_of("other", &["status", "--json"]).json()["running"][0]["bytes"].as_u64();
    until("the other machine copies", || bytes().is_some_and(|bytes| bytes > 0));
    // However long the first one takes to come to its end.
    run("pkill", &[&"-STOP", &"-x", &"rsync"]);
    std::fs::write("/run/go-on", "").unwrap();
    host.run_ends("documents", 1, "ok");
    until("the first one names what is in its way", || {
        let log = first.log();
        log.contains("is still in use: ") && log.contains("rsync (process")
    });
    assert_eq!(points(&drive), [point]);
    run("pkill", &[&"-CONT", &"-x", &"rsync"]);
    until("the other one is done", || second.log().contains("photos: done"));
    until_unmounted(&drive);
    until("the first one says that it is safe", || first.log().contains(&safe(&nas)));
    assert!(!second.log().contains("safe to remove"), "{}", second.log());
    drive.mount();
    Folder::at(drive.point().join("photos")).is_like(&host.source("photos"));
}

/// A run to the drive is in its middle.
fn copying(host: &MiniHost, when_done: &str) -> (Server, Drive, Config) {
    let source = host.source("documents");
    source.write_big("big", 24, 7);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents");
    drive.attach();
    let config = attic(host, &nas, &drive, &format!("when-done = \"{when_done}\""));
    let slow = "rsync = { bandwidth = \"2M\" }";
    host.configure(&config.clone().sync("documents", "attic", "hard-link", slow));
    nas.join();
    (nas, drive, config)
}

pub fn what_a_killed_daemon_left_open_there_is_closed(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    let (nas, drive, config) = copying(host, "unmount");
    let daemon = host.start();
    host.copies("documents", 1 << 20);
    let written = text_of(held(host));
    assert!(written.contains("\"undo\":\"unmount\"") && written.contains("\"server\":[\"nas\"]"), "{written}");
    daemon.kill();
    until("rsync has ended with its daemon's death", || {
        attempt("pkill", &[&"--runstates", &"R,S,D", &"rsync"]).status.code() == Some(1)
    });
    nas.leave();
    // Another life, in which nothing is to be done on the drive.
    host.configure(&config);
    let again = host.start();
    assert!(!points(&drive).is_empty());
    until("the server is out of reach", || host.ctl(&["status"]).said.contains("no way leads"));
    assert!(held(host).exists());
    nas.join();
    until_unmounted(&drive);
    until("nothing is held", || !held(host).exists());
    drop(again);
}

pub fn a_connection_lost_while_it_is_open_closes_it_later(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    let (nas, drive, _) = copying(host, "unmount");
    let daemon = host.start();
    host.copies("documents", 4 << 20);
    nas.leave();
    host.run_ends("documents", 1, "interrupted");
    host.stopped_by("documents", "host-unreachable");
    assert!(!points(&drive).is_empty() && held(host).exists());
    throughout("nobody says that it is closed", Duration::from_secs(1), || !daemon.log().contains("is closed"));
    nas.join();
    host.run_ends("documents", 2, "ok");
    // It may have been closed before, too, when the server came back.
    until("nothing is held", || !held(host).exists());
    until_unmounted(&drive);
    until("it is said to be safe", || daemon.log().contains(&safe(&nas)));
    drive.mount();
    drive.destination("documents").latest().is_like(&host.source("documents"));
}

pub fn an_end_out_of_reach_leaves_it_to_the_next(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    let (nas, drive, config) = copying(host, "leave");
    let daemon = host.start();
    host.copies("documents", 1 << 20);
    nas.leave();
    host.run_ends("documents", 1, "interrupted");
    host.stopped_by("documents", "host-unreachable");
    daemon.stop();
    assert!(!points(&drive).is_empty() && held(host).exists());
    nas.join();
    host.configure(&config);
    let _again = host.start();
    until_unmounted(&drive);
    until("nothing is held", || !held(host).exists());
}

pub fn without_udisksctl_there_it_waits(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents");
    drive.attach();
    host.configure(&attic(host, &nas, &drive, "").sync("documents", "attic", "hard-link", ""));
    run("mount", &[&"--bind", &"/dev/null", &"/usr/bin/udisksctl"]);
    let daemon = host.start();
    nas.join();
    host.stopped_by("documents", "tool-missing");
    host.ctl(&["why", "documents"]).says("udisksctl").says(&format!("install it on `{}`", nas.address()));
    assert!(daemon.log().contains("drive `attic` on"), "{}", daemon.log());
    assert_eq!((points(&drive).len(), array(&host.status()["running"]).len()), (0, 0));
    run("umount", &[&"/usr/bin/udisksctl"]);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
}

/// An ordinary account on the server, and the drive that is theirs.
fn account(host: &MiniHost, name: &str, id: u32) -> Drive {
    let passwd = format!("{}{name}:x:{id}:{id}::/run/{name}:/bin/sh\n", text_of("/etc/passwd"));
    std::fs::write("/run/passwd", passwd).unwrap();
    run("mount", &[&"--bind", &"/run/passwd", &"/etc/passwd"]);
    std::fs::create_dir(format!("/run/{name}")).unwrap();
    let drive = Drive::make(&host.root, &host.root.join("attic.img"), "attic", Ext4, 256, Some(id));
    drive.prepared_for("documents")
}

pub fn without_the_right_there_it_waits_and_the_printed_rule_gives_it(host: &MiniHost) {
    std::fs::create_dir_all("/run/udev/rules.d").unwrap();
    let as_drives = "SUBSYSTEM==\"block\", KERNEL==\"loop*\", ENV{UDISKS_SYSTEM}=\"0\"\n";
    std::fs::write("/run/udev/rules.d/99-drives.rules", as_drives).unwrap();
    run("udevadm", &[&"control", &"--reload"]);
    let (_bus, mut without, _udisks) = (system_bus(), polkit(""), udisks());
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut drive = account(host, "keeper", 4711);
    drive.attach();
    let config = attic(host, &nas, &drive, "").with("user = \"root\"", "user = \"keeper\"");
    host.configure(&config.sync("documents", "attic", "hard-link", ""));
    let _daemon = host.start();
    nas.join();
    host.stopped_by("documents", "not-authorized");
    assert_eq!(host.sync("documents")["state"], "waiting");
    host.ctl(&["status"]).says("`nbkpctl drives polkit --volume attic`").says(&nas.address());
    assert_eq!(points(&drive).len(), 0);

    let rule = host.ctl(&["drives", "polkit", "--volume", "attic"]).exits(0);
    std::fs::write("/etc/polkit-1/rules.d/40-nbkp.rules", &rule.said).unwrap();
    without.kill();
    let _polkit = polkit_again();
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    until_unmounted(&drive);
}

pub fn a_person_mounts_and_ejects_it(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents");
    let config = attic(host, &nas, &drive, "when-done = \"power-off\"").also(&nas.volume());
    host.configure(&config);
    let _daemon = host.start();
    let address = nas.address();
    nas.join();
    until("the server is asked", || host.ctl(&["mount", "attic"]).complained.contains("is not plugged into"));
    host.ctl(&["mount", "attic"]).exits(1).says(&format!("drive `attic` is not plugged into `{address}`"));
    host.ctl(&["eject", "nas"]).exits(2).says("is no drive");
    drive.attach();
    let mounted = host.ctl(&["mount", "attic", "--json"]).exits(0).json();
    let shown = mounted["path"].as_str().unwrap();
    assert_eq!(points(&drive), [PathBuf::from(shown.strip_prefix(&format!("{address}:")).unwrap())]);
    // What a person opened stays open, run or not.
    host.configure(&attic(host, &nas, &drive, "").sync("documents", "attic", "hard-link", ""));
    until("the sync is known", || host.ctl(&["list"]).said.contains("documents"));
    host.run_ends("documents", 1, "ok");
    throughout("it stays open", Duration::from_secs(1), || !points(&drive).is_empty());

    let mut reader = reader(&points(&drive)[0]);
    let on = format!("drive `attic` on `{address}` is still in use: sleep (process");
    host.ctl(&["eject", "attic"]).exits(1).says(&on).says("do not pull it out");
    reader.kill();
    let ejected = host.ctl(&["eject", "attic", "--json"]).exits(0).json();
    assert_eq!((&ejected["safe_to_remove"], &ejected["powered_off"]), (&true.into(), &false.into()));
    assert_eq!(points(&drive).len(), 0);
    host.stopped_by("documents", "destination-not-mounted");
    host.ctl(&["unmount", "attic"]).exits(0).says(&safe(&nas));
    nas.leave();
    host.stopped_by("documents", "host-unreachable");
    host.ctl(&["eject", "attic"]).exits(1).says("no way leads");
}

pub fn a_hold_keeps_hands_off_it(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents");
    drive.attach();
    host.configure(&attic(host, &nas, &drive, "").sync("documents", "attic", "hard-link", ""));
    let _daemon = host.start();
    host.ctl(&["hold", "attic"]).exits(0);
    nas.join();
    until("the server is asked", || host.obstacles("documents") == ["held"]);
    throughout("nobody touches it", Duration::from_secs(1), || points(&drive).is_empty());
    host.ctl(&["release", "attic"]).exits(0);
    host.run_ends("documents", 1, "ok");
    until_unmounted(&drive);
}

pub fn a_clone_there_is_refused(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents");
    let mut clone = drive.clone_of(&host.root.join("clone.img"));
    drive.attach();
    clone.attach();
    host.configure(&attic(host, &nas, &drive, "").sync("documents", "attic", "hard-link", ""));
    let _daemon = host.start();
    nas.join();
    host.stopped_by("documents", "duplicate-uuid");
    host.ctl(&["why", "documents"]).says(&format!("{}:{}", nas.address(), drive.device().display()));
    assert_eq!((points(&drive).len(), points(&clone).len()), (0, 0));
    clone.clear_away();
    host.ctl(&["run", "documents", "--wait"]).exits(0);
}

pub fn a_plain_filesystem_in_place_of_an_encrypted_one_is_refused(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut drive = host.drive("attic", Ext4).prepared_for("documents");
    host.configure(&attic(host, &nas, &drive, "passphrase = \"attic\"").sync("documents", "attic", "hard-link", ""));
    let _daemon = host.start();
    drive.attach();
    nas.join();
    host.stopped_by("documents", "not-encrypted");
    drive.mount();
    host.ctl(&["scan"]).exits(0);
    host.stopped_by("documents", "not-encrypted");
    host.ctl(&["mount", "attic"]).exits(1).says("should be encrypted");
    assert!(drive.destination("documents").snapshots().is_empty());
}

pub fn one_named_by_what_is_in_its_container_is_opened_once_it_was_seen_open(host: &MiniHost) {
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut inside = host.drive("inside", Ext4).prepared_for("documents");
    inside.attach();
    let mut drive = host.drive("attic", Luks);
    drive.attach();
    let _bus = system_bus();
    let served = Served::serve(&drive.device(), &inside.device(), "sesame");
    let secret = host.root.join("secret");
    std::fs::write(&secret, "sesame").unwrap();
    let provider = format!("[credentials]\nprovider = \"command\"\ncommand = [\"cat\", \"{}\"]", secret.display());
    let config = attic(host, &nas, &inside, "passphrase = \"attic\"\nwhen-done = \"lock\"").also(&provider);
    host.configure(&config.sync("documents", "attic", "hard-link", ""));
    let daemon = host.start();
    nas.join();
    host.stopped_by("documents", "destination-volume-absent");
    assert_eq!(served.given(), [""; 0], "nobody knows yet what is in it");

    // Its user opens it by hand, once.
    let alone = "--no-user-interaction";
    // It ends badly where it wants to tell of a device that it has not heard of.
    attempt("udisksctl", &[&"unlock", &alone, &"--key-file", &secret, &"-b", &drive.device()]);
    run("udisksctl", &[&"mount", &alone, &"-b", &inside.device()]);
    host.ctl(&["scan"]).exits(0);
    host.run_ends("documents", 1, "ok");
    let closed = || !served.is_unlocked() && points(&inside).is_empty();
    until("it is locked", closed);
    until("that is told", || daemon.log().contains(&safe(&nas)));
    assert_eq!(host.obstacles("documents"), [""; 0]);
    daemon.stop();

    // Another life knows it, too.
    let daemon = host.start();
    host.source("documents").write("new", "new");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    until("it is locked again", closed);
    until("that is told again", || daemon.log().contains(&safe(&nas)));
    assert_eq!(served.given(), ["sesame", "sesame"]);

    // With another filesystem in it, it is locked again and not mounted.
    served.hold_another();
    host.ctl(&["run", "documents", "--wait"]);
    assert!(served.given().len() > 2 && points(&inside).is_empty());
    until("it is told", || host.ctl(&["why", "documents"]).said.contains("another filesystem than `drive` says"));
    until("it is locked all the same", closed);
    until("nothing is held", || !held(host).exists());
    served.hold_its_own();
    drop(daemon);
    inside.mount();
    inside.destination("documents").latest().is_like(&host.source("documents"));
}

/// Tells whether the memory of a process holds a word.
const MEMORY: &str = "
import sys
memory = open(f'/proc/{sys.argv[1]}/mem', 'rb', 0)
for line in open(f'/proc/{sys.argv[1]}/maps'):
    fields = line.split()
    if fields[1].startswith('rw'):
        start, end = (int(number, 16) for number in fields[0].split('-'))
        try:
            memory.seek(start)
            if sys.argv[2].encode() in memory.read(end - start):
                print('found')
                break
        except (OSError, OverflowError):
            pass
";

pub fn the_passphrase_goes_over_the_connection_and_shows_nowhere(host: &MiniHost) {
    const CANARY: &str = "correct-horse-canary-staple";
    host.source("documents").fill(5);
    let nas = host.server("nas");
    let mut inside = host.drive("inside", Ext4).prepared_for("documents");
    inside.attach();
    let mut drive = host.drive("attic", Luks);
    drive.attach();
    let _bus = system_bus();
    let served = Served::serve(&drive.device(), &inside.device(), CANARY);
    std::fs::write(host.root.join("secret"), "wrong").unwrap();
    let secret = host.root.join("secret");
    let provider = format!("[credentials]\nprovider = \"command\"\ncommand = [\"cat\", \"{}\"]", secret.display());
    let config = attic(host, &nas, &drive, "passphrase = \"attic\"\nwhen-done = \"lock\"").also(&provider);
    host.configure(&config.sync("documents", "attic", "hard-link", ""));
    let daemon = host.start();
    nas.join();
    host.stopped_by("documents", "credential-locked");
    host.ctl(&["why", "documents"]).says("its passphrase `attic` does not open it");
    assert_eq!(served.given(), ["wrong"]);
    assert_eq!(points(&inside).len(), 0);

    std::fs::write(&secret, CANARY).unwrap();
    served.hesitate();
    let asked = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd").args(["run", "documents", "--wait"]).spawn();
    until("udisks was handed the passphrase", || served.given().len() == 2);
    assert_eq!(served.given()[1], CANARY);
    // All that takes part is under way, here and at the server.
    let parts = attempt("pgrep", &[&"-fa", &"unlock-helper|udisksctl|ssh"]);
    let parts = String::from_utf8_lossy(&parts.stdout).into_owned();
    let all = ["unlock-helper there attic", "/usr/bin/ssh -o", "sshd: root", "udisksctl unlock"];
    assert!(all.iter().all(|part| parts.contains(part)), "{parts}");
    let search = format!(
        "grep -laF {CANARY} /proc/[0-9]*/cmdline /proc/[0-9]*/environ /proc/[0-9]*/comm 2>/dev/null | grep -v \"/$$/\";
         find /run {} -xdev -type f ! -path {} -exec grep -laF {CANARY} {{}} +",
        host.root.display(),
        secret.display()
    );
    let script = host.root.join("search.sh");
    std::fs::write(&script, search.replace(CANARY, "\"$1\"")).unwrap();
    let search = |word: &str| {
        let found = attempt("sh", &[&script, &word]);
        String::from_utf8_lossy(&found.stdout).into_owned()
    };
    // The search has the word in its own arguments, and finds it where it is.
    let found = search(CANARY);
    let elsewhere: Vec<_> = found.lines().filter(|line| !is_search(line)).collect();
    assert_eq!(elsewhere, [""; 0]);
    assert!(search("documents").lines().any(|line| !is_search(line) && line.ends_with("config.toml")));
    // The daemon has never seen it; the helper has, while it lives.
    let remembers = |name: &str| {
        let pids = attempt("pgrep", &[&"-x", &name]);
        let pids = String::from_utf8_lossy(&pids.stdout).into_owned();
        let pid = pids.split_whitespace().next().unwrap_or_else(|| panic!("no process {name}"));
        !run("python3", &[&"-c", &MEMORY, &pid, &CANARY]).is_empty()
    };
    assert!(!remembers("nbkpd"));
    assert!(remembers("exe"), "the helper, which was started by way of /proc/self/exe");
    served.go_on();
    asked.unwrap().wait().unwrap();
    host.run_ends("documents", 1, "ok");
    until("it is locked again", || !served.is_unlocked() && points(&inside).is_empty());
    until("that is told", || daemon.log().contains(&safe(&nas)));
    assert!(!daemon.log().contains(CANARY));
    drop(daemon);
    inside.mount();
    inside.destination("documents").latest().is_like(&host.source("documents"));
}

/// Whether a line of the search is about the search itself, which has ended since.
fn is_search(line: &str) -> bool {
    line.strip_prefix("/proc/")
        .and_then(|rest| rest.split('/').next())
        .is_some_and(|pid| !Path::new("/proc").join(pid).exists())
}
