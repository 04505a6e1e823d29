//! What single entries make of a run: those that cannot be read, stored, written or deleted, and those that change
//! while they are read.

use std::fs;
use std::os::unix::fs::symlink;

use nbkp::backup::errands::preview::{Change, preview};
use nbkp::model::{Conclusion, FailureKind, Filter, RunReport, SnapshotKind};
use nbkp::os::ssh::SshPlace;

use crate::kills::{run_as_nobody, run_in};
use crate::rig::{Drive, Ground, begin, finish, names, sh, until_copied};

fn warned(report: &RunReport, wanted: &[&str]) {
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    let all = report.warnings.join("\n");
    assert!(wanted.iter().all(|wanted| all.contains(wanted)), "{wanted:?} in {all}");
}

#[test]
fn a_pipe_where_rules_are_looked_for_makes_nobody_wait() {
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let mut ground = Ground::new(kind);
        ground.job.sync.filters = vec![Filter::DirMerge(".rules".into())];
        for name in ["good/.rules", "good/a", "good/a.tmp", "trapped/a", "trapped/b"] {
            ground.write(name, if name.ends_with("rules") { "- *.tmp\n" } else { "x" });
        }
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let (source, copy) = (ground.source.clone(), || match kind {
            SnapshotKind::HardLink => ground.latest(),
            SnapshotKind::None | SnapshotKind::Btrfs => ground.destination.clone(),
        });
        sh(&format!(
            "cd {}; mkfifo pipe; ln -s ../pipe trapped/.rules; rm trapped/b; echo y >good/b",
            source.display()
        ));
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
        assert!(report.warnings.concat().contains("trapped/.rules of the source: it is no file"), "{report:?}");
        assert!(copy().join("good/b").exists() && !copy().join("good/a.tmp").exists());
        // What could not be looked at is no deletion.
        assert_eq!(copy().join("trapped/b").exists(), kind == SnapshotKind::None);
        sh(&format!("cd {}; rm trapped/.rules; mkfifo .rules", source.display()));
        let Conclusion::Failed(failure) = ground.run().conclusion else { panic!("{kind:?}") };
        assert!(failure.detail.contains("`.rules`") && failure.detail.contains("remove it"), "{failure}");
    }
}

#[test]
fn what_exfat_cannot_hold_is_told_and_nothing_else_suffers() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::of_type("mkfs.exfat", 64, "exfat-fuse");
    let ground = Ground::on(&drive, SnapshotKind::None);
    ground.write("12:30 meeting.txt", "x");
    ground.write("plans: old/inner", "x");
    for name in ["kept", "goes"] {
        ground.write(name, "1");
    }
    symlink("kept", ground.source.join("link")).unwrap();
    warned(&ground.run(), &["12:30 meeting.txt", "plans: old", "not take", "`filters`", "link"]);
    fs::remove_file(ground.source.join("goes")).unwrap();
    warned(&ground.run(), &["12:30 meeting.txt"]);
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "kept"]);
}

#[test]
fn what_exfat_cannot_hold_does_not_hold_the_deletion_of_the_rest() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::of_type("mkfs.exfat", 64, "exfat-fuse");
    let ground = Ground::on(&drive, SnapshotKind::None);
    ground.write("12:30 meeting.txt", "x");
    ground.write("goes", "1");
    warned(&ground.run(), &["12:30 meeting.txt"]);
    fs::remove_file(ground.source.join("goes")).unwrap();
    warned(&ground.run(), &["12:30 meeting.txt"]);
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst"]);
}

#[test]
fn names_that_windows_keeps_for_itself_are_told() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::of_type("mkfs.ntfs -F -Q", 64, "ntfs-3g -o windows_names");
    let ground = Ground::on(&drive, SnapshotKind::None);
    for name in ["aux.txt", "what?", "kept", "trailing."] {
        ground.write(name, "1");
    }
    warned(&ground.run(), &["3 files or directories have names", "aux.txt", "what?", "trailing."]);
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "kept"]);
    let log = fs::read_to_string(ground.destination.join(".nbkp/log.jsonl")).unwrap();
    assert!(log.contains("\"standing\":\"partial\""), "{log}");
}

#[test]
fn what_could_not_be_written_is_no_copy() {
    if !crate::needs_root() {
        return;
    }
    for spoil in ["chown 0:0 docs", "chown 0:0 docs && rm ../../from/files/docs/b"] {
        let ground = Ground::new(SnapshotKind::None);
        ground.write("docs/a", "old");
        ground.write("docs/b", "old");
        let place = ground.place.path().display();
        sh(&format!("chown -R 65534:65534 {place}"));
        assert!(run_as_nobody(&ground).starts_with("ok"));
        sh(&format!("cd {place}/to/copies; {spoil}"));
        if !spoil.contains("rm") {
            ground.write("docs/a", "newer");
        }
        let report = run_as_nobody(&ground);
        assert!(report.starts_with("failed") && report.contains("Permission") && report.contains("docs/"), "{report}");
    }
}

#[test]
fn an_unreadable_directory_keeps_no_other_from_being_tidied() {
    if !crate::needs_root() {
        return;
    }
    let ground = Ground::new(SnapshotKind::None);
    for name in ["a-private/kept", "photos/1", "photos/2", "photos/3", "z"] {
        ground.write(name, "1");
    }
    ground.write("odd [x]*/secret", "1");
    let place = ground.place.path().display();
    sh(&format!("chown -R 65534:65534 {place}"));
    assert!(run_as_nobody(&ground).starts_with("ok"));
    sh(&format!(
        "cd {place}/from/files; echo new >> 'odd [x]*/secret'; chmod 0 a-private 'odd [x]*/secret'; \
         mv photos/1 photos/renamed; mkdir new; chown 65534:65534 new; chmod 0 new"
    ));
    let report = run_as_nobody(&ground);
    assert!(report.starts_with("ok") && report.contains("a-private") && report.contains("secret"), "{report}");
    let copy = &ground.destination;
    assert_eq!(names(&copy.join("photos")), ["2", "3", "renamed"], "{report}");
    sh(&format!("chmod -R u+rwX {}", copy.display()));
    assert_eq!(names(&copy.join("a-private")), ["kept"]);
    assert_eq!(names(&copy.join("odd [x]*")), ["secret"]);
}

#[test]
fn a_dangling_link_whose_target_is_to_be_copied_is_told_and_stops_nothing() {
    let mut ground = Ground::new(SnapshotKind::None);
    ground.job.sync.rsync.extra_options = vec!["--copy-links".into()];
    ground.write("kept", "1");
    ground.write("goes", "1");
    symlink("nowhere", ground.source.join("lock")).unwrap();
    warned(&ground.run(), &["lock", "lead nowhere"]);
    fs::remove_file(ground.source.join("goes")).unwrap();
    let seen = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
    assert!(seen.changes.contains(&Change::Delete("goes".into())), "{:?}", seen.changes);
    assert_eq!(seen.figures.deletions, 1);
    warned(&ground.run(), &["lock"]);
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "kept"]);
    let mut linked = Ground::new(SnapshotKind::HardLink);
    linked.job.sync.rsync.extra_options = vec!["--copy-links".into()];
    linked.write("kept", "1");
    symlink("nowhere", linked.source.join("lock")).unwrap();
    warned(&linked.run(), &["lock"]);
    assert_eq!(names(&linked.latest()), ["kept"]);
    let log = fs::read_to_string(linked.destination.join(".nbkp/log.jsonl")).unwrap();
    assert!(log.contains("\"standing\":\"good\""), "nothing is missing: {log}");
}

#[test]
fn a_home_that_lives_while_it_is_read_is_copied() {
    let mut ground = Ground::new(SnapshotKind::None);
    ground.write("aa-log", vec![7; 6_000_000]);
    for number in 0..40 {
        ground.write(&format!("cache/{number}/deep/file"), "1");
    }
    ground.write("zz", "kept");
    ground.write("old", "1");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    fs::remove_file(ground.source.join("old")).unwrap();
    ground.write("aa-log", vec![8; 24_000_000]);
    ground.job.sync.rsync.bandwidth = Some(6_000_000);
    let (_worker, mut news) = begin(ground.job.clone());
    until_copied(&mut news, 500_000);
    fs::File::options().write(true).open(ground.source.join("aa-log")).unwrap().set_len(1000).unwrap();
    sh(&format!("rm -r {}/cache/1[0-4]", ground.source.display()));
    warned(&finish(news), &["changed or vanished while they were read", "aa-log"]);
    assert!(!ground.destination.join("old").exists());
    assert_eq!(fs::read(ground.destination.join("zz")).unwrap(), b"kept");
    ground.job.sync.rsync.bandwidth = None;
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(fs::read(ground.destination.join("aa-log")).unwrap().len(), 1000);
}

#[test]
fn devices_that_only_root_can_make_are_told() {
    if !crate::needs_root() {
        return;
    }
    let ground = Ground::new(SnapshotKind::None);
    ground.write("a", "1");
    let place = ground.place.path().display();
    sh(&format!("mknod {place}/from/files/null c 1 3; mkfifo {place}/from/files/pipe; chown -R 65534:65534 {place}"));
    let report = run_as_nobody(&ground);
    assert!(report.starts_with("ok") && report.contains("devices") && report.contains("null"), "{report}");
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "a", "pipe"]);
}

#[test]
fn what_could_not_be_deleted_is_a_failure() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::ext4(32);
    let ground = Ground::on(&drive, SnapshotKind::None);
    ground.write("a", "1");
    ground.write("b", "1");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let copy = ground.destination.join("a");
    sh(&format!("chattr +i {}", copy.display()));
    fs::remove_file(ground.source.join("a")).unwrap();
    let report = ground.run();
    sh(&format!("chattr -i {}", copy.display()));
    let Conclusion::Failed(failure) = &report.conclusion else { panic!("{report:?}") };
    assert_eq!(failure.kind, FailureKind::Permission);
    assert!(failure.detail.contains("could not be deleted") && failure.detail.contains(": a:"), "{failure}");
}

#[test]
fn a_file_that_is_too_large_stops_no_other() {
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let ground = Ground::new(kind);
        for name in ["a", "sub/kept", "zz"] {
            ground.write(name, name);
        }
        ground.write("films/[long]", vec![7; 3_000_000]);
        ground.write("films/other", vec![7; 2_000_000]);
        let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 2000; exec \"$@\"", "sh"];
        let report = run_in(&ground, &limited);
        assert!(report.starts_with("ok") && report.contains("too large"), "{report}");
        assert!(report.contains("films/[long], films/other"), "{report}");
        let copy = if kind == SnapshotKind::None { ground.destination.clone() } else { ground.latest() };
        assert_eq!(fs::read(copy.join("zz")).unwrap(), b"zz");
        assert_eq!(names(&copy.join("films")), Vec::<String>::new());
        assert_eq!(names(&copy.join("sub")), ["kept"]);
        let log = fs::read_to_string(ground.destination.join(".nbkp/log.jsonl")).unwrap();
        assert!(log.contains("\"standing\":\"partial\""), "{log}");
    }
}
