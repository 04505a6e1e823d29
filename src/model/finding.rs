//! What `doctor` tells: each thing that was tested, and what a person could mend about it.

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is worth knowing.
    Note,
    /// It works, but not as it should.
    Warning,
    /// A backup cannot happen, or could be lost.
    Error,
}

impl Severity {
    /// The word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// The daemon itself and its configuration.
    Daemon,
    /// What it keeps, and where.
    State,
    /// Programs and files that it uses.
    Tools,
    /// Services of the machine and of the desktop.
    Neighbours,
    /// Passphrases.
    Credentials,
    /// Drives that it mounts itself.
    Drives,
    /// Volumes.
    Volumes,
    /// Syncs.
    Syncs,
}

impl Area {
    /// The word used in JSON, and as a heading.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::State => "state",
            Self::Tools => "tools",
            Self::Neighbours => "neighbours",
            Self::Credentials => "credentials",
            Self::Drives => "drives",
            Self::Volumes => "volumes",
            Self::Syncs => "syncs",
        }
    }
}

/// Something that a person could mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its code: one of [`Flaw`], or that of an obstacle.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// How a thing that was tested stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be: what was seen, in a few words.
    Well(String),
    /// These are not; never empty.
    Found(Vec<Finding>),
}

/// A thing that was tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Where it belongs.
    pub area: Area,
    /// What it is.
    pub subject: String,
    /// How it stands.
    pub verdict: Verdict,
}

/// What can be found beside obstacles. The codes are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// No daemon runs.
    DaemonNotRunning,
    /// Daemon and client are of different versions.
    VersionMismatch,
    /// The configuration file has mistakes, or cannot be read.
    ConfigurationRefused,
    /// The daemon goes by another configuration than the file's.
    ConfigurationNotInForce,
    /// Others can change the configuration.
    ConfigurationExposed,
    /// No sync is enabled.
    NoSync,
    /// The directory of the socket is not as it should be.
    SocketExposed,
    /// A neighbour of the daemon works no longer.
    Degraded,
    /// The daemon ends when its user logs out.
    NoLingering,
    /// What is mounted on the machine is not seen by the daemon.
    MountsNotSeen,
    /// Something did not answer in time.
    NoAnswer,
    /// Nothing can be kept in the state directory.
    StateUnusable,
    /// Others can look into the state directory.
    StateExposed,
    /// Hardly any room is left for the state.
    StateFull,
    /// The history is damaged.
    HistoryBroken,
    /// What people decided cannot be read.
    LedgerBroken,
    /// The clock is behind what was recorded.
    ClockBehind,
    /// A program is missing.
    ToolMissing,
    /// A program is too old.
    ToolOutdated,
    /// The program of a hook is missing.
    HookMissing,
    /// A file of filters is missing.
    FilterFileMissing,
    /// A private key is missing.
    KeyMissing,
    /// ssh does not use a private key that others can read.
    KeyExposed,
    /// There is no udisks2.
    UdisksAbsent,
    /// udisks2 cannot unlock drives.
    LuksUnsupported,
    /// There is no polkit.
    PolkitAbsent,
    /// Sleep does not wait for a run.
    SleepNotDelayed,
    /// Idle sleep cannot be held off during a run.
    IdleNotHeld,
    /// Nobody shows notifications.
    NotificationsAbsent,
    /// There is no NetworkManager.
    NetworkManagerAbsent,
    /// There is no UPower.
    UpowerAbsent,
    /// There is no keyring.
    KeyringAbsent,
    /// The keyring is locked.
    KeyringLocked,
    /// A passphrase is not where it should be.
    CredentialMissing,
    /// Others can read a passphrase.
    CredentialExposed,
    /// A killed daemon has left a drive open.
    LeftOpen,
    /// No drive has the UUID that the configuration names, and another thing has, or another drive is in.
    DriveUnknown,
    /// polkit does not let the daemon do this to a drive.
    NotAuthorized,
    /// Whether polkit lets the daemon do this to a drive cannot be told now.
    PermissionUntested,
    /// A volume lies on a mount point with nothing mounted.
    MountPointBare,
    /// A copy is older than `max-age`.
    Overdue,
    /// The last runs failed.
    RunFailed,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 42] = [
        Self::DaemonNotRunning,
        Self::VersionMismatch,
        Self::ConfigurationRefused,
        Self::ConfigurationNotInForce,
        Self::ConfigurationExposed,
        Self::NoSync,
        Self::SocketExposed,
        Self::Degraded,
        Self::NoLingering,
        Self::MountsNotSeen,
        Self::NoAnswer,
        Self::StateUnusable,
        Self::StateExposed,
        Self::StateFull,
        Self::HistoryBroken,
        Self::LedgerBroken,
        Self::ClockBehind,
        Self::ToolMissing,
        Self::ToolOutdated,
        Self::HookMissing,
        Self::FilterFileMissing,
        Self::KeyMissing,
        Self::KeyExposed,
        Self::UdisksAbsent,
        Self::LuksUnsupported,
        Self::PolkitAbsent,
        Self::SleepNotDelayed,
        Self::IdleNotHeld,
        Self::NotificationsAbsent,
        Self::NetworkManagerAbsent,
        Self::UpowerAbsent,
        Self::KeyringAbsent,
        Self::KeyringLocked,
        Self::CredentialMissing,
        Self::CredentialExposed,
        Self::LeftOpen,
        Self::DriveUnknown,
        Self::NotAuthorized,
        Self::PermissionUntested,
        Self::MountPointBare,
        Self::Overdue,
        Self::RunFailed,
    ];

    /// Its code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::DaemonNotRunning => "daemon-not-running",
            Self::VersionMismatch => "version-mismatch",
            Self::ConfigurationRefused => "configuration-refused",
            Self::ConfigurationNotInForce => "configuration-not-in-force",
            Self::ConfigurationExposed => "configuration-exposed",
            Self::NoSync => "no-sync",
            Self::SocketExposed => "socket-exposed",
            Self::Degraded => "degraded",
            Self::NoLingering => "no-lingering",
            Self::MountsNotSeen => "mounts-not-seen",
            Self::NoAnswer => "no-answer",
            Self::StateUnusable => "state-unusable",
            Self::StateExposed => "state-exposed",
            Self::StateFull => "state-full",
            Self::HistoryBroken => "history-broken",
            Self::LedgerBroken => "ledger-broken",
            Self::ClockBehind => "clock-behind",
            Self::ToolMissing => "tool-missing",
            Self::ToolOutdated => "tool-outdated",
            Self::HookMissing => "hook-missing",
            Self::FilterFileMissing => "filter-file-missing",
            Self::KeyMissing => "key-missing",
            Self::KeyExposed => "key-exposed",
            Self::UdisksAbsent => "udisks-absent",
            Self::LuksUnsupported => "luks-unsupported",
            Self::PolkitAbsent => "polkit-absent",
            Self::SleepNotDelayed => "sleep-not-delayed",
            Self::IdleNotHeld => "idle-not-held",
            Self::NotificationsAbsent => "notifications-absent",
            Self::NetworkManagerAbsent => "network-manager-absent",
            Self::UpowerAbsent => "upower-absent",
            Self::KeyringAbsent => "keyring-absent",
            Self::KeyringLocked => "keyring-locked",
            Self::CredentialMissing => "credential-missing",
            Self::CredentialExposed => "credential-exposed",
            Self::LeftOpen => "left-open",
            Self::DriveUnknown => "drive-unknown",
            Self::NotAuthorized => "not-authorized",
            Self::PermissionUntested => "permission-untested",
            Self::MountPointBare => "mount-point-bare",
            Self::Overdue => "overdue",
            Self::RunFailed => "run-failed",
        }
    }

    /// A backup cannot happen, or could be lost.
    #[must_use]
    pub fn error(self, message: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.found(Severity::Error, message.into(), fix.into())
    }

    /// It works, but not as it should.
    #[must_use]
    pub fn warning(self, message: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.found(Severity::Warning, message.into(), fix.into())
    }

    /// It is worth knowing.
    #[must_use]
    pub fn note(self, message: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.found(Severity::Note, message.into(), fix.into())
    }

    fn found(self, severity: Severity, message: String, fix: String) -> Finding {
        Finding { code: self.code(), severity, message, fix }
    }
}

impl Verdict {
    /// Well, unless something was found.
    #[must_use]
    pub fn of(findings: Vec<Finding>, well: impl FnOnce() -> String) -> Self {
        if findings.is_empty() { Self::Well(well()) } else { Self::Found(findings) }
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Well(_) => &[],
            Self::Found(findings) => findings,
        }
    }
}

impl From<Finding> for Verdict {
    fn from(finding: Finding) -> Self {
        Self::Found(vec![finding])
    }
}

impl Area {
    /// A thing of this area, as it stands.
    #[must_use]
    pub fn examined(self, subject: impl Into<String>, verdict: impl Into<Verdict>) -> Examined {
        Examined { area: self, subject: subject.into(), verdict: verdict.into() }
    }

    /// A thing of this area that is as it should be.
    #[must_use]
    pub fn well(self, subject: impl Into<String>, what: impl Into<String>) -> Examined {
        self.examined(subject, Verdict::Well(what.into()))
    }
}
