//! One line in which rsync names an entry or a cause: who says it, of what, and what became of that.
//!
//! The words are those of rsync 3.1 to 3.5 in no language (`LC_ALL=C`); the numbers are those of Linux (`errno(3)`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::output::unescaped;
use crate::model::{Lack, Plight, Side, Trouble};

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// One entry, and what became of it.
    Entry(Plight),
    /// The copy as a whole.
    All(Side, Trouble),
    /// Nothing that matters.
    Nothing,
}

/// A line that tells of an error of the kernel: `rsync: [sender] opendir "/s/x" failed: Permission denied (13)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grievance<'t> {
    side: Side,
    /// What rsync was doing: `opendir`.
    act: &'t str,
    /// To what: its whole path, or one relative to the copy.
    path: Option<PathBuf>,
    number: i32,
    /// The kernel's words for it.
    reason: &'t str,
}

impl<'t> Grievance<'t> {
    /// Reads a line, if it is one.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let (rest, number) = text.trim_end().strip_suffix(')')?.rsplit_once(" (")?;
        let number = number.parse().ok()?;
        let rest = rest.strip_prefix("rsync: ").unwrap_or(rest);
        let (role, body) = match rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            Some((role, body)) => (Some(role), body),
            None => (None, rest),
        };
        let (what, reason) = body.rsplit_once(": ").unwrap_or((body, ""));
        let what = what.strip_suffix(" failed").unwrap_or(what);
        let (act, path) = subject(what);
        let side = match role {
            Some("sender") => Side::Source,
            Some(_) => Side::Destination,
            None if READING.iter().any(|word| act.starts_with(word)) => Side::Source,
            None => Side::Destination,
        };
        Some(Self { side, act, path: path.map(path_of), number, reason })
    }

    /// Who says it.
    pub(super) fn side(&self) -> Side {
        self.side
    }

    /// The entry, relative to one of the directories that it may be below; as it is if it is below none.
    pub(super) fn entry(&self, roots: &[PathBuf]) -> Option<PathBuf> {
        let path = self.path.as_ref()?;
        Some(relative(path, roots).unwrap_or_else(|| path.clone()))
    }

    /// The kernel's words for what went wrong.
    pub(super) fn reason(&self) -> &str {
        self.reason
    }

    /// What it is about.
    pub(super) fn about(&self, roots: &[PathBuf]) -> About {
        let Some(path) = &self.path else { return About::All(self.side, trouble(self.number)) };
        match self.side {
            Side::Destination => self.of_destination(path),
            // Of the directory that is copied itself, it is about all.
            Side::Source if relative(path, roots).is_some_and(|entry| is_all(&entry)) => {
                About::All(self.side, trouble(self.number))
            }
            Side::Source => self.of_source(),
        }
    }

    fn of_source(&self) -> About {
        match self.number {
            // ENOENT of something without a known root: rsync says so of the directory itself, and of single files that
            // they "vanished".
            2 if self.act.starts_with("link_stat") || self.act.starts_with("change_dir") => {
                About::All(Side::Source, Trouble::Gone)
            }
            // ENOENT, ENOTDIR, ENODATA (a file that became shorter), ESTALE (one that was removed at its server)
            2 | 20 | 61 | 116 => About::Entry(Plight::Changed),
            // ELOOP: a link came in the place of a file.
            40 if self.act.starts_with("send_files") => About::Entry(Plight::Changed),
            // EPERM, EACCES, EAGAIN, EBUSY, EINVAL, ETXTBSY, ENAMETOOLONG, ELOOP, EOVERFLOW, EOPNOTSUPP, ENOTCONN (a
            // dead FUSE mount in a home), ENOKEY, EKEYEXPIRED, EKEYREVOKED, EKEYREJECTED (an encrypted directory that
            // is locked)
            1 | 13 | 11 | 16 | 22 | 26 | 36 | 40 | 75 | 95 | 107 | 126..=129 => About::Entry(Plight::Unreadable),
            number => About::All(Side::Source, trouble(number)),
        }
    }

    fn of_destination(&self, path: &Path) -> About {
        let does = |words: &[&str]| words.iter().any(|word| self.act.contains(word));
        let is_device = matches!(trouble(self.number), Trouble::Io | Trouble::ReadOnly | Trouble::NoSpace);
        match self.number {
            // ext4 says ENOSPC of one attribute that is too large.
            28 if does(&["xattr"]) => About::Entry(Plight::Stripped),
            // exfat-fuse says EIO of what it has no type for.
            5 if does(&["mknod"]) => About::Entry(Plight::Unstorable(Lack::Type)),
            number if is_device => About::All(Side::Destination, trouble(number)),
            _ if does(&["failed to set", "chown", "chgrp", "chmod", "xattr", "acl"]) => About::Entry(Plight::Stripped),
            // ENOENT: it is gone already, which is what was wanted.
            2 if does(&["delete_file", "unlink", "rmdir"]) => About::Nothing,
            _ if does(&["delete_file", "unlink", "rmdir"]) => About::Entry(Plight::Undeleted),
            // ENAMETOOLONG
            36 => About::Entry(Plight::Unstorable(Lack::Length)),
            // EINVAL, EILSEQ
            22 | 84 => About::Entry(Plight::Unstorable(Lack::Name)),
            // ENOENT: exfat-fuse says so of characters that it does not take.
            2 if is_foreign(path) => About::Entry(Plight::Unstorable(Lack::Name)),
            // EFBIG
            27 => About::Entry(Plight::Unstorable(Lack::Size)),
            // EPERM, EXDEV, EMLINK, ENOSYS, EOPNOTSUPP
            1 | 18 | 31 | 38 | 95 if self.act.starts_with("link ") => About::Entry(Plight::Unstorable(Lack::HardLinks)),
            1 | 38 | 95 if does(&["mknod", "symlink"]) => About::Entry(Plight::Unstorable(Lack::Type)),
            // EPERM, EACCES, EBUSY, EEXIST, ENOTDIR, EISDIR, ETXTBSY, ENOTEMPTY, ELOOP
            1 | 13 | 16 | 17 | 20 | 21 | 26 | 39 | 40 => About::Entry(Plight::Unwritten),
            number => About::All(Side::Destination, trouble(number)),
        }
    }
}

/// What the sender does, for rsync before 3.2, which does not say who speaks.
const READING: [&str; 8] =
    ["send_files", "opendir", "readdir", "readlink_stat", "read errors", "link_stat", "change_dir", "fstat"];

/// What rsync was doing, and to what: `mkstemp "/d/.f.x1Y2z3"`, `rename "/d/.f.x1Y2z3" -> "f"`,
/// `delete_file: unlink(f)`.
fn subject(what: &str) -> (&str, Option<String>) {
    if let Some((act, quoted)) = what.split_once('"') {
        let end = ["\" -> \"", "\" => ", "\",\""].iter().find_map(|mark| quoted.split_once(mark));
        let path = match (act, end) {
            ("rename ", Some((_, new))) => new.strip_suffix('"').unwrap_or(new),
            (_, Some((path, _))) => path,
            (_, None) => quoted.rsplit_once('"').map_or(quoted, |(path, _)| path),
        };
        return (act, Some(path.to_owned()));
    }
    match what.split_once('(') {
        Some((act, inner)) => {
            let inner = inner.strip_suffix(')').unwrap_or(inner);
            let inner =
                if act.contains("acl") { inner.rsplit_once(", ").map_or(inner, |(path, _)| path) } else { inner };
            (act, Some(inner.to_owned()))
        }
        None => (what, None),
    }
}

/// The path as it is: rsync writes bytes that are not printable as `\#` and three octal digits.
pub(super) fn path_of(shown: impl AsRef<str>) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescaped(shown.as_ref())))
}

/// Where a path lies below one of these directories, or below a descriptor that rsync was given, or from where it
/// works.
pub(super) fn relative(path: &Path, roots: &[PathBuf]) -> Option<PathBuf> {
    let below = roots.iter().find_map(|root| path.strip_prefix(root).ok());
    if let Some(below) = below {
        return Some(below.to_owned());
    }
    if let Ok(below) = path.strip_prefix("/proc/self/fd") {
        let mut parts = below.components();
        parts.next()?;
        return Some(parts.as_path().to_owned());
    }
    path.is_relative().then(|| path.to_owned())
}

fn is_all(entry: &Path) -> bool {
    entry.as_os_str().is_empty() || entry == Path::new(".")
}

/// Whether a name has what filesystems of other systems do not take, or a directory above it has.
fn is_foreign(path: &Path) -> bool {
    let is_odd = |byte: &u8| byte.is_ascii_control() || b"\"*:<>?\\|".contains(byte);
    path.components().any(|part| {
        let name = part.as_os_str().as_encoded_bytes();
        name.iter().any(is_odd) || (name != b".." && name.ends_with(b".")) || name.ends_with(b" ")
    })
}

/// The name that a file has while it is written is its own between a dot and some more: `.f.x1Y2z3`, `.f.4776`.
pub(super) fn own_name(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str());
    let inner = name.and_then(|name| name.strip_prefix('.')).and_then(|name| name.rsplit_once('.'));
    match inner {
        Some((own, tail)) if !own.is_empty() && (4..=7).contains(&tail.len()) && is_random(tail) => {
            path.with_file_name(own)
        }
        Some(_) | None => path.to_owned(),
    }
}

fn is_random(tail: &str) -> bool {
    let is_number = tail.bytes().all(|byte| byte.is_ascii_digit());
    is_number || (tail.len() == 6 && tail.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn trouble(number: i32) -> Trouble {
    match number {
        // EPERM, EACCES
        1 | 13 => Trouble::Permission,
        // ENOENT
        2 => Trouble::Gone,
        // EIO, ENXIO, ENODEV, ENOTCONN, ESHUTDOWN, ESTALE, EREMOTEIO, EUCLEAN
        5 | 6 | 19 | 107 | 108 | 116 | 117 | 121 => Trouble::Io,
        // EROFS
        30 => Trouble::ReadOnly,
        // ENOSPC, EDQUOT
        28 | 122 => Trouble::NoSpace,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> [PathBuf; 2] {
        [PathBuf::from("/s"), PathBuf::from("/d")]
    }

    fn check(text: &str, entry: &str, about: &About) {
        let found = Grievance::read(text).expect(text);
        assert_eq!(found.entry(&roots()), Some(entry.into()), "{text}");
        assert_eq!(found.about(&roots()), *about, "{text}");
    }

    /// Lines as rsync writes them, with what is to come of each.
    const GOLDEN: &str = include_str!("../../../tests/golden/rsync-3.2.7-complaints.txt");

    #[test]
    fn each_entry_is_in_its_plight() {
        let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let mut parts = line.splitn(3, '\t');
            let (plight, entry, text) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            let found = Grievance::read(text).expect(text);
            assert_eq!(found.entry(&roots()), Some(entry.into()), "{text}");
            assert_eq!(format!("{:?}", found.about(&roots())), format!("Entry({plight})"), "{text}");
        }
    }

    #[test]
    fn what_is_no_single_entry_s_fault_is_the_whole_copy_s() {
        let all = About::All;
        for (text, path, about) in [
            (
                "rsync: [sender] link_stat \"/proc/self/fd/9/.\" failed: No such file or directory (2)",
                "",
                all(Side::Source, Trouble::Gone),
            ),
            (
                "rsync: [sender] opendir \"/proc/self/fd/9\" failed: Permission denied (13)",
                "",
                all(Side::Source, Trouble::Permission),
            ),
            (
                "rsync: [sender] change_dir \"/gone/away\" failed: No such file or directory (2)",
                "/gone/away",
                all(Side::Source, Trouble::Gone),
            ),
            (
                "rsync: [sender] read errors mapping \"/s/x\": Input/output error (5)",
                "x",
                all(Side::Source, Trouble::Io),
            ),
            (
                "rsync: [receiver] write failed on \"/d/big\": No space left on device (28)",
                "big",
                all(Side::Destination, Trouble::NoSpace),
            ),
            (
                "rsync: [receiver] mkstemp \"/d/.f.x1Y2z3\" failed: Read-only file system (30)",
                ".f.x1Y2z3",
                all(Side::Destination, Trouble::ReadOnly),
            ),
        ] {
            check(text, path, &about);
        }
        assert_eq!(Grievance::read("rsync: [receiver] mkstemp failed"), None);
        let nameless = Grievance::read("rsync: [receiver] out of luck: Cannot allocate memory (12)").unwrap();
        assert_eq!(nameless.about(&[]), all(Side::Destination, Trouble::Other));
    }

    #[test]
    fn a_file_is_told_by_the_name_that_it_was_to_get() {
        for (written, own) in [
            ("t/.12:30 m.txt.2CRkij", "t/12:30 m.txt"),
            (".ff.4776", "ff"),
            (".bashrc", ".bashrc"),
            ("notes.d", "notes.d"),
            (".x1Y2z3", ".x1Y2z3"),
        ] {
            assert_eq!(own_name(Path::new(written)), Path::new(own));
        }
        let text = "rsync: [sender] opendir \"/s/\\#303\\#274\" failed: Permission denied (13)";
        let found = Grievance::read(text).unwrap();
        assert_eq!(found.entry(&["/s".into()]), Some("ü".into()));
    }
}
