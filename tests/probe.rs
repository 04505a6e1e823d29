//! The script that looks at a server, run by real shells on real directories.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test starts programs, and fails by panicking"
)]

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nbkp::formats::ssh::probe::{self, ReachedBy};
use nbkp::model::{
    Absence, Access, Drive, EndFault, EndKind, EndProbe, EndSight, Mounting, RemoteProbe, RemoteSight, SentinelFault,
    SentinelId, SnapshotKind, SoughtDrive, VolumeSight, WhenDone,
};

/// The shells that servers have: that of Debian, that of small systems, and the usual one in its POSIX mode.
const SHELLS: [&[&str]; 3] = [&["dash"], &["busybox", "sh"], &["bash", "--posix"]];

fn look(shell: &[&str], home: &Path, volumes: &[RemoteProbe]) -> Vec<(VolumeSight, Vec<EndSight>)> {
    all(shell, home, volumes).into_iter().map(|seen| (seen.sight, seen.ends)).collect()
}

fn all(shell: &[&str], home: &Path, volumes: &[RemoteProbe]) -> Vec<RemoteSight> {
    let (program, arguments) = shell.split_first().unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        .args(["-s", "--"])
        .args(probe::arguments(volumes))
        // Where the login shell went does not matter.
        .current_dir("/")
        .env("HOME", home)
        // A test may put programs of its own in front of those of the machine.
        .env("PATH", format!("{}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", home.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shell:?}: {error}"));
    child.stdin.take().unwrap().write_all(probe::SCRIPT.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer = output.stdout;
    let endpoint = "nas".parse().unwrap();
    let way = ReachedBy { endpoint: &endpoint, host: "nas.local", interface: Some("eth0") };
    probe::sights(&answer, volumes, way)
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
        let uuid = "2d577679-a7b6-429d-8250-3d0d80e034dd".parse().unwrap();
        let drive = Drive { uuid, mounting: Mounting::Elsewhere, when_done: WhenDone::Leave };
        let drive = Some(SoughtDrive { drive, container: None });
        let probe = RemoteProbe { drive, ..volume("", vec![end("a", "", EndKind::Source)]) };
        let seen = look(shell, home, &[probe]);
        assert_eq!(seen, [(VolumeSight::Absent(Absence::NotPluggedThere("nas.local".into())), vec![EndSight::Unseen])]);
    });
}

const OUTER: &str = "2d577679-a7b6-429d-8250-3d0d80e034dd";
const INNER: &str = "11111111-a7b6-429d-8250-3d0d80e034dd";

/// An `lsblk` and a `findmnt` that tell of these devices what the real ones tell (util-linux 2.38, with device-mapper,
/// which this kernel lacks): name, UUID, type, filesystem, the device around it, and where it is mounted.
fn machine(home: &Path, devices: &[[&str; 6]]) {
    use std::os::unix::fs::PermissionsExt as _;
    let table: String = devices.iter().map(|device| device.join("|") + "\n").collect();
    touch(&home.join("bin/devices"), &table);
    let write = |name: &str, text: &str| {
        let path = home.join("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let rows = "rows() { while IFS='|' read -r name uuid type fs around at; do";
    let table = "done <\"${0%/*}/devices\"; }\n";
    let lsblk = format!(
        "#!/bin/sh\n{rows} eval \"$1\"; {table}\
         case \"$*\" in\n\
         '-nrpo UUID,FSTYPE,KNAME') rows 'echo \"$uuid $fs $name\"' ;;\n\
         '-dnro TYPE,FSTYPE '*) rows '[ $name != '$3' ] || echo $type $fs' ;;\n\
         '-dnro UUID,FSTYPE '*) rows '[ $name != '$3' ] || echo $uuid $fs' ;;\n\
         '-nrpo TYPE,KNAME '*) rows '[ $name != '$3' ] && [ \"$around\" != '$3' ] || echo $type $name' ;;\n\
         '-nrpso KNAME '*) rows '[ $name != '$3' ] || echo \"$name\n$around\"' ;;\n\
         '-dnrpo NAME '*) echo $3 ;;\n\
         *) echo \"unexpected: $*\" >&2 ;;\nesac\n"
    );
    write("lsblk", &lsblk);
    let findmnt =
        format!("#!/bin/sh\n{rows} eval \"$1\"; {table}rows '[ $name != '$4' ] || [ -z \"$at\" ] || echo \"$at\"'\n");
    write("findmnt", &findmnt);
    let udevadm = format!(
        "#!/bin/sh\n{rows} eval \"$1\"; {table}\
         rows '[ $name != '${{3#--name=}}' ] || [ $fs != btrfs ] || echo ID_FS_UUID_SUB=sub-${{name##*/}}'\n"
    );
    write("udevadm", &udevadm);
}

/// How a drive stands on such a machine, in words, with every shell.
fn check(uuid: &str, passphrase: Option<&str>, devices: &[[&str; 6]], expected: &str) {
    check_knowing(None, (uuid, passphrase), devices, expected);
}

/// The same where the container is known in which its filesystem lay; returns the one in which it lies.
fn check_knowing(
    container: Option<&str>,
    (uuid, passphrase): (&str, Option<&str>),
    devices: &[[&str; 6]],
    expected: &str,
) -> Option<String> {
    let told_of = RefCell::default();
    with_each_shell(|shell, home| {
        let point = home.join("mnt");
        let at = point.to_str().unwrap();
        let devices: Vec<[&str; 6]> =
            devices.iter().map(|device| device.map(|word| if word == "MOUNTED" { at } else { word })).collect();
        machine(home, &devices);
        touch(&point.join("backups/.nbkp-vol"), "");
        let passphrase = passphrase.map(|name| name.parse().unwrap());
        let mounting = Mounting::ForTheRun { passphrase };
        let drive = Drive { uuid: uuid.parse().unwrap(), mounting, when_done: WhenDone::Leave };
        let container = container.map(|uuid| uuid.parse().unwrap());
        let drive = Some(SoughtDrive { drive, container });
        let probe = RemoteProbe { drive, ..volume("backups", vec![end("a", "", EndKind::Source)]) };
        let seen = all(shell, home, &[probe, volume("nowhere", Vec::new())]).remove(0);
        told_of.replace(seen.container.map(|uuid| uuid.to_string()));
        let told = match seen.sight {
            VolumeSight::Absent(Absence::NotPluggedThere(host)) => format!("not plugged into {host}"),
            VolumeSight::Ambiguous { devices } => format!("ambiguous {}", devices.len()),
            VolumeSight::Locked { device, .. } => format!("locked {device}"),
            VolumeSight::NotMounted { device, .. } => format!("not mounted {device}"),
            VolumeSight::NotEncrypted { device } => format!("not encrypted {device}"),
            VolumeSight::Reached(reached) => format!("open {}", reached.root.strip_prefix(home).unwrap().display()),
            other @ (VolumeSight::Absent(_) | VolumeSight::NotProven { .. } | VolumeSight::Present(_)) => {
                format!("{other:?}")
            }
        };
        let usable = ["open", "not mounted", "locked"].iter().any(|word| told.starts_with(word));
        assert_eq!((told.as_str(), seen.medium.is_some()), (expected, usable), "{shell:?}");
    });
    told_of.into_inner()
}

#[test]
fn a_drive_is_told_by_its_uuid_in_any_spelling() {
    let plain =
        |at| [["/dev/sdb1", OUTER, "part", "ext4", "/dev/sdb", at], ["/dev/sda", INNER, "disk", "ext4", "", ""]];
    check(OUTER, None, &plain(""), "not mounted nas.local:/dev/sdb1");
    check(OUTER, None, &plain("MOUNTED"), "open mnt/backups");
    check(OUTER, None, &[], "not plugged into nas.local");
    let fat = [["/dev/sdb1", "5E3F-1A2B", "part", "vfat", "/dev/sdb", ""]];
    check("5e3f-1a2b", None, &fat, "not mounted nas.local:/dev/sdb1");
    let member = [["/dev/sdb1", OUTER, "part", "linux_raid_member", "/dev/sdb", ""]];
    check(OUTER, None, &member, "not plugged into nas.local");
}

#[test]
fn a_container_is_used_through_what_is_directly_in_it() {
    let around = ["/dev/sdb1", OUTER, "part", "crypto_LUKS", "/dev/sdb", ""];
    let inside = |at| ["/dev/dm-0", INNER, "crypt", "ext4", "/dev/sdb1", at];
    let secret = Some("attic");
    check(OUTER, secret, &[around], "locked nas.local:/dev/sdb1");
    check(OUTER, secret, &[around, inside("")], "not mounted nas.local:/dev/sdb1");
    check(OUTER, secret, &[around, inside("MOUNTED")], "open mnt/backups");
    check(INNER, secret, &[around, inside("MOUNTED")], "open mnt/backups");
    check(INNER, secret, &[around, inside("")], "not mounted nas.local:/dev/dm-0");
    check(INNER, secret, &[around], "not plugged into nas.local");
    // What is mounted of something in it is not what is meant.
    let volumes = ["/dev/dm-0", "", "crypt", "LVM2_member", "/dev/sdb1", ""];
    let deeper = ["/dev/dm-1", INNER, "lvm", "ext4", "/dev/dm-0", "MOUNTED"];
    check(OUTER, secret, &[around, volumes, deeper], "not mounted nas.local:/dev/sdb1");
}

#[test]
fn what_is_behind_a_lock_is_known_by_the_container_it_lay_in() {
    let around = ["/dev/sdb1", OUTER, "part", "crypto_LUKS", "/dev/sdb", ""];
    let inside = |uuid, at| ["/dev/dm-0", uuid, "crypt", "ext4", "/dev/sdb1", at];
    let clone = ["/dev/sdc1", OUTER, "part", "crypto_LUKS", "/dev/sdc", ""];
    let knowing = |devices: &[[&str; 6]], expected: &str| {
        check_knowing(Some(OUTER), (INNER, Some("attic")), devices, expected);
    };
    knowing(&[around], "locked nas.local:/dev/sdb1");
    knowing(&[around, inside(INNER, "")], "not mounted nas.local:/dev/dm-0");
    knowing(&[around, inside(INNER, "MOUNTED")], "open mnt/backups");
    for at in ["", "MOUNTED"] {
        knowing(&[around, inside("22222222-a7b6-429d-8250-3d0d80e034dd", at)], "not plugged into nas.local");
        knowing(&[around, inside("", at)], "not plugged into nas.local");
    }
    knowing(&[around, clone], "ambiguous 2");
    knowing(&[["/dev/sdb1", OUTER, "part", "ext4", "/dev/sdb", ""]], "not plugged into nas.local");
    knowing(&[["/dev/sdb1", INNER, "part", "ext4", "/dev/sdb", ""], clone], "not encrypted nas.local:/dev/sdb1");
    knowing(&[], "not plugged into nas.local");
    // The container is told of what is named by the filesystem in it, and of nothing else.
    let both = [around, inside(INNER, "MOUNTED")];
    let told = |uuid, devices: &[[&str; 6]]| check_knowing(None, (uuid, None), devices, "open mnt/backups");
    assert_eq!(told(INNER, &both).as_deref(), Some(OUTER));
    assert_eq!(told(OUTER, &both), None);
    assert_eq!(told(INNER, &[["/dev/sdb1", INNER, "part", "ext4", "/dev/sdb", "MOUNTED"]]), None);
    let no_luks = ["/dev/sdb1", OUTER, "part", "BitLocker", "/dev/sdb", ""];
    assert_eq!(told(INNER, &[no_luks, inside(INNER, "MOUNTED")]), None);
    let two = [both[0], ["/dev/dm-0", INNER, "crypt", "btrfs", "/dev/sdb1", "MOUNTED"], clone];
    let second = ["/dev/dm-1", INNER, "crypt", "btrfs", "/dev/sdc1", ""];
    assert_eq!(told(INNER, &[&two[..], &[second]].concat()), None, "one of several would not open it");
}

#[test]
fn a_plain_filesystem_in_place_of_a_container_is_refused_mounted_or_not() {
    for at in ["", "MOUNTED"] {
        let impostor = ["/dev/sdb1", OUTER, "part", "ext4", "/dev/sdb", at];
        check(OUTER, Some("attic"), &[impostor], "not encrypted nas.local:/dev/sdb1");
    }
}

#[test]
fn clones_are_refused_and_the_members_of_one_btrfs_are_one_drive() {
    let on = |name, at| [name, OUTER, "disk", "btrfs", "", at];
    check(OUTER, None, &[on("/dev/sdb", ""), on("/dev/sdc", "MOUNTED")], "open mnt/backups");
    check(OUTER, None, &[on("/dev/sdb", ""), on("/dev/x/sdb", "MOUNTED")], "ambiguous 2");
}
