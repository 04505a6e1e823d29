//! A source that is empty, unmounted, torn away or strange never harms a backup.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::{Folder, Sentinels};
use crate::common::mini_host::MiniHost;
use crate::common::{run, until};

pub fn emptied_before_a_run_is_held(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(100);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = Folder::at(usb.point().join("documents"));
    let before = copy.content();

    source.empty(Sentinels::Stay);
    host.ctl(&["run", "documents", "--wait"]).exits(1);
    host.run_ends("documents", 2, "held");
    host.stands("documents", "held");
    copy.holds(&before);
}

pub fn emptied_in_mid_run_never_reaches_the_backup(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(400);
    let mut usb = host.drive("usb", Btrfs).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", ""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let copy = usb.destination("documents");
    let (first, before) = (copy.latest_name(), copy.latest().content());

    // Sorts before the rest, so that rsync is busy with it when the rest goes.
    source.write_big("a-big-file", 16, 1);
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "btrfs", "rsync = { bandwidth = \"3M\" }"));
    until("the bandwidth is known", || daemon.log().contains("the configuration is in force"));
    host.ctl(&["run", "documents"]).exits(0);
    host.copies("documents", 1 << 20);
    source.empty(Sentinels::Go);
    until("the run has ended", || host.history("documents").len() > 1);
    let mut runs = host.history("documents");
    assert_eq!(runs.pop().unwrap()["outcome"], "ok", "the one before");
    assert!(runs.iter().all(|run| run["outcome"] != "ok"), "{runs:#?}");
    assert_eq!(copy.snapshots(), std::slice::from_ref(&first));
    copy.snapshot(&first).holds(&before);
    assert_eq!(copy.latest_name(), first);
}

pub fn unmounted_is_not_empty(host: &MiniHost) {
    let mut disk = host.drive("disk", Ext4);
    let photos = disk.edit(|root| {
        std::fs::create_dir(root.join("photos")).unwrap();
        std::fs::write(root.join("photos/.nbkp-src"), "").unwrap();
        let photos = Folder::at(root.join("photos"));
        photos.fill(50);
        photos.content()
    });
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("photos");
    // The disk is mounted at a directory below the home directory; unmounted, an empty directory stays.
    let point = host.home().join("disk");
    std::fs::create_dir(&point).unwrap();
    let sync = "[syncs.photos]\nsource = \"laptop:disk/photos\"\ndestination = \"usb:photos\"\n\
                guard = { max-delete = \"off\" }";
    host.configure(&host.config().drive(&usb).also(sync));
    disk.attach();
    run("mount", &[&disk.device(), &point]);
    let _daemon = host.start();
    usb.plug();
    host.run_ends("photos", 1, "ok");

    run("umount", &[&point]);
    host.ctl(&["run", "photos", "--wait", "--force"]);
    host.stopped_by("photos", "source-sentinel-missing");
    std::fs::create_dir(point.join("photos")).unwrap();
    host.ctl(&["run", "photos", "--wait", "--force"]);
    host.stopped_by("photos", "source-sentinel-missing");
    Folder::at(usb.point().join("photos")).holds(&photos);
    assert!(
        host.history("photos").iter().skip(1).all(|run| run["outcome"] != "ok") || host.history("photos").len() == 1
    );
}

pub fn yanked_in_mid_run_interrupts(host: &MiniHost) {
    let mut disk = host.drive("disk", Ext4);
    disk.edit(|root| {
        std::fs::write(root.join(".nbkp-vol"), "").unwrap();
        std::fs::create_dir(root.join("photos")).unwrap();
        std::fs::write(root.join("photos/.nbkp-src"), "").unwrap();
        Folder::at(root.join("photos")).write_big("a-big-file", 24, 1).fill(100);
    });
    let mut usb = host.drive("usb", Btrfs).prepared_for("photos");
    let sync = "[syncs.photos]\nsource = \"disk:photos\"\ndestination = \"usb:photos\"\nsnapshots = \"btrfs\"\n";
    let fast = host.config().drive(&usb).drive(&disk).also(&format!("{sync}every = \"0s\""));
    let slow = host.config().drive(&usb).drive(&disk).also(&format!("{sync}rsync = {{ bandwidth = \"3M\" }}"));
    host.configure(&slow);
    let _daemon = host.start();
    usb.plug();
    disk.plug();
    host.copies("photos", 1 << 20);
    disk.yank();
    let record = host.run_ends("photos", 1, "interrupted");
    assert!(record["error"].as_str().is_some_and(|error| error.contains("source")), "{record}");
    let copy = usb.destination("photos");
    assert!(copy.snapshots().is_empty());
    host.stopped_by("photos", "source-volume-absent");

    disk.clear_away();
    host.configure(&fast);
    disk.plug();
    host.run_ends("photos", 2, "ok");
    copy.latest().is_like(&Folder::at(disk.point().join("photos")));
}

pub fn strange_names_arrive(host: &MiniHost) {
    let source = host.source("documents");
    let names: [&[u8]; 9] = [
        b"two\nlines",
        b"-rf",
        b"--delete",
        b"\xff\xfe not utf-8 \x80",
        b"\x1b[31mred\x1b[0m",
        b" space at both ends ",
        b"quote ' \" back\\slash $(id) `id`",
        b"dir\nwith newline/-n/file",
        b"*deleting   not-really",
    ];
    for name in names {
        source.write(OsStr::from_bytes(name), name);
    }
    source.write("n".repeat(255), "the longest name");
    std::os::unix::fs::symlink("/etc/passwd", source.path.join("outside")).unwrap();
    std::os::unix::fs::symlink("nowhere\n", source.path.join("dangling")).unwrap();
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    assert_eq!(host.run_ends("documents", 1, "ok")["files_transferred"], 10);
    usb.destination("documents").latest().is_like(&source);
    source.remove("-rf").write("--delete", "changed");
    let preview = host.ctl(&["diff", "documents"]).exits(0);
    assert!(!preview.said.contains('\x1b'), "a file name reached the terminal: {preview}");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("documents").latest().is_like(&source);
}

pub fn files_that_cannot_be_read_do_not_stop_the_rest(host: &MiniHost) {
    let host = host.used_by(1717);
    let source = host.source("documents");
    source.fill(20);
    run("chown", &[&"-R", &"1717:1717", &source.path]);
    source.write("secret", "of another user");
    std::fs::set_permissions(source.path.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", ""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let latest = usb.destination("documents").latest();
    assert!(!latest.path.join("secret").exists());
    assert_eq!(latest.content().len() + 1, source.content().len());
    host.ctl(&["history", "documents", "-v"]).exits(0);
}
