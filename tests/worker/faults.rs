//! Drives, tools and people that do harm while a run is under way, or between two of them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::rig::{Drive, Ground, begin, end, finish, names, sh, until_copied};
use nbkp::backup::snapshots::listing::snapshots_at;
use nbkp::backup::snapshots::prune::{PruneError, prune_at, victims};
use nbkp::model::{Conclusion, FailureKind, Filter, Interruption, KeepRules, Retention, SnapshotKind};
use nbkp::os::directory::Directory;

/// A drive of this kind with one finished copy of a small file, and the run that is to fail.
fn with_one_copy(drive: &Drive, kind: SnapshotKind) -> Ground {
    let ground = Ground::on(drive, kind);
    ground.write("small", "1");
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    ground
}

#[track_caller]
fn fails(ground: &Ground, kind: FailureKind) -> String {
    let before = ground.snapshots();
    let report = ground.run();
    let Conclusion::Failed(failure) = &report.conclusion else { panic!("{report:?}") };
    assert_eq!(failure.kind, kind, "{failure:?}");
    assert_eq!((report.snapshot, ground.snapshots()), (None, before));
    failure.to_string()
}

#[test]
fn a_filesystem_that_goes_read_only_under_a_run_is_told_as_that() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::ext4(64);
    sh(&format!("mount -o remount,errors=remount-ro {}", drive.root.display()));
    let mut ground = with_one_copy(&drive, SnapshotKind::HardLink);
    ground.write("big", vec![7; 20 << 20]);
    ground.job.sync.rsync.bandwidth = Some(10_000_000);
    let (_worker, mut news) = begin(ground.job.clone());
    until_copied(&mut news, 2_000_000);
    let name = Path::new(&drive.device).file_name().unwrap().to_str().unwrap().to_owned();
    sh(&format!("echo injected >/sys/fs/ext4/{name}/trigger_fs_error"));
    let report = finish(news);
    assert!(
        matches!(&report.conclusion, Conclusion::Failed(failure) if failure.kind == FailureKind::ReadOnly),
        "{report:?}"
    );
    assert_eq!(ground.snapshots().len(), 1);
    drive.mount_again();
    ground.job.destination = end(&drive.root);
    ground.job.sync.rsync.bandwidth = None;
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
}

#[test]
fn a_quota_is_a_lack_of_space() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let ground = with_one_copy(&drive, SnapshotKind::Btrfs);
    let staging = ground.destination.join("staging");
    sh(&format!("btrfs quota enable {0}; btrfs qgroup limit 8M {0}", staging.display()));
    ground.write("big", vec![7; 30 << 20]);
    let told = fails(&ground, FailureKind::NoSpace);
    assert!(told.contains("big"), "{told}");
    sh(&format!("btrfs qgroup limit none {}", staging.display()));
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(names(&ground.latest()), ["big", "small"]);
}

#[test]
fn a_lack_of_inodes_is_a_lack_of_space() {
    if !crate::needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let drive = Drive::new("mkfs.ext4 -q -m 0 -N 96", 16);
        let mut ground = with_one_copy(&drive, kind);
        for number in 0..200 {
            ground.write(&format!("many/{number}"), "x");
        }
        let told = fails(&ground, FailureKind::NoSpace);
        assert!(told.contains("df -i"), "{told}");
        sh(&format!("rm -r {}/many", ground.source.display()));
        let mut last = ground.run().conclusion;
        if last != Conclusion::Ok {
            ground.approve(&last);
            last = ground.run().conclusion;
        }
        assert_eq!(last, Conclusion::Ok);
    }
}

#[test]
fn a_file_that_has_all_the_links_there_can_be_is_copied_anew() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::new("mkfs.ext4 -q -m 0", 64);
    let ground = with_one_copy(&drive, SnapshotKind::HardLink);
    let (file, more) = (ground.latest().join("small"), drive.root.join("more"));
    fs::create_dir(&more).unwrap();
    let refused = (0..70_000).find(|number| fs::hard_link(&file, more.join(number.to_string())).is_err());
    assert!(refused.is_some(), "this filesystem knows no limit");
    ground.write("new", "2");
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    assert_eq!(fs::read(ground.latest().join("small")).unwrap(), b"1");
    assert_eq!(fs::metadata(ground.latest().join("small")).unwrap().nlink(), 1);
}

#[test]
fn a_drive_that_is_unmounted_lazily_under_a_run_is_not_missed_and_its_place_stays_empty() {
    if !crate::needs_root() {
        return;
    }
    for kind in [SnapshotKind::None, SnapshotKind::HardLink, SnapshotKind::Btrfs] {
        let drive = if kind == SnapshotKind::Btrfs { Drive::btrfs() } else { Drive::ext4(64) };
        let mut ground = with_one_copy(&drive, kind);
        ground.write("big", vec![7; 20 << 20]);
        ground.job.sync.rsync.bandwidth = Some(10_000_000);
        let (_worker, mut news) = begin(ground.job.clone());
        until_copied(&mut news, 2_000_000);
        sh(&format!("umount -l {}", drive.root.display()));
        let report = finish(news);
        assert!(
            matches!(&report.conclusion, Conclusion::Interrupted(Interruption::DestinationLost(_))),
            "{kind:?}: {report:?}"
        );
        assert_eq!(names(&drive.root), [""; 0], "{kind:?}: written where the drive was");
    }
}

#[test]
fn finished_copies_that_somebody_deleted_or_changed_are_no_basis_to_rely_on() {
    let ground = Ground::new(SnapshotKind::HardLink);
    for content in ["1", "22", "333"] {
        ground.write("changes", content);
        ground.write("stays", "x");
        ground.write("sub/stays", "x");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
    }
    let shelf = ground.destination.join("snapshots");
    let made = ground.snapshots();
    fs::remove_dir_all(shelf.join(&made[2])).unwrap();
    // The next newest: something deleted in it, something changed.
    fs::remove_dir_all(shelf.join(&made[1]).join("sub")).unwrap();
    fs::write(shelf.join(&made[1]).join("stays"), "of somebody else").unwrap();
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    sh(&format!("diff -r -x '.nbkp*' {} {}/", ground.source.display(), ground.latest().display()));
    assert_eq!(ground.snapshots().len(), 3);
    // The file that did not change is shared with a copy that is left.
    fs::remove_dir_all(&shelf).unwrap();
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    sh(&format!("diff -r -x '.nbkp*' {} {}/", ground.source.display(), ground.latest().display()));
}

#[test]
fn a_subvolume_below_staging_leaves_no_gap_in_a_snapshot() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let ground = with_one_copy(&drive, SnapshotKind::Btrfs);
    ground.write("sub/inside", "1");
    let below = ground.destination.join("staging/sub");
    sh(&format!("btrfs subvolume create {}", below.display()));
    let told = fails(&ground, FailureKind::Hostile);
    assert!(told.contains(&format!("{} is a subvolume", below.display())), "{told}");
    // A writer whose directory is deeper.
    sh(&format!(
        "cd {0}; btrfs subvolume delete sub; mkdir -p a/b; btrfs subvolume create a/b/c",
        below.parent().unwrap().display()
    ));
    ground.write("a/b/c/inside", "1");
    let told = fails(&ground, FailureKind::Hostile);
    assert!(told.contains("staging/a/b/c is a subvolume"), "{told}");
    // What is empty and not in the source is deleted like any other directory.
    sh(&format!("rm -r {}/a; rm {}/a/b/c/inside", ground.source.display(), below.parent().unwrap().display()));
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(names(&ground.latest().join("sub")), ["inside"]);
}

#[test]
fn a_finished_snapshot_that_was_made_writable_is_told() {
    if !crate::needs_root() {
        return;
    }
    let drive = Drive::btrfs();
    let ground = with_one_copy(&drive, SnapshotKind::Btrfs);
    let first = ground.snapshots().remove(0);
    sh(&format!("btrfs property set -ts {}/snapshots/{first} ro false", ground.destination.display()));
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok);
    assert!(
        matches!(report.warnings.as_slice(), [told] if told.contains(&first) && told.contains("ro true")),
        "{report:?}"
    );
    sh(report.warnings[0].split('`').nth(1).unwrap());
    assert_eq!(ground.run().warnings, Vec::<String>::new());
}

/// Those of the processes of rsync that work in one of these directories, whatever they call it.
fn rsyncs_in(directories: &[PathBuf]) -> Vec<i32> {
    let known: Vec<_> = directories.iter().map(|it| fs::metadata(it).unwrap()).map(|it| (it.dev(), it.ino())).collect();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut found: Vec<i32> = processes
        .filter(|process| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            name.trim() == "rsync"
                && fs::metadata(process.path().join("cwd")).is_ok_and(|cwd| known.contains(&(cwd.dev(), cwd.ino())))
        })
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn rsync_that_is_killed_for_want_of_memory_is_a_failure_and_the_next_run_goes_on() {
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        // It is several processes, and the kernel may choose any.
        for which in 0..3 {
            let mut ground = Ground::new(kind);
            ground.write("small", "1");
            assert_eq!(ground.run().conclusion, Conclusion::Ok);
            ground.write("big", vec![7; 20 << 20]);
            ground.job.sync.rsync.bandwidth = Some(3_000_000);
            let (_worker, mut news) = begin(ground.job.clone());
            until_copied(&mut news, 1_000_000);
            let snapshots = fs::read_dir(ground.destination.join("snapshots")).into_iter().flatten();
            let places = snapshots
                .map(|entry| entry.unwrap().path())
                .chain([&ground.destination, &ground.source].map(PathBuf::clone));
            let found = rsyncs_in(&places.filter(|place| !place.is_symlink()).collect::<Vec<_>>());
            assert_eq!(found.len(), 3, "{found:?}");
            sh(&format!("kill -KILL {}", found[which]));
            let report = finish(news);
            let Conclusion::Failed(failure) = &report.conclusion else { panic!("{kind:?} {which}: {report:?}") };
            assert_eq!(failure.kind, FailureKind::Resource, "{kind:?} {which}: {failure:?}");
            let is_there = |process: &i32| Path::new(&format!("/proc/{process}/cwd")).exists();
            assert!(!found.iter().any(is_there), "{found:?}");
            assert_eq!(ground.snapshots().len(), usize::from(kind == SnapshotKind::HardLink));
            ground.job.sync.rsync.bandwidth = None;
            assert_eq!(ground.run().conclusion, Conclusion::Ok);
            sh(&format!(
                "cmp {0}/big {1}/big || cmp {0}/big {2}/big",
                ground.source.display(),
                ground.destination.display(),
                ground.latest().display()
            ));
        }
    }
}

/// A directory with a program of this name, to be found first.
fn program(ground: &Ground, name: &str, text: &str) -> String {
    let programs = ground.place.path().join("programs");
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join(name), text).unwrap();
    fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    format!("PATH={}:/usr/local/bin:/usr/bin:/bin", programs.display())
}

#[test]
fn rsync_that_gets_no_memory_is_told_as_that() {
    let ground = Ground::new(SnapshotKind::HardLink);
    for number in 0..20_000 {
        fs::write(ground.source.join(format!("a-rather-long-name-of-a-file-{number:060}")), "").unwrap();
    }
    let real = sh("command -v rsync");
    let limited = format!("#!/bin/sh\ncase \"$*\" in *--version*) ;; *) ulimit -v 10000 ;; esac\nexec {real} \"$@\"\n");
    let told = crate::kills::run_in(&ground, &["env", &program(&ground, "rsync", &limited)]);
    assert!(told.starts_with("failed") && told.contains("Resource"), "{told}");
    assert_eq!(ground.snapshots(), Vec::<String>::new());
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
}

#[test]
fn rsync_that_cannot_be_started_is_told_and_harms_nothing() {
    for broken in ["", "\u{7f}ELF is all that is left of it", "#!/nowhere/interpreter\n"] {
        let ground = Ground::new(SnapshotKind::HardLink);
        ground.write("a", "1");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let told = crate::kills::run_in(&ground, &["env", &program(&ground, "rsync", broken)]);
        assert!(told.starts_with("failed") || told.starts_with("skipped"), "{broken:?}: {told}");
        assert!(told.contains("rsync"), "{broken:?}: {told}");
        assert_eq!(ground.snapshots().len(), 1);
    }
}

#[test]
fn a_file_that_is_written_while_it_is_read_is_right_in_the_next_copy() {
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let mut ground = Ground::new(kind);
        ground.write("image", vec![0; 8 << 20]);
        ground.job.sync.rsync.bandwidth = Some(3_000_000);
        let (_worker, mut news) = begin(ground.job.clone());
        until_copied(&mut news, 2_000_000);
        for pass in 1..4_u8 {
            ground.write("image", vec![pass; 8 << 20]);
        }
        let report = finish(news);
        assert!(matches!(report.conclusion, Conclusion::Ok), "{report:?}");
        ground.job.sync.rsync.bandwidth = None;
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        assert!(fs::read(ground.newest().join("image")).unwrap().iter().all(|byte| *byte == 3), "{kind:?}");
    }
}

#[test]
fn a_name_that_is_taken_meanwhile_is_left_to_whoever_took_it() {
    let mut ground = Ground::new(SnapshotKind::HardLink);
    ground.write("big", vec![7; 8 << 20]);
    ground.job.sync.rsync.bandwidth = Some(3_000_000);
    let (_worker, mut news) = begin(ground.job.clone());
    until_copied(&mut news, 1_000_000);
    let shelf = ground.destination.join("snapshots");
    let hidden = names(&shelf).remove(0);
    let taken = shelf.join(hidden.strip_prefix(".inprogress-").unwrap());
    fs::create_dir(&taken).unwrap();
    let report = finish(news);
    assert!(matches!(&report.conclusion, Conclusion::Failed(_)), "{report:?}");
    assert_eq!(names(&taken), [""; 0]);
    ground.job.sync.rsync.bandwidth = None;
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(names(&ground.latest()), ["big"]);
}

#[test]
fn many_and_odd_names_among_the_snapshots_are_passed_over_and_stay() {
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("a", "1");
    let shelf = ground.destination.join("snapshots");
    fs::create_dir(&shelf).unwrap();
    for number in 0..20_000 {
        fs::create_dir(shelf.join(format!("2020-01-01T00:00:00.{number}Z"))).unwrap();
    }
    for odd in
        ["-rf", "--delete", "...", "new\nline", "2020-13-01T00:00:00.000Z", "2199-01-01T00:00:00.000Z ", "\u{1b}[2J"]
    {
        fs::create_dir(shelf.join(odd)).unwrap();
    }
    fs::create_dir(shelf.join("2199-01-01T00:00:00.000Z")).unwrap();
    let before = names(&shelf).len();
    for _ in 0..2 {
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    }
    assert_eq!(fs::read(ground.latest().join("a")).unwrap(), b"1");
    assert_eq!(names(&shelf).len(), before + 2);
}

#[test]
fn links_that_come_and_go_in_a_destination_lead_no_write_out_of_it() {
    let ground = Ground::new(SnapshotKind::None);
    let victim = ground.place.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("kept"), "of somebody else").unwrap();
    for number in 0..20 {
        ground.write(&format!("sub/{number}"), "x");
    }
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    // Beside the destination, so that the copy itself is always there: nothing is to be deleted or held.
    let (sub, spare) = (ground.destination.join("sub"), ground.place.path().join("spare"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let swap = || renameat_with(CWD, &sub, CWD, &spare, RenameFlags::EXCHANGE);
    let (mut good, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for pause in (1..60).cycle() {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let _ = fs::remove_file(&spare).or_else(|_| fs::remove_dir_all(&spare));
                symlink(&victim, &spare).unwrap();
                // rsync may just be putting a directory in the place of the link.
                let _ = swap();
                std::thread::sleep(Duration::from_micros(300));
                let _ = swap();
                std::thread::sleep(Duration::from_millis(pause));
            }
        });
        // Some meet a link and some do not, however busy the machine is.
        for round in 0..400 {
            if round >= 30 && good > 0 && failed > 0 {
                break;
            }
            for number in 0..20 {
                ground.write(&format!("sub/{number}"), format!("round {round:03}"));
            }
            match ground.run().conclusion {
                Conclusion::Ok => good += 1,
                Conclusion::Failed(_) | Conclusion::Interrupted(_) => failed += 1,
                other => panic!("it was not copied at all: {other:?}"),
            }
            assert_eq!(names(&victim), ["kept"], "round {round}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(good > 0 && failed > 0, "{good} were good, {failed} met a link: nothing was tried");
    assert_eq!(fs::read_to_string(victim.join("kept")).unwrap(), "of somebody else");
    // Left alone, it is put right.
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(fs::read(sub.join("7")).unwrap(), fs::read(ground.source.join("sub/7")).unwrap());
}

#[test]
fn rules_behind_a_link_are_used_or_refused_and_never_quoted() {
    let ground = Ground::new(SnapshotKind::None);
    ground.write("a", "1");
    let secret = ground.place.path().join("secret");
    fs::write(&secret, "root-password-is-hunter2\n").unwrap();
    let link = ground.source.join(".rules");
    symlink(&secret, &link).unwrap();
    let by_file = (Some(link), Vec::new(), true);
    // What lies outside of the source is not read at all, and then it holds no rule.
    let by_rule = (None, vec![Filter::Rule("dir-merge .rules".into())], false);
    for (filter_file, filters, is_refused) in [by_file, by_rule] {
        let mut job = ground.job.clone();
        (job.sync.filter_file, job.sync.filters) = (filter_file, filters);
        let report = crate::rig::run(job);
        assert_eq!(matches!(report.conclusion, Conclusion::Failed(_)), is_refused, "{report:?}");
        assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
        let log = fs::read_to_string(ground.destination.join(".nbkp/log.jsonl")).unwrap_or_default();
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn what_somebody_reads_of_a_snapshot_goes_on_though_it_is_pruned() {
    use std::io::Read as _;
    let mut ground = Ground::new(SnapshotKind::HardLink);
    ground.write("big", vec![7; 1 << 20]);
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let mut reader = fs::File::open(ground.latest().join("big")).unwrap();
    let mut half = vec![0; 1 << 19];
    reader.read_exact(&mut half).unwrap();
    ground.write("big", vec![8; 1 << 20]);
    ground.job.sync.keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    assert_eq!(ground.snapshots().len(), 1);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.len() == 1 << 19 && rest.iter().all(|byte| *byte == 7));
}

#[test]
fn a_change_within_the_same_second_is_copied() {
    for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
        let ground = Ground::new(kind);
        for (content, time) in [("1", "100000000"), ("2", "600000000")] {
            ground.write("a", content);
            sh(&format!("touch -d @1700000000.{time} {}/a", ground.source.display()));
            assert_eq!(ground.run().conclusion, Conclusion::Ok);
        }
        assert_eq!(fs::read(ground.newest().join("a")).unwrap(), b"2", "{kind:?}");
    }
}

#[test]
fn a_snapshot_that_is_read_is_not_pruned() {
    let mut first = Ground::new(SnapshotKind::HardLink);
    for content in [7, 8] {
        first.write("big", vec![content; 8 << 20]);
        assert_eq!(first.run().conclusion, Conclusion::Ok);
    }
    let second = crate::rig::after(&first);
    let mut slow = second.job.clone();
    slow.sync.rsync.bandwidth = Some(2_000_000);
    let (_worker, mut news) = begin(slow);
    until_copied(&mut news, 1_000_000);
    let destination = Directory::open_root(&first.destination).unwrap();
    let last = KeepRules { last: 1, ..KeepRules::default() };
    let victims = || victims(&snapshots_at(&destination).unwrap(), Retention::Rules(last), &nbkp::os::clock::now());
    assert!(matches!(prune_at(&destination, &victims()), Err(PruneError::Taken(_))));
    first.job.sync.keep = Retention::Rules(last);
    let report = first.run();
    assert!(matches!(report.conclusion, Conclusion::Skipped(_)), "{report:?}");
    // Who only reads keeps nobody else from reading.
    let third = crate::rig::after(&first);
    assert_eq!(third.run().conclusion, Conclusion::Ok);
    assert_eq!(finish(news).conclusion, Conclusion::Ok);
    assert_eq!(first.run().conclusion, Conclusion::Ok);
    assert_eq!(first.snapshots().len(), 1);
    assert_eq!(fs::read(second.destination.join("big")).unwrap(), vec![8; 8 << 20]);
}

#[test]
fn an_end_whose_place_was_taken_by_another_is_noticed() {
    let source: fn(&Interruption) -> bool = |why| matches!(why, Interruption::SourceLost(_));
    let destination: fn(&Interruption) -> bool = |why| matches!(why, Interruption::DestinationLost(_));
    for (end, is_expected) in [("from/files", source), ("to/copies", destination)] {
        for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
            let mut ground = Ground::new(kind);
            ground.write("big", vec![7; 8 << 20]);
            ground.job.sync.rsync.bandwidth = Some(3_000_000);
            let (_worker, mut news) = begin(ground.job.clone());
            until_copied(&mut news, 1_000_000);
            // With the same marker, and on the same mount.
            let (path, place) = (ground.place.path().join(end), ground.place.path().join("aside"));
            sh(&format!("mv {0} {1}; mkdir {0}; cp {1}/.nbkp-* {0}", path.display(), place.display()));
            let report = finish(news);
            assert!(
                matches!(&report.conclusion, Conclusion::Interrupted(why)
                    if is_expected(why) && format!("{why:?}").contains("another directory")),
                "{end}, {kind:?}: {report:?}"
            );
            let copies = if end == "to/copies" { place } else { ground.destination.clone() };
            assert_eq!(names(&copies.join("snapshots")).iter().filter(|name| !name.starts_with('.')).count(), 0);
            assert_eq!(names(&path).iter().filter(|name| !name.starts_with(".nbkp")).count(), 0, "{end}: {kind:?}");
        }
    }
}

#[test]
fn endless_output_costs_no_memory() {
    let ground = Ground::new(SnapshotKind::HardLink);
    ground.write("a", "1");
    let talk = "yes 'some line of output, or rather of debugging' | head -c 25000000";
    let one = "head -c 25000000 /dev/zero | tr '\\0' x";
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*) ;; *) {talk}; {talk} >&2; {one} >&2; {one} ;; esac\nexec {} \"$@\"\n",
        sh("command -v rsync")
    );
    let path = program(&ground, "rsync", &text);
    // All of it is more than the program may have.
    let told = crate::kills::run_in(&ground, &["prlimit", "--data=60000000", "env", &path]);
    assert!(told.len() < 20_000, "{}", told.len());
    assert_eq!(ground.snapshots().len(), usize::from(told.starts_with("ok")), "{told}");
}
