//! What programs outside are told, and nobody waits for.

use crate::backup::errands::overdue::OverdueCall;
use crate::model::{PingSign, PingUrl};

/// A program outside is to be told something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// The address to which a run is reported.
    Ping(PingUrl, PingSign),
    /// The hook of a copy that is overdue.
    Overdue(Box<OverdueCall>),
}
