//! The ways that a copy goes: on this machine, to a server, from one, and on one.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::backup::session::Server;
use crate::decide::judge::Distance;
use crate::os::directory::Directory;

/// Between which places a copy goes.
pub(crate) enum Way<'a> {
    /// From this machine to itself.
    Here(&'a Directory, Target<'a>),
    /// From this machine to a server.
    Push(&'a Directory, Far<'a>),
    /// From a server to this machine.
    Pull(Far<'a>, Target<'a>),
    /// On a server, where rsync runs.
    There(Far<'a>),
}

/// What is written on this machine.
pub(crate) struct Target<'a> {
    /// The directory.
    pub(crate) directory: &'a Directory,
    /// What of it: `./`, all of it, but for a look at what is not there yet.
    pub(crate) into: &'a str,
    /// The lock, which rsync inherits as its standard input: if it outlives us, the lock does too. None to look only.
    pub(crate) lock: Option<&'a OwnedFd>,
}

/// What is read or written at a server.
pub(crate) struct Far<'a> {
    /// The connection.
    pub(crate) server: &'a Server,
    /// The words of `transfer.sh`.
    pub(crate) words: Vec<OsString>,
    /// Where what is read or written really lies there.
    pub(crate) at: PathBuf,
    /// What of the place is written: `./`, all of it, but for a look at what is not there yet.
    pub(crate) into: &'a str,
}

impl Way<'_> {
    /// What is read, if it is on this machine.
    pub(crate) fn source(&self) -> Option<&Directory> {
        match self {
            Self::Here(source, _) | Self::Push(source, _) => Some(source),
            Self::Pull(..) | Self::There(_) => None,
        }
    }

    /// What entries are named relative to: rsync tells where they really lie.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        match self {
            Self::Here(_, target) => target.directory.real_path().into_iter().collect(),
            Self::Push(_, far) | Self::There(far) => vec![far.at.clone()],
            Self::Pull(far, target) => std::iter::once(far.at.clone()).chain(target.directory.real_path()).collect(),
        }
    }

    fn far(&self) -> Option<&Far<'_>> {
        match self {
            Self::Here(..) => None,
            Self::Push(_, far) | Self::Pull(far, _) | Self::There(far) => Some(far),
        }
    }

    /// Between which machines it goes.
    pub(crate) fn distance(&self) -> Distance {
        if self.far().is_some() { Distance::Server } else { Distance::Here }
    }
}
