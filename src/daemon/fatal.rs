//! Why the daemon cannot go on.

use crate::os::ears::EarsError;
use crate::os::environment::EnvironmentError;
use crate::os::socket::SocketError;
use crate::os::state_dir::StateDirError;

/// Why the daemon cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The places of its files are not known.
    #[error("could not {0}")]
    Environment(#[from] EnvironmentError),
    /// The configuration cannot be used; the text tells all its mistakes.
    #[error("{0}")]
    Configuration(String),
    /// The state directory cannot be used.
    #[error("could not {0}")]
    StateDir(#[from] StateDirError),
    /// The socket cannot be used.
    #[error("could not {0}")]
    Socket(#[from] SocketError),
    /// The ears cannot be opened.
    #[error("could not {0}")]
    Ears(#[from] EarsError),
    /// The machine refuses something that every program gets.
    #[error("could not {0}: {1}")]
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
}
