//! Copies without history.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use crate::rig::{Drive, Ground, begin, finish, hook, names, sh, until_copied};
use nbkp::model::{Conclusion, FailureKind, Filter, Guard, HoldReason, Interruption, MountsBelow, SnapshotKind, Step};

#[test]
fn a_mirror_follows_its_source_and_keeps_our_own_names() {
    let ground = Ground::new(SnapshotKind::None);
    ground.write("a", "1");
    ground.write("sub/b", "2");
    let first = ground.run();
    assert_eq!(first.conclusion, Conclusion::Ok);
    assert_eq!((first.figures.entries, first.figures.files_transferred, first.figures.bytes_transferred), (3, 2, 2));
    fs::remove_file(ground.source.join("a")).unwrap();
    ground.write("c", "3");
    let second = ground.run();
    assert_eq!((second.conclusion, second.figures.deletions), (Conclusion::Ok, 1));
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "c", "sub"]);
    assert_eq!(names(&ground.destination.join(".nbkp")), ["lock", "log.jsonl"]);
    let log = fs::read(ground.destination.join(".nbkp/log.jsonl")).unwrap();
    assert_eq!(nbkp::formats::log::records(&log).len(), 2);
    assert!(second.warnings.is_empty(), "{:?}", second.warnings);
}

#[test]
fn names_are_bytes() {
    let ground = Ground::new(SnapshotKind::None);
    for name in [&b"new\nline"[..], b"-rf", b"--delete", b"\xff\xfe", b"\x1b[2J", b"a b'c\"", b"del.|x", b" lead"] {
        let name = std::ffi::OsString::from_vec(name.to_vec());
        fs::write(ground.source.join(name), "x").unwrap();
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let (from, to) = (ground.source.display(), ground.destination.display());
    sh(&format!("diff -r --exclude='.nbkp*' {from} {to}"));
    assert_eq!(fs::read_dir(&ground.destination).unwrap().count(), 8 + 2);
}

#[test]
fn our_names_stay_whatever_the_rules_say() {
    let mut ground = Ground::new(SnapshotKind::None);
    ground.write("a", "1");
    ground.write("b.tmp", "2");
    ground.job.sync.guard = Guard::Off;
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!(
        "cd {}; mkdir -p snapshots/old; touch snapshots/old/f; ln -s snapshots/old latest",
        ground.destination.display()
    ));
    let file = ground.source.with_file_name("rules");
    fs::write(&file, "- *.o\n!\n- *.tmp\n").unwrap();
    let rules = |rules: &[&str]| rules.iter().map(|rule| Filter::Rule((*rule).into())).collect::<Vec<_>>();
    for filters in [
        rules(&["!", "- *.tmp"]),
        rules(&["clear", "- *.tmp", "R *", "S *", "+ *"]),
        rules(&["R .nbkp*", "risk /.nbkp/***", "show .nbkp-src", "- *.tmp"]),
        vec![Filter::Merge(file.clone())],
    ] {
        ground.job.sync.filters = filters.clone();
        assert_eq!(ground.run().conclusion, Conclusion::Ok, "{filters:?}");
        let kept = [".nbkp", ".nbkp-dst", "a", "latest", "snapshots"];
        assert_eq!(names(&ground.destination), kept, "{filters:?}");
        assert_eq!(names(&ground.destination.join(".nbkp")), ["lock", "log.jsonl"], "{filters:?}");
        assert!(ground.destination.join("snapshots/old/f").exists(), "{filters:?}");
    }
}

#[test]
fn a_plain_list_in_place_of_rules_is_named_and_used_when_it_is_called_one() {
    let mut ground = Ground::new(SnapshotKind::None);
    for name in ["a", ".cache/b", "x.tmp"] {
        ground.write(name, "1");
    }
    let list = ground.source.with_file_name("excludes.txt");
    fs::write(&list, "# not mine\n\n.cache\n*.tmp\n").unwrap();
    ground.job.sync.filter_file = Some(list.clone());
    let Conclusion::Failed(refused) = ground.run().conclusion else { panic!() };
    assert_eq!((refused.at, refused.kind), (Step::Copy, FailureKind::Usage));
    let told = format!("line 3 of {} is no filter rule: ", list.display());
    assert!(refused.detail.starts_with(&told) && refused.detail.contains("merge,- "), "{}", refused.detail);
    ground.job.sync.filter_file = None;
    ground.job.sync.filters = vec![Filter::Rule(format!("merge,- {}", list.display()).into())];
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "a"]);
}

#[test]
fn what_is_mounted_below_the_source_is_copied_unless_it_is_left_out() {
    if !crate::needs_root() {
        return;
    }
    let mut ground = Ground::new(SnapshotKind::None);
    ground.write("a", "1");
    let point = ground.source.join("mounted");
    fs::create_dir(&point).unwrap();
    sh(&format!("mount -t tmpfs none {0}; echo x > {0}/inside", point.display()));
    ground.job.sync.mounts = MountsBelow::LeftOut;
    let left_out = ground.run();
    let inside = ground.destination.join("mounted/inside");
    let (there, there_later) = (inside.exists(), {
        ground.job.sync.mounts = MountsBelow::Copied;
        let copied = ground.run();
        sh(&format!("umount {}", point.display()));
        assert_eq!((left_out.conclusion, copied.conclusion), (Conclusion::Ok, Conclusion::Ok));
        inside.exists()
    });
    assert_eq!((there, there_later), (false, true));
    assert!(ground.destination.join("mounted").is_dir());
}

#[test]
fn too_many_deletions_are_held_until_approved() {
    let mut ground = Ground::new(SnapshotKind::None);
    for number in 0..60 {
        ground.write(&format!("d{}/f{number}", number % 6), "x");
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!("cd {}; rm -r d0 d1 d2; echo y > new", ground.source.display()));
    let before = sh(&format!("find {} | wc -l", ground.destination.display()));
    let held = ground.run();
    // 30 files and the three directories of them.
    let Conclusion::Held(HoldReason::Deletions { paths, before: had, .. }) = &held.conclusion else {
        panic!("{held:?}")
    };
    assert_eq!((paths.count(), *had, held.figures.deletions), (33, 66, 0));
    let after = sh(&format!("find {} -not -name new -not -name unfinished | wc -l", ground.destination.display()));
    assert_eq!(after, before, "something was deleted");
    assert!(ground.destination.join("new").exists(), "what is new is safe already");
    ground.approve(&held.conclusion);
    let approved = ground.run();
    assert_eq!((approved.conclusion, approved.figures.deletions), (Conclusion::Ok, 33));
    assert!(!ground.destination.join("d0").exists());
}

#[test]
fn an_emptied_source_never_empties_a_backup() {
    for guard in [Guard::MaxDelete(25), Guard::MaxDelete(100), Guard::Off] {
        let mut ground = Ground::new(SnapshotKind::None);
        ground.job.sync.guard = guard;
        ground.write("only", "x");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        fs::remove_file(ground.source.join("only")).unwrap();
        let held = ground.run();
        assert!(matches!(held.conclusion, Conclusion::Held(_)), "{guard:?}: {held:?}");
        assert!(ground.destination.join("only").exists());
    }
}

#[test]
fn a_directory_that_becomes_a_file_is_a_deletion_too() {
    let mut ground = Ground::new(SnapshotKind::None);
    for number in 0..50 {
        ground.write(&format!("photos/{number}"), "x");
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!("cd {}; rm -r photos; echo gone > photos", ground.source.display()));
    let held = ground.run();
    assert!(matches!(held.conclusion, Conclusion::Held(_)), "{held:?}");
    assert_eq!(names(&ground.destination.join("photos")).len(), 50);
    ground.approve(&held.conclusion);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(fs::read(ground.destination.join("photos")).unwrap(), b"gone\n");
}

#[test]
fn a_big_file_goes_on_where_it_was_stopped() {
    let mut ground = Ground::new(SnapshotKind::None);
    sh(&format!("head -c 30000000 /dev/urandom > {}/big", ground.source.display()));
    ground.job.sync.rsync.bandwidth = Some(10_000_000);
    let (mut worker, mut news) = begin(ground.job.clone());
    until_copied(&mut news, 8_000_000);
    worker.stop(Interruption::Cancelled);
    worker.stop(Interruption::Cancelled);
    let stopped = finish(news);
    assert_eq!(stopped.conclusion, Conclusion::Interrupted(Interruption::Cancelled));
    assert!(!ground.destination.join("big").exists(), "half a file under its name");
    ground.job.sync.rsync.bandwidth = None;
    let resumed = ground.run();
    assert_eq!(resumed.conclusion, Conclusion::Ok);
    assert!(resumed.figures.bytes_transferred < 25_000_000, "{:?}", resumed.figures);
    sh(&format!("cmp {0}/big {1}/big", ground.source.display(), ground.destination.display()));
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "big"]);
}

#[test]
fn a_hold_of_stopping_twice_ends_at_once() {
    let mut ground = Ground::new(SnapshotKind::None);
    ground.job.sync.hooks.before = Some(hook("trap '' TERM; while :; do sleep 0.1; done"));
    let (mut worker, mut news) = begin(ground.job.clone());
    loop {
        match news.blocking_recv().unwrap() {
            nbkp::backup::news::WorkerNews::Progress { progress, .. } if progress.step == Step::Before => break,
            nbkp::backup::news::WorkerNews::Progress { .. } | nbkp::backup::news::WorkerNews::Life { .. } => {}
            nbkp::backup::news::WorkerNews::Ended(report) => panic!("{report:?}"),
        }
    }
    worker.stop(Interruption::Stopping);
    worker.stop(Interruption::Stopping);
    assert_eq!(finish(news).conclusion, Conclusion::Interrupted(Interruption::Stopping));
}

#[test]
fn hooks_know_their_run_and_are_not_confined() {
    let mut ground = Ground::new(SnapshotKind::None);
    let told = ground.place.path().join("told");
    let script = |word: &str| hook(&format!("echo {word} $NBKP_SYNC $NBKP_OUTCOME >> {}", told.display()));
    ground.job.sync.hooks.before = Some(script("before"));
    ground.job.sync.hooks.after = Some(script("after"));
    ground.job.sync.hooks.failed = Some(script("failed"));
    ground.write("a", "1");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(fs::read_to_string(&told).unwrap(), "before documents\nafter documents ok\n");
    ground.write("b", "1");
    ground.job.sync.hooks.before = Some(hook("echo disk is hot >&2; exit 3"));
    let refused = ground.run();
    let Conclusion::Failed(failure) = &refused.conclusion else { panic!("{refused:?}") };
    assert_eq!(failure.kind, FailureKind::Hook);
    assert!(failure.detail.contains("code 3: disk is hot"), "{}", failure.detail);
    assert!(!ground.destination.join("b").exists());
    assert!(fs::read_to_string(&told).unwrap().ends_with("failed documents failed\n"));
}

#[test]
fn a_question_that_was_asked_already_is_no_new_failure_for_a_hook() {
    let mut ground = Ground::new(SnapshotKind::None);
    let told = ground.place.path().join("told");
    for number in 0..60 {
        ground.write(&format!("d{}/f{number}", number % 6), "x");
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    ground.job.sync.hooks.failed = Some(hook(&format!("echo $NBKP_OUTCOME >> {}", told.display())));
    sh(&format!("cd {}; rm -r d0 d1 d2", ground.source.display()));
    let Conclusion::Held(reason) = ground.run().conclusion else { panic!("it is held") };
    ground.job.asked = Some(std::mem::discriminant(&reason));
    assert!(matches!(ground.run().conclusion, Conclusion::Held(HoldReason::Deletions { .. })));
    assert_eq!(fs::read_to_string(&told).unwrap(), "held\n", "once for each question");
    let another = HoldReason::SourceIncomplete { missing: BTreeSet::new() };
    ground.job.asked = Some(std::mem::discriminant(&another));
    assert!(matches!(ground.run().conclusion, Conclusion::Held(HoldReason::Deletions { .. })));
    assert_eq!(fs::read_to_string(&told).unwrap(), "held\nheld\n");
    // What `before` stopped is started again, each time.
    ground.job.sync.hooks.before = Some(hook("true"));
    ground.job.asked = Some(std::mem::discriminant(&reason));
    assert!(matches!(ground.run().conclusion, Conclusion::Held(HoldReason::Deletions { .. })));
    assert_eq!(fs::read_to_string(&told).unwrap(), "held\nheld\nheld\n");
}

#[test]
fn rsync_can_write_nowhere_else() {
    let mut ground = Ground::new(SnapshotKind::None);
    let outside = ground.place.path().join("outside");
    ground.write("a", "1");
    ground.job.sync.rsync.extra_options = vec![format!("--log-file={}", outside.display())];
    let report = ground.run();
    // rsync goes on without the log that it may not write; as root nothing else would have kept it from it.
    assert!(!outside.exists(), "{report:?}");
    assert_eq!(report.conclusion, Conclusion::Ok);
}

#[test]
fn a_full_destination_is_told_with_its_file() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::ext4(16);
    let ground = Ground::on(&drive, SnapshotKind::None);
    ground.write("huge", vec![1; 40 << 20]);
    let report = ground.run();
    let Conclusion::Failed(failure) = &report.conclusion else { panic!("{report:?}") };
    assert_eq!(failure.kind, FailureKind::NoSpace);
    assert!(failure.detail.contains("huge"), "{}", failure.detail);
}

#[test]
fn what_nobody_may_read_is_told_and_the_rest_is_copied() {
    if !crate::needs_root() {
        return;
    }
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("open", "1");
    ground.write("closed", "2");
    let place = ground.place.path().display();
    sh(&format!("chown -R 65534:65534 {place}; chmod 000 {place}/from/files/closed"));
    let report = crate::kills::run_as_nobody(&ground);
    assert!(report.contains("ok"), "{report}");
    assert!(report.contains("1 files or directories could not be read"), "{report}");
    assert_eq!(names(&ground.latest()), ["open"]);
    let log = fs::read_to_string(ground.destination.join(".nbkp/log.jsonl")).unwrap();
    assert!(log.contains("\"standing\":\"partial\""), "{log}");
}

#[test]
fn a_copy_with_gaps_that_cannot_be_told_from_a_whole_one_displaces_none() {
    if !crate::needs_root() {
        return;
    }
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("open", "1");
    ground.write("closed", "2");
    let place = ground.place.path().display();
    sh(&format!("chown -R 65534:65534 {place}"));
    let first = crate::kills::run_as_nobody(&ground);
    assert!(first.starts_with("ok"), "{first}");
    let whole = ground.snapshots();
    // It can be read, and nobody but root may add to it.
    sh(&format!(
        "echo 22 > {place}/from/files/closed; chmod 000 {place}/from/files/closed; chown 0:0 \
         {place}/to/copies/.nbkp/log.jsonl"
    ));
    let second = crate::kills::run_as_nobody(&ground);
    assert!(second.starts_with("failed") && second.contains("log.jsonl"), "{second}");
    assert_eq!(ground.snapshots(), whole);
    assert_eq!(names(&ground.latest()), ["closed", "open"]);
    // A whole one may be made; it displaces none either, since nothing is pruned that is not recorded.
    sh(&format!("chmod 644 {place}/from/files/closed"));
    let third = crate::kills::run_as_nobody(&ground);
    assert!(third.starts_with("ok") && third.contains("nothing is pruned"), "{third}");
    assert_eq!(ground.snapshots().len(), 2);
}

#[test]
fn what_a_killed_rsync_was_writing_is_taken_up_on_each_filesystem() {
    if !crate::needs_root() {
        return;
    }
    for (mkfs, drive) in [("ext4", Drive::ext4(64)), ("exfat", Drive::of_type("mkfs.exfat", 64, "exfat-fuse"))] {
        let mut ground = Ground::on(&drive, SnapshotKind::None);
        sh(&format!("head -c 30000000 /dev/urandom > {}/big", ground.source.display()));
        ground.job.sync.rsync.bandwidth = Some(10_000_000);
        let (_worker, mut news) = begin(ground.job.clone());
        until_copied(&mut news, 8_000_000);
        let to = ground.destination.display().to_string();
        let working = format!("[ $process/cwd -ef {to} ] && kill -9 ${{process#/proc/}}");
        sh(&format!("for process in /proc/[0-9]*; do {working}; done; true"));
        assert!(matches!(finish(news).conclusion, Conclusion::Failed(_) | Conclusion::Interrupted(_)));
        assert!(sh(&format!("ls -A {to}")).contains(".big."), "rsync left what it was writing");
        // There is no room for the beginning and the whole, and none may be deleted.
        sh(&format!("head -c 12000000 /dev/zero > {}/filling", drive.root.display()));
        ground.job.sync.rsync.bandwidth = None;
        ground.job.sync.guard = Guard::MaxDelete(0);
        let resumed = ground.run();
        assert_eq!((&resumed.conclusion, resumed.figures.deletions), (&Conclusion::Ok, 0), "{mkfs}: {resumed:?}");
        assert!(resumed.figures.bytes_transferred < 25_000_000, "{mkfs}: {:?}", resumed.figures);
        sh(&format!("cmp {0}/big {to}/big", ground.source.display()));
        assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "big"], "{mkfs}");
    }
}

#[test]
fn files_that_look_like_what_rsync_writes_count_as_deletions_after_an_interrupted_run_too() {
    let mut ground = Ground::new(SnapshotKind::None);
    for number in 0..20 {
        ground.write(&format!("note {number}"), "x");
        ground.write(&format!(".note {number}.abcdef"), "a file of the user");
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!(
        "cd {}; rm .note*.abcdef; touch {}/.nbkp/unfinished",
        ground.source.display(),
        ground.destination.display()
    ));
    ground.job.sync.guard = Guard::MaxDelete(40);
    let held = ground.run();
    let Conclusion::Held(HoldReason::Deletions { paths, before: 40, allowed_percent: 40, .. }) = &held.conclusion
    else {
        panic!("{held:?}")
    };
    assert_eq!(paths.count(), 20);
    // Nothing that a killed rsync left makes up for a source that holds no file any more.
    sh(&format!("cd {}; rm note*; mkdir left", ground.source.display()));
    ground.job.sync.guard = Guard::Off;
    let held = ground.run().conclusion;
    assert!(matches!(&held, Conclusion::Held(HoldReason::Deletions { paths, .. }) if paths.count() == 40), "{held:?}");
}
