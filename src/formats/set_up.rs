//! What `init` did, for programs.

use serde::Serialize;

use super::json;
use super::wire::PreparedSync;

/// What `init` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetUp {
    /// The configuration file.
    pub config: String,
    /// Whether something came into it.
    pub changed: bool,
    /// The lines that came into it.
    pub added: String,
    /// The syncs that were asked for.
    pub syncs: Vec<SetUpSync>,
    /// What was made at both ends.
    pub prepared: Vec<PreparedSync>,
    /// How the service of the daemon stands.
    pub service: SetUpService,
    /// Why it does not run, and what to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_problem: Option<String>,
    /// What is left to do, as sentences.
    pub next: Vec<String>,
}

/// A sync that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetUpSync {
    /// Its name.
    pub name: String,
    /// Whether it is new.
    pub new: bool,
    /// Where it reads: `volume:subdir`.
    pub source: String,
    /// Where it writes: `volume:subdir`.
    pub destination: String,
    /// How it keeps history.
    pub snapshots: String,
}

/// How the service of the daemon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetUpService {
    /// It was enabled and ran already.
    WasOn,
    /// It was enabled and started.
    Enabled,
    /// It was left as it is: so it was asked for, or it reads another configuration.
    Left,
    /// It could not be enabled or started.
    NotEnabled,
    /// There is no service manager.
    NoManager,
}

impl SetUp {
    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        json::text(self)
    }
}
