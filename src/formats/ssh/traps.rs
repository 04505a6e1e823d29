//! What the script is told that looks for pipes and the like where rsync would read a file, and what it answers.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use super::answers::lines;
use super::calls::{ProvenEnd, ScriptCall};
use super::script;
use crate::model::{End, layout};

/// `traps.sh`.
#[derive(Debug, Clone, Copy)]
pub struct TrapsCall<'a> {
    /// An end.
    pub end: &'a ProvenEnd,
    /// Which of both it is.
    pub which: End,
    /// The directory of it that is meant; empty for all of it.
    pub place: &'a Path,
    /// The names that are looked for.
    pub names: &'a BTreeSet<OsString>,
}

impl TrapsCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let [root, volume, directory, text] = self.end.words();
        let sentinel = OsStr::new(layout::sentinel(self.which));
        let words = [root, volume, directory, sentinel, text, self.place.as_os_str()];
        let mut call = ScriptCall::new(script::TRAPS, words);
        call.words.extend(self.names.iter().map(|name| literal(name)));
        call
    }
}

/// A name as a pattern of `find` that means nothing but it.
fn literal(name: &OsStr) -> OsString {
    let escaped = name.as_bytes().iter().flat_map(|byte| {
        let special = matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\').then_some(b'\\');
        special.into_iter().chain([*byte])
    });
    OsString::from_vec(escaped.collect())
}

/// Reads the answer of `traps.sh`.
#[must_use]
pub fn traps(answer: &[u8]) -> BTreeSet<PathBuf> {
    let paths = lines(answer).filter(|(word, _)| *word == "trap").filter_map(|(_, text)| text.strip_prefix(b"./"));
    let paths = paths.map(|path| PathBuf::from(OsString::from_vec(path.to_vec())));
    paths.filter(|path| path.components().all(|part| matches!(part, Component::Normal(_)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_patterns_and_paths_lie_below() {
        let end = ProvenEnd { root: "/srv".into(), volume: "v".into(), directory: "docs".into(), end: "e".into() };
        let names = ["a*[b]".into(), ".c d".into()].into();
        let call = TrapsCall { end: &end, which: End::Source, place: Path::new("p"), names: &names }.call();
        let words = ["/srv", "v", "docs", ".nbkp-src", "e", "p", ".c d", "a\\*\\[b\\]"].map(OsString::from);
        assert_eq!(call.words, words);
        let answer = b"trap ./sub/.c d\ntrap /etc/x\ntrap ./../y\nother ./z\n";
        assert_eq!(traps(answer), ["sub/.c d".into()].into());
    }
}
