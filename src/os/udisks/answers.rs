//! What the errors of udisks mean.

use zbus::DBusError;

use crate::formats::udisks::{self, Meaning};

/// What an error means here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ErrorAnswer {
    pub(super) kind: Meaning,
    pub(super) words: String,
}

/// What an error means.
pub(super) fn judge(error: &zbus::Error) -> ErrorAnswer {
    if let zbus::Error::MethodError(name, words, _) = error {
        let words = words.as_deref().unwrap_or_else(|| name.as_str());
        return ErrorAnswer { kind: udisks::kind(name.as_str(), words), words: words.to_owned() };
    }
    if let zbus::Error::FDO(error) = error {
        let words = error.description().unwrap_or_default().to_owned();
        return ErrorAnswer { kind: udisks::kind(error.name().as_str(), &words), words };
    }
    if let zbus::Error::InputOutput(cause) = error
        && cause.kind() == std::io::ErrorKind::TimedOut
    {
        return ErrorAnswer { kind: Meaning::Unanswered, words: "udisks2 did not answer in time".into() };
    }
    // The bus itself is gone; whoever tries again connects anew.
    ErrorAnswer { kind: Meaning::Absent, words: error.to_string() }
}
