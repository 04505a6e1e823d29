//! The script that works on a drive of a server, under the shells that servers have, with the real udisksd.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nbkp::formats::ssh::drive::{DriveDeed, Facts, Life, Meant, Medium, State, Tool, Verb, arguments, facts_in};
use nbkp::formats::ssh::script::{ACT, Answer, UNLOCK, answer, text};

use rustix::mount::{MountFlags, mount};

use crate::bus::{Neighbour, system_bus};
use crate::luks::Luks;
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
    facts_in(&said).unwrap_or_else(|| panic!("{shell:?}: {}", String::from_utf8_lossy(&said)))
}

/// Unlocks a container as the helper does.
fn unlock(shell: &[&str], meant: &Meant, passphrase: &str) -> Facts {
    let (program, before) = shell.split_first().unwrap();
    let mut child = Command::new(program);
    child.args(before).args(["-c", UNLOCK, "nbkp"]).args(meant.words());
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(passphrase.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    facts_in(&output).unwrap_or_else(|| panic!("{shell:?}: {}", String::from_utf8_lossy(&output)))
}

fn stick() -> (tempfile::TempDir, Stick, Meant) {
    let place = tempfile::tempdir().unwrap();
    let mut stick = Stick::new(&place.path().join("image"), &format!("mkfs.ext4 -q -U {}", uuid()));
    stick.plug();
    sh("udevadm settle");
    (place, stick, Meant { uuid: uuid().parse().unwrap(), container: None, medium: None })
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
            assert_eq!(
                (closed.state, closed.deed, closed.unflushed),
                (State::Closed, DriveDeed::Done, None),
                "{shell:?}"
            );
            assert_eq!(act(shell, &any, Verb::Unmount).deed, DriveDeed::Undone, "it is so already");
        }
    });
}

#[test]
fn a_filesystem_over_several_devices_is_open_by_whichever_is_meant() {
    host("scripts::a_filesystem_over_several_devices_is_open_by_whichever_is_meant", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let place = tempfile::tempdir().unwrap();
        // Nothing is on them yet.
        let mut sticks = ["first", "second"].map(|name| Stick::new(&place.path().join(name), "true"));
        let parts = sticks.each_mut().map(|stick| stick.plug().display().to_string());
        sh(&format!("mkfs.btrfs -q -f -U {} {} {}", uuid(), parts[0], parts[1]));
        sh(&format!("udevadm trigger --settle {0} {1} && btrfs device scan {0} {1}", parts[0], parts[1]));
        sh(&format!("mkdir /run/both && mount {} /run/both", parts[1]));
        let any = Meant { uuid: uuid().parse().unwrap(), container: None, medium: None };
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
        sh("printf '#!/bin/sh\\necho sync: error syncing: Input/output error >&2\\nexit 1\\n' >/run/sync && chmod \
             755 /run/sync");
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

const OUTER: &str = "6b1f0c52-93d4-4f0b-a1f2-6a8f3c1de701";

#[test]
fn one_named_by_what_is_in_its_container_is_found_by_the_container_while_it_is_locked() {
    host("scripts::one_named_by_what_is_in_its_container_is_found_by_the_container_while_it_is_locked", || {
        let _bus = system_bus();
        let (place, inside, unknown) = stick();
        let format = "cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /etc/hostname";
        let mut around = Stick::new(&place.path().join("around"), &format!("{format} --uuid {OUTER}"));
        let (clear, container) = (inside.node.clone().unwrap(), around.plug());
        sh("udevadm settle");
        let served = Luks::serve(&container, &clear, "sesame");
        let any = Meant { container: Some(OUTER.parse().unwrap()), ..unknown.clone() };
        for shell in SHELLS {
            assert_eq!(act(shell, &unknown, Verb::Look).state, State::Unplugged, "{shell:?}");
            let locked = act(shell, &any, Verb::Look);
            assert_eq!((&locked.state, &locked.nodes), (&State::Locked, &vec![container.clone()]), "{shell:?}");
            let this = Meant { medium: locked.medium(), ..any.clone() };
            let facts = unlock(shell, &this, "wrong");
            assert_eq!(served.given().last().map(String::as_str), Some("wrong"), "{shell:?}");
            assert!(facts.state == State::Locked && facts.why.is_some(), "{shell:?}: {facts:?}");
            // What is being unlocked is locked until it is not.
            served.hesitate();
            let facts = std::thread::scope(|scope| {
                let unlocking = scope.spawn(|| unlock(shell, &this, "sesame"));
                crate::bus::until("it is being unlocked", || served.given().last().is_some_and(|it| it == "sesame"));
                assert_eq!(act(shell, &this, Verb::Look).state, State::Locked, "{shell:?}");
                served.go_on();
                unlocking.join().unwrap()
            });
            assert_eq!((&facts.state, &facts.nodes), (&State::Closed, &vec![clear.clone()]), "{shell:?}");
            assert_eq!((facts.outer.clone(), facts.medium()), (any.container.clone(), this.medium.clone()));
            // By its own node, as it was written down once.
            let medium = this.medium.clone().map(|medium| Medium { node: clear.clone(), ..medium });
            let before = Meant { medium, ..unknown.clone() };
            assert_eq!(act(shell, &before, Verb::Look).medium(), this.medium, "{shell:?}");
            let opened = Meant { container: None, ..this.clone() };
            for meant in [&this, &opened] {
                assert!(matches!(act(shell, meant, Verb::Mount).state, State::Open(_)), "{shell:?}");
                assert_eq!(act(shell, meant, Verb::Unmount).state, State::Closed, "{shell:?}");
            }
            assert_eq!(act(shell, &this, Verb::Lock).state, State::Locked, "{shell:?}");

            served.hold_another();
            assert_eq!(unlock(shell, &this, "sesame").state, State::Other, "{shell:?}");
            let facts = act(shell, &this, Verb::Mount);
            assert_eq!((facts.state, facts.why), (State::Other, None), "{shell:?}: udisks was not asked");
            assert!(!sh("cat /proc/mounts").contains(clear.to_str().unwrap()), "{shell:?}");
            assert_eq!(act(shell, &this, Verb::Lock).state, State::Locked, "{shell:?}");
            served.hold_its_own();
        }
        assert!(!served.is_unlocked());
    });
}
