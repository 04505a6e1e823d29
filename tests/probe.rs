//! The script that looks at a server, run by real shells on real directories.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test starts programs, and fails by panicking"
)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nbkp::formats::ssh::probe;
use nbkp::model::{
    Absence, Access, EndFault, EndKind, EndProbe, EndSight, RemoteProbe, SentinelFault, SentinelId, SnapshotKind,
    VolumeSight,
};

/// The shells that servers have: that of Debian, that of small systems, and the usual one in its POSIX mode.
const SHELLS: [&[&str]; 3] = [&["dash"], &["busybox", "sh"], &["bash", "--posix"]];

fn look(shell: &[&str], home: &Path, volumes: &[RemoteProbe]) -> Vec<(VolumeSight, Vec<EndSight>)> {
    let (program, arguments) = shell.split_first().unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        .args(["-s", "--"])
        .args(probe::arguments(volumes))
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shell:?}: {error}"));
    child.stdin.take().unwrap().write_all(probe::SCRIPT.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer = output.stdout;
    probe::read(&answer, volumes, &"nas".parse().unwrap(), Some("eth0"))
        .unwrap_or_else(|error| panic!("{shell:?}: {error}: {:?}", String::from_utf8_lossy(&answer)))
}

fn end(sync: &str, subdir: &str, kind: EndKind) -> EndProbe {
    EndProbe { sync: sync.parse().unwrap(), subdir: subdir.parse().unwrap(), kind }
}

fn volume(path: impl Into<PathBuf>, ends: Vec<EndProbe>) -> RemoteProbe {
    RemoteProbe { volume: "nas".parse().unwrap(), path: path.into(), drive: None, ends }
}

fn with_each_shell(scenario: impl Fn(&[&str], &Path)) {
    for shell in SHELLS {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().canonicalize().unwrap();
        scenario(shell, &home);
    }
}

fn touch(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

const READY: EndSight = EndSight::Ready { id: None };

#[test]
fn all_is_seen_in_one_go() {
    with_each_shell(|shell, home| {
        touch(&home.join("srv/.nbkp-vol"), "id = \"abc-1\"\n");
        touch(&home.join("srv/photos/.nbkp-dst"), "");
        touch(&home.join("srv/photos/.nbkp-src"), "");
        fs::create_dir_all(home.join("srv/photos/snapshots/2026-11-22T17:30:00.000Z")).unwrap();
        std::os::unix::fs::symlink("snapshots/2026-11-22T17:30:00.000Z", home.join("srv/photos/latest")).unwrap();
        touch(&home.join("bare/.nbkp-src"), "");
        let seen = look(
            shell,
            home,
            &[
                volume(
                    home.join("srv"),
                    vec![
                        end("photos", "photos", EndKind::Destination(SnapshotKind::HardLink)),
                        end("back", "photos", EndKind::SourceOfSnapshots),
                        end("gone", "gone/deep", EndKind::Source),
                    ],
                ),
                // Relative to the home directory.
                volume("bare", vec![end("bare", "", EndKind::Source)]),
                volume("nowhere", vec![end("none", "", EndKind::Source)]),
            ],
        );
        let VolumeSight::Reached(reached) = &seen[0].0 else { panic!("{shell:?}: {seen:?}") };
        assert_eq!((&reached.root, &reached.id), (&home.join("srv"), &Some(SentinelId("abc-1".into()))));
        assert_eq!((reached.access, reached.interface.as_deref()), (Access::ReadWrite, Some("eth0")));
        let gone = EndFault::NoDirectory(home.join("srv/gone/deep"), "it does not exist".into());
        assert_eq!(seen[0].1, [READY, READY, EndSight::Faulty(vec![gone])], "{shell:?}");
        let missing = VolumeSight::NotProven { root: home.join("bare"), fault: SentinelFault::Missing };
        assert_eq!(seen[1], (missing, vec![EndSight::Unseen]), "{shell:?}");
        assert_eq!(seen[2].0, VolumeSight::Absent(Absence::NoDirectory("nowhere".into())), "{shell:?}");
    });
}

#[test]
fn a_look_at_the_root_and_at_the_home_directory() {
    with_each_shell(|shell, home| {
        touch(&home.join(".nbkp-vol"), "");
        touch(&home.join(".nbkp-src"), "");
        let seen = look(shell, home, &[volume("", vec![end("home", "", EndKind::Source)]), volume("/", Vec::new())]);
        assert_eq!(seen[0].1, [READY], "{shell:?}: {seen:?}");
        assert_eq!(seen[1].0, VolumeSight::NotProven { root: "/".into(), fault: SentinelFault::Missing });
    });
}

#[test]
fn what_does_not_prove_a_place_is_told() {
    with_each_shell(|shell, home| {
        touch(&home.join(".nbkp-vol"), "");
        touch(&home.join("real/.nbkp-dst"), "");
        std::os::unix::fs::symlink("real", home.join("linked")).unwrap();
        fs::create_dir(home.join("link")).unwrap();
        std::os::unix::fs::symlink("../real/.nbkp-dst", home.join("link/.nbkp-dst")).unwrap();
        fs::create_dir(home.join("pipe")).unwrap();
        assert!(Command::new("mkfifo").arg(home.join("pipe/.nbkp-dst")).status().unwrap().success());
        touch(&home.join("long/.nbkp-dst"), &"x".repeat(5000));
        touch(&home.join("btrfs/.nbkp-dst"), "");
        touch(&home.join("first/.nbkp-src"), "");
        let plain = EndKind::Destination(SnapshotKind::None);
        let ends = vec![
            end("linked", "linked", plain),
            end("link", "link", plain),
            end("pipe", "pipe", plain),
            end("long", "long", plain),
            end("btrfs", "btrfs", EndKind::Destination(SnapshotKind::Btrfs)),
            end("first", "first", EndKind::SourceOfSnapshots),
        ];
        let (_, seen) = look(shell, home, &[volume("", ends)]).remove(0);
        let faults: Vec<String> = seen.iter().map(|sight| format!("{sight:?}")).collect();
        for (fault, expected) in faults.iter().zip([
            "symbolic link is on the way",
            "it is a symbolic link",
            "it is not a regular file",
            "longer than 4096",
            "btrfs",
            "NoSnapshotYet",
        ]) {
            assert!(fault.contains(expected), "{shell:?}: {fault} instead of {expected}");
        }
    });
}

#[test]
fn no_name_becomes_code_or_confuses_the_answer() {
    let names: [&[u8]; 7] =
        [b"with space", b"$(touch pwned)", b"`touch pwned`", b"a'b\"c", b"line\nfeed\n", b"-rf", b"\xff\xfe"];
    with_each_shell(|shell, home| {
        for name in names {
            let root = home.join(OsStr::from_bytes(name));
            touch(&root.join(".nbkp-vol"), "");
            touch(&root.join(".nbkp-src"), "");
            for path in [root.clone(), PathBuf::from(OsString::from(OsStr::from_bytes(name)))] {
                let (sight, ends) = look(shell, home, &[volume(path, vec![end("a", "", EndKind::Source)])]).remove(0);
                let VolumeSight::Reached(reached) = sight else { panic!("{shell:?}: {name:?}: {sight:?}") };
                assert_eq!((reached.root, ends), (root.clone(), vec![READY]), "{shell:?}");
            }
        }
        assert!(!home.join("pwned").exists());
    });
}

#[test]
fn a_drive_that_is_not_plugged_in_is_told() {
    with_each_shell(|shell, home| {
        let drive = "2d577679-a7b6-429d-8250-3d0d80e034dd".parse().ok();
        let probe = RemoteProbe { drive, ..volume("", vec![end("a", "", EndKind::Source)]) };
        let seen = look(shell, home, &[probe]);
        assert_eq!(seen, [(VolumeSight::Absent(Absence::NotPlugged), vec![EndSight::Unseen])]);
    });
}
