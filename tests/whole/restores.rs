//! Getting files back, as a person does who lost them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::{Content, Folder};
use crate::common::mini_host::{MiniHost, array};
use crate::common::{run, until};
use crate::scenarios::faults::rsyncs;

/// A home with all that a person may have, and what stands in it.
fn everyday(host: &MiniHost) -> Folder {
    let source = host.source("documents");
    source.fill(30).write("letter", "first").write("deep/down/note", "a note");
    source.write(OsStr::from_bytes(b"deep/\xff not utf-8\n"), "odd").write("deep/-rf", "odd, too");
    symlink("/etc/passwd", source.path.join("deep/outside")).unwrap();
    run("mkfifo", &[&source.path.join("deep/pipe")]);
    std::fs::hard_link(source.path.join("letter"), source.path.join("deep/same letter")).unwrap();
    std::fs::set_permissions(source.path.join("deep/-rf"), std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(source.path.join("deep/down"), std::fs::Permissions::from_mode(0o2750)).unwrap();
    let sparse = std::fs::File::create(source.path.join("deep/sparse")).unwrap();
    sparse.set_len(8 << 20).unwrap();
    source
}

/// When files were changed, and whose they are: what is compared beside content.
fn stamps(folder: &Folder) -> Vec<(std::ffi::OsString, i64, i64, u32, u32)> {
    let stamp = |name: std::ffi::OsString| {
        let seen = folder.path.join(Path::new(&name)).symlink_metadata().unwrap();
        (name, seen.mtime(), seen.mtime_nsec(), seen.uid(), seen.gid())
    };
    folder.content().into_keys().map(stamp).collect()
}

fn sizes(host: &MiniHost, path: &Path) -> Vec<u64> {
    let told = host.ctl(&["versions", path.to_str().unwrap(), "--json"]).exits(0).json();
    array(&told["versions"]).iter().map(|version| version["size"].as_u64().unwrap()).collect()
}

pub fn each_kind_of_copy_gives_back_what_was_there(host: &MiniHost) {
    let source = everyday(host);
    let (mut plain, mut linked) = (host.drive("plain", Ext4), host.drive("linked", Ext4));
    let mut usb = host.drive("usb", Btrfs);
    plain = plain.prepared_plainly_for("a");
    (linked, usb) = (linked.prepared_for("b"), usb.prepared_for("c"));
    let nas = host.server("nas").prepared_for("d");
    nas.join();
    let kinds =
        [("a", "plain", "none"), ("b", "linked", "hard-link"), ("c", "usb", "btrfs"), ("d", "nas", "hard-link")];
    for drive in [&mut plain, &mut linked, &mut usb] {
        drive.plug();
    }
    for (sync, volume, kind) in kinds {
        let syncs = format!(
            "[syncs.{sync}]\nsource = \"laptop:documents\"\ndestination = \"{volume}:{sync}\"\nsnapshots = \"{kind}\"\n\
             rsync = {{ hard-links = true }}\nevery = \"7d\"\n"
        );
        let config = host.config().drive(&plain).drive(&linked).drive(&usb).server(&nas).also(&syncs);
        source.write("letter", "first");
        host.configure(&config);
        let daemon = host.start();
        host.ctl(&["run", sync, "--wait"]).exits(0);
        source.write("letter", "second one");
        host.ctl(&["run", sync, "--wait"]).exits(0);
        let (wanted, stamped) = (source.content(), stamps(&source));
        let versions = sizes(host, &source.path.join("letter"));
        assert_eq!(versions, if kind == "none" { vec![10] } else { vec![10, 5] }, "{sync}");
        // All is gone, and one thing is back already.
        std::fs::remove_dir_all(source.path.join("deep")).unwrap();
        source.remove("letter").remove("folder-03/file-3");
        let deep = source.path.join("deep").into_os_string().into_string().unwrap();
        let letter = source.path.join("letter").into_os_string().into_string().unwrap();
        let told = host.ctl(&["restore", &deep, &letter, "laptop:documents/folder-03", "--json"]).exits(0).json();
        assert_eq!(told["restored"].as_array().unwrap().len(), 3, "{told}");
        source.holds(&wanted);
        // The directory itself is newer: something was deleted from it.
        assert_eq!(stamps(&source), stamped, "{sync}");
        let all = host.root.join(format!("all-{sync}"));
        host.ctl(&["restore", "laptop:documents", "--to", all.to_str().unwrap()]).exits(0);
        Folder::at(&all).holds(&wanted);
        assert_eq!(stamps(&Folder::at(&all)), stamped, "{sync}");
        drop(daemon);
    }
}

pub fn the_version_of_a_time_comes_back_beside_the_one_that_is_there(host: &MiniHost) {
    let source = host.source("documents");
    source.write("letter", "first").write("other", "x");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "every = \"7d\""));
    let _daemon = host.start();
    usb.plug();
    let first = host.run_ends("documents", 1, "ok")["snapshot"].as_str().unwrap().to_owned();
    source.write("letter", "second one");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    source.write("letter", "the third, of today");
    let letter = source.path.join("letter").into_os_string().into_string().unwrap();
    // Nothing is overwritten, and that is no success.
    let kept = host.ctl(&["restore", &letter, "--at", &first, "--json"]).exits(1).json();
    assert_eq!(
        (&kept["restored"][0]["kept"][0], &kept["restored"][0]["files"]),
        (&"letter".into(), &0.into()),
        "{kept}"
    );
    assert_eq!(std::fs::read(&letter).unwrap(), b"the third, of today");
    let told = host.ctl(&["restore", &letter, "--at", &first, "--force", "--dry-run"]).exits(0);
    assert!(told.said.contains("would be restored") && told.said.contains(">f"), "{told}");
    assert_eq!(std::fs::read(&letter).unwrap(), b"the third, of today");
    let to = host.root.join("new/place");
    host.ctl(&["restore", &letter, "--at", &first, "--to", to.to_str().unwrap()]).exits(0);
    assert_eq!(std::fs::read(to.join("letter")).unwrap(), b"first");
    host.ctl(&["restore", &letter, "--force"]).exits(0);
    assert_eq!(std::fs::read(&letter).unwrap(), b"second one");
    // What a broken restore left is gone on with, and passes for nothing.
    source.write_big("film", 4, 7);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let whole = std::fs::read(source.path.join("film")).unwrap();
    let part = Folder::at(to.join(".rsync-partial"));
    part.write("film", &whole[..1 << 20]);
    host.ctl(&["restore", "laptop:documents/film", "--to", to.to_str().unwrap()]).exits(0);
    assert!(std::fs::read(to.join("film")).unwrap() == whole && !part.path.exists());
    // What was never there, and when.
    for (arguments, code, words) in [
        (["restore", &letter, "--at", "2001-01-01"], 1, "the oldest copy that has it is of"),
        (["restore", &letter, "--at", "soon"], 2, "is no moment"),
        (["restore", "/etc/passwd", "--to", "/tmp/x"], 1, "lies in no source"),
        (["restore", &letter, "--to", usb.point().join("documents/x").to_str().unwrap()], 1, "lies in a backup"),
    ] {
        let answer = host.ctl(&arguments).exits(code);
        assert!(format!("{answer}").contains(words), "{answer}");
    }
    // What is of another kind and in the way stays, and nothing passes for restored.
    source.remove("other");
    let other = source.path.join("other").into_os_string().into_string().unwrap();
    source.write("other/full/mine", "mine");
    for force in [&[][..], &["--force"]] {
        let stays = host.ctl(&[&["restore", &other], force].concat()).exits(1);
        assert!(stays.said.contains("not restored to"), "{stays}");
        assert_eq!(std::fs::read(source.path.join("other/full/mine")).unwrap(), b"mine");
    }
    source.write("deep/note", "a note");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    std::fs::remove_dir_all(source.path.join("deep")).unwrap();
    symlink(&to, source.path.join("deep")).unwrap();
    let note = source.path.join("deep/note").into_os_string().into_string().unwrap();
    for force in [&[][..], &["--force"]] {
        let way = host.ctl(&[&["restore", &note], force].concat()).exits(1);
        assert!(format!("{way}").contains("is something else now"), "{way}");
        assert!(source.path.join("deep").is_symlink() && !to.join("note").exists());
    }
    // While a run writes there, nothing is read from it.
    let lock = std::fs::File::open(usb.destination("documents").root.join(".nbkp/lock")).unwrap();
    lock.lock().unwrap();
    let busy = host.ctl(&["restore", &letter, "--to", to.to_str().unwrap()]).exits(1);
    assert!(format!("{busy}").contains("is being copied now"), "{busy}");
}

pub fn what_is_out_of_reach_is_named_with_its_age(host: &MiniHost) {
    let source = host.source("documents");
    source.write("letter", "first");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let nas = host.server("nas").prepared_for("away");
    nas.join();
    let away = "[syncs.away]\nsource = \"laptop:documents\"\ndestination = \"nas:away\"\nevery = \"7d\"\n";
    host.configure(&host.config().drive(&usb).server(&nas).also(away).sync(
        "documents",
        "usb",
        "hard-link",
        "every = \"7d\"",
    ));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    host.ctl(&["run", "away", "--wait"]).exits(0);
    let letter = source.path.join("letter").into_os_string().into_string().unwrap();
    let told = host.ctl(&["versions", &letter, "--json"]).exits(0).json();
    assert_eq!((&told["versions"][0]["copies"], &told["versions"][0]["now"]), (&2.into(), &true.into()), "{told}");
    nas.leave();
    source.remove("letter");
    let told = host.ctl(&["versions", &letter, "--json"]).exits(0).json();
    assert_eq!(told["unreached"][0]["sync"], "away", "{told}");
    assert!(told["unreached"][0]["last_success"].is_string(), "{told}");
    // The older copy is taken, and the newer one named.
    let told = host.ctl(&["restore", &letter, "--json"]).exits(0).json();
    assert_eq!(told["restored"][0]["sync"], "documents", "{told}");
    assert!(told["restored"][0]["remarks"][0].as_str().unwrap().contains("`away` has a newer copy"), "{told}");
    usb.yank();
    until("the drive is gone", || host.obstacles("documents").iter().any(|code| code == "destination-volume-absent"));
    source.remove("letter");
    let none = host.ctl(&["restore", &letter]).exits(1);
    assert!(format!("{none}").contains("`documents` (last copied on"), "{none}");
}

pub fn a_drive_alone_gives_back_and_leads_nowhere(host: &MiniHost) {
    let source = everyday(host);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    drop(daemon);
    let (wanted, stamped): (Content, _) = (source.content(), stamps(&source));
    // Another machine, which knows nothing.
    std::fs::remove_file(host.config_file()).unwrap();
    std::fs::remove_dir_all(host.state()).unwrap();
    let point = usb.point();
    let from = ["restore", "--from", point.to_str().unwrap()];
    let listed = host.ctl(&[&from[..], &["--json"]].concat()).exits(0).json();
    assert_eq!(listed["copies"][0]["sync"], "documents", "{listed}");
    let to = host.root.join("back");
    let deep = source.path.join("deep").into_os_string().into_string().unwrap();
    let to_back = ["--to", to.to_str().unwrap()];
    host.ctl(&[&from[..], &[&deep, "letter"], &to_back].concat()).exits(0);
    for (name, entry) in Folder::at(&to).content() {
        assert_eq!(wanted.get(&name), Some(&entry), "{}", name.display());
    }
    let back = stamps(&Folder::at(&to));
    assert!(back.iter().all(|stamp| stamped.contains(stamp)) && back.len() > 8, "{back:?}");
    // A hostile drive: a directory that became a link, and a target that holds one.
    let latest = usb.destination("documents").latest().path;
    std::fs::remove_dir_all(latest.join("folder-01")).unwrap();
    symlink("/etc", latest.join("folder-01")).unwrap();
    let no = host.ctl(&[&from[..], &["folder-01/passwd"], &to_back].concat()).exits(1);
    assert!(format!("{no}").contains("no copy below"), "{no}");
    let outside = host.root.join("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, to.join("folder-02")).unwrap();
    let answer = host.ctl(&[&from[..], &["folder-02"], &to_back].concat());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{answer}");
    assert_eq!(answer.code, Some(1), "{answer}");
    // Nothing was written to the drive.
    assert!(!latest.join(".rsync-partial").exists());
    let empty = host.root.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let none = host.ctl(&["restore", "--from", empty.to_str().unwrap()]).exits(1);
    assert!(format!("{none}").contains("hold no copies"), "{none}");
}

pub fn a_copy_without_history_is_given_back_for_what_it_is(host: &MiniHost) {
    let host = host.used_by(1717);
    let source = host.source("documents");
    source.fill(20).write("secret", "of another user");
    run("chown", &[&"-R", &"1717:1717", &source.path]);
    let secret = source.path.join("secret");
    run("chown", &[&"0:0", &secret]);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    usb.edit(|root| run("chown", &[&"-R", &"1717:1717", &root.join("documents")]));
    let slowly = "every = \"7d\"\nrsync = { bandwidth = \"2M\" }";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", slowly));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let from = usb.point().join("documents").into_os_string().into_string().unwrap();
    let get = |name: &str, bare: bool| {
        let to = host.root.join("home").join(name);
        let to = to.to_str().unwrap();
        let asked = ["restore", "laptop:documents", "--to", to, "--json"];
        let alone = ["restore", "--from", &from, "/", "--to", to, "--json"];
        let told = host.ctl(if bare { &alone[..] } else { &asked[..] }).exits(1).json();
        std::fs::remove_dir_all(to).unwrap();
        told["restored"][0].clone()
    };
    // It lacks a file, and says so.
    for bare in [false, true] {
        let told = get("back", bare);
        assert!(told["missing"].to_string().contains("this copy itself lacks files"), "{bare} {told}");
        assert!(!told["remarks"].to_string().contains("did not come to their end"), "{bare} {told}");
    }
    let made = get("back", true)["made"].clone();
    // What was cut short behind that is in it, and it is not of then.
    source.write("film", vec![7; 16 << 20]);
    let running = std::thread::scope(|scope| {
        let run = scope.spawn(|| host.ctl(&["run", "documents", "--wait"]));
        host.copies("documents", 2 << 20);
        host.ctl(&["cancel", "documents"]).exits(0);
        run.join().unwrap()
    });
    host.run_ends("documents", 2, "interrupted");
    for bare in [false, true] {
        let told = get("back", bare);
        assert_eq!(told["made"], made, "{bare} {running}");
        assert!(told["remarks"].to_string().contains("did not come to their end"), "{bare} {told}");
        assert!(told["missing"].to_string().contains("this copy itself lacks files"), "{bare} {told}");
    }
    let listed = host.ctl(&["restore", "--from", &from, "--json"]).exits(0).json();
    assert_eq!(listed["copies"][0]["newest"], made, "{listed}");
    assert!(listed["copies"][0]["remark"].to_string().contains("did not come to their end"), "{listed}");
    // A kill has no time to write that down.
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert!(!get("back", true)["remarks"].to_string().contains("did not come"));
    source.write("another", vec![8; 16 << 20]);
    let run = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd").args(["run", "documents"]).output().unwrap();
    assert!(run.status.success());
    host.copies("documents", 2 << 20);
    daemon.kill();
    until("rsync ends", || rsyncs() == 0);
    assert!(get("back", true)["remarks"].to_string().contains("did not come to their end"));
}

pub fn a_mirror_at_a_server_says_what_a_kill_left_in_it(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(5);
    let nas = host.server("nas");
    nas.join();
    let copy = nas.folder("documents");
    copy.write(".nbkp-dst", "");
    host.configure(&host.config().server(&nas).sync("documents", "nas", "none", "every = \"7d\""));
    let _daemon = host.start();
    host.run_ends("documents", 1, "ok");
    let get = || {
        let to = host.root.join("back");
        let told = host.ctl(&["restore", "laptop:documents", "--to", to.to_str().unwrap(), "--json"]).exits(0).json();
        std::fs::remove_dir_all(to).unwrap();
        told["restored"][0].clone()
    };
    let made = get()["made"].clone();
    assert!(!get()["remarks"].to_string().contains("did not come"));
    copy.write(".nbkp/unfinished", "");
    assert!(get()["remarks"].to_string().contains("runs behind that did not come to their end"));
    // Who has lost its log is of the time that is known here, in each sentence.
    std::fs::remove_file(copy.path.join(".nbkp/log.jsonl")).unwrap();
    let told = get();
    assert!(told["remarks"].to_string().contains("runs behind that did not come to their end"), "{told}");
    assert!(made.is_string() && told["made"].is_string(), "{made} {told}");
}

pub fn a_link_to_what_may_not_be_read_comes_back(host: &MiniHost) {
    let host = host.used_by(1717);
    let source = host.source("documents");
    let shut = host.root.join("shut");
    std::fs::create_dir(&shut).unwrap();
    std::fs::write(shut.join("file"), "of another user").unwrap();
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
    source.fill(3);
    symlink(shut.join("file"), source.path.join("link")).unwrap();
    run("chown", &[&"-hR", &"1717:1717", &source.path]);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "every = \"7d\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    std::fs::remove_file(source.path.join("link")).unwrap();
    host.ctl(&["restore", "laptop:documents/link"]).exits(0);
    assert_eq!(std::fs::read_link(source.path.join("link")).unwrap(), shut.join("file"));
}

pub fn what_it_advises_of_a_copy_in_doubt_can_be_pasted(host: &MiniHost) {
    let copy = host.root.join("it's all & mine");
    for name in [".nbkp-dst", ".nbkp/unfinished", "letter"] {
        std::fs::create_dir_all(copy.join(name).parent().unwrap()).unwrap();
        std::fs::write(copy.join(name), "").unwrap();
    }
    let (from, to) = (copy.to_str().unwrap(), host.root.join("back"));
    let told = host.ctl(&["restore", "--from", from, "/", "--to", to.to_str().unwrap(), "--json"]).exits(0).json();
    let remarks = array(&told["restored"][0]["remarks"]);
    let doubt = remarks.iter().filter_map(|remark| remark.as_str()).find(|remark| remark.contains("in doubt"));
    let advice = doubt.unwrap_or_else(|| panic!("{told}")).rsplit('`').nth(1).unwrap();
    let nothing = host.ctl(&["restore", "--from", from, "x", "--to", to.to_str().unwrap()]).exits(1);
    for advice in [advice, format!("{nothing}").rsplit('`').nth(1).unwrap()] {
        let typed = advice.replacen("nbkpctl", env!("CARGO_BIN_EXE_nbkpctl"), 1);
        let said = run("sh", &[&"-c", &typed]);
        assert!(said.contains("it may lack anything"), "{typed}: {said}");
    }
}
