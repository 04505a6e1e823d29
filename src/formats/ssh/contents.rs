//! How files at a server are, and what their contents are known by: what the scripts are told, and what they answer.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;

use super::answers::{lines, shown};
use super::calls::{ProvenEnd, ScriptCall};
use super::script;
use crate::model::{Digest, End, FileFacts, Unread, layout};

/// `files.sh`.
#[derive(Debug, Clone, Copy)]
pub struct FilesCall<'a> {
    /// A destination.
    pub end: &'a ProvenEnd,
    /// The directory of it that is meant; empty for all of it.
    pub place: &'a Path,
    /// Directories below that.
    pub directories: &'a [PathBuf],
}

impl FilesCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let mut call = ScriptCall::at(script::FILES, self.end, [self.place.as_os_str()]);
        call.words.extend(self.directories.iter().map(|directory| directory.as_os_str().to_owned()));
        call
    }
}

/// `facts.sh` and `sums.sh`.
#[derive(Debug, Clone, Copy)]
pub struct ContentsCall<'a> {
    /// An end.
    pub end: &'a ProvenEnd,
    /// Which of both it is.
    pub which: End,
    /// The directory of it that is meant; empty for all of it.
    pub place: &'a Path,
    /// Files below that.
    pub paths: &'a [PathBuf],
}

impl ContentsCall<'_> {
    /// The call that asks how they are.
    #[must_use]
    pub fn facts(&self) -> ScriptCall {
        self.of(script::FACTS)
    }

    /// The call that asks for their contents.
    #[must_use]
    pub fn sums(&self) -> ScriptCall {
        self.of(script::SUMS)
    }

    fn of(&self, script: &'static str) -> ScriptCall {
        let [root, volume, directory, text] = self.end.words();
        let sentinel = OsStr::new(layout::sentinel(self.which));
        let mut call = ScriptCall::new(script, [root, volume, directory, sentinel, text, self.place.as_os_str()]);
        // No path is taken for an option.
        call.words.extend(self.paths.iter().map(|path| Path::new(".").join(path).into_os_string()));
        call
    }
}

/// What lies in directories at a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesThere {
    /// Its regular files.
    pub files: BTreeMap<PathBuf, FileFacts>,
    /// Its directories.
    pub directories: Vec<PathBuf>,
    /// How many names in which directory no line can hold.
    pub odd: BTreeMap<PathBuf, u64>,
    /// Directories that could not be listed.
    pub closed: Vec<PathBuf>,
}

/// Reads the answer of `files.sh`.
#[must_use]
pub fn files(answer: &[u8]) -> FilesThere {
    let mut found = FilesThere::default();
    for (word, text) in lines(answer) {
        match word {
            "file" => found.files.extend(facts_of(text)),
            "directory" => found.directories.extend(below(text)),
            "odd" => {
                let mut parts = text.splitn(2, |byte| *byte == b' ');
                let names = parts.next().and_then(number).unwrap_or(1);
                let directory = PathBuf::from(OsStr::from_bytes(parts.next().unwrap_or_default()));
                found.odd.entry(directory).and_modify(|before| *before = before.saturating_add(names)).or_insert(names);
            }
            "closed" => found.closed.push(PathBuf::from(OsStr::from_bytes(text))),
            _ => {}
        }
    }
    found
}

/// Reads the answer of `facts.sh`.
#[must_use]
pub fn facts_there(answer: &[u8]) -> BTreeMap<PathBuf, FileFacts> {
    let regular = |text: &[u8]| {
        let end = text.iter().position(|byte| *byte == b' ')?;
        let (mode, rest) = text.split_at_checked(end)?;
        let mode = u32::from_str_radix(std::str::from_utf8(mode).ok()?, 16).ok()?;
        if mode & 0xf000 == 0x8000 { facts_of(rest.get(1..)?) } else { None }
    };
    lines(answer).filter(|(word, _)| *word == "fact").filter_map(|(_, text)| regular(text)).collect()
}

/// Reads the answer of `sums.sh` about these files. What it says nothing of is not there.
#[must_use]
pub fn sums(answer: &[u8], paths: &[PathBuf]) -> BTreeMap<PathBuf, Result<Digest, Unread>> {
    let mut told: BTreeMap<usize, Result<Digest, Unread>> = BTreeMap::new();
    for (word, text) in lines(answer) {
        let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
        let Some((which, rest)) = text.split_at_checked(end) else { continue };
        let Some(which) = number(which).and_then(|which| usize::try_from(which).ok()) else { continue };
        let rest = rest.strip_prefix(b" ").unwrap_or_default();
        let said = match word {
            "sum" => digest(rest).ok_or_else(|| Unread::Broken(format!("no sum but {}", shown(rest)))),
            "forbidden" => Err(Unread::Forbidden),
            "broken" => {
                let words = shown(rest);
                // Who lost the race against somebody else's change says so in these words.
                if words.contains("No such file") { Err(Unread::Gone) } else { Err(Unread::Broken(words)) }
            }
            _ => continue,
        };
        told.insert(which, said);
    }
    let of = |(at, path): (usize, &PathBuf)| (path.clone(), told.remove(&(at + 1)).unwrap_or(Err(Unread::Gone)));
    paths.iter().enumerate().map(of).collect()
}

/// `12 2049 77 1700000000 2026-11-19 10:00:00.250000000 +0000 ./a b`.
fn facts_of(text: &[u8]) -> Option<(PathBuf, FileFacts)> {
    let mut parts = text.splitn(8, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(parts.next()?).ok();
    let (size, device, inode) = (word()?.parse().ok()?, word()?.parse().ok()?, word()?.parse().ok()?);
    let changed = word()?.parse().ok()?;
    let (day, time, _zone) = (word()?, word()?, word()?);
    let modified: Timestamp = format!("{day}T{time}Z").parse().ok()?;
    let path = below(parts.next()?)?;
    Some((path, FileFacts { size, modified, changed, inode: (device, inode) }))
}

fn below(text: &[u8]) -> Option<PathBuf> {
    let path = PathBuf::from(OsString::from_vec(text.strip_prefix(b"./")?.to_vec()));
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    (is_below && path.components().next().is_some()).then_some(path)
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn digest(text: &[u8]) -> Option<Digest> {
    let mut bytes = [0_u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_where_its_script_looks_for_it() {
        let end = ProvenEnd { root: "/srv".into(), volume: "v".into(), directory: "docs".into(), end: "e".into() };
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let (place, paths) = (Path::new("p"), [PathBuf::from("-a b")]);
        let call = ContentsCall { end: &end, which: End::Source, place, paths: &paths };
        assert_eq!(call.facts().words, words(&["/srv", "v", "docs", ".nbkp-src", "e", "p", "./-a b"]));
        assert_eq!(call.facts().words, call.sums().words);
        let call = FilesCall { end: &end, place, directories: &["".into(), "a/b".into()] }.call();
        assert_eq!(call.words, words(&["/srv", "v", "docs", "e", "p", "", "a/b"]));
    }

    #[test]
    fn what_lies_there_is_read_and_nothing_that_lies_elsewhere() {
        let answer = b"directory ./a b\nfile 12 2049 77 1700000000 2026-11-19 10:00:00.25 +0000 ./a b/c d\n\
            file 12 2049 77 1700000000 2026-11-19 10:00:00 +0000 ./../out\nfile nonsense\nodd 2 e f\n\
            odd 1 \nodd 1 e f\nclosed x y\n\
            directory /etc\n";
        let found = files(answer);
        assert_eq!(found.directories, [PathBuf::from("a b")]);
        assert_eq!(found.odd, BTreeMap::from([("".into(), 1), ("e f".into(), 3)]));
        assert_eq!(found.closed, [PathBuf::from("x y")]);
        let modified = "2026-11-19T10:00:00.25Z".parse().unwrap();
        let told = FileFacts { size: 12, modified, changed: 1_700_000_000, inode: (2049, 77) };
        assert_eq!(found.files, BTreeMap::from([(PathBuf::from("a b/c d"), told)]));
        let answer =
            b"fact 81a4 1 2 3 4 2026-11-19 10:00:00 +0000 ./x\nfact a1ff 1 2 3 4 2026-11-19 10:00:00 +0000 ./l\n";
        assert_eq!(facts_there(answer).into_keys().collect::<Vec<_>>(), [PathBuf::from("x")]);
    }

    #[test]
    fn sums_belong_to_their_files_by_number() {
        let paths = ["a", "b", "c", "d", "e"].map(PathBuf::from);
        let answer = format!(
            "sum 1 {}\nforbidden 2\nbroken 3 sha256sum: 'standard input': Input/output error\nsum 5 xyz\nsum 9 {0}\n",
            "0f".repeat(32)
        );
        let told = sums(answer.as_bytes(), &paths);
        assert_eq!(told[Path::new("a")], Ok(Digest([15; 32])));
        assert_eq!(told[Path::new("b")], Err(Unread::Forbidden));
        assert!(matches!(&told[Path::new("c")], Err(Unread::Broken(why)) if why.contains("Input/output error")));
        assert_eq!(told[Path::new("d")], Err(Unread::Gone));
        assert!(matches!(&told[Path::new("e")], Err(Unread::Broken(_))));
    }
}
