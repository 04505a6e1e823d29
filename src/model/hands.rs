//! In whose hands a place at a server is.

use super::ProgramVersion;

/// Whose a place at a server is, and what holds rsync there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hands {
    /// The number of the account that rsync runs as.
    pub account: u32,
    /// That of the owner of the place.
    pub owner: u32,
    /// The rsync there, if it tells its version.
    pub rsync: Option<ProgramVersion>,
    /// For root: that rsync has a root of its own there, or why not.
    pub walls: Option<Result<(), String>>,
}
