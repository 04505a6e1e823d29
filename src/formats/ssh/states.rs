//! How an entry is in each copy at a server: what is asked, and what is answered.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::answers;
use super::calls::{ProvenEnd, ScriptCall};
use super::script;
use crate::model::{EntryKind, EntryState};

/// `states.sh`.
#[derive(Debug, Clone, Copy)]
pub struct StatesCall<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// The entry, below a copy; empty for the copy itself.
    pub path: &'a Path,
    /// The copies, below the destination; an empty one is the destination itself.
    pub copies: &'a [PathBuf],
}

impl StatesCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let parent = self.path.parent().unwrap_or(Path::new(""));
        let name = self.path.file_name().unwrap_or(OsStr::new("."));
        let mut call = ScriptCall::at(script::STATES, self.end, [parent.as_os_str(), name]);
        call.words.extend(self.copies.iter().map(|copy| copy.as_os_str().to_owned()));
        call
    }
}

/// Reads the answer: the copies that have the entry, and how it is there. A server that tells anything else of one has
/// it not.
#[must_use]
pub fn states(answer: &[u8]) -> Vec<(PathBuf, EntryState)> {
    let path = |text: &[u8]| PathBuf::from(OsString::from_vec(text.to_vec()));
    let mut told: Vec<(PathBuf, Option<EntryState>)> = Vec::new();
    for (word, text) in answers::lines(answer) {
        match (word, told.last_mut()) {
            ("copy", _) => told.push((path(text), None)),
            ("state", Some((_, state))) => *state = std::str::from_utf8(text).ok().and_then(entry_state),
            ("target", Some((_, Some(state)))) => state.target = Some(path(text)),
            _ => {}
        }
    }
    told.into_iter().filter_map(|(copy, state)| Some((copy, state?))).collect()
}

/// `81a4 123 2026-11-30 01:02:03.123456789 +0000`: the mode in hexadecimal digits, the size, the time of the last
/// change, of which `BusyBox` tells no fraction.
pub(super) fn entry_state(text: &str) -> Option<EntryState> {
    let mut words = text.split_ascii_whitespace();
    let mode = u32::from_str_radix(words.next()?, 16).ok()?;
    let size = words.next()?.parse().ok()?;
    let (day, time) = (words.next()?, words.next()?);
    let modified: Timestamp = format!("{day}T{time}Z").parse().ok()?;
    let kind = match mode & 0o170_000 {
        0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Link,
        _ => EntryKind::Special,
    };
    Some(EntryState { kind, size, modified, target: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_tells_of_an_entry_is_read() {
        let answer = b"copy snapshots/2026-11-20T00:00:00.000Z\nstate 81a4 12 2026-11-19 10:00:00.250000000 +0000\n\
            copy snapshots/2026-11-21T00:00:00.000Z\nstate a1ff 3 2026-11-19 10:00:00 +0000\ntarget a b\n\
            copy odd\nstate nonsense\ncopy \nstate 41ed 4096 2026-11-19 10:00:00.000000000 +0000\n";
        let found = states(answer);
        let told: Vec<_> = found.iter().map(|(copy, state)| (copy.display().to_string(), state.kind)).collect();
        let (file, link, directory) = (EntryKind::File, EntryKind::Link, EntryKind::Directory);
        assert_eq!(
            told,
            [
                ("snapshots/2026-11-20T00:00:00.000Z".to_owned(), file),
                ("snapshots/2026-11-21T00:00:00.000Z".to_owned(), link),
                (String::new(), directory)
            ]
        );
        assert_eq!(found[0].1.modified, "2026-11-19T10:00:00.25Z".parse().unwrap());
        assert_eq!(found[1].1.target.as_deref(), Some(Path::new("a b")));
    }

    #[test]
    fn each_word_stands_where_the_script_looks_for_it() {
        let end = ProvenEnd { root: "/srv".into(), volume: "v".into(), directory: "docs".into(), end: "e".into() };
        let words = |path: &str, copy: &str| {
            let copies = [PathBuf::from(copy)];
            StatesCall { end: &end, path: Path::new(path), copies: &copies }.call().words
        };
        assert_eq!(words("a/b c/d", "snapshots/x"), ["/srv", "v", "docs", "e", "a/b c", "d", "snapshots/x"]);
        assert_eq!(words("", ""), ["/srv", "v", "docs", "e", "", ".", ""]);
    }
}
