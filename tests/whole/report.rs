//! The page that tells how everything stands.

use std::fs;

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::mini_host::{MiniHost, array};
use crate::common::{run, until};

/// The part of a page that says how everything stands.
fn verdict(page: &str) -> &str {
    let (_, rest) = page.split_once("id=\"verdict\"").unwrap();
    rest.split_once("</section>").unwrap().0
}

fn page(host: &MiniHost) -> String {
    let file = host.root.join("page.html");
    host.ctl(&["report", "-o", file.to_str().unwrap()]).exits(0);
    fs::read_to_string(file).unwrap()
}

pub fn what_went_wrong_is_the_first_thing_it_says(host: &MiniHost) {
    let refuse = host.root.join("refuse");
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let hook = format!("hooks = {{ before = [\"sh\", \"-c\", \"! test -e {}\"] }}", refuse.display());
    let keep = "keep = { last = 3 }\nmax-age = \"7d\"";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", &format!("{keep}\n{hook}")));
    let daemon = host.start();
    let told = page(host);
    assert!(told.contains("<article class=\"notice\"><h3>documents</h3>"), "{told}");
    assert!(verdict(&told).contains("never copied so far"), "{}", verdict(&told));

    usb.plug();
    host.run_ends("documents", 1, "ok");
    for more in ["second", "third"] {
        source.write(more, more);
        host.ctl(&["run", "documents", "--wait"]).exits(0);
    }
    host.stands("documents", "idle");
    let told = page(host);
    assert!(told.contains("<article class=\"good\"><h3>documents</h3>"), "{told}");
    assert!(!verdict(&told).contains("<strong>documents"), "{}", verdict(&told));
    assert!(told.contains("3 snapshots, the oldest") && told.contains("What goes when"), "{told}");
    assert!(told.contains("copied on 1 day"), "{told}");

    fs::write(&refuse, "").unwrap();
    host.ctl(&["run", "documents", "--wait"]).exits(1);
    let told = page(host);
    assert!(verdict(&told).starts_with(" class=\"bad\""), "{}", verdict(&told));
    assert!(verdict(&told).contains("The only sync needs you"), "{}", verdict(&told));
    assert!(verdict(&told).contains("<strong>documents</strong><p>the last run failed"), "{}", verdict(&told));
    assert!(told.contains("<article class=\"bad\"><h3>documents</h3>") && !told.contains("article class=\"good\""));

    // A daemon that is dead proves nothing, and is told before all else.
    daemon.kill();
    let told = page(host);
    let news = verdict(&told);
    let dead = news.find("No daemon runs: no copies are made, and the only sync needs you").unwrap();
    assert!(dead < news.find("the last run failed").unwrap(), "{news}");
    fs::remove_file(&refuse).unwrap();
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let told = page(host);
    assert!(verdict(&told).contains("No daemon runs: no copies are made</h2>"), "{}", verdict(&told));
    assert!(!told.contains("article class=\"good\""), "{told}");
}

/// What `snapshots --sizes` says of each, oldest first.
fn told(host: &MiniHost, key: &str) -> Vec<Option<u64>> {
    let told = host.ctl(&["snapshots", "documents", "--sizes", "--json"]).exits(0).json();
    array(&told["snapshots"]).iter().map(|snapshot| snapshot[key].as_u64()).collect()
}

/// Three snapshots: what the first has alone, is 4 MiB; what the last has alone, 2 MiB.
fn three(host: &MiniHost) {
    host.run_ends("documents", 1, "ok");
    host.source("documents").write_big("a", 4, 2);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    host.source("documents").write_big("b", 2, 3);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
}

fn is_near(found: Option<u64>, mebibytes: u64) {
    let off = found.unwrap().abs_diff(mebibytes << 20);
    assert!(off < 200 << 10, "{found:?}, not {mebibytes} MiB");
}

pub fn snapshots_of_hard_links_tell_what_deleting_them_frees(host: &MiniHost) {
    host.source("documents").fill(10).write_big("a", 4, 1).write_big("always", 3, 9);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let daemon = host.start();
    usb.plug();
    three(host);
    let frees = told(host, "frees");
    is_near(frees[0], 4);
    is_near(frees[1], 0);
    is_near(frees[2], 2);
    host.ctl(&["snapshots", "--sizes"]).exits(0).says("FREES").says("4.0 MiB");
    assert_eq!(told(host, "new"), [None; 3]);
    assert!(host.ctl(&["snapshots", "--json"]).exits(0).json()["snapshots"][0]["frees"].is_null(), "nobody asked");
    daemon.stop();

    // And that is what it frees.
    let destination = usb.destination("documents");
    let free = || {
        usb.flush();
        let free = run("stat", &[&"-f", &"-c", &"%f %S", &usb.point()]);
        let (blocks, size) = free.trim().split_once(' ').unwrap();
        blocks.parse::<u64>().unwrap() * size.parse::<u64>().unwrap()
    };
    let before = free();
    fs::remove_dir_all(destination.root.join("snapshots").join(&destination.snapshots()[0])).unwrap();
    let gained = free() - before;
    assert!(gained.abs_diff(frees[0].unwrap()) < 64 << 10, "{gained}, not {frees:?}");
}

pub fn snapshots_of_btrfs_tell_what_it_knows_of_them(host: &MiniHost) {
    host.source("documents").fill(10).write_big("a", 4, 1).write_big("always", 3, 9);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    usb.plug();
    three(host);
    // Without an account it is told what is new.
    assert_eq!(told(host, "frees"), [None; 3]);
    let new = told(host, "new");
    assert_eq!(new[0], None);
    is_near(new[1], 4);
    is_near(new[2], 2);
    host.ctl(&["snapshots", "--sizes"]).exits(0).says("new 4.0 MiB").says("btrfs quota enable");

    run("btrfs", &[&"quota", &"enable", &usb.point()]);
    until("btrfs has counted", || told(host, "frees").iter().all(Option::is_some));
    let frees = told(host, "frees");
    is_near(frees[0], 4);
    is_near(frees[1], 0);
    is_near(frees[2], 0);
    assert_eq!(told(host, "new"), [None; 3]);
    let groups = run("btrfs", &[&"qgroup", &"show", &"--raw", &usb.point()]);
    for bytes in frees {
        let bytes = bytes.unwrap().to_string();
        assert!(groups.split_whitespace().any(|word| word == bytes), "{bytes} in {groups}");
    }
}
