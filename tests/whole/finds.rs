//! Looking for names in copies, as a person does who lost something and does not know when.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::mini_host::{MiniHost, array};
use crate::common::{run, until};

/// The names that were found, and the snapshot of each.
fn found(host: &MiniHost, arguments: &[&str], code: i32) -> Vec<(String, Value)> {
    let told = host.ctl(&[&["find"], arguments, &["--json"]].concat()).exits(code).json();
    assert_eq!(array(&told["found"]).len(), usize::try_from(told["count"].as_u64().unwrap()).unwrap(), "{told}");
    assert_eq!(told["remarks"], Value::Array(vec![]), "{told}");
    let mut found: Vec<_> = array(&told["found"])
        .iter()
        .map(|entry| (entry["name"].as_str().unwrap().to_owned(), entry["snapshot"].clone()))
        .collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

pub fn names_in_copies_of_each_kind_and_what_was_deleted(host: &MiniHost) {
    let (mut plain, mut linked) = (host.drive("plain", Ext4), host.drive("linked", Ext4));
    let mut usb = host.drive("usb", Btrfs);
    plain = plain.prepared_plainly_for("a");
    (linked, usb) = (linked.prepared_for("b"), usb.prepared_for("c"));
    let nas = host.server("nas").prepared_for("d");
    nas.join();
    for drive in [&mut plain, &mut linked, &mut usb] {
        drive.plug();
    }
    let kinds =
        [("a", "plain", "none"), ("b", "linked", "hard-link"), ("c", "usb", "btrfs"), ("d", "nas", "hard-link")];
    for (sync, volume, kind) in kinds {
        let source = host.source("documents");
        run("find", &[&source.path, &"-mindepth", &"1", &"!", &"-name", &".nbkp*", &"-delete"]);
        source.fill(30).write("letter.odt", "first").write("deep/down/letter 2.odt", "a letter");
        source.write(OsStr::from_bytes(b"deep/odd \n name.odt"), "odd").write("deep/-rf.odt", "odd, too");
        source.write(OsStr::from_bytes(b"deep/\xff.odt"), "no text").write("deep/x[1].odt", "brackets");
        symlink("/etc", source.path.join("deep/way out.odt")).unwrap();
        let syncs = format!(
            "[syncs.{sync}]\nsource = \"laptop:documents\"\ndestination = \"{volume}:{sync}\"\nsnapshots = \"{kind}\"\n\
             every = \"7d\"\n"
        );
        host.configure(&host.config().drive(&plain).drive(&linked).drive(&usb).server(&nas).also(&syncs));
        let daemon = host.start();
        host.ctl(&["run", sync, "--wait"]).exits(0);
        let at = |name: &str| source.path.join(name).to_str().unwrap().to_owned();
        let names = |found: Vec<(String, Value)>| found.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let mut all =
            ["deep/-rf.odt", "deep/down/letter 2.odt", "deep/odd \n name.odt", "deep/way out.odt"].map(at).to_vec();
        all.extend(["deep/x[1].odt", "deep/\u{fffd}.odt", "letter.odt"].map(at));
        assert_eq!(names(found(host, &["*.odt"], 0)), all, "{sync}");
        for (pattern, expected) in [
            ("letter*", vec!["deep/down/letter 2.odt", "letter.odt"]),
            (
                "deep/*.odt",
                vec!["deep/-rf.odt", "deep/odd \n name.odt", "deep/way out.odt", "deep/x[1].odt", "deep/\u{fffd}.odt"],
            ),
            ("**letter ?.odt", vec!["deep/down/letter 2.odt"]),
            (r"x\[[0-9]*", vec!["deep/x[1].odt"]),
            ("LETTER*", vec![]),
            (".nbkp*", vec![]),
            ("latest", vec![]),
        ] {
            let code = i32::from(expected.is_empty());
            let expected: Vec<_> = expected.into_iter().map(at).collect();
            assert_eq!(names(found(host, &[pattern], code)), expected, "{sync} {pattern}");
        }
        found(host, &["*.odt", "--deleted"], 1);
        // What goes is still found, in the copy from before.
        source.remove("letter.odt");
        std::fs::remove_file(source.path.join(OsStr::from_bytes(b"deep/odd \n name.odt"))).unwrap();
        let gone = vec![at("deep/odd \n name.odt"), at("letter.odt")];
        assert_eq!(names(found(host, &["*.odt", "--deleted"], 0)), gone, "{sync}");
        host.ctl(&["run", sync, "--wait"]).exits(0);
        if kind == "none" {
            found(host, &["letter.odt"], 1);
        } else {
            let listed = host.ctl(&["snapshots", sync, "--json"]).exits(0).json();
            let mut made: Vec<_> = array(&listed["snapshots"]).iter().map(|entry| entry["name"].clone()).collect();
            made.sort_by_key(|name| name.as_str().unwrap().to_owned());
            // One may have been made before anybody asked for it.
            let (new, old) = (made.pop().unwrap(), made.pop().unwrap());
            let told = found(host, &["*.odt"], 0);
            assert_eq!(told.len(), all.len(), "{sync}");
            for (name, snapshot) in told {
                assert_eq!(snapshot, if gone.contains(&name) { old.clone() } else { new.clone() }, "{sync} {name}");
            }
            let told = host.ctl(&["find", "*.odt", "--deleted", "--sync", sync, "--json"]).exits(0).json();
            assert_eq!(array(&told["found"]).len(), 2, "{told}");
            assert!(array(&told["found"]).iter().all(|entry| entry["gone"] == new && entry["made"] == old), "{told}");
            let said = host.ctl(&["find", "letter.odt", "--deleted"]).exits(0).said;
            assert!(said.contains("deleted before") && said.contains(&at("letter.odt")), "{said}");
        }
        drop(daemon);
    }
}

pub fn what_the_bare_find_finds_and_says_what_is_out_of_reach(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(500).write("letter", "first");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let nas = host.server("nas").prepared_for("away");
    nas.join();
    let away = "[syncs.away]\nsource = \"laptop:documents\"\ndestination = \"nas:away\"\nevery = \"7d\"\n";
    let documents = host.config().drive(&usb).server(&nas).also(away);
    host.configure(&documents.sync("documents", "usb", "hard-link", "every = \"7d\""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    host.ctl(&["run", "away", "--wait"]).exits(0);
    let bare = run("find", &[&source.path, &"-name", &"file-*3"]);
    let bare: BTreeSet<&str> = bare.lines().collect();
    let ours = found(host, &["file-*3"], 0);
    assert!(bare.len() >= 50 && ours.len() == bare.len(), "{} and {}", bare.len(), ours.len());
    assert_eq!(ours.iter().map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>(), bare);
    nas.leave();
    let told = host.ctl(&["find", "letter", "--json"]).exits(0).json();
    assert_eq!((&told["unreached"][0]["sync"], &told["count"]), (&"away".into(), &1.into()), "{told}");
    assert!(told["unreached"][0]["last_success"].is_string(), "{told}");
    // A source that is not what it was tells nothing of what it has lost.
    std::fs::rename(source.path.join(".nbkp-src"), host.root.join("sentinel")).unwrap();
    host.ctl(&["scan"]).exits(0);
    let told = host.ctl(&["find", "letter", "--deleted", "--json"]).exits(1).json();
    let why = told["unreached"].to_string();
    assert!(why.contains("what its source laptop:documents still has cannot be told"), "{told}");
    usb.yank();
    until("the drive is gone", || host.obstacles("documents").iter().any(|code| code == "destination-volume-absent"));
    let none = host.ctl(&["find", "letter"]).exits(1);
    assert!(format!("{none}").contains("documents: out of reach (last copied"), "{none}");
    drop(daemon);
    for (arguments, words) in [(&["find", "/"][..], "no pattern"), (&["find", "x", "--sync", "docs"], "docs")] {
        let answer = host.ctl(arguments);
        assert!(answer.code != Some(0) && format!("{answer}").contains(words), "{answer}");
    }
}

pub fn an_ordinary_user_finds_what_they_may_read(host: &MiniHost) {
    let host = host.used_by(1717);
    let source = host.source("documents");
    source.write("mine/letter", "x").write("hidden/letter", "y");
    run("chown", &[&"-R", &"1717:1717", &source.path]);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "every = \"7d\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let hidden = usb.destination("documents").latest().path.join("hidden");
    run("chown", &[&"root", &hidden]);
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o700)).unwrap();
    let told = host.ctl(&["find", "letter", "--json"]).exits(0).json();
    let names = told["found"].to_string();
    assert!(names.contains("mine/letter") && !names.contains("hidden/letter"), "{told}");
    assert!(told["remarks"].to_string().contains("/hidden"), "{told}");
}

pub fn what_cannot_be_looked_into_is_not_told_to_be_gone(host: &MiniHost) {
    let nas = host.server("nas");
    nas.admits_as(65534);
    let host = host.used_by(65534);
    let (here, there) = (host.source("documents"), nas.folder("photos"));
    there.write(".nbkp-src", "");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents").prepared_for("photos");
    let photos = "[syncs.photos]\nsource = \"nas:photos\"\ndestination = \"usb:photos\"\nsnapshots = \"hard-link\"\n";
    let config = host.config().server(&nas).drive(&usb).sync("documents", "usb", "hard-link", "").also(photos);
    for source in [&here, &there] {
        source.write("shut/letter", "x").write("shut/deep/letter", "x").write("open/letter", "x").write("letter", "x");
        run("chown", &[&"-R", &"65534:65534", &source.path]);
    }
    host.configure(&config);
    let _daemon = host.start();
    nas.join();
    usb.plug();
    for (sync, source, shown) in [("documents", &here, ""), ("photos", &there, "10.")] {
        host.run_ends(sync, 1, "ok");
        // Two copies that have the same names.
        host.ctl(&["run", sync, "--wait"]).exits(0);
        source.remove("open/letter");
        let shut = source.path.join("shut");
        for mode in [0o000, 0o600] {
            std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(mode)).unwrap();
            let told = host.ctl(&["find", "letter", "--deleted", "--sync", sync, "--json"]).exits(0).json();
            let gone = array(&told["found"]);
            assert!(gone.len() == 1 && gone[0]["name"].as_str().unwrap().ends_with("open/letter"), "{sync}: {told}");
            assert_eq!(told["unsure"], 2, "{sync}: {told}");
            let remarks = array(&told["remarks"]);
            let words = format!("{} could not be looked into", shut.display());
            assert!(remarks.len() == 1 && remarks[0].as_str().unwrap().contains(&words), "{sync}: {told}");
            assert!(remarks[0].as_str().unwrap().starts_with(shown), "{sync}: {told}");
        }
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::remove_dir_all(shut.join("deep")).unwrap();
        assert_eq!(found(&host, &["letter", "--deleted", "--sync", sync], 0).len(), 2, "{sync}");
    }
}

pub fn two_snapshots_are_compared_here_and_at_a_server(host: &MiniHost) {
    let mut usb = host.drive("usb", Btrfs).prepared_for("a");
    let nas = host.server("nas").prepared_for("b");
    nas.join();
    usb.plug();
    for (sync, volume, kind) in [("a", "usb", "btrfs"), ("b", "nas", "hard-link")] {
        let source = host.source("documents");
        run("find", &[&source.path, &"-mindepth", &"1", &"!", &"-name", &".nbkp*", &"-delete"]);
        source.write("letter", "first").write("old/gone", "x").write("same", "s").write("mode", "m");
        let lines = format!(
            "[syncs.{sync}]\nsource = \"laptop:documents\"\ndestination = \"{volume}:{sync}\"\nsnapshots = \"{kind}\"\n\
             every = \"7d\"\n"
        );
        host.configure(&host.config().drive(&usb).server(&nas).also(&lines));
        let daemon = host.start();
        host.ctl(&["run", sync, "--wait"]).exits(0);
        source.write("letter", "second one").write("new \n name", "1234").remove("old/gone");
        std::fs::set_permissions(source.path.join("mode"), std::fs::Permissions::from_mode(0o600)).unwrap();
        host.ctl(&["run", sync, "--wait"]).exits(0);
        let listed = host.ctl(&["snapshots", sync, "--json"]).exits(0).json();
        let mut made: Vec<_> =
            array(&listed["snapshots"]).iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
        made.sort();
        // One may have been made before anybody asked for it.
        let made = made.split_off(made.len() - 2);
        let told = host.ctl(&["diff", sync, "--between", &made[0], "now", "--json"]).exits(0).json();
        let sums = &told["syncs"][0];
        assert_eq!(sums["between"], serde_json::json!(made), "{told}");
        assert_eq!((&sums["created"], &sums["deleted"], &sums["changed"]), (&1.into(), &1.into(), &1.into()), "{told}");
        assert_eq!(sums["bytes"], 14, "{told}");
        let changes: BTreeSet<String> =
            array(&told["lines"]).iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect();
        for expected in
            ["*deleting   old/gone", ">f+++++++++ new \\#012 name", ">f.st...... letter", ".f...p..... mode"]
        {
            assert!(changes.contains(expected), "{sync} {expected}: {changes:?}");
        }
        assert!(!changes.iter().any(|change| change.ends_with("same")), "{changes:?}");
        // The other way round what went comes.
        let back = host.ctl(&["diff", sync, "--between", &made[1], &made[0]]).exits(0).said;
        assert!(back.contains("new        old/gone") && back.contains("deleted    new"), "{back}");
        for (moments, code, words) in [
            ([made[1].as_str(), "now"], 1, "both are the snapshot"),
            (["2001-01-01", "now"], 1, "has no snapshot that is as old as"),
            (["soon", "now"], 2, "is no moment"),
        ] {
            let answer = host.ctl(&["diff", sync, "--between", moments[0], moments[1]]).exits(code);
            assert!(format!("{answer}").contains(words), "{answer}");
        }
        drop(daemon);
    }
}
