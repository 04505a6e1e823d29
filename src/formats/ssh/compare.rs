//! What differs between two copies at a server: what is asked, and what is answered.

use std::ffi::OsString;
use std::path::Path;

use super::answers::lines;
use super::calls::{ProvenEnd, ScriptCall};
use super::script;

/// `compare.sh`.
#[derive(Debug, Clone, Copy)]
pub struct CompareCall<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// The newer copy, below that.
    pub newer: &'a Path,
    /// The older one.
    pub older: &'a Path,
    /// rsync's options.
    pub options: &'a [OsString],
}

impl CompareCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let mut call = ScriptCall::at(script::COMPARE, self.end, [self.newer.as_os_str(), self.older.as_os_str()]);
        call.words.extend(self.options.iter().cloned());
        call
    }
}

/// How rsync ended there; `None` if it had more to tell than an answer may hold.
#[must_use]
pub fn ended(answer: &[u8]) -> Option<i32> {
    let (_, code) = lines(answer).filter(|(word, _)| *word == "ended").last()?;
    std::str::from_utf8(code).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_its_end_is_known() {
        assert_eq!(ended(b"send|>f+++++++++|1|0|ended 7//\nended 23\n"), Some(23));
        assert_eq!(ended(b"send|>f+++++++++|1|0|x//\nend"), None);
    }

    #[test]
    fn each_word_stands_where_the_script_looks_for_it() {
        let end = ProvenEnd { root: "/srv".into(), volume: "v".into(), directory: "docs".into(), end: "e".into() };
        let (newer, older, options) = (Path::new("snapshots/b"), Path::new("snapshots/a"), ["-a".into()]);
        let words = CompareCall { end: &end, newer, older, options: &options }.call().words;
        assert_eq!(words, ["/srv", "v", "docs", "e", "snapshots/b", "snapshots/a", "-a"]);
    }
}
