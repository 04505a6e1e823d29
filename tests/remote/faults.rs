//! What goes wrong between here and a server, and at it.

use std::fs;
use std::time::{Duration, Instant};

use crate::ground::{At, Drive, Ground, finish, names, remote, until_copied};
use crate::needs_root;
use crate::shell::{eventually, sh};
use crate::sshd::{Sshd, signal_one};
use nbkp::backup::job::{Layout, RemoteEnd};
use nbkp::model::{Conclusion, FailureKind, Interruption, KeepRules, Retention, RunReport, SnapshotKind};

fn codes(report: &RunReport) -> Vec<&'static str> {
    match &report.conclusion {
        Conclusion::Skipped(obstacles) => obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect(),
        other => panic!("not skipped: {other:?}"),
    }
}

/// A run that is so slow that something can happen to it.
fn slow(ground: &mut Ground) {
    ground.job.sync.rsync.bandwidth = Some(1 << 20);
    ground.write("big", vec![1; 12 << 20]);
    sh(&format!("head -c 12M /dev/urandom >{}/big", ground.source.display()));
}

#[test]
fn a_place_that_is_not_the_right_one_is_not_touched() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::None);
    ground.write("file", "x");
    let mut skipped = |change: &dyn Fn(&mut RemoteEnd, &Sshd)| {
        let (before, kept) = (names(&ground.destination), ground.job.destination.clone());
        let Ground { server, job, .. } = &mut ground;
        change(remote(&mut job.destination), server);
        let report = ground.run();
        ground.job.destination = kept;
        assert_eq!(names(&ground.destination), before);
        codes(&report).concat()
    };
    assert_eq!(skipped(&|end, _| end.root.push("nothing")), "destination-volume-absent");
    let another = || Some(nbkp::model::SentinelId("another".into()));
    assert_eq!(skipped(&|end, _| end.volume_id = another()), "sentinel-mismatch");
    assert_eq!(skipped(&|end, _| end.end_id = another()), "sentinel-mismatch");
    let key = |end: &mut RemoteEnd, server: &Sshd, name: &str| end.routes[0].endpoint.key = Some(server.file(name));
    assert_eq!(skipped(&|end, server| key(end, server, "stranger")), "host-auth-failed");
    let known = |end: &mut RemoteEnd, file| end.routes[0].endpoint.known_hosts = Some(file);
    assert_eq!(skipped(&|end, server| known(end, server.file("none"))), "host-key-mismatch");
    assert_eq!(skipped(&|end, _| end.routes[0].endpoint.port = Some(1)), "host-unreachable");
    assert_eq!(skipped(&|end, _| end.routes.clear()), "wrong-location");
    // The second way leads there.
    let mut blocked = ground.server.route();
    blocked.endpoint.port = Some(1);
    remote(&mut ground.job.destination).routes.insert(0, blocked);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    for sentinel in [ground.destination.join(".nbkp-dst"), ground.destination.parent().unwrap().join(".nbkp-vol")] {
        fs::remove_file(&sentinel).unwrap();
        assert_eq!(codes(&ground.run()), ["destination-sentinel-missing"]);
        std::os::unix::fs::symlink("/etc/hostname", &sentinel).unwrap();
        assert_eq!(codes(&ground.run()), ["destination-sentinel-missing"]);
        fs::remove_file(&sentinel).unwrap();
        fs::write(&sentinel, "").unwrap();
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
}

#[test]
fn a_directory_that_became_a_link_is_not_followed() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::HardLink);
    ground.write("file", "x");
    let elsewhere = ground.place.path().join("elsewhere");
    fs::rename(&ground.destination, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &ground.destination).unwrap();
    assert_eq!(codes(&ground.run()), ["destination-sentinel-missing"]);
    fs::remove_file(&ground.destination).unwrap();
    fs::rename(&elsewhere, &ground.destination).unwrap();
    let victim = ground.place.path().join("victim");
    fs::create_dir_all(victim.join("2020-01-01T00:00:00.000Z")).unwrap();
    std::os::unix::fs::symlink(&victim, ground.destination.join("snapshots")).unwrap();
    let hostile = ground.run().conclusion;
    assert!(matches!(&hostile, Conclusion::Failed(why) if why.kind == FailureKind::Hostile), "{hostile:?}");
    assert_eq!(names(&victim), ["2020-01-01T00:00:00.000Z"]);
}

#[test]
fn a_connection_that_breaks_is_an_interruption_and_the_next_run_goes_on() {
    if !needs_root() {
        return;
    }
    for (from, to) in [(At::Here, At::Server), (At::Server, At::Here)] {
        for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
            let mut ground = Ground::new(from, to, kind);
            slow(&mut ground);
            let (_worker, mut news) = ground.begin();
            until_copied(&mut news, 3 << 20);
            ground.server.break_connections();
            let report = finish(news);
            assert!(
                matches!(&report.conclusion, Conclusion::Interrupted(Interruption::Network(_))),
                "{:?}",
                report.conclusion
            );
            assert_eq!(ground.server.sockets(), Vec::<String>::new());
            assert_eq!(ground.snapshots(), Vec::<String>::new());
            ground.job.sync.rsync.bandwidth = None;
            let report = ground.run();
            assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
            // rsync 3.2.7 copies a file twice that it continues from a directory to link from, and counts both.
            let most = if kind == SnapshotKind::None { 11 << 20 } else { 13 << 20 };
            assert!(report.figures.bytes_transferred < most, "it began anew: {report:?}");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test watches the clock")]
fn a_server_that_stops_is_noticed_within_a_minute() {
    if !needs_root() {
        return;
    }
    // All of the server, and only rsync there.
    let stop_all = |server: &Sshd| server.signal_sessions("STOP");
    let stop_rsync = |server: &Sshd| {
        for pid in server.sessions() {
            if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "rsync") {
                signal_one(pid, "STOP");
            }
        }
    };
    let cases: [&(dyn Fn(&Sshd) + std::marker::Sync); 2] = [&stop_all, &stop_rsync];
    std::thread::scope(|scope| {
        for stop in cases {
            scope.spawn(move || {
                let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::None);
                slow(&mut ground);
                let (_worker, mut news) = ground.begin();
                until_copied(&mut news, 2 << 20);
                stop(&ground.server);
                let stopped = Instant::now();
                let report = finish(news);
                assert!(
                    matches!(&report.conclusion, Conclusion::Interrupted(Interruption::Network(_))),
                    "{:?}",
                    report.conclusion
                );
                assert!(stopped.elapsed() < Duration::from_mins(1), "{:?}", stopped.elapsed());
                // What hangs there still has the lock; the next run ends it and goes on.
                ground.job.sync.rsync.bandwidth = None;
                let report = ground.run();
                assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
            });
        }
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test starts a process that holds a lock")]
fn what_a_broken_run_left_is_ended_and_what_belongs_to_others_is_not() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::None);
    ground.write("file", "x");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let lock = ground.destination.join(".nbkp/lock");
    let hold = |client: &str| {
        let ready = ground.place.path().join("ready");
        let _ = fs::remove_file(&ready);
        let child = std::process::Command::new("flock")
            .arg(&lock)
            .args(["sh", "-c", &format!("touch '{}'; exec sleep 1000", ready.display())])
            .env("NBKP_CLIENT", client)
            .env("NBKP_RUN", "20200101T000000.000Z-0000:")
            .spawn()
            .unwrap();
        eventually("the lock is held", || ready.exists().then_some(()));
        child
    };
    let fingerprint = nbkp::os::machine::fingerprint();
    let mut other = hold("0123456789abcdef-documents:");
    let (mut ours, other_id) = (None, i32::try_from(other.id()).unwrap());
    let report = {
        let (_worker, news) = {
            ground.job.run = nbkp::model::RunId::new(nbkp::os::clock::now().wall, 9999);
            let (tell, news) = tokio::sync::mpsc::channel(1024);
            (
                nbkp::daemon::outlets::worker::start_run(ground.job.clone(), ground.server.ssh_place(), tell).unwrap(),
                news,
            )
        };
        finish(news)
    };
    assert_eq!(codes(&report), ["lock-taken"]);
    assert!(other.try_wait().unwrap().is_none(), "another client's process was ended");
    for pid in crate::sshd::descendants(other_id) {
        signal_one(pid, "KILL");
    }
    other.wait().unwrap();
    ours.get_or_insert(hold(&format!("{fingerprint:016x}-documents:")));
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert!(!ours.unwrap().wait().unwrap().success());
}

#[test]
fn a_full_drive_there_is_a_failure_with_its_cause() {
    if !needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let drive = Drive::new("mkfs.ext4 -q -m 0", 16);
        let place = tempfile::tempdir().unwrap();
        let mut ground = Ground::onto(Sshd::new(), place, (At::Here, At::Server), &drive.root, kind);
        ground.write("small", "x");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let finished = ground.snapshots();
        ground.write("big", vec![1; 40 << 20]);
        let report = ground.run();
        let Conclusion::Failed(why) = &report.conclusion else { panic!("{report:?}") };
        assert_eq!(why.kind, FailureKind::NoSpace, "{why:?}");
        assert_eq!(ground.snapshots(), finished);
        fs::remove_file(ground.source.join("big")).unwrap();
        let mut last = ground.run().conclusion;
        if last != Conclusion::Ok {
            // What was begun of it is half of what there is.
            ground.approve(&last);
            last = ground.run().conclusion;
        }
        assert_eq!(last, Conclusion::Ok);
    }
}

#[test]
fn a_full_btrfs_drive_there_goes_on_without_help() {
    if !needs_root() {
        return;
    }
    let drive = Drive::new("mkfs.btrfs -q -m single", 160);
    let place = tempfile::tempdir().unwrap();
    let mut ground = Ground::onto(Sshd::new(), place, (At::Here, At::Server), &drive.root, SnapshotKind::Btrfs);
    ground.write("small", "x");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let finished = ground.snapshots();
    sh(&format!("head -c 200M /dev/urandom >{}/big", ground.source.display()));
    let report = ground.run();
    let Conclusion::Failed(why) = &report.conclusion else { panic!("{report:?}") };
    assert_eq!((why.kind, ground.snapshots()), (FailureKind::NoSpace, finished.clone()), "{why:?}");
    assert_eq!(names(&ground.destination.join("staging")), ["small"], "what no snapshot holds fills the drive");
    // What an older version left there fills it as well; the next run finds it so.
    sh(&format!("cat /dev/zero >{}/staging/filler 2>/dev/null || true", ground.destination.display()));
    fs::remove_file(ground.source.join("big")).unwrap();
    ground.write("small", "another");
    // btrfs takes its time to let metadata have what data gave back.
    eventually("a run gets through", || (ground.run().conclusion == Conclusion::Ok).then_some(()));
    assert_eq!(names(&ground.destination.join("latest/")), ["small"]);
    assert_eq!(ground.snapshots().len(), 2);
}

#[test]
fn what_harms_btrfs_snapshots_there_is_told() {
    if !needs_root() {
        return;
    }
    let drive = Drive::new("mkfs.btrfs -q", 256);
    let place = tempfile::tempdir().unwrap();
    let mut ground = Ground::onto(Sshd::new(), place, (At::Here, At::Server), &drive.root, SnapshotKind::Btrfs);
    ground.write("sub/inside", "1");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let first = ground.snapshots().remove(0);
    sh(&format!("btrfs property set -ts {}/snapshots/{first} ro false", ground.destination.display()));
    let report = ground.run();
    assert_eq!((report.conclusion, report.warnings.len()), (Conclusion::Ok, 1), "{:?}", report.warnings);
    assert!(report.warnings[0].contains(&first), "{:?}", report.warnings);
    sh(report.warnings[0].split('`').nth(1).unwrap());

    sh(&format!("cd {}/staging; rm -r sub; btrfs subvolume create sub", ground.destination.display()));
    let no_list = "#!/bin/sh\n[ \"$2\" != list ] || exit 1\nexec /usr/bin/btrfs \"$@\"\n";
    for program in ["", no_list] {
        if !program.is_empty() {
            // As for an account that is not root.
            let programs = ground.server.file("home");
            fs::write(programs.join("btrfs"), program).unwrap();
            fs::write(programs.join(".bashrc"), format!("PATH={}:$PATH\n", programs.display())).unwrap();
            sh(&format!("chmod +x {}/btrfs", programs.display()));
        }
        let before = ground.snapshots();
        let Conclusion::Failed(why) = ground.run().conclusion else { panic!("a snapshot with a gap") };
        assert_eq!((why.kind, ground.snapshots()), (FailureKind::Hostile, before), "{why:?}");
        assert!(why.detail.contains("staging/sub in "), "{why:?}");
    }
    sh(&format!("btrfs subvolume delete {}/staging/sub", ground.destination.display()));
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(names(&ground.newest().join("sub")), ["inside"]);
}

#[test]
fn a_drive_without_inodes_there_gives_up_unfinished_copies() {
    if !needs_root() {
        return;
    }
    let drive = Drive::new("mkfs.ext4 -q -m 0 -N 96", 16);
    let place = tempfile::tempdir().unwrap();
    let mut ground = Ground::onto(Sshd::new(), place, (At::Here, At::Server), &drive.root, SnapshotKind::HardLink);
    ground.write("small", "x");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let left = ground.destination.join("snapshots/.inprogress-2199-01-01T00:00:00.000Z");
    fs::create_dir(&left).unwrap();
    sh(&format!("i=0; while touch {}/$i 2>/dev/null; do i=$((i + 1)); done", left.display()));
    ground.write("another", "y");
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    assert!(!left.exists());
    assert_eq!(ground.snapshots().len(), 2);
}

#[test]
fn what_is_not_recorded_there_makes_nothing_go() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::HardLink);
    ground.job.sync.keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
    ground.write("file", "x");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let log = ground.destination.join(".nbkp/log.jsonl");
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    assert!(report.warnings.iter().any(|warning| warning.contains("nothing is pruned")), "{report:?}");
    assert_eq!(ground.snapshots().len(), 2);
    fs::remove_dir(&log).unwrap();
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(ground.snapshots().len(), 1);
}

#[test]
fn a_snapshot_that_is_read_there_is_not_pruned() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Server, At::Here, SnapshotKind::None);
    let finished = "snapshots/2020-01-01T00:00:00.000Z";
    sh(&format!(
        "cd {}; mkdir -p .nbkp {finished}; touch .nbkp/lock; ln -s {finished} latest
         head -c 6M /dev/urandom >latest/big",
        ground.source.display()
    ));
    remote(&mut ground.job.source).layout = Layout::Snapshots;
    ground.job.sync.rsync.bandwidth = Some(2 << 20);
    let lock = fs::File::open(ground.source.join(".nbkp/lock")).unwrap();
    let (_worker, mut news) = ground.begin();
    until_copied(&mut news, 1);
    assert!(lock.try_lock().is_err(), "it could be pruned under the reader");
    assert!(lock.try_lock_shared().is_ok(), "who only reads keeps nobody else from reading");
    assert_eq!(finish(news).conclusion, Conclusion::Ok);
    lock.unlock().unwrap();
    lock.lock().unwrap();
    assert_eq!(codes(&ground.run()), ["lock-taken"]);
    drop(lock);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!("cmp {}/latest/big {}/big", ground.source.display(), ground.destination.display()));
}

#[test]
fn rsync_writes_nowhere_else_whatever_the_way() {
    if !needs_root() {
        return;
    }
    for (from, to) in [(At::Server, At::Here), (At::Here, At::Server)] {
        for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
            let mut ground = Ground::new(from, to, kind);
            ground.write("file", "x");
            let outside = ground.place.path().join("outside");
            ground.job.sync.rsync.extra_options = vec![format!("--log-file={}", outside.display())];
            let report = ground.run();
            assert!(!outside.exists(), "{report:?}");
            assert_eq!(report.conclusion, Conclusion::Ok);
            assert_eq!(fs::read_to_string(ground.newest().join("file")).unwrap(), "x");
        }
    }
}

#[test]
fn a_shell_that_talks_is_told_of() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::None);
    ground.write("file", "x");
    fs::write(ground.server.file("home/.bashrc"), "echo Welcome\n").unwrap();
    let report = ground.run();
    assert_eq!(codes(&report), ["tool-missing"]);
    let Conclusion::Skipped(obstacles) = &report.conclusion else { panic!() };
    assert!(obstacles[0].to_string().contains("Welcome"), "{}", obstacles[0]);
}

#[test]
fn what_happens_to_the_destination_in_the_middle_of_a_run_is_noticed() {
    if !needs_root() {
        return;
    }
    let taken_over = |ground: &Ground| fs::write(ground.destination.join(".nbkp/writer"), "another run:\n").unwrap();
    let swapped = |ground: &Ground| fs::write(ground.destination.join(".nbkp-dst"), "id = \"another\"\n").unwrap();
    let gone = |ground: &Ground| fs::remove_file(ground.destination.parent().unwrap().join(".nbkp-vol")).unwrap();
    let changes: [&dyn Fn(&Ground); 3] = [&taken_over, &swapped, &gone];
    for change in changes {
        let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::HardLink);
        slow(&mut ground);
        let (_worker, mut news) = ground.begin();
        until_copied(&mut news, 2 << 20);
        change(&ground);
        let report = finish(news);
        assert!(
            matches!(&report.conclusion, Conclusion::Interrupted(Interruption::DestinationLost(_))),
            "{:?}",
            report.conclusion
        );
        assert_eq!(ground.snapshots(), Vec::<String>::new());
    }
}

#[test]
fn a_source_that_changes_its_identity_under_the_run_is_not_published() {
    if !needs_root() {
        return;
    }
    for (from, to) in [(At::Here, At::Server), (At::Server, At::Here), (At::Server, At::Server)] {
        let mut ground = Ground::new(from, to, SnapshotKind::HardLink);
        slow(&mut ground);
        let (_worker, mut news) = ground.begin();
        until_copied(&mut news, 2 << 20);
        fs::remove_file(ground.source.join(".nbkp-src")).unwrap();
        let report = finish(news);
        assert!(
            matches!(&report.conclusion, Conclusion::Interrupted(Interruption::SourceLost(_))),
            "{:?}",
            report.conclusion
        );
        assert_eq!(ground.snapshots(), Vec::<String>::new());
    }
}

#[test]
fn a_run_that_is_cancelled_ends_at_both_ends_and_the_next_goes_on() {
    if !needs_root() {
        return;
    }
    for (from, to) in [(At::Here, At::Server), (At::Server, At::Here), (At::Server, At::Server)] {
        let mut ground = Ground::new(from, to, SnapshotKind::None);
        slow(&mut ground);
        let (mut worker, mut news) = ground.begin();
        until_copied(&mut news, 2 << 20);
        worker.stop(Interruption::Cancelled);
        assert_eq!(finish(news).conclusion, Conclusion::Interrupted(Interruption::Cancelled));
        eventually("nothing runs there", || ground.server.sessions().is_empty().then_some(()));
        ground.job.sync.rsync.bandwidth = None;
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
        assert_eq!(ground.difference(&ground.destination), "");
    }
}
