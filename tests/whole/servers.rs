//! The network is joined, and the server is backed up to.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::common::daemon::Wrapping;
use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::journal::Journal;
use crate::common::mini_host::{MiniHost, array};
use crate::common::{arguments, attempt, run, throughout, until};

/// A lost connection is noticed within this long.
const NOTICED: Duration = Duration::from_mins(1);

pub fn is_copied_when_the_network_is_joined(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(40).write("letter.txt", "dear reader");
    let nas = host.server("nas").prepared_for("documents");
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", ""));
    let daemon = host.start();
    host.stopped_by("documents", "host-unreachable");
    assert_eq!(host.status()["network"]["online"], false);

    nas.join();
    let record = host.run_ends("documents", 1, "ok");
    assert_eq!((&record["files_transferred"], &record["trigger"]), (&41.into(), &"network".into()));
    let copy = nas.destination("documents");
    copy.latest().is_like(&source);
    assert!(copy.unfinished().is_empty());
    assert_eq!((copy.log().len(), &copy.log()[0]["outcome"]), (1, &"ok".into()));
    let status = host.status();
    assert_eq!(status["network"]["online"], true);
    let volume = array(&status["volumes"]).iter().find(|volume| volume["name"] == "nas").cloned().unwrap();
    assert_eq!((&volume["present"], volume["path"].as_str()), (&true.into(), nas.root.to_str()));
    host.ctl(&["snapshots", "documents"]).exits(0).says(&copy.latest_name());
    host.ctl(&["why", "documents"]).exits(0);

    source.write("folder-01/file-1", "changed");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert_eq!(copy.gets(2).len(), 2);
    copy.latest().is_like(&source);
    daemon.stop();
    assert!(leftovers().is_empty(), "{:?}", leftovers());
}

/// The processes of ssh on this machine. Those that have ended and that nobody has taken leave of do not count: there
/// is no init here to do it.
fn leftovers() -> Vec<String> {
    let listed = attempt("ps", &[&"-C", &"ssh", &"-o", &"stat=,args="]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    text.lines().filter(|line| !line.starts_with('Z')).map(str::to_owned).collect()
}

pub fn left_in_mid_run_interrupts_and_goes_on(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("film", 48, 7);
    let nas = host.server("nas").prepared_for("documents");
    let slow = "rsync = { bandwidth = \"4M\" }";
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", slow));
    let _daemon = host.start();
    nas.join();
    host.copies("documents", 16 << 20);
    let left = Instant::now();
    nas.leave();
    let record = host.run_ends("documents", 1, "interrupted");
    assert!(left.elapsed() < NOTICED, "{:?}", left.elapsed());
    assert!(record["error"].as_str().unwrap().contains("no way leads"), "{record}");
    assert!(nas.destination("documents").snapshots().is_empty());
    host.stopped_by("documents", "host-unreachable");

    nas.join();
    let record = host.run_ends("documents", 2, "ok");
    nas.destination("documents").latest().is_like(&source);
    assert!(record["bytes_transferred"].as_u64().unwrap() < 40 << 20, "it goes on where it stopped: {record}");
}

pub fn switched_off_in_mid_run_interrupts_and_goes_on(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("film", 32, 7);
    let nas = host.server("nas").prepared_for("documents");
    let slow = "rsync = { bandwidth = \"4M\" }";
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", slow));
    let _daemon = host.start();
    nas.join();
    host.copies("documents", 8 << 20);
    nas.switch_off();
    host.run_ends("documents", 1, "interrupted");
    host.stopped_by("documents", "host-unreachable");
    nas.switch_on();
    // Nothing tells that a server was switched on: it is asked again after a while.
    host.run_ends("documents", 2, "ok");
    nas.destination("documents").latest().is_like(&source);
}

pub fn a_server_that_falls_silent_in_mid_run_is_given_up(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("film", 32, 7);
    let nas = host.server("nas").prepared_for("documents");
    let slow = "rsync = { bandwidth = \"4M\" }";
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", slow));
    let _daemon = host.start();
    nas.join();
    host.copies("documents", 8 << 20);
    let silent = Instant::now();
    nas.signal("STOP");
    let record = eventually_ended(host, "documents");
    assert!(silent.elapsed() < NOTICED + Duration::from_secs(15), "{:?}", silent.elapsed());
    assert_eq!(record["outcome"], "interrupted", "{record}");
    host.stopped_by("documents", "host-unreachable");
    nas.signal("CONT");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    nas.destination("documents").latest().is_like(&source);
}

/// Waits for the end of a first run that may take longer than others.
fn eventually_ended(host: &MiniHost, sync: &str) -> serde_json::Value {
    let deadline = Instant::now() + 2 * NOTICED;
    loop {
        if let Some(record) = host.history(sync).into_iter().next() {
            return record;
        }
        assert!(Instant::now() < deadline, "the run does not end: {:#?}", host.status());
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn the_way_home_is_taken_at_home_and_the_other_one_away(host: &MiniHost) {
    host.source("documents").fill(10);
    // Two cables to one disk: at home, and around the world.
    let lan = host.server("lan").prepared_for("documents");
    let wan = host.server("wan");
    let volume = format!("[volumes.nas]\nssh = [\"lan\", \"wan\"]\npath = \"{}\"\n", lan.root.display());
    let home = format!("[locations.home]\nsubnets = [\"{}/24\"]\n", lan.address());
    let config = host.config().also(&home).also(&format!("{}locations = [\"home\"]", lan.endpoint()));
    let config = config.also(&wan.endpoint()).also(&volume).sync("documents", "nas", "hard-link", "every = \"0s\"");
    host.configure(&config);
    let _daemon = host.start();
    host.stopped_by("documents", "host-unreachable");
    wan.join();
    host.run_ends("documents", 1, "ok");
    assert_eq!((lan.admitted(), host.status()["locations"].to_string()), (0, "[]".into()));

    let by_wan = wan.admitted();
    lan.join();
    until("the location is recognised", || host.status()["locations"][0] == "home");
    until("the server was asked by the cable at home", || lan.admitted() > 0);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert_eq!(wan.admitted(), by_wan, "the way home comes first");
    lan.leave();
    until("the location is left", || array(&host.status()["locations"]).is_empty());
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert!(wan.admitted() > by_wan);
}

pub fn another_network_in_mid_run_is_another_way(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("film", 40, 7);
    let lan = host.server("lan").prepared_for("documents");
    let wan = host.server("wan");
    let volume = format!("[volumes.nas]\nssh = [\"lan\", \"wan\"]\npath = \"{}\"\n", lan.root.display());
    let home = format!("[locations.home]\nsubnets = [\"{}/24\"]\n", lan.address());
    let config = host.config().also(&home).also(&format!("{}locations = [\"home\"]", lan.endpoint()));
    let slow = "rsync = { bandwidth = \"4M\" }";
    let config = config.also(&wan.endpoint()).also(&volume).sync("documents", "nas", "hard-link", slow);
    host.configure(&config);
    let _daemon = host.start();
    lan.join();
    host.copies("documents", 16 << 20);
    assert_eq!(wan.admitted(), 0, "the way home is taken at home");
    let left = Instant::now();
    lan.leave();
    wan.join();
    let record = host.run_ends("documents", 1, "interrupted");
    assert!(left.elapsed() < NOTICED, "{:?}", left.elapsed());
    assert!(lan.destination("documents").snapshots().is_empty(), "{record}");
    let by_lan = lan.admitted();
    let record = host.run_ends("documents", 2, "ok");
    assert!(wan.admitted() > 0 && lan.admitted() == by_lan, "it goes on by the other way");
    assert!(record["bytes_transferred"].as_u64().unwrap() < 32 << 20, "and where it stopped: {record}");
    lan.destination("documents").latest().is_like(&source);
}

pub fn away_there_is_no_way(host: &MiniHost) {
    host.source("documents").fill(10);
    let nas = host.server("nas").prepared_for("documents");
    let endpoint = format!("{}locations = [\"home\"]", nas.endpoint());
    let home = format!("[locations.home]\nsubnets = [\"{}/24\"]\n", nas.address());
    let config = host.config().also(&home).also(&endpoint).also(&nas.volume());
    host.configure(&config.sync("documents", "nas", "hard-link", ""));
    let _daemon = host.start();
    host.stopped_by("documents", "wrong-location");
    assert_eq!(nas.log().matches("Connection from").count(), 0);
    nas.join();
    host.run_ends("documents", 1, "ok");
}

pub fn another_host_is_not_home(host: &MiniHost) {
    host.source("documents").fill(10);
    let nas = host.server("nas").prepared_for("documents");
    let journal = Journal::listen();
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", ""));
    let daemon = host.start();
    nas.switch_off();
    nas.switch_on_with("other-host");
    nas.join();
    host.stopped_by("documents", "host-key-mismatch");
    let hint = host.sync("documents")["obstacles"][0]["hint"].to_string();
    assert!(hint.contains(&format!("ssh-keygen -R {}", nas.address())), "{hint}");
    let log = daemon.log();
    drop(journal);
    assert!(log.matches("shows another key").count() <= 1, "{log}");
    assert!(nas.destination("documents").snapshots().is_empty());

    // A host that was never seen.
    std::fs::write(nas.file("known"), "").unwrap();
    host.ctl(&["scan"]).exits(0);
    host.stopped_by("documents", "host-key-mismatch");
    let hint = host.sync("documents")["obstacles"][0]["hint"].to_string();
    assert!(hint.contains(&format!("ssh root@{}", nas.address())), "{hint}");

    nas.knows("other-host");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
}

pub fn who_is_not_admitted_is_told_how(host: &MiniHost) {
    host.source("documents").fill(10);
    let nas = host.server("nas").prepared_for("documents");
    std::fs::copy(nas.file("stranger.pub"), nas.file("admitted")).unwrap();
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", ""));
    let _daemon = host.start();
    nas.join();
    host.stopped_by("documents", "host-auth-failed");
    host.ctl(&["why", "documents"]).exits(0).says(&format!("ssh-copy-id root@{}", nas.address()));
    host.ctl(&["run", "documents", "--wait", "--strict"]).exits(4);
    std::fs::copy(nas.file("user.pub"), nas.file("admitted")).unwrap();
    host.ctl(&["run", "documents", "--wait"]).exits(0);
}

pub fn a_server_behind_another_is_reached_through_it(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let gate = host.server("gate");
    let nas = host.server("nas").prepared_for("documents");
    // The server is plugged into the gate, not into this machine.
    run("ip", &[&"link", &"set", &nas.link(), &"netns", &"nbkp-gate"]);
    gate.ip(&["link", "set", &nas.link(), "up"]);
    gate.ip(&["addr", "add", &nas.our_address(), "dev", &nas.link()]);
    let through = format!("{}proxy-jump = [\"gate\"]", nas.endpoint());
    let config = host.config().also(&gate.endpoint()).also(&through).also(&nas.volume());
    host.configure(&config.sync("documents", "nas", "hard-link", ""));
    let _daemon = host.start();
    gate.join();
    host.run_ends("documents", 1, "ok");
    nas.destination("documents").latest().is_like(&source);
    assert!(gate.admitted() > 0);
}

pub fn from_the_server_to_a_drive(host: &MiniHost) {
    let nas = host.server("nas");
    let there = nas.folder("photos");
    there.fill(30).write(".nbkp-src", "");
    let mut usb = host.drive("usb", Btrfs).prepared_for("photos");
    let sync = "[syncs.photos]\nsource = \"nas:photos\"\ndestination = \"usb:photos\"\nsnapshots = \"btrfs\"\n";
    host.configure(&host.config().server(&nas).drive(&usb).also(sync));
    let _daemon = host.start();
    nas.join();
    usb.plug();
    host.run_ends("photos", 1, "ok");
    usb.destination("photos").latest().is_like(&there);
    // An emptied source empties nothing, wherever it is.
    there.empty(crate::common::folder::Sentinels::Stay);
    host.ctl(&["run", "photos", "--wait"]).exits(1);
    assert_eq!(host.history("photos")[0]["outcome"], "held");
    assert_eq!(usb.destination("photos").snapshots().len(), 1);
}

pub fn a_chain_goes_through_the_server_to_a_drive_there(host: &MiniHost) {
    let source = host.source("photos");
    source.fill(30).write("with space and 'quotes' $(touch /pwned)", "x");
    let nas = host.server("nas").prepared_for("photos");
    std::fs::write(nas.root.join("photos/.nbkp-src"), "").unwrap();
    let mut usb = host.drive("usb", Ext4).prepared_for("archive");
    let volume = format!("[volumes.drive-there]\nssh = [\"nas\"]\ndrive = \"{}\"\n", usb.uuid);
    let onward =
        "[syncs.onward]\nsource = \"nas:photos\"\ndestination = \"drive-there:archive\"\nsnapshots = \"hard-link\"\n";
    let config = host.config().server(&nas).also(&volume).sync("photos", "nas", "hard-link", "").also(onward);
    host.configure(&config);
    let _daemon = host.start();
    nas.join();
    host.run_ends("photos", 1, "ok");
    host.stopped_by("onward", "destination-volume-absent");
    usb.plug();
    host.ctl(&["run", "onward", "--wait", "--strict"]).exits(0);
    usb.destination("archive").latest().is_like(&source);
    assert!(!std::path::Path::new("/pwned").exists());
}

pub fn fifty_syncs_cost_one_connection(host: &MiniHost) {
    let nas = host.server("nas");
    let mut config = host.config().server(&nas);
    for number in 0..50 {
        let name = format!("s{number:02}");
        host.source(&name);
        std::fs::create_dir(nas.root.join(&name)).unwrap();
        std::fs::write(nas.root.join(&name).join(".nbkp-dst"), "").unwrap();
        config = config.sync(&name, "nas", "none", "enabled = false");
    }
    host.configure(&config);
    let _daemon = host.start();
    nas.join();
    until("all are seen", || {
        let status = host.status();
        array(&status["syncs"]).iter().all(|sync| array(&sync["obstacles"]).len() == 1)
    });
    // An address comes with changes of routes, which make for one more question; this one waits for that, too.
    host.ctl(&["scan"]).exits(0);
    let before = nas.admitted();
    host.ctl(&["scan"]).exits(0);
    assert_eq!(nas.admitted(), before + 1);
}

pub fn a_hundred_servers_out_of_reach_delay_no_drive(host: &MiniHost) {
    let mut config = host.config();
    // Addresses of a network in which nobody answers, and nobody says so.
    let nas = host.server("nas");
    nas.join();
    for number in 0..100 {
        let name = format!("h{number:02}");
        host.source(&name);
        config = config.also(&format!(
            "[ssh-endpoints.{name}]\nhost = \"10.77.1.{}\"\n[volumes.{name}]\nssh = [\"{name}\"]\npath = \"/srv\"\n",
            100 + number
        ));
        config = config.sync(&name, &name, "none", "");
    }
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&config.drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    assert_eq!(host.obstacles("h00"), ["destination-volume-absent"], "the servers are still being asked");
}

pub fn a_killed_daemon_leaves_no_connection_and_goes_on(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("film", 32, 7);
    let nas = host.server("nas").prepared_for("documents");
    let slow = "rsync = { bandwidth = \"4M\" }";
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", slow));
    let daemon = host.start();
    nas.join();
    host.copies("documents", 8 << 20);
    daemon.kill();
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", ""));
    let _daemon = host.start_as("nbkpd", &Wrapping::Plain);
    host.run_ends("documents", 2, "ok");
    nas.destination("documents").latest().is_like(&source);
    until("no connection is left", || leftovers().is_empty());
}

pub fn prepares_shows_and_prunes_on_a_server(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let nas = host.server("nas");
    std::fs::remove_file(nas.root.join(".nbkp-vol")).unwrap();
    nas.join();
    host.configure(&host.config().server(&nas).sync(
        "documents",
        "nas",
        "hard-link",
        "every = \"7d\"\nkeep = { last = 1 }",
    ));
    let _daemon = host.start();
    host.stopped_by("documents", "destination-sentinel-missing");
    host.ctl(&["prepare", "documents"]).exits(0).says(".nbkp-dst");
    host.run_ends("documents", 1, "ok");
    source.write("new", "new").remove("folder-03/file-3");
    host.ctl(&["diff", "documents"]).exits(0).says("new").says("folder-03/file-3");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let copy = nas.destination("documents");
    assert_eq!(copy.gets(1), [copy.latest_name()], "the older one was pruned");
    copy.latest().is_like(&source);
    host.ctl(&["snapshots", "documents", "--json"]).exits(0).says(&copy.latest_name());
    host.ctl(&["prune", "documents"]).exits(0);
    assert_eq!(copy.snapshots().len(), 1);
}

pub fn works_without_a_daemon(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let nas = host.server("nas").prepared_for("documents");
    nas.join();
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", ""));
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    nas.destination("documents").latest().is_like(&source);
}

pub fn a_storm_of_addresses_costs_a_few_questions(host: &MiniHost) {
    host.source("documents").fill(1);
    let nas = host.server("nas").prepared_for("documents");
    nas.join();
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", "every = \"7d\""));
    let daemon = host.start();
    host.run_ends("documents", 1, "ok");
    let (asked, memory) = (nas.admitted(), daemon.memory());
    let mut storm = String::new();
    for number in 0..2000 {
        let address = format!("10.99.{}.{}/32", number / 250, number % 250 + 1);
        writeln!(storm, "addr add {address} dev {0}\naddr del {address} dev {0}", nas.link()).unwrap();
    }
    let batch = host.root.join("storm.txt");
    std::fs::write(&batch, storm).unwrap();
    run("ip", &[&"-batch", &batch]);
    host.ctl(&["scan"]).exits(0);
    let more = nas.admitted() - asked;
    assert!(more < 60, "{more} questions");
    assert!(daemon.memory() < memory + (8 << 10), "{} KiB, {memory} before", daemon.memory());
    throughout("nothing more is asked", Duration::from_secs(2), || nas.admitted() <= asked + 60);
}

pub fn a_name_server_that_never_answers_delays_no_drive(host: &MiniHost) {
    let nas = host.server("nas").prepared_for("photos");
    nas.join();
    // It takes questions, and that is all.
    let silent =
        "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 53)); time.sleep(600)";
    let mut silent =
        std::process::Command::new("ip").args(["netns", "exec", "nbkp-nas", "python3", "-c", silent]).spawn().unwrap();
    let file = |name: &str, text: &str| {
        let path = host.root.join(name);
        std::fs::write(&path, text).unwrap();
        run("mount", &[&"--bind", &path, &format!("/etc/{name}")]);
    };
    file("resolv.conf", &format!("nameserver {}\n", nas.address()));
    file("hosts", "127.0.0.1 localhost\n");
    host.source("photos").fill(5);
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let named = nas.endpoint().replace(&format!("host = \"{}\"", nas.address()), "host = \"nas.example.org\"");
    let config = host.config().also(&named).also(&nas.volume()).sync("photos", "nas", "hard-link", "");
    host.configure(&config.drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    assert!(host.history("photos").iter().all(|run| run["outcome"] != "ok"));
    host.stopped_by("photos", "host-unreachable");
    std::fs::write(host.root.join("hosts"), format!("127.0.0.1 localhost\n{} nas.example.org\n", nas.address()))
        .unwrap();
    let known = crate::common::text_of(nas.file("known")).replace(&nas.address(), "nas.example.org");
    std::fs::write(nas.file("known"), known).unwrap();
    until("the server is found", || host.ctl(&["run", "photos", "--wait", "--strict"]).code == Some(0));
    nas.destination("photos").latest().is_like(&crate::common::folder::Folder::at(host.home().join("photos")));
    silent.kill().unwrap();
    silent.wait().unwrap();
}

pub fn a_way_that_swallows_large_packets_is_given_up(host: &MiniHost) {
    let source = host.source("documents");
    source.write_big("film", 32, 7);
    let nas = host.server("nas").prepared_for("documents");
    let slow = "rsync = { bandwidth = \"4M\" }";
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", slow));
    let _daemon = host.start();
    nas.join();
    host.copies("documents", 8 << 20);
    // Without the second, a packet would be cut down on the way.
    nas.ip(&["link", "set", "eth0", "mtu", "576"]);
    run("ip", &[&"link", &"set", &nas.link(), &"gso_max_segs", &"1"]);
    let record = eventually_ended(host, "documents");
    assert_eq!(record["outcome"], "interrupted", "{record}");
    nas.ip(&["link", "set", "eth0", "mtu", "1500"]);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    nas.destination("documents").latest().is_like(&source);
}

pub fn containers_that_come_and_go_ask_no_server(host: &MiniHost) {
    host.source("documents").fill(1);
    let nas = host.server("nas").prepared_for("documents");
    nas.join();
    run("ip", &[&"link", &"add", &"bridge0", &"type", &"bridge"]);
    run("ip", &[&"addr", &"add", &"172.17.0.1/16", &"dev", &"bridge0"]);
    run("ip", &[&"link", &"set", &"bridge0", &"up"]);
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", "every = \"7d\""));
    let _daemon = host.start();
    host.run_ends("documents", 1, "ok");
    host.ctl(&["scan"]).exits(0);
    let asked = nas.admitted();
    let ip = |words: &str| drop(run("ip", &arguments(&words.split(' ').collect::<Vec<_>>())));
    for _ in 0..4 {
        ip("link add host0 type veth peer name inner0");
        ip("link set host0 master bridge0 up");
        ip("link set inner0 up");
        throughout("nobody is asked for a container", Duration::from_millis(1200), || nas.admitted() == asked);
        ip("link del host0");
        throughout("nobody is asked when it goes", Duration::from_millis(500), || nas.admitted() == asked);
    }
    // Another network that is joined is no way to this server, either.
    host.server("other").join();
    throughout("nobody is asked for another network", Duration::from_secs(1), || nas.admitted() == asked);
    // This is no other way to it, and those are.
    ip(&format!("route add {}/32 dev {}", nas.address(), nas.link()));
    throughout("it leads there as before", Duration::from_secs(1), || nas.admitted() == asked);
    let second = nas.our_address().replace(".2/24", ".3");
    let address = format!("addr add {second}/24 dev {}", nas.link());
    let from = format!("route replace {}/32 dev {} src {second}", nas.address(), nas.link());
    for way in [address, from] {
        let before = nas.admitted();
        ip(&way);
        until("it is asked by another way", || nas.admitted() > before);
    }
}

pub fn behind_a_tunnel_it_is_asked_when_the_network_below_changes(host: &MiniHost) {
    host.source("documents").fill(1);
    let nas = host.server("nas").prepared_for("documents");
    let ip = |words: &str| drop(run("ip", &arguments(&words.split(' ').collect::<Vec<_>>())));
    let there = |words: &str| nas.ip(&words.split(' ').collect::<Vec<_>>());
    // The network of the server goes through a tunnel; the cable has another one.
    let (address, ours, cable) = (nas.address(), nas.our_address(), nas.link());
    there(&format!("addr del {address}/24 dev eth0"));
    there("addr add 10.99.0.1/24 dev eth0");
    ip(&format!("addr add 10.99.0.2/24 dev {cable}"));
    there("link add vx0 type vxlan id 7 remote 10.99.0.2 local 10.99.0.1 dstport 4789 dev eth0");
    ip(&format!("link add vx0 type vxlan id 7 remote 10.99.0.1 local 10.99.0.2 dstport 4789 dev {cable}"));
    there(&format!("addr add {address}/24 dev vx0"));
    there("link set vx0 up");
    ip(&format!("addr add {ours} dev vx0"));
    ip("link set vx0 up");
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", "every = \"7d\""));
    let _daemon = host.start();
    host.run_ends("documents", 1, "ok");
    host.ctl(&["scan"]).exits(0);
    let asked = nas.admitted();
    ip("link add host0 type veth peer name inner0");
    ip("link set host0 up");
    ip("link set inner0 up");
    throughout("nobody is asked for a container", Duration::from_millis(1200), || nas.admitted() == asked);
    // The way into the tunnel is as it was; what it goes through is not.
    ip(&format!("addr add 10.99.0.3/24 dev {cable}"));
    until("it is asked through the tunnel", || nas.admitted() > asked);
    let asked = nas.admitted();
    ip(&format!("route add default via 10.99.0.1 dev {cable}"));
    until("it is asked by another gateway", || nas.admitted() > asked);
}

pub fn a_name_that_leads_elsewhere_now_is_asked_there(host: &MiniHost) {
    host.source("documents").fill(1);
    let nas = host.server("nas").prepared_for("documents");
    nas.join();
    let names = host.root.join("hosts");
    let lead_to = |address: &str| std::fs::write(&names, format!("127.0.0.1 localhost\n{address} nas.test\n")).unwrap();
    lead_to("10.77.200.1");
    run("mount", &[&"--bind", &names, &"/etc/hosts"]);
    let address = format!("host = \"{}\"", nas.address());
    let name = format!("host = \"nas.test\"\noptions = [\"HostKeyAlias={}\"]", nas.address());
    let config = host.config().server(&nas).with(&address, &name);
    host.configure(&config.sync("documents", "nas", "hard-link", ""));
    let _daemon = host.start();
    host.stopped_by("documents", "host-unreachable");
    lead_to(&nas.address());
    // Nothing tells of names; but a network that is joined may bring other ones.
    host.server("other").join();
    host.run_ends("documents", 1, "ok");
}
