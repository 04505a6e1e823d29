//! What keeps a command from doing its work, and the exit codes.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::formats::wire::{BadMessage, CallError, FrameTooLong};
use crate::os::causes::chain;
use crate::os::config_file::ConfigFileError;
use crate::os::environment::EnvironmentError;
use crate::os::service;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Fine,
    /// A run failed, was interrupted or was held, or something else that was asked for did not work.
    Failed,
    /// The command line or the configuration is wrong, or names what is not there.
    Usage,
    /// The daemon is not within reach.
    Unreachable,
    /// Nothing could run, which counts: with `--strict`, and for syncs that were named and waited for.
    NothingRan,
    /// What the work without a daemon says.
    Other(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::NothingRan => 4,
            Exit::Other(code) => code,
        })
    }
}

/// What keeps a command from doing its work; [`CommandError::sentence`] says what happened, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Standard output does not take what is written.
    #[error("could not write to standard output")]
    Output(#[source] io::Error),
    /// Nobody listens at the socket.
    #[error("nbkpd is not running (nobody answers at {}); start it with `{}`", .0.display(), service::command("start"))]
    NotRunning(PathBuf),
    /// The socket cannot be used.
    #[error("could not reach nbkpd at {}", .0.display())]
    Connect(PathBuf, #[source] io::Error),
    /// Somebody else listens there.
    #[error("would not ask at {}: a process of user {} answers there, which is neither yours nor root's; name the \
             socket of your daemon with --socket", .0.display(), .1)]
    Stranger(PathBuf, u32),
    /// The connection broke.
    #[error("the connection to nbkpd broke")]
    Broken(#[source] io::Error),
    /// The daemon went away before it answered.
    #[error("nbkpd went away before it answered; `{}` tells why", service::command("status"))]
    Vanished,
    /// The daemon went away in the middle of an answer.
    #[error("nbkpd went away in the middle of its answer; `{}` tells why", service::command("status"))]
    VanishedAmid,
    /// The daemon takes too long.
    #[error("nbkpd has not answered within {} s; `{}` tells how it is", .0, service::command("status"))]
    Silent(u64),
    /// The answer is longer than any.
    #[error("could not read the answer of nbkpd")]
    TooLong(#[from] FrameTooLong),
    /// The answer is not understood.
    #[error("could not read the answer of nbkpd")]
    Unreadable(#[from] BadMessage),
    /// The daemon says no.
    #[error(transparent)]
    Refused(#[from] CallError),
    /// A daemon runs that works by another configuration.
    #[error("nbkpd runs with another configuration, {}, so that it was asked to prepare nothing; stop it, or give \
             another one for {} a place of its own by --socket and --state-dir, and call the same command again with \
             these", .theirs.display(), .ours.display())]
    OtherConfiguration {
        /// The file that it reads.
        theirs: PathBuf,
        /// The file that was meant.
        ours: PathBuf,
    },
    /// The work without a daemon did not begin.
    #[error("{1}")]
    Alone(u8, String),
    /// The work without a daemon was stopped.
    #[error("the work was stopped; what it has done is kept, and the next run goes on from there")]
    Stopped,
    /// A path is not known.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The configuration file cannot be read.
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    /// What was asked for does not exist.
    #[error("{0}")]
    Usage(String),
    /// Something local did not work.
    #[error("{0}")]
    Failed(String),
}

impl CommandError {
    /// The exit code it ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            // Whoever closed the pipe has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Fine,
            Self::Output(_) | Self::OtherConfiguration { .. } | Self::Stopped | Self::Failed(_) => Exit::Failed,
            Self::NotRunning(_)
            | Self::Connect(..)
            | Self::Stranger(..)
            | Self::Broken(_)
            | Self::Vanished
            | Self::VanishedAmid
            | Self::Silent(_)
            | Self::TooLong(_)
            | Self::Unreadable(_) => Exit::Unreachable,
            Self::Refused(error) => refused(error),
            Self::Alone(code, _) => Exit::Other(*code),
            Self::Environment(_) | Self::ConfigFile(_) | Self::Usage(_) => Exit::Usage,
        }
    }

    /// What a person is told.
    #[must_use]
    pub fn sentence(&self) -> String {
        let told = chain(self);
        match self {
            Self::Environment(_) | Self::ConfigFile(_) => format!("could not {told}"),
            Self::Connect(_, error) if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("{told}; only the user that nbkpd runs as, and root, may talk to it")
            }
            Self::Broken(_) => format!("{told}; `{}` tells whether it runs", service::command("status")),
            Self::Unreadable(_) => format!("{told}; it and nbkpctl may be of different versions"),
            Self::Output(_)
            | Self::NotRunning(_)
            | Self::Connect(..)
            | Self::Stranger(..)
            | Self::Vanished
            | Self::VanishedAmid
            | Self::Silent(_)
            | Self::TooLong(_)
            | Self::Refused(_)
            | Self::OtherConfiguration { .. }
            | Self::Alone(..)
            | Self::Stopped
            | Self::Usage(_)
            | Self::Failed(_) => told,
        }
    }

    /// Whether it is told to anyone.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.exit() == Exit::Fine
    }
}

fn refused(error: &CallError) -> Exit {
    match error {
        CallError::UnknownSync { .. }
        | CallError::UnknownVolume { .. }
        | CallError::NoDrive { .. }
        | CallError::UnknownLocation { .. }
        | CallError::InvalidParameter { .. } => Exit::Usage,
        CallError::Stopping | CallError::TooManyConnections { .. } => Exit::Unreachable,
        CallError::InterfaceNotFound { .. }
        | CallError::MethodNotFound { .. }
        | CallError::MethodNotImplemented { .. }
        | CallError::BadMessage { .. }
        | CallError::Failed { .. }
        | CallError::Other { .. } => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_exit_code() {
        let unknown = CallError::UnknownSync { sync: "a".into(), similar: vec![] };
        for (problem, exit) in [
            (CommandError::Output(io::ErrorKind::BrokenPipe.into()), Exit::Fine),
            (CommandError::Output(io::ErrorKind::StorageFull.into()), Exit::Failed),
            (CommandError::NotRunning("/x".into()), Exit::Unreachable),
            (CommandError::Vanished, Exit::Unreachable),
            (CommandError::Stopped, Exit::Failed),
            (CommandError::Refused(unknown), Exit::Usage),
            (CommandError::Refused(CallError::Stopping), Exit::Unreachable),
            (CommandError::Refused(CallError::Failed { message: "x".into() }), Exit::Failed),
            (CommandError::Alone(2, "x".into()), Exit::Other(2)),
        ] {
            assert_eq!(problem.exit(), exit, "{problem}");
            assert_eq!(problem.is_silent(), exit == Exit::Fine);
        }
    }

    #[test]
    fn a_missing_daemon_is_told_with_the_command_that_starts_it() {
        let text = CommandError::NotRunning("/run/x.sock".into()).sentence();
        assert!(
            text.starts_with("nbkpd is not running (nobody answers at /run/x.sock); start it with `systemctl"),
            "{text}"
        );
    }
}
