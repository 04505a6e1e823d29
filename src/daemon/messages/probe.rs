//! A question to a server, and its answer.

use std::sync::Arc;

use crate::model::{Configuration, NetworkSight, ServerProbe, ServerSight};

/// A server to ask.
#[derive(Debug, Clone)]
pub struct ProbeOrder {
    /// The configuration that says so.
    pub configuration: Arc<Configuration>,
    /// The server, the ways to it, and what is asked.
    pub probe: ServerProbe,
    /// The network in which it is asked.
    pub network: Arc<NetworkSight>,
}

/// A server that was asked.
#[derive(Debug)]
pub struct ProbeReport {
    /// The configuration that the order came from.
    pub configuration: Arc<Configuration>,
    /// What was asked.
    pub probe: ServerProbe,
    /// What was found.
    pub sight: ServerSight,
}
