//! The mount table as the kernel writes it: `/proc/self/mountinfo`, `proc_pid_mountinfo(5)`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::formats::octal;
use crate::model::{Access, Mount, MountId};

/// The mounts in their order. A line that is not understood is left out: one odd mount must not hide all others.
#[must_use]
pub fn mounts(bytes: &[u8]) -> Vec<Mount> {
    bytes.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

/// The id and the point of a mount, where the table was cut to these two.
#[must_use]
pub fn point(line: &[u8]) -> Option<(MountId, PathBuf)> {
    let mut fields = line.split(|byte| *byte == b' ');
    Some((MountId(number(fields.next()?)?), path(fields.next()?)))
}

/// Which mounts there are by their id, and whether what is mounted below them elsewhere appears there, too: they are
/// `shared`, or the `master` of theirs is (`mount_namespaces(7)`).
#[must_use]
pub fn propagation(bytes: &[u8]) -> Vec<(MountId, PathBuf, Propagation)> {
    let each = |line: &[u8]| {
        let found = mount(line)?;
        let optional = line.split(|byte| *byte == b' ').skip(6).take_while(|field| *field != b"-");
        let mut peers = optional.filter(|field| field.starts_with(b"shared:") || field.starts_with(b"master:"));
        let propagation = if peers.next().is_some() { Propagation::Receives } else { Propagation::Private };
        Some((found.id, found.point, propagation))
    };
    bytes.split(|byte| *byte == b'\n').filter_map(each).collect()
}

/// Whether mounts made elsewhere appear below a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They do.
    Receives,
    /// They do not.
    Private,
}

fn mount(line: &[u8]) -> Option<Mount> {
    // Exactly one space lies between two fields; the source may be empty, so runs of spaces mean something.
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = device(fields.next()?)?;
    let root = path(fields.next()?);
    let point = path(fields.next()?);
    let options = fields.next()?;
    // Optional fields, such as `shared:7`, go up to a lone hyphen.
    fields.by_ref().find(|field| *field == b"-")?;
    let fs_type = String::from_utf8_lossy(&unescaped(fields.next()?)).into_owned();
    let source = path(fields.next()?);
    // A filesystem that went read-only after an error says so here only, not in the options of the mount.
    let super_options = fields.next()?;
    let access = if read_only(options) || read_only(super_options) { Access::ReadOnly } else { Access::ReadWrite };
    Some(Mount { id: MountId(id), parent: MountId(parent), device, root, point, fs_type, source, access })
}

fn read_only(options: &[u8]) -> bool {
    options.split(|byte| *byte == b',').any(|option| option == b"ro")
}

fn device(field: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescaped(field)))
}

/// Space, tab, newline, backslash and `#` are written as a backslash and three octal digits; all else is itself.
pub(super) fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, after) = rest.strip_prefix(b"\\").and_then(octal::byte).unwrap_or((*first, tail));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn one(line: &[u8]) -> Mount {
        let mounts = mounts(line);
        assert_eq!(mounts.len(), 1, "{line:?}");
        mounts.into_iter().next().unwrap()
    }

    #[test]
    fn a_line_with_optional_fields() {
        let mount = one(b"36 35 98:0 /mnt1 /mnt2 rw,noatime shared:2 master:1 - ext3 /dev/root rw,errors=continue\n");
        assert_eq!(
            mount,
            Mount {
                id: MountId(36),
                parent: MountId(35),
                device: (98, 0),
                root: "/mnt1".into(),
                point: "/mnt2".into(),
                fs_type: "ext3".into(),
                source: "/dev/root".into(),
                access: Access::ReadWrite,
            }
        );
    }

    #[test]
    fn what_appears_below_a_mount_is_told() {
        for (options, propagation) in [
            ("shared:2 ", Propagation::Receives),
            ("master:1 ", Propagation::Receives),
            ("shared:2 master:1 ", Propagation::Receives),
            ("unbindable ", Propagation::Private),
            ("", Propagation::Private),
        ] {
            let line = format!("7 1 0:1 / /shared:1 rw {options}- ext4 shared:1 rw");
            assert_eq!(super::propagation(line.as_bytes()), [(MountId(7), "/shared:1".into(), propagation)], "{line}");
        }
    }

    #[test]
    fn read_only_by_the_mount_or_by_the_filesystem() {
        for (line, access) in [
            (&b"1 0 0:1 / / rw - ext4 /dev/a rw"[..], Access::ReadWrite),
            (b"1 0 0:1 / / ro - ext4 /dev/a rw", Access::ReadOnly),
            (b"1 0 0:1 / / rw - ext4 /dev/a ro,errors=remount-ro", Access::ReadOnly),
            (b"1 0 0:1 / / rw - ext4 /dev/a rw,errors=ro", Access::ReadWrite),
        ] {
            assert_eq!(one(line).access, access);
        }
    }

    #[test]
    fn names_are_bytes() {
        let mount = one(b"1 0 7:0 / /mnt/a\\040b\\011\\012\\134\\043\xff\\9x\\ rw - fuse.a\\040b  rw");
        assert_eq!(mount.point.as_os_str().as_bytes(), b"/mnt/a b\t\n\\#\xff\\9x\\");
        assert_eq!(mount.fs_type, "fuse.a b");
        assert_eq!(mount.source, Path::new(""));
    }

    #[test]
    fn lines_that_are_not_understood_hide_no_others() {
        let text = b"\nnonsense\n1 0 8 / / rw - ext4 a rw\n2 0 8:1 / / rw ext4 a rw\n3 0 8:1 / / rw - ext4 a\n\
                     4 0 8:1 / /x rw - ext4 a rw\n";
        assert_eq!(mounts(text).iter().map(|mount| mount.id).collect::<Vec<_>>(), [MountId(4)]);
    }

    #[test]
    fn tables_of_real_machines() {
        let golden = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
            let bytes = std::fs::read(&path).unwrap();
            let mounts = mounts(&bytes);
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
            assert_eq!(mounts.len(), lines, "every line of {name}");
            mounts
        };
        let at = |mounts: &[Mount], point: &str| mounts.iter().find(|m| m.point == Path::new(point)).cloned().unwrap();

        let loops = golden("mountinfo-loops.txt");
        let odd = loops.iter().find(|m| m.point.as_os_str().as_bytes().ends_with(b"odd \xff\n\\#\tname")).unwrap();
        assert_eq!((odd.fs_type.as_str(), odd.device.0), ("ext4", 7));
        let subvolume = loops.iter().find(|m| m.root == Path::new("/data")).unwrap();
        assert_eq!((subvolume.fs_type.as_str(), subvolume.device.0), ("btrfs", 0));
        assert_eq!(subvolume.access, Access::ReadOnly);
        assert!(loops.iter().any(|m| m.fs_type == "fuse"), "a bindfs mount");

        let autofs = golden("mountinfo-autofs.txt");
        assert_eq!(at(&autofs, "/mnt/nas").fs_type, "autofs");
        assert_eq!(at(&autofs, "/mnt/nas").source, Path::new("systemd-1"));
        assert_eq!(at(&autofs, "/").source, Path::new("/dev/vda"));
    }

    proptest! {
        #[test]
        fn what_the_kernel_escapes_is_read_back(name in proptest::collection::vec(1u8..=255, 1..40)) {
            let mut line = b"1 0 8:1 / /".to_vec();
            for byte in &name {
                match byte {
                    b' ' | b'\t' | b'\n' | b'\\' | b'#' => line.extend(format!("\\{byte:03o}").bytes()),
                    other => line.push(*other),
                }
            }
            line.extend(b" rw - ext4 /dev/sda1 rw");
            let mount = one(&line);
            prop_assert_eq!(mount.point.as_os_str().as_bytes(), [b"/", name.as_slice()].concat());
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            prop_assert!(mounts(&bytes).len() <= lines);
        }
    }
}
