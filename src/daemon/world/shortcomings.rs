//! What works no longer beside the backups themselves, and what is missing without it.

use std::collections::BTreeMap;

use crate::daemon::messages::event::Notice;

/// The neighbours that work no longer, each with a sentence that says what is missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Shortcomings(BTreeMap<&'static str, String>);

impl Shortcomings {
    /// A neighbour works no longer, or again. Returns what the journal has to say about it.
    pub(super) fn note(&mut self, neighbour: &'static str, sentence: Option<String>) -> Option<Notice> {
        let Some(sentence) = sentence else {
            self.0.remove(neighbour);
            return None;
        };
        let before = self.0.insert(neighbour, sentence.clone());
        (before.as_ref() != Some(&sentence)).then_some(Notice::Degraded(sentence))
    }

    pub(super) fn all(&self) -> &BTreeMap<&'static str, String> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_shortcoming_is_no_news() {
        let mut shortcomings = Shortcomings::default();
        let note = |shortcomings: &mut Shortcomings, sentence: Option<&str>| {
            shortcomings.note("ears", sentence.map(str::to_owned)).is_some()
        };
        assert!(note(&mut shortcomings, Some("no udev")));
        assert!(!note(&mut shortcomings, Some("no udev")));
        assert!(note(&mut shortcomings, Some("no mount table")));
        assert!(!note(&mut shortcomings, None) && shortcomings.all().is_empty());
        assert!(note(&mut shortcomings, Some("no mount table")));
    }
}
