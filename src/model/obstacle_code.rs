//! The codes of obstacles, as the contract has them.

use super::words;

/// What kind of obstacle it is, for programs. Codes are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObstacleCode {
    /// The configuration disables the sync.
    Disabled,
    /// The volume of the source is away.
    SourceVolumeAbsent,
    /// The volume of the destination is away.
    DestinationVolumeAbsent,
    /// The drive of the source is there and not mounted.
    SourceNotMounted,
    /// The drive of the destination is there and not mounted.
    DestinationNotMounted,
    /// Nothing says that the source is the right place.
    SourceSentinelMissing,
    /// The source has nothing to copy.
    SourceIsEmpty,
    /// Something that was mounted below the source is not mounted now.
    SourceIncomplete,
    /// Another machine writes the destination.
    ForeignWriter,
    /// Nothing says that the destination is the right place.
    DestinationSentinelMissing,
    /// A place says that it is another one than before.
    SentinelMismatch,
    /// Two drives have the same UUID.
    DuplicateUuid,
    /// The hardware of a drive is not the known one.
    DeviceUnknown,
    /// A drive should be encrypted, and is not.
    NotEncrypted,
    /// A server does not answer.
    HostUnreachable,
    /// A server shows another key than the known one.
    HostKeyMismatch,
    /// A server does not let us in.
    HostAuthFailed,
    /// No way to the server belongs to where the machine is.
    WrongLocation,
    /// The network is metered.
    Metered,
    /// The machine lives on its battery.
    Battery,
    /// It is not the time of day.
    OutsideHours,
    /// A passphrase cannot be had, or opens nothing.
    CredentialLocked,
    /// polkit does not let us.
    NotAuthorized,
    /// The destination cannot be written.
    ReadOnly,
    /// The destination is not on btrfs.
    NotBtrfs,
    /// The destination holds copies of another kind.
    LayoutMismatch,
    /// The destination is full.
    NoSpace,
    /// A sync that goes first has failed.
    UpstreamFailed,
    /// A guard, or a person, said stop.
    Held,
    /// A person paused the daemon.
    Paused,
    /// The last attempt failed, and the next comes later.
    BackingOff,
    /// Another process works at the destination.
    LockTaken,
    /// A program is missing, here or at a server.
    ToolMissing,
    /// A program on a server is too old.
    ToolOutdated,
}

words!(ObstacleCode {
    Disabled = "disabled",
    SourceVolumeAbsent = "source-volume-absent",
    DestinationVolumeAbsent = "destination-volume-absent",
    SourceNotMounted = "source-not-mounted",
    DestinationNotMounted = "destination-not-mounted",
    SourceSentinelMissing = "source-sentinel-missing",
    SourceIsEmpty = "source-is-empty",
    SourceIncomplete = "source-incomplete",
    ForeignWriter = "foreign-writer",
    DestinationSentinelMissing = "destination-sentinel-missing",
    SentinelMismatch = "sentinel-mismatch",
    DuplicateUuid = "duplicate-uuid",
    DeviceUnknown = "device-unknown",
    NotEncrypted = "not-encrypted",
    HostUnreachable = "host-unreachable",
    HostKeyMismatch = "host-key-mismatch",
    HostAuthFailed = "host-auth-failed",
    WrongLocation = "wrong-location",
    Metered = "metered",
    Battery = "battery",
    OutsideHours = "outside-hours",
    CredentialLocked = "credential-locked",
    NotAuthorized = "not-authorized",
    ReadOnly = "read-only",
    NotBtrfs = "not-btrfs",
    LayoutMismatch = "layout-mismatch",
    NoSpace = "no-space",
    UpstreamFailed = "upstream-failed",
    Held = "held",
    Paused = "paused",
    BackingOff = "backing-off",
    LockTaken = "lock-taken",
    ToolMissing = "tool-missing",
    ToolOutdated = "tool-outdated",
});
