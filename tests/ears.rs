//! Ears, disks and mounts against a real kernel and a real udevd.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test starts programs and watches the clock, and fails by panicking"
)]

mod mini;
#[path = "common/required.rs"]
mod required;

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use mini::{Stick, eventually, host, sh, uuid};
use nbkp::decide::presence::{DrivePresence, MountTree, sight_of_drive};
use nbkp::model::{BlockDevice, DeviceRole, Drive, Mounting, WhenDone};
use nbkp::os::ears::{BlockHint, Ears, RECEIVE_BUFFER};
use nbkp::os::{disks, mounts};
use tokio::sync::mpsc::Receiver;

fn found() -> Vec<BlockDevice> {
    disks::enumerate().unwrap().into_iter().filter(|device| device.uuid.as_str() == uuid()).collect()
}

/// How the drive stands, in a word.
fn presence() -> String {
    let drive = Drive { uuid: uuid().parse().unwrap(), mounting: Mounting::Elsewhere, when_done: WhenDone::Leave };
    let (devices, mounts) = (disks::enumerate().unwrap(), mounts::read().unwrap());
    match sight_of_drive(&drive, None, &devices, &mounts, &MountTree::new(&mounts)) {
        DrivePresence::NotPlugged => "not plugged".into(),
        DrivePresence::Ambiguous { devices } => format!("ambiguous {}", devices.len()),
        DrivePresence::Locked { .. } => "locked".into(),
        DrivePresence::NotEncrypted { .. } | DrivePresence::HoldsMember { .. } | DrivePresence::OnMembers { .. } => {
            "not encrypted".into()
        }
        DrivePresence::NotMounted { .. } => "not mounted".into(),
        DrivePresence::Mounted { mount, .. } => format!("at {}", mount.point.display()),
    }
}

/// Looks again on each hint, and only then, until this is so: no hint may be missing.
fn hinted<T: Debug, V>(hints: &mut Receiver<T>, what: &str, mut look: impl FnMut() -> Option<V>) -> V {
    eventually(what, || hints.try_recv().ok().and_then(|_| look()))
}

#[test]
fn a_drive_comes_is_mounted_and_goes() {
    host("a_drive_comes_is_mounted_and_goes", || {
        let temp = tempfile::tempdir().unwrap();
        let mut stick = Stick::new(&temp.path().join("a.img"), &format!("mkfs.btrfs -q -L 'My Stick' -U {}", uuid()));
        let mut ears = Ears::start(None).unwrap();
        assert_eq!(ears.degraded, Vec::<String>::new());
        assert_eq!(presence(), "not plugged");

        let node = stick.plug();
        let device = hinted(&mut ears.blocks, "the drive is seen", || found().pop());
        assert_eq!((&device.node, &device.role), (&node, &DeviceRole::Filesystem("btrfs".into())));
        assert_eq!((device.label.as_deref(), device.size), (Some("My Stick"), 120 << 20));
        assert!(device.member.is_some() && device.disk_seq.is_some(), "{device:?}");
        assert_eq!(device.hardware, None, "a loop device has none");
        assert!(device.links.contains(&Path::new("/dev/disk/by-uuid").join(uuid())), "{device:?}");
        assert_eq!(presence(), "not mounted");

        let point = temp.path().join("with space");
        fs::create_dir(&point).unwrap();
        sh(&format!("mount {} '{}'", node.display(), point.display()));
        let mounted = format!("at {}", point.display());
        hinted(&mut ears.mounts, "the mount is seen", || (presence() == mounted).then_some(()));
        sh(&format!("umount '{}'", point.display()));
        hinted(&mut ears.mounts, "it was unmounted", || (presence() == "not mounted").then_some(()));

        stick.pull();
        hinted(&mut ears.blocks, "the drive is gone", || (presence() == "not plugged").then_some(()));
        stick.plug();
        let again = hinted(&mut ears.blocks, "the drive is back", || found().pop());
        assert_ne!(again.disk_seq, device.disk_seq, "a replug is told from a repeat");
    });
}

#[test]
fn a_copy_of_a_drive_is_told() {
    host("a_copy_of_a_drive_is_told", || {
        let temp = tempfile::tempdir().unwrap();
        let mut one = Stick::new(&temp.path().join("a.img"), &format!("mkfs.ext4 -q -U {}", uuid()));
        let mut other = Stick { image: temp.path().join("b.img"), node: None };
        fs::copy(&one.image, &other.image).unwrap();
        let mut ears = Ears::start(None).unwrap();
        one.plug();
        hinted(&mut ears.blocks, "one", || (presence() == "not mounted").then_some(()));
        other.plug();
        hinted(&mut ears.blocks, "both", || (presence() == "ambiguous 2").then_some(()));
        one.pull();
        hinted(&mut ears.blocks, "the other", || (presence() == "not mounted").then_some(()));
    });
}

#[test]
fn a_storm_of_mounts_is_a_few_hints_and_the_last_is_not_lost() {
    host("a_storm_of_mounts_is_a_few_hints_and_the_last_is_not_lost", || {
        let temp = tempfile::tempdir().unwrap();
        let mut ears = Ears::start(None).unwrap();
        let point = temp.path().join("p");
        fs::create_dir(&point).unwrap();
        let (storm, point_text) = (temp.path().join("storm"), point.display().to_string());
        fs::create_dir(&storm).unwrap();
        let before = wake_ups();
        let script = format!(
            "for i in $(seq 300); do mount -t tmpfs s {0}; umount {0}; done; mount -t tmpfs last {point_text}; touch \
             {1}/done",
            storm.display(),
            temp.path().display()
        );
        let mut child = std::process::Command::new("sh").args(["-ec", &script]).spawn().unwrap();
        let started = std::time::Instant::now();
        let mut hints = 0;
        let last = || mounts::read().unwrap().iter().any(|mount| mount.point == point).then_some(());
        hinted(&mut ears.mounts, "the last mount is seen", || {
            hints += 1;
            last()
        });
        assert!(child.wait().unwrap().success());
        let most = 10 + started.elapsed().as_millis() / 50 * 6;
        println!("{hints} hints, {} wake-ups in {:?}", wake_ups() - before, started.elapsed());
        assert!(hints <= most, "{hints} hints, at most {most}");
        assert!(u128::from(wake_ups() - before) <= 2 * most, "{} wake-ups", wake_ups() - before);
    });
}

#[test]
fn an_overrun_is_told_and_hearing_goes_on() {
    host("an_overrun_is_told_and_hearing_goes_on", || {
        let temp = tempfile::tempdir().unwrap();
        let mut stick = Stick::new(&temp.path().join("a.img"), &format!("mkfs.ext4 -q -U {}", uuid()));
        // The smallest buffer there is, and all devices of the machine at once.
        let mut ears = Ears::start_with(None, 1).unwrap();
        eventually("an overrun", || {
            sh("udevadm trigger --subsystem-match=block --type=devices");
            (ears.blocks.try_recv() == Ok(BlockHint::Overrun)).then_some(())
        });
        sh("udevadm settle");
        // Whatever is still on its way from before: the drive is seen only by a hint after it came.
        stick.plug();
        hinted(&mut ears.blocks, "the drive is seen", || found().pop());
    });
}

#[test]
fn a_large_buffer_takes_what_a_small_one_loses() {
    host("a_large_buffer_takes_what_a_small_one_loses", || {
        let mut ears = Ears::start_with(None, RECEIVE_BUFFER).unwrap();
        for _ in 0..20 {
            sh("udevadm trigger --subsystem-match=block --type=devices");
        }
        sh("udevadm settle");
        let mut hints = Vec::new();
        while let Ok(hint) = ears.blocks.try_recv() {
            hints.push(hint);
        }
        assert!(!hints.is_empty() && !hints.contains(&BlockHint::Overrun), "{hints:?}");
    });
}

#[test]
fn the_configuration_is_heard_through_the_ears() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("nbkp/config.toml");
    let mut ears = Ears::start(Some(&file)).unwrap();
    fs::create_dir(temp.path().join("nbkp")).unwrap();
    hinted(&mut ears.config, "the directory", || Some(()));
    // The hint comes after the new directory is watched.
    fs::write(&file, "").unwrap();
    hinted(&mut ears.config, "the file", || Some(()));
    for _ in 0..2000 {
        fs::write(&file, "x").unwrap();
    }
    fs::write(&file, "last").unwrap();
    hinted(&mut ears.config, "the last of many", || (fs::read_to_string(&file).unwrap() == "last").then_some(()));
}

#[test]
fn silence_costs_nothing() {
    host("silence_costs_nothing", || {
        let temp = tempfile::tempdir().unwrap();
        let mut ears = Ears::start(Some(&temp.path().join("config.toml"))).unwrap();
        sh("udevadm settle");
        // Block devices of the rest of the machine are heard in here too; a second with such a hint is not counted.
        eventually("a second without a hint", || {
            let heard = ears.blocks.try_recv().is_ok() || ears.mounts.try_recv().is_ok();
            let before = wake_ups();
            // Not to wait for anything: this is the time in which nothing must happen.
            std::thread::sleep(std::time::Duration::from_secs(1));
            let after = wake_ups();
            let heard = heard || ears.blocks.try_recv().is_ok() || ears.mounts.try_recv().is_ok();
            assert!(heard || after == before, "{} wake-ups for nothing", after - before);
            (!heard).then_some(())
        });
    });
}

/// How often the thread of the ears went to sleep.
fn wake_ups() -> u64 {
    let thread = |task: &Path| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "nbkp-ears");
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let task = tasks.filter(|task| thread(task)).last().expect("the ears");
    let status = fs::read_to_string(task.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
