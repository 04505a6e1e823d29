//! kill -9 behind each step of a run, and a start afterwards: no finished copy is lost, no half one is shown as whole.
//!
//! A tracer kills the daemon when it enters a system call for the n-th time, for each of the calls by which a run
//! changes a destination and each n, until a run gets through.

use std::collections::BTreeMap;

use crate::common::daemon::Wrapping;
use crate::common::drive::Destination;
use crate::common::drive::Filesystem::{self, Btrfs, Ext4};
use crate::common::folder::{Content, Folder, differences};
use crate::common::mini_host::MiniHost;
use crate::common::until;

/// The calls by which a run changes a destination.
const CALLS: [&str; 9] =
    ["openat2", "mkdirat", "fsync", "fdatasync", "syncfs", "renameat2", "renameat", "symlinkat", "unlinkat"];

/// More often than any run enters one of them.
const MOST: u32 = 12;

pub fn behind_each_step_with_btrfs(host: &MiniHost) {
    let calls = CALLS.into_iter().chain(["ioctl"]);
    kill_and_start_again(host, "btrfs", Btrfs, calls);
}

pub fn behind_each_step_with_hard_links(host: &MiniHost) {
    kill_and_start_again(host, "hard-link", Ext4, CALLS.into_iter());
}

pub fn behind_each_step_without_snapshots(host: &MiniHost) {
    kill_and_start_again(host, "none", Ext4, CALLS.into_iter());
}

fn kill_and_start_again(
    host: &MiniHost,
    snapshots: &str,
    filesystem: Filesystem,
    calls: impl Iterator<Item = &'static str>,
) {
    let source = host.source("documents");
    source.fill(30);
    let mut usb = match snapshots {
        "none" => host.drive("usb", filesystem).prepared_plainly_for("documents"),
        _ => host.drive("usb", filesystem).prepared_for("documents"),
    };
    let more = "every = \"0s\"\nkeep = { last = 3 }";
    let more = if snapshots == "none" { "every = \"0s\"" } else { more };
    host.configure(&host.config().drive(&usb).sync("documents", "usb", snapshots, more));
    usb.plug();
    let mut ledger = Ledger { copy: usb.destination("documents"), known: BTreeMap::new(), plain: snapshots == "none" };
    let (mut round, mut killed) = (0, 0);
    for call in calls {
        for time in 1..=MOST {
            round += 1;
            change(&source, round);
            let died = one_killed_run(host, call, time);
            ledger.check(&source, &format!("{call} number {time}"));
            one_good_run(host);
            ledger.check_after_success(&source, &format!("{call} number {time}"));
            if !died {
                break;
            }
            killed += 1;
        }
    }
    println!("{killed} kills, {round} rounds");
    assert!(killed >= 8, "the tracer killed only {killed} times: the calls are no longer those of a run");
}

/// Each round changes, adds and removes a little.
fn change(source: &Folder, round: u32) {
    source.write("round", round.to_string()).write(format!("new-{round}"), "new");
    if round > 1 {
        source.remove(&format!("new-{}", round - 1));
    }
}

/// Starts a daemon that is to be killed, and says whether it was. Where rsync makes the same call, rsync is killed, and
/// the run fails: that must do no harm, either.
fn one_killed_run(host: &MiniHost, call: &'static str, time: u32) -> bool {
    let daemon = host.launch("nbkpd", &Wrapping::KilledAt(call, time));
    let mut got_through = false;
    until("the daemon is killed or a run has ended", || {
        if daemon.ended().is_some() {
            return true;
        }
        let answer = host.ctl(&["status", "--json"]);
        let Ok(status) = serde_json::from_str::<serde_json::Value>(&answer.said) else { return false };
        let last = &status["syncs"][0]["last_run"];
        let began = status["daemon"]["started"].as_str().unwrap_or_default();
        let ended = last["started"].as_str().is_some_and(|run| run >= began);
        got_through = ended && last["outcome"] == "ok";
        ended
    });
    daemon.kill_if_alive();
    !got_through
}

fn one_good_run(host: &MiniHost) {
    let daemon = host.start();
    let answer = host.ctl(&["run", "documents", "--wait", "--force"]);
    assert_eq!(answer.code, Some(0), "after a kill the next run succeeds: {answer}");
    daemon.stop();
}

/// What complete copies were seen to hold.
struct Ledger {
    copy: Destination,
    known: BTreeMap<String, Content>,
    plain: bool,
}

impl Ledger {
    /// After a kill: what has the name of a complete snapshot is complete, and stays what it was.
    fn check(&mut self, source: &Folder, at: &str) {
        if self.plain {
            return;
        }
        let expected = source.content();
        for name in self.copy.snapshots() {
            let content = self.copy.snapshot(&name).content();
            let truth = self.known.entry(name.clone()).or_insert_with(|| expected.clone());
            let wrong = differences(&content, truth);
            assert!(wrong.is_empty(), "killed at {at}: snapshot {name} is not what it should be: {wrong:?}");
        }
        let latest = std::fs::read_link(self.copy.root.join("latest")).expect("a link `latest` at any moment");
        let there = latest.as_os_str() == "/dev/null" || self.copy.root.join(&latest).is_dir();
        assert!(there, "killed at {at}: `latest` dangles: {}", latest.display());
    }

    /// After the next run: the newest is the source, everything is tidy.
    fn check_after_success(&mut self, source: &Folder, at: &str) {
        if self.plain {
            Folder::at(&self.copy.root).holds_source(source, at);
            return;
        }
        self.check(source, at);
        self.copy.latest().is_like(source);
        let unfinished = self.copy.unfinished();
        assert!(unfinished.is_empty(), "after a kill at {at} and a good run, these are left: {unfinished:?}");
        let kept = self.copy.snapshots().len();
        assert!(kept <= 3, "after a kill at {at}, {kept} snapshots are left");
    }
}

impl Folder {
    fn holds_source(&self, source: &Self, at: &str) {
        let wrong = differences(&self.content(), &source.content());
        assert!(wrong.is_empty(), "after a kill at {at} the copy differs: {wrong:?}");
    }
}
