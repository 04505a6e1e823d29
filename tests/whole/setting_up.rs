//! What `nbkpctl init` takes a place for, and what it says of what it did.

use std::path::Path;

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::Folder;
use crate::common::mini_host::MiniHost;
use crate::common::{run, text_of};
use crate::scenarios::init::{kind_of, plain_folder, set_up, ssh_knows};

pub fn what_is_somebody_elses_is_never_taken(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let mut usb = host.drive("usb", Ext4);
    usb.plug();
    let theirs = Folder::at(usb.point().join("theirs"));
    theirs.write("letter.txt", "their own");
    let point = usb.point().to_str().unwrap().to_owned();
    let named = ["--name", "theirs", "--snapshots", "none"];
    set_up(host, &documents, &point, &named).exits(2).says("`theirs`").says("--name");
    assert!(!host.config_file().exists());
    // What is empty is nobody's.
    std::fs::create_dir(usb.point().join("documents")).unwrap();
    set_up(host, &documents, &point, &[]).exits(0);
    assert_eq!(kind_of(host, "documents")["destination"], "usb:documents");
    std::fs::remove_file(host.config_file()).unwrap();

    // What lies on a drive that nobody mounted is not seen; it is not taken either.
    usb.unmount();
    set_up(host, &documents, &usb.uuid, &named).exits(1).says("cannot be seen");
    usb.mount();
    set_up(host, &documents, &usb.uuid, &named).exits(1).says("is set up already").says("holds 1 entry");
    host.ctl(&["run", "theirs", "--wait"]).exits(4);
    assert_eq!(names(&theirs.path), ["letter.txt"], "nothing of ours is there");
    assert_eq!(text_of(theirs.path.join("letter.txt")), "their own");
    // A person's word is enough.
    host.ctl(&["prepare", "theirs"]).exits(0).says("makes it equal to the source");
}

pub fn what_is_somebody_elses_at_a_server_is_never_taken(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let nas = host.server("nas");
    nas.join();
    ssh_knows(&nas);
    Folder::at(nas.file("backups/documents")).write("letter.txt", "their own");
    set_up(host, &documents, "nas:backups", &["--name", "documents"]).exits(2).says("`documents`");
    assert!(!host.config_file().exists());
    set_up(host, &documents, "nas:backups", &[]).exits(0);
    assert_eq!(kind_of(host, "documents-nas")["destination"], "nas:documents-nas");
    // Whoever comes in between is not overrun either.
    std::fs::write(host.config_file(), text_of(host.config_file()).replace("documents-nas", "documents")).unwrap();
    set_up(host, &documents, "nas:backups", &[]).exits(1).says("holds 1 entry");
    assert!(!nas.file("backups/documents/.nbkp-dst").exists());
}

pub fn a_part_of_a_drive_is_found_again(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let mut usb = host.drive("usb", Ext4);
    usb.plug();
    std::fs::create_dir_all(usb.point().join("data/inner")).unwrap();
    bind(&usb.point().join("data"), "/run/part");
    set_up(host, &documents, "/run/part/inner", &[]).exits(0);
    assert_eq!(kind_of(host, "documents")["destination"], "usb:data/inner/documents");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("data/inner/documents").latest().is_like(&documents);
    let photos = Folder::at(usb.point().join("data/photos"));
    photos.write("one.jpg", "a picture");
    let copies = host.root.join("copies");
    std::fs::create_dir(&copies).unwrap();
    let part = Folder::at("/run/part/photos");
    set_up(host, &part, copies.to_str().unwrap(), &[]).exits(0);
    assert_eq!(kind_of(host, "photos")["source"], "usb:data/photos");
    host.ctl(&["run", "photos", "--wait"]).exits(0);
    assert_eq!(text_of(copies.join("photos/latest/one.jpg")), "a picture");

    // A part of the disk that the system runs from is a directory.
    Folder::at(host.root.join("elsewhere/letters")).write("letter.txt", "dear reader");
    bind(&host.root.join("elsewhere"), "/run/elsewhere");
    let before = text_of(host.config_file()).matches("drive = ").count();
    set_up(host, &Folder::at("/run/elsewhere/letters"), copies.to_str().unwrap(), &[]).exits(0);
    assert_eq!(text_of(host.config_file()).matches("drive = ").count(), before);
    host.ctl(&["run", "letters", "--wait"]).exits(0);
    assert_eq!(text_of(copies.join("letters/latest/letter.txt")), "dear reader");
}

pub fn a_subvolume_of_a_drive_is_found_again(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let mut usb = host.drive("usb", Btrfs);
    usb.plug();
    run("btrfs", &[&"subvolume", &"create", &usb.point().join("@data")]);
    usb.unmount();
    usb.mount_with("subvol=@data");
    let point = usb.point().to_str().unwrap().to_owned();
    let is_known_by_its_path = || !text_of(host.config_file()).contains("drive = ");
    // The daemon mounts the whole of a drive, and would not find it there.
    for destination in [&point, &usb.uuid] {
        set_up(host, &documents, destination, &[]).exits(0);
        assert!(is_known_by_its_path(), "{}", text_of(host.config_file()));
    }
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("documents").latest().is_like(&documents);
    // With the whole beside it, the daemon takes the part that was prepared.
    std::fs::create_dir("/run/whole").unwrap();
    run("mount", &[&usb.device(), &"/run/whole", &"-o", &"subvol=/"]);
    let more = plain_folder(host, "more");
    set_up(host, &more, &point, &[]).exits(0);
    assert!(is_known_by_its_path(), "{}", text_of(host.config_file()));
    host.ctl(&["run", "more", "--wait"]).exits(0);
    usb.destination("more").latest().is_like(&more);
    // Where none was, it is a directory of the whole.
    std::fs::remove_file(host.config_file()).unwrap();
    std::fs::remove_file(usb.point().join(".nbkp-vol")).unwrap();
    let third = plain_folder(host, "third");
    set_up(host, &third, &point, &[]).exits(0);
    assert_eq!(kind_of(host, "third")["destination"], "usb:@data/third");
    host.ctl(&["run", "third", "--wait"]).exits(0);
    usb.destination("third").latest().is_like(&third);
}

fn bind(what: &Path, to: &str) {
    std::fs::create_dir_all(to).unwrap();
    run("mount", &[&"--bind", &what, &to]);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
