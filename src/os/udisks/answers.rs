//! What the errors of udisks mean.

use zbus::DBusError;

use crate::formats::udisks::{self, Kind};

/// What an error means here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) words: String,
}

/// What an error means.
pub(super) fn judge(error: &zbus::Error) -> Answer {
    if let zbus::Error::MethodError(name, words, _) = error {
        let words = words.as_deref().unwrap_or_else(|| name.as_str());
        return Answer { kind: udisks::kind(name.as_str(), words), words: words.to_owned() };
    }
    if let zbus::Error::FDO(error) = error {
        let words = error.description().unwrap_or_default().to_owned();
        return Answer { kind: udisks::kind(error.name().as_str(), &words), words };
    }
    if let zbus::Error::InputOutput(cause) = error
        && cause.kind() == std::io::ErrorKind::TimedOut
    {
        return Answer { kind: Kind::Unanswered, words: "udisks2 did not answer in time".into() };
    }
    // The bus itself is gone; whoever tries again connects anew.
    Answer { kind: Kind::Absent, words: error.to_string() }
}
