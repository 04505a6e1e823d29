//! How a run ends.

use std::fmt;
use std::time::Duration;

use crate::model::{HoldReason, Obstacle, Step, words};

/// The five outcomes, never merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The copy was made and is complete.
    Ok,
    /// Nothing is wrong; it was not possible or not due.
    Skipped,
    /// It was cut short by something that passes, and goes on by itself.
    Interrupted,
    /// It needs time or a person.
    Failed,
    /// A guard stopped it; a person must approve.
    Held,
}

words!(Outcome {
    Ok = "ok",
    Skipped = "skipped",
    Interrupted = "interrupted",
    Failed = "failed",
    Held = "held",
});

/// How a run ended, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The copy is complete.
    Ok,
    /// It was not possible; nothing was touched.
    Skipped(Vec<Obstacle>),
    /// It was cut short.
    Interrupted(Interruption),
    /// It did not do what it should.
    Failed(Failure),
    /// A guard stopped it.
    Held(HoldReason),
}

impl Conclusion {
    /// The reason, without what to do about it.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Ok => None,
            Self::Skipped(obstacles) => obstacles.first().map(ToString::to_string),
            Self::Interrupted(why) => Some(why.to_string()),
            Self::Failed(why) => Some(why.to_string()),
            Self::Held(why) => Some(why.to_string()),
        }
    }

    /// The outcome without its reason.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Ok => Outcome::Ok,
            Self::Skipped(_) => Outcome::Skipped,
            Self::Interrupted(_) => Outcome::Interrupted,
            Self::Failed(_) => Outcome::Failed,
            Self::Held(_) => Outcome::Held,
        }
    }
}

/// Why a run did not come to its end: a [`Conclusion`] that is not `Ok`. Each step of a run goes on or returns one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// It was not possible; nothing was touched.
    Skipped(Vec<Obstacle>),
    /// It was cut short.
    Interrupted(Interruption),
    /// It did not do what it should.
    Failed(Failure),
    /// A guard stopped it.
    Held(HoldReason),
}

impl From<Result<(), NotDone>> for Conclusion {
    fn from(done: Result<(), NotDone>) -> Self {
        match done {
            Ok(()) => Self::Ok,
            Err(NotDone::Skipped(obstacles)) => Self::Skipped(obstacles),
            Err(NotDone::Interrupted(why)) => Self::Interrupted(why),
            Err(NotDone::Failed(why)) => Self::Failed(why),
            Err(NotDone::Held(why)) => Self::Held(why),
        }
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(obstacles) => {
                let each: Vec<_> = obstacles.iter().map(ToString::to_string).collect();
                f.write_str(&each.join("; "))
            }
            Self::Interrupted(why) => write!(f, "{why}"),
            Self::Failed(why) => write!(f, "{why}"),
            Self::Held(why) => write!(f, "{why}"),
        }
    }
}

/// What cut a run short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    /// The source went away or is no longer the one that was proven.
    SourceLost(String),
    /// The destination went away or is no longer the one that was proven.
    DestinationLost(String),
    /// The daemon was told to stop.
    Stopping,
    /// A person cancelled it.
    Cancelled,
    /// A person laid a hold on a drive it used.
    DriveHeld,
    /// The machine went to sleep.
    Suspend,
    /// The connection was lost.
    Network(String),
    /// Nothing of it moved for so long, and perhaps it cannot be ended.
    Still(Duration),
    /// The process was killed; found at the next start.
    Killed,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceLost(what) => write!(f, "the source went away: {what}"),
            Self::DestinationLost(what) => write!(f, "the destination went away: {what}"),
            Self::Stopping => f.write_str("the daemon was told to stop"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::DriveHeld => f.write_str("a hold was laid on its drive"),
            Self::Suspend => f.write_str("the machine went to sleep"),
            Self::Network(what) => write!(f, "the connection was lost: {what}"),
            Self::Still(lasted) => write!(
                f,
                "nothing moved for {} s: its source, its destination or a program on the way does not answer",
                lasted.as_secs()
            ),
            Self::Killed => f.write_str("the daemon or the machine stopped in the middle of it"),
        }
    }
}

/// A step that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where in the run.
    pub at: Step,
    /// What sort of failure.
    pub kind: FailureKind,
    /// What happened, to which file or volume: a sentence fragment in lower case.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.kind.advice())
    }
}

/// The sorts of failure, as far as their remedy differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// The destination has no space, quota or inodes left.
    NoSpace,
    /// The destination became read-only.
    ReadOnly,
    /// Reading the source or writing the destination met an I/O error.
    Io,
    /// Permission was denied.
    Permission,
    /// A program is missing.
    ToolMissing,
    /// rsync was called wrongly or does not support what is asked: a mistake in the configuration or in us.
    Usage,
    /// The configured filesystem cannot do what is asked of it.
    Unsupported,
    /// rsync or a hook ran out of memory or was killed by another.
    Resource,
    /// A hook said no.
    Hook,
    /// The other side or the connection failed.
    Network,
    /// The place holds something that must not be followed or overwritten, such as a symbolic link named `snapshots`.
    Hostile,
    /// Something else.
    Other,
}

/// What mends a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Trying again later.
    TryAgain,
    /// A change of the obstacle: a replug, space, another configuration.
    WaitForChange,
    /// A person.
    AskPerson,
}

impl FailureKind {
    /// What mends it.
    #[must_use]
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Io | Self::Resource | Self::Network | Self::Other | Self::Hook => Remedy::TryAgain,
            Self::NoSpace | Self::ReadOnly => Remedy::WaitForChange,
            Self::Permission | Self::ToolMissing | Self::Usage | Self::Unsupported | Self::Hostile => Remedy::AskPerson,
        }
    }

    /// What a person can do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::NoSpace => {
                "make room on the destination (`df -h` and `df -i` tell what is short), or keep fewer snapshots"
            }
            Self::ReadOnly => "check the drive: it was mounted or remounted read-only; `dmesg` tells why",
            Self::Io => "check the drive and its cable; `dmesg` tells more",
            Self::Permission => "give the user that runs nbkpd the right to it, or leave it out with `filters`",
            Self::ToolMissing => "install the missing program",
            Self::Usage => "check `rsync` and `filters` of this sync",
            Self::Unsupported => "choose another `snapshots`, or another filesystem for the destination",
            Self::Resource => "give the machine or the service more memory",
            Self::Hook => "check the hook command of this sync",
            Self::Network => "check the connection to the server",
            Self::Hostile => "look at the named entry on the drive, and remove it if it is not yours",
            Self::Other => "the journal tells more: `journalctl --user -u nbkpd`",
        }
    }

    /// A stable word for logs and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSpace => "no-space",
            Self::ReadOnly => "read-only",
            Self::Io => "io",
            Self::Permission => "permission",
            Self::ToolMissing => "tool-missing",
            Self::Usage => "usage",
            Self::Unsupported => "unsupported",
            Self::Resource => "resource",
            Self::Hook => "hook",
            Self::Network => "network",
            Self::Hostile => "hostile",
            Self::Other => "other",
        }
    }
}
