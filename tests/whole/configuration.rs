//! The configuration changes while the daemon runs.

use rustix::process::Signal;

use crate::common::daemon::Wrapping;
use crate::common::drive::Filesystem::Btrfs;
use crate::common::mini_host::MiniHost;
use crate::common::until;

pub fn broken_and_mended(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let good = host.config().drive(&usb).sync("documents", "usb", "btrfs", "");
    host.configure(&good);
    let daemon = host.start();
    host.configure_with(&good.text().replace("source =", "sauce ="));
    until("the mistake is shown", || {
        host.status()["daemon"]["config_error"].as_str().is_some_and(|error| error.contains("documents"))
    });
    // The old configuration is still in force.
    usb.plug();
    host.run_ends("documents", 1, "ok");
    daemon.signal(Signal::HUP);
    host.ctl(&["status"]).exits(0).says("the sync `documents` has no `source`");

    std::fs::remove_file(host.config_file()).unwrap();
    until("the missing file is shown", || {
        host.status()["daemon"]["config_error"].as_str().is_some_and(|error| !error.contains("documents"))
    });
    assert_eq!(host.sync("documents")["state"], "idle");

    host.configure(&good.also("[volumes.other]\npath = \"/srv\""));
    until("the mended file is in force", || host.status()["daemon"]["config_error"].is_null());
    until("what it adds is known", || {
        host.status()["volumes"].as_array().unwrap().iter().any(|volume| volume["name"] == "other")
    });
}

pub fn changed_starts_what_became_possible(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let config = host.config().drive(&usb);
    host.configure(&config);
    let daemon = host.start();
    usb.plug();
    host.configure(&config.clone().sync("documents", "usb", "btrfs", "enabled = false"));
    host.stands("documents", "disabled");
    host.configure(&config.sync("documents", "usb", "btrfs", ""));
    host.run_ends("documents", 1, "ok");
    usb.destination("documents").latest().is_like(&source);
    daemon.stop();
}

pub fn mistakes_are_told_all_at_once(host: &MiniHost) {
    let text = "[volumes.laptop]\npath = \"~\"\n\n[syncs.documents]\nsource = \"latpop:a\"\n\
                destination = \"laptop:b\"\n\
                every = \"1 fortnight\"\nsnapshot = \"btrfs\"\n";
    host.configure_with(text);
    let file = host.config_file();
    let answer = host.ctl(&["config", "check", file.to_str().unwrap()]).exits(2);
    let answer = answer.says("did you mean `laptop`").says("fortnight").says("snapshot").says("^");
    answer.says("config.toml:5");
    let daemon = host.launch("nbkpd", &Wrapping::Plain);
    assert_eq!(daemon.ends().code(), Some(2));
    assert!(daemon.log().contains("latpop"), "{}", daemon.log());
}
