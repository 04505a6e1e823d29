//! Several syncs: in the right order, and each member of a group for itself.

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::Folder;
use crate::common::mini_host::MiniHost;
use crate::common::until;

pub fn a_chain_goes_in_order(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(30);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    usb.edit(|root| std::fs::write(root.join("documents/.nbkp-src"), "").unwrap());
    let mut red = host.drive("red", Ext4).prepared_plainly_for("offsite");
    let chain = "[syncs.offsite]\nsource = \"usb:documents\"\ndestination = \"red:offsite\"\nevery = \"0s\"";
    let config = host.config().drive(&usb).drive(&red).also(chain);
    host.configure(&config.sync("documents", "usb", "btrfs", "every = \"0s\""));
    let _daemon = host.start();
    red.plug();
    usb.plug();
    let first = host.run_ends("documents", 1, "ok");
    until("the chain is through", || host.history("offsite").iter().any(|run| run["outcome"] == "ok"));
    let second = host.history("offsite")[0].clone();
    assert!(first["finished"].as_str() <= second["started"].as_str(), "{first} goes before {second}");
    let copy = Folder::at(red.point().join("offsite"));
    copy.is_like(&source);
    assert!(!copy.path.join("snapshots").exists(), "the latest snapshot is copied, not the folder of snapshots");
}

pub fn a_failure_stops_what_follows(host: &MiniHost) {
    host.source("documents").fill(10);
    host.source("photos").fill(10);
    host.source("music").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    usb.edit(|root| {
        for name in ["photos", "music"] {
            std::fs::create_dir(root.join(name)).unwrap();
            std::fs::write(root.join(name).join(".nbkp-dst"), "").unwrap();
        }
    });
    let broken = "hooks = { before = [\"false\"] }";
    let config = host.config().drive(&usb).sync("documents", "usb", "none", broken);
    let config = config.sync("photos", "usb", "none", "after = [\"documents\"]").sync("music", "usb", "none", "");
    host.configure(&config);
    let _daemon = host.start();
    usb.plug();
    until("the first one fails", || host.history("documents").iter().any(|run| run["outcome"] == "failed"));
    host.run_ends("music", 1, "ok");
    host.stopped_by("photos", "upstream-failed");
    assert!(host.history("photos").is_empty());
    host.configure_with(&config.text().replace(broken, ""));
    until("the follower runs", || host.history("photos").iter().any(|run| run["outcome"] == "ok"));
    assert!(host.history("documents").iter().any(|run| run["outcome"] == "ok"));
}

pub fn a_group_gets_one_copy_on_each_member(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(20);
    let mut blue = host.drive("blue", Btrfs).prepared_for("documents");
    let mut red = host.drive("red", Ext4).prepared_for("documents");
    let group = "[groups.offsite]\nvolumes = [\"blue\", \"red\"]";
    let config = host.config().drive(&blue).drive(&red).also(group);
    host.configure(&config.sync("documents", "offsite", "hard-link", ""));
    let _daemon = host.start();
    blue.plug();
    host.run_ends("documents@blue", 1, "ok");
    assert_eq!(host.obstacles("documents@red"), ["destination-volume-absent"]);
    blue.destination("documents").latest().is_like(&source);
    blue.unplug();
    red.plug();
    host.run_ends("documents@red", 1, "ok");
    red.destination("documents").latest().is_like(&source);
    assert_eq!(host.history("documents@blue").len(), 1);
}
