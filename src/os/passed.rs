//! What a child inherits by descriptor.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// A directory or file that a child inherits, to be named on its command line.
#[derive(Debug)]
pub struct Passed(OwnedFd);

impl Passed {
    /// Makes a descriptor that children inherit. It must be dropped once the child is started: a child of another
    /// thread that starts meanwhile inherits it too, which only keeps the directory open a little longer.
    pub fn new(open: &impl AsFd) -> std::io::Result<Self> {
        Ok(Self(rustix::io::dup(open.as_fd())?))
    }

    /// The path by which the child reaches it, whatever became of its own.
    #[must_use]
    pub fn path(&self) -> OsString {
        OsString::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// The same for a directory whose content is meant.
    #[must_use]
    pub fn operand(&self) -> OsString {
        let mut path = self.path();
        path.push("/");
        path
    }
}
