//! Short orders: to read the configuration, and to end.

/// How soon the configuration file is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    /// Once it has been quiet for a moment: it was changed, and may still be being written.
    WhenQuiet,
    /// Now: a person asked.
    Now,
}

/// An order to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A signal.
    Signal,
    /// The one client has left.
    Abandoned,
}
