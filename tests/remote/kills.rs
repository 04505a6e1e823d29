//! Kill -9 here at each step, and there at each command: what is complete stays whole, and the next run goes on.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::sync::mpsc::channel;

use crate::ground::{At, Drive, Ground, reopened};
use crate::needs_root;
use crate::shell::{eventually, sh};
use crate::sshd::Sshd;
use nbkp::backup::news::WorkerNews;
use nbkp::daemon::outlets::worker;
use nbkp::model::{Conclusion, SnapshotKind, Step};

const CHILD: &str = "NBKP_TEST_REMOTE_CHILD";

/// The run that is killed: in a process of its own, which tells each of its steps.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test is told by its parent what to run")]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (job, place) = reopened(&told);
    let (news, mut receiver) = channel(1024);
    let _worker = worker::start_run(job, place, news).unwrap();
    while let Some(next) = receiver.blocking_recv() {
        match next {
            WorkerNews::Progress { progress, .. } => println!("STEP {} {}", progress.step.as_str(), progress.bytes),
            WorkerNews::Life { .. } => {}
            WorkerNews::Ended(report) => println!("ENDED {:?}", report.conclusion),
        }
    }
}

/// Runs it until it tells this step, and kills it there.
#[expect(clippy::disallowed_methods, reason = "the test starts the process that it kills")]
fn killed_at(ground: &mut Ground, step: Step) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, ground.told())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let wanted = format!("STEP {} ", step.as_str());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen = lines.by_ref().map_while(Result::ok).any(|line| line.contains(&wanted));
    assert!(seen, "it never came to {step:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Complete snapshots and what they hold, and that the newest are whole.
fn check(ground: &Ground, before: &BTreeSet<String>, what: &str) {
    let now: BTreeSet<String> = ground.snapshots().into_iter().collect();
    assert!(before.is_subset(&now), "{what}: a finished snapshot is gone");
    for name in now.difference(before) {
        let snapshot = ground.destination.join("snapshots").join(name);
        assert_eq!(ground.difference(&snapshot), "", "{what}: {name} is not whole");
    }
}

fn ground(kind: SnapshotKind) -> (Option<Drive>, Ground) {
    let place = tempfile::tempdir().unwrap();
    let drive = (kind == SnapshotKind::Btrfs).then(|| Drive::new("mkfs.btrfs -q", 256));
    let root = drive.as_ref().map_or_else(|| place.path().join("to"), |drive| drive.root.clone());
    fs::create_dir_all(&root).unwrap();
    let ground = Ground::onto(Sshd::new(), place, (At::Here, At::Server), &root, kind);
    for number in 0..20 {
        ground.write(format!("file {number}"), format!("{number}"));
    }
    (drive, ground)
}

#[test]
fn a_run_that_is_killed_here_leaves_no_connection_and_the_next_goes_on() {
    if !needs_root() {
        return;
    }
    for kind in [SnapshotKind::HardLink, SnapshotKind::Btrfs, SnapshotKind::None] {
        let (_drive, mut ground) = ground(kind);
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        for step in [Step::Prove, Step::Lock, Step::Recover, Step::Copy, Step::Judge, Step::Flush] {
            let before = ground.snapshots().into_iter().collect();
            ground.write("changed", format!("{kind:?} {step:?}"));
            killed_at(&mut ground, step);
            eventually("the connection is gone", || ground.server.sessions().is_empty().then_some(()));
            check(&ground, &before, &format!("{kind:?} {step:?}"));
            let report = ground.run();
            assert_eq!(report.conclusion, Conclusion::Ok, "{step:?}: {report:?}");
            check(&ground, &before, "the next");
            if kind == SnapshotKind::None {
                assert_eq!(ground.difference(&ground.destination), "");
            }
        }
    }
}

/// Programs that count their calls, and at one of them kill all of the session.
struct Shims {
    place: PathBuf,
}

impl Shims {
    fn new(ground: &Ground) -> Self {
        let place = ground.server.file("shims");
        fs::create_dir(&place).unwrap();
        let here = place.display();
        for program in [
            "cat", "head", "stat", "mkdir", "mv", "sync", "ln", "rm", "btrfs", "touch", "tail", "df", "flock",
            "timeout",
        ] {
            let script = format!(
                "#!/bin/sh\nn=$(($(/bin/cat {here}/count) + 1)); echo $n >{here}/count\n\
                 [ $n -ne \"$(/bin/cat {here}/at)\" ] || kill -9 0\n\
                 exec $(PATH=/usr/bin:/bin:/usr/sbin:/sbin command -v {program}) \"$@\"\n"
            );
            fs::write(place.join(program), script).unwrap();
        }
        sh(&format!("chmod +x {here}/*"));
        fs::write(ground.server.file("home/.bashrc"), format!("PATH={here}:$PATH; export PATH\n")).unwrap();
        let shims = Self { place };
        shims.kill_at(0);
        shims
    }

    fn kill_at(&self, number: u32) {
        fs::write(self.place.join("at"), number.to_string()).unwrap();
        fs::write(self.place.join("count"), "0").unwrap();
    }
}

#[test]
fn a_session_that_is_killed_there_at_any_command_harms_no_linked_snapshot() {
    if needs_root() {
        kill_there(SnapshotKind::HardLink);
    }
}

#[test]
fn a_session_that_is_killed_there_at_any_command_harms_no_btrfs_snapshot() {
    if needs_root() {
        kill_there(SnapshotKind::Btrfs);
    }
}

fn kill_there(kind: SnapshotKind) {
    let (_drive, mut ground) = ground(kind);
    let shims = Shims::new(&ground);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    for number in 1.. {
        assert!(number < 100, "it has no end");
        let before = ground.snapshots().into_iter().collect();
        ground.write("changed", format!("{number}"));
        shims.kill_at(number);
        let report = ground.run();
        let ended = matches!(report.conclusion, Conclusion::Ok) && report.warnings.is_empty();
        check(&ground, &before, &format!("{kind:?}, command {number}"));
        shims.kill_at(0);
        let after = ground.run();
        assert_eq!((&after.conclusion, &after.warnings), (&Conclusion::Ok, &Vec::new()), "{number}: {report:?}");
        let latest = ground.destination.join("latest/");
        assert_eq!(ground.difference(Path::new(&latest)), "", "{number}");
        if ended {
            println!("{kind:?}: {number} commands");
            assert!(number > 15, "the shims were not called");
            break;
        }
    }
}
