//! What there is before anything is set up.

use crate::formats::config::Context;
use crate::model::Configuration;
use crate::os::environment::Paths;

/// What there is to begin with.
pub(super) struct Start<'a> {
    /// Where everything is.
    pub paths: &'a Paths,
    /// What is in the file, if there is one.
    pub file: Option<Vec<u8>>,
    /// What it says.
    pub configuration: Configuration,
    /// What it is read for.
    pub context: Context,
}
