//! Snapshots by btrfs.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nbkp::model::{Conclusion, KeepRules, Obstacle, Retention, SnapshotKind};

use crate::rig::{Drive, Ground, local, names, sh};

#[test]
fn snapshots_are_read_only_complete_and_pruned() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let mut ground = Ground::on(&drive, SnapshotKind::Btrfs);
    local(&mut ground.job.destination).drive = Some(drive.proof());
    ground.job.sync.keep = Retention::Rules(KeepRules { last: 2, ..KeepRules::default() });
    let mut made = Vec::new();
    for content in ["1", "22", "333"] {
        ground.write("sub/a", content);
        let report = ground.run();
        assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()));
        made.push(report.snapshot.unwrap().to_string());
    }
    assert_eq!(ground.snapshots(), [made[1].clone(), made[2].clone()]);
    let shelf = ground.destination.join("snapshots");
    assert_eq!(fs::read(shelf.join(&made[1]).join("sub/a")).unwrap(), b"22");
    assert!(fs::write(shelf.join(&made[1]).join("sub/a"), "x").is_err(), "a snapshot can be written");
    assert_eq!(fs::read(ground.latest().join("sub/a")).unwrap(), b"333");
    assert_eq!(names(&ground.destination.join(".nbkp")), ["lock", "log.jsonl"]);
}

#[test]
fn a_small_edit_in_a_big_file_costs_a_small_snapshot() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let ground = Ground::on(&drive, SnapshotKind::Btrfs);
    let big = ground.source.join("big");
    sh(&format!("head -c 60000000 /dev/urandom > {}", big.display()));
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!("printf changed | dd of={} bs=1 seek=30000000 conv=notrunc 2>/dev/null", big.display()));
    let second = ground.run();
    assert_eq!(second.conclusion, Conclusion::Ok);
    assert!(second.figures.bytes_transferred < 100_000, "{:?}", second.figures);
    let used = sh(&format!("sync -f {0}; btrfs filesystem du --raw -s {0} | tail -1", drive.root.display()));
    let exclusive: u64 = used.split_whitespace().next().unwrap().parse().unwrap();
    assert!(exclusive > 0, "{used}");
    let available = sh(&format!("df --output=used -B1 {} | tail -1", drive.root.display()));
    assert!(available.trim().parse::<u64>().unwrap() < 90_000_000, "{available}");
}

#[test]
fn names_that_were_one_file_and_are_not_any_more_have_their_own_contents() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let mut ground = Ground::on(&drive, SnapshotKind::Btrfs);
    ground.job.sync.rsync.kept.hard_links = true;
    ground.write("a", "one file");
    fs::hard_link(ground.source.join("a"), ground.source.join("b")).unwrap();
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let inode = |name: &str| fs::metadata(ground.latest().join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("b"));
    // As editors save: a new file under the old name.
    ground.write("a.new", "another file by now");
    fs::rename(ground.source.join("a.new"), ground.source.join("a")).unwrap();
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    for (name, content) in [("a", "another file by now"), ("b", "one file")] {
        assert_eq!(fs::read_to_string(ground.latest().join(name)).unwrap(), content);
    }
    let first = &ground.snapshots()[0];
    assert_eq!(fs::read(ground.destination.join("snapshots").join(first).join("a")).unwrap(), b"one file");
}

#[test]
fn a_held_run_makes_no_snapshot_and_forgets_nothing() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let mut ground = Ground::on(&drive, SnapshotKind::Btrfs);
    for number in 0..40 {
        ground.write(&format!("f{number}"), "x");
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!("cd {}; rm f1* f2*", ground.source.display()));
    for _ in 0..2 {
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)));
        assert_eq!(ground.snapshots().len(), 1);
        assert!(ground.destination.join(".nbkp/staging.dirty").exists());
    }
    let held = ground.run().conclusion;
    ground.approve(&held);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(names(&ground.latest()).len(), 18);
}

#[test]
fn without_a_subvolume_nothing_is_touched() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::ext4(16);
    let mut ground = Ground::on(&drive, SnapshotKind::None);
    ground.job.sync.snapshots = SnapshotKind::Btrfs;
    fs::create_dir(ground.destination.join("staging")).unwrap();
    let report = ground.run();
    assert!(
        matches!(&report.conclusion, Conclusion::Skipped(all) if matches!(all.as_slice(), [Obstacle::NotBtrfs { .. }])),
        "{report:?}"
    );
    assert_eq!(names(&ground.destination), [".nbkp-dst", "staging"]);
}

#[test]
fn an_ordinary_user_makes_and_prunes_snapshots_of_his_own() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let ground = Ground::on(&drive, SnapshotKind::Btrfs);
    ground.write("sub/a", "1");
    sh(&format!("chown -R 65534:65534 {} {}", ground.place.path().display(), drive.root.display()));
    let mut told = String::new();
    for content in ["1", "22", "333"] {
        ground.write("sub/a", content);
        told = crate::kills::run_as_nobody(&ground);
        assert!(told.starts_with("ok"), "{told}");
    }
    // `keep` is one snapshot there; without `user_subvol_rm_allowed` the owner empties what he may not delete.
    assert_eq!(ground.snapshots().len(), 1, "{told}");
    assert_eq!(fs::read(ground.latest().join("sub/a")).unwrap(), b"333");
    assert_eq!(names(&ground.destination.join("snapshots")).len(), 1, "{told}");
}

#[test]
fn a_file_that_lets_nobody_write_is_updated_for_an_ordinary_user() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let ground = Ground::on(&drive, SnapshotKind::Btrfs);
    let source = ground.source.display().to_string();
    sh(&format!("chown -R 65534:65534 {}", drive.root.display()));
    for content in ["old", "new content"] {
        sh(&format!("cd {source}; rm -f f gone; echo '{content}' >f; echo x >'{content}'; chmod 444 f"));
        sh(&format!("chown -R 65534:65534 {}", ground.place.path().display()));
        let told = crate::kills::run_as_nobody(&ground);
        assert!(told.starts_with("ok"), "{told}");
        assert_eq!(sh(&format!("diff -r -x .nbkp-src {source} {}/", ground.latest().display())), "", "{told}");
    }
    // What is deleted is judged and goes, though a file was written beside its old one.
    sh(&format!("cd {source}; rm -f f old; echo third >f; chmod 444 f; chown 65534:65534 f"));
    let told = crate::kills::run_as_nobody(&ground);
    assert_eq!(names(&ground.latest()), ["f", "new content"], "{told}");
    assert_eq!(fs::read(ground.latest().join("f")).unwrap(), b"third\n", "{told}");
}
