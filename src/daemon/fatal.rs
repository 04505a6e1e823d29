//! Why the daemon cannot go on.

use crate::os::causes::chain;
use crate::os::ears::EarsError;
use crate::os::environment::EnvironmentError;
use crate::os::socket::SocketError;
use crate::os::state_dir::StateDirError;

/// Why the daemon cannot go on; [`Fatal::sentence`] tells it with its causes.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The places of its files are not known.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The configuration cannot be used; the text tells all its mistakes.
    #[error("{0}")]
    Configuration(String),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The socket cannot be used.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The ears cannot be opened.
    #[error(transparent)]
    Ears(#[from] EarsError),
    /// The machine refuses something that every program gets.
    #[error("{0}")]
    Machine(&'static str, #[source] std::io::Error),
    /// A part of the daemon ended that should not.
    #[error("the {0} ended unexpectedly; this is a mistake in nbkpd, please report it with its log")]
    TaskEnded(&'static str),
}

impl Fatal {
    /// The exit code: 2 for what a person has to correct in the configuration or on the command line.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Environment(_) | Self::Configuration(_) => 2,
            Self::StateDir(_) | Self::Socket(_) | Self::Ears(_) | Self::Machine(..) | Self::TaskEnded(_) => 1,
        }
    }

    /// What a person is told.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Configuration(_) | Self::TaskEnded(_) => self.to_string(),
            Self::Environment(_) | Self::StateDir(_) | Self::Socket(_) | Self::Ears(_) | Self::Machine(..) => {
                format!("could not {}", chain(self))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fatal_is_told_with_its_cause() {
        let full = || std::io::Error::from_raw_os_error(28);
        let at = jiff::Timestamp::UNIX_EPOCH;
        for (fatal, told) in [
            (EarsError::Descriptor("timer", full()).into(), "could not make a timer: No space left"),
            (EarsError::Thread(full()).into(), "could not start the thread that listens for events: No space left"),
            (EarsError::Alarm(at, full()).into(), "could not set the alarm to 1970-01-01T00:00:00Z: No space left"),
            (SocketError::Bind("/x".into(), full()).into(), "could not listen on /x: No space left"),
            (
                StateDirError::Lock("/x".into(), full()).into(),
                "could not lock the state directory /x (--state-dir names another): No space left",
            ),
            (Fatal::Machine("start a thread", full()), "could not start a thread: No space left"),
            (Fatal::TaskEnded("observer"), "the observer ended unexpectedly; "),
        ] {
            let sentence = fatal.sentence();
            assert!(sentence.starts_with(told), "{sentence}");
            assert_eq!(sentence.matches("No space left").count(), told.matches("No space left").count(), "{sentence}");
        }
    }
}
