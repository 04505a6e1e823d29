//! The test ground itself: what scenarios rely on must be true of real drives here, too.

use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::Folder;
use crate::common::mini_host::MiniHost;
use crate::common::{attempt, run, until};

pub fn a_yanked_drive_fails_and_keeps_what_was_flushed(host: &MiniHost) {
    for filesystem in [Btrfs, Ext4] {
        let mut usb = host.drive("usb", filesystem);
        usb.plug();
        let device = usb.device();
        let disk = Folder::at(usb.point());
        disk.write("flushed", "stays");
        usb.flush();
        disk.write_big("in-memory", 4, 1);
        usb.yank();
        until("udev no longer sees a filesystem", || {
            let seen = attempt("udevadm", &[&"info", &"--query=property", &device]);
            !String::from_utf8_lossy(&seen.stdout).contains("ID_FS_UUID=")
        });
        assert!(!attempt("sync", &[&"-f", &usb.point()]).status.success(), "the flush must fail");
        usb.clear_away();
        usb.plug();
        assert_eq!(std::fs::read_to_string(disk.path.join("flushed")).unwrap(), "stays");
        assert_ne!(std::fs::read(disk.path.join("in-memory")).unwrap_or_default().len(), 4 << 20);
        usb.unplug();
    }
}

pub fn rsync_believes_a_drive_that_loses_data(host: &MiniHost) {
    let source = Folder::at(host.root.join("source"));
    source.write_big("big", 30, 1);
    let mut usb = host.drive_with_rot("usb");
    usb.plug();
    // This is why an exit code alone never makes a backup complete.
    run("rsync", &[&"-a", &source.path, &usb.point()]);
    assert!(!attempt("sync", &[&"-f", &usb.point()]).status.success(), "the flush must fail");
}
