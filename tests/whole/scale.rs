//! Many syncs, many events, dead neighbours, and nothing at all.

use std::fmt::Write;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::common::config::Config;
use crate::common::daemon::Daemon;
use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::mini_host::{MiniHost, array};
use crate::common::{attempt, run, until};

/// The daemon may take this much memory, in KiB, whatever happens around it (a build without optimisation).
const MEMORY: u64 = 64 << 10;

pub fn a_thousand_syncs(host: &MiniHost) {
    let mut usb = host.drive_of("usb", Ext4, 512);
    for number in 0..1000 {
        let source = host.source(&format!("s{number:03}"));
        source.write("file", number.to_string());
    }
    usb.edit(|root| {
        std::fs::write(root.join(".nbkp-vol"), "").unwrap();
        for number in 0..1000 {
            let destination = root.join(format!("s{number:03}"));
            std::fs::create_dir(&destination).unwrap();
            // All but every hundredth lack their proof.
            if number % 100 == 0 {
                std::fs::write(destination.join(".nbkp-dst"), "").unwrap();
            }
        }
    });
    host.configure(&with_syncs(host.config().drive(&usb), 1000));
    let _daemon = host.start();
    assert_eq!(array(&host.status()["syncs"]).len(), 1000);
    usb.plug();
    until("all that are possible have run", || {
        let status = host.status();
        let fresh = array(&status["syncs"]).iter().filter(|sync| sync["freshness"] == "fresh").count();
        let waiting = array(&status["syncs"]).iter().filter(|sync| sync["state"] == "waiting").count();
        (fresh, waiting) == (10, 990)
    });
    for number in (0..1000).step_by(100) {
        let copy = usb.point().join(format!("s{number:03}/file"));
        assert_eq!(crate::common::text_of(copy), number.to_string());
    }
}

fn with_syncs(config: Config, count: u32) -> Config {
    let mut lines = String::new();
    for number in 0..count {
        write!(lines, "[syncs.s{number:03}]\nsource = \"laptop:s{number:03}\"\ndestination = \"usb:s{number:03}\"\n")
            .unwrap();
    }
    config.also(&lines)
}

pub fn a_storm_of_mounts(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let daemon = host.start();
    usb.attach();
    let (before, descriptors) = (daemon.memory(), daemon.descriptors());
    let point = host.root.join("storm");
    std::fs::create_dir(&point).unwrap();
    let mut slowest = Duration::ZERO;
    for number in 0..5000_u32 {
        mount("tmpfs", &point, "tmpfs", MountFlags::empty(), None).unwrap();
        unmount(&point, UnmountFlags::DETACH).unwrap();
        if number.is_multiple_of(500) {
            let asked = Instant::now();
            host.status();
            slowest = slowest.max(asked.elapsed());
        }
    }
    usb.mount();
    host.run_ends("documents", 1, "ok");
    usb.destination("documents").latest().is_like(&source);
    check_bounds(&daemon, before, descriptors);
    assert!(slowest < Duration::from_secs(5), "status took {slowest:?} in the storm");
}

pub fn a_storm_of_uevents(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let mut other = host.drive("other", Ext4);
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"0s\""));
    let daemon = host.start();
    other.attach();
    let (before, descriptors) = (daemon.memory(), daemon.descriptors());
    let name = other.device().file_name().unwrap().to_str().unwrap().to_owned();
    let uevent = format!("/sys/block/{name}/uevent");
    for _ in 0..5000 {
        std::fs::write(&uevent, "change").unwrap();
    }
    host.ctl(&["status"]).exits(0);
    usb.plug();
    host.run_ends("documents", 1, "ok");
    usb.destination("documents").latest().is_like(&source);
    check_bounds(&daemon, before, descriptors);
}

fn check_bounds(daemon: &Daemon, before: u64, descriptors: usize) {
    let after = daemon.memory();
    assert!(after < MEMORY.max(2 * before), "memory grew from {before} to {after} KiB");
    until("descriptors are closed again", || daemon.descriptors() <= descriptors + 2);
}

pub fn a_dead_mount_stops_nothing_else(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let (dead, behind) = (host.root.join("dead"), host.root.join("behind"));
    std::fs::create_dir_all(behind.join("photos")).unwrap();
    std::fs::create_dir(&dead).unwrap();
    std::fs::write(behind.join(".nbkp-vol"), "").unwrap();
    std::fs::write(behind.join("photos/.nbkp-src"), "").unwrap();
    run("bindfs", &[&behind, &dead]);
    let volume = format!("[volumes.dead]\npath = \"{}\"", dead.display());
    let sync = "[syncs.photos]\nsource = \"dead:photos\"\ndestination = \"usb:photos\"";
    let config = host.config().drive(&usb).also(&volume).also(sync);
    host.configure(&config.sync("documents", "usb", "btrfs", ""));
    run("pkill", &[&"-STOP", &"-x", &"bindfs"]);
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let asked = Instant::now();
    host.ctl(&["status"]).exits(0);
    assert!(asked.elapsed() < Duration::from_secs(3), "status waits for a dead mount");
    host.stopped_by("photos", "source-volume-absent");
    run("pkill", &[&"-CONT", &"-x", &"bindfs"]);
    until("the volume is back", || !host.obstacles("photos").contains(&"source-volume-absent".to_owned()));
    attempt("umount", &[&dead]);
}

pub fn idle_is_idle(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"1h\""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    // Other scenarios plug drives, too, and the kernel tells every machine: any quiet while will do.
    until("the daemon sleeps for two seconds", || {
        let before = daemon.wake_ups();
        std::thread::sleep(Duration::from_secs(2));
        daemon.wake_ups() == before
    });
}

pub fn many_requests_at_once_are_one_more_run(host: &MiniHost) {
    use std::io::{Read as _, Write as _};
    host.source("documents").write_big("big", 32, 1);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "rsync = { bandwidth = \"4M\" }"));
    let daemon = host.start();
    let (before, descriptors) = (daemon.memory(), daemon.descriptors());
    usb.plug();
    host.copies("documents", 1 << 20);
    let ask = b"{\"method\":\"org.nbkp.Daemon.Run\",\"parameters\":{\"syncs\":[\"documents\"],\"force\":true}}\0";
    let mut crowd: Vec<_> =
        (0..50).map(|_| std::os::unix::net::UnixStream::connect("/run/nbkpd/nbkpd.sock").unwrap()).collect();
    for socket in &mut crowd {
        for _ in 0..4 {
            socket.write_all(ask).unwrap();
        }
    }
    for socket in &mut crowd {
        let mut byte = [1];
        for _ in 0..4 {
            while byte != [0] {
                socket.read_exact(&mut byte).unwrap();
            }
            byte = [1];
        }
    }
    assert_eq!(host.history("documents").len(), 0, "all were answered while the first run was under way");
    until("all is done", || host.sync("documents")["state"] == "idle" && host.history("documents").len() > 1);
    assert_eq!(host.history("documents").len(), 2);
    drop(crowd);
    check_bounds(&daemon, before, descriptors);
}
