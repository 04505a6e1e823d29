//! Outputs that take nothing: a stalled journal, a full disk, a terminal that is closed.

use std::fs::File;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::faults::rsyncs;
use crate::common::daemon::Wrapping;
use crate::common::drive::Filesystem::Ext4;
use crate::common::mini_host::MiniHost;
use crate::common::until;

/// The messages are lost, and nothing else: runs come to their end, and the service manager hears that all is well.
pub fn that_take_nothing_stop_no_daemon(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "keep = { last = 1 }"));
    let daemon = host.start_as("nbkpd", &Wrapping::Unread);
    usb.plug();
    host.run_ends("documents", 1, "ok");
    for round in 2..=3 {
        source.write("new", format!("{round}"));
        // Each prunes the snapshot before, and says so.
        host.ctl(&["run", "documents", "--wait", "--force"]).exits(0);
    }
    let copy = usb.destination("documents");
    copy.latest().is_like(&source);
    assert_eq!(copy.snapshots().len(), 1);
    let signs = || daemon.heard().iter().filter(|word| word.starts_with("WATCHDOG=1")).count();
    let before = signs();
    until("the service manager hears more signs of life", || signs() >= before + 3);
    daemon.stop();
}

pub fn that_take_nothing_stop_no_copy(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    usb.plug();
    let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = command.args(["run", "documents", "--wait"]).stdin(Stdio::null()).stdout(full).status().unwrap();
    assert_eq!(ended.code(), Some(1), "that it could not be told is an error");
    usb.destination("documents").latest().is_like(&source);
    assert_eq!(host.history("documents")[0]["outcome"], "ok");
}

pub fn that_are_gone_with_their_terminal_end_the_run_well(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("big", 24, 1);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "rsync = { bandwidth = \"2M\" }"));
    usb.plug();
    let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd");
    let command = command.args(["run", "documents", "--wait"]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("rsync is under way", || rsyncs() > 0);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "the run was interrupted");
    assert_eq!(rsyncs(), 0, "nothing runs on");
    assert_eq!(host.history("documents")[0]["outcome"], "interrupted");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("documents").latest().is_like(&source);
}
