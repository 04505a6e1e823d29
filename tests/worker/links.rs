//! Snapshots by hard links.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::rig::{Ground, begin, finish, names, sh, until_copied};
use nbkp::backup::errands::preview::{Change, preview};
use nbkp::backup::snapshots::listing::snapshots_at;
use nbkp::backup::snapshots::prune::{PruneError, prune_at, victims};
use nbkp::model::{Conclusion, HoldReason, Interruption, KeepRules, NotDone, Retention, SnapshotKind, Standing};
use nbkp::os::directory::Directory;
use nbkp::os::ssh::SshPlace;

#[test]
fn unchanged_files_are_shared_and_older_snapshots_never_change() {
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("same", "1");
    ground.write("other", "1");
    let first = ground.run();
    assert_eq!(first.conclusion, Conclusion::Ok);
    ground.write("other", "22");
    fs::set_permissions(ground.source.join("same"), fs::Permissions::from_mode(0o600)).unwrap();
    let second = ground.run();
    assert_eq!((&second.conclusion, second.figures.files_transferred), (&Conclusion::Ok, 1));
    let shelf = ground.destination.join("snapshots");
    assert_eq!(ground.snapshots(), [first.snapshot.unwrap().to_string(), second.snapshot.unwrap().to_string()]);
    let (old, new) = (shelf.join(first.snapshot.unwrap().to_string()), ground.latest());
    assert_eq!(fs::read(old.join("other")).unwrap(), b"1");
    assert_eq!(fs::read(new.join("other")).unwrap(), b"22");
    assert_eq!(fs::metadata(old.join("same")).unwrap().mode() & 0o777, 0o644);
    let third = ground.run();
    assert_eq!((&third.conclusion, third.figures.files_transferred), (&Conclusion::Ok, 0));
    let inode = |path: std::path::PathBuf| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(shelf.join(second.snapshot.unwrap().to_string()).join("other")), inode(new.join("other")));
    assert_eq!(
        fs::read_link(&new).unwrap(),
        std::path::Path::new("snapshots").join(third.snapshot.unwrap().to_string())
    );
}

#[test]
fn an_interrupted_copy_is_the_basis_of_the_next_and_never_shown() {
    let mut ground = Ground::new(SnapshotKind::HardLink);
    ground.write("a", "1");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!("head -c 30000000 /dev/urandom > {}/big", ground.source.display()));
    ground.job.sync.rsync.bandwidth = Some(10_000_000);
    let (mut worker, mut news) = begin(ground.job.clone());
    until_copied(&mut news, 8_000_000);
    worker.stop(Interruption::DriveHeld);
    assert_eq!(finish(news).conclusion, Conclusion::Interrupted(Interruption::DriveHeld));
    assert_eq!(ground.snapshots().len(), 1);
    assert_eq!(names(&ground.latest()), ["a"]);
    ground.job.sync.rsync.bandwidth = None;
    let resumed = ground.run();
    assert_eq!(resumed.conclusion, Conclusion::Ok);
    assert!(resumed.figures.bytes_transferred < 25_000_000, "{:?}", resumed.figures);
    sh(&format!("cmp {}/big {}/big", ground.source.display(), ground.latest().display()));
    assert_eq!(names(&ground.destination.join("snapshots")).len(), 2, "leftovers");
}

#[test]
fn a_shrunken_source_is_held_and_approved() {
    let mut ground = Ground::new(SnapshotKind::HardLink);
    for number in 0..60 {
        ground.write(&format!("f{number}"), "x");
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    sh(&format!("cd {}; rm f1* f2* f3*", ground.source.display()));
    for number in 0..60 {
        ground.write(&format!("new{number}"), "x");
    }
    for _ in 0..2 {
        // Held again though the first try lies there as a basis. Nothing was deleted.
        let held = ground.run();
        assert!(matches!(held.conclusion, Conclusion::Held(_)), "{held:?}");
        assert_eq!((ground.snapshots().len(), held.figures.deletions), (1, 0));
    }
    let held = ground.run().conclusion;
    let Conclusion::Held(HoldReason::Deletions { paths, against, .. }) = &held else { panic!("{held:?}") };
    assert_eq!((paths.count(), against.map(|name| name.to_string())), (33, ground.snapshots().pop()));
    ground.approve(&held);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(names(&ground.latest()).len(), 87);
    sh(&format!("rm {}/*", ground.source.display()));
    ground.job.approved = None;
    assert!(matches!(ground.run().conclusion, Conclusion::Held(_)));
    assert_eq!(names(&ground.latest()).len(), 87);
}

#[test]
fn snapshots_are_pruned_by_the_rules_and_the_rest_is_left_alone() {
    let mut ground = Ground::new(SnapshotKind::HardLink);
    ground.job.sync.keep = Retention::Rules(KeepRules { last: 2, ..KeepRules::default() });
    fs::create_dir_all(ground.destination.join("snapshots/lost+found")).unwrap();
    fs::create_dir(ground.destination.join("snapshots/2199-01-01T00:00:00.000Z")).unwrap();
    let mut made = Vec::new();
    for content in ["1", "2", "3", "4"] {
        ground.write("sub/a", content);
        fs::set_permissions(ground.source.join("sub"), fs::Permissions::from_mode(0o555)).unwrap();
        let report = ground.run();
        assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()));
        made.push(report.snapshot.unwrap().to_string());
    }
    let expected = [&made[2], &made[3], "2199-01-01T00:00:00.000Z", "lost+found"];
    assert_eq!(ground.snapshots(), expected);
    // A clock that ran ahead once neither wins `latest` nor shifts the names that come after it.
    assert!(fs::read_link(ground.latest()).unwrap().ends_with(&made[3]));
    let found = snapshots_at(&Directory::open_root(&ground.destination).unwrap()).unwrap();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|snapshot| snapshot.standing == Standing::Good));
}

#[test]
fn what_an_earlier_run_left_is_put_right() {
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("a", "1");
    let first = ground.run().snapshot.unwrap().to_string();
    let shelf = ground.destination.join("snapshots");
    fs::remove_file(ground.latest()).unwrap();
    std::os::unix::fs::symlink("snapshots/gone", ground.latest()).unwrap();
    std::os::unix::fs::symlink("x", ground.destination.join(".latest-new")).unwrap();
    for name in [".trash-x", ".stale-2020-01-01T00:00:00.000Z", ".inprogress-2020-01-02T00:00:00.000Z", ".stale-odd"] {
        fs::create_dir_all(shelf.join(name).join("sub")).unwrap();
        fs::write(shelf.join(name).join("sub/file"), "x").unwrap();
    }
    fs::write(ground.destination.join(".nbkp/unfinished"), "another boot\n").unwrap();
    // The same size and time as before, and another content: only a comparison of contents sees it.
    fs::write(shelf.join(&first).join("a"), "9").unwrap();
    sh(&format!("touch -r {}/a {}/a", ground.source.display(), shelf.join(&first).display()));
    let second = ground.run();
    assert_eq!((&second.conclusion, &second.warnings), (&Conclusion::Ok, &Vec::new()));
    assert_eq!(names(&shelf), [first, second.snapshot.unwrap().to_string()]);
    assert_eq!(fs::read(ground.latest().join("a")).unwrap(), b"1");
    assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "latest", "snapshots"]);
    assert_eq!(names(&ground.destination.join(".nbkp")), ["lock", "log.jsonl"]);
}

#[test]
fn copies_that_come_to_nothing_while_the_clock_is_behind_stand_in_no_way() {
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("a", "1");
    ground.write("sub/b", "1");
    let ahead = nbkp::os::clock::now().wall + std::time::Duration::from_mins(2);
    let newest = nbkp::model::SnapshotName::next(ahead, None);
    let next = nbkp::model::SnapshotName::next(ahead, Some(newest));
    let shelf = ground.destination.join("snapshots");
    for name in [format!("{newest}"), format!(".stale-{next}"), format!(".inprogress-{next}")] {
        fs::create_dir_all(shelf.join(name).join("sub")).unwrap();
    }
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    assert_eq!(names(&shelf), [newest.to_string(), next.to_string()]);
}

#[test]
fn names_increase_though_the_clock_steps_back() {
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("a", "1");
    let ahead = nbkp::os::clock::now().wall + std::time::Duration::from_mins(2);
    let newest = nbkp::model::SnapshotName::next(ahead, None);
    fs::create_dir_all(ground.destination.join("snapshots").join(newest.to_string())).unwrap();
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok);
    assert!(report.snapshot.unwrap() > newest);
    assert_eq!(ground.snapshots().len(), 2);
}

#[test]
fn a_preview_tells_what_a_run_would_do_and_does_nothing() {
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let ground = Ground::new(kind);
        for number in 0..20 {
            ground.write(&format!("f{number}"), "x");
        }
        let first = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
        let copies = first.changes.iter().filter(|change| matches!(change, Change::Copy(item) if item.name != "./"));
        assert_eq!((copies.count(), first.hold), (20, None), "{kind:?}: {:?}", first.changes);
        assert_eq!(names(&ground.destination), [".nbkp-dst"]);
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        sh(&format!("cd {}; rm f1*; echo new > new", ground.source.display()));
        let before = sh(&format!("find {} | sort", ground.destination.display()));
        let second = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
        assert!(
            second
                .changes
                .iter()
                .any(|change| matches!(change, Change::Copy(item) if item.how == ">f+++++++++" && item.name == "new")),
            "{:?}",
            second.changes
        );
        assert!(second.changes.contains(&Change::Delete("f10".into())));
        assert_eq!((second.figures.deletions, second.hold.is_some()), (11, true));
        assert_eq!(sh(&format!("find {} | sort", ground.destination.display())), before);
        let command: Vec<_> = second.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        assert!(command.contains(&"--dry-run".into()) && command.contains(&format!("{}/", ground.source.display())));
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)));
    }
    let ground = Ground::new(SnapshotKind::None);
    fs::remove_file(ground.source.join(".nbkp-src")).unwrap();
    assert!(matches!(preview(&ground.job, &SshPlace::new("/nowhere".into())), Err(NotDone::Skipped(_))));
}

#[test]
fn an_errand_prunes_under_the_lock() {
    let ground = Ground::new(SnapshotKind::HardLink);
    for content in ["1", "2", "3"] {
        ground.write("a", content);
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
    }
    let destination = Directory::open_root(&ground.destination).unwrap();
    let keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
    let victims = victims(&snapshots_at(&destination).unwrap(), keep, &nbkp::os::clock::now());
    assert_eq!(victims.len(), 2);
    let taken = std::fs::File::open(ground.destination.join(".nbkp/lock")).unwrap();
    taken.lock().unwrap();
    assert!(matches!(prune_at(&destination, &victims), Err(PruneError::Taken(_))));
    assert_eq!(ground.snapshots().len(), 3);
    drop(taken);
    assert_eq!(prune_at(&destination, &victims).unwrap(), Vec::<String>::new());
    assert_eq!(fs::read(ground.latest().join("a")).unwrap(), b"3");
    assert_eq!(names(&ground.destination.join("snapshots")).len(), 1);
}

#[test]
fn a_link_of_an_older_copy_leads_nowhere() {
    for (others, options) in [(0, &[][..]), (300, &[]), (0, &["--copy-links".to_owned()])] {
        let mut ground = Ground::new(SnapshotKind::HardLink);
        let root = ground.place.path().display().to_string();
        sh(&format!(
            r#"
            mkdir -p {root}/secret/deep; cd {root}/from/files; mkdir some; echo kept >some/file
            echo 'of somebody else' >{root}/secret/shadow; echo 'of somebody else' >{root}/secret/deep/shadow
            ln -s {root}/secret top; ln -s {root}/secret some/link
            for number in $(seq {others}); do ln -s nowhere "link $number"; done"#
        ));
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        sh(&format!(
            r"
            mkdir -p {root}/mine/deep; cd {root}/mine
            for file in shadow deep/shadow; do echo 'of the user here' >$file; touch -r ../secret/$file $file; done
            cd {root}/from/files; rm top some/link"
        ));
        let is_followed = !options.is_empty();
        sh(&format!(
            "cd {root}/from/files; {0} {root}/mine top; {0} {root}/mine some/link",
            if is_followed { "ln -s" } else { "cp -a" }
        ));
        ground.job.sync.rsync.extra_options = options.to_vec();
        touch_root(&ground);
        let report = ground.run();
        assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()), "{report:?}");
        let dereferenced = if is_followed { "" } else { "--no-dereference" };
        let latest = ground.latest().display().to_string();
        assert_eq!(sh(&format!("diff -r {dereferenced} -x '.nbkp*' {root}/from/files {latest} || true")), "");
        assert_eq!(
            fs::metadata(ground.latest().join("some/file")).unwrap().nlink(),
            2,
            "what did not change is shared"
        );
        let time = |path: &std::path::Path| fs::metadata(path).unwrap().modified().unwrap();
        for path in ["", "some"] {
            assert_eq!(time(&ground.latest().join(path)), time(&ground.source.join(path)), "{path:?}");
        }
    }
}

/// The root of the source is older than what is done with its copy.
fn touch_root(ground: &Ground) {
    sh(&format!("touch -d 2020-02-02 {}", ground.source.display()));
}
