//! What a configuration depends on beside its text.

use std::path::PathBuf;

/// What the text of a file does not say itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// The file, as it is called in messages.
    pub file: PathBuf,
    /// What `~` stands for.
    pub home: PathBuf,
}
