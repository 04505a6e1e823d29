//! Ends that are not what they seem, and ends that go away.

use std::fs;
use std::os::unix::fs::symlink;

use crate::rig::{Drive, Ground, Thin, after, begin, end, finish, hook, local, local_of, names, run, sh, until_copied};
use nbkp::model::{
    Conclusion, End, FailureKind, Interruption, Obstacle, SentinelFault, SentinelId, SnapshotKind, Step,
};

fn skipped(ground: &Ground) -> Vec<&'static str> {
    let before = names(&ground.destination);
    let report = ground.run();
    let Conclusion::Skipped(obstacles) = &report.conclusion else { panic!("{report:?}") };
    assert_eq!(names(&ground.destination), before, "something was touched");
    obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect()
}

#[test]
fn nothing_is_touched_without_every_sentinel() {
    for (path, code) in [
        ("from/.nbkp-vol", "source-sentinel-missing"),
        ("from/files/.nbkp-src", "source-sentinel-missing"),
        ("to/.nbkp-vol", "destination-sentinel-missing"),
        ("to/copies/.nbkp-dst", "destination-sentinel-missing"),
    ] {
        let ground = Ground::new(SnapshotKind::None);
        ground.write("a", "1");
        let sentinel = ground.place.path().join(path);
        fs::remove_file(&sentinel).unwrap();
        assert_eq!(skipped(&ground), [code], "{path}");
        sh(&format!("mkfifo {}", sentinel.display()));
        assert_eq!(skipped(&ground), [code], "a fifo as {path}");
        fs::remove_file(&sentinel).unwrap();
        symlink("/etc/hostname", &sentinel).unwrap();
        assert_eq!(skipped(&ground), [code], "a link as {path}");
    }
    let ground = Ground::new(SnapshotKind::None);
    fs::remove_file(ground.source.join(".nbkp-src")).unwrap();
    fs::remove_file(ground.destination.join(".nbkp-dst")).unwrap();
    assert_eq!(skipped(&ground), ["source-sentinel-missing", "destination-sentinel-missing"]);
}

#[test]
fn another_id_is_another_place() {
    let mut ground = Ground::new(SnapshotKind::None);
    ground.write("a", "1");
    local(&mut ground.job.destination).end_id = Some(SentinelId("0f5e1d2c".into()));
    assert_eq!(skipped(&ground), ["sentinel-mismatch"]);
    fs::write(ground.destination.join(".nbkp-dst"), "id = \"0f5e1d2c\"\n").unwrap();
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
}

#[test]
fn links_on_the_way_and_in_our_places_are_not_followed() {
    let victim = tempfile::tempdir().unwrap();
    fs::create_dir(victim.path().join(".trash-x")).unwrap();
    fs::write(victim.path().join("kept"), "x").unwrap();
    for name in ["snapshots", ".nbkp"] {
        let ground = Ground::new(SnapshotKind::HardLink);
        ground.write("a", "1");
        symlink(victim.path(), ground.destination.join(name)).unwrap();
        let report = ground.run();
        let Conclusion::Failed(failure) = &report.conclusion else { panic!("{name}: {report:?}") };
        assert_eq!(failure.kind, FailureKind::Hostile, "{failure}");
        assert!(failure.detail.contains(name), "{failure}");
    }
    let ground = Ground::new(SnapshotKind::HardLink);
    fs::create_dir(ground.latest()).unwrap();
    assert!(matches!(ground.run().conclusion, Conclusion::Failed(failure) if failure.kind == FailureKind::Hostile));
    let ground = Ground::new(SnapshotKind::None);
    fs::rename(&ground.destination, ground.place.path().join("to/real")).unwrap();
    symlink("real", &ground.destination).unwrap();
    let report = ground.run();
    assert!(
        matches!(
            &report.conclusion,
            Conclusion::Skipped(all)
                if matches!(all.first(), Some(Obstacle::DirectoryMissing { end: End::Destination, .. }))
        ),
        "{report:?}"
    );
    assert_eq!(names(victim.path()), [".trash-x", "kept"]);
}

#[test]
fn entries_that_look_like_ours_but_are_links_stay_links() {
    let victim = tempfile::tempdir().unwrap();
    fs::write(victim.path().join("kept"), "x").unwrap();
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("a", "1");
    let shelf = ground.destination.join("snapshots");
    fs::create_dir(&shelf).unwrap();
    for name in
        [".trash-1", ".inprogress-2020-01-01T00:00:00.000Z", ".stale-x", "2020-01-01T00:00:00.000Z", "lost+found"]
    {
        symlink(victim.path(), shelf.join(name)).unwrap();
    }
    symlink(victim.path(), ground.latest()).unwrap();
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(names(victim.path()), ["kept"]);
    assert!(fs::read_link(ground.latest()).unwrap().starts_with("snapshots"));
}

#[test]
fn one_writer_keeps_the_other_out() {
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("big", vec![7; 4_000_000]);
    let mut slow = ground.job.clone();
    slow.sync.rsync.bandwidth = Some(2_000_000);
    let (_worker, mut news) = begin(slow);
    until_copied(&mut news, 1);
    let report = ground.run();
    assert!(
        matches!(
            &report.conclusion,
            Conclusion::Skipped(all) if matches!(all.as_slice(), [Obstacle::LockTaken { .. }])
        ),
        "{report:?}"
    );
    assert_eq!(finish(news).conclusion, Conclusion::Ok);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
}

#[test]
fn a_source_unmounted_after_the_proof_empties_nothing() {
    if !crate::needs_root() {
        return;
    }
    for lazily in ["umount -l", "umount -l {} && touch {}/.nbkp-vol && mkdir {}/files && touch {}/files/.nbkp-src; :"] {
        let drive = Drive::ext4(16);
        let mut ground = Ground::new(SnapshotKind::None);
        sh(&format!("cp -a {}/. {}", local_of(&ground.job.source).root.display(), drive.root.display()));
        fs::write(drive.root.join("files/a"), "1").unwrap();
        ground.job.source = end(&drive.root);
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let root = drive.root.display().to_string();
        let script = if lazily.contains("{}") { lazily.replace("{}", &root) } else { format!("{lazily} {root}") };
        ground.job.sync.hooks.before = Some(hook(&script));
        let report = ground.run();
        assert!(
            matches!(report.conclusion, Conclusion::Interrupted(Interruption::SourceLost(_))),
            "{lazily}: {report:?}"
        );
        assert_eq!(fs::read(ground.destination.join("a")).unwrap(), b"1");
    }
}

#[test]
fn a_mount_below_the_source_that_goes_away_is_noticed() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::ext4(64);
    let mut ground = Ground::new(SnapshotKind::HardLink);
    let photos = ground.source.join("photos");
    fs::create_dir(&photos).unwrap();
    sh(&format!("mount --bind {} {}; head -c 20000000 /dev/urandom > {0}/big", drive.root.display(), photos.display()));
    ground.job.sync.rsync.bandwidth = Some(10_000_000);
    let (_worker, mut news) = begin(ground.job.clone());
    until_copied(&mut news, 1_000_000);
    sh(&format!("umount -l {}", photos.display()));
    let report = finish(news);
    assert!(
        matches!(
            &report.conclusion,
            Conclusion::Interrupted(Interruption::SourceLost(what)) if what.contains("photos")
        ),
        "{report:?}"
    );
    assert!(ground.snapshots().is_empty());
}

#[test]
fn a_drive_pulled_out_is_an_interruption_though_rsync_is_content() {
    if !crate::needs_root() {
        return;
    }
    for (drive, kind) in [
        (Drive::ext4(64), SnapshotKind::None),
        (Drive::ext4(64), SnapshotKind::HardLink),
        (Drive::btrfs(), SnapshotKind::Btrfs),
    ] {
        let mut ground = Ground::on(&drive, kind);
        local(&mut ground.job.destination).drive = Some(drive.proof());
        ground.write("a", vec![1; 100_000]);
        assert_eq!(ground.run().conclusion, Conclusion::Ok, "{kind:?}");
        ground.write("b", vec![2; 100_000]);
        let (image, device) = (drive.image.display(), &drive.device);
        ground.job.sync.hooks.before = Some(hook(&format!("truncate -s 0 {image}; losetup -c {device}")));
        let report = ground.run();
        assert!(
            matches!(report.conclusion, Conclusion::Interrupted(Interruption::DestinationLost(_))),
            "{kind:?}: {report:?}"
        );
        assert_eq!(report.snapshot, None);
        assert!(report.warnings.is_empty(), "that it is gone says it all: {:?}", report.warnings);
    }
}

#[test]
fn writes_that_were_lost_show_in_the_flush_alone() {
    if !crate::needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        // Nothing is known of the device here, so no proof of it can fail first.
        let drive = Drive::ext4(64);
        let mut ground = Ground::on(&drive, kind);
        ground.write("a", "1");
        assert_eq!(ground.run().conclusion, Conclusion::Ok, "{kind:?}");
        let latest = fs::read_link(ground.latest()).ok();
        ground.write("b", vec![2; 3_000_000]);
        let (image, device) = (drive.image.display(), &drive.device);
        ground.job.sync.hooks.before = Some(hook(&format!("truncate -s 0 {image}; losetup -c {device}")));
        let report = ground.run();
        assert!(
            matches!(
                &report.conclusion,
                Conclusion::Failed(failure) if failure.kind == FailureKind::Io && failure.at == Step::Flush
            ),
            "{kind:?}: {report:?}"
        );
        assert_eq!((report.snapshot, fs::read_link(ground.latest()).ok()), (None, latest));
    }
}

#[test]
fn a_missing_rsync_is_told_and_nothing_is_touched() {
    let ground = Ground::new(SnapshotKind::None);
    ground.write("a", "1");
    let told = crate::kills::run_in(&ground, &["env", "PATH=/nonexistent"]);
    assert!(told.starts_with("skipped") && told.contains("ToolMissing"), "{told}");
    assert_eq!(names(&ground.destination), [".nbkp-dst"]);
}

#[test]
fn another_medium_in_the_drive_is_not_touched() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::ext4(16);
    let mut ground = Ground::on(&drive, SnapshotKind::None);
    let mut proof = drive.proof();
    proof.disk_seq = proof.disk_seq.map(|number| number + 1);
    local(&mut ground.job.destination).drive = Some(proof);
    assert_eq!(skipped(&ground), ["destination-volume-absent"]);
    ground.job.destination = end(ground.place.path());
    local(&mut ground.job.destination).root = drive.root.clone();
    assert_eq!(skipped(&ground), ["destination-volume-absent"]);
}

#[test]
fn a_chain_reads_the_newest_snapshot_and_nothing_half_done() {
    let first = Ground::new(SnapshotKind::HardLink);
    first.write("a", "1");
    let second = after(&first);
    let early = run(second.job.clone());
    assert!(
        matches!(
            &early.conclusion,
            Conclusion::Skipped(all) if matches!(all.as_slice(), [Obstacle::NoSnapshotYet { .. }])
        ),
        "{early:?}"
    );
    assert_eq!(first.run().conclusion, Conclusion::Ok);
    fs::create_dir(first.destination.join("snapshots/.inprogress-2099-01-01T00:00:00.000Z")).unwrap();
    assert_eq!(run(second.job.clone()).conclusion, Conclusion::Ok);
    assert_eq!(names(&second.destination), [".nbkp", ".nbkp-dst", "a"]);
    fs::remove_file(first.latest()).unwrap();
    symlink("/etc", first.latest()).unwrap();
    let hostile = run(second.job.clone());
    assert!(
        matches!(
            &hostile.conclusion,
            Conclusion::Skipped(all) if matches!(all.as_slice(), [Obstacle::DirectoryMissing { .. }])
        ),
        "{hostile:?}"
    );
    assert!(!matches!(
        hostile.conclusion,
        Conclusion::Skipped(all)
            if matches!(all.first(), Some(Obstacle::Sentinel { fault: SentinelFault::Missing, .. }))
    ));
}

// Without a journal, and with its blocks written before the files that hold them are, it loses content in silence.
const SILENT: &str = "mkfs.ext4 -q -m 0 -N 512 -O ^has_journal -E nodiscard";

/// A drive that claims more room than it has takes data and loses it later. The kernel tells of it once, and goes on
/// showing what is lost for as long as it remembers it.
#[test]
fn what_a_failed_flush_lost_is_copied_again_though_it_looks_unchanged() {
    if !crate::needs_root() {
        return;
    }
    for (mkfs, kind) in [
        (SILENT, SnapshotKind::None),
        (SILENT, SnapshotKind::HardLink),
        ("mkfs.btrfs -q -m single", SnapshotKind::Btrfs),
    ] {
        let thin = Thin::new(24);
        let drive = thin.drive(mkfs, 120);
        if kind != SnapshotKind::Btrfs {
            sh(&format!("mount -o remount,nodioread_nolock {}", drive.root.display()));
        }
        let ground = Ground::on(&drive, kind);
        let source = ground.source.display().to_string();
        ground.write("small", "1");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        sh(&format!("for n in $(seq 40); do head -c 1000000 /dev/urandom > {source}/$n; done"));
        let first = ground.run();
        assert!(matches!(first.conclusion, Conclusion::Failed(_)), "{kind:?}: {first:?}");
        thin.grow(200);
        if kind == SnapshotKind::Btrfs {
            // It went read-only when it met the error.
            drive.mount_again();
        }
        let mut job = ground.job.clone();
        job.destination = end(&drive.root);
        // The next run may still be told of a write that was lost after the first had heard enough.
        let mended = (0..3).any(|_| run(job.clone()).conclusion == Conclusion::Ok);
        assert!(mended, "{kind:?}: {:?}", run(job));
        drive.mount_again();
        let copy = if kind == SnapshotKind::None { ground.destination.clone() } else { ground.latest() };
        sh(&format!("for n in $(seq 40); do cmp {source}/$n {}/$n; done", copy.display()));
    }
}

/// A configuration cannot tell where drives will be mounted.
#[test]
fn a_drive_mounted_inside_the_other_end_is_neither_copied_into_itself_nor_deleted() {
    if !crate::needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink, SnapshotKind::Btrfs] {
        let drive = Drive::btrfs();
        let mut ground = Ground::on(&drive, kind);
        let below = ground.source.join("mnt/a [drive] *");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.with_file_name("kept"), "x").unwrap();
        sh(&format!("mount --bind {} '{}'", drive.root.display(), below.display()));
        ground.job.destination = end(&below);
        let reports: Vec<_> = (0..3).map(|_| ground.run()).collect();
        let copy = if kind == SnapshotKind::None { ground.destination.clone() } else { ground.latest() };
        let copied = names(&copy.join("mnt/a [drive] */copies"));
        sh(&format!("umount -l '{}'", below.display()));
        assert!(reports.iter().all(|report| report.conclusion == Conclusion::Ok), "{kind:?}: {reports:?}");
        assert_eq!(names(&copy.join("mnt")), ["a [drive] *", "kept"], "{kind:?}");
        assert!(copied.is_empty(), "{kind:?}: copied into itself: {copied:?}");
    }
    let drive = Drive::ext4(16);
    let mut ground = Ground::new(SnapshotKind::None);
    sh(&format!("cp -a {}/. {}", local_of(&ground.job.source).root.display(), drive.root.display()));
    fs::write(drive.root.join("files/only"), "x").unwrap();
    let below = ground.destination.join("usb");
    fs::create_dir(&below).unwrap();
    sh(&format!("mount --bind {} {}", drive.root.display(), below.display()));
    ground.job.source = end(&below);
    let report = ground.run();
    sh(&format!("umount -l {}", below.display()));
    assert!(
        matches!(
            &report.conclusion,
            Conclusion::Skipped(all) if matches!(all.as_slice(), [Obstacle::DirectoryMissing { .. }])
        ),
        "{report:?}"
    );
    assert!(drive.root.join("files/only").exists());
}
