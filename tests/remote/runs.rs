//! Runs that go well, in each direction and with each kind of snapshots.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::ground::{At, Drive, Ground, here, names, remote};
use crate::needs_root;
use crate::shell::sh;
use crate::sshd::Sshd;
use nbkp::backup::errands::preview::preview;
use nbkp::backup::job::{JobEnd, Layout, Remembered};
use nbkp::model::{
    Conclusion, CopyTraits, Filter, Guard, HoldReason, KeepRules, MountsBelow, Retention, SnapshotKind, Unchanged,
};

const WAYS: [(At, At); 3] = [(At::Here, At::Server), (At::Server, At::Here), (At::Server, At::Server)];

#[test]
fn a_mirror_is_made_and_made_equal_in_each_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::None);
        for number in 0..30 {
            ground.write(format!("some/file {number}"), format!("{number}"));
        }
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
        assert_eq!((report.figures.files_transferred, report.warnings), (30, Vec::new()));
        assert_eq!(ground.difference(&ground.destination), "");
        fs::remove_file(ground.source.join("some/file 3")).unwrap();
        ground.write("some/file 4", "changed");
        let report = ground.run();
        assert_eq!((report.conclusion, report.figures.deletions), (Conclusion::Ok, 1));
        assert_eq!(ground.difference(&ground.destination), "");
        assert_eq!(names(&ground.destination.join(".nbkp")), own_files(&ground.job.destination));
        let log = fs::read_to_string(ground.destination.join(".nbkp/log.jsonl")).unwrap();
        assert_eq!(log.lines().count(), 2, "{log}");
    }
}

#[test]
fn rules_and_plain_keys_mean_the_same_in_each_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::None);
        // Neither aliases at the server nor what they would leave out change what is copied.
        fs::write(ground.server.file("home/.popt"), "rsync alias -a -a -n\nrsync alias --server --server -n\n")
            .unwrap();
        for name in ["a", "x.tmp", "sub/y.o"] {
            ground.write(name, "1");
        }
        fs::hard_link(ground.source.join("a"), ground.source.join("b")).unwrap();
        let point = ground.source.join("mounted");
        sh(&format!("mkdir {0}; mount -t tmpfs none {0}; echo x > {0}/inside", point.display()));
        let file = ground.server.file("rules");
        fs::write(&file, "- a\n!\n- *.tmp\n").unwrap();
        ground.job.sync.filters = vec![Filter::Rule("- *.o".into())];
        ground.job.sync.filter_file = Some(file.clone());
        ground.job.sync.mounts = MountsBelow::LeftOut;
        ground.job.sync.rsync.kept = CopyTraits { sparse: true, hard_links: true };
        let report = ground.run();
        sh(&format!("umount {}", point.display()));
        assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
        // What the file clears is what stood before it.
        assert_eq!(names(&ground.destination), [".nbkp", ".nbkp-dst", "a", "b", "mounted", "sub"]);
        assert_eq!(names(&ground.destination.join("sub")), ["y.o"]);
        assert_eq!(names(&ground.destination.join("mounted")), [""; 0]);
        let inode = |name: &str| fs::metadata(ground.destination.join(name)).unwrap().ino();
        assert_eq!(inode("a"), inode("b"));
        fs::write(&file, ".gvfs\n").unwrap();
        let Conclusion::Failed(failure) = ground.run().conclusion else { panic!("a list is no file of rules") };
        assert!(failure.detail.starts_with("line 1 of"), "{}", failure.detail);
    }
}

/// What of ours lies at a destination after a run: a token only where one over the network wrote.
fn own_files(destination: &JobEnd) -> &'static [&'static str] {
    match destination {
        JobEnd::Here(_) => &["lock", "log.jsonl"],
        JobEnd::There(_) => &["lock", "log.jsonl", "writer"],
    }
}

/// Four runs: the second with one change and one deletion, the others with nothing to do, of which only the last is to
/// make a snapshot nonetheless.
fn keep_snapshots(ground: &mut Ground, shown: &dyn Fn(&Ground, &str) -> std::path::PathBuf) {
    for number in 0..30 {
        ground.write(format!("some/file {number}"), format!("{number}"));
    }
    let first = ground.run();
    assert_eq!((&first.conclusion, &first.warnings), (&Conclusion::Ok, &Vec::new()), "{first:?}");
    let first = first.snapshot.unwrap().to_string();
    assert_eq!(ground.difference(&shown(ground, &first)), "");
    fs::remove_file(ground.source.join("some/file 3")).unwrap();
    ground.write("some/file 4", "changed");
    let second = ground.run();
    assert_eq!((&second.conclusion, &second.warnings), (&Conclusion::Ok, &Vec::new()), "{second:?}");
    assert_eq!(second.figures.deletions, 1);
    let second = second.snapshot.unwrap().to_string();
    assert_eq!(ground.difference(&shown(ground, &second)), "");
    assert_eq!(fs::read_to_string(shown(ground, &first).join("some/file 4")).unwrap(), "4");
    let log = |ground: &Ground| fs::read_to_string(ground.destination.join(".nbkp/log.jsonl")).unwrap().lines().count();
    let logged = log(ground);
    let same = ground.run();
    assert_eq!((&same.conclusion, &same.warnings), (&Conclusion::Ok, &Vec::new()), "{same:?}");
    assert_eq!((same.snapshot.unwrap().to_string(), same.figures.files_transferred), (second.clone(), 0));
    assert_eq!((ground.snapshots(), log(ground)), (vec![first.clone(), second.clone()], logged + 1));
    // A directory and its files.
    assert_eq!(same.figures.entries, 30);
    ground.job.sync.unchanged = Unchanged::Snapshot;
    let third = ground.run();
    assert_eq!((&third.conclusion, third.figures.files_transferred), (&Conclusion::Ok, 0), "{third:?}");
    let third = third.snapshot.unwrap().to_string();
    assert_eq!(ground.snapshots(), [first, second.clone(), third.clone()]);
    assert_eq!(
        fs::read_link(ground.destination.join("latest")).unwrap(),
        std::path::Path::new("snapshots").join(&third)
    );
    let hidden: Vec<_> =
        names(&ground.destination.join("snapshots")).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, Vec::<String>::new());
    assert_eq!(names(&ground.destination.join(".nbkp")), own_files(&ground.job.destination));
    // Nothing of a local run is missing: one made here goes on with what was made there.
    ground.job.sync.keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
    let own = ground.destination.join(".nbkp");
    let mode = || fs::metadata(&own).unwrap().mode() & 0o777;
    assert_eq!(mode(), 0o700);
    // As an earlier version made it.
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    let last = ground.run();
    assert_eq!(mode(), 0o700);
    assert_eq!((&last.conclusion, &last.warnings), (&Conclusion::Ok, &Vec::new()), "{last:?}");
    assert_eq!(ground.snapshots(), [last.snapshot.unwrap().to_string()]);
}

#[test]
fn a_lock_that_has_a_second_name_is_not_used_in_either_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::None);
        ground.write("file", "text");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let second = ground.destination.join("second");
        fs::hard_link(ground.destination.join(".nbkp/lock"), &second).unwrap();
        let report = ground.run();
        assert_ne!(report.conclusion, Conclusion::Ok, "{report:?}");
        fs::remove_file(second).unwrap();
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
    }
}

#[test]
fn hard_link_snapshots_are_kept_and_pruned_in_each_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::HardLink);
        keep_snapshots(&mut ground, &|ground, name| ground.destination.join("snapshots").join(name));
    }
}

#[test]
fn btrfs_snapshots_are_kept_and_pruned_in_each_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let drive = Drive::new("mkfs.btrfs -q", 256);
        let place = tempfile::tempdir().unwrap();
        let mut ground = Ground::onto(Sshd::new(), place, (from, to), &drive.root, SnapshotKind::Btrfs);
        keep_snapshots(&mut ground, &|ground, name| ground.destination.join("snapshots").join(name));
        let newest = ground.destination.join("latest");
        assert!(fs::write(newest.join("new"), "x").is_err(), "a snapshot can be written");
        // A small change in a big file costs a small transfer.
        ground.write("big", vec![7; 8 << 20]);
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        sh(&format!("printf x | dd of={}/big bs=1 seek=5000000 conv=notrunc status=none", ground.source.display()));
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok);
        assert!(report.figures.bytes_transferred < 1 << 20, "{report:?}");
    }
}

#[test]
fn what_is_in_too_many_deletions_is_held_until_approved() {
    if !needs_root() {
        return;
    }
    let kinds = [SnapshotKind::None, SnapshotKind::HardLink];
    for ((from, to), kind) in WAYS.into_iter().flat_map(|way| kinds.map(|kind| (way, kind))) {
        let mut ground = Ground::new(from, to, kind);
        for number in 0..40 {
            ground.write(format!("file {number}"), "x");
        }
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let copy = ground.newest();
        let finished = ground.snapshots();
        for number in 0..20 {
            fs::remove_file(ground.source.join(format!("file {number}"))).unwrap();
        }
        let held = ground.run().conclusion;
        assert!(matches!(held, Conclusion::Held(_)), "{held:?}");
        assert!(copy.join("file 3").exists());
        assert_eq!(ground.snapshots(), finished);
        ground.approve(&held);
        // As many others are others.
        ground.write("file 1", "x");
        fs::remove_file(ground.source.join("file 30")).unwrap();
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)), "{kind:?}");
        assert!(copy.join("file 30").exists());
        ground.write("file 30", "x");
        fs::remove_file(ground.source.join("file 1")).unwrap();
        let report = ground.run();
        assert_eq!((report.conclusion, report.figures.deletions), (Conclusion::Ok, 20));
        assert_eq!(ground.difference(&copy), "");
        // Nobody means to back up nothing.
        ground.job.approved = None;
        ground.job.sync.guard = Guard::Off;
        sh(&format!("rm -r {}/file*", ground.source.display()));
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)));
    }
}

#[test]
fn a_destination_with_snapshots_is_read_by_its_latest() {
    if !needs_root() {
        return;
    }
    let mut first = Ground::new(At::Here, At::Server, SnapshotKind::HardLink);
    first.write("file", "x");
    let mut second = Ground::new(At::Server, At::Here, SnapshotKind::None);
    // The source of the second is the destination of the first.
    let end = remote(&mut second.job.source);
    end.routes = vec![first.server.route()];
    end.root = first.destination.parent().unwrap().to_owned();
    end.layout = Layout::Snapshots;
    second.job.sync.source.subdir = "copies".parse().unwrap();
    fs::write(first.destination.join(".nbkp-src"), "").unwrap();
    let nothing = second.run().conclusion;
    assert!(
        matches!(&nothing, Conclusion::Skipped(obstacles) if obstacles[0].code().as_str() == "source-sentinel-missing")
    );
    assert_eq!(first.run().conclusion, Conclusion::Ok);
    assert_eq!(second.run().conclusion, Conclusion::Ok);
    assert_eq!(first.difference(&second.destination), "");
}

#[test]
fn hostile_names_stay_names() {
    if !needs_root() {
        return;
    }
    let names: [&[u8]; 9] = [
        b"a b",
        b"$(touch pwned)",
        b"`touch pwned`",
        b"it's \"quoted\" \\ here",
        b"-rf",
        b"new\nline",
        b"non-utf8 \xff\xfe",
        b"; touch pwned #",
        b"*?[a]",
    ];
    for ((from, to), kind) in WAYS.into_iter().zip([SnapshotKind::HardLink, SnapshotKind::None, SnapshotKind::HardLink])
    {
        let outer = tempfile::tempdir().unwrap();
        let hostile = outer.path().join("it's $(touch pwned) `touch pwned` \"x\" \\ ; touch pwned #");
        fs::create_dir(&hostile).unwrap();
        let place = tempfile::tempdir_in(&hostile).unwrap();
        let root = place.path().join("-to & fro");
        fs::create_dir(&root).unwrap();
        let mut ground = Ground::onto(Sshd::new(), place, (from, to), &root, kind);
        for name in names {
            ground.write([name, b"/", name].concat(), "x");
        }
        ground.job.sync.destination.subdir = "copies".parse().unwrap();
        for _ in 0..2 {
            let report = ground.run();
            assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()), "{report:?}");
        }
        let (source, copy) = (ground.source.clone(), ground.destination.clone());
        let copy = if kind == SnapshotKind::None { copy } else { copy.join("latest/") };
        let listed = |place: &std::path::Path| {
            let mut all: Vec<_> = walk(place).into_iter().filter(|name| !name.starts_with(b".nbkp")).collect();
            all.sort();
            all
        };
        assert_eq!(listed(&source), listed(&copy));
        // Where the shells of both machines may have stood, too.
        let (outer, home) = (outer.path().display(), ground.server.file("home"));
        let places = format!("'{outer}' '{}' ~ . -xdev", home.display());
        assert_eq!(
            sh(&format!("ls /pwned 2>/dev/null || true; find {places} -maxdepth 8 -name pwned 2>/dev/null || true")),
            ""
        );
    }
}

#[test]
fn what_is_deleted_at_a_server_is_exactly_what_was_told() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::None);
        for name in [&b"new\nline"[..], b"$(touch pwned)", b"it's \"q\" \\", b"-rf", b"\xff", b"a -> ", b"*", b" x "] {
            ground.write([b"gone/", name, b"/", name].concat(), "x");
            ground.write([b"stays/", name, b"/", name].concat(), "x");
        }
        for number in 0..450 {
            ground.write(format!("many/{number}"), "x");
        }
        ground.write("half/kept", "x");
        ground.write("turns/into/a file", "x");
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        ground.job.sync.filters = vec![Filter::Rule("P kept".into())];
        let source = ground.source.display();
        sh(&format!("cd {source}; rm -r gone many half turns; echo x >turns; mkdir {source}/many"));
        let before = walk(&ground.destination).len();
        let held = ground.run().conclusion;
        assert_eq!(walk(&ground.destination).len(), before);
        ground.approve(&held);
        let report = ground.run();
        assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()), "{report:?}");
        let kept = format!("Only in {}: half\n", ground.destination.display());
        assert_eq!(format!("{}\n", ground.difference(&ground.destination)), kept);
        assert!(ground.destination.join("half/kept").exists());
        assert_eq!(ground.run().figures.deletions, 0);
    }
}

#[test]
fn so_much_is_deleted_at_a_server_that_one_script_does_not_hold_it() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::None);
    ground.write("stays", "x");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let many = "i=0; while [ $i -lt 20500 ]; do : >$((i % 3))/$i; i=$((i + 1)); done";
    sh(&format!("cd {}; mkdir 0 1 2; {many}", ground.destination.display()));
    // So many that they are approved all together.
    let held = ground.run().conclusion;
    ground.approve(&held);
    let report = ground.run();
    assert_eq!((&report.conclusion, report.figures.deletions), (&Conclusion::Ok, 20_503), "{report:?}");
    assert_eq!(ground.difference(&ground.destination), "");
}

#[test]
fn what_would_be_cut_down_is_held_in_each_direction() {
    if !needs_root() {
        return;
    }
    let kinds = [SnapshotKind::None, SnapshotKind::HardLink];
    for ((from, to), kind) in WAYS.into_iter().flat_map(|way| kinds.map(|kind| (way, kind))) {
        let mut ground = Ground::new(from, to, kind);
        for number in 0..40 {
            ground.write(format!("file {number}"), [7; 3000]);
        }
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        let copy = ground.newest();
        for number in 0..20 {
            ground.write(format!("file {number}"), &[1; 100][..if number % 2 == 0 { 0 } else { 100 }]);
        }
        // Longer, and shorter by less: no cuts.
        (20..30).for_each(|number| ground.write(format!("file {number}"), vec![1; number * 100]));
        let seen = preview(&ground.job, &ground.server.ssh_place()).unwrap().hold;
        for _ in 0..2 {
            let held = ground.run().conclusion;
            let Conclusion::Held(reason) = &held else { panic!("{from:?} {to:?} {kind:?} {held:?}") };
            let HoldReason::CutDown { paths, of: 40, .. } = reason else { panic!("{reason:?}") };
            let Some(HoldReason::CutDown { paths: shown, .. }) = &seen else { panic!("{seen:?}") };
            assert_eq!((paths.count(), shown), (20, paths), "{from:?} {to:?} {kind:?}");
            assert_eq!(fs::read(copy.join("file 3")).unwrap(), [7; 3000]);
        }
        let held = ground.run().conclusion;
        ground.approve(&held);
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        assert_eq!(ground.difference(&copy), "");
    }
}

#[test]
fn a_large_mirror_is_not_cut_down_in_any_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::None);
        // Whole directories are cut down, each of them larger than what one may have in a sample.
        let path = |number: usize| format!("part {}/-odd [{}]/file {number}", number % 4, number % 12);
        (0..3000).for_each(|number| ground.write(path(number), [7; 300]));
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        ground.job.remembered = Some(Remembered { snapshot: None, entries: 3017 });
        (0..3000).step_by(3).for_each(|number| ground.write(path(number), [1; 20]));
        let held = ground.run().conclusion;
        let Conclusion::Held(HoldReason::CutDown { paths, of: 3000, .. }) = &held else {
            panic!("{from:?} {to:?} {held:?}")
        };
        assert_eq!(paths.count(), 1000);
        assert_eq!(fs::read(ground.destination.join(path(3))).unwrap(), [7; 300]);
    }
}

/// The names of all below a directory.
fn walk(place: &std::path::Path) -> Vec<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut all = Vec::new();
    for entry in fs::read_dir(place).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().as_bytes().to_vec();
        if entry.file_type().unwrap().is_dir() && !name.starts_with(b".nbkp") {
            all.extend(walk(&entry.path()).into_iter().map(|below| [&name[..], b"/", &below].concat()));
        }
        all.push(name);
    }
    all
}

#[test]
fn a_run_on_this_machine_is_told_to_one_over_the_network() {
    if !needs_root() {
        return;
    }
    let mut ground = Ground::new(At::Here, At::Server, SnapshotKind::HardLink);
    ground.job.sync.unchanged = Unchanged::Snapshot;
    ground.write("file", "x");
    assert_eq!(ground.run().conclusion, Conclusion::Ok);
    let writer = ground.destination.join(".nbkp/writer");
    let first = fs::read_to_string(&writer).unwrap();
    // What was made over the network goes on here, and the other way round.
    let there = std::mem::replace(&mut ground.job.destination, here(ground.destination.parent().unwrap()));
    let report = ground.run();
    assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()));
    assert_ne!(fs::read_to_string(&writer).unwrap(), first);
    ground.job.destination = there;
    let report = ground.run();
    assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()));
    assert_eq!(ground.snapshots().len(), 3);
    let inodes = sh(&format!("stat -c %i {}/snapshots/*/file | sort -u | wc -l", ground.destination.display()));
    assert_eq!(inodes, "1", "a file that did not change is not shared");
}

/// What was a link in the last copy is a directory now, with files of the size and time of those behind the link:
/// one at the top, one further down, one behind a directory that was a link itself.
fn links_become_directories(ground: &Ground) {
    sh(&format!(
        r"
        mkdir -p {0}/secret/deep; cd {0}
        echo 'only for root: 1' >secret/shadow; echo 'only for root: 2' >secret/deep/shadow; chmod 600 secret/shadow
        cd from/files; rm -r top some/link behind
        mkdir -p top some/link behind/link
        for place in top some/link behind/link; do
            for file in shadow deep/shadow; do
                mkdir -p $place/deep
                printf '%s' 'what the user has' >$place/$file
                touch -r {0}/secret/$file $place/$file
            done
        done",
        ground.place.path().display()
    ));
}

#[test]
fn a_link_of_an_older_copy_leads_nowhere_in_each_direction() {
    if !needs_root() {
        return;
    }
    // With so many other links that they are passed over by name, and with more.
    for ((from, to), others) in WAYS.into_iter().flat_map(|way| [(way, 3), (way, 300)]) {
        let mut ground = Ground::new(from, to, SnapshotKind::HardLink);
        let root = ground.place.path().display().to_string();
        sh(&format!(
            r#"
            cd {root}/from/files; mkdir some other
            ln -s {root}/secret top; ln -s {root}/secret some/link
            ln -s other behind; ln -s {root}/secret other/link
            for number in $(seq {others}); do ln -s some "link $number"; done
            echo kept >some/file"#
        ));
        ground.write("a\nb/c", "");
        let first = ground.run();
        assert_eq!((&first.conclusion, &first.warnings), (&Conclusion::Ok, &Vec::new()), "{first:?}");
        links_become_directories(&ground);
        let second = ground.run();
        assert_eq!((&second.conclusion, &second.warnings), (&Conclusion::Ok, &Vec::new()), "{second:?}");
        assert_eq!(ground.difference(&ground.newest().canonicalize().unwrap()), "");
        let links = |path: &str| fs::metadata(ground.place.path().join(path)).unwrap().nlink();
        assert_eq!((links("secret/shadow"), links("secret/deep/shadow")), (1, 1), "tied to what lives on");
        let snapshots: Vec<_> = ground.snapshots().iter().map(|name| format!("to/copies/snapshots/{name}")).collect();
        assert_eq!(links(&format!("{}/some/file", snapshots[1])), 2, "what did not change is shared");
        let third = ground.run();
        assert_eq!((&third.conclusion, third.figures.files_transferred), (&Conclusion::Ok, 0), "{third:?}");
        assert_eq!((third.figures.deletions, third.figures.entries), (0, second.figures.entries));
    }
}

#[test]
fn a_link_of_an_unfinished_copy_leads_nowhere_in_each_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::HardLink);
        let root = ground.place.path().display().to_string();
        sh(&format!("cd {root}/from/files; mkdir -p some behind; echo kept >some/file; mkdir top some/link"));
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        // As if a run had been cut short while they were links.
        let name = sh("date -u -d '+1 second' +%Y-%m-%dT%H:%M:%S.000Z");
        let stale = ground.destination.join(format!("snapshots/.stale-{}", name.trim()));
        sh(&format!(
            "mkdir -p {0}/some {0}/behind; cd {0}
             ln -s {root}/secret top; ln -s ../../../../../secret some/link; ln -s {root}/secret behind/link",
            stale.display()
        ));
        links_become_directories(&ground);
        let report = ground.run();
        assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()), "{report:?}");
        assert_eq!(ground.difference(&ground.newest().canonicalize().unwrap()), "");
        assert!(!stale.exists());
    }
}

#[test]
fn a_link_where_partial_files_would_lie_is_not_followed_in_each_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let mut ground = Ground::new(from, to, SnapshotKind::None);
        let root = ground.place.path().display().to_string();
        let victim = ground.place.path().join("secret/shadow");
        sh(&format!(
            "cd {root}; mkdir -p secret from/files/some to/copies/other; echo 'only for root' >secret/shadow
             ln -s {root}/secret from/files/some/.rsync-partial; ln -s {root}/secret to/copies/other/.rsync-partial"
        ));
        for content in ["short", "what the user has now"] {
            ground.write("some/shadow", content);
            ground.write("other/shadow", content);
            let report = ground.run();
            assert_eq!((&report.conclusion, &report.warnings), (&Conclusion::Ok, &Vec::new()), "{report:?}");
            assert_eq!(fs::read_to_string(&victim).unwrap(), "only for root\n");
            fs::remove_file(ground.source.join("some/.rsync-partial")).unwrap();
            assert_eq!(ground.difference(&ground.destination), "");
            sh(&format!("ln -s {root}/secret {root}/from/files/some/.rsync-partial"));
        }
    }
}

#[test]
fn what_cannot_be_changed_in_place_is_replaced_in_each_direction() {
    if !needs_root() {
        return;
    }
    for (from, to) in WAYS {
        let drive = Drive::new("mkfs.btrfs -q", 256);
        let place = tempfile::tempdir().unwrap();
        let mut ground = Ground::onto(Sshd::new(), place, (from, to), &drive.root, SnapshotKind::Btrfs);
        let (source, staging) = (ground.source.display().to_string(), ground.destination.join("staging"));
        sh(&format!("cp /bin/sleep {source}/program"));
        assert_eq!(ground.run().conclusion, Conclusion::Ok);
        // Nobody, root neither, writes to a program that runs.
        let process = sh(&format!("{}/program 30 >/dev/null 2>&1 & echo $!", staging.display()));
        sh(&format!("cd {source}; cp /bin/true program; echo x >other"));
        let second = ground.run();
        sh(&format!("kill {}", process.trim()));
        assert_eq!((&second.conclusion, &second.warnings), (&Conclusion::Ok, &Vec::new()), "{second:?}");
        assert_eq!(ground.difference(&ground.newest().canonicalize().unwrap()), "");
    }
}
