//! What can stop the demonstration.

use std::path::PathBuf;

/// Why the demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// The person who watched went away.
    #[error("it was interrupted")]
    Interrupted,
    /// A file or directory could not be used.
    #[error("could not use {}", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// A program could not be started.
    #[error("could not start {}", .0.display())]
    Start(PathBuf, #[source] std::io::Error),
    /// A program said no.
    #[error("{0} said: {1}")]
    Refused(String, String),
    /// The daemon ended before its time.
    #[error("nbkpd ended; its last words: {0}")]
    DaemonEnded(String),
    /// Something did not happen in time.
    #[error("waited in vain until {0}")]
    TooLate(&'static str),
    /// Something happened that should not.
    #[error("{0}")]
    Unexpected(String),
}
