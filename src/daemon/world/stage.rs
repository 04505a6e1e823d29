//! What the daemon may do by itself, and how it stands to its own end.

/// Whether the daemon starts runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiative {
    /// It does.
    Own,
    /// It only does what its one client asks.
    OnRequest,
    /// It only looks, for its one client, and changes nothing.
    Never,
}

/// How the daemon stands to its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LifeStage {
    /// No look has been taken yet; questions wait for it.
    Starting,
    /// It works.
    Working,
    /// It was asked to end; runs are being stopped.
    Stopping,
}
