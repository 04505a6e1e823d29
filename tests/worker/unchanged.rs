//! Runs that find nothing new, and what looks like that and is not.

use std::collections::BTreeSet;
use std::fs::{self, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nbkp::model::layout::marker;
use nbkp::model::{
    Conclusion, Filter, HoldReason, Interruption, KeepRules, MountsBelow, Retention, RsyncOptions, RunReport,
    SnapshotKind, Unchanged,
};

use crate::rig::{Drive, Ground, begin, finish, names, sh, until_copied};

const KINDS: [SnapshotKind; 2] = [SnapshotKind::HardLink, SnapshotKind::Btrfs];

/// A destination of each kind with one good copy of all that a source may hold.
fn with_each_kind(tried: impl Fn(&mut Ground)) {
    if !crate::needs_root() {
        return;
    }
    for kind in KINDS {
        let drive = Drive::btrfs();
        let mut ground = Ground::on(&drive, kind);
        ground.write("a", "one");
        ground.write("sub/b", "two");
        fs::hard_link(ground.source.join("a"), ground.source.join("sub/a")).unwrap();
        fs::create_dir(ground.source.join("empty")).unwrap();
        symlink("a", ground.source.join("link")).unwrap();
        sh(&format!("mkfifo {}", ground.source.join("pipe").display()));
        assert!(makes_one(&ground), "the first");
        tried(&mut ground);
    }
}

/// Runs, and tells whether it made a snapshot. However it is, the newest copy is what the source is.
#[track_caller]
fn makes_one(ground: &Ground) -> bool {
    makes(ground).1
}

#[track_caller]
fn makes(ground: &Ground) -> (RunReport, bool) {
    let before = ground.snapshots();
    let report = ground.run();
    assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    let now = ground.snapshots();
    // It is of the snapshot that holds all of it, new or not, and nothing half is left.
    assert_eq!(
        (now.last().cloned(), &names(&ground.destination.join("snapshots"))),
        (report.snapshot.map(|name| name.to_string()), &now)
    );
    assert_eq!(names(&ground.latest()).first(), names(&ground.source).iter().find(|name| *name != ".nbkp-src"));
    (report, now.len() > before.len())
}

#[test]
fn nothing_new_makes_no_snapshot_and_is_recorded() {
    with_each_kind(|ground| {
        let kind = ground.job.sync.snapshots;
        let log = || fs::read_to_string(ground.destination.join(".nbkp/log.jsonl")).unwrap();
        let logged = log();
        for _ in 0..2 {
            let (report, made) = makes(ground);
            assert!(!made, "{kind:?}");
            assert_eq!((report.figures.files_transferred, report.figures.deletions), (0, 0), "{kind:?}");
            // Two directories, two names of one file, a file, a link and a pipe.
            assert_eq!(report.figures.entries, 7, "{kind:?}");
        }
        let (first, more) = (ground.snapshots().remove(0), log());
        let more: Vec<_> = more.strip_prefix(logged.as_str()).unwrap().lines().collect();
        assert_eq!(more.len(), 2);
        assert!(more.iter().all(|line| line.contains(&first) && line.contains("\"ok\"")), "{more:?}");
        ground.job.sync.unchanged = Unchanged::Snapshot;
        assert!(makes_one(ground), "{kind:?}: who wants one each time");
    });
}

/// Does something to a source.
type Change<'a> = &'a dyn Fn(&Path);

#[test]
fn whatever_is_new_makes_one() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let times = FileTimes::new().set_modified(far);
    let changes: [(&str, Change<'_>); 12] = [
        ("a file", &|source| fs::write(source.join("new"), "").unwrap()),
        ("content", &|source| fs::write(source.join("a"), "other").unwrap()),
        ("a mode", &|source| fs::set_permissions(source.join("sub/b"), Permissions::from_mode(0o600)).unwrap()),
        ("an owner", &|source| chown(source.join("sub/b"), Some(1234), None).unwrap()),
        ("a time", &|source| fs::File::open(source.join("a")).unwrap().set_times(times).unwrap()),
        ("the time of a directory", &|source| fs::File::open(source.join("sub")).unwrap().set_times(times).unwrap()),
        ("a place of a link", &|source| {
            fs::remove_file(source.join("link")).unwrap();
            symlink("b", source.join("link")).unwrap();
        }),
        ("a directory", &|source| fs::create_dir(source.join("sub/more")).unwrap()),
        ("one directory less", &|source| fs::remove_dir(source.join("empty")).unwrap()),
        ("one name less", &|source| fs::remove_file(source.join("sub/a")).unwrap()),
        ("another name", &|source| fs::rename(source.join("sub/b"), source.join("sub/c")).unwrap()),
        ("another type", &|source| {
            fs::remove_file(source.join("pipe")).unwrap();
            fs::write(source.join("pipe"), "").unwrap();
        }),
    ];
    with_each_kind(|ground| {
        let kind = ground.job.sync.snapshots;
        for (what, change) in changes {
            change(&ground.source);
            assert!(makes_one(ground), "{kind:?}: {what}");
            assert!(!makes_one(ground), "{kind:?}: nothing after {what}");
        }
    });
}

#[test]
fn other_rules_for_what_is_copied_make_one_where_the_copy_is_another() {
    with_each_kind(|ground| {
        let kind = ground.job.sync.snapshots;
        sh(&format!("setfattr -n user.colour -v red {}", ground.source.join("a").display()));
        ground.job.sync.rsync.extra_options.push("--xattrs".into());
        assert!(makes_one(ground), "{kind:?}: extended attributes");
        assert!(!makes_one(ground), "{kind:?}");
        ground.job.sync.filters.push(Filter::Exclude("/nowhere/".into()));
        assert!(!makes_one(ground), "{kind:?}: a rule for nothing");
        ground.write("snapshots/as ours", "");
        assert!(makes_one(ground), "{kind:?}: a name of ours");
        for name in ["empty", "snapshots"] {
            ground.job.sync.filters.push(Filter::Exclude(format!("/{name}/")));
            assert!(makes_one(ground), "{kind:?}: {name} is left out");
            assert!(!ground.latest().join(name).exists());
            assert!(!makes_one(ground), "{kind:?}");
        }
        ground.job.sync.filters.pop();
        assert!(makes_one(ground), "{kind:?}: and again");
    });
}

/// Changes what a log says in each line.
fn rewrite_log(log: &Path, from: &str, to: &str) {
    let said = fs::read_to_string(log).unwrap();
    let lines = said.lines().map(|line| {
        let (body, _) = line.rsplit_once(",\"crc\"").unwrap();
        assert!(body.contains(from), "{body}");
        let body = body.replace(from, to);
        format!("{body},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(format!("{body}}}").as_bytes()))
    });
    fs::write(log, lines.collect::<String>()).unwrap();
}

#[test]
fn a_newest_snapshot_that_is_not_known_to_be_good_is_followed_by_another() {
    with_each_kind(|ground| {
        let kind = ground.job.sync.snapshots;
        let own = |name: &str| ground.destination.join(".nbkp").join(name);
        let log = own("log.jsonl");
        fs::remove_file(&log).unwrap();
        assert!(makes_one(ground), "{kind:?}: the log is lost");
        assert!(!makes_one(ground), "{kind:?}");
        for (from, to) in [("\"ok\"", "\"failed\""), ("\"good\"", "\"partial\""), ("\"documents\"", "\"others\"")] {
            rewrite_log(&log, from, to);
            assert!(makes_one(ground), "{kind:?}: {to}");
            assert!(!makes_one(ground), "{kind:?}");
        }
        fs::write(own(marker(kind)), "").unwrap();
        assert!(makes_one(ground), "{kind:?}: a copy was begun");

        let newest = ground.snapshots().pop().unwrap();
        ground.job.damage.snapshots = BTreeSet::from([newest.parse().unwrap()]);
        assert!(makes_one(ground), "{kind:?}: it is damaged");
        assert!(!makes_one(ground), "{kind:?}: that one was older");
        ground.job.damage.snapshots.clear();

        let newest = ground.destination.join("snapshots").join(ground.snapshots().pop().unwrap());
        match kind {
            SnapshotKind::Btrfs => {
                sh(&format!("btrfs property set -ts {} ro false", newest.display()));
                fs::write(newest.join("a"), "changed").unwrap();
            }
            SnapshotKind::HardLink | SnapshotKind::None => fs::write(newest.join("a"), "changed").unwrap(),
        }
        assert!(makes_one(ground), "{kind:?}: somebody changed it");
        assert_eq!(fs::read_to_string(ground.latest().join("a")).unwrap(), "one", "{kind:?}");
    });
}

#[test]
fn what_was_cut_short_or_held_is_not_taken_for_what_was_before() {
    with_each_kind(|ground| {
        let kind = ground.job.sync.snapshots;
        ground.write("big", vec![7; 20 << 20]);
        ground.job.sync.rsync.bandwidth = Some(10_000_000);
        let (mut worker, mut news) = begin(ground.job.clone());
        until_copied(&mut news, 2_000_000);
        worker.stop(Interruption::Cancelled);
        assert_ne!(finish(news).conclusion, Conclusion::Ok);
        ground.job.sync.rsync.bandwidth = None;
        fs::remove_file(ground.source.join("big")).unwrap();
        makes_one(ground);
        assert!(!ground.latest().join("big").exists() && !ground.destination.join("staging/big").exists());
        assert!(!makes_one(ground), "{kind:?}");

        for number in 0..50 {
            ground.write(&format!("many/{number}"), "text");
        }
        assert!(makes_one(ground));
        for number in 0..50 {
            ground.write(&format!("many/{number}"), "");
        }
        let before = ground.snapshots();
        let held = ground.run();
        assert!(matches!(held.conclusion, Conclusion::Held(HoldReason::CutDown { .. })), "{kind:?}: {held:?}");
        // Asked again, the question is the same: nothing of it passes for a copy in the meantime.
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)), "{kind:?}");
        assert_eq!(ground.latest().join("many/1").metadata().unwrap().len(), 4, "{kind:?}: {before:?}");
        ground.approve(&held.conclusion);
        assert!(makes_one(ground), "{kind:?}: as it was approved");
        assert!(!makes_one(ground), "{kind:?}");
    });
}

/// What leaves an older state in the newest snapshot passes there for unchanged, and would be missing from another.
#[test]
fn where_a_look_cannot_tell_one_is_made_each_time() {
    with_each_kind(|ground| {
        let kind = ground.job.sync.snapshots;
        let usual = ground.job.sync.clone();
        let no_guard = |ground: &mut Ground| ground.job.sync.guard = nbkp::model::Guard::Off;
        for option in ["--update", "-ux", "--ignore-existing", "--max-size=1G"] {
            no_guard(ground);
            ground.job.sync.rsync.extra_options.push(option.into());
            assert!(makes_one(ground) && makes_one(ground), "{kind:?}: {option}");
            ground.job.sync.clone_from(&usual);
        }
        ground.job.sync.rsync.options = RsyncOptions::Replaced(vec!["-a".into(), "--delete".into()]);
        assert!(makes_one(ground) && makes_one(ground), "{kind:?}: other options");
        ground.job.sync.clone_from(&usual);
        for (rule, is_told) in [("P /gone", false), ("-r /gone", false), ("dir-merge .rules", false), ("- /gone", true)]
        {
            ground.job.sync.filters = vec![Filter::Rule(rule.into())];
            makes_one(ground);
            assert_eq!(makes_one(ground), !is_told, "{kind:?}: {rule}");
        }
        ground.job.sync.clone_from(&usual);
        ground.job.sync.mounts = MountsBelow::LeftOut;
        assert!(!makes_one(ground), "{kind:?}: nothing is mounted there");
        let mounted = ground.source.join("empty");
        sh(&format!("mount -t tmpfs none {0}; touch {0}/in", mounted.display()));
        makes_one(ground);
        let makes_another = makes_one(ground);
        sh(&format!("umount {}", mounted.display()));
        assert!(makes_another, "{kind:?}: something is");
        ground.job.sync.clone_from(&usual);
        makes_one(ground);
        assert!(!makes_one(ground), "{kind:?}");
    });
}

/// Others write to staging, too: the Python tool that was killed, or a person.
#[test]
fn what_lies_in_staging_alone_is_in_no_snapshot() {
    with_each_kind(|ground| {
        if ground.job.sync.snapshots != SnapshotKind::Btrfs {
            return;
        }
        ground.write("by another", "three");
        sh(&format!(
            "cp -a {0}/. {1}/staging/; rm {1}/staging/.nbkp-src",
            ground.source.display(),
            ground.destination.display()
        ));
        sh(&format!("touch -r {} {}/staging", ground.source.display(), ground.destination.display()));
        assert!(makes_one(ground));
        assert!(ground.latest().join("by another").exists());
    });
}

/// The newest is what all that was found is in, however old it is: no rule deletes it.
#[test]
fn old_age_takes_nothing_away_that_nothing_followed() {
    with_each_kind(|ground| {
        ground.job.sync.keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
        let first = ground.snapshots();
        assert!(!makes_one(ground));
        assert_eq!(ground.snapshots(), first);
    });
}
