//! What the errors of udisks mean, whether they come over a bus or through `udisksctl`.

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// There is no udisks.
    Absent,
    /// The next look tells more: it is so already, another does it, or the object is not there yet.
    Passing,
    /// Nobody answered: whether it was done is not known.
    Unanswered,
    /// polkit does not let this user do it.
    NotAuthorized,
    /// Somebody uses it.
    Busy,
    /// The passphrase opens nothing.
    WrongSecret,
    /// It says no.
    Refused,
}

/// What an error with this name and these words means.
#[must_use]
pub fn kind(name: &str, words: &str) -> Meaning {
    if name.starts_with(BUS) { kind_of_bus(name) } else { kind_of_udisks(name, words) }
}

/// What the words of `udisksctl` mean, and what of them is for people. It puts the name of an error before its words,
/// as the library does that it uses (`Error mounting /dev/sdb1: GDBus.Error:NAME: WORDS`).
#[must_use]
pub fn told(complaint: &str) -> (Meaning, &str) {
    if let Some((name, words)) = complaint.split_once(REMOTE).and_then(|(_, error)| error.split_once(": ")) {
        return (kind(name, words), words);
    }
    let row = ROWS.iter().find(|(row, _)| complaint.contains(row));
    (row.map_or(Meaning::Refused, |(_, kind)| *kind), complaint)
}

/// What stands before the name of an error (`g_dbus_error_get_remote_error`).
const REMOTE: &str = "GDBus.Error:";

/// What `udisksctl` says by itself (`udisksctl.c`).
const ROWS: [(&str, Meaning); 4] = [
    ("Error connecting to the udisks daemon", Meaning::Absent),
    ("udisksctl: not found", Meaning::Absent),
    // After a plug-in or an unlocking it hears of the device a little later than the kernel.
    ("Error looking up object for device", Meaning::Passing),
    ("Timeout was reached", Meaning::Unanswered),
];

/// The device of which these words say that its filesystem cannot be mounted before it is checked: what mount(8) and
/// the kernel say of a damaged one, and what is said of one that Windows left open.
#[must_use]
pub fn damaged(words: &str) -> Option<&str> {
    const DAMAGED: [&str; 6] =
        ["bad superblock", "can't read superblock", "Structure needs cleaning", "Bad message", "unclean", "is dirty"];
    let is_damaged = DAMAGED.iter().any(|sign| words.contains(sign));
    let (_, rest) = words.split_once("Error mounting ").filter(|_| is_damaged)?;
    rest.split([' ', ':']).next().filter(|node| node.starts_with("/dev/"))
}

/// The command that checks and mends a filesystem of this type on a device; of an unknown one, what finds that out.
#[must_use]
pub fn check_command(filesystem: &str, node: &str) -> String {
    let program = match filesystem {
        "ext2" | "ext3" | "ext4" => "e2fsck -f",
        "xfs" => "xfs_repair",
        "btrfs" => "btrfs check",
        "vfat" => "fsck.fat -a",
        "exfat" => "fsck.exfat",
        "ntfs" => "ntfsfix --clear-dirty",
        "f2fs" => "fsck.f2fs",
        _ => "fsck",
    };
    format!("{program} {node}")
}

const BUS: &str = "org.freedesktop.DBus.Error.";

/// The errors of every bus (D-Bus specification, `dbus-protocol.h`).
fn kind_of_bus(name: &str) -> Meaning {
    match name.strip_prefix(BUS).unwrap_or_default() {
        "ServiceUnknown" | "NameHasNoOwner" | "Disconnected" => Meaning::Absent,
        "NoReply" | "Timeout" | "TimedOut" => Meaning::Unanswered,
        "UnknownObject" | "UnknownInterface" | "UnknownMethod" => Meaning::Passing,
        "AccessDenied" | "AuthFailed" | "InteractiveAuthorizationRequired" => Meaning::NotAuthorized,
        other if other.starts_with("Spawn") => Meaning::Absent,
        _ => Meaning::Refused,
    }
}

/// The errors of udisks (`udiskserror.c`). What has no name of its own is told by its words, which come from
/// libblockdev and util-linux, untranslated.
fn kind_of_udisks(name: &str, words: &str) -> Meaning {
    match name.strip_prefix("org.freedesktop.UDisks2.Error.").unwrap_or_default() {
        "NotAuthorized" | "NotAuthorizedCanObtain" | "NotAuthorizedDismissed" | "MountedByOtherUser" => {
            Meaning::NotAuthorized
        }
        "AlreadyMounted" | "NotMounted" | "AlreadyUnmounting" => Meaning::Passing,
        "DeviceBusy" => Meaning::Busy,
        "TimedOut" => Meaning::Unanswered,
        _ if words.contains("is already unlocked") || words.contains("is not unlocked") => Meaning::Passing,
        _ if words.contains("Incorrect passphrase")
            || words.contains("Failed to activate device: Operation not permitted") =>
        {
            Meaning::WrongSecret
        }
        _ if words.contains("is busy") || words.contains("Device or resource busy") => Meaning::Busy,
        _ => Meaning::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filesystem_that_has_to_be_checked_is_known_by_the_words_of_mount() {
        let check = |words: &str, expected: Option<&str>| assert_eq!(damaged(words), expected, "{words}");
        check("Error mounting /dev/sdb1 at /media/a: Structure needs cleaning", Some("/dev/sdb1"));
        let often = "Error mounting /dev/dm-3 at /media/a: wrong fs type, bad option, bad superblock on /dev/dm-3, \
                     missing codepage or helper program, or other error";
        check(often, Some("/dev/dm-3"));
        check("mount it: Error mounting /dev/sdb1 at /media/a: unknown filesystem type 'zfs_member'", None);
        check("Error mounting /dev/sdb1 at /media/a: Permission denied", None);
        assert_eq!(check_command("ext4", "/dev/sdb1"), "e2fsck -f /dev/sdb1");
        assert_eq!(check_command("", "/dev/sdb1"), "fsck /dev/sdb1");
    }

    #[test]
    fn errors_without_a_name_are_told_by_their_words() {
        let failed = "org.freedesktop.UDisks2.Error.Failed";
        let wrong = "Error unlocking /dev/sdb1: Failed to activate device: Incorrect passphrase.";
        let older = "Error unlocking /dev/sdb1: Failed to activate device: Operation not permitted";
        let busy = "Error unmounting /dev/sdb1: target is busy";
        let locked = "Error locking /dev/dm-0 (dm-0): Failed to deactivate device: Device or resource busy";
        let dirty = "Error mounting /dev/sdb1 at /media/a: wrong fs type, bad option, bad superblock on /dev/sdb1";
        for (words, expected) in [
            (wrong, Meaning::WrongSecret),
            (older, Meaning::WrongSecret),
            (busy, Meaning::Busy),
            (locked, Meaning::Busy),
            ("Device /dev/sdb1 is already unlocked as /dev/dm-0", Meaning::Passing),
            ("Device /dev/sdb1 is not unlocked", Meaning::Passing),
            (dirty, Meaning::Refused),
        ] {
            assert_eq!(kind(failed, words), expected, "{words}");
        }
    }

    #[test]
    fn what_udisksctl_says_is_the_same() {
        for (complaint, expected) in [
            (
                "Error mounting /dev/loop0: GDBus.Error:org.freedesktop.UDisks2.Error.NotAuthorizedCanObtain: Not \
                 authorized to perform operation",
                (Meaning::NotAuthorized, "Not authorized to perform operation"),
            ),
            (
                "Error unlocking /dev/sdb1: GDBus.Error:org.freedesktop.UDisks2.Error.Failed: Error unlocking \
                 /dev/sdb1: Failed to activate device: Incorrect passphrase.",
                (Meaning::WrongSecret, "Error unlocking /dev/sdb1: Failed to activate device: Incorrect passphrase."),
            ),
            (
                "Error mounting /dev/sdb1: GDBus.Error:org.freedesktop.UDisks2.Error.AlreadyMounted: Device /dev/sdb1 \
                 is already mounted at `/media/a'.",
                (Meaning::Passing, "Device /dev/sdb1 is already mounted at `/media/a'."),
            ),
            (
                "Error connecting to the udisks daemon: Could not connect: No such file or directory",
                (
                    Meaning::Absent,
                    "Error connecting to the udisks daemon: Could not connect: No such file or directory",
                ),
            ),
        ] {
            assert_eq!(told(complaint), expected);
        }
    }
}
