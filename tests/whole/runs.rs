//! What a person is told of runs that went well.

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::mini_host::MiniHost;

pub fn that_find_nothing_new_make_no_snapshot_and_count(host: &MiniHost) {
    let names = ["documents", "music", "mail"];
    for name in names {
        host.source(name).fill(5);
    }
    let mut stick = host.drive("stick", Ext4).prepared_for("documents");
    let mut pool = host.drive("pool", Btrfs).prepared_for("music");
    let nas = host.server("nas").prepared_for("mail");
    nas.join();
    let with = |more: &str| {
        let volumes = host.config().drive(&stick).drive(&pool).server(&nas);
        let syncs = volumes.sync("documents", "stick", "hard-link", more).sync("music", "pool", "btrfs", more);
        syncs.sync("mail", "nas", "hard-link", more)
    };
    let (usual, each_time) = (with("every = \"7d\""), with("every = \"7d\"\nunchanged = \"snapshot\""));
    host.configure(&usual);
    let daemon = host.start();
    stick.plug();
    pool.plug();
    for name in names {
        host.run_ends(name, 1, "ok");
    }
    for name in names {
        let first = host.history(name).remove(0);
        assert!(first["snapshot"].is_string() && first.get("unchanged").is_none(), "{first}");
        let before = host.sync(name);
        host.ctl(&["run", name, "--wait"]).exits(0).says("nothing new, so no snapshot");
        let same = host.history(name).remove(0);
        assert_eq!((&same["outcome"], &same["unchanged"]), (&"ok".into(), &true.into()), "{same}");
        assert!(same["snapshot"].is_null() && same["entries"] == first["entries"], "{first} {same}");
        let now = host.sync(name);
        assert_ne!(now["last_success"], before["last_success"], "it counts: {now}");
        assert_eq!((&now["state"], &now["freshness"]), (&"idle".into(), &"fresh".into()), "{now}");
    }
    host.ctl(&["history"]).exits(0).says("nothing new, so no snapshot");
    let copies = [stick.destination("documents"), pool.destination("music"), nas.destination("mail")];
    let counted = || copies.iter().map(|copy| copy.snapshots().len()).collect::<Vec<_>>();
    assert_eq!(counted(), [1, 1, 1]);

    daemon.stop();
    host.configure(&each_time);
    let _daemon = host.start();
    for name in names {
        host.ctl(&["run", name, "--wait"]).exits(0);
        assert!(host.history(name)[0]["snapshot"].is_string());
    }
    assert_eq!(counted(), [2, 2, 2]);
}

pub fn that_send_much_are_told_with_the_directories(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("photos/2026/film", 3, 1).write("mail/a", "four").write("mail/old/b", "1").write("top", "12");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", "every = \"7d\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    source.write("mail/a", "another");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let told = host.ctl(&["history", "documents", "--stats", "--json"]).json()["stats"][0]["heaviest"].clone();
    let heavy = |directory: &str, bytes: u64| serde_json::json!({ "directory": directory, "bytes": bytes });
    assert_eq!(told, serde_json::json!([heavy("photos/2026", 3 << 20), heavy("mail", 11), heavy(".", 2)]));
    host.ctl(&["history", "documents", "--stats"])
        .exits(0)
        .says("most of    photos/2026  3.0 MiB\n               mail  11 B\n               .  2 B\n");
}
