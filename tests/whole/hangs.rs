//! Filesystems that stop answering while a run is under way: whoever asks them is held, and cannot be killed.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::drive::Filesystem::Ext4;
use crate::common::folder::Folder;
use crate::common::mini_host::MiniHost;
use crate::common::{attempt, run, until};

/// A filesystem on which nothing can be written until this goes out of scope.
struct Frozen(PathBuf);

impl Frozen {
    fn now(point: PathBuf) -> Self {
        run("fsfreeze", &[&"--freeze", &point]);
        Self(point)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        attempt("fsfreeze", &[&"--unfreeze", &self.0]);
    }
}

/// A filesystem that a process serves.
struct Served {
    server: Child,
    point: PathBuf,
}

impl Served {
    fn mount(host: &MiniHost, point: PathBuf) -> Self {
        let real = host.home().join("served");
        std::fs::create_dir_all(&real).unwrap();
        std::fs::create_dir_all(&point).unwrap();
        let child = Command::new("bindfs").arg("-f").arg(&real).arg(&point).stdout(Stdio::null()).spawn().unwrap();
        let served = Self { server: child, point };
        until("bindfs serves", || attempt("mountpoint", &[&"-q", &served.point]).status.success());
        served
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.server), signal).unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ended = self.server.wait();
        attempt("umount", &[&"--lazy", &self.point]);
    }
}

/// The threads of runs that this machine has.
fn threads(of: Pid, name: &str) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", of.as_raw_nonzero())).unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

fn stuck(host: &MiniHost, name: &str) {
    until("the run is left behind", || host.obstacles(name).iter().any(|code| code == "lock-taken"));
    let sync = host.sync(name);
    assert_eq!((&sync["state"], &sync["last_run"]["outcome"]), (&"waiting".into(), &"interrupted".into()), "{sync}");
    let status = host.status();
    assert_eq!(status["running"].as_array().map(Vec::len), Some(0), "{status}");
    assert!(status["daemon"]["degraded"].to_string().contains("1 run cannot be ended"), "{status}");
}

pub fn a_drive_that_hangs_in_mid_run_keeps_its_own_run_alone(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 32, 1);
    let other = host.source("notes");
    other.write("a", "1");
    std::fs::create_dir_all(host.home().join("copies/notes")).unwrap();
    std::fs::write(host.home().join("copies/.nbkp-vol"), "").unwrap();
    std::fs::write(host.home().join("copies/notes/.nbkp-dst"), "").unwrap();
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let copies = format!("[volumes.copies]\npath = \"{}\"", host.home().join("copies").display());
    let slow = "every = \"100d\"\nrsync = { bandwidth = \"2M\" }";
    let config = host.config().drive(&usb).also(&copies).sync("documents", "usb", "none", slow);
    host.configure(&config.sync("notes", "copies", "none", "every = \"100d\""));
    let daemon = host.start();
    host.run_ends("notes", 1, "ok");
    usb.plug();
    host.copies("documents", 2 << 20);
    let frozen = Frozen::now(usb.point().into());

    // It needs the place of the only run that may be under way.
    other.write("b", "2");
    host.ctl(&["run", "notes", "--wait"]).exits(0);
    host.ctl(&["cancel", "documents"]).exits(0);
    stuck(host, "documents");
    let bytes = host.history("documents")[0]["bytes_transferred"].as_u64().unwrap();
    assert!(bytes > 0, "what it had copied is kept");
    // Nothing begins on the drive while it is held.
    host.ctl(&["run", "documents", "--wait"]).says("cannot be ended");
    host.ctl(&["unmount", "usb"]).exits(1).says("cannot be ended");
    assert_eq!(threads(daemon.pid(), "run-documents"), 1);

    drop(frozen);
    until("the run that was left behind is gone", || {
        !host.obstacles("documents").iter().any(|code| code == "lock-taken")
    });
    assert_eq!(host.status()["daemon"]["degraded"].as_array().map(Vec::len), Some(0));
    host.ctl(&["run", "documents", "--wait", "--force"]).exits(0);
    Folder::at(usb.point().join("documents")).is_like(&source);
    assert_eq!(host.history("documents").len(), 2, "the late end is no run of its own");

    source.write_big("more", 32, 2);
    host.ctl(&["run", "documents", "--force"]).exits(0);
    host.copies("documents", 2 << 20);
    let _frozen = Frozen::now(usb.point().into());
    until("it stands still", || host.status()["running"][0]["still_seconds"].as_u64().is_some());
    daemon.stop();
}

pub fn a_source_that_hangs_in_mid_run_keeps_its_own_run_alone(host: &MiniHost) {
    let served = Served::mount(host, host.home().join("documents"));
    let source = host.source("documents");
    // Many, so that there is always one that is not read ahead.
    for number in 0..400 {
        source.write(format!("f{number}"), "x".repeat(100_000));
    }
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let slow = "every = \"100d\"\nrsync = { bandwidth = \"2M\" }";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", slow));
    let daemon = host.start();
    usb.plug();
    host.copies("documents", 2 << 20);
    served.signal(Signal::STOP);
    // What the drive still writes of its own is a sign of life for a moment.
    for seconds in [20, 40] {
        until("it stands still", || host.status()["running"][0]["still_seconds"].as_u64() >= Some(seconds));
    }
    until("the run is interrupted by itself", || !host.history("documents").is_empty());
    stuck(host, "documents");
    let record = host.history("documents")[0].clone();
    assert!(record["error"].as_str().is_some_and(|error| error.contains("nothing moved for 60 s")), "{record}");
    served.signal(Signal::CONT);
    host.run_ends("documents", 2, "ok");
    Folder::at(usb.point().join("documents")).is_like(&source);
    daemon.stop();
}
