//! What made a copy large: how much was sent of which directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::formats::rsync::output::{OutputLine, unescaped};
use crate::formats::text::printable;
use crate::model::HeavyDirectory;

/// So many directories are told apart; of more, the deepest count with those above them.
const MOST: usize = 10_000;

/// The bytes that were sent of the files right in each directory.
#[derive(Debug, Default)]
pub(crate) struct Weights(BTreeMap<PathBuf, u64>);

impl Weights {
    /// Takes what a line of rsync's output says.
    pub(crate) fn hear(&mut self, said: &OutputLine) {
        let Some(item) = said.changed().filter(|item| item.bytes > 0) else { return };
        let name = unescaped(&item.name);
        let directory = Path::new(OsStr::from_bytes(&name)).parent().unwrap_or(Path::new(""));
        if let Some(bytes) = self.0.get_mut(directory) {
            *bytes = bytes.saturating_add(item.bytes);
        } else {
            self.0.insert(directory.to_owned(), item.bytes);
            while self.0.len() > MOST {
                self.fold_deepest();
            }
        }
    }

    fn fold_deepest(&mut self) {
        let depth = |path: &Path| path.components().count();
        let deepest = self.0.keys().map(|path| depth(path)).max().unwrap_or_default();
        let folded: Vec<_> = self.0.extract_if(.., |path, _| depth(path) == deepest).collect();
        for (path, bytes) in folded {
            let above = path.parent().unwrap_or(Path::new("")).to_owned();
            let sum = self.0.entry(above).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }

    /// Those of which most was sent, the first the most.
    pub(crate) fn heaviest(self) -> Vec<HeavyDirectory> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|(one, most), (other, more)| more.cmp(most).then_with(|| one.cmp(other)));
        all.truncate(HeavyDirectory::MOST);
        let shown = |path: &Path| match path.to_string_lossy() {
            path if path.is_empty() => ".".to_owned(),
            path => printable(&path).into_owned(),
        };
        all.into_iter().map(|(path, bytes)| HeavyDirectory { directory: shown(&path), bytes }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::rsync::output::Item;

    fn sent(weights: &mut Weights, name: &str, bytes: u64) {
        weights.hear(&OutputLine::Changed(Item { how: ">f+++++++++".into(), bytes, name: name.into() }));
    }

    fn heaviest(weights: Weights) -> Vec<(String, u64)> {
        weights.heaviest().into_iter().map(|heavy| (heavy.directory, heavy.bytes)).collect()
    }

    #[test]
    fn the_directories_of_which_most_was_sent_are_told_in_order() {
        let mut weights = Weights::default();
        let files = [("a/1", 5), ("a/b/2", 40), ("top", 7), ("a/3", 5), ("odd\\#012/x", 9), ("same", 0), ("z/4", 1)];
        for (name, bytes) in files {
            sent(&mut weights, name, bytes);
        }
        weights.hear(&OutputLine::Deleted("a/b/5".into()));
        assert_eq!(heaviest(weights), [("a/b".to_owned(), 40), ("a".to_owned(), 10), ("odd\\n".to_owned(), 9)]);
    }

    #[test]
    fn of_a_great_many_directories_the_deepest_count_with_those_above() {
        let mut weights = Weights::default();
        sent(&mut weights, "films/one", 6000);
        for number in 0..MOST + 5 {
            sent(&mut weights, &format!("photos/{}/{number}/raw/x", number % 2), 1);
        }
        assert!(weights.0.len() <= MOST);
        let all = weights.0.values().sum::<u64>();
        assert_eq!(all, 6000 + u64::try_from(MOST).unwrap() + 5);
        assert_eq!(heaviest(weights).remove(0), ("films".to_owned(), 6000));
    }
}
