//! What people ask for beside runs, at a server.

use std::fs;

use crate::ground::{At, Drive, Ground, remote};
use crate::needs_root;
use crate::shell::sh;
use crate::sshd::Sshd;
use nbkp::backup::errands::listing::{list, prune};
use nbkp::backup::errands::preview::{Change, preview};
use nbkp::backup::errands::there::prepare;
use nbkp::model::{Conclusion, End, Intruding, KeepRules, Pruning, Retention, SentinelId, SnapshotKind, Weighing};

#[test]
fn both_ends_are_prepared_and_then_serve() {
    if !needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink, SnapshotKind::Btrfs] {
        let drive = Drive::new("mkfs.btrfs -q", 128);
        let place = tempfile::tempdir().unwrap();
        let mut ground = Ground::onto(Sshd::new(), place, (At::Here, At::Server), &drive.root, SnapshotKind::None);
        ground.job.sync.snapshots = kind;
        sh(&format!("rm -r {0}/.nbkp-vol {0}/copies", drive.root.display()));
        ground.write("file", "x");
        let end = remote(&mut ground.job.destination).clone();
        let ids = (&SentinelId("volume-1".into()), &SentinelId("end-1".into()));
        let made =
            prepare(&ground.job.sync, (&end, End::Destination), ids, Intruding::Allowed, &ground.server.ssh_place())
                .unwrap();
        assert_eq!(made.problem, None);
        let wanted = match kind {
            SnapshotKind::None => 3,
            SnapshotKind::HardLink => 5,
            SnapshotKind::Btrfs => 6,
        };
        assert_eq!(made.made.len(), wanted, "{made:?}");
        assert!(made.made.iter().all(|line| line.contains("127.0.0.1:/")), "{made:?}");
        let again =
            prepare(&ground.job.sync, (&end, End::Destination), ids, Intruding::Allowed, &ground.server.ssh_place())
                .unwrap();
        assert_eq!((again.made.len(), again.problem), (0, None));
        let end = remote(&mut ground.job.destination);
        (end.volume_id, end.end_id) = (Some(ids.0.clone()), Some(ids.1.clone()));
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
    }
}

#[test]
fn what_is_in_the_way_is_told_and_stays() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::None);
    ground.job.sync.snapshots = SnapshotKind::Btrfs;
    fs::create_dir(ground.destination.join("staging")).unwrap();
    fs::remove_file(ground.destination.join(".nbkp-dst")).unwrap();
    let end = remote(&mut ground.job.destination).clone();
    let ids = (&SentinelId("a".into()), &SentinelId("b".into()));
    let made = prepare(&ground.job.sync, (&end, End::Destination), ids, Intruding::Allowed, &ground.server.ssh_place())
        .unwrap();
    assert!(made.problem.as_ref().is_some_and(|problem| problem.contains("staging is no subvolume")), "{made:?}");
    assert!(!ground.destination.join(".nbkp-dst").exists());
    fs::write(ground.destination.parent().unwrap().join(".nbkp-vol"), "hello").unwrap();
    let made = prepare(&ground.job.sync, (&end, End::Destination), ids, Intruding::Allowed, &ground.server.ssh_place())
        .unwrap();
    assert!(made.problem.is_some(), "{made:?}");
    let mut lost = end.clone();
    lost.root = "/nowhere/at all".into();
    let made =
        prepare(&ground.job.sync, (&lost, End::Destination), ids, Intruding::Allowed, &ground.server.ssh_place())
            .unwrap();
    assert!(made.problem.is_some_and(|problem| problem.contains("/nowhere/at all does not exist")));
}

#[test]
fn snapshots_are_listed_and_deleted_and_a_look_changes_nothing() {
    if !needs_root() {
        return;
    }
    for from in [At::Here, At::Server] {
        let mut ground = Ground::new(from, At::Server, SnapshotKind::HardLink);
        ground.write("file", "x");
        let place = ground.server.ssh_place();
        let first = preview(&ground.job, &place).unwrap();
        assert!(first.changes.iter().any(|change| matches!(change, Change::Copy(item) if item.name == "file")));
        assert!(!ground.destination.join(".nbkp").exists());
        for number in 0..3 {
            ground.write("other", format!("{number}"));
            assert_eq!(ground.run().conclusion, Conclusion::Ok);
        }
        fs::rename(ground.source.join("file"), ground.source.join("renamed")).unwrap();
        let before = sh(&format!("ls -laR --time-style=full-iso {}", ground.destination.display()));
        let second = preview(&ground.job, &place).unwrap();
        assert!(second.changes.contains(&Change::Delete("file".into())), "{:?}", second.changes);
        assert_eq!(sh(&format!("ls -laR --time-style=full-iso {}", ground.destination.display())), before);
        assert!(second.command.iter().all(|word| !word.to_string_lossy().contains("sh -c")), "{:?}", second.command);

        let mut seen = ground.as_seen();
        let names: Vec<_> =
            list(&seen, Weighing::Unwanted, &place).unwrap().into_iter().map(|snapshot| snapshot.name).collect();
        assert_eq!(names, ground.snapshots());
        seen.sync.keep = Retention::Rules(KeepRules { last: 2, ..KeepRules::default() });
        let (gone, problems) = prune(&seen, Pruning::Real, &place);
        assert_eq!((gone.len(), problems), (1, Vec::new()));
        assert_eq!(ground.snapshots(), names[1..]);
        // Another process works there.
        let lock = fs::File::open(ground.destination.join(".nbkp/lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        seen.sync.keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
        let (gone, problems) = prune(&seen, Pruning::Real, &place);
        assert!(gone.is_empty() && problems.len() == 1 && problems[0].contains("lock"), "{gone:?} {problems:?}");
        assert_eq!(ground.snapshots(), names[1..]);
    }
}
