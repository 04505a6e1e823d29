//! What the scripts are told that look for links in older copies, and for directories in their places.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::calls::{ProvenEnd, ScriptCall};
use super::script;
use crate::model::{End, layout};

/// `links.sh`.
#[derive(Debug, Clone, Copy)]
pub struct LinksCall<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// The run.
    pub run: &'a OsStr,
    /// Entries of `snapshots`.
    pub names: &'a [String],
}

impl LinksCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let mut call = ScriptCall::at(script::LINKS, self.end, [self.run]);
        call.words.extend(self.names.iter().map(OsString::from));
        call
    }
}

/// `directories.sh`.
#[derive(Debug, Clone, Copy)]
pub struct DirectoriesCall<'a> {
    /// An end.
    pub end: &'a ProvenEnd,
    /// Which of both it is.
    pub which: End,
    /// The directory of it that is meant; empty for all of it.
    pub place: &'a Path,
    /// Whether links count as the directories that they lead to.
    pub follows: bool,
    /// Paths below that.
    pub paths: &'a [&'a Path],
}

impl DirectoriesCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let [root, volume, directory, text] = self.end.words();
        let sentinel = OsStr::new(layout::sentinel(self.which));
        let follows = OsStr::new(if self.follows { "follow" } else { "" });
        let words = [root, volume, directory, sentinel, text, self.place.as_os_str(), follows];
        let mut call = ScriptCall::new(script::DIRECTORIES, words);
        call.words.extend(self.paths.iter().map(|path| path.as_os_str().to_owned()));
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_where_its_script_looks_for_it() {
        let end = ProvenEnd { root: "/srv".into(), volume: "v".into(), directory: "docs".into(), end: "e".into() };
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let links = LinksCall { end: &end, run: OsStr::new("r:"), names: &["n".into()] };
        assert_eq!(links.call().words, words(&["/srv", "v", "docs", "e", "r:", "n"]));
        let (which, place) = (End::Source, Path::new("p"));
        let directories = DirectoriesCall { end: &end, which, place, follows: false, paths: &[Path::new("a b")] };
        assert_eq!(directories.call().words, words(&["/srv", "v", "docs", ".nbkp-src", "e", "p", "", "a b"]));
    }
}
