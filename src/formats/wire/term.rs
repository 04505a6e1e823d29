//! A word that has a meaning: kept as what it means on both sides of the wire.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::Worded;

/// What a word of the contract means. One that this program does not know, since a newer one wrote it, stays as it is:
/// it can still be shown, and nobody takes it for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term<T> {
    /// This.
    Known(T),
    /// A word of a newer program.
    Other(String),
}

impl<T: Worded> Term<T> {
    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known.word(),
            Self::Other(word) => word,
        }
    }

    /// Whether it means this.
    #[must_use]
    pub fn is(&self, known: T) -> bool {
        *self == Self::Known(known)
    }

    /// What it means, if that is known.
    #[must_use]
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(known) => Some(*known),
            Self::Other(_) => None,
        }
    }
}

impl<T: Worded> From<T> for Term<T> {
    fn from(known: T) -> Self {
        Self::Known(known)
    }
}

impl<T: Worded> fmt::Display for Term<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T: Worded> Serialize for Term<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: Worded> Deserialize<'de> for Term<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(T::of_word(&word).map_or_else(|| Self::Other(word.into_owned()), Self::Known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Area, DaemonState, FindingCode, Flaw, Freshness, KeepReason, ObstacleCode, Outcome, Severity, SnapshotKind,
        Standing, Step, SyncState, Trigger, VolumeKind,
    };

    /// Each word of a table goes there and back as what it means.
    fn all<T: Worded + fmt::Debug>(words: &[(&str, T)]) {
        for (word, known) in words {
            let json = format!("\"{word}\"");
            let read: Term<T> = serde_json::from_str(&json).unwrap();
            assert_eq!(read, Term::Known(*known));
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
    }

    #[test]
    fn every_word_goes_there_and_back() {
        all(&Area::WORDS);
        all(&DaemonState::WORDS);
        all(&Flaw::WORDS);
        all(&Freshness::WORDS);
        all(&KeepReason::WORDS);
        all(&ObstacleCode::WORDS);
        all(&Outcome::WORDS);
        all(&Severity::WORDS);
        all(&SnapshotKind::WORDS);
        all(&Standing::WORDS);
        all(&Step::WORDS);
        all(&SyncState::WORDS);
        all(&Trigger::WORDS);
        all(&VolumeKind::WORDS);
        let both = [Flaw::Overdue].map(|flaw| (flaw.as_str(), FindingCode::Flaw(flaw)));
        all(&both);
        let obstacle = ObstacleCode::DuplicateUuid;
        all(&[(obstacle.as_str(), FindingCode::Obstacle(obstacle))]);
    }

    #[test]
    fn a_word_of_a_newer_program_is_kept_as_it_is() {
        let read: Term<Outcome> = serde_json::from_str("\"evaporated\"").unwrap();
        assert_eq!(read, Term::Other("evaporated".into()));
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"evaporated\"");
        assert!(read.known().is_none() && !read.is(Outcome::Ok));
        assert!(serde_json::from_str::<Term<Outcome>>("7").is_err());
    }
}
