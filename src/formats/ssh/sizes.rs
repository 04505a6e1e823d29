//! What the scripts are told that tell the sizes of files, and what they answer.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use super::answers::lines;
use super::calls::{ProvenEnd, ScriptCall};
use super::script;
use crate::model::{End, layout};

/// `sizes.sh`.
#[derive(Debug, Clone, Copy)]
pub struct SizesCall<'a> {
    /// An end.
    pub end: &'a ProvenEnd,
    /// Which of both it is.
    pub which: End,
    /// The directory of it that is meant; empty for all of it.
    pub place: &'a Path,
    /// Paths below that.
    pub paths: &'a [&'a Path],
}

impl SizesCall<'_> {
    /// The call. What no line can hold is not asked for.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let [root, volume, directory, text] = self.end.words();
        let sentinel = OsStr::new(layout::sentinel(self.which));
        let words = [root, volume, directory, sentinel, text, self.place.as_os_str()];
        let mut call = ScriptCall::new(script::SIZES, words);
        let asked = self.paths.iter().filter(|path| !path.as_os_str().as_bytes().contains(&b'\n'));
        // No path is taken for an option.
        call.words.extend(asked.map(|path| Path::new(".").join(path).into_os_string()));
        call
    }
}

/// `sample.sh`.
#[derive(Debug, Clone, Copy)]
pub struct SampleCall<'a> {
    /// A destination.
    pub end: &'a ProvenEnd,
    /// The directory of it that is meant; empty for all of it.
    pub place: &'a Path,
    /// From how many of its directories.
    pub directories: usize,
    /// How many files.
    pub files: usize,
}

impl SampleCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let (directories, files) = (self.directories.to_string(), self.files.to_string());
        let words = [self.place.as_os_str(), OsStr::new(&directories), OsStr::new(&files)];
        ScriptCall::at(script::SAMPLE, self.end, words)
    }
}

/// Reads the answer of both: the sizes of regular files.
#[must_use]
pub fn sizes(answer: &[u8]) -> BTreeMap<PathBuf, u64> {
    lines(answer).filter(|(word, _)| *word == "size").filter_map(|(_, text)| size(text)).collect()
}

fn size(text: &[u8]) -> Option<(PathBuf, u64)> {
    let mut parts = text.splitn(3, |byte| *byte == b' ');
    let mut number = |radix| u64::from_str_radix(std::str::from_utf8(parts.next()?).ok()?, radix).ok();
    let (size, mode) = (number(10)?, number(16)?);
    let path = PathBuf::from(OsString::from_vec(parts.next()?.strip_prefix(b"./")?.to_vec()));
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    (mode & 0xf000 == 0x8000 && is_below).then_some((path, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_where_its_script_looks_for_it() {
        let end = ProvenEnd { root: "/srv".into(), volume: "v".into(), directory: "docs".into(), end: "e".into() };
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let place = Path::new("p");
        let paths = ["-a b", "a\nb"].map(Path::new);
        let call = SizesCall { end: &end, which: End::Source, place, paths: &paths }.call();
        assert_eq!(call.words, words(&["/srv", "v", "docs", ".nbkp-src", "e", "p", "./-a b"]));
        let call = SampleCall { end: &end, place, directories: 2, files: 9 }.call();
        assert_eq!(call.words, words(&["/srv", "v", "docs", "e", "p", "2", "9"]));
    }

    #[test]
    fn the_sizes_of_regular_files_below_are_read_and_nothing_else() {
        let answer = b"size 7 81a4 ./a b/c\nsize 0 8180 ./-\xff\nsize 9 a1ff ./link\nsize 9 41ed ./directory\n\
            size 9 81a4 ./../out\nsize 9 81a4 /etc/passwd\nsize x 81a4 ./x\nsize 9\nsizes\n";
        let expected = [(PathBuf::from("a b/c"), 7), (PathBuf::from(OsStr::from_bytes(b"-\xff")), 0)];
        assert_eq!(sizes(answer), expected.into());
    }
}
