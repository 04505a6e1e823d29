//! The user's commands around a run: what they are told, what they may decide, and what they mount.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nbkp::backup::news::WorkerNews;
use nbkp::model::{Conclusion, End, HookCommand, Interruption, NotDone, Obstacle, SentinelFault, SnapshotKind, Step};
use nbkp::os::clock;

use crate::rig::{Ground, begin, finish, hook, local, names, sh, until_copied};

/// Adds what a hook is told to a file of its name.
fn telling(place: &Path) -> String {
    format!("env | grep ^NBKP_ >'{}'/$NBKP_HOOK", place.display())
}

fn told(place: &Path, hook: &str) -> Option<BTreeMap<String, String>> {
    let text = fs::read_to_string(place.join(hook)).ok()?;
    let pairs = text.lines().filter_map(|line| line.trim_start_matches("NBKP_").split_once('='));
    Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn with_all(ground: &mut Ground) -> PathBuf {
    let place = ground.place.path().join("told");
    fs::create_dir(&place).unwrap();
    let hooks = &mut ground.job.sync.hooks;
    for hook_of in [&mut hooks.before, &mut hooks.after, &mut hooks.failed, &mut hooks.interrupted] {
        *hook_of = Some(hook(&telling(&place)));
    }
    place
}

#[test]
fn each_is_told_of_its_run_and_what_came_of_it() {
    let mut ground = Ground::new(SnapshotKind::HardLink);
    let place = with_all(&mut ground);
    ground.write("a", "four");
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok);
    let before = told(&place, "before").unwrap();
    let common = |told: &BTreeMap<String, String>| {
        ["SYNC", "RUN", "TRIGGER", "SOURCE", "DESTINATION"].map(|name| told[name].clone())
    };
    let [from, to] = [&ground.source, &ground.destination].map(|path| path.display().to_string());
    assert_eq!(common(&before), ["documents", report.run.as_str(), "request", &from, &to]);
    assert_eq!(before.get("OUTCOME"), None);
    let after = told(&place, "after").unwrap();
    assert_eq!(common(&after), common(&before));
    let ending =
        |told: &BTreeMap<String, String>| ["OUTCOME", "FILES", "BYTES", "ERROR"].map(|name| told[name].clone());
    assert_eq!(ending(&after), ["ok", "1", "4", ""]);
    assert_eq!(after["SNAPSHOT"], report.snapshot.unwrap().to_string());
    assert!(after["SECONDS"].parse::<u64>().unwrap() < 100);
    assert_eq!([told(&place, "failed"), told(&place, "interrupted")], [None, None]);
}

#[test]
fn one_that_says_not_now_puts_the_run_off() {
    let mut ground = Ground::new(SnapshotKind::None);
    let place = with_all(&mut ground);
    ground.write("a", "1");
    ground.job.sync.hooks.before = Some(hook("echo the database is being moved >&2; exit 75"));
    let obstacle = Obstacle::PutOff { program: "/bin/sh".into(), said: "the database is being moved".into() };
    assert_eq!(ground.run().conclusion, Conclusion::from(Err(NotDone::Skipped(vec![obstacle]))));
    assert_eq!((names(&place), ground.destination.join("a").exists()), (Vec::<String>::new(), false));
    // Behind a run it is an exit code like any other.
    ground.job.sync.hooks.before = None;
    ground.job.sync.hooks.after = Some(hook("exit 75"));
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok);
    assert!(report.warnings.iter().any(|warning| warning.contains("ended with code 75")), "{report:?}");
}

#[test]
fn one_that_was_interrupted_has_its_own_and_it_may_not_take_long() {
    let mut ground = Ground::new(SnapshotKind::None);
    let place = with_all(&mut ground);
    ground.job.sync.rsync.bandwidth = Some(5_000_000);
    ground.write("big", vec![7; 20_000_000]);
    let (mut worker, mut news) = begin(ground.job.clone());
    until_copied(&mut news, 1_000_000);
    worker.stop(Interruption::Cancelled);
    assert_eq!(finish(news).conclusion, Conclusion::Interrupted(Interruption::Cancelled));
    let interrupted = told(&place, "interrupted").expect("it was not called");
    assert_eq!(["OUTCOME", "ERROR"].map(|name| interrupted[name].as_str()), ["interrupted", "cancelled"]);
    assert_eq!([told(&place, "after"), told(&place, "failed")], [None, None]);

    // The end of the daemon is not put off by a hook that takes its time, or that hears no signal.
    ground.job.sync.hooks.interrupted = Some(hook("trap '' TERM; echo begun >&2; sleep 60 & wait; sleep 60"));
    let (mut worker, mut news) = begin(ground.job.clone());
    until_copied(&mut news, 1_000_000);
    worker.stop(Interruption::Stopping);
    let begun = clock::boot();
    let report = finish(news);
    assert_eq!(report.conclusion, Conclusion::Interrupted(Interruption::Stopping));
    let lasted = clock::boot().since(begun);
    assert!(lasted < Duration::from_secs(9), "{lasted:?}");
    assert!(report.warnings.iter().any(|it| it.contains("it took more than 4 s: begun")), "{report:?}");
}

/// Has its source as a directory where a hook mounts something.
fn hooked(kind: SnapshotKind, mounted: &str, at: &str) -> Ground {
    let mut ground = Ground::new(kind);
    local(&mut ground.job.source).mount = None;
    let place = ground.place.path().join("from").join(at);
    let aside = ground.place.path().join("aside");
    fs::create_dir_all(&aside).unwrap();
    sh(&format!("cd '{}'; {mounted}", aside.display()));
    let script = format!("mount --bind '{}' '{}'", aside.display(), place.display());
    ground.job.sync.hooks.before = Some(hook(&script));
    let undo = format!("umount '{}'; echo $NBKP_OUTCOME >'{}/undone'", place.display(), ground.place.path().display());
    ground.job.sync.hooks.after = Some(hook(&undo));
    ground.job.sync.hooks.interrupted = Some(hook(&undo));
    ground
}

fn undone(ground: &Ground) -> String {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&ground.place.path().display().to_string()), "it is still mounted");
    fs::read_to_string(ground.place.path().join("undone")).unwrap_or_default()
}

#[test]
fn what_before_mounts_at_the_source_is_what_is_copied() {
    if !crate::needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        // Over a directory that is proven itself, over one that is not, and at the root of the volume.
        let proven = hooked(kind, "touch .nbkp-src; echo mounted >a", "files");
        let empty = hooked(kind, "touch .nbkp-src; echo mounted >a", "files");
        fs::remove_file(empty.source.join(".nbkp-src")).unwrap();
        let root = hooked(kind, "touch .nbkp-vol; mkdir files; touch files/.nbkp-src; echo mounted >files/a", "");
        sh(&format!("rm -r '{}'/.nbkp-vol '{0}'/files", root.place.path().join("from").display()));
        for (ground, which) in [(proven, "proven"), (empty, "empty"), (root, "root")] {
            for _ in 0..2 {
                let report = ground.run();
                assert_eq!(report.conclusion, Conclusion::Ok, "{which}: {report:?}");
                let copy = fs::read_to_string(ground.newest().join("a")).unwrap();
                assert_eq!((copy.as_str(), undone(&ground).as_str()), ("mounted\n", "ok\n"), "{which}");
            }
        }
    }
}

#[test]
fn what_before_leaves_unproven_is_not_copied_and_can_be_undone() {
    if !crate::needs_root() {
        return;
    }
    for below in ["proven", "empty"] {
        let ground = hooked(SnapshotKind::None, "echo foreign >a", "files");
        if below == "empty" {
            fs::remove_file(ground.source.join(".nbkp-src")).unwrap();
        }
        let path = ground.source.join(".nbkp-src");
        let obstacle = Obstacle::Sentinel { end: End::Source, path, fault: SentinelFault::Missing };
        assert_eq!(ground.run().conclusion, Conclusion::Skipped(vec![obstacle]), "{below}");
        assert_eq!((undone(&ground).as_str(), ground.destination.join("a").exists()), ("skipped\n", false), "{below}");
    }
    // What stands in the way beside the source is told before the hook is called.
    let mut ground = hooked(SnapshotKind::None, "touch .nbkp-src", "files");
    fs::remove_file(ground.source.join(".nbkp-src")).unwrap();
    fs::remove_file(ground.destination.join(".nbkp-dst")).unwrap();
    ground.job.sync.hooks.before = Some(hook("exit 3"));
    let Conclusion::Skipped(obstacles) = ground.run().conclusion else { panic!("the hook was called") };
    assert_eq!(obstacles.len(), 2);
}

#[test]
fn what_before_mounts_over_the_destination_is_not_written() {
    if !crate::needs_root() {
        return;
    }
    let mut ground = Ground::new(SnapshotKind::None);
    ground.write("a", "1");
    let to = ground.destination.display().to_string();
    ground.job.sync.hooks.before = Some(hook(&format!("mount -t tmpfs none '{to}'; touch '{to}/.nbkp-dst'")));
    ground.job.sync.hooks.interrupted = Some(hook(&format!("ls -A '{to}' >&2; umount '{to}'; exit 1")));
    let report = ground.run();
    assert!(matches!(report.conclusion, Conclusion::Interrupted(Interruption::DestinationLost(_))), "{report:?}");
    assert!(report.warnings.iter().any(|it| it.ends_with(": .nbkp-dst")), "it was written: {report:?}");
    assert!(!ground.destination.join("a").exists());
}

#[test]
fn one_that_is_not_there_is_told_and_one_that_is_over_takes_no_time_of_others() {
    let mut ground = Ground::new(SnapshotKind::None);
    ground.job.sync.hooks.before = Some(HookCommand { program: "no-such-program".into(), arguments: Vec::new() });
    let (steps, Conclusion::Failed(failure)) = steps(&ground) else { panic!("it did not fail") };
    assert_eq!(failure.detail, "the hook `before` (no-such-program) was not found");
    assert_eq!(steps.last(), Some(&Step::Undo));
    assert!(!steps.contains(&Step::Copy), "{steps:?}");
    // What hangs behind it is not taken for the hook, which has all the time it needs.
    ground.write("a", "1");
    ground.job.sync.hooks.before = Some(hook("true"));
    let (steps, conclusion) = self::steps(&ground);
    assert_eq!(conclusion, Conclusion::Ok);
    let of_hook = steps.iter().position(|step| *step == Step::Before).unwrap();
    assert_eq!(steps.get(of_hook + 1..of_hook + 3), Some([Step::Prove, Step::Copy].as_slice()), "{steps:?}");
}

/// The steps of a run, and its end.
fn steps(ground: &Ground) -> (Vec<Step>, Conclusion) {
    let (_worker, mut news) = begin(ground.job.clone());
    let mut steps = Vec::new();
    loop {
        match news.blocking_recv().expect("the end") {
            WorkerNews::Progress { progress, .. } => steps.push(progress.step),
            WorkerNews::Life { .. } => {}
            WorkerNews::Ended(report) => {
                steps.dedup();
                return (steps, report.conclusion);
            }
        }
    }
}
