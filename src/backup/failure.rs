//! From what the machine answered to how a run ends: the one place.

use crate::model::{Failure, FailureKind, NotDone, Step};
use crate::os::btrfs::BtrfsError;
use crate::os::directory::{DirectoryError, Errno};
use crate::os::process::ProcessError;

/// A failure of this kind.
pub(crate) fn failure(at: Step, kind: FailureKind, detail: impl Into<String>) -> NotDone {
    NotDone::Failed(Failure { at, kind, detail: detail.into() })
}

/// A failure of an operation on a directory or file.
pub(crate) fn of_directory(at: Step, error: &DirectoryError) -> NotDone {
    failure(at, kind(error.cause()), told(error))
}

/// A failure of an operation on a subvolume.
pub(crate) fn of_btrfs(at: Step, error: &BtrfsError) -> NotDone {
    failure(at, kind(error.cause()), told_of_btrfs(error))
}

/// A failure of a child.
pub(crate) fn of_process(at: Step, error: &ProcessError) -> NotDone {
    match error {
        ProcessError::Start(_, cause) => failure(at, FailureKind::Resource, format!("could not {error}: {cause}")),
        ProcessError::Listen(cause) => failure(at, FailureKind::Resource, format!("could not {error}: {cause}")),
        ProcessError::Wait(cause) => failure(at, FailureKind::Resource, format!("could not {error}: {cause}")),
    }
}

/// The sentence fragment of a directory's error.
pub(crate) fn told(error: &DirectoryError) -> String {
    format!("could not {error}: {}", words(error.cause()))
}

/// The sentence fragment of a subvolume's error.
pub(crate) fn told_of_btrfs(error: &BtrfsError) -> String {
    format!("could not {error}: {}", words(error.cause()))
}

/// What a cause means to a person.
pub(crate) fn words(cause: Errno) -> String {
    match cause {
        Errno::LOOP => "a symbolic link is in the way".into(),
        Errno::NOTDIR => "something that is not a directory is in the way".into(),
        Errno::XDEV => "another filesystem is mounted there".into(),
        Errno::NOTSUP => "it is not a regular file".into(),
        other => std::io::Error::from(other).to_string(),
    }
}

fn kind(cause: Errno) -> FailureKind {
    match cause {
        Errno::NOSPC | Errno::DQUOT => FailureKind::NoSpace,
        Errno::ROFS => FailureKind::ReadOnly,
        Errno::ACCESS | Errno::PERM => FailureKind::Permission,
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::NOTSUP | Errno::NXIO | Errno::ISDIR => FailureKind::Hostile,
        Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::AGAIN => FailureKind::Resource,
        Errno::IO | Errno::NODEV | Errno::STALE | Errno::NOTCONN | Errno::SHUTDOWN | Errno::UCLEAN => FailureKind::Io,
        Errno::NOTTY | Errno::NOSYS | Errno::MLINK => FailureKind::Unsupported,
        _ => FailureKind::Other,
    }
}
