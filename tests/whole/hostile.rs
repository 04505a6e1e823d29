//! Drives, places and neighbours that are not what they seem.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::Folder;
use crate::common::mini_host::MiniHost;
use crate::common::{AsArgument, attempt, run, text_of, throughout, until};

pub fn the_wrong_drive_with_the_right_label_is_left_alone(host: &MiniHost) {
    host.source("documents").fill(10);
    let usb = host.drive("usb", Btrfs).prepared_for("documents");
    let mut impostor = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let _daemon = host.start();
    impostor.plug();
    host.ctl(&["scan"]).exits(0);
    throughout("nothing is copied", Duration::from_secs(2), || host.history("documents").is_empty());
    assert_eq!(host.obstacles("documents"), ["destination-volume-absent"]);
    assert!(impostor.destination("documents").snapshots().is_empty());
    assert!(!impostor.point().join("documents/.nbkp").exists());
}

pub fn a_place_without_sentinel_is_left_alone(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    usb.plug();
    let places = [
        (usb.point().join(".nbkp-vol"), "destination-sentinel-missing"),
        (usb.point().join("documents/.nbkp-dst"), "destination-sentinel-missing"),
        (source.path.join(".nbkp-src"), "source-sentinel-missing"),
        (host.home().join(".nbkp-vol"), "source-sentinel-missing"),
    ];
    for (sentinel, code) in places {
        std::fs::remove_file(&sentinel).unwrap();
        let daemon = host.start();
        host.ctl(&["run", "documents", "--wait", "--force"]);
        host.stopped_by("documents", code);
        host.ctl(&["why", "documents"]).exits(0).says(sentinel.to_str().unwrap());
        assert!(host.history("documents").iter().all(|run| run["outcome"] == "skipped"));
        assert!(usb.destination("documents").snapshots().is_empty());
        daemon.stop();
        std::fs::write(&sentinel, "").unwrap();
    }
    let _daemon = host.start();
    until("it runs once all is proven", || host.history("documents").iter().any(|run| run["outcome"] == "ok"));
}

pub fn another_id_is_not_the_same_place(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    usb.edit(|root| {
        std::fs::write(root.join("documents/.nbkp-dst"), "id = \"11111111-aaaa-4aaa-8aaa-111111111111\"\n")
    })
    .unwrap();
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"0s\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    usb.unplug();
    usb.edit(|root| {
        std::fs::write(root.join("documents/.nbkp-dst"), "id = \"22222222-bbbb-4bbb-8bbb-222222222222\"\n")
    })
    .unwrap();
    usb.plug();
    host.stopped_by("documents", "sentinel-mismatch");
    // It may have looked while the drive was edited, and gone again; nothing is copied there.
    let copied = || host.history("documents").iter().filter(|run| run["outcome"] == "ok").count();
    assert_eq!((copied(), usb.destination("documents").snapshots().len()), (1, 1));
    host.ctl(&["approve", "documents"]).exits(0);
    until("it is copied there", || copied() == 2);
}

pub fn a_clone_is_refused(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let mut clone = usb.clone_of(&host.root.join("clone.img"));
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "every = \"0s\""));
    let daemon = host.start();
    clone.attach();
    usb.attach();
    host.stopped_by("documents", "duplicate-uuid");
    usb.mount();
    host.ctl(&["run", "documents", "--wait", "--force"]);
    throughout("nothing is copied", Duration::from_secs(1), || {
        host.history("documents").iter().all(|run| run["outcome"] == "skipped")
    });
    let told = host.ctl(&["why", "documents"]).exits(0);
    for device in [usb.device(), clone.device()] {
        assert!(told.said.contains(device.to_str().unwrap()), "both are named: {told}");
    }
    clone.clear_away();
    until("the right one is served", || host.history("documents").iter().any(|run| run["outcome"] == "ok"));
    drop(daemon);
}

pub fn links_on_a_drive_lead_nowhere(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let victim = Folder::at(host.root.join("victim"));
    // Named like snapshots and like files of the source, so that pruning or mirroring would find something to do.
    for year in 2001..2010 {
        victim.write(format!("{year}-01-01T00:00:00.000Z/file"), "precious");
    }
    victim.write("folder-00/file-0", "precious").write("log.jsonl", "").write("lock", "").write(".nbkp-dst", "");
    let before = victim.content();
    let traps: [fn(&Path, &Path); 5] = [
        |root, victim| replace_by_link(&root.join("snapshots"), victim),
        |root, victim| replace_by_link(&root.join("staging"), victim),
        |root, victim| replace_by_link(&root.join(".nbkp"), victim),
        |root, victim| replace_by_link(&root.join("latest"), &victim.join("2001-01-01T00:00:00.000Z")),
        |root, victim| replace_by_link(root, victim),
    ];
    for (kind, filesystem) in [("btrfs", Btrfs), ("hard-link", Ext4)] {
        for trap in &traps {
            let mut usb = host.drive("usb", filesystem).prepared_for("documents");
            usb.edit(|root| trap(&root.join("documents"), &victim.path));
            host.configure(&host.config().drive(&usb).sync("documents", "usb", kind, "keep = { last = 1 }"));
            let daemon = host.start();
            usb.plug();
            host.ctl(&["run", "documents", "--wait", "--force"]);
            host.ctl(&["prune", "documents"]);
            host.ctl(&["snapshots", "documents"]);
            let names = victim.content();
            assert!(names == before, "something was written or deleted outside the drive");
            daemon.stop();
            usb.unplug();
        }
    }
}

fn replace_by_link(place: &Path, target: &Path) {
    if place.symlink_metadata().is_ok() {
        run("rm", &[&"-rf", &"--", &place]);
    }
    symlink(target, place).unwrap();
}

pub fn a_sentinel_that_is_a_pipe_stops_nothing(host: &MiniHost) {
    host.source("documents").fill(10);
    host.source("photos").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    let mut red = host.drive("red", Btrfs).prepared_for("photos");
    usb.edit(|root| {
        std::fs::remove_file(root.join("documents/.nbkp-dst")).unwrap();
        run("mkfifo", &[&root.join("documents/.nbkp-dst")]);
    });
    let config = host.config().drive(&usb).drive(&red).sync("documents", "usb", "btrfs", "");
    host.configure(&config.sync("photos", "red", "btrfs", ""));
    let _daemon = host.start();
    usb.plug();
    red.plug();
    host.run_ends("photos", 1, "ok");
    host.stopped_by("documents", "destination-sentinel-missing");
    assert!(host.history("documents").is_empty());
}

pub fn foreign_entries_among_snapshots_stay(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let foreign = ["lost+found", "2001-01-01", "notes.txt", "-rf", "2001-01-01T00:00:00.000Z.bak"];
    usb.edit(|root| {
        for name in foreign {
            std::fs::create_dir(root.join("documents/snapshots").join(name)).unwrap();
            std::fs::write(root.join("documents/snapshots").join(name).join("file"), "mine").unwrap();
        }
    });
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "keep = { last = 1 }"));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    source.write("new", "file");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let copy = usb.destination("documents");
    copy.snapshot(&copy.latest_name()).is_like(&source);
    for name in foreign {
        assert_eq!(text_of(copy.root.join("snapshots").join(name).join("file")), "mine");
    }
    assert_eq!(copy.snapshots().len(), foreign.len() + 1);
}

pub fn children_see_nothing_of_the_environment(host: &MiniHost) {
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let seen = host.root.join("seen");
    let hooks = format!("hooks = {{ before = [\"sh\", \"-c\", \"env > {}\"] }}", seen.display());
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", &hooks));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let seen = text_of(seen);
    assert!(seen.contains("PATH="), "{seen}");
    for hidden in ["NOTIFY_SOCKET", "WATCHDOG", "LISTEN_FDS", "NBKP_SOCKET", "NBKP_STATE_DIR", "JOURNAL_STREAM"] {
        assert!(!seen.contains(hidden), "a child sees {hidden}: {seen}");
    }
}

pub fn another_user_is_turned_away(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    host.configure(&host.config());
    let _daemon = host.start();
    // Even where the directory would let them in, the daemon asks who they are.
    run("chmod", &[&"755", &"/run/nbkpd"]);
    run("chmod", &[&"666", &"/run/nbkpd/nbkpd.sock"]);
    let stranger = |question: &str| {
        let client = env!("CARGO_BIN_EXE_nbkpctl");
        let identity: [&dyn AsArgument; 5] = [&"--reuid", &"65534", &"--regid", &"65534", &"--clear-groups"];
        let ask: [&dyn AsArgument; 4] = [&client, &"--socket", &"/run/nbkpd/nbkpd.sock", &question];
        attempt("setpriv", &[&identity[..], &ask].concat())
    };
    for question in ["status", "pause", "run"] {
        let answer = stranger(question);
        assert!(!answer.status.success(), "{question:?}");
        assert!(answer.stdout.is_empty(), "{}", String::from_utf8_lossy(&answer.stdout));
    }
    assert_eq!(host.status()["daemon"]["state"], "idle");
}
