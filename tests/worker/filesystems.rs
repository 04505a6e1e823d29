//! Destinations that keep less than ext4 does: exFAT, NTFS, and directories of others by FUSE.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nbkp::backup::errands::preview::preview;
use nbkp::model::{Conclusion, FailureKind, Obstacle, ObstacleCode, SnapshotKind};
use nbkp::os::ssh::SshPlace;

use crate::rig::{Drive, Ground, names, sh};

/// A directory that is seen through FUSE.
struct Fuse {
    place: tempfile::TempDir,
    root: PathBuf,
}

impl Fuse {
    fn new(mount: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (behind, root) = (place.path().join("behind"), place.path().join("root"));
        fs::create_dir(&behind).unwrap();
        fs::create_dir(&root).unwrap();
        let fuse = Self { place, root };
        let command = mount.replace("BEHIND", &behind.display().to_string()).replace("PLACE", &fuse.shown());
        sh(&format!("{command} {}", fuse.root.display()));
        fuse
    }

    /// As a mirror through another program.
    fn bindfs() -> Self {
        Self::new("bindfs BEHIND")
    }

    /// As a directory of a server, without the server.
    fn sshfs() -> Self {
        Self::new(
            "printf '#!/bin/sh\\nexec /usr/lib/openssh/sftp-server\\n' >PLACE/ssh; chmod +x PLACE/ssh; \
             sshfs -o ssh_command=PLACE/ssh none:BEHIND",
        )
    }

    fn shown(&self) -> String {
        self.place.path().display().to_string()
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        sh(&format!("umount -l {}", self.root.display()));
    }
}

#[test]
fn a_snapshot_gets_its_name_where_none_can_be_taken_at_one_stroke() {
    if !crate::needs_root() {
        return;
    }
    let (bindfs, sshfs) = (Fuse::bindfs(), Fuse::sshfs());
    let ntfs = Drive::of_type("mkfs.ntfs -F -Q", 64, "ntfs-3g");
    let behind = |fuse: &Fuse| fuse.place.path().join("behind");
    for (root, behind) in
        [(&bindfs.root, behind(&bindfs)), (&sshfs.root, behind(&sshfs)), (&ntfs.root, ntfs.root.clone())]
    {
        let ground = Ground::below(root, SnapshotKind::HardLink);
        ground.write("same", "1");
        ground.write("other", "1");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        ground.write("other", "22");
        let second = ground.run();
        assert_eq!((second.conclusion, second.figures.files_transferred), (Conclusion::Ok, 1));
        let shelf = ground.destination.join("snapshots");
        assert_eq!(names(&shelf).len(), 2, "{:?}", names(&shelf));
        assert_eq!(fs::metadata(behind.join("copies/latest/same")).unwrap().nlink(), 2);
        assert_eq!(fs::read(ground.latest().join("other")).unwrap(), b"22");
    }
}

#[test]
fn one_entry_of_a_type_that_is_not_there_stops_no_snapshot() {
    if !crate::needs_root() {
        return;
    }
    let fuse = Fuse::sshfs();
    let ground = Ground::below(&fuse.root, SnapshotKind::HardLink);
    ground.write("kept", "1");
    sh(&format!("mkfifo {}/pipe", ground.source.display()));
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    assert!(report.warnings.concat().contains("pipe"), "{report:?}");
    assert_eq!(names(&ground.latest()), ["kept"]);
}

#[test]
fn an_unchanged_home_is_not_copied_again_and_shows_no_change() {
    if !crate::needs_root() {
        return;
    }
    let drives = [
        Drive::of_type("mkfs.exfat", 64, "exfat-fuse"),
        Drive::of_type("mkfs.ntfs -F -Q", 64, "ntfs-3g"),
        Drive::of_type("mkfs.ntfs -F -Q", 64, "ntfs-3g -o permissions"),
    ];
    let fuse = Fuse::sshfs();
    for root in drives.iter().map(|drive| drive.root.as_path()).chain([fuse.root.as_path()]) {
        let ground = Ground::below(root, SnapshotKind::None);
        for name in ["odd", "sub/private", "sub/shared"] {
            ground.write(name, name);
        }
        let source = ground.source.display();
        sh(&format!(
            "cd {source}; chmod 600 sub/private; chown -R 1000:1000 sub; \
             touch -d '2026-01-01 12:00:01.123456789' odd sub/* sub ."
        ));
        let first = ground.run();
        assert_eq!((first.conclusion, first.figures.files_transferred), (Conclusion::Ok, 3), "{}", root.display());
        let seen = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
        assert_eq!(seen.changes, [], "{}", root.display());
        let second = ground.run();
        assert_eq!((second.conclusion, second.figures.files_transferred), (Conclusion::Ok, 0), "{}", root.display());
        assert_eq!(second.warnings, Vec::<String>::new(), "{}", root.display());
        ground.write("odd", "new");
        let third = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
        assert!(!third.changes.is_empty() && third.changes.len() <= 2, "{:?}", third.changes);
    }
}

#[test]
fn pipes_and_sockets_leave_nothing_behind_where_there_are_none() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::of_type("mkfs.exfat", 64, "exfat-fuse");
    let ground = Ground::on(&drive, SnapshotKind::None);
    (0..5).for_each(|number| ground.write(&format!("file {number}"), "x"));
    sh(&format!("cd {}; mkfifo pipe; mknod null c 1 3", ground.source.display()));
    for _ in 0..2 {
        let report = ground.run();
        assert_eq!((&report.conclusion, report.figures.deletions), (&Conclusion::Ok, 0), "{:?}", report.warnings);
        let [told] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
        assert!(told.starts_with("2 files") && told.contains("null, pipe") && told.contains("sockets"), "{told}");
        let seen = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
        assert_eq!((seen.changes, seen.warnings.len()), (Vec::new(), 1));
        assert_eq!(
            names(&ground.destination),
            [".nbkp", ".nbkp-dst", "file 0", "file 1", "file 2", "file 3", "file 4"]
        );
    }
}

#[test]
fn names_that_fall_together_are_told_each_time() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::of_type("mkfs.exfat", 64, "exfat-fuse");
    let ground = Ground::on(&drive, SnapshotKind::None);
    for name in ["Readme", "README", "sub/a", "sub/b", "Straße"] {
        ground.write(name, name);
    }
    for _ in 0..2 {
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok);
        let told = report.warnings.concat();
        assert!(told.starts_with("1 files or directories differ from another one only in capital"), "{told}");
        assert!(told.contains(": Readme;") || told.contains(": README;"), "{told}");
    }
    fs::remove_file(ground.source.join("README")).unwrap();
    assert_eq!(ground.run().warnings, Vec::<String>::new());
    let log = fs::read_to_string(ground.destination.join(".nbkp/log.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains("\"standing\":\"good\""), "{log}");
    let copied = |name: &str| fs::read_to_string(ground.destination.join(name)).ok();
    assert_eq!(copied("Readme").as_deref(), Some("Readme"), "what goes is the other name of it");
}

#[test]
fn what_only_changes_its_capitals_stays_in_the_copy() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::of_type("mkfs.exfat", 64, "exfat-fuse");
    let ground = Ground::on(&drive, SnapshotKind::None);
    for name in ["Report", "Photos/a", "Photos/gone", "Photos/Sub/b", "Gone/c"] {
        ground.write(name, name);
    }
    for number in 0..20 {
        ground.write(&format!("stays/{number}"), "x");
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!(
        "cd {}; mv Report report; mv Photos photos; mv photos/Sub photos/SUB; rm -r photos/gone Gone",
        ground.source.display()
    ));
    let seen = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
    assert_eq!(seen.figures.deletions, 3, "{seen:?}");
    let report = ground.run();
    assert_eq!((&report.conclusion, report.figures.deletions), (&Conclusion::Ok, 3), "{report:?}");
    let copied = |name: &str| fs::read_to_string(ground.destination.join(name)).ok();
    for (now, before) in [("report", "Report"), ("photos/a", "Photos/a"), ("photos/SUB/b", "Photos/Sub/b")] {
        assert_eq!(copied(now).as_deref(), Some(before));
    }
    assert_eq!((copied("photos/gone"), copied("Gone/c")), (None, None));
    assert_eq!(ground.run().figures.deletions, 0);
}

#[test]
fn a_source_of_nothing_makes_no_copy() {
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let mut ground = Ground::new(kind);
        let is_empty = |ground: &Ground| {
            let report = ground.run();
            let Conclusion::Skipped(obstacles) = &report.conclusion else { panic!("{kind:?}: {report:?}") };
            assert_eq!(obstacles.iter().map(Obstacle::code).collect::<Vec<_>>(), [ObstacleCode::SourceIsEmpty]);
            assert_eq!(ground.snapshots(), Vec::<String>::new());
        };
        is_empty(&ground);
        ground.write("only", "1");
        ground.job.sync.filters = vec![nbkp::model::Filter::Exclude("*".into())];
        is_empty(&ground);
        ground.job.sync.filters.clear();
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        fs::remove_file(ground.source.join("only")).unwrap();
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)), "what was there is a question");
    }
}

#[test]
fn history_is_refused_where_it_cannot_be_kept() {
    if !crate::needs_root() {
        return;
    }
    for (drive, lack) in [
        (Drive::of_type("mkfs.exfat", 64, "exfat-fuse"), "hard links, symbolic links, names with `:`"),
        (Drive::of_type("mkfs.ntfs -F -Q", 64, "ntfs-3g -o windows_names"), "names with `:`"),
    ] {
        let ground = Ground::on(&drive, SnapshotKind::HardLink);
        ground.write("a", "1");
        let report = ground.run();
        let Conclusion::Failed(failure) = &report.conclusion else { panic!("{report:?}") };
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert!(failure.to_string().contains(lack) && failure.to_string().contains("`snapshots`"), "{failure}");
        assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst"]);
    }
}
