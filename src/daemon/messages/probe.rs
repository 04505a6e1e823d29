//! A question to a server, and its answer.

use std::sync::Arc;

use crate::model::{ChangeExtent, Configuration, NetworkSight, ServerProbe, ServerSight, Ways};

/// A server to ask.
#[derive(Debug, Clone)]
pub struct ProbeOrder {
    /// The configuration that says so.
    pub configuration: Arc<Configuration>,
    /// The server, the ways to it, and what is asked.
    pub probe: ServerProbe,
    /// The network in which it is asked.
    pub network: Arc<NetworkSight>,
    /// How the ways to it led when it was asked before, if that is known.
    pub before: Ways,
    /// Whether it has to be asked.
    pub need: ProbeNeed,
}

/// Whether a server has to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeNeed {
    /// Only if the ways to it are others now: something changed that may matter that far.
    Doubt(ChangeExtent),
    /// Whatever leads there.
    Question,
}

/// A server that was asked.
#[derive(Debug)]
pub struct ProbeReport {
    /// The configuration that the order came from.
    pub configuration: Arc<Configuration>,
    /// What was asked.
    pub probe: ServerProbe,
    /// How the ways to it led.
    pub ways: Ways,
    /// What was found.
    pub sight: ServerSight,
}
