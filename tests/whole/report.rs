//! The page that tells how everything stands.

use std::fs;

use crate::common::drive::Filesystem::Ext4;
use crate::common::mini_host::MiniHost;

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
    host.source("documents").fill(10);
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
    for _ in 0..2 {
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
