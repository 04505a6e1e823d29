//! What people do with `nbkpctl`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use crate::common::daemon::Wrapping;
use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::{Folder, Sentinels};
use crate::common::mini_host::{MiniHost, array};
use crate::common::{attempt, throughout, until};

pub fn prepares_a_blank_drive(host: &MiniHost) {
    let source = Folder::at(host.home().join("documents"));
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs);
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    usb.plug();
    host.stopped_by("documents", "destination-sentinel-missing");
    host.ctl(&["drives"]).exits(0).says(&usb.uuid);
    host.ctl(&["prepare", "documents"]).exits(0);
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    copy.latest().is_like(&source);
    assert_eq!(copy.root.join("staging").metadata().unwrap().ino(), 256, "staging is a subvolume");
    for sentinel in [usb.point().join(".nbkp-vol"), copy.root.join(".nbkp-dst"), source.path.join(".nbkp-src")] {
        assert!(crate::common::text_of(&sentinel).starts_with("id = \""), "{}", sentinel.display());
    }
    host.ctl(&["prepare", "documents"]).exits(0);
}

pub fn runs_and_waits(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    host.ctl(&["run", "documents", "--wait"]).exits(4).says("not plugged in");
    host.ctl(&["run", "documents", "--wait", "--json"]).exits(4);
    host.ctl(&["run", "--wait"]).exits(0);
    host.ctl(&["run", "--wait", "--strict"]).exits(4);
    host.ctl(&["run", "documents"]).exits(0);
    for named in [&["run", "documents", "--dry-run"][..], &["diff", "documents"], &["snapshots", "documents"]] {
        host.ctl(named).exits(1).says("not plugged in");
    }
    for all in [&["run", "--dry-run"][..], &["snapshots"], &["prune"]] {
        host.ctl(all).exits(0);
    }
    host.ctl(&["run", "no-such-sync", "--wait"]).exits(2).says("no-such-sync");
    usb.plug();
    host.run_ends("documents", 1, "ok");
    source.write("new", "file");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert_eq!(host.run_ends("documents", 2, "ok")["trigger"], "request");
    usb.destination("documents").latest().is_like(&source);
    let listed = host.ctl(&["list", "--json"]).json();
    assert_eq!(listed["syncs"][0]["source"], "laptop:documents");
    assert_eq!(listed["syncs"][0]["snapshots"], "btrfs");
}

pub fn shows_what_a_run_would_do(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    source.write("new-file", "new").remove("folder-01/file-1");
    let everything = Folder::at(usb.point());
    let before = everything.content();
    host.ctl(&["run", "documents", "--dry-run"]).exits(0).says("rsync").says("--dry-run").says("new-file");
    host.ctl(&["diff", "documents"]).exits(0).says("new-file").says("folder-01/file-1");
    everything.holds(&before);
    assert_eq!(host.history("documents").len(), 1);
}

pub fn works_without_a_daemon(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    host.ctl(&["run", "documents", "--wait"]).exits(4).says("not plugged in");
    host.ctl(&["status"]).exits(3);
    usb.plug();
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let copy = usb.destination("documents");
    copy.latest().is_like(&source);
    assert_eq!(host.history("documents").len(), 1);
    let _daemon = host.start();
    assert_eq!(host.stands("documents", "idle")["freshness"], "fresh", "the daemon knows of it");
}

pub fn a_lost_state_is_filled_again_and_a_removed_sync_has_a_past(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let configured = host.config().drive(&usb).sync("documents", "usb", "hard-link", "");
    host.configure(&configured);
    usb.plug();
    for number in 0..2 {
        source.write("new", number.to_string());
        host.ctl(&["run", "documents", "--wait"]).exits(0);
    }
    let runs = |host: &MiniHost| -> Vec<String> {
        host.history("documents").iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    let before = runs(host);
    assert_eq!(before.len(), 2);
    std::fs::remove_dir_all(host.root.join("state-nbkpd")).unwrap();
    let _daemon = host.start();
    until("the history is there again", || runs(host).len() == 3);
    assert_eq!(runs(host)[1..], before, "in their order");
    host.configure(&host.config().drive(&usb).sync("letters", "usb", "hard-link", ""));
    until("the configuration is another", || host.ctl(&["why", "documents"]).code == Some(2));
    host.ctl(&["history", "documents"]).exits(0).says("ok");
    host.ctl(&["history", "nothing"]).exits(2).says("nothing");
}

pub fn approves_what_a_guard_stopped(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(100);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    source.empty(Sentinels::Stay);
    source.write("the-only-one", "left");
    host.ctl(&["run", "documents", "--wait"]).exits(1).says("approve");
    host.run_ends("documents", 2, "held");
    assert_eq!(copy.snapshots().len(), 1);
    assert_eq!(host.stands("documents", "held")["obstacles"][0]["code"], "held");
    host.ctl(&["diff", "documents"]).exits(0).says("folder-01");
    host.ctl(&["approve", "documents"]).exits(0);
    host.ctl(&["run", "documents", "--wait"]);
    until("the approved run succeeds", || host.history("documents")[0]["outcome"] == "ok");
    copy.latest().is_like(&source);
    assert_eq!(copy.snapshots().len(), 2);
}

pub fn holds_pauses_and_cancels(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 40, 1);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "rsync = { bandwidth = \"2M\" }"));
    let _daemon = host.start();
    host.ctl(&["pause"]).exits(0);
    usb.plug();
    host.stopped_by("documents", "paused");
    assert_eq!(host.status()["daemon"]["state"], "paused");
    host.ctl(&["resume"]).exits(0);
    host.copies("documents", 1 << 20);

    host.ctl(&["hold", "usb"]).exits(0);
    host.run_ends("documents", 1, "interrupted");
    usb.unmount();
    usb.mount();
    host.stopped_by("documents", "held");
    throughout("hands stay off the drive", Duration::from_secs(1), || array(&host.status()["running"]).is_empty());
    host.ctl(&["release", "usb"]).exits(0);
    host.copies("documents", 1 << 20);

    host.ctl(&["cancel", "documents"]).exits(0);
    host.run_ends("documents", 2, "interrupted");
    assert!(usb.destination("documents").snapshots().is_empty());
}

pub fn a_hold_for_some_time_outlives_the_daemon_and_falls_by_itself(host: &MiniHost) {
    host.source("documents").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", ""));
    let daemon = host.start();
    host.ctl(&["hold", "usb", "--for", "6s"]).exits(0).says("a hold lies on `usb` for 6s").says("ends it sooner");
    usb.plug();
    host.stopped_by("documents", "held");
    host.ctl(&["status"]).exits(0).says("a hold lies on volume `usb` until ");
    daemon.stop();
    let _daemon = host.start();
    // Still there, and gone without a word of anybody.
    assert!(host.obstacles("documents").contains(&"held".to_owned()), "{:?}", host.obstacles("documents"));
    assert!(host.history("documents").is_empty());
    host.run_ends("documents", 1, "ok");
    assert!(!host.ctl(&["status"]).exits(0).said.contains("a hold lies"));
}

pub fn what_is_only_supposed_is_told_and_nothing_comes_of_it(host: &MiniHost) {
    host.source("documents").fill(5);
    host.source("photos").fill(5);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let syncs = host.config().drive(&usb).sync("documents", "usb", "none", "").sync("photos", "usb", "none", "");
    host.configure(&syncs.with("grace = \"0s\"", "grace = \"3s\""));
    host.ctl(&["simulate", "plug", "usb"]).exits(3);
    let _daemon = host.start();
    host.stopped_by("documents", "destination-volume-absent");
    let told = host.ctl(&["simulate", "plug", "usb"]).exits(0).says("`documents` would start in 3 s");
    assert!(told.said.ends_with("nothing was done\n") && !told.said.contains("starts"), "{told}");
    let told = host.ctl(&["simulate", "plug", "usb", "--json"]).exits(0).json();
    assert_eq!((&told["syncs"][0]["sync"], &told["syncs"][0]["fate"]), (&"documents".into(), &"would-start".into()));
    assert_eq!(told["syncs"][0]["after_seconds"], 3);
    host.ctl(&["simulate", "unplug", "usb"]).exits(1).says("is not plugged in");
    host.ctl(&["simulate", "plug", "laptop"]).exits(2).says("`laptop` is no drive").says("drives: `usb`");
    host.ctl(&["simulate", "plug", "ubs"]).exits(2).says("did you mean `usb`?");
    host.ctl(&["simulate", "join", "home"]).exits(2).says("no location is named `home`; there is none");
    host.ctl(&["simulate", "fly"]).exits(2);
    assert!(host.history("documents").is_empty() && host.obstacles("documents").len() == 1);

    usb.plug();
    host.run_ends("documents", 1, "ok");
    host.ctl(&["simulate", "unplug", "usb"])
        .exits(0)
        .says("`documents` would stay as it is: drive `usb` is not plugged in");
    host.ctl(&["simulate", "sleep"]).exits(0).says("would stay as it is: no copy is due before ");
    assert!(host.obstacles("documents").is_empty(), "it is still there");
}

pub fn says_when_nobody_answers(host: &MiniHost) {
    host.configure(&host.config());
    host.ctl(&["status"]).exits(3).says("nbkpd");
    host.ctl(&["pause"]).exits(3);
    host.ctl(&["no-such-command"]).exits(2);
    host.ctl(&["status", "--json"]).exits(3);
}

pub fn root_is_told_whose_daemon_runs(host: &MiniHost) {
    host.configure(&host.config());
    let user = host.used_by(1717);
    user.configure(&user.config());
    let _daemon = user.start_as("nbkp", &Wrapping::Plain);
    host.ctl(&["status"]).exits(3).says("nbkpd of user 1717 runs: ask it as 1717, without `sudo`");
    std::fs::remove_file(host.config_file()).unwrap();
    host.ctl(&["list"]).exits(2).says("nbkpd of user 1717 runs");
    // A restore works without a daemon, and tells that of another user nothing.
    let (copy, to) = (host.root.join("copy"), host.root.join("back"));
    std::fs::create_dir(&copy).unwrap();
    for name in [".nbkp-dst", "letter"] {
        std::fs::write(copy.join(name), "").unwrap();
    }
    let arguments = ["restore", "--from", copy.to_str().unwrap(), "/", "--to", to.to_str().unwrap()];
    host.ctl(&arguments).exits(0).says("nbkpd of user 1717 runs, and does not know of this");
    let pretended = host.ctl(&[&arguments[..], &["--dry-run"]].concat()).exits(0);
    assert!(!format!("{pretended}").contains("does not know"), "{pretended}");
}

pub fn what_is_ours_is_private(host: &MiniHost) {
    host.source("documents").fill(3);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("/run/nbkpd"), 0o700);
    assert_eq!(mode("/run/nbkpd/nbkpd.sock"), 0o600);
    let state = host.root.join("state-nbkpd");
    for entry in std::fs::read_dir(state).unwrap().map(Result::unwrap) {
        let path = entry.path();
        assert_eq!(mode(path.to_str().unwrap()) & 0o077, 0, "{}", path.display());
    }
}

pub fn demonstrates_itself(host: &MiniHost) {
    let answer = host.ctl(&["demo"]).exits(0).says("All of it worked").says("Copied by itself");
    assert_eq!(answer.said.matches("is complete").count(), 2, "{answer}");
    let left = attempt("losetup", &[&"--list", &"--noheadings", &"--output", &"BACK-FILE"]);
    assert!(!String::from_utf8_lossy(&left.stdout).contains("nbkp-demo"), "its drive is left behind");
}
