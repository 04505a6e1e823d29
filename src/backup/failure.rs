//! From what the machine answered to how a run ends: the one place.

use std::error::Error;

use crate::model::{Failure, FailureKind, NotDone, Step};
use crate::os::btrfs::BtrfsError;
use crate::os::causes::chain;
pub(crate) use crate::os::causes::words;
use crate::os::directory::{DirectoryError, Errno};
use crate::os::process::ProcessError;

/// A failure of this kind.
pub(crate) fn failure(at: Step, kind: FailureKind, detail: impl Into<String>) -> NotDone {
    NotDone::Failed(Failure { at, kind, detail: detail.into() })
}

/// A failure of an operation on a directory or file.
pub(crate) fn of_directory(at: Step, error: &DirectoryError) -> NotDone {
    failure(at, kind(error.cause()), could_not(error))
}

/// A failure of an operation on a subvolume.
pub(crate) fn of_btrfs(at: Step, error: &BtrfsError) -> NotDone {
    failure(at, kind(error.cause()), could_not(error))
}

/// A failure of a child.
pub(crate) fn of_process(at: Step, error: &ProcessError) -> NotDone {
    failure(at, FailureKind::Resource, could_not(error))
}

/// What the machine did not do, and why.
pub(crate) fn could_not(error: &dyn Error) -> String {
    format!("could not {}", chain(error))
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
