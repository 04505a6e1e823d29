//! Copies that are read back: what a medium changed behind everybody's back is found.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::drive::Destination;
use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::Folder;
use crate::common::mini_host::{MiniHost, array};
use crate::common::{run, until};

/// Changes a byte in the middle of a file, and nothing else that anybody sees.
fn flip(file: &Path) {
    let seen = file.metadata().unwrap();
    let mut content = std::fs::read(file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 4;
    let snapshot = file.parent().unwrap();
    let is_subvolume = seen.dev() != snapshot.parent().unwrap().metadata().unwrap().dev();
    let access = |wanted: &str| {
        if is_subvolume {
            run("btrfs", &[&"property", &"set", &"-ts", &snapshot, &"ro", &wanted]);
        }
    };
    access("false");
    std::fs::write(file, content).unwrap();
    let time = format!("@{}.{:09}", seen.mtime(), seen.mtime_nsec());
    run("touch", &[&"-d", &time, &file]);
    access("true");
    assert_eq!(
        (file.metadata().unwrap().mtime_nsec(), file.metadata().unwrap().size()),
        (seen.mtime_nsec(), seen.size())
    );
}

/// Where the newest copy of a sync lies.
fn newest(host: &MiniHost, volume: &str, sync: &str) -> PathBuf {
    let status = host.status();
    let volume = array(&status["volumes"]).iter().find(|found| found["name"] == volume).unwrap();
    let copy = Path::new(volume["path"].as_str().unwrap()).join(sync);
    copy.join("latest").canonicalize().unwrap_or(copy)
}

/// The snapshots of a sync that stand like this.
fn standings(host: &MiniHost, sync: &str, standing: &str) -> Vec<String> {
    let told = host.ctl(&["snapshots", sync, "--json"]).exits(0).json();
    let mut names: Vec<String> = array(&told["snapshots"])
        .iter()
        .filter(|snapshot| snapshot["standing"] == standing)
        .map(|snapshot| snapshot["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// The damaged files of each copy that was read: their paths, and in how many snapshots.
fn damaged(told: &Value) -> Vec<(String, usize)> {
    let files = array(&told["checked"]).iter().flat_map(|copy| array(&copy["damaged"]));
    files.map(|file| (file["path"].as_str().unwrap().to_owned(), array(&file["snapshots"]).len())).collect()
}

pub fn a_flipped_bit_is_found_in_each_kind_of_copy(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(40).write("letter", "a first letter").write("old", "a letter that goes").write("-odd \\name", "odd");
    let plain = host.drive("plain", Ext4).prepared_plainly_for("a");
    let linked = host.drive("linked", Ext4).prepared_for("b");
    let usb = host.drive("usb", Btrfs).prepared_for("c");
    let nas = host.server("nas").prepared_for("d");
    nas.folder("e").write(".nbkp-dst", "");
    nas.join();
    let mut config = host.config().drive(&plain).drive(&linked).drive(&usb).server(&nas);
    let kinds = [
        ("a", "plain", "none"),
        ("b", "linked", "hard-link"),
        ("c", "usb", "btrfs"),
        ("d", "nas", "hard-link"),
        ("e", "nas", "none"),
    ];
    for (sync, volume, kind) in kinds {
        config = config.also(&format!(
            "[syncs.{sync}]\nsource = \"laptop:documents\"\ndestination = \"{volume}:{sync}\"\nsnapshots = \"{kind}\"\n\
             every = \"7d\"\n"
        ));
    }
    let mut drives = [plain, linked, usb];
    for drive in &mut drives {
        drive.plug();
    }
    host.configure(&config);
    let _daemon = host.start();
    host.ctl(&["run", "a", "b", "c", "d", "e", "--wait"]).exits(0);
    source.write("new", "a new letter");
    host.ctl(&["run", "a", "b", "c", "d", "e", "--wait"]).exits(0);
    let whole = host.ctl(&["verify", "--json"]).exits(0).json();
    assert_eq!(array(&whole["checked"]).len(), 5, "{whole}");
    for copy in array(&whole["checked"]) {
        assert_eq!((&copy["files"], &copy["compared_with_source"]), (&44.into(), &44.into()), "{whole}");
    }
    // A change of a person is no damage, in a file that was copied as it was.
    source.write("folder-01/file-1", "changed since, and longer");
    for (sync, volume, kind) in kinds {
        let copy = newest(host, volume, sync);
        let is_snapshot = kind != "none";
        for name in ["letter", "-odd \\name"] {
            flip(&copy.join(name));
        }
        // Hard links are one file: the snapshots before have it, too.
        let snapshots = match (is_snapshot, sync) {
            (false, _) => 0,
            (true, "c") => 1,
            (true, _) => std::fs::read_dir(copy.parent().unwrap()).unwrap().count(),
        };
        let told = host.ctl(&["verify", sync, "--json"]).exits(1).json();
        let expected = vec![("-odd \\name".to_owned(), snapshots), ("letter".to_owned(), snapshots)];
        assert_eq!(damaged(&told), expected, "{sync}: {told}");
        assert_eq!(told["checked"][0]["compared_with_source"], 43, "{sync}: {told}");
    }
    let told = host.ctl(&["verify", "b", "e"]).exits(1);
    assert!(told.said.contains("letter: its content is another one, though size and time are the same"), "{told}");
    host.ctl(&["status", "--check"]).exits(1).says("e: damaged");
    // Who can compare with nothing has proven nothing: what was damaged stays so.
    let (sentinel, away) = (source.path.join(".nbkp-src"), source.path.join("away"));
    std::fs::rename(&sentinel, &away).unwrap();
    for sync in ["a", "b"] {
        host.ctl(&["verify", sync]).says("compared with nothing");
        assert_eq!(host.sync(sync)["damaged"], 2, "{sync}");
    }
    std::fs::rename(&away, &sentinel).unwrap();
    // A restore takes the snapshot that is sound, and says so where each copy of a file holds damaged ones.
    let (letter, new, out) = (source.path.join("letter"), source.path.join("new"), host.root.join("out"));
    host.ctl(&["restore", letter.to_str().unwrap(), "--to", out.to_str().unwrap()]).exits(0);
    assert_eq!(std::fs::read_to_string(out.join("letter")).unwrap(), "a first letter");
    host.ctl(&["restore", new.to_str().unwrap(), "--to", out.to_str().unwrap()]).exits(0).says("is in doubt");
    for (sync, volume, kind) in kinds {
        is_mended_by_the_next_run(host, (sync, volume, kind));
    }
}

/// The next run writes two damaged files anew, and what it has is good; the older ones stay what they are, and count as
/// nothing better.
fn is_mended_by_the_next_run(host: &MiniHost, (sync, volume, kind): (&str, &str, &str)) {
    assert_eq!(host.sync(sync)["damaged"], 2, "{sync}");
    let held = if kind == "none" { Vec::new() } else { standings(host, sync, "suspect") };
    host.ctl(&["run", sync, "--wait"]).exits(0);
    let copy = newest(host, volume, sync);
    assert_eq!(std::fs::read(copy.join("letter")).unwrap(), b"a first letter", "{sync}");
    assert_eq!(std::fs::read(copy.join("-odd \\name")).unwrap(), b"odd", "{sync}");
    assert_eq!(host.sync(sync)["damaged"], 0, "{sync}");
    // What was flipped in a snapshot of btrfs is not what the next one is made of.
    let last = &host.history(sync)[0];
    let is_told = last["warnings"].to_string().contains("written anew: 2 damaged files, among them");
    assert_eq!(is_told, kind != "btrfs", "{sync}: {last}");
    host.ctl(&["verify", sync]).exits(0).says("nothing is damaged");
    if kind != "none" {
        assert!(!held.is_empty() && standings(host, sync, "suspect") == held, "{sync}");
        assert_eq!(standings(host, sync, "good").last().map(String::as_str), copy.file_name().unwrap().to_str());
    }
}

/// The checks of a sync that history tells of, the newest first: how each ended, and how many files it found damaged.
fn checks(host: &MiniHost, sync: &str) -> Vec<(String, u64)> {
    let runs = host.history(sync).into_iter().filter(|run| run["kind"] == "verify");
    runs.map(|run| (run["outcome"].as_str().unwrap().to_owned(), run["damaged"].as_u64().unwrap())).collect()
}

pub fn copies_are_read_back_by_themselves_when_nothing_is_to_be_copied(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(40).write("letter", "a first letter");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let rule = "every = \"7d\"\nverify = { every = \"2s\" }";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", rule));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    until("the copy was read back", || checks(host, "documents").first() == Some(&("ok".to_owned(), 0)));
    assert!(host.sync("documents")["last_verified"].is_string());
    host.ctl(&["history"]).exits(0).says("verified");
    // The round goes on where it was when its daemon ended.
    flip(&newest(host, "usb", "documents").join("letter"));
    daemon.stop();
    let _daemon = host.start();
    until("damage is found", || host.sync("documents")["damaged"] == 1);
    until("history tells of it", || checks(host, "documents").first() == Some(&("failed".to_owned(), 1)));
    host.ctl(&["history"]).exits(0).says("damaged");
    host.ctl(&["status", "--check"]).exits(1).says("documents: damaged");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert_eq!(std::fs::read(newest(host, "usb", "documents").join("letter")).unwrap(), b"a first letter");
    // What a person asks for is in history, too.
    host.ctl(&["pause"]).exits(0);
    let before = checks(host, "documents").len();
    host.ctl(&["verify", "documents"]).exits(0);
    assert_eq!(checks(host, "documents").len(), before + 1);
    assert_eq!(host.history("documents")[0]["trigger"], "request");
    // Nothing reads from a drive that is let go, and no round begins.
    host.ctl(&["resume"]).exits(0);
    let rounds = checks(host, "documents").len();
    until("rounds go on", || checks(host, "documents").len() > rounds);
    let point = usb.point().canonicalize().unwrap();
    host.ctl(&["hold", "usb"]).exits(0);
    let rounds = checks(host, "documents").len();
    for _ in 0..30 {
        assert!(host.status()["checking"].is_null());
        assert_eq!(open_below(&point), Vec::<PathBuf>::new());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(checks(host, "documents").len(), rounds);
    host.ctl(&["release", "usb"]).exits(0);
    until("rounds go on behind it", || checks(host, "documents").len() > rounds);
    usb.unplug();
}

/// What processes of this machine have open below a directory.
fn open_below(directory: &Path) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let opened = processes.flat_map(|process| std::fs::read_dir(process.path().join("fd")).into_iter().flatten());
    let paths = opened.flatten().filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    paths.filter(|path| path.starts_with(directory)).collect()
}

pub fn what_the_medium_does_not_give_back_is_damaged(host: &MiniHost) {
    let source = host.source("documents");
    let page = |text: &str| text.repeat(2000);
    source.write("rotten", page("this lies on rotten ground ")).write("firm", page("this does not, and stays "));
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "every = \"7d\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    host.ctl(&["verify"]).exits(0).says("nothing is damaged");
    usb.unplug();
    // One bit on the medium: the filesystem itself sees that.
    usb.rot(b"this lies on rotten ground");
    usb.plug();
    until("the drive is there", || host.sync("documents")["state"] == "idle");
    let told = host.ctl(&["verify", "--json"]).exits(1).json();
    assert_eq!(damaged(&told), [("rotten".to_owned(), 1)], "{told}");
    let reason = told["checked"][0]["damaged"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("it cannot be read back: Input/output error"), "{told}");
    // The next one would share it, and does not.
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert_eq!(
        std::fs::read(newest(host, "usb", "documents").join("rotten")).unwrap(),
        page("this lies on rotten ground ").as_bytes()
    );
    host.ctl(&["verify"]).exits(0).says("nothing is damaged");
}

pub fn copies_are_compared_with_each_other_where_the_source_is_gone(host: &MiniHost) {
    let source = host.source("documents");
    source.write("letter", "a letter that stays").write("other", "x");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let more = "every = \"7d\"\nrsync = { checksum = false }";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", more));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copies = usb.destination("documents");
    // Three files of the same size and time, which share nothing.
    for other in ["y", "zz"] {
        source.write("other", other);
        host.ctl(&["run", "documents", "--wait"]).exits(0);
        let copy = copies.latest().path.join("letter");
        let apart = copy.with_extension("apart");
        run("cp", &[&"-p", &copy, &apart]);
        std::fs::rename(apart, copy).unwrap();
    }
    source.remove("letter");
    host.ctl(&["verify"]).exits(0).says("1 with other copies");
    let names = copies.snapshots();
    flip(&copies.snapshot(&names[1]).path.join("letter"));
    let told = host.ctl(&["verify", "--json"]).exits(1).json();
    let damaged = &told["checked"][0]["damaged"][0];
    assert_eq!((&damaged["path"], &damaged["snapshots"]), (&"letter".into(), &serde_json::json!([names[1]])), "{told}");
    // Only an older one holds it: nothing has to be written anew, and it is held against no other.
    assert_eq!(
        (&host.sync("documents")["damaged"], standings(host, "documents", "suspect")),
        (&0.into(), vec![names[1].clone()])
    );
    let told = host.ctl(&["verify", "--snapshot", &names[2]]).exits(0);
    assert!(told.said.contains("damaged files are known there"), "{told}");
    host.ctl(&["verify", "--snapshot", &names[1]]).exits(1).says("letter: its content is another one");
    host.ctl(&["verify", "--snapshot", "2001-01-01T00:00:00.000Z"]).exits(1).says("has no snapshot");
    // The source that is out of step with copies that agree is what is in doubt.
    source.write("letter", "a letter that rots!");
    run("touch", &[&"-r", &copies.latest().path.join("letter"), &source.path.join("letter")]);
    host.ctl(&["verify"]).exits(1).says("perhaps it is the source that is damaged");
    a_source_in_doubt_stays_so_until_somebody_has_decided(host, &source, &copies);
}

/// One copy is enough against it then, and what the program says to do is the end of it.
fn a_source_in_doubt_stays_so_until_somebody_has_decided(host: &MiniHost, source: &Folder, copies: &Destination) {
    let letter = source.path.join("letter");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert_eq!((&host.sync("documents")["doubted"], &host.sync("documents")["damaged"]), (&1.into(), &0.into()));
    host.ctl(&["status", "--check"]).exits(1).says("documents: in doubt");
    host.ctl(&["status"]).says("1 file of its source in doubt").says("restore FILE --to DIR");
    host.ctl(&["doctor"]).exits(1).says("files of its source are not what its copies hold");
    let apart = host.root.join("apart");
    host.ctl(&["restore", letter.to_str().unwrap(), "--to", apart.to_str().unwrap()]).exits(0);
    let letters = std::fs::read_to_string(apart.join("letter")).unwrap();
    assert_eq!(letters, "a letter that stays", "the copies are what they were");
    run("cp", &[&"-p", &apart.join("letter"), &letter]);
    host.ctl(&["verify"]).exits(0).says("nothing is damaged");
    assert_eq!(host.sync("documents")["doubted"], 0);
    host.ctl(&["status", "--check"]).exits(0);
    // Or the source is right.
    source.write("letter", "a letter that was!!");
    run("touch", &[&"-r", &apart.join("letter"), &letter]);
    host.ctl(&["verify"]).exits(1);
    assert_eq!(host.sync("documents")["doubted"], 1);
    // Older copies go, and the last one is not called damaged for that.
    let mut older = copies.snapshots();
    older.pop();
    for name in older {
        std::fs::remove_dir_all(copies.snapshot(&name).path).unwrap();
    }
    host.ctl(&["verify"]).exits(1);
    assert_eq!((&host.sync("documents")["doubted"], &host.sync("documents")["damaged"]), (&1.into(), &0.into()));
    run("touch", &[&letter]);
    host.ctl(&["verify"]).exits(0).says("nothing is damaged");
    assert_eq!(host.sync("documents")["doubted"], 0);
}
