//! Names in the copies at a server: what is asked, and what is answered.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use super::answers::lines;
use super::calls::{ProvenEnd, ScriptCall};
use super::{script, states};
use crate::formats::pattern::{NamePattern, PatternScope};
use crate::model::EntryState;

/// As much is told at most; `find.sh` cuts there.
const MOST: usize = 12_000_000;

/// `find.sh`.
#[derive(Debug, Clone, Copy)]
pub struct FindCall<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// Which names.
    pub names: FarNames,
    /// What they fit; more may be told.
    pub pattern: &'a NamePattern,
    /// The copies, below the destination, the one first that is asked first.
    pub copies: &'a [PathBuf],
}

/// Which names are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarNames {
    /// Those that a line can hold.
    Plain,
    /// The others.
    Odd,
}

impl FindCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let how = match self.names {
            FarNames::Plain => "lines",
            FarNames::Odd => "odd",
        };
        let test = match self.pattern.scope() {
            PatternScope::Name => "-name",
            PatternScope::Path => "-path",
        };
        let wide = OsString::from_vec(self.pattern.wide());
        let mut call = ScriptCall::at(script::FIND, self.end, [OsStr::new(how), OsStr::new(test), &wide]);
        call.words.extend(self.copies.iter().map(|copy| copy.as_os_str().to_owned()));
        call
    }
}

/// The names that one copy at a server has, and none before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamesThere {
    /// The copy, below the destination.
    pub copy: PathBuf,
    /// The entries below it, and how they are, where that is told.
    pub entries: Vec<(PathBuf, Option<EntryState>)>,
    /// Whether some of it could not be read.
    pub is_partial: bool,
}

/// What a server tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundThere {
    /// Copy by copy.
    pub copies: Vec<NamesThere>,
    /// Whether there are names that no line can hold.
    pub has_odd: bool,
    /// Whether it had more to tell.
    pub is_cut: bool,
}

/// Reads the answer. What is no path below a copy is passed over.
#[must_use]
pub fn found(answer: &[u8]) -> FoundThere {
    let mut told = FoundThere { is_cut: answer.len() >= MOST, ..FoundThere::default() };
    for (word, text) in lines(answer) {
        match (word, told.copies.last_mut()) {
            ("copy", _) => {
                let copy = PathBuf::from(OsStr::from_bytes(text));
                told.copies.push(NamesThere { copy, ..NamesThere::default() });
            }
            ("strange", Some(_)) => told.has_odd = true,
            ("partly", Some(copy)) => copy.is_partial = true,
            ("entry", Some(copy)) => copy.entries.extend(entry(text)),
            (odd, Some(copy)) if odd.starts_with("./") => {
                let rest: &[u8] = if text.is_empty() { b"" } else { b" " };
                copy.entries.extend(below(&[odd.as_bytes(), rest, text].concat()).map(|path| (path, None)));
            }
            _ => {}
        }
    }
    told
}

/// `81a4 123 2026-11-30 01:02:03.123456789 +0000 ./a b`.
fn entry(text: &[u8]) -> Option<(PathBuf, Option<EntryState>)> {
    let at = text.windows(3).position(|window| window == b" ./")?;
    let (state, path) = text.split_at_checked(at)?;
    let state = std::str::from_utf8(state).ok().and_then(states::entry_state);
    Some((below(path.strip_prefix(b" ")?)?, state))
}

/// A path below a copy, in which a NUL stands for a line break.
fn below(text: &[u8]) -> Option<PathBuf> {
    let name = text.strip_prefix(b"./")?;
    let name = name.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte }).collect();
    let path = PathBuf::from(OsString::from_vec(name));
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    (is_below && path != Path::new("")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_tells_is_read_name_by_name() {
        let answer = b"copy snapshots/x\nentry 81a4 12 2026-11-19 10:00:00.250000000 +0000 ./a  b/./c\n\
            entry 41ed 9 nonsense ./d\nstrange\npartly\nentry 81a4 1 2026-11-19 10:00:00 +0000 ./../out\n\
            copy \n./odd \0 one\nx\n./";
        let told = found(answer);
        assert!(told.has_odd && !told.is_cut && told.copies[0].is_partial && !told.copies[1].is_partial);
        let names = |at: usize| told.copies[at].entries.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert_eq!(names(0), ["a  b/c", "d"].map(PathBuf::from));
        assert_eq!(names(1), [PathBuf::from("odd \n one")]);
        assert_eq!(told.copies[0].entries[0].1.as_ref().map(|state| state.size), Some(12));
        assert_eq!((&told.copies[0].entries[1].1, told.copies[1].copy.as_os_str().len()), (&None, 0));
    }

    #[test]
    fn each_word_stands_where_the_script_looks_for_it() {
        let end = ProvenEnd { root: "/srv".into(), volume: "v".into(), directory: "docs".into(), end: "e".into() };
        let copies = [PathBuf::from("snapshots/x")];
        let words = |pattern: &str, names| {
            let pattern = NamePattern::parse(pattern).unwrap();
            FindCall { end: &end, names, pattern: &pattern, copies: &copies }.call().words
        };
        let expected = ["/srv", "v", "docs", "e", "lines", "-name", "a*", "snapshots/x"];
        assert_eq!(words("a?", FarNames::Plain), expected);
        assert_eq!(words("a/b", FarNames::Odd).get(4..7).unwrap(), ["odd", "-path", "./a/b"]);
    }
}
