//! Who comes from the Python tool goes on with the drives that it prepared and wrote.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::mini_host::MiniHost;
use crate::common::run;

const FIRST: &str = "2026-03-05T10:00:00.000Z";
const SECOND: &str = "2026-03-06T14:30:00.000Z";

/// The YAML of a laptop with a shelf that is mounted at `point`.
fn yaml(host: &MiniHost, point: &Path, snapshots: &str) -> String {
    format!(
        "volumes:\n  laptop: {{type: local, path: {home}}}\n  shelf: {{type: local, path: {point}}}\n\
         sync-endpoints:\n  photos: {{volume: laptop, subdir: photos}}\n  copies:\n    volume: shelf\n    \
         subdir: backups/photos\n    {snapshots}: {{enabled: true, max-snapshots: 2}}\n\
         syncs:\n  photos: {{source: photos, destination: copies}}\n",
        home = host.home().display(),
        point = point.display(),
    )
}

/// Has the YAML turned into the configuration of the daemon.
fn import(host: &MiniHost, yaml: &str) {
    let file = host.root.join("config.yaml");
    std::fs::write(&file, yaml).unwrap();
    let answer = host.ctl(&["config", "import", file.to_str().unwrap()]).exits(0);
    assert_eq!(answer.complained, "");
    host.configure_with(&format!("[daemon]\nsettle = \"0s\"\ngrace = \"0s\"\nnotify = \"none\"\n\n{}", answer.said));
    host.ctl(&["config", "check"]).exits(0).says("has no mistakes");
}

fn inode(path: impl AsRef<Path>) -> u64 {
    path.as_ref().metadata().unwrap().ino()
}

pub fn hard_links_go_on(host: &MiniHost) {
    let source = host.source("photos");
    source.fill(40).write("new", "made after the last copy");
    let mut shelf = host.drive("shelf", Ext4);
    shelf.edit(|root| {
        let copies = root.join("backups/photos");
        std::fs::create_dir_all(copies.join("snapshots")).unwrap();
        for sentinel in [root.join(".nbkp-vol"), copies.join(".nbkp-dst")] {
            std::fs::write(sentinel, "").unwrap();
        }
        let snapshots = copies.join("snapshots");
        // As its rsync leaves it: what the source holds, but for its sentinel; the second is linked with the first.
        let from = format!("{}/", source.path.display());
        let first = snapshots.join(FIRST);
        run("rsync", &[&"-a", &"--exclude=/.nbkp-src", &"--exclude=/new", &from, &first]);
        run("cp", &[&"-al", &snapshots.join(FIRST), &snapshots.join(SECOND)]);
        symlink(format!("snapshots/{SECOND}"), copies.join("latest")).unwrap();
    });
    import(host, &yaml(host, shelf.point(), "hard-link-snapshots"));
    let _daemon = host.start();
    shelf.plug();
    let record = host.run_ends("photos", 1, "ok");
    assert_eq!(record["files_transferred"], 1, "nothing is copied again: {record}");
    let copy = shelf.destination("backups/photos");
    copy.latest().is_like(&source);
    // The two that are kept: the new one, and the last one of the Python tool.
    assert_eq!(copy.gets(2).first().map(String::as_str), Some(SECOND));
    let file = "folder-02/file-2";
    assert_eq!(inode(copy.snapshot(SECOND).path.join(file)), inode(copy.latest().path.join(file)));
    host.ctl(&["snapshots", "photos"]).exits(0).says(SECOND);
}

pub fn btrfs_goes_on(host: &MiniHost) {
    let source = host.source("photos");
    source.fill(40);
    let mut shelf = host.drive("shelf", Btrfs);
    shelf.edit(|root| {
        let copies = root.join("backups/photos");
        std::fs::create_dir_all(copies.join("snapshots")).unwrap();
        for sentinel in [root.join(".nbkp-vol"), copies.join(".nbkp-dst")] {
            std::fs::write(sentinel, "").unwrap();
        }
        let staging = copies.join("staging");
        run("btrfs", &[&"subvolume", &"create", &staging]);
        run("rsync", &[&"-a", &"--exclude=/.nbkp-src", &format!("{}/", source.path.display()), &staging]);
        for name in [FIRST, SECOND] {
            run("btrfs", &[&"subvolume", &"snapshot", &"-r", &staging, &copies.join("snapshots").join(name)]);
        }
        symlink(format!("snapshots/{SECOND}"), copies.join("latest")).unwrap();
    });
    source.write("folder-01/file-1", "changed since").remove("folder-03/file-3");
    import(host, &yaml(host, shelf.point(), "btrfs-snapshots"));
    let _daemon = host.start();
    shelf.plug();
    let record = host.run_ends("photos", 1, "ok");
    assert_eq!(record["files_transferred"], 1, "nothing is copied again: {record}");
    let copy = shelf.destination("backups/photos");
    copy.latest().is_like(&source);
    assert_eq!(copy.gets(2).first().map(String::as_str), Some(SECOND));
    assert!(copy.snapshot(SECOND).path.join("folder-03/file-3").is_file());
}

pub fn what_is_no_yaml_of_it_prints_nothing(host: &MiniHost) {
    let file = host.root.join("config.yaml");
    std::fs::write(&file, "volumes:\n  a: {type: local, path: /a}\n  a: {type: local, path: /b}\n").unwrap();
    for arguments in [["config", "import", file.to_str().unwrap(), "-q"], ["config", "import", "/nowhere", "-q"]] {
        let answer = host.ctl(&arguments).exits(2);
        assert_eq!(answer.said, "", "{answer}");
        assert!(!answer.complained.is_empty());
    }
    host.ctl(&["config", "import", file.to_str().unwrap()]).exits(2).says("config.yaml:3:3");
}
