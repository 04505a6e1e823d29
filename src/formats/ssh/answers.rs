//! What our scripts answer: lines of a word and a text. What a server says is believed to be about itself and no more:
//! names that are not ours have no place in it, and a line that is not known is passed over.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use crate::formats::mountinfo;
use crate::formats::rsync::version;
use crate::formats::writer;
use crate::model::{
    EntryIs, FailureKind, Fineness, FreeSpace, Keeping, Letters, MountId, ProgramVersion, Rights, SnapshotEntries,
    Writer,
};

/// How one end of a sync stands at a server, as `look.sh` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Where the root of the volume really is.
    pub root: Option<PathBuf>,
    /// Where the directory of the sync really is.
    pub at: Option<PathBuf>,
    /// The text of `.nbkp-vol`, without line feeds at its end.
    pub volume: Vec<u8>,
    /// The text of `.nbkp-src` or `.nbkp-dst`, the same.
    pub end: Vec<u8>,
    /// The programs that are missing.
    pub missing_tools: Vec<String>,
    /// The version of rsync there, if it tells it.
    pub rsync: Option<ProgramVersion>,
    /// What `staging` is: `subvolume`, `directory`, `foreign`, `missing` or `other`.
    pub staging: Option<String>,
    /// What became of a time with nanoseconds that a file was given.
    pub kept_time: Option<String>,
    /// Whether files keep their modes.
    pub rights: Rights,
    /// Whether names that differ only in capital letters are two.
    pub letters: Letters,
    /// The boot of the server.
    pub boot: String,
    /// The number of the device, as `stat(2)` has it.
    pub device: u64,
    /// The sequence number of its medium, or that of the mount where the kernel does not number media.
    pub medium: Option<u64>,
    /// Who writes a destination, if it tells.
    pub writer: Option<Writer>,
    /// What is mounted at the server, if it tells.
    pub mounts: Option<Vec<(MountId, PathBuf)>>,
    /// What is left on its filesystem.
    pub free: FreeSpace,
    /// What an earlier copy left noted; who only looks is told that it did.
    pub marker: Option<Vec<u8>>,
    /// Where `latest` points, if it is there.
    pub latest: Option<PathBuf>,
    /// What lies in `snapshots`, if it is there.
    pub entries: Option<SnapshotEntries>,
    /// Links that were about to become `latest`.
    pub links: Vec<String>,
    /// What the log says of snapshots.
    pub log: Vec<u8>,
    /// What it says of how the last copies ended.
    pub past: Vec<u8>,
    /// What stands in the way, as the last word.
    pub obstacle: Option<LastWord>,
}

impl Look {
    /// What the filesystem there keeps, by what became of odd times and modes that the lock was given.
    #[must_use]
    pub fn keeping(&self) -> Keeping {
        let times = match self.kept_time.as_deref() {
            Some(kept) if kept.contains("01:46:40") || kept.contains("01:46:42") => Fineness::TwoSeconds,
            // BusyBox tells no fraction; then the filesystem is taken for a usual one.
            Some(kept) if kept.contains("01:46:41.") && !kept.contains(".123456789") => Fineness::Seconds,
            // An old rsync there tells of whole seconds only.
            _ if self.rsync.is_some_and(|found| found < version::COMPARES_NANOSECONDS) => Fineness::Seconds,
            // Another user's file may not be given a time.
            Some(_) | None => Fineness::Nanoseconds,
        };
        Keeping { times, rights: self.rights, names: self.letters }
    }
}

/// Why a script ended where it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWord {
    /// One of the words of `say`.
    pub word: String,
    /// What about.
    pub text: String,
}

/// The lines of an answer, each split at its first blank.
pub fn lines(answer: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    answer.split(|byte| *byte == b'\n').filter_map(|line| {
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (word, rest) = line.split_at_checked(end)?;
        Some((std::str::from_utf8(word).ok()?, rest.strip_prefix(b" ").unwrap_or_default()))
    })
}

/// The text for people.
#[must_use]
pub fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().take(1000).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

const OBSTACLES: [&str; 13] = [
    "no-root",
    "no-directory",
    "missing",
    "unreadable",
    "odd",
    "read-only",
    "taken",
    "foreign",
    "impostor",
    "lost",
    "superseded",
    "failed",
    "refused",
];

/// The word by which a script ended, if it did not come to its end.
#[must_use]
pub fn last_word(answer: &[u8]) -> Option<LastWord> {
    let mut words = lines(answer).filter(|(word, _)| OBSTACLES.contains(word));
    words.next().map(|(word, text)| LastWord { word: word.to_owned(), text: shown(text) })
}

/// Reads the answer of `links.sh`: for each entry of `snapshots` its links. One of which not all are told is left out.
#[must_use]
pub fn links(answer: &[u8]) -> Vec<(String, BTreeSet<PathBuf>)> {
    let mut told: Vec<(String, Option<BTreeSet<PathBuf>>)> = Vec::new();
    for (word, text) in lines(answer) {
        match (word, told.last_mut()) {
            ("base", _) => told.push((shown(text), Some(BTreeSet::new()))),
            ("link", Some((_, links))) => {
                let path = text.strip_prefix(b"./").map(|path| PathBuf::from(OsString::from_vec(path.to_vec())));
                let is_below = |path: &PathBuf| path.components().all(|part| matches!(part, Component::Normal(_)));
                match (path.filter(is_below), links.as_mut()) {
                    (Some(path), Some(links)) => drop(links.insert(path)),
                    (Some(_), None) => {}
                    (None, _) => *links = None,
                }
            }
            ("odd", Some((_, links))) => *links = None,
            _ => {}
        }
    }
    told.into_iter().filter_map(|(name, links)| Some((name, links?))).collect()
}

/// Reads the answer of `directories.sh`: which of these paths are directories.
#[must_use]
pub fn directories(answer: &[u8], paths: &[&Path]) -> BTreeSet<PathBuf> {
    let told = lines(answer).filter(|(word, _)| *word == "directory").filter_map(|(_, text)| number(text));
    let indices = told.filter_map(|number: u64| usize::try_from(number).ok()?.checked_sub(1));
    indices.filter_map(|index| paths.get(index)).map(|path| path.to_path_buf()).collect()
}

/// Reads the answer of `look.sh`.
#[must_use]
pub fn looked(answer: &[u8]) -> Look {
    let path = |text: &[u8]| Some(PathBuf::from(OsString::from_vec(text.to_vec()))).filter(|path| path.is_absolute());
    let mut look = Look { obstacle: last_word(answer), ..Look::default() };
    let add = |to: &mut Vec<u8>, text: &[u8]| {
        to.extend_from_slice(text);
        to.push(b'\n');
    };
    for (word, text) in lines(answer) {
        match word {
            "root" => look.root = path(text),
            "at" => look.at = path(text),
            "volume" => add(&mut look.volume, text),
            "end" => add(&mut look.end, text),
            "tool" => look.missing_tools.push(shown(text)),
            "version" => look.rsync = version::of(&shown(text)),
            "writable" => look.staging = Some(shown(text)),
            "kept" => look.kept_time = Some(shown(text)),
            "fixed" => look.rights = Rights::Fixed,
            "folds" => look.letters = Letters::Same,
            "boot" => look.boot = shown(text),
            "device" => look.device = number(text).unwrap_or_default(),
            "medium" => look.medium = number(text),
            "wrote" => look.writer = writer::named(text),
            "mount" => look.mounts.get_or_insert_default().extend(mountinfo::point(text)),
            "free" | "inodes" => add_free(&mut look.free, word, text),
            "marker" => add(look.marker.get_or_insert_default(), text),
            "newest" if !text.is_empty() => look.latest = Some(PathBuf::from(OsString::from_vec(text.to_vec()))),
            "link" => look.links.push(shown(text)),
            "directory" => drop(look.entries.get_or_insert_default()),
            "entry" => look.entries.get_or_insert_default().add(&shown(text), EntryIs::Directory),
            "other" => look.entries.get_or_insert_default().add(&shown(text), EntryIs::Other),
            "log" => add(&mut look.log, text),
            "past" => add(&mut look.past, text),
            _ => {}
        }
    }
    for text in [&mut look.volume, &mut look.end] {
        text.truncate(text.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last.saturating_add(1)));
    }
    if let Some(entries) = &mut look.entries {
        entries.sort();
    }
    look
}

/// What is left on the filesystem, as a script tells it in its end.
#[must_use]
pub fn free(answer: &[u8]) -> FreeSpace {
    let mut free = FreeSpace::default();
    for (word, text) in lines(answer) {
        add_free(&mut free, word, text);
    }
    free
}

fn add_free(free: &mut FreeSpace, word: &str, text: &[u8]) {
    match word {
        "free" => free.bytes = number(text).map(|kib| kib.saturating_mul(1024)),
        "inodes" => free.inodes = number(text),
        _ => {}
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// What sort of failure these words of a program are, as the C library writes them in its own language.
#[must_use]
pub fn kind(words: &str) -> FailureKind {
    const ROWS: [(&str, FailureKind); 10] = [
        ("No space left on device", FailureKind::NoSpace),
        ("Disk quota exceeded", FailureKind::NoSpace),
        ("Read-only file system", FailureKind::ReadOnly),
        ("Input/output error", FailureKind::Io),
        ("Structure needs cleaning", FailureKind::Io),
        ("Permission denied", FailureKind::Permission),
        ("Operation not permitted", FailureKind::Permission),
        ("is no regular file", FailureKind::Hostile),
        ("is a subvolume of its own", FailureKind::Hostile),
        ("not the mv of", FailureKind::ToolMissing),
    ];
    ROWS.iter().find(|(row, _)| words.contains(row)).map_or(FailureKind::Other, |(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_read_line_by_line() {
        let answer = b"root /srv\nvolume id = \"a\"\n\nat /srv/my documents\nend \n\n\
            version rsync  version 3.1.2  protocol version 31\nwritable subvolume\nboot b\ndevice 42\nmedium 7\n\
            marker flushed\n\nnewest snapshots/2026-11-22T17:30:00.000Z\ndirectory\nentry 2026-11-22T17:30:00.000Z\n\
            entry 2026-11-21T17:30:00.000Z\nentry .stale-2026-11-23T17:30:00.000Z\nentry lost+found\nother .trash-x\n\
            entry 2026-13-40T17:30:00.000Z\nlog {}\nnonsense\n";
        let look = looked(answer);
        assert_eq!(look.at, Some("/srv/my documents".into()));
        assert_eq!((look.volume.as_slice(), look.end.as_slice()), (&b"id = \"a\""[..], &b""[..]));
        assert_eq!((look.device, look.boot.as_str(), look.obstacle), (42, "b", None));
        assert_eq!((look.medium, look.rsync), (Some(7), Some(ProgramVersion(3, 1, 2))));
        assert_eq!(look.marker, Some(b"flushed\n".to_vec()));
        let entries = look.entries.unwrap();
        let names: Vec<_> = entries.complete.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["2026-11-21T17:30:00.000Z", "2026-11-22T17:30:00.000Z"]);
        assert_eq!((entries.stale.len(), entries.in_progress.len()), (1, 0));
        assert_eq!(entries.trash, [".trash-x"]);
        assert_eq!(look.log, b"{}\n");
    }

    #[test]
    fn what_is_left_is_told_in_bytes_and_in_inodes_where_they_are_counted() {
        assert_eq!(free(b"free 9\ninodes 7\n"), FreeSpace { bytes: Some(9 << 10), inodes: Some(7) });
        assert_eq!(looked(b"free 9\ninodes \n").free, FreeSpace { bytes: Some(9 << 10), inodes: None });
        assert_eq!(free(b"gone x\n"), FreeSpace::default());
    }

    #[test]
    fn mounts_are_told_by_their_ids_in_the_spelling_of_the_kernel() {
        let look = looked(b"mount 22 /\nmount 31 /srv/my\\040pictures\nmount x /y\nmount 7\n");
        let mounts = [(MountId(22), PathBuf::from("/")), (MountId(31), "/srv/my pictures".into())];
        assert_eq!((look.mounts, looked(b"at /srv\n").mounts), (Some(mounts.to_vec()), None));
    }

    #[test]
    fn a_medium_that_is_not_numbered_is_unknown() {
        for answer in [&b"device 42\n"[..], b"device 42\nmedium \n", b"device 42\nmedium x\n"] {
            assert_eq!(looked(answer).medium, None);
        }
    }

    #[test]
    fn the_word_that_ended_a_script_is_safe_to_show() {
        let word = last_word(b"root /srv\nmissing .nbkp-vol\x1b[2J\n").unwrap();
        assert_eq!(word.word, "missing");
        assert!(!word.text.contains('\x1b'));
        assert_eq!(last_word(b"root /srv\n"), None);
    }

    #[test]
    fn words_of_programs_have_their_remedy() {
        assert_eq!(kind("mkdir: cannot create directory 'x': No space left on device"), FailureKind::NoSpace);
        assert_eq!(kind("ln: Read-only file system"), FailureKind::ReadOnly);
        assert_eq!(kind("sync: error syncing '.': Input/output error"), FailureKind::Io);
        assert_eq!(kind("whatever"), FailureKind::Other);
    }
}
