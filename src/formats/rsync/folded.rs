//! Names that are one and the same to a filesystem that does not tell capital letters from small ones.

use std::collections::HashMap;
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
        let folded = text.chars().map(upper).collect::<String>();
        let first = *self.first.entry(number(&folded)).or_insert(own);
        if first != own {
            self.same.add(shown(&text));
        }
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
    }
}
