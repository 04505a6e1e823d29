//! What `nbkpctl init` takes a place for, and what it says of what it did.

use std::path::Path;

use crate::common::drive::Filesystem::Ext4;
use crate::common::folder::Folder;
use crate::common::mini_host::MiniHost;
use crate::common::text_of;
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

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
