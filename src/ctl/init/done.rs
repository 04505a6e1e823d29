//! What was done, beside the file that was written.

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
    /// Whether all of it was.
    pub is_ready: bool,
}

impl SetUpDone {
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
