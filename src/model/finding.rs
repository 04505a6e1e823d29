//! What `doctor` tells: each thing that was tested, and what a person could mend about it.

use std::path::PathBuf;

use super::{ObstacleCode, Worded, words};

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

words!(Severity {
    Note = "note",
    Warning = "warning",
    Error = "error",
});

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

words!(Area {
    Daemon = "daemon",
    State = "state",
    Tools = "tools",
    Neighbours = "neighbours",
    Credentials = "credentials",
    Drives = "drives",
    Volumes = "volumes",
    Syncs = "syncs",
});

/// Something that a person could mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its code.
    pub code: FindingCode,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// What `doctor --fix` does about it: only what can harm nobody.
    pub mend: Option<Mend>,
}

/// What mends something for certain, and takes nothing from anybody who should have it: something of ours is made ours
/// alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// Of what.
    pub path: PathBuf,
    /// What others may do with it no longer.
    pub takes: OthersRights,
}

/// What others may do with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OthersRights {
    /// To change it.
    Write,
    /// To do anything with it.
    All,
}

words!(OthersRights {
    Write = "go-w",
    All = "go-rwx",
});

impl Finding {
    /// The same, with what mends it.
    #[must_use]
    pub fn mended_by(self, mend: Option<Mend>) -> Self {
        Self { mend, ..self }
    }
}

/// What was found: something of its own, or an obstacle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingCode {
    /// Something of its own. Some words are those of obstacles, too: they are read as this.
    Flaw(Flaw),
    /// An obstacle of a volume or sync.
    Obstacle(ObstacleCode),
}

impl Worded for FindingCode {
    fn word(self) -> &'static str {
        match self {
            Self::Flaw(flaw) => flaw.as_str(),
            Self::Obstacle(code) => code.as_str(),
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Flaw::of_word(word).map(Self::Flaw).or_else(|| ObstacleCode::of_word(word).map(Self::Obstacle))
    }
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
    /// rsync is held less than it should be.
    Unconfined,
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
    /// A program of a person runs within the limits of the daemon's unit.
    HookConfined,
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
    /// A destination cannot hold copies with history.
    SnapshotsUnsupported,
    /// A server admits one session for each connection.
    OneSession,
    /// A place at a server is in other hands than those of the account that rsync runs as.
    ForeignTree,
    /// A sync has links followed, wherever they lead.
    LinksFollowed,
    /// A copy is older than `max-age`.
    Overdue,
    /// Files of a copy are damaged.
    Damaged,
    /// The last runs failed.
    RunFailed,
}

words!(Flaw {
    DaemonNotRunning = "daemon-not-running",
    VersionMismatch = "version-mismatch",
    ConfigurationRefused = "configuration-refused",
    ConfigurationNotInForce = "configuration-not-in-force",
    ConfigurationExposed = "configuration-exposed",
    NoSync = "no-sync",
    SocketExposed = "socket-exposed",
    Degraded = "degraded",
    Unconfined = "unconfined",
    NoLingering = "no-lingering",
    MountsNotSeen = "mounts-not-seen",
    NoAnswer = "no-answer",
    StateUnusable = "state-unusable",
    StateExposed = "state-exposed",
    StateFull = "state-full",
    HistoryBroken = "history-broken",
    LedgerBroken = "ledger-broken",
    ClockBehind = "clock-behind",
    ToolMissing = "tool-missing",
    ToolOutdated = "tool-outdated",
    HookMissing = "hook-missing",
    HookConfined = "hook-confined",
    FilterFileMissing = "filter-file-missing",
    KeyMissing = "key-missing",
    KeyExposed = "key-exposed",
    UdisksAbsent = "udisks-absent",
    LuksUnsupported = "luks-unsupported",
    PolkitAbsent = "polkit-absent",
    SleepNotDelayed = "sleep-not-delayed",
    IdleNotHeld = "idle-not-held",
    NotificationsAbsent = "notifications-absent",
    NetworkManagerAbsent = "network-manager-absent",
    UpowerAbsent = "upower-absent",
    KeyringAbsent = "keyring-absent",
    KeyringLocked = "keyring-locked",
    CredentialMissing = "credential-missing",
    CredentialExposed = "credential-exposed",
    LeftOpen = "left-open",
    DriveUnknown = "drive-unknown",
    NotAuthorized = "not-authorized",
    PermissionUntested = "permission-untested",
    MountPointBare = "mount-point-bare",
    SnapshotsUnsupported = "snapshots-unsupported",
    OneSession = "one-session",
    ForeignTree = "foreign-tree",
    LinksFollowed = "links-followed",
    Overdue = "overdue",
    Damaged = "damaged",
    RunFailed = "run-failed",
});

impl Flaw {
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
        Finding { code: FindingCode::Flaw(self), severity, message, fix, mend: None }
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
