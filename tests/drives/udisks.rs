//! Drives on a mini host with the real udisksd: mounted and let go, also when the desktop, a user or an end comes
//! in between.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nbkp::model::{ContainerSight, DrivePlace, HeldBy, Holder, Trial};
use nbkp::os::directory::ChangeMade;
use nbkp::os::holders;
use nbkp::os::machine;
use nbkp::os::udisks::trial::crypto_plugin;
use nbkp::os::udisks::{Power, Udisks, UdisksError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bus::{Neighbour, system_bus};
use crate::mini::{Stick, eventually, host, sh, uuid};
use crate::storage::{polkit, udisks, udisks_again};

const AS_USER: &str = "NBKP_TEST_NODE";

fn number(node: &Path) -> (u32, u32) {
    let device = std::fs::metadata(node).unwrap().rdev();
    (rustix::fs::major(device), rustix::fs::minor(device))
}

fn stick(mkfs: &str) -> (tempfile::TempDir, Stick) {
    let place = tempfile::tempdir().unwrap();
    let stick = Stick::new(&place.path().join("image"), mkfs);
    (place, stick)
}

/// The one place where it is mounted.
fn point(ours: &Udisks, device: (u32, u32)) -> PathBuf {
    let facts = ours.facts(device).unwrap();
    let [point] = facts.mount_points() else { panic!("{facts:?}") };
    point.clone()
}

/// What a file manager does meanwhile, whether or not it is the first.
fn desktop(what: &'static str, node: &Path) -> std::thread::JoinHandle<String> {
    let line = format!("udisksctl {what} -b {} 2>&1 || true", node.display());
    std::thread::spawn(move || sh(&line))
}

#[test]
fn a_drive_is_mounted_and_let_go() {
    host("udisks::a_drive_is_mounted_and_let_go", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        for mkfs in ["mkfs.ext4 -q", "mkfs.btrfs -q"] {
            let (_place, mut stick) = stick(mkfs);
            // It is asked for at once: udisks hears of it later than we do.
            let device = number(&stick.plug());
            let ours = Udisks::connect().unwrap();
            assert_eq!(ours.mount(device).unwrap(), ChangeMade::Changed, "{mkfs}");
            assert_eq!(ours.mount(device).unwrap(), ChangeMade::AlreadySo);
            assert!(sh("cat /proc/self/mountinfo").contains(point(&ours, device).to_str().unwrap()));
            let facts = ours.facts(device).unwrap();
            assert_eq!((facts.is_locked(), facts.is_unlocked(), facts.power), (false, false, Power::Stays));
            // There is nothing to lock, and nothing that could be powered off.
            assert_eq!(ours.lock(device).unwrap(), ChangeMade::AlreadySo);
            assert_eq!(ours.unmount(device).unwrap(), ChangeMade::Changed);
            assert_eq!(ours.unmount(device).unwrap(), ChangeMade::AlreadySo);
            assert_eq!(ours.power_off(device).unwrap(), ChangeMade::AlreadySo);
            assert_eq!(ours.facts(device).unwrap().mount_points().len(), 0);
            let ours_is_in = machine::device_state(device);
            stick.pull();
            // The number of a loop device may be another's at once.
            eventually("it is gone", || {
                let gone = matches!(ours.facts(device), Err(UdisksError::Gone(_)));
                (gone || machine::device_state(device) != ours_is_in).then_some(())
            });
        }
    });
}

#[test]
fn what_others_mounted_is_already_so() {
    host("udisks::what_others_mounted_is_already_so", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let (_place, mut stick) = stick("mkfs.ext4 -q");
        let node = stick.plug();
        let device = number(&node);
        let ours = Udisks::connect().unwrap();
        sh(&format!("mkdir /run/by-hand && mount {} /run/by-hand", node.display()));
        eventually("udisks sees it", || (!ours.facts(device).unwrap().mount_points().is_empty()).then_some(()));
        assert_eq!(ours.mount(device).unwrap(), ChangeMade::AlreadySo);
        assert_eq!(point(&ours, device), Path::new("/run/by-hand"));
        assert_eq!(ours.unmount(device).unwrap(), ChangeMade::Changed);
        // The desktop wants the same at the same time: whoever comes second finds it so.
        for _ in 0..8 {
            let theirs = desktop("mount", &node);
            ours.mount(device).unwrap();
            theirs.join().unwrap();
            assert!(!ours.facts(device).unwrap().mount_points().is_empty());
            let theirs = desktop("unmount", &node);
            ours.unmount(device).unwrap();
            theirs.join().unwrap();
        }
    });
}

#[test]
fn one_that_is_in_use_stays() {
    host("udisks::one_that_is_in_use_stays", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let (_place, mut stick) = stick("mkfs.ext4 -q");
        let device = number(&stick.plug());
        let ours = Udisks::connect().unwrap();
        ours.mount(device).unwrap();
        let open = File::create(point(&ours, device).join("file")).unwrap();
        let refused = ours.unmount(device).unwrap_err();
        assert!(matches!(refused, UdisksError::Busy(..)), "{refused}");
        drop(open);
        assert_eq!(ours.unmount(device).unwrap(), ChangeMade::Changed);
    });
}

#[test]
fn fstab_says_where() {
    host("udisks::fstab_says_where", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let (place, mut stick) = stick(&format!("mkfs.ext4 -q -U {}", uuid()));
        let node = stick.plug();
        let entry = format!("{} /run/from-fstab ext4 noauto,noatime 0 0\n", node.display());
        let fstab = place.path().join("fstab");
        std::fs::write(&fstab, entry).unwrap();
        sh(&format!("mkdir /run/from-fstab && mount --bind {} /etc/fstab", fstab.display()));
        let ours = Udisks::connect().unwrap();
        assert_eq!(ours.mount(number(&node)).unwrap(), ChangeMade::Changed);
        assert_eq!(point(&ours, number(&node)), Path::new("/run/from-fstab"));
        ours.unmount(number(&node)).unwrap();
    });
}

/// Whether anything was mounted or unmounted since this table was opened (`proc_pid_mountinfo(5)`).
fn has_changed(table: &File) -> bool {
    let mut fds = [PollFd::new(table, PollFlags::PRI)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
}

#[test]
fn it_is_asked_whether_it_would_mount_and_mounts_nothing() {
    host("udisks::it_is_asked_whether_it_would_mount_and_mounts_nothing", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let ours = Udisks::connect().unwrap();
        assert!(ours.version().unwrap().starts_with(|digit: char| digit.is_ascii_digit()));
        for mkfs in ["mkfs.ext4 -q", "mkfs.btrfs -q"] {
            let (_place, mut stick) = stick(mkfs);
            let device = number(&stick.plug());
            // udisks looks what is on a device a moment after it knows the device.
            let seen = eventually("udisks knows it", || {
                ours.examine(device).ok().filter(|seen| !matches!(seen.trial, Trial::Unclear(_)))
            });
            assert_eq!((&seen.trial, seen.container), (&Trial::Allowed, None), "{mkfs}");
            let table = File::open("/proc/self/mountinfo").unwrap();
            assert_eq!(ours.examine(device).unwrap().trial, Trial::Allowed);
            assert!(!has_changed(&table), "nothing is mounted for a question, not for a moment either");
            assert_eq!(seen.place, Some(DrivePlace::System), "a loop device is built in, as it sees it");
            assert!(ours.facts(device).unwrap().mount_points().is_empty());
            ours.mount(device).unwrap();
            assert!(has_changed(&table), "what is mounted shows there");
            assert_eq!(ours.examine(device).unwrap().trial, Trial::Mounted);
            ours.unmount(device).unwrap();
        }
        let (_place, mut stick) =
            stick("cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /etc/hostname");
        let device = number(&stick.plug());
        let seen = eventually("udisks knows the container", || {
            ours.examine(device).ok().filter(|seen| seen.container.is_some())
        });
        let plugin = if crypto_plugin().is_some() { ContainerSight::Read } else { ContainerSight::Unread };
        assert_eq!((seen.trial, seen.container), (Trial::Locked, Some(plugin)));
    });
}

#[test]
fn a_filesystem_that_cannot_be_mounted_says_why() {
    host("udisks::a_filesystem_that_cannot_be_mounted_says_why", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        let (_place, mut stick) = stick("mkfs.ext4 -q -b 4096");
        // The size that it believes to have is larger than the device.
        sh(&format!("truncate -s 60M {}", stick.image.display()));
        let device = number(&stick.plug());
        let refused = Udisks::connect().unwrap().mount(device).unwrap_err();
        assert!(matches!(refused, UdisksError::Refused(..)), "{refused}");
        assert!(refused.to_string().starts_with("mount it: Error mounting /dev/loop"), "{refused}");
    });
}

#[test]
fn an_end_of_udisks_in_between_is_survived() {
    host("udisks::an_end_of_udisks_in_between_is_survived", || {
        let (_bus, mut daemon) = (system_bus(), udisks());
        let (_place, mut stick) = stick("mkfs.ext4 -q");
        let device = number(&stick.plug());
        let ours = Udisks::connect().unwrap();
        ours.facts(device).unwrap();
        // A stopped daemon answers nobody; killed in the middle of the call, it leaves the caller without an answer.
        let pid = daemon.0.id();
        sh(&format!("kill -STOP {pid}"));
        let (asking, asked) = std::sync::mpsc::sync_channel(1);
        let call = std::thread::spawn(move || {
            asking.send(()).unwrap();
            ours.mount(device)
        });
        asked.recv().unwrap();
        eventually("the call waits", || {
            let queued = sh("ss --unix --numeric --no-header state established | awk '$2 > 0 || $3 > 0' || true");
            (!queued.is_empty()).then_some(())
        });
        daemon.kill();
        let _again = udisks_again();
        let answer = call.join().unwrap();
        // It was gone for a moment, which is told, or it came back soon enough; both ways it is mounted next.
        assert!(matches!(answer, Ok(_) | Err(UdisksError::Absent(_))), "{answer:?}");
        let ours = Udisks::connect().unwrap();
        ours.mount(device).unwrap();
        assert!(!ours.facts(device).unwrap().mount_points().is_empty());
    });
}

#[test]
fn nobody_there_is_told_at_once() {
    host("udisks::nobody_there_is_told_at_once", || {
        let started = Instant::now();
        assert!(matches!(Udisks::connect(), Err(UdisksError::Absent(_))));
        let _bus = system_bus();
        let ours = Udisks::connect().unwrap();
        assert!(matches!(ours.mount((7, 0)), Err(UdisksError::Absent(_))));
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    });
}

#[test]
fn a_user_without_the_right_is_told_so() {
    let name = "udisks::a_user_without_the_right_is_told_so";
    if let Some(node) = std::env::var_os(AS_USER) {
        let refused = Udisks::connect().unwrap().mount(number(Path::new(&node))).unwrap_err();
        assert!(matches!(refused, UdisksError::NotAuthorized(..)), "{refused:?}");
        println!("was refused");
        return;
    }
    host(name, || {
        let (_bus, _polkit, _udisks) = (system_bus(), polkit(""), udisks());
        let (_place, mut stick) = stick("mkfs.ext4 -q");
        let node = stick.plug();
        // Nobody's copy of this program: where it was built, that user may not read.
        sh(&format!("cp {} /run/test && chmod 755 /run/test", std::env::current_exe().unwrap().display()));
        let said = sh(&format!(
            "{AS_USER}={} setpriv --reuid 65534 --regid 65534 --clear-groups /run/test --exact {name} --nocapture",
            node.display()
        ));
        assert!(said.contains("was refused"), "{said}");
    });
}

#[test]
fn who_holds_a_filesystem_is_found() {
    host("udisks::who_holds_a_filesystem_is_found", || {
        let (_bus, _udisks) = (system_bus(), udisks());
        for mkfs in ["mkfs.ext4 -q", "mkfs.btrfs -q"] {
            let (_place, mut stick) = stick(mkfs);
            let device = number(&stick.plug());
            let ours = Udisks::connect().unwrap();
            ours.mount(device).unwrap();
            let inside = point(&ours, device);
            let tables = || ours.facts(device).unwrap().in_mount_tables().unwrap();
            let let_go = || eventually("it is let go", || (!holders::is_alive(&tables())).then_some(()));
            assert_eq!((holders::of(&tables()), holders::is_alive(&tables())), (vec![], true));
            let program = inside.join("program");
            std::fs::copy("/bin/sleep", &program).unwrap();
            let works_in_it = format!("cd {} && exec sleep 1000", inside.display());
            let has_it_open = format!("exec sleep 1000 < {}", program.display());
            let runs_from_it = format!("exec {} 1000", program.display());
            for (line, held) in [(works_in_it, &inside), (has_it_open, &program), (runs_from_it, &program)] {
                let mut holder = Neighbour::start("/bin/sh", &["-c", &line], &[]);
                let (pid, by) = (holder.0.id(), HeldBy::Path(held.clone()));
                let is_found = || holders::of(&tables()).iter().any(|found| found.pid == pid && found.by == by);
                eventually("it is found", || is_found().then_some(()));
                holder.kill();
            }
            ours.unmount(device).unwrap();
            let_go();

            // Mounted in a container, at a directory that stays.
            let kept = format!("/run/kept-{}", mkfs.len());
            sh(&format!("mkdir {kept} && mount {} {kept}", tables().node.display()));
            let mut confined = container("sleep 1000");
            eventually("udisks sees it", || (tables().points.len() == 1).then_some(()));
            ours.unmount(device).unwrap();
            let holder = Holder { pid: confined.0.id(), name: "sleep".into(), by: HeldBy::Namespace(kept.into()) };
            assert_eq!((holders::of(&tables()), holders::is_alive(&tables())), (vec![holder], true), "{mkfs}");
            confined.kill();
            let_go();

            // In a container whose mount goes with its directory, but not the file that is open there.
            ours.mount(device).unwrap();
            let open = format!("sleep 1000 < {}/program", point(&ours, device).display());
            let mut confined = container(&open);
            ours.unmount(device).unwrap();
            assert!(holders::is_alive(&tables()), "{mkfs}");
            confined.kill();
            let_go();
        }
    });
}

/// A namespace of mounts in which nothing that is done here shows, with a process in it.
fn container(line: &str) -> Neighbour {
    let line = format!("exec {line}");
    let started = Neighbour::start("/usr/bin/unshare", &["--mount", "--propagation=private", "sh", "-c", &line], &[]);
    let comm = format!("/proc/{}/comm", started.0.id());
    eventually("it is there", || (std::fs::read(&comm).unwrap() == b"sleep\n").then_some(()));
    started
}
