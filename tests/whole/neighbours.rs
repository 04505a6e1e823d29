//! NetworkManager, logind and the bus come, go and come again under a running daemon.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::daemon::Wrapping;
use crate::common::drive::Filesystem::Ext4;
use crate::common::mini_host::{MiniHost, array};
use crate::common::server::Server;
use crate::common::service_manager::ServiceManager;
use crate::common::system_bus::{Login, NetworkManager, SystemBus};
use crate::common::{text_of, throughout, until};

/// A server that is at home where the connection `Dock` is up.
fn docked(host: &MiniHost) -> Server {
    host.source("documents").fill(10);
    let nas = host.server("nas").prepared_for("documents");
    let endpoint = format!("{}locations = [\"home\"]", nas.endpoint());
    let config = host.config().also("[locations.home]\nconnections = [\"Dock\"]\n").also(&endpoint).also(&nas.volume());
    host.configure(&config.sync("documents", "nas", "hard-link", "every = \"0s\""));
    nas
}

fn is_degraded(host: &MiniHost) -> bool {
    array(&host.status()["daemon"]["degraded"]).iter().any(|sentence| sentence.to_string().contains("NetworkManager"))
}

pub fn a_connection_is_home(host: &MiniHost) {
    let nas = docked(host);
    let mut bus = SystemBus::start();
    let mut manager = NetworkManager::start(&nas.link());
    manager.add("Dock", "10.77.1.2/24");
    let _daemon = host.start();
    host.stopped_by("documents", "wrong-location");
    manager.up("Dock");
    host.run_ends("documents", 1, "ok");
    assert_eq!(host.status()["locations"][0], "home");
    manager.down();
    host.stopped_by("documents", "wrong-location");

    // It dies, and says nothing any more; then it is back.
    manager.go();
    until("it is missed", || is_degraded(host));
    manager.come();
    until("it is back", || !is_degraded(host));
    manager.up("Dock");
    host.run_ends("documents", 2, "ok");

    // The bus itself goes, and everybody on it.
    manager.go();
    bus.restart();
    until("it is missed", || is_degraded(host));
    manager.come();
    until("it is back", || !is_degraded(host));
    until("the location is recognised", || host.status()["locations"][0] == "home");
}

pub fn hooks_run_where_no_rights_were_taken_away(host: &MiniHost) {
    host.source("documents").fill(3);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    usb.plug();
    let with = |hooks: &str| host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", hooks));
    // What only a program can see that may gain rights, as `sudo` does.
    let free =
        "grep -q NoNewPrivs:.0 /proc/self/status || { echo they were taken away >&2; exit 1; }; echo $$ >/run/ran";
    with(&format!("hooks = {{ before = [\"sh\", \"-c\", \"{free}\"] }}"));
    let daemon = host.start_as("nbkpd", &Wrapping::Limited);
    let failed = host.run_ends("documents", 1, "failed");
    assert!(failed["error"].as_str().unwrap().contains("they were taken away"), "{failed}");
    let doctor = host.ctl(&["doctor"]);
    doctor.says("hook `before`").says("set-user-id programs").says("could not reach the system bus");

    let _bus = SystemBus::start();
    let manager = ServiceManager::start();
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert!(
        manager.started().iter().any(|words| words.last().is_some_and(|word| word == free)),
        "{:?}",
        manager.started()
    );
    assert!(text_of(Path::new("/run/ran")).trim().parse::<u32>().is_ok(), "the shell did not get its own words");
    let findings = host.ctl(&["doctor", "--json"]).json().to_string();
    assert!(!findings.contains("hook-confined"), "{findings}");

    let slow = r#"hooks = { before = ["sh", "-c", "echo the last word >&2; sleep 100"], interrupted = ["false"] }"#;
    with(slow);
    let slow_runs = || manager.started().iter().any(|words| words.iter().any(|word| word.contains("sleep 100")));
    until("the slow one runs", || host.ctl(&["run", "documents", "--force"]).code == Some(0) && slow_runs());
    let begun = Instant::now();
    host.ctl(&["cancel", "documents"]).exits(0);
    until("its run is interrupted", || host.history("documents").iter().any(|run| run["outcome"] == "interrupted"));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    daemon.stop();
}

pub fn without_a_bus_the_rest_works(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    assert!(!is_degraded(host), "nothing that is configured needs it: {}", host.status()["daemon"]);
    let location = "[locations.home]\nconnections = [\"Dock\"]\n";
    host.configure(&host.config().drive(&usb).also(location).sync("documents", "usb", "hard-link", ""));
    until("now something does", || is_degraded(host));
}

pub fn a_metered_way_waits(host: &MiniHost) {
    host.source("documents").fill(10);
    let nas = host.server("nas").prepared_for("documents");
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", "every = \"0s\""));
    let _bus = SystemBus::start();
    let manager = NetworkManager::start(&nas.link());
    manager.add("Phone", "10.77.1.2/24");
    let _daemon = host.start();
    manager.up("Phone");
    host.run_ends("documents", 1, "ok");
    manager.meter("Phone", "yes");
    host.stopped_by("documents", "metered");
    assert_eq!(host.status()["network"]["metered"], true);
    host.ctl(&["run", "documents", "--wait", "--strict"]).exits(4);
    host.ctl(&["run", "documents", "--wait", "--force"]).exits(0);
    manager.meter("Phone", "no");
    until("nothing stands in the way", || host.obstacles("documents").is_empty());
}

pub fn sleep_in_mid_run_interrupts_and_goes_on(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("film", 32, 7);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let slow = "rsync = { bandwidth = \"4M\" }";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", slow));
    let _bus = SystemBus::start();
    let login = Login::start();
    let _daemon = host.start();
    let lock = login.lock();
    usb.plug();
    host.copies("documents", 8 << 20);
    assert!(lock.is_held());

    let announced = Instant::now();
    login.announce_sleep();
    until("sleep is let through", || !lock.is_held());
    assert!(announced.elapsed() < Duration::from_secs(5), "{:?}: logind would not have waited", announced.elapsed());
    let record = host.run_ends("documents", 1, "interrupted");
    assert!(record["error"].as_str().unwrap().contains("went to sleep"), "{record}");
    throughout("nothing starts before it has slept", Duration::from_secs(2), || {
        array(&host.status()["running"]).is_empty()
    });

    login.announce_waking();
    let record = host.run_ends("documents", 2, "ok");
    usb.destination("documents").latest().is_like(&source);
    assert!(record["bytes_transferred"].as_u64().unwrap() < 30 << 20, "it goes on where it stopped: {record}");
    assert!(login.lock().is_held(), "the next sleep is held back again");
}

pub fn a_long_copy_keeps_the_machine_awake(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("film", 64, 7);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let slow = "rsync = { bandwidth = \"1M\" }";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", slow));
    let _bus = SystemBus::start();
    let login = Login::start();
    let _daemon = host.start();
    usb.plug();
    host.copies("documents", 1 << 20);
    let vigil = login.vigil();
    assert!(vigil.is_held());
    host.ctl(&["cancel", "documents"]).exits(0);
    until("it may be idle", || !vigil.is_held());
    assert_eq!(host.status()["daemon"]["degraded"], serde_json::json!([]));
}
