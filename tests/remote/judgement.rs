//! What single entries make of a run, in each direction.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::ground::{At, Ground, names, remote};
use crate::needs_root;
use crate::shell::sh;
use crate::sshd::Sshd;
use nbkp::backup::errands::preview::{Change, preview};
use nbkp::backup::errands::there::prepare;
use nbkp::model::{
    Conclusion, End, FailureKind, Filter, HoldReason, Intruding, Obstacle, ObstacleCode, SentinelId, SnapshotKind,
};

const WAYS: [(At, At); 3] = [(At::Here, At::Server), (At::Server, At::Here), (At::Server, At::Server)];

#[test]
fn what_cannot_be_looked_at_keeps_nothing_else_from_being_deleted() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::None);
        ground.job.sync.rsync.extra_options = vec!["--copy-links".into()];
        for name in ["a/kept", "a/goes", "z"] {
            ground.write(name, "1");
        }
        symlink("nowhere", ground.source.join("a/lock [1]")).unwrap();
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
        assert!(report.warnings.concat().contains("a/lock [1]"), "{report:?}");
        fs::remove_file(ground.source.join("a/goes")).unwrap();
        let seen = preview(&ground.job, &ground.server.ssh_place()).unwrap();
        assert!(seen.changes.contains(&Change::Delete("a/goes".into())), "{seen:?}");
        let report = ground.run();
        assert_eq!((report.conclusion, report.figures.deletions), (Conclusion::Ok, 1), "{:?}", report.warnings);
        assert_eq!(names(&ground.destination.join("a")), ["kept"]);
    }
}

#[test]
fn what_could_not_be_written_is_no_copy() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        // The temporary directory may be on a filesystem without such flags.
        let drive = crate::ground::Drive::new("mkfs.ext4 -q", 32);
        let place = tempfile::tempdir().unwrap();
        let mut ground = Ground::onto(Sshd::new(), place, (from, to), &drive.root, SnapshotKind::None);
        ground.write("docs/a", "old");
        ground.write("z", "1");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let copy = ground.destination.join("docs/a");
        sh(&format!("chattr +i {}", copy.display()));
        ground.write("docs/a", "newer");
        let report = ground.run();
        sh(&format!("chattr -i {}", copy.display()));
        let Conclusion::Failed(failure) = &report.conclusion else { panic!("{report:?}") };
        assert_eq!(failure.kind, FailureKind::Permission);
        assert!(failure.detail.contains("could not be written") && failure.detail.contains("docs/a"), "{failure}");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
    }
}

#[test]
fn a_source_of_nothing_makes_no_copy() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
            let mut ground = Ground::new(from, to, kind);
            let report = ground.run();
            let Conclusion::Skipped(obstacles) = &report.conclusion else { panic!("{report:?}") };
            assert_eq!(obstacles.iter().map(Obstacle::code).collect::<Vec<_>>(), [ObstacleCode::SourceIsEmpty]);
            ground.write("a", "1");
            assert_eq!(ground.run().conclusion, Conclusion::Ok);
        }
    }
}

#[test]
fn a_source_at_a_server_is_never_made_and_a_link_is_named() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Server, At::Here, SnapshotKind::None);
    let end = remote(&mut ground.job.source).clone();
    let ids = (&SentinelId("a".into()), &SentinelId("b".into()));
    let mut asked = |subdir: &str| {
        ground.job.sync.source.subdir = subdir.parse().unwrap();
        prepare(&ground.job.sync, (&end, End::Source), ids, Intruding::Allowed, &ground.server.ssh_place())
            .unwrap()
            .problem
            .unwrap()
    };
    let near = asked("flies");
    assert!(near.contains("flies does not exist") && near.contains("`files`"), "{near}");
    let above = ground.source.parent().unwrap();
    assert!(!above.join("flies").exists());
    symlink(&ground.source, above.join("link")).unwrap();
    let linked = asked("link");
    assert!(
        linked.contains("is a symbolic link to") && linked.contains(&ground.source.display().to_string()),
        "{linked}"
    );
}

#[test]
fn what_was_mounted_below_a_source_and_is_missing_holds_in_each_direction() {
    if !needs_root() {
        return;
    }
    let kinds = [SnapshotKind::None, SnapshotKind::HardLink];
    for ((from, to), kind) in WAYS.into_iter().flat_map(|way| kinds.map(|kind| (way, kind))) {
        let mut ground = Ground::new(from, to, kind);
        for number in 0..100 {
            ground.write(format!("f{number}"), "x");
        }
        let point = ground.source.join("my pictures");
        fs::create_dir(&point).unwrap();
        let place = point.display();
        let mount = format!("mount -t tmpfs none '{place}'; cd '{place}'; touch 1 2 3; echo 2 >2");
        let with = |ground: &Ground, script: &str| match from {
            At::Here => drop(sh(script)),
            At::Server => ground.server.inside(script),
        };
        with(&ground, &mount);
        let first = ground.run();
        with(&ground, &format!("umount '{place}'"));
        let pictures: BTreeSet<PathBuf> = [PathBuf::from("my pictures")].into();
        let seen = (first.conclusion, first.submounts);
        assert_eq!(seen, (Conclusion::Ok, Some(pictures.clone())), "{from:?} {to:?} {kind:?}");
        ground.job.submounts = pictures.clone();
        let copy = ground.newest().canonicalize().unwrap();
        let held = Conclusion::Held(HoldReason::SourceIncomplete { missing: pictures });
        for _ in 0..2 {
            assert_eq!(ground.run().conclusion, held, "{kind:?}");
            assert_eq!(ground.newest().canonicalize().unwrap(), copy, "nothing is promoted");
            assert_eq!(fs::read(copy.join("my pictures/2")).unwrap(), b"2\n");
        }
        with(&ground, &mount);
        let again = ground.run().conclusion;
        with(&ground, &format!("umount '{place}'"));
        assert_eq!(again, Conclusion::Ok);
        // A person said that it is gone for good.
        ground.job.submounts.clear();
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        assert!(!ground.newest().join("my pictures/2").exists());
    }
}

#[test]
fn a_destination_that_another_writer_has_is_left_as_it_is_in_each_direction() {
    if !needs_root() {
        return;
    }
    let kinds = [SnapshotKind::None, SnapshotKind::HardLink];
    for ((from, to), kind) in WAYS.into_iter().flat_map(|way| kinds.map(|kind| (way, kind))) {
        let mut ground = Ground::new(from, to, kind);
        ground.write("a", "of the first");
        let first = ground.run();
        assert_eq!(first.conclusion, Conclusion::Ok, "{from:?} {to:?} {kind:?}");
        let ours = first.writer.unwrap();
        let said = || fs::read_to_string(ground.destination.join(".nbkp/lock")).unwrap();
        assert!(said().starts_with(&format!("written-by {ours} ")), "{}", said());
        // The same configuration, where another source was prepared.
        fs::write(ground.source.join(".nbkp-src"), "id = \"another\"\n").unwrap();
        ground.write("a", "of the second");
        let token = |ground: &Ground| fs::read(ground.destination.join(".nbkp/writer")).ok();
        let left = token(&ground);
        for _ in 0..2 {
            let held = ground.run().conclusion;
            let Conclusion::Held(HoldReason::ForeignWriter { writer, here }) = held else { panic!("{held:?}") };
            assert_eq!((writer.id.as_str(), here.is_empty()), (ours.as_str(), false));
            assert_eq!(fs::read_to_string(ground.newest().join("a")).unwrap(), "of the first");
            assert_eq!(token(&ground), left, "a run of the other one is not disturbed");
            let preview = preview(&ground.job, &ground.server.ssh_place()).unwrap();
            assert!(matches!(preview.hold, Some(HoldReason::ForeignWriter { .. })), "{:?}", preview.hold);
        }
        ground.job.writers = [ours.clone()].into();
        let second = ground.run();
        assert_eq!(second.conclusion, Conclusion::Ok);
        let said = fs::read_to_string(ground.destination.join(".nbkp/lock")).unwrap();
        assert!(said.starts_with(&format!("written-by {} ", second.writer.unwrap())), "{said}");
    }
}

#[test]
fn what_cannot_be_looked_at_hides_no_deletion_from_the_guard() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::HardLink);
        // A link that leads nowhere, where links are followed, is looked at in vain by root, too.
        ground.job.sync.rsync.extra_options = vec!["--copy-links".into()];
        for number in 0..100 {
            ground.write(format!("z/f{number}"), "x");
        }
        ground.write("a/kept", "x");
        symlink("nowhere", ground.source.join("a/lock")).unwrap();
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        sh(&format!("rm {}/z/f*", ground.source.display()));
        let seen = preview(&ground.job, &ground.server.ssh_place()).unwrap();
        assert!(seen.hold.is_some(), "{from:?} {to:?}");
        let held = ground.run().conclusion;
        assert!(matches!(held, Conclusion::Held(_)), "{from:?} {to:?} {held:?}");
        assert!(ground.newest().join("z/f1").exists());
    }
}

#[test]
fn a_pipe_where_rules_are_looked_for_makes_nobody_wait() {
    if !needs_root() {
        return;
    }
    for ((from, to), kind) in
        WAYS.into_iter().flat_map(|way| [(way, SnapshotKind::None), (way, SnapshotKind::HardLink)])
    {
        let mut ground = Ground::new(from, to, kind);
        ground.job.sync.filters = vec![Filter::DirMerge(".ru[l]es".into())];
        for name in ["good/a", "trapped/a"] {
            ground.write(name, "x");
        }
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        sh(&format!("cd {}; mkfifo 'trapped/.ru[l]es' good/.rules; echo y >good/b", ground.source.display()));
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok, "{from:?} {to:?} {report:?}");
        let told = "trapped/.ru[l]es of the source: it is no file";
        assert!(report.warnings.concat().contains(told), "{from:?} {to:?} {report:?}");
        assert!(ground.newest().join("good/b").exists());
    }
}
