//! The script that works on a drive of a server, under the shells that servers have, with the real udisksd.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nbkp::formats::ssh::drive::{Deed, Facts, Life, Meant, Medium, State, Tool, Verb, arguments, read};
use nbkp::formats::ssh::script::{ACT, Answer, answer, text};

use rustix::mount::{MountFlags, mount};

use crate::bus::{Neighbour, system_bus};
use crate::mini::{Stick, host, sh, uuid};
use crate::storage::udisks;

/// That of Debian, that of small systems, and the usual one in its POSIX mode.
const SHELLS: [&[&str]; 3] = [&["dash"], &["busybox", "sh"], &["bash", "--posix"]];

fn act(shell: &[&str], meant: &Meant, verb: Verb) -> Facts {
    let (program, before) = shell.split_first().unwrap();
    let mut child = Command::new(program);
    child.args(before).arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap_or_else(|error| panic!("{shell:?}: {error}"));
    child.stdin.take().unwrap().write_all(&text(ACT, &arguments(meant, verb))).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let Answer::Whole(0, said) = answer(&output) else { panic!("{shell:?}: {}", String::from_utf8_lossy(&output)) };
    read(&said).unwrap_or_else(|| panic!("{shell:?}: {}", String::from_utf8_lossy(&said)))
}

fn stick() -> (tempfile::TempDir, Stick, Meant) {
    let place = tempfile::tempdir().unwrap();
    let mut stick = Stick::new(&place.path().join("image"), &format!("mkfs.ext4 -q -U {}", uuid()));
    stick.plug();
    sh("udevadm settle");
    (place, stick, Meant { uuid: uuid().parse().unwrap(), medium: None })
}

#[test]
fn a_drive_is_mounted_and_let_go_under_each_shell() {
    host("scripts::a_drive_is_mounted_and_let_go_under_each_shell", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let (_place, stick, any) = stick();
        let node = stick.node.clone().unwrap();
        for shell in SHELLS {
            let seen = act(shell, &any, Verb::Look);
            assert_eq!((&seen.state, &seen.nodes, seen.tool), (&State::Closed, &vec![node.clone()], Tool::There));
            assert_eq!(seen.boot, sh("cat /proc/sys/kernel/random/boot_id"));
            assert_eq!(seen.seq, sh(&format!("cat /sys/class/block/{}/diskseq", node.file_name().unwrap().display())));
            let this = Meant { medium: seen.medium(), ..any.clone() };
            let mounted = act(shell, &this, Verb::Mount);
            let State::Open(point) = mounted.state.clone() else { panic!("{shell:?}: {mounted:?}") };
            assert!(sh("cat /proc/self/mountinfo").contains(point.to_str().unwrap()));
            assert_eq!((mounted.why, mounted.life), (None, Life::Alive));
            // What is so already is not asked for again.
            assert_eq!(act(shell, &this, Verb::Mount).why, None);

            let inside = format!("cd {} && exec sleep 1000", point.display());
            let mut reader = Neighbour::start("/bin/sh", &["-c", &inside], &[]);
            let cwd = PathBuf::from(format!("/proc/{}/cwd", reader.0.id()));
            crate::bus::until("somebody is in there", || cwd.read_link().is_ok_and(|cwd| cwd == point));
            let refused = act(shell, &this, Verb::Unmount);
            assert!(refused.why.as_ref().is_some_and(|why| why.contains("DeviceBusy")), "{shell:?}: {refused:?}");
            let users = act(shell, &this, Verb::Users).users;
            let expected = format!("sleep (process {}) uses {}", reader.0.id(), point.display());
            assert_eq!(users.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected], "{shell:?}");
            reader.kill();
            let closed = act(shell, &this, Verb::Unmount);
            assert_eq!((&closed.state, closed.why), (&State::Closed, None), "{shell:?}");
            assert_eq!(act(shell, &this, Verb::Unmount).why, None);
            // A loop device has nothing that could be powered off.
            assert!(act(shell, &this, Verb::PowerOff).why.is_some(), "{shell:?}");
        }
    });
}

#[test]
fn a_mount_point_may_have_any_name() {
    host("scripts::a_mount_point_may_have_any_name", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let (_place, stick, any) = stick();
        let point = PathBuf::from("/run/Bücher und \\x41 \\040 'viel'");
        std::fs::create_dir(&point).unwrap();
        let node = stick.node.clone().unwrap();
        for shell in SHELLS {
            mount(&node, &point, "ext4", MountFlags::empty(), None).unwrap();
            let seen = act(shell, &any, Verb::Look);
            assert_eq!(seen.state, State::Open(point.clone()), "{shell:?}");
            let inside = std::fs::File::create(point.join("file")).unwrap();
            let users = act(shell, &any, Verb::Users).users;
            assert_eq!(users.iter().map(|user| user.pid).collect::<Vec<_>>(), [std::process::id()], "{shell:?}");
            drop(inside);
            let closed = act(shell, &any, Verb::Unmount);
            assert_eq!((closed.state, closed.deed, closed.unflushed), (State::Closed, Deed::Done, None), "{shell:?}");
            assert_eq!(act(shell, &any, Verb::Unmount).deed, Deed::Undone, "it is so already");
        }
    });
}

#[test]
fn a_filesystem_over_several_devices_is_open_by_whichever_is_meant() {
    host("scripts::a_filesystem_over_several_devices_is_open_by_whichever_is_meant", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let place = tempfile::tempdir().unwrap();
        let mut sticks = ["first", "second"].map(|name| {
            Stick::new(&place.path().join(name), &format!("mkfs.btrfs -q -f -U {}", uuid().replace('2', "3")))
        });
        let parts = sticks.each_mut().map(|stick| stick.plug().display().to_string());
        sh(&format!("mkfs.btrfs -q -f -U {} {} {}", uuid(), parts[0], parts[1]));
        sh(&format!("udevadm trigger --settle {0} {1} && btrfs device scan {0} {1}", parts[0], parts[1]));
        sh(&format!("mkdir /run/both && mount {} /run/both", parts[1]));
        let any = Meant { uuid: uuid().parse().unwrap(), medium: None };
        for shell in SHELLS {
            let seen = act(shell, &any, Verb::Look);
            assert_eq!((&seen.state, seen.nodes.len()), (&State::Open("/run/both".into()), 2), "{shell:?}");
            for node in &parts {
                let medium = Medium { node: node.into(), ..seen.medium().unwrap() };
                let this = act(shell, &Meant { medium: Some(medium), ..any.clone() }, Verb::Look);
                assert_eq!(this.state, State::Open("/run/both".into()), "{shell:?} {node}");
            }
        }
        sh("umount /run/both");
    });
}

#[test]
fn another_medium_is_left_alone() {
    host("scripts::another_medium_is_left_alone", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let (_place, _stick, any) = stick();
        let this = act(SHELLS[0], &any, Verb::Look).medium().unwrap();
        let others = [
            Medium { seq: format!("{}0", this.seq), ..this.clone() },
            Medium { boot: "another".into(), ..this.clone() },
            Medium { node: "/dev/null".into(), ..this.clone() },
        ];
        for shell in SHELLS {
            for medium in &others {
                let meant = Meant { medium: Some(medium.clone()), ..any.clone() };
                let facts = act(shell, &meant, Verb::Mount);
                assert!(matches!(facts.state, State::Closed | State::Unplugged), "{shell:?}: {facts:?}");
                assert_eq!(facts.why, None, "{shell:?}: udisks was not asked");
            }
        }
    });
}

#[test]
fn what_cannot_be_written_any_more_is_not_unmounted_as_if_it_could() {
    host("scripts::what_cannot_be_written_any_more_is_not_unmounted_as_if_it_could", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let (_place, _stick, any) = stick();
        act(SHELLS[0], &any, Verb::Mount);
        // A `sync` that fails as that of a drive that was pulled out.
        sh(
            "printf '#!/bin/sh\\necho sync: error syncing: Input/output error >&2\\nexit 1\\n' >/run/sync && chmod 755 /run/sync",
        );
        sh("mount --bind /run/sync /usr/bin/sync");
        for shell in SHELLS {
            // That of busybox is its own.
            if shell[0] != "busybox" {
                let facts = act(shell, &any, Verb::Unmount);
                assert!(facts.unflushed.is_some_and(|why| why.contains("Input/output error")), "{shell:?}");
                assert!(matches!(facts.state, State::Open(_)), "{shell:?}");
            }
        }
        sh("umount /usr/bin/sync");
        assert_eq!(act(SHELLS[0], &any, Verb::Unmount).state, State::Closed);
    });
}
