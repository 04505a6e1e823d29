//! Which kind of copies a filesystem can hold, and what it cannot keep.

use crate::model::{FilesystemFamily, SnapshotKind};

/// The family of a filesystem, by the name that the kernel or `stat -f` gives it. What is not known keeps what most do;
/// `prepare` tries it before anything is copied.
#[must_use]
pub fn family(fs_type: &str) -> FilesystemFamily {
    match fs_type {
        "btrfs" => FilesystemFamily::Btrfs,
        "vfat" | "msdos" | "fat" => FilesystemFamily::Fat,
        "exfat" => FilesystemFamily::ExFat,
        // `ntfs-3g` is a filesystem by FUSE on a device.
        "ntfs" | "ntfs3" | "fuseblk" => FilesystemFamily::Ntfs,
        "cifs" | "smb2" | "smb3" | "smbfs" => FilesystemFamily::Share,
        _ => FilesystemFamily::Posix,
    }
}

/// The kind of copies that is best there.
#[must_use]
pub fn kind_for(family: FilesystemFamily) -> SnapshotKind {
    match family {
        FilesystemFamily::Btrfs => SnapshotKind::Btrfs,
        FilesystemFamily::Posix => SnapshotKind::HardLink,
        FilesystemFamily::Fat | FilesystemFamily::ExFat | FilesystemFamily::Ntfs | FilesystemFamily::Share => {
            SnapshotKind::None
        }
    }
}

/// Filesystems of Linux that are known, beside btrfs.
const OTHERS: [&str; 12] =
    ["ext2/ext3", "ext2", "ext3", "ext4", "xfs", "f2fs", "jfs", "reiserfs", "zfs", "tmpfs", "nfs", "nfs4"];

/// Whether a filesystem of this type is known to hold no copies of a kind. Of one that is not known, `prepare` finds
/// out.
#[must_use]
pub fn is_misfit(fs_type: &str, kind: SnapshotKind) -> bool {
    match (kind, family(fs_type)) {
        (SnapshotKind::None, _) | (SnapshotKind::Btrfs, FilesystemFamily::Btrfs) => false,
        (SnapshotKind::Btrfs, FilesystemFamily::Posix) => OTHERS.contains(&fs_type),
        (
            SnapshotKind::Btrfs,
            FilesystemFamily::Fat | FilesystemFamily::ExFat | FilesystemFamily::Ntfs | FilesystemFamily::Share,
        )
        | (SnapshotKind::HardLink, FilesystemFamily::Fat | FilesystemFamily::ExFat) => true,
        // NTFS has hard links, and so have some servers of Windows shares.
        (
            SnapshotKind::HardLink,
            FilesystemFamily::Btrfs | FilesystemFamily::Posix | FilesystemFamily::Ntfs | FilesystemFamily::Share,
        ) => false,
    }
}

/// What no filesystem of Windows keeps.
const WINDOWS: [&str; 3] = [
    "owners, groups and permissions",
    "links, pipes and devices",
    "names with `\" * : < > ? \\ |`, and two names that differ only in capital letters",
];

/// What copies of this kind cannot keep there, each as the end of a sentence.
#[must_use]
pub fn losses(family: FilesystemFamily, kind: SnapshotKind) -> Vec<&'static str> {
    let mut losses = match kind {
        SnapshotKind::None => vec!["earlier versions: what is deleted or spoilt is so in the copy, too, an hour later"],
        SnapshotKind::HardLink => vec!["room: a file that changed a little is stored once more as a whole"],
        SnapshotKind::Btrfs => Vec::new(),
    };
    match family {
        FilesystemFamily::Btrfs | FilesystemFamily::Posix => {}
        FilesystemFamily::Fat => {
            losses.extend(WINDOWS);
            losses.extend(["files of 4 GiB and more", "times finer than two seconds"]);
        }
        FilesystemFamily::ExFat | FilesystemFamily::Share => losses.extend(WINDOWS),
        FilesystemFamily::Ntfs => losses.push("owners, groups and permissions, on most mounts"),
    }
    losses
}
