//! What the errors of udisks mean.

use zbus::DBusError;

/// What an error means here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no udisks.
    Absent,
    /// The next look tells more: it is so already, another does it, or the object is not there yet.
    Passing,
    /// Nobody answered: whether it was done is not known.
    Unanswered,
    NotAuthorized,
    Busy,
    WrongSecret,
    Refused,
}

/// What an error means.
pub(super) fn judge(error: &zbus::Error) -> Answer {
    if let zbus::Error::MethodError(name, words, _) = error {
        let words = words.as_deref().unwrap_or_else(|| name.as_str());
        return Answer { kind: kind_of_udisks(name.as_str(), words), words: words.to_owned() };
    }
    if let zbus::Error::FDO(error) = error {
        let words = error.description().unwrap_or_default().to_owned();
        return Answer { kind: kind_of_bus(error.name().as_str()), words };
    }
    if let zbus::Error::InputOutput(cause) = error
        && cause.kind() == std::io::ErrorKind::TimedOut
    {
        return Answer { kind: Kind::Unanswered, words: "udisks2 did not answer in time".into() };
    }
    // The bus itself is gone; whoever tries again connects anew.
    Answer { kind: Kind::Absent, words: error.to_string() }
}

/// The errors of every bus (D-Bus specification, `dbus-protocol.h`).
fn kind_of_bus(name: &str) -> Kind {
    match name.strip_prefix("org.freedesktop.DBus.Error.").unwrap_or_default() {
        "ServiceUnknown" | "NameHasNoOwner" | "Disconnected" => Kind::Absent,
        "NoReply" | "Timeout" | "TimedOut" => Kind::Unanswered,
        "UnknownObject" | "UnknownInterface" | "UnknownMethod" => Kind::Passing,
        "AccessDenied" | "AuthFailed" | "InteractiveAuthorizationRequired" => Kind::NotAuthorized,
        other if other.starts_with("Spawn") => Kind::Absent,
        _ => Kind::Refused,
    }
}

/// The errors of udisks (`udiskserror.c`). What has no name of its own is told by its words, which come from libblockdev
/// and util-linux, untranslated.
fn kind_of_udisks(name: &str, words: &str) -> Kind {
    match name.strip_prefix("org.freedesktop.UDisks2.Error.").unwrap_or_default() {
        "NotAuthorized" | "NotAuthorizedCanObtain" | "NotAuthorizedDismissed" | "MountedByOtherUser" => {
            Kind::NotAuthorized
        }
        "AlreadyMounted" | "NotMounted" | "AlreadyUnmounting" => Kind::Passing,
        "DeviceBusy" => Kind::Busy,
        "TimedOut" => Kind::Unanswered,
        _ if words.contains("is already unlocked") || words.contains("is not unlocked") => Kind::Passing,
        _ if words.contains("Incorrect passphrase")
            || words.contains("Failed to activate device: Operation not permitted") =>
        {
            Kind::WrongSecret
        }
        _ if words.contains("is busy") || words.contains("Device or resource busy") => Kind::Busy,
        _ => Kind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_without_a_name_are_told_by_their_words() {
        let failed = "org.freedesktop.UDisks2.Error.Failed";
        let wrong = "Error unlocking /dev/sdb1: Failed to activate device: Incorrect passphrase.";
        let older = "Error unlocking /dev/sdb1: Failed to activate device: Operation not permitted";
        let busy = "Error unmounting /dev/sdb1: target is busy";
        let locked = "Error locking /dev/dm-0 (dm-0): Failed to deactivate device: Device or resource busy";
        let dirty = "Error mounting /dev/sdb1 at /media/a: wrong fs type, bad option, bad superblock on /dev/sdb1";
        for (words, kind) in [
            (wrong, Kind::WrongSecret),
            (older, Kind::WrongSecret),
            (busy, Kind::Busy),
            (locked, Kind::Busy),
            ("Device /dev/sdb1 is already unlocked as /dev/dm-0", Kind::Passing),
            ("Device /dev/sdb1 is not unlocked", Kind::Passing),
            (dirty, Kind::Refused),
        ] {
            assert_eq!(kind_of_udisks(failed, words), kind, "{words}");
        }
    }
}
