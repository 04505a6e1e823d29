//! What goes wrong while a run is under way: drives, disks, processes, clocks.

use std::time::Duration;

use rustix::process::Signal;

use crate::common::daemon::Wrapping;
use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::Folder;
use crate::common::mini_host::{MiniHost, array};
use crate::common::{run, throughout, until};

pub fn a_yanked_drive_interrupts_and_a_replug_goes_on(host: &MiniHost) {
    let source = host.source("documents");
    source.write("small", "already safe");
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let slow =
        host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"0s\"\nrsync = { bandwidth = \"4M\" }");
    host.configure(&slow);
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    let before = copy.latest().content();
    usb.unplug();
    host.stopped_by("documents", "destination-volume-absent");

    source.write_big("big", 32, 1);
    usb.plug();
    host.copies("documents", 12 << 20);
    usb.flush();
    usb.yank();
    let record = host.run_ends("documents", 2, "interrupted");
    assert!(record["error"].as_str().is_some_and(|error| error.contains("destination")), "{record}");
    host.stopped_by("documents", "destination-volume-absent");
    usb.clear_away();

    usb.plug();
    let first = copy.snapshots();
    assert_eq!(first.len(), 1, "nothing half was promoted");
    copy.snapshot(&first[0]).holds(&before);
    let record = host.run_ends("documents", 3, "ok");
    let sent = record["bytes_transferred"].as_u64().unwrap();
    assert!(sent < 24 << 20, "it went on where it stopped, but sent {sent} bytes of 32 MiB again");
    assert_eq!(copy.snapshots().len(), 2);
    copy.latest().is_like(&source);
}

pub fn a_drive_that_loses_data_is_not_believed(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 30, 1);
    let mut usb = host.drive_with_rot("usb").prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    until("the run has ended", || !host.history("documents").is_empty());
    let record = host.history("documents").pop().unwrap();
    assert!(["failed", "interrupted"].contains(&record["outcome"].as_str().unwrap()), "{record}");
    assert!(record["error"].as_str().is_some_and(|error| error.len() > 10), "{record}");
    let copy = usb.destination("documents");
    assert!(copy.snapshots().is_empty(), "a copy whose data was lost is shown as complete");
    assert_eq!(host.sync("documents")["freshness"], "never");
}

pub fn a_full_destination_harms_nothing(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(20);
    let mut usb = host.drive_of("usb", Ext4, 32).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "keep = { last = 5 }"));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    let (first, before) = (copy.latest_name(), copy.latest().content());

    source.write_big("too-big", 60, 1);
    host.ctl(&["run", "documents", "--wait"]).exits(1);
    let record = host.history("documents")[0].clone();
    assert_eq!(record["outcome"], "failed", "{record}");
    let error = record["error"].as_str().unwrap_or_default();
    assert!(error.contains("space"), "the error says what is wrong and with what: {error}");
    assert_eq!((copy.snapshots(), copy.latest_name()), (vec![first.clone()], first.clone()));
    copy.snapshot(&first).holds(&before);

    source.remove("too-big").write("small", "fits");
    host.ctl(&["run", "documents", "--wait", "--force"]).exits(0);
    copy.latest().is_like(&source);
}

pub fn a_full_btrfs_drive_goes_on_without_help(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(20);
    let mut usb = host.drive_of("usb", Btrfs, 640).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    let (first, before) = (copy.latest_name(), copy.latest().content());

    source.write_big("too-big", 700, 1);
    host.ctl(&["run", "documents", "--wait"]).exits(1);
    assert_eq!(copy.snapshots(), std::slice::from_ref(&first));
    source.remove("too-big").write("small", "fits");
    // btrfs takes its time to let metadata have what data gave back.
    until("a run gets through", || host.ctl(&["run", "documents", "--wait", "--force"]).code == Some(0));
    copy.latest().is_like(&source);
    copy.snapshot(&first).holds(&before);
}

pub fn a_read_only_destination_waits(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    usb.attach();
    usb.mount_with("ro");
    host.stopped_by("documents", "read-only");
    assert!(host.history("documents").is_empty());
    usb.remount_with("rw");
    host.run_ends("documents", 1, "ok");
    usb.destination("documents").latest().is_like(&source);
}

pub fn term_in_mid_copy_interrupts_and_goes_on(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 32, 1);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", "rsync = { bandwidth = \"4M\" }"));
    let daemon = host.start();
    usb.plug();
    host.copies("documents", 12 << 20);
    daemon.stop();
    assert_eq!(rsyncs(), 0, "the daemon left a child behind");

    let _again = host.start();
    let record = host.run_ends("documents", 2, "ok");
    assert_eq!(host.history("documents")[1]["outcome"], "interrupted");
    let sent = record["bytes_transferred"].as_u64().unwrap();
    assert!(sent < 24 << 20, "it went on where it stopped, but sent {sent} bytes of 32 MiB again");
    Folder::at(usb.point().join("documents")).is_like(&source);
}

pub fn a_kill_in_mid_copy_goes_on(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 24, 1).fill(50);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "rsync = { bandwidth = \"4M\" }"));
    let daemon = host.start();
    usb.plug();
    host.copies("documents", 4 << 20);
    daemon.kill();
    assert!(usb.destination("documents").snapshots().is_empty());

    // rsync may live on for a while and keeps the lock; the next run waits for it and does not write beside it.
    let again = host.start();
    until("the next run succeeds", || host.history("documents")[0]["outcome"] == "ok");
    let mut runs = host.history("documents");
    let killed = runs.pop().unwrap();
    assert_eq!(killed["outcome"], "interrupted", "the one that was killed");
    assert!(again.log().contains("documents: interrupted: the daemon or the machine stopped"), "{}", again.log());
    host.ctl(&["history", "documents"]).says(" - ");
    assert!(runs.iter().skip(1).all(|run| run["outcome"] == "skipped"), "{runs:#?}");
    let copy = usb.destination("documents");
    copy.latest().is_like(&source);
    assert_eq!((copy.snapshots().len(), copy.unfinished().len()), (1, 0));
}

pub fn two_daemons_share_one_destination(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 8, 1).fill(50);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let more = "every = \"0s\"\nunchanged = \"snapshot\"\nrsync = { bandwidth = \"4M\" }";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", more));
    let _one = host.start();
    let _two = host.start_as("other", &Wrapping::Plain);
    usb.plug();
    let succeeded = |name: &str| {
        let runs = host.ctl_of(name, &["history", "documents", "--json"]).json();
        array(&runs["runs"]).iter().filter(|run| run["outcome"] == "ok").count()
    };
    let busy = |name: &str| {
        let status = host.ctl_of(name, &["status", "--json"]).json();
        array(&status["running"]).iter().any(|running| running["step"] == "copy")
    };
    // Seen from two clients at slightly different times: both copying twice in a row would be two writers.
    let mut both = 0;
    until("both have made their copy", || {
        both = if busy("nbkpd") && busy("other") { both + 1 } else { 0 };
        assert!(both < 3, "two daemons write to one destination");
        succeeded("nbkpd") >= 1 && succeeded("other") >= 1
    });
    let copy = usb.destination("documents");
    assert!(copy.snapshots().len() >= 2);
    for name in copy.snapshots() {
        copy.snapshot(&name).is_like(&source);
    }
}

pub fn a_second_daemon_is_refused(host: &MiniHost) {
    host.source("documents");
    host.configure(&host.config());
    let first = host.start();
    let second = host.launch("nbkpd", &Wrapping::Plain);
    assert!(!second.ends().success());
    assert!(second.log().contains(&first.pid().to_string()), "it names the other one: {}", second.log());
    host.ctl(&["status"]).exits(0);
    first.kill();
    let _third = host.start();
    host.ctl(&["status"]).exits(0);
}

pub fn a_clock_that_was_ahead_loses_nothing(host: &MiniHost) {
    let source = host.source("documents");
    source.write("version", "1");
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "keep = { last = 2 }"));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    daemon.stop();

    // As if the clock had been two minutes ahead then, and ten years ahead once before.
    let copy = usb.destination("documents");
    let made = copy.latest_name();
    let ahead = later(&made, "+2 minutes");
    let far_ahead = later(&made, "+10 years");
    std::fs::rename(copy.snapshot(&made).path, copy.snapshot(&ahead).path).unwrap();
    run("btrfs", &[&"subvolume", &"snapshot", &"-r", &copy.snapshot(&ahead).path, &copy.snapshot(&far_ahead).path]);
    std::fs::remove_file(copy.root.join("latest")).unwrap();
    std::os::unix::fs::symlink(format!("snapshots/{ahead}"), copy.root.join("latest")).unwrap();

    let _daemon = host.start();
    for version in 2..5 {
        source.write("version", version.to_string());
        host.ctl(&["run", "documents", "--wait", "--force"]).exits(0);
        let latest = copy.latest_name();
        assert!(latest > ahead, "names increase: {latest} follows {ahead}");
        copy.snapshot(&latest).is_like(&source);
    }
    let left = copy.snapshots();
    assert!(left.contains(&far_ahead), "what was dated ahead is never deleted: {left:?}");
    assert!(copy.snapshot(&far_ahead).path.join("version").exists());
}

/// The name of a snapshot made later than another, by a span as date(1) reads it.
fn later(name: &str, span: &str) -> String {
    let milliseconds = name.rsplit_once('.').unwrap().1;
    let seconds = name.split_once('.').unwrap().0;
    let date = run("date", &[&"--utc", &"--date", &format!("{seconds}Z {span}"), &"+%Y-%m-%dT%H:%M:%S"]);
    format!("{date}.{milliseconds}")
}

pub fn a_lost_state_directory_costs_only_statistics(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    daemon.signal(Signal::TERM);
    daemon.ends();
    let state = host.root.join("state-nbkpd");
    for entry in std::fs::read_dir(&state).unwrap().map(Result::unwrap) {
        std::fs::write(entry.path(), "this is no database and no ledger").unwrap();
    }
    source.write("new", "file");
    let _again = host.start();
    // The log on the drive tells of the run that the history has lost.
    host.run_ends("documents", 2, "ok");
    // A hold that was laid is gone with the ledger, and nobody may learn that from a run on the held drive alone.
    host.ctl(&["status"]).exits(0).says("holds, pauses and approvals are forgotten");
    let copy = usb.destination("documents");
    assert_eq!(copy.snapshots().len(), 2);
    copy.latest().is_like(&source);
    throughout("it does not run in a loop", Duration::from_secs(1), || copy.snapshots().len() == 2);
}

/// How many rsync processes live on this machine.
pub fn rsyncs() -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter(|process| {
            let status = crate::common::text_of(process.path().join("status"));
            status.starts_with("Name:\trsync\n") && !status.contains("State:\tZ")
        })
        .count()
}

pub fn without_descriptors_it_waits_and_goes_on(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(20);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let daemon = host.start();
    host.stopped_by("documents", "destination-volume-absent");
    let limited_to = |count: usize| {
        let pid = daemon.pid().as_raw_nonzero().to_string();
        run("prlimit", &[&"--pid", &pid, &format!("--nofile={count}:4096")]);
    };
    limited_to(daemon.descriptors() + 1);
    usb.plug();
    let crowd: Vec<_> = (0..20).map(|_| std::os::unix::net::UnixStream::connect("/run/nbkpd/nbkpd.sock")).collect();
    // Nobody is told when descriptors are wanting, so that nothing can be waited for.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(daemon.ended(), None, "{}", daemon.log());
    assert!(usb.destination("documents").snapshots().is_empty(), "there were descriptors");
    drop(crowd);
    limited_to(4096);
    host.ctl(&["scan"]);
    until("it goes on", || host.history("documents").first().is_some_and(|run| run["outcome"] == "ok"));
    usb.destination("documents").latest().is_like(&source);
    daemon.stop();
}

pub fn programs_that_are_replaced_under_a_run_harm_nothing(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 16, 1);
    let own = host.root.join("bin");
    std::fs::create_dir(&own).unwrap();
    let (program, new) = (own.join("rsync"), own.join("rsync.new"));
    run("sh", &[&"-c", &"cp \"$(command -v rsync)\" \"$0\"", &program]);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "rsync = { bandwidth = \"4M\" }"));
    let _daemon = host.start();
    usb.plug();
    host.copies("documents", 4 << 20);
    // As a package manager does it.
    let text = "#!/bin/sh\ncase \"$*\" in *--version*) ;; *) echo >.nbkp-src ;; esac\nexec /usr/bin/false\n";
    std::fs::write(&new, text).unwrap();
    run("chmod", &[&"755", &new]);
    std::fs::rename(&new, &program).unwrap();
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    copy.latest().is_like(&source);
    // The next one takes the new program, which fails here.
    assert_ne!(host.ctl(&["run", "documents", "--wait"]).code, Some(0));
    assert_eq!(copy.snapshots().len(), 1);
    std::fs::remove_file(&program).unwrap();
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    copy.latest().is_like(&source);
}

pub fn what_cannot_be_written_down_is_not_acknowledged(host: &MiniHost) {
    host.source("documents");
    let usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", ""));
    let state = host.state();
    run("mount", &[&"-t", &"tmpfs", &"-o", &"size=256k,mode=700", &"tmpfs", &state]);
    let daemon = host.start();
    host.ctl(&["hold", "usb"]).exits(0);
    let filling = std::fs::write(state.join("filler"), vec![b'x'; 1 << 20]);
    assert!(filling.is_err());
    host.ctl(&["pause"]).exits(1).says("could not be written down").says("make room");
    assert_eq!(host.status()["daemon"]["state"], "paused", "it is in force");
    daemon.kill();
    std::fs::remove_file(state.join("filler")).unwrap();

    let _again = host.start();
    assert_eq!(host.status()["daemon"]["state"], "idle", "what was not acknowledged is not kept");
    host.ctl(&["pause"]).exits(0);
    assert!(host.obstacles("documents").iter().any(|code| code == "held"), "the hold is");
}
