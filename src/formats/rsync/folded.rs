//! Names that are one and the same to a filesystem that does not tell capital letters from small ones.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::model::Named;

/// The names of a copy, told apart as such a filesystem does. It costs two numbers a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Folded {
    /// By what the filesystem makes of a name: the name that came first.
    first: HashMap<u64, u64>,
    same: Named,
}

impl Folded {
    /// Adds a name with its path; one that comes again is the same name.
    pub(super) fn add(&mut self, name: &[u8]) {
        let text = String::from_utf8_lossy(name);
        let own = number(&text);
        let first = *self.first.entry(folded(&text)).or_insert(own);
        if first != own {
            self.same.add(shown(&text));
        }
    }

    /// Keeps of what is told as deleted what none of the names is, and that once: one entry may be told by two names.
    pub(super) fn keep_others<T>(&self, told: &mut Vec<T>, path: impl Fn(&T) -> Option<Vec<u8>>) {
        let mut seen = HashSet::new();
        told.retain(|each| {
            let Some(path) = path(each) else { return true };
            let name = folded(&String::from_utf8_lossy(&path));
            !self.first.contains_key(&name) && seen.insert(name)
        });
    }

    /// The names that are the same as one before them.
    pub(super) fn same(&self) -> &Named {
        &self.same
    }
}

/// FAT, exFAT and NTFS map single letters, so that `ß` stays what it is.
fn upper(letter: char) -> char {
    let mut mapped = letter.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        (Some(_) | None, _) => letter,
    }
}

/// What the filesystem makes of a name, as a number.
fn folded(text: &str) -> u64 {
    number(&text.chars().map(upper).collect::<String>())
}

fn number(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.trim_end_matches('/').hash(&mut hasher);
    hasher.finish()
}

fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_differ_in_case_fall_together() {
        let mut names = Folded::default();
        for name in ["Readme", "a/", "a/readme", "Readme", "README", "straße", "STRASSE", "ä", "Ä", "A"] {
            names.add(name.as_bytes());
        }
        assert_eq!(names.same().examples, ["README", "Ä", "A"]);
        let mut told = vec!["READme", "a/", "A/README", "b/readme", "ss", "SS", "B/"];
        names.keep_others(&mut told, |name| (*name != "a/").then(|| name.as_bytes().to_vec()));
        assert_eq!(told, ["a/", "b/readme", "ss", "B/"], "what has no path is kept as it is");
    }
}
