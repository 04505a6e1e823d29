//! A drive is plugged in, and the backup happens.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::common::daemon::Wrapping;
use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::journal::Journal;
use crate::common::mini_host::{MiniHost, array};
use crate::common::{run, text_of, throughout, until};

pub fn is_copied_into_a_btrfs_snapshot(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(40).write("letter.txt", "dear reader");
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    host.stopped_by("documents", "destination-volume-absent");
    assert_eq!(host.sync("documents")["freshness"], "never");

    usb.plug();
    let record = host.run_ends("documents", 1, "ok");
    assert_eq!(record["files_transferred"], 41);
    assert!(["drive", "mount"].contains(&record["trigger"].as_str().unwrap()), "{record}");

    let copy = usb.destination("documents");
    assert_eq!(copy.snapshots().len(), 1);
    assert!(copy.unfinished().is_empty());
    copy.latest().is_like(&source);
    let snapshot = copy.latest().path;
    assert_eq!(run("btrfs", &[&"property", &"get", &"-ts", &snapshot, &"ro"]), "ro=true");
    let log = copy.log();
    assert_eq!((log.len(), &log[0]["outcome"], &log[0]["sync"]), (1, &"ok".into(), &"documents".into()));

    let sync = host.stands("documents", "idle");
    assert_eq!((&sync["freshness"], &sync["last_run"]["id"]), (&"fresh".into(), &record["id"]));
    let volume = host.status()["volumes"].as_array().unwrap().iter().find(|v| v["name"] == "usb").cloned().unwrap();
    assert_eq!((&volume["present"], volume["path"].as_str()), (&true.into(), usb.point().to_str()));
    host.ctl(&["snapshots", "documents"]).exits(0).says(&copy.latest_name());
}

pub fn is_copied_into_hard_links(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(40);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    copy.latest().is_like(&source);

    source.write("folder-01/file-1", "changed");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let [first, second] = copy.gets(2).try_into().unwrap();
    copy.latest().is_like(&source);
    let inode = |snapshot: &str, file: &str| {
        use std::os::unix::fs::MetadataExt;
        copy.snapshot(snapshot).path.join(file).metadata().unwrap().ino()
    };
    assert_eq!(
        inode(&first, "folder-02/file-2"),
        inode(&second, "folder-02/file-2"),
        "unchanged files share their data"
    );
    assert_ne!(inode(&first, "folder-01/file-1"), inode(&second, "folder-01/file-1"), "changed files do not");
}

pub fn is_copied_plainly(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(40);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = crate::common::folder::Folder::at(usb.point().join("documents"));
    copy.is_like(&source);
    source.remove("folder-03/file-3").write("new", "new");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    copy.is_like(&source);
}

pub fn aliases_change_nothing(host: &MiniHost) {
    std::fs::write(host.home().join(".popt"), "rsync alias -a -a -n\nrsync alias --delete-delay --max-size=1\n")
        .unwrap();
    let source = host.source("documents");
    source.fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    usb.destination("documents").latest().is_like(&source);
}

pub fn a_wrong_uuid_is_told(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(3);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    usb.plug();
    // There may be others, of which a few are named: the machine shares its loop devices.
    let named = format!("UUID {})", usb.uuid);
    let is_named = |question: &[&str]| {
        until("the drive is among those that are named", || host.ctl(question).to_string().contains(&named));
    };
    host.ctl(&["drives"]).exits(0).says(&usb.uuid);
    let right = host.config().drive(&usb).sync("documents", "usb", "btrfs", "");
    let other = "11111111-2222-4333-8444-555555555555";
    host.configure_with(&right.text().replace(&usb.uuid, other));
    host.ctl(&["config", "check"]).exits(0).says("to no volume of the configuration");
    is_named(&["config", "check"]);
    let _daemon = host.start();
    is_named(&["status"]);
    is_named(&["doctor"]);

    let properties = run("udevadm", &[&"info", &"--query=property", &usb.device()]);
    let member = properties.lines().find_map(|line| line.strip_prefix("ID_FS_UUID_SUB=")).expect("a UUID_SUB");
    host.configure_with(&right.text().replace(&usb.uuid, member));
    for question in [&["config", "check"][..], &["status"], &["doctor"]] {
        until("the configuration is read again", || host.ctl(question).to_string().contains("UUID_SUB"));
    }
    host.configure(&right);
    host.run_ends("documents", 1, "ok");
    host.ctl(&["config", "check"]).exits(0).says("has no mistakes");
}

pub fn already_in_at_start(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    usb.plug();
    let daemon = host.start();
    assert_eq!(host.run_ends("documents", 1, "ok")["trigger"], "start");
    usb.destination("documents").latest().is_like(&source);

    daemon.stop();
    let _again = host.start();
    let sync = host.stands("documents", "idle");
    assert_eq!(sync["freshness"], "fresh", "history outlives the daemon");
    throughout("nothing runs that is not due", Duration::from_secs(1), || host.history("documents").len() == 1);
}

pub fn twice_quickly_runs_once(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let config = host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"0s\"");
    host.configure(&config.with("settle = \"0s\"", "settle = \"3s\""));
    let _daemon = host.start();
    usb.plug();
    usb.unplug();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    throughout("it ran once", Duration::from_secs(4), || host.history("documents").len() == 1);
    assert_eq!(usb.destination("documents").snapshots().len(), 1);
}

pub fn again_copies_only_what_changed(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(40).write_big("disk.img", 24, 1);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"0s\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    usb.unplug();
    host.stopped_by("documents", "destination-volume-absent");

    let mut image = std::fs::read(source.path.join("disk.img")).unwrap();
    image[5_000_000..5_004_000].fill(7);
    source.write("disk.img", &image).write("letter.txt", "a new letter");
    usb.plug();
    let record = host.run_ends("documents", 2, "ok");
    assert_eq!(record["files_transferred"], 2);
    let bytes = record["bytes_transferred"].as_u64().unwrap();
    assert!(bytes < 1 << 20, "a small change in a big file cost {bytes} bytes");
    let copy = usb.destination("documents");
    copy.latest().is_like(&source);
    assert!(!copy.snapshot(&copy.snapshots()[0]).path.join("letter.txt").exists());
}

pub fn before_the_mount_waits_for_it(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    usb.attach();
    host.stopped_by("documents", "destination-not-mounted");
    usb.mount();
    host.run_ends("documents", 1, "ok");
}

pub fn unmounted_by_its_user_is_left_alone(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"0s\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    usb.unmount();
    host.stopped_by("documents", "destination-not-mounted");
    throughout("the drive stays unmounted", Duration::from_secs(1), || {
        !text_of("/proc/self/mountinfo").contains(&usb.point().display().to_string())
    });
    assert_eq!(host.history("documents").len(), 1);
    usb.clear_away();
    usb.plug();
    host.run_ends("documents", 2, "ok");
    // Whoever unmounts it when nobody uses it, be it a program, and mounts it again, wants it used.
    usb.unmount();
    host.stopped_by("documents", "destination-not-mounted");
    usb.mount();
    host.run_ends("documents", 3, "ok");
}

pub fn snapshots_are_pruned(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(3);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "keep = { last = 2 }"));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    let mut made = copy.snapshots();
    for round in 0..3 {
        source.write("round", format!("{round}"));
        host.ctl(&["run", "documents", "--wait"]).exits(0);
        made.push(copy.latest_name());
    }
    assert_eq!(copy.snapshots(), made[2..], "the two newest stay");
    assert!(copy.unfinished().is_empty());
    copy.latest().is_like(&source);
    let shown = host.ctl(&["snapshots", "documents", "--json"]).json();
    let shown = array(&shown["snapshots"]);
    assert_eq!(shown.len(), 2);
    assert!(shown.iter().all(|snapshot| array(&snapshot["keep"]).contains(&"last".into())), "{shown:?}");
}

pub fn the_journal_tells_the_run(host: &MiniHost) {
    let journal = Journal::listen();
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start_as("nbkpd", &Wrapping::Journal);
    usb.plug();
    let record = host.run_ends("documents", 1, "ok");
    let id = record["id"].as_str().unwrap();
    let entry = journal.tells(&[("NBKP_SYNC", "documents"), ("NBKP_RUN", id), ("NBKP_OUTCOME", "ok")]);
    assert_eq!(entry["MESSAGE_ID"].len(), 32, "{entry:?}");
    assert_eq!(entry["PRIORITY"], "6", "{entry:?}");
    assert!(entry["MESSAGE"].contains("documents"), "{entry:?}");
    journal.tells(&[("NBKP_VOLUME", "usb")]);
}

pub fn the_service_manager_is_told(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 12, 1);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "rsync = { bandwidth = \"4M\" }"));
    let daemon = host.start();
    usb.plug();
    until("the status sentence names the run", || daemon.told("STATUS=copying documents to usb"));
    host.run_ends("documents", 1, "ok");
    daemon.signal(Signal::HUP);
    until("a reload is told", || daemon.told("RELOADING=1"));
    until("the end of the reload is told", || daemon.heard().iter().filter(|line| *line == "READY=1").count() == 2);
    assert!(daemon.told("MONOTONIC_USEC="));
    daemon.signal(Signal::TERM);
    assert!(daemon.ends().success());
    assert!(daemon.told("STOPPING=1"));
}

pub fn the_part_of_it_that_was_prepared_stays_when_the_whole_is_mounted_too(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs);
    usb.attach();
    usb.mount();
    run("btrfs", &[&"-q", &"subvolume", &"create", &usb.point().join("@data")]);
    usb.unmount();
    usb.mount_with("subvol=@data");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    host.ctl(&["prepare", "documents"]).exits(0);
    let _daemon = host.start();
    host.run_ends("documents", 1, "ok");

    // Mounted before or behind it, the whole is not what was prepared.
    let whole = std::path::Path::new("/run/whole");
    std::fs::create_dir(whole).unwrap();
    let mount_whole = || run("mount", &[&usb.device(), &whole]);
    mount_whole();
    source.write("new", "1");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    run("umount", &[&usb.point()]);
    host.stopped_by("documents", "destination-sentinel-missing");
    usb.mount_with("subvol=@data");
    host.stands("documents", "idle");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("documents").latest().is_like(&source);
    assert!(!whole.join(".nbkp-vol").exists());
    run("umount", &[&whole]);
}

pub fn a_watchdog_that_fires_is_as_a_kill(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 32, 1);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "rsync = { bandwidth = \"2M\" }"));
    let daemon = host.start_as("nbkpd", &Wrapping::Watched);
    usb.plug();
    host.copies("documents", 1 << 20);
    let signs = || daemon.heard().iter().filter(|word| word.starts_with("WATCHDOG=1")).count();
    until("signs of life come during a copy", || signs() > 2);
    // Its loop alone hangs: each wait of its first thread lasts too long. All else of it goes on.
    let mut tracer = Command::new("strace");
    let (calls, process) = ("epoll_wait,epoll_pwait,epoll_pwait2", daemon.pid().as_raw_nonzero().to_string());
    tracer.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    tracer.args(["-e", &format!("inject={calls}:delay_enter=30000000"), "-p", &process]);
    let mut tracer = tracer.stdin(Stdio::null()).spawn().expect("strace");
    std::thread::sleep(Duration::from_secs(3));
    let before = signs();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(signs(), before, "somebody else than the loop gives signs of life");
    // What a service manager does then.
    daemon.signal(Signal::ABORT);
    // Its parent sees the end only when nobody traces it.
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    let ended = daemon.ends();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(6), "{ended:?}");
    assert!(usb.destination("documents").snapshots().is_empty());

    let _next = host.start();
    let cut_short = host.run_ends("documents", 1, "interrupted");
    assert!(cut_short["error"].as_str().unwrap().contains("stopped in the middle"), "{cut_short}");
    host.run_ends("documents", 2, "ok");
    usb.destination("documents").latest().is_like(&source);
}

pub fn an_ordinary_user_is_served(host: &MiniHost) {
    let host = host.used_by(1717);
    let source = host.source("documents");
    source.fill(20);
    run("chown", &[&"-R", &"1717:1717", &source.path]);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "keep = { last = 2 }"));
    let _daemon = host.start();
    usb.attach();
    usb.mount_with("user_subvol_rm_allowed");
    host.run_ends("documents", 1, "ok");
    for round in 0..3 {
        source.write("round", format!("{round}"));
        host.ctl(&["run", "documents", "--wait"]).exits(0);
    }
    let copy = usb.destination("documents");
    copy.gets(2);
    copy.latest().is_like(&source);
    assert!(copy.unfinished().is_empty());
}

pub fn again_at_once_is_plugged_again(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"0s\""));
    let _daemon = host.start();
    for round in 1..4 {
        // Out and in again faster than anybody looks: another medium all the same.
        usb.plug();
        host.run_ends("documents", round, "ok");
        usb.unplug();
    }
}

pub fn at_any_moment_of_a_start_it_is_seen(host: &MiniHost) {
    host.source("documents").write("a", "1");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "every = \"0s\""));
    for round in 0..12_u32 {
        let daemon = host.launch("nbkpd", &Wrapping::Plain);
        // Between the first instruction and the first look there are some tens of milliseconds.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 7));
        usb.attach();
        usb.mount_at_once();
        daemon.wait_until_ready();
        host.run_ends("documents", usize::try_from(round).unwrap() + 1, "ok");
        usb.unplug();
        daemon.stop();
    }
}

pub fn a_loose_contact_makes_no_storm_of_runs(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 16, 1);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "rsync = { bandwidth = \"4M\" }"));
    let _daemon = host.start();
    for _ in 0..5 {
        usb.plug();
        // Whether a run has begun by then is left to chance.
        std::thread::sleep(Duration::from_millis(300));
        usb.yank();
        usb.clear_away();
    }
    host.stopped_by("documents", "destination-volume-absent");
    usb.plug();
    until("the last state counts", || host.history("documents").first().is_some_and(|run| run["outcome"] == "ok"));
    let runs = host.history("documents");
    assert!(runs.len() <= 6, "{runs:#?}");
    assert!(
        runs.iter().skip(1).all(|run| ["interrupted", "skipped"].contains(&run["outcome"].as_str().unwrap())),
        "{runs:#?}"
    );
    let copy = usb.destination("documents");
    assert_eq!(copy.snapshots().len(), 1);
    copy.latest().is_like(&source);
}
