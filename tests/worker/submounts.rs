//! What is mounted below a source, was there at the last good run, and is not now.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::kills::tree;
use crate::rig::{Drive, Ground, hook, sh};
use nbkp::backup::errands::preview::preview;
use nbkp::model::{Conclusion, Filter, Guard, HoldReason, MountsBelow, SnapshotKind};
use nbkp::os::ssh::SshPlace;

/// A filesystem, for as long as this lives.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn on(point: &'a Path) -> Self {
        fs::create_dir_all(point).unwrap();
        sh(&format!(
            "mount -t tmpfs none '{0}'; cd '{0}'; for i in 1 2 3; do echo $i >picture$i; done",
            point.display()
        ));
        Self(point)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        sh(&format!("umount '{}'", self.0.display()));
    }
}

fn pictures() -> BTreeSet<PathBuf> {
    [PathBuf::from("my pictures")].into()
}

fn incomplete() -> HoldReason {
    HoldReason::SourceIncomplete { missing: pictures() }
}

#[test]
fn what_was_mounted_and_is_missing_holds_every_kind_of_copy_before_it_is_touched() {
    if !crate::needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink, SnapshotKind::Btrfs] {
        let drive = (kind == SnapshotKind::Btrfs).then(Drive::btrfs);
        let mut ground = drive.as_ref().map_or_else(|| Ground::new(kind), |drive| Ground::on(drive, kind));
        for number in 0..100 {
            ground.write(&format!("f{number}"), "x");
        }
        // What lies below the mount is not what was copied, though it has the same name.
        ground.write("my pictures/picture1", "a placeholder");
        let point = ground.source.join("my pictures");
        let mounted = Mounted::on(&point);
        let first = ground.run();
        assert_eq!((&first.conclusion, first.submounts), (&Conclusion::Ok, Some(pictures())), "{kind:?}");
        ground.job.submounts = pictures();
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        drop(mounted);
        let copy = if kind == SnapshotKind::None { ground.destination.clone() } else { ground.latest() };
        let (whole, finished) = (tree(&copy), ground.snapshots());
        for _ in 0..2 {
            let held = ground.run();
            assert_eq!(held.conclusion, Conclusion::Held(incomplete()), "{kind:?}");
            assert_eq!((tree(&copy), ground.snapshots()), (whole.clone(), finished.clone()), "{kind:?}");
            let preview = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
            assert_eq!(preview.hold, Some(incomplete()), "{kind:?}");
        }
        {
            let _mounted = Mounted::on(&point);
            assert_eq!(ground.run().conclusion, Conclusion::Ok, "{kind:?}: it is there again");
        }
        // A person said that it is gone for good.
        ground.job.submounts = BTreeSet::new();
        let last = ground.run();
        assert_eq!((&last.conclusion, last.submounts), (&Conclusion::Ok, Some(BTreeSet::new())), "{kind:?}");
        assert!(!copy_of(&ground).join("my pictures/picture2").exists());
    }
}

fn copy_of(ground: &Ground) -> PathBuf {
    if ground.job.sync.snapshots == SnapshotKind::None { ground.destination.clone() } else { ground.latest() }
}

#[test]
fn a_mount_of_which_nothing_was_copied_is_not_missed() {
    if !crate::needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let mut ground = Ground::new(kind);
        ground.write("a", "x");
        let point = ground.source.join("my pictures");
        let rules: [fn(&mut Ground); 2] = [
            |ground| ground.job.sync.mounts = MountsBelow::LeftOut,
            |ground| ground.job.sync.filters = vec![Filter::Exclude("/my pictures/*".into())],
        ];
        for rule in rules {
            rule(&mut ground);
            let mounted = Mounted::on(&point);
            assert_eq!(ground.run().conclusion, Conclusion::Ok);
            drop(mounted);
            ground.job.submounts = pictures();
            let report = ground.run();
            assert_eq!((report.conclusion, report.submounts), (Conclusion::Ok, Some(BTreeSet::new())), "{kind:?}");
            ground.job.sync.mounts = MountsBelow::Copied;
        }
    }
}

#[test]
fn what_a_hook_mounts_before_a_run_is_what_is_copied() {
    if !crate::needs_root() {
        return;
    }
    let mut ground = Ground::new(SnapshotKind::None);
    ground.write("a", "x");
    let point = ground.source.join("my pictures");
    fs::create_dir(&point).unwrap();
    ground.job.sync.hooks.before = Some(hook(&format!("mount -t tmpfs none '{0}'; touch '{0}/b'", point.display())));
    ground.job.sync.hooks.after = Some(hook(&format!("umount '{}'", point.display())));
    ground.job.submounts = pictures();
    for _ in 0..2 {
        let report = ground.run();
        assert_eq!((report.conclusion, report.submounts), (Conclusion::Ok, Some(pictures())));
    }
    assert!(ground.destination.join("my pictures/b").exists());
}

#[test]
fn what_cannot_be_looked_at_hides_no_loss() {
    if !crate::needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let mut ground = Ground::new(kind);
        // A link that leads nowhere, where links are followed, is looked at in vain by root, too.
        ground.job.sync.rsync.extra_options = vec!["--copy-links".into()];
        for number in 0..100 {
            ground.write(&format!("f{number}"), "x");
        }
        ground.write("a/kept", "x");
        std::os::unix::fs::symlink("nowhere", ground.source.join("a/lock")).unwrap();
        let point = ground.source.join("my pictures");
        let mounted = Mounted::on(&point);
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        ground.job.submounts = pictures();
        drop(mounted);
        let seen = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
        for hold in [seen.hold.map(Conclusion::Held), Some(ground.run().conclusion)] {
            let is_held = matches!(&hold, Some(Conclusion::Held(HoldReason::SourceIncomplete { .. })));
            assert!(is_held, "{kind:?} {hold:?}");
        }
        assert!(copy_of(&ground).join("my pictures").read_dir().unwrap().next().is_some(), "{kind:?}");
    }
}

#[test]
fn what_was_a_link_and_is_left_out_now_stays_out() {
    if !crate::needs_root() {
        return;
    }
    let crossing = |rule: &dyn Fn(&mut Ground), name: &str, mount: bool| {
        let mut ground = Ground::new(SnapshotKind::HardLink);
        rule(&mut ground);
        ground.write("keep", "x");
        ground.write("node_modules/p", "x");
        let path = ground.source.join(name);
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        fs::remove_file(&path).unwrap();
        let mounted = mount.then(|| Mounted::on(&path));
        if mounted.is_none() {
            ground.write(&format!("{name}/inside"), "x");
            ground.job.sync.filters = vec![Filter::Exclude("node_modules/".into())];
            ground.job.sync.guard = Guard::Off;
        }
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
        sh(&format!("cd {}/; find {name} 2>/dev/null | wc -l", ground.latest().display()))
    };
    assert_eq!(crossing(&|_| {}, "node_modules/link", false), "0");
    // The directory alone, as rsync keeps it.
    assert_eq!(crossing(&|ground| ground.job.sync.mounts = MountsBelow::LeftOut, "mnt", true), "1");
}
