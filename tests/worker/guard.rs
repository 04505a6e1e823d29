//! The guard: what is deleted is what was judged.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::kills::{run_in, tree};
use crate::rig::{Drive, Ground, names, sh};
use nbkp::backup::errands::preview::preview;
use nbkp::backup::job::Remembered;
use nbkp::model::{Conclusion, Filter, HoldReason, SnapshotKind};
use nbkp::os::ssh::SshPlace;

/// An rsync after whose dry runs the source is emptied.
fn emptying_rsync(ground: &Ground) -> String {
    let place = ground.place.path().join("bin");
    fs::create_dir(&place).unwrap();
    let real = sh("command -v rsync");
    let (go, file) = (ground.destination.join(".nbkp/go"), ground.source.join("f2"));
    let script = format!(
        "#!/bin/sh\n{real} \"$@\"\ncode=$?\ncase \" $* \" in *' --dry-run '*)\n\
         go={} file={}\n\
         [ -e $file ] || go=/destination/.nbkp/go file=/source/f2\n\
         touch $go; while [ -e $file ]; do sleep 0.02; done ;;\nesac\nexit $code\n",
        go.display(),
        file.display()
    );
    fs::write(place.join("rsync"), script).unwrap();
    fs::set_permissions(place.join("rsync"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("PATH={}:{}", place.display(), sh("echo $PATH"))
}

#[test]
fn what_the_source_loses_after_the_judgement_stays() {
    for number in [10, 200] {
        let ground = Ground::new(SnapshotKind::None);
        for number in 1..=number {
            ground.write(&format!("f{number}"), "x");
        }
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        fs::remove_file(ground.source.join("f1")).unwrap();
        let path = emptying_rsync(&ground);
        let (go, source) = (ground.destination.join(".nbkp/go"), ground.source.clone());
        let emptying = std::thread::spawn(move || {
            let is_called = (0..12_000).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(5));
                go.exists()
            });
            assert!(is_called, "rsync was not called within a minute");
            sh(&format!("rm {}/f*", source.display()));
        });
        let report = run_in(&ground, &["env", &path]);
        emptying.join().unwrap();
        assert!(report.starts_with("ok"), "{report}");
        let left = names(&ground.destination);
        assert_eq!(left.iter().filter(|name| name.starts_with('f')).count(), number - 1, "{left:?}");
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)));
    }
}

/// Makes a tree in the shell, whatever its names.
fn odd_names(place: &Path) {
    for name in [
        &b"new\nline"[..],
        b"\xff\xfe",
        b"-rf",
        b"#hash",
        b";semi",
        b"a -> ",
        b"back\\#012",
        b"back\\#+12",
        b"\\#+56nbkp-dst",
        b"*",
        b"[a]",
        b" lead",
    ] {
        let name = OsString::from_vec(name.to_vec());
        fs::create_dir_all(place.join("odd").join(&name)).unwrap();
        fs::write(place.join("odd").join(&name).join(&name), "x").unwrap();
        fs::write(place.join(name), "x").unwrap();
    }
}

#[test]
fn it_deletes_exactly_what_rsync_would() {
    let mut ground = Ground::new(SnapshotKind::None);
    ground.job.sync.filters = vec![
        Filter::Rule("P kept*".into()),
        Filter::Exclude("*.tmp".into()),
        Filter::Exclude("/excluded/".into()),
        Filter::DirMerge(".rules".into()),
    ];
    for number in 0..200 {
        ground.write(&format!("stays/{number}"), "x");
    }
    ground.write("turns/deep/into/a/file", "x");
    ground.write("also", "turns into a directory");
    ground.write("merged/.rules", "P mine\n");
    for name in ["merged/mine", "merged/yours", "half/deep/kept", "half/deep/gone", "half/empty/gone", "locked/gone"] {
        ground.write(name, "x");
    }
    odd_names(&ground.source);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let (from, to) = (ground.source.clone(), ground.destination.clone());
    let (from, to) = (from.display(), to.display());
    sh(&format!(
        "cd {to}; echo x >old.tmp; mkdir -p excluded/below half/.rsync-partial; mkdir .rsync-partial; \
         echo x >excluded/below/x; echo x >half/.rsync-partial/x; ln -s stays link; mkfifo pipe; \
         chmod 0555 locked; cp -a . {to}-plain; \
         cd {from}; rm -r odd turns also merged/mine merged/yours half locked/gone; \
         find . -maxdepth 1 -type f -delete; touch .nbkp-src; mkdir also; echo x >also/x; echo x >turns; \
         echo x >new.tmp; chmod 0555 locked; \
         rsync -a --delete-delay --delete-excluded --partial-dir=.rsync-partial --filter='Pp .rsync-partial/' \
         --filter='H .nbkp*' --filter='P .nbkp*' --filter='P kept*' --filter='- *.tmp' --filter='- /excluded/' \
         --filter=': .rules' . {to}-plain/"
    ));
    let first = ground.run().conclusion;
    if first != Conclusion::Ok {
        ground.approve(&first);
    }
    let report = ground.run();
    assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()), "{report:?}");
    sh(&format!("diff -r --no-dereference --exclude='.nbkp*' {to} {to}-plain"));
    assert!(tree(&ground.destination).contains_key(Path::new("half/deep/kept")));
    assert_eq!(sh(&format!("stat -c %a {to}/locked")), "555");
    assert_eq!(ground.run().figures.deletions, 0);
}

#[test]
fn a_user_deletes_in_directories_that_forbid_it_and_is_told_of_what_stays() {
    if !crate::needs_root() {
        return;
    }
    let ground = Ground::new(SnapshotKind::None);
    for number in 0..40 {
        ground.write(&format!("stays/{number}"), "x");
    }
    ground.write("locked/a/b", "x");
    ground.write("foreign/a", "x");
    let place = ground.place.path().display();
    sh(&format!("chmod 0555 {0}/locked/a {0}/locked; chown -R 65534:65534 {place}", ground.source.display()));
    assert!(crate::kills::run_as_nobody(&ground).starts_with("ok"));
    sh(&format!(
        "cd {}; rm -r locked/a foreign/a; chown 0:0 {}/foreign",
        ground.source.display(),
        ground.destination.display()
    ));
    let report = crate::kills::run_as_nobody(&ground);
    assert!(report.starts_with("failed") && report.contains("could not be deleted at the destination: "), "{report}");
    assert!(!ground.destination.join("locked/a").exists() && ground.destination.join("foreign/a").exists());
    assert_eq!(sh(&format!("stat -c %a {}/locked", ground.destination.display())), "555");
}

#[test]
fn files_that_are_cut_down_are_held_and_stay_what_they_were() {
    let kinds: &[SnapshotKind] = if crate::needs_root() {
        &[SnapshotKind::None, SnapshotKind::HardLink, SnapshotKind::Btrfs]
    } else {
        &[SnapshotKind::None, SnapshotKind::HardLink]
    };
    for kind in kinds.iter().copied() {
        let drive = (kind == SnapshotKind::Btrfs).then(Drive::btrfs);
        let mut ground = drive.as_ref().map_or_else(|| Ground::new(kind), |drive| Ground::on(drive, kind));
        for number in 0..100 {
            ground.write(&format!("d{}/f{number}", number % 7), [7; 3000]);
        }
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let copy = if kind == SnapshotKind::None { ground.destination.clone() } else { ground.latest() };
        let (whole, finished) = (tree(&copy), ground.snapshots());
        for number in 0..60 {
            ground.write(&format!("d{}/f{number}", number % 7), &[1_u8; 100][..if number % 2 == 0 { 0 } else { 100 }]);
        }
        // An unfinished copy is no way around it.
        for _ in 0..2 {
            let held = ground.run().conclusion;
            let Conclusion::Held(reason) = held else { panic!("{kind:?}: {held:?}") };
            let HoldReason::CutDown { paths, of: 100, allowed_percent: 25, against } = &reason else {
                panic!("{kind:?}: {reason:?}")
            };
            assert_eq!((paths.count(), against.is_some()), (60, kind == SnapshotKind::HardLink), "{kind:?}");
            assert_eq!((tree(&copy), ground.snapshots()), (whole.clone(), finished.clone()), "{kind:?}");
            let preview = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
            let Some(HoldReason::CutDown { paths: shown, .. }) = &preview.hold else { panic!("{kind:?}: {preview:?}") };
            assert_eq!(shown, paths, "{kind:?}");
        }
        let held = ground.run().conclusion;
        ground.approve(&held);
        ground.job.approved = ground.job.approved_cuts.take();
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)), "deletions were approved, not this");
        ground.job.approved = None;
        ground.approve(&held);
        // As many others are others.
        ground.write("d0/f0", [7; 3000]);
        ground.write("d5/f61", "");
        let others = ground.run().conclusion;
        assert!(matches!(others, Conclusion::Held(HoldReason::CutDown { .. })), "{kind:?}: {others:?}");
        ground.write("d5/f61", [7; 3000]);
        assert_eq!(ground.run().conclusion, Conclusion::Ok, "{kind:?}: some of what was shown");
        assert_eq!(tree(&copy), tree(&ground.source));
    }
}

#[test]
fn what_is_approved_is_what_was_shown_and_no_other_deletions() {
    let kinds: &[SnapshotKind] = if crate::needs_root() {
        &[SnapshotKind::None, SnapshotKind::HardLink, SnapshotKind::Btrfs]
    } else {
        &[SnapshotKind::None, SnapshotKind::HardLink]
    };
    for kind in kinds.iter().copied() {
        let drive = (kind == SnapshotKind::Btrfs).then(Drive::btrfs);
        let mut ground = drive.as_ref().map_or_else(|| Ground::new(kind), |drive| Ground::on(drive, kind));
        for number in 0..100 {
            ground.write(&format!("f{number}"), "x");
        }
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let copy = if kind == SnapshotKind::None { ground.destination.clone() } else { ground.latest() };
        for number in 0..60 {
            fs::remove_file(ground.source.join(format!("f{number}"))).unwrap();
        }
        let held = ground.run().conclusion;
        ground.approve(&held);
        let preview = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
        assert_eq!(preview.hold, None, "{kind:?}: it was allowed");
        // One that was shown is there again, and another is gone.
        ground.write("f0", "x");
        fs::remove_file(ground.source.join("f99")).unwrap();
        let others = ground.run().conclusion;
        assert!(matches!(others, Conclusion::Held(HoldReason::Deletions { .. })), "{kind:?}: {others:?}");
        assert!(copy.join("f1").exists() && copy.join("f99").exists(), "{kind:?}");
        // Some of what was shown.
        ground.write("f99", "x");
        assert_eq!(ground.run().conclusion, Conclusion::Ok, "{kind:?}");
        assert_eq!(tree(&copy), tree(&ground.source), "{kind:?}");
    }
}

#[test]
fn what_lay_there_before_the_first_copy_stays_until_a_word() {
    let mut ground = Ground::new(SnapshotKind::None);
    for number in 0..40 {
        ground.write(&format!("f{number}"), "x");
    }
    let (from, to) = (ground.source.display().to_string(), ground.destination.display().to_string());
    sh(&format!("cp -a {from}/f* {to}; echo mine >{to}/mine; mkdir {to}/also; echo mine >{to}/also/mine"));
    let seen = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap().hold;
    for _ in 0..2 {
        let held = ground.run().conclusion;
        let Conclusion::Held(reason @ HoldReason::Deletions { .. }) = &held else { panic!("{held:?}") };
        assert_eq!(seen.as_ref(), Some(reason));
        assert!(reason.to_string().contains("3 of 43 files") && reason.to_string().contains("before"), "{reason}");
        assert!(ground.destination.join("also/mine").exists());
    }
    let held = ground.run().conclusion;
    ground.approve(&held);
    assert_eq!((ground.run().conclusion, ground.destination.join("mine").exists()), (Conclusion::Ok, false));
    ground.job.approved = None;
    // From then on it is a copy like any other.
    sh(&format!("rm {from}/f1"));
    assert_eq!((ground.run().conclusion, ground.destination.join("f1").exists()), (Conclusion::Ok, false));
}

#[test]
fn that_all_was_replaced_is_told_and_holds_nothing() {
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let ground = Ground::new(kind);
        for number in 0..40 {
            ground.write(&format!("f{number}"), [7; 300]);
        }
        assert_eq!(ground.run().warnings, Vec::<String>::new());
        for number in 0..30 {
            ground.write(&format!("f{number}"), [8; 301]);
        }
        let report = ground.run();
        let told = vec!["30 of 40 files have another content than before".to_owned()];
        assert_eq!((report.conclusion, report.warnings), (Conclusion::Ok, told), "{kind:?}");
    }
}

#[test]
fn a_line_in_the_log_does_not_talk_away_what_was_there() {
    let mut ground = Ground::new(SnapshotKind::HardLink);
    for number in 0..100 {
        ground.write(&format!("f{number}"), "x");
    }
    let first = ground.run();
    let log = ground.destination.join(".nbkp/log.jsonl");
    let forged = nbkp::formats::log::records(&fs::read(&log).unwrap()).pop().unwrap();
    let forged = nbkp::formats::log::LogRecord { entries: 1, ..forged };
    sh(&format!("echo '{}' >>{}", nbkp::formats::log::record_line(&forged), log.display()));
    sh(&format!("cd {}; rm f?[1-9]", ground.source.display()));
    assert!(matches!(ground.run().conclusion, Conclusion::Held(_)));
    // What this machine remembers counts as well.
    ground.job.remembered = Some(Remembered { snapshot: first.snapshot, entries: 100 });
    assert!(matches!(ground.run().conclusion, Conclusion::Held(_)));
    assert_eq!(names(&ground.latest()).len(), 100);
}

#[test]
fn a_snapshot_ahead_of_the_clock_is_what_was_there() {
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("f0", "x");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    for number in 0..100 {
        ground.write(&format!("f{number}"), "x");
    }
    let last = ground.run().snapshot.unwrap().to_string();
    let ahead = nbkp::os::clock::now().wall + std::time::Duration::from_hours(1);
    let shelf = ground.destination.join("snapshots");
    fs::rename(shelf.join(last), shelf.join(nbkp::model::SnapshotName::next(ahead, None).to_string())).unwrap();
    sh(&format!("cd {}; rm f?[1-9]", ground.source.display()));
    let seen = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap().hold;
    let Conclusion::Held(held @ HoldReason::Deletions { .. }) = ground.run().conclusion else { panic!("not held") };
    assert_eq!(seen, Some(held));
    assert_eq!(ground.snapshots().len(), 2);
}

#[test]
fn what_cannot_be_looked_at_any_more_is_no_deletion() {
    if !crate::needs_root() {
        return;
    }
    let ground = Ground::new(SnapshotKind::HardLink);
    for number in 0..60 {
        for part in ["locked", "listed", "open"] {
            ground.write(&format!("{part}/below/{number}"), "x");
        }
    }
    sh(&format!("chown -R 65534:65534 {}", ground.place.path().display()));
    assert!(crate::kills::run_as_nobody(&ground).starts_with("ok"));
    sh(&format!("cd {}; chmod 0 locked; chmod 0600 listed", ground.source.display()));
    let report = crate::kills::run_as_nobody(&ground);
    assert!(report.starts_with("ok") && report.contains("locked"), "{report}");
    // The next one is judged by that.
    let report = crate::kills::run_as_nobody(&ground);
    assert!(report.starts_with("ok") && report.contains("listed"), "{report}");
    // All else counts as ever.
    sh(&format!("rm {}/open/below/[1-5]*", ground.source.display()));
    let report = crate::kills::run_as_nobody(&ground);
    assert!(report.starts_with("held"), "{report}");
}
