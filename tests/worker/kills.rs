//! kill -9 at every step, and runs of another user: the test program runs itself as the worker.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nbkp::model::{Conclusion, KeepRules, Obstacle, Retention, SnapshotKind};
use nbkp::os::clock;

use crate::rig::{Drive, Ground, job, local_of, names, run, sh};

const CHILD: &str = "NBKP_TEST_CHILD";

/// The worker in a process of its own; does nothing unless it is told where.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent tells the child where to work")]
fn child() {
    let Some(order) = std::env::var_os(CHILD) else { return };
    let order = order.into_string().unwrap();
    let mut parts = order.split('\n');
    let (from, to, kind) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let kind = match kind {
        "Btrfs" => SnapshotKind::Btrfs,
        "HardLink" => SnapshotKind::HardLink,
        _ => SnapshotKind::None,
    };
    let mut job = job(Path::new(from), Path::new(to), kind);
    job.sync.keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
    let report = run(job);
    println!("REPORT {} {:?} {:?}", report.conclusion.outcome(), report.conclusion, report.warnings);
}

#[expect(clippy::disallowed_methods, reason = "the test starts itself")]
fn child_of(ground: &Ground, wrapper: &[&str], program: &Path) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(program);
    let order = format!(
        "{}\n{}\n{:?}",
        local_of(&ground.job.source).root.display(),
        local_of(&ground.job.destination).root.display(),
        ground.job.sync.snapshots
    );
    command.args(["--exact", "kills::child", "--nocapture", "--test-threads=1"]).env(CHILD, order);
    command
}

/// Runs the job as an ordinary user; returns the outcome, what it means, and the warnings.
pub fn run_as_nobody(ground: &Ground) -> String {
    // The program itself may lie where only root can go.
    let program = ground.place.path().join("program");
    let (place, root) = (ground.place.path().display(), local_of(&ground.job.destination).root.display());
    let (this, copy) = (std::env::current_exe().unwrap(), program.display());
    // Not by this process: a child that another test starts meanwhile would hold the copy open, and nobody could run
    // it.
    sh(&format!("cp {} {copy}; chmod a+rx {place} $(dirname {root}) {copy}", this.display()));
    let wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    report_of(child_of(ground, &wrapper, &program))
}

/// Runs the job by way of another program; returns the outcome, what it means, and the warnings.
pub fn run_in(ground: &Ground, wrapper: &[&str]) -> String {
    report_of(child_of(ground, wrapper, &std::env::current_exe().unwrap()))
}

fn report_of(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = text.lines().find_map(|line| line.split_once("REPORT ")).map(|(_, report)| report.to_owned());
    report.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

pub type Tree = BTreeMap<PathBuf, Vec<u8>>;

pub fn tree(directory: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            } else if !entry.path().to_string_lossy().contains("/.nbkp") {
                tree.insert(entry.path().strip_prefix(directory).unwrap().into(), fs::read(entry.path()).unwrap());
            }
        }
    }
    tree
}

/// Every snapshot is one of the trees that the source ever was.
pub fn check(ground: &Ground, trees: &[Tree], what: &str) {
    for name in ground.snapshots() {
        let found = tree(&ground.destination.join("snapshots").join(&name));
        assert!(trees.contains(&found), "{what}: {name} is not whole");
    }
}

fn kill_everywhere(drive: &Drive, kind: SnapshotKind) {
    let ground = Ground::on(drive, kind);
    let mut trees = Vec::new();
    let mut round = 0_u32;
    let program = std::env::current_exe().unwrap();
    let change = |round: u32, trees: &mut Vec<Tree>| {
        ground.write("changing", format!("{round:>8}"));
        ground.write(&format!("new/{round}"), "x");
        trees.push(tree(&ground.source));
    };
    for call in ["renameat2", "renameat", "syncfs", "mkdirat", "symlinkat", "unlinkat", "fsync", "ioctl", "openat2"] {
        let mut calls = 0;
        for when in 1..30 {
            round += 1;
            change(round, &mut trees);
            let inject = format!("inject={call}:signal=KILL:when={when}");
            let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject];
            let output = child_of(&ground, &wrapper, &program).output().unwrap();
            let what = format!("{kind:?}: {call} {when}");
            check(&ground, &trees, &what);
            // Once no process of the run, rsync's included, makes that many calls, all kills were tried.
            if String::from_utf8_lossy(&output.stdout).contains("REPORT ok") {
                break;
            }
            calls += 1;
            mend(&ground, &what);
            check(&ground, &trees, &what);
            if kind == SnapshotKind::None {
                assert_eq!(tree(&ground.destination), tree(&ground.source), "{what}");
            } else {
                assert_eq!(&tree(&ground.latest()), trees.last().unwrap(), "{what}");
                assert_eq!(names(&ground.destination.join("snapshots")).len(), 1, "{what}: leftovers");
            }
        }
        eprintln!("{kind:?}: {calls} kills at {call}");
    }
}

/// The next run ends well, as soon as an rsync that outlived its parent has let go of the lock.
fn mend(ground: &Ground, what: &str) {
    let mut job = ground.job.clone();
    job.sync.keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
    let deadline = clock::boot().after(Duration::from_secs(30));
    while clock::boot() < deadline {
        let report = run(job.clone());
        match &report.conclusion {
            Conclusion::Skipped(all) if matches!(all.as_slice(), [Obstacle::LockTaken { .. }]) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            conclusion => {
                assert_eq!(*conclusion, Conclusion::Ok, "{what}: {report:?}");
                return;
            }
        }
    }
    panic!("{what}: the lock stays taken");
}

#[test]
fn a_kill_at_any_step_of_hard_links_is_mended_by_the_next_run() {
    if crate::needs_root() {
        kill_everywhere(&Drive::ext4(64), SnapshotKind::HardLink);
    }
}

#[test]
fn a_kill_at_any_step_of_btrfs_is_mended_by_the_next_run() {
    if crate::needs_root() {
        kill_everywhere(&Drive::btrfs(), SnapshotKind::Btrfs);
    }
}

#[test]
fn a_kill_at_any_step_of_a_mirror_is_mended_by_the_next_run() {
    if crate::needs_root() {
        kill_everywhere(&Drive::ext4(64), SnapshotKind::None);
    }
}
