//! What a person at the desk is told, and what they can do about it.

use std::path::Path;
use std::time::Duration;

use crate::common::config::Config;
use crate::common::daemon::Daemon;
use crate::common::desktop::{Call, Desktop, SessionBus};
use crate::common::drive::Drive;
use crate::common::drive::Filesystem::Ext4;
use crate::common::mini_host::{MiniHost, array};
use crate::common::{run, throughout, until};

const ALL: [&str; 3] = ["actions", "body", "body-markup"];

/// A drive `usb` for the sync `documents`, and a configuration that tells everything.
fn ground(host: &MiniHost, more: &str) -> (Drive, Config) {
    host.source("documents").fill(10);
    let usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let config = host.config().drive(&usb).sync("documents", "usb", "none", more);
    (usb, config.with("notify = \"none\"", "notify = \"all\""))
}

fn bus() -> SessionBus {
    SessionBus::start(Path::new("/run"))
}

fn nothing_is_degraded(host: &MiniHost) {
    assert!(array(&host.status()["daemon"]["degraded"]).is_empty(), "{:#}", host.status());
}

pub fn a_start_can_be_held(host: &MiniHost) {
    let bus = bus();
    let desktop = bus.desktop(&ALL, 41);
    let (mut usb, config) = ground(host, "");
    host.configure(&config.with("grace = \"0s\"", "grace = \"50s\""));
    let _daemon = host.start();
    assert_eq!(bus.guests(), 1, "there is nothing to say yet");

    usb.plug();
    let start = desktop.shows("Drive usb: backup starts in ");
    assert_eq!(start.body, "documents will be copied.");
    assert_eq!((start.buttons.as_slice(), start.urgency), (&["hold".to_owned(), "Hold".to_owned()][..], 0));
    assert!(start.transient && (1_000..=50_000).contains(&start.expires), "{start:?}");

    // What other programs and unknown keys say is not meant for us.
    desktop.press(start.id + 1, "hold");
    desktop.press(start.id, "default");
    throughout("strangers hold nothing", Duration::from_millis(500), || host.obstacles("documents").is_empty());
    desktop.press(start.id, "hold");
    desktop.dismiss(start.id);
    desktop.shows("Drive usb is on hold");
    host.stopped_by("documents", "held");
    assert!(host.history("documents").is_empty());
    nothing_is_degraded(host);

    host.ctl(&["release", "usb"]).exits(0);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let done = desktop.shows("Drive usb: done");
    assert!(done.body.starts_with("documents: 10 files, "), "{done:?}");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert_eq!(desktop.shown().len(), 3, "once for each plug-in: {:#?}", desktop.shown());
    // With nothing left to replace or to press, nothing listens any more.
    assert_eq!(bus.guests(), 2, "the desktop and the daemon");
    desktop.dismiss(done.id);
    until("the connection is let go", || bus.guests() == 1);
}

pub fn a_failure_is_told_once_and_taken_back(host: &MiniHost) {
    let bus = bus();
    let desktop = bus.desktop(&ALL, 1);
    let mended = host.root.join("<b>mended<i>&amp;");
    let hook = format!("hooks = {{ before = [\"cat\", \"{}\"] }}", mended.display());
    let (mut usb, config) = ground(host, &hook);
    host.configure(&config.with("notify = \"all\"", "notify = \"problems\""));
    let _daemon = host.start();
    usb.plug();
    let failed = desktop.shows("Backup documents failed");
    assert_eq!((failed.urgency, failed.transient, failed.replaces), (1, false, 0));
    assert!(failed.body.contains("Check the hook command of this sync. It is tried again by itself."), "{failed:?}");
    assert!(failed.body.contains("&lt;b&gt;mended&lt;i&gt;&amp;amp;"), "a name became markup: {failed:?}");

    for _ in 0..50 {
        host.ctl(&["run", "documents", "--wait"]).exits(1);
    }
    assert_eq!(host.history("documents").len(), 50, "the newest of them");
    assert_eq!(desktop.shown().len(), 1, "{:#?}", desktop.shown());

    std::fs::write(&mended, "").unwrap();
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    desktop.closes(failed.id);
    assert_eq!(desktop.shown().len(), 1, "a success is no problem: {:#?}", desktop.shown());
}

pub fn one_notification_takes_the_place_of_the_other(host: &MiniHost) {
    let bus = bus();
    let (mut usb, config) = ground(host, "every = \"0s\"");
    host.configure(&config);
    let _daemon = host.start();
    let done = |desktop: &Desktop, usb: &mut Drive, runs: usize| {
        usb.plug();
        host.run_ends("documents", runs, "ok");
        until("it is told", || desktop.shown().len() == if runs > 2 { runs - 2 } else { runs });
        usb.unplug();
        host.stopped_by("documents", "destination-volume-absent");
        desktop.shown().last().cloned().unwrap()
    };
    let first = bus.desktop(&["body"], 7);
    assert_eq!((done(&first, &mut usb, 1).id, done(&first, &mut usb, 2).replaces), (7, 7));
    assert_eq!(first.heard().iter().filter(|call| **call == Call::Capabilities).count(), 1, "asked once");

    // Another desktop gives the same numbers to others.
    drop(first);
    until("the old desktop is let go", || bus.guests() == 0);
    let second = bus.desktop(&["body"], 7);
    assert_eq!(done(&second, &mut usb, 3).replaces, 0);
    nothing_is_degraded(host);
}

pub fn without_buttons_the_command_is_named(host: &MiniHost) {
    let bus = bus();
    let desktop = bus.desktop(&["body"], 1);
    let (mut usb, config) = ground(host, "");
    host.configure(&config.with("grace = \"0s\"", "grace = \"50s\""));
    let _daemon = host.start();
    usb.plug();
    let start = desktop.shows("Drive usb: backup starts in ");
    assert!(start.buttons.is_empty(), "{start:?}");
    assert_eq!(start.body, "documents will be copied. `nbkpctl hold usb` keeps hands off it.");
    usb.unplug();
    desktop.closes(start.id);
}

pub fn what_is_not_wanted_asks_nobody(host: &MiniHost) {
    let bus = bus();
    let desktop = bus.desktop(&ALL, 1);
    let (mut usb, config) = ground(host, "");
    host.configure(&config.clone().with("notify = \"all\"", "notify = \"problems\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    host.configure(&config.with("notify = \"all\"", "notify = \"none\"").also(
        "[syncs.broken]\nsource = \"laptop:documents\"\ndestination = \"usb:broken\"\nhooks = { before = [\"false\"] }",
    ));
    until("the new configuration is in force", || host.status().to_string().contains("broken"));
    host.ctl(&["prepare", "broken"]).exits(0);
    host.run_ends("broken", 1, "failed");
    throughout("nobody is asked anything", Duration::from_millis(500), || desktop.heard().is_empty());
}

pub fn what_stands_is_told_once_somebody_can_hear_it(host: &MiniHost) {
    let bus = bus();
    let fails = "hooks = { before = [\"false\"] }";
    let (usb, config) = ground(host, fails);
    host.source("photos").fill(1);
    let mut usb = usb.prepared_plainly_for("photos");
    host.configure(&config.sync("photos", "usb", "none", fails));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "failed");
    host.run_ends("photos", 1, "failed");
    until("somebody is waited for", || bus.guests() == 1);
    rests(&daemon);
    let desktop = bus.desktop(&ALL, 1);
    let failed = desktop.shows("Backup documents failed");
    assert!(failed.body.contains("Check the hook command of this sync."), "{failed:?}");
    // What was only good to know at its time is not told any more.
    desktop.shows("Backup photos failed");
    assert_eq!(desktop.shown().len(), 2, "{:#?}", desktop.shown());
}

pub fn two_drives_of_one_uuid_are_told_of(host: &MiniHost) {
    let bus = bus();
    let desktop = bus.desktop(&ALL, 1);
    let (mut usb, config) = ground(host, "");
    let mut clone = usb.clone_of(&host.root.join("clone.img"));
    host.configure(&config.with("notify = \"all\"", "notify = \"problems\""));
    let daemon = host.start();
    clone.attach();
    usb.attach();
    let told = desktop.shows("Drive usb cannot be used");
    for device in [usb.device(), clone.device()] {
        assert!(told.body.contains(device.to_str().unwrap()), "both are named: {told:?}");
    }
    assert!(told.body.contains("Unplug all but one"), "{told:?}");
    for _ in 0..3 {
        host.ctl(&["scan"]).exits(0);
    }
    assert_eq!(desktop.shown().len(), 1, "{:#?}", desktop.shown());
    until("the journal tells of it", || daemon.log().contains("devices carry the UUID of drive `usb`"));
    clone.clear_away();
    desktop.closes(told.id);
}

pub fn a_filesystem_that_should_be_checked_is_told_of_once(host: &MiniHost) {
    let bus = bus();
    let desktop = bus.desktop(&ALL, 1);
    let (mut usb, config) = ground(host, "every = \"0s\"");
    host.configure(&config.with("notify = \"all\"", "notify = \"problems\""));
    let daemon = host.start();
    usb.attach();
    // As a drive is that was pulled out while its filesystem had errors.
    run("debugfs", &[&"-w", &"-R", &"ssv state 2", &usb.device()]);
    usb.mount();
    host.run_ends("documents", 1, "ok");
    let told = desktop.shows("Drive usb should be checked");
    let command = format!("sudo e2fsck -f {}", usb.device().display());
    assert!(told.body.contains(&command) && told.body.contains("used all the same"), "{told:?}");
    until("the journal tells of it", || daemon.log().contains(&command));
    for _ in 0..2 {
        host.ctl(&["scan"]).exits(0);
    }
    assert_eq!(desktop.shown().len(), 1, "{:#?}", desktop.shown());
    usb.unmount();
    // It ends with 1 when it has mended something.
    run("sh", &[&"-c", &"e2fsck -fp \"$0\"; [ $? -le 1 ]", &usb.device()]);
    usb.mount();
    desktop.closes(told.id);
}

pub fn nobody_has_to_show_anything(host: &MiniHost) {
    let (mut usb, config) = ground(host, "every = \"0s\"");
    host.configure(&config);
    let daemon = host.start();
    let plugged = |usb: &mut Drive, runs: usize| {
        usb.plug();
        host.run_ends("documents", runs, "ok");
        usb.unplug();
        host.stopped_by("documents", "destination-volume-absent");
        nothing_is_degraded(host);
    };
    // There is no bus; then a bus without a desktop; then a desktop that never answers.
    plugged(&mut usb, 1);
    let bus = bus();
    plugged(&mut usb, 2);
    let silent = bus.silent_desktop();
    plugged(&mut usb, 3);
    plugged(&mut usb, 4);
    until("the silent desktop is given up", || bus.guests() == 1);
    rests(&daemon);
    drop(silent);

    let desktop = bus.desktop(&ALL, 1);
    plugged(&mut usb, 5);
    desktop.shows("Drive usb: done");
    assert!(!daemon.log().contains("WARN"), "{}", daemon.log());
}

/// The daemon comes to rest: it does not wake for a second.
fn rests(daemon: &Daemon) {
    until("the daemon rests", || {
        let before = daemon.wake_ups();
        throughout("the daemon lives", Duration::from_secs(1), || daemon.ended().is_none());
        daemon.wake_ups() == before
    });
}
