//! What was done, beside the file that was written.

use crate::ctl::command_error::CommandError;
use crate::ctl::company::Company;
use crate::formats::set_up::SetUpService;
use crate::formats::wire::PreparedSync;
use crate::model::VolumeName;

/// What was done.
pub(super) struct SetUpDone {
    /// How the service stands.
    pub service: SetUpService,
    /// Why it does not run, if it should.
    pub trouble: Option<String>,
    /// Who prepared both ends; nobody, where it came to nothing.
    pub company: Option<Company>,
    /// The drive that was opened for this.
    pub opened: Option<VolumeName>,
    /// What was made at both ends.
    pub prepared: Vec<PreparedSync>,
    /// Why no more of it was.
    pub problem: Option<CommandError>,
}

impl SetUpDone {
    /// Whether both ends of all syncs have what they need.
    pub fn is_ready(&self) -> bool {
        self.problem.is_none() && self.prepared.iter().all(|sync| sync.problems.is_empty())
    }

    /// Whether whoever answers at the socket works by another configuration, so that no command of ours is for it.
    pub fn is_for_another(&self) -> bool {
        matches!(self.problem, Some(CommandError::OtherConfiguration { .. }))
    }

    /// Whether a daemon runs that does the copies of this configuration.
    pub fn has_daemon(&self) -> bool {
        match self.service {
            SetUpService::WasOn | SetUpService::Enabled => true,
            SetUpService::Left | SetUpService::NotEnabled | SetUpService::NoManager => {
                self.company == Some(Company::Daemon)
            }
        }
    }

    /// Whether anything was made or changed, beside the file.
    pub fn changed_something(&self) -> bool {
        self.service == SetUpService::Enabled || self.prepared.iter().any(|sync| !sync.made.is_empty())
    }
}
