//! What a process does in place of a daemon that does not run.

/// What a process does in place of a daemon that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandIn {
    /// All that it is asked for; first it takes over what a killed daemon left, as a daemon does.
    Works,
    /// It looks, and changes nothing: neither drives that a killed daemon left open, nor what that kept.
    Looks,
}
