//! Power cuts: the image of a drive is cloned in the middle of a run, and the clone is what was on the disk then.

use std::fs;
use std::time::Duration;

use nbkp::model::{Conclusion, KeepRules, Retention, SnapshotKind};

use crate::kills::{Tree, check, tree};
use crate::rig::{Drive, Ground, begin, end, finish, run, sh};

/// So many cuts are tried on each filesystem; more by hand with `NBKP_TEST_CUTS`.
const CUTS: u64 = 12;

#[expect(clippy::disallowed_methods, reason = "the number of cuts is the caller's choice")]
fn cuts() -> u64 {
    std::env::var("NBKP_TEST_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(CUTS)
}

fn cut(mkfs: &str, megabytes: u32, kind: SnapshotKind) {
    let host = Drive::new("mkfs.btrfs -q", 1024);
    let place = tempfile::tempdir().unwrap();
    let (image, root) = (host.root.join("image"), place.path().join("root"));
    fs::create_dir(&root).unwrap();
    sh(&format!("truncate -s {megabytes}M {0}; {mkfs} {0} >/dev/null 2>&1", image.display()));
    let drive = Drive::mounted(image.clone(), root, place);
    let mut ground = Ground::on(&drive, kind);
    ground.job.sync.keep = Retention::Rules(KeepRules { last: 2, ..KeepRules::default() });
    sh(&format!("sync -f {}", drive.root.display()));
    let mut trees: Vec<Tree> = Vec::new();
    for round in 0..cuts() {
        for number in 0..30 {
            ground.write(&format!("d{}/f{number}", number % 3), format!("{round:>4000}"));
        }
        ground.write(&format!("new/{round}"), "x");
        trees.push(tree(&ground.source));
        let (_worker, news) = begin(ground.job.clone());
        // Not to wait for anything: the cut comes when it comes.
        std::thread::sleep(Duration::from_millis(round.wrapping_mul(37) % 90));
        let clone = host.root.join(format!("clone{round}"));
        sh(&format!("cp --reflink=always {} {}", image.display(), clone.display()));
        assert_eq!(finish(news).conclusion, Conclusion::Ok);
        check(&ground, &trees, "the drive itself");

        let elsewhere = tempfile::tempdir().unwrap();
        let root = elsewhere.path().join("root");
        fs::create_dir(&root).unwrap();
        // The kernel mounts a clone of a btrfs filesystem under a UUID of its own.
        let after = Drive::mounted(clone.clone(), root, elsewhere);
        let mut job = ground.job.clone();
        job.destination = end(&after.root);
        let copies = after.root.join("copies");
        let what = format!("{kind:?}: cut {round}");
        let view = Ground { destination: copies.clone(), ..Ground::on(&after, SnapshotKind::None) };
        check(&view, &trees, &what);
        let report = run(job);
        assert_eq!(report.conclusion, Conclusion::Ok, "{what}: {report:?}");
        assert_eq!(&tree(&copies.join("latest")), trees.last().unwrap(), "{what}");
        drop(view);
        drop(after);
        fs::remove_file(clone).unwrap();
    }
}

#[test]
fn no_power_cut_shows_half_a_copy_on_ext4() {
    if crate::needs_root() {
        cut("mkfs.ext4 -q -m 0", 64, SnapshotKind::HardLink);
    }
}

#[test]
fn no_power_cut_shows_half_a_copy_on_btrfs() {
    if crate::needs_root() {
        cut("mkfs.btrfs -q", 160, SnapshotKind::Btrfs);
    }
}
