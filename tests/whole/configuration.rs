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

pub fn half_of_it_harms_nothing(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(10);
    host.source("photos").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents").prepared_for("photos");
    let config = host.config().drive(&usb).sync("documents", "usb", "btrfs", "keep = { last = 3 }");
    let good = config.sync("photos", "usb", "btrfs", "keep = { last = 3 }");
    host.configure(&good);
    let daemon = host.start();
    usb.plug();
    for name in ["documents", "photos"] {
        host.run_ends(name, 1, "ok");
    }
    let (copy, photos) = (usb.destination("documents"), usb.destination("photos"));
    let (before, photos_before) = (copy.latest().content(), photos.latest().content());
    let text = good.text().as_bytes();
    for end in (0..text.len()).step_by(text.len() / 40) {
        // As an editor writes it that is killed: in the same file.
        std::fs::write(host.config_file(), &text[..end]).unwrap();
        daemon.signal(Signal::HUP);
        host.ctl(&["status"]).exits(0);
    }
    host.configure(&good);
    until("the whole file is in force", || {
        let status = host.status();
        status["daemon"]["config_error"].is_null() && status["syncs"].as_array().unwrap().len() == 2
    });
    source.write("new", "1");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    copy.latest().is_like(&source);
    copy.snapshot(&copy.snapshots()[0]).holds(&before);
    photos.latest().holds(&photos_before);
    daemon.stop();
}

pub fn what_would_do_harm_is_refused_and_never_run(host: &MiniHost) {
    host.source("documents").fill(3);
    let mark = host.root.join("pwned");
    let mark_shown = mark.display();
    let good = host.config().also("[volumes.other]\npath = \"/srv\"").sync("documents", "other", "hard-link", "");
    let server =
        |lines: &str| format!("[ssh-endpoints.e]\nhost = \"nas\"\n{lines}\n[volumes.nas]\nssh = [\"e\"]\npath = \"x\"");
    let host_of = |name: &str| server("").replace("\"nas\"\n", &format!("\"{name}\"\n"));
    host.configure(&good.clone().also(&server("user = \"me\"")));
    host.ctl(&["config", "check"]).exits(0);
    let options = |options: &str| format!("[defaults]\nrsync = {{ extra-options = [\"{options}\"] }}");
    for harm in [
        host_of(&format!("-oProxyCommand=touch {mark_shown}")),
        host_of(&format!("$(touch {mark_shown})")),
        host_of(&format!("nas; touch {mark_shown}")),
        server(&format!("user = \"-oProxyCommand=touch {mark_shown}\"")),
        server(&format!("user = \"`touch {mark_shown}`\"")),
        server(&format!("options = [\"ProxyCommand=touch {mark_shown}\"]")),
        server(&format!("options = [\"LocalCommand=touch {mark_shown}\", \"PermitLocalCommand=yes\"]")),
        options(&format!("--rsh=touch {mark_shown}")),
        options(&format!("-etouch {mark_shown}")),
        options(&format!("--rsync-path=touch {mark_shown};rsync")),
        options("--inplace"),
        options("--append"),
        options("--write-devices"),
        options("--link-dest=/etc"),
    ] {
        host.configure(&good.clone().also(&harm));
        host.ctl(&["config", "check"]).exits(2).says("config.toml:");
        host.ctl(&["run", "documents", "--wait"]).exits(2);
        let daemon = host.launch("nbkpd", &Wrapping::Plain);
        assert_eq!(daemon.ends().code(), Some(2), "{harm}");
        assert!(!mark.exists(), "{harm}");
    }
}

pub fn copies_of_another_kind_are_left_alone(host: &MiniHost) {
    host.source("documents").fill(3);
    let shelf = host.root.join("shelf");
    std::fs::create_dir_all(shelf.join("documents")).unwrap();
    for sentinel in [".nbkp-vol", "documents/.nbkp-dst"] {
        std::fs::write(shelf.join(sentinel), "").unwrap();
    }
    let nas = host.server("nas").prepared_for("documents");
    let here = format!("[volumes.shelf]\npath = \"{}\"", shelf.display());
    let places = [("shelf", shelf.join("documents")), ("nas", nas.destination("documents").root)];
    let configure = |volume, kind| {
        host.configure(&host.config().server(&nas).also(&here).sync("documents", volume, kind, "every = \"100d\""));
    };
    nas.join();
    for (volume, place) in places {
        let runs = || host.ctl(&["run", "documents", "--wait", "--strict"]);
        configure(volume, "hard-link");
        runs().exits(0);
        configure(volume, "none");
        runs().exits(4).says("holds snapshots").says("move `snapshots` and `latest` away");
        host.ctl(&["prepare", "documents"]).exits(1).says("holds snapshots");
        assert!(!place.join("file-0").exists() && place.join("latest/").is_dir());
        for name in ["snapshots", "latest"] {
            std::fs::rename(place.join(name), host.root.join(format!("{volume}-{name}"))).unwrap();
        }
        runs().exits(0);
        configure(volume, "hard-link");
        {
            let _daemon = host.start();
            host.stopped_by("documents", "layout-mismatch");
            host.ctl(&["doctor"]).exits(1).says("holds a copy without history");
        }
        runs().exits(4).says("move these files away");
        for entry in std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()) {
            if !entry.to_string_lossy().starts_with(".nbkp") {
                std::fs::rename(place.join(&entry), host.root.join(format!("{volume}-{}", entry.display()))).unwrap();
            }
        }
        runs().exits(0);
        assert!(place.join("latest/").is_dir());
    }
}
