//! The kernel's log (`/dev/kmsg`, `Documentation/ABI/testing/dev-kmsg`), as far as it tells of filesystems.

/// What the kernel says of a filesystem that it mounts all the same, and what that means.
const SIGNS: [(&str, &str); 5] = [
    ("not properly unmounted", "it was not unmounted properly the last time"),
    ("mounting fs with errors", "it has errors"),
    ("mounting unchecked fs", "it was not unmounted properly the last time, or has errors"),
    ("volume is dirty", "it was not unmounted properly the last time"),
    ("need fsck", "it has errors"),
];

/// The name of the device of which a record says that its filesystem should be checked, and why.
#[must_use]
pub fn unclean(record: &str) -> Option<(&str, &'static str)> {
    // What stands before it is counted, what comes in further lines is for machines.
    let (_, text) = record.split_once(';')?;
    let text = text.lines().next()?;
    let (_, why) = SIGNS.iter().find(|(sign, _)| text.contains(sign))?;
    // `FAT-fs (sdb1): …`, `ntfs3(sdb1): …`
    let (before, rest) = text.split_once('(')?;
    let (name, rest) = rest.split_once(')')?;
    let is_of_filesystem = !before.contains(':') && rest.starts_with(':');
    (is_of_filesystem && !name.is_empty()).then_some((name, *why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_a_filesystem_is_understood() {
        let check = |text: &str, expected: Option<&str>| {
            let record = format!("4,1451,5191896572,-;{text}\n SUBSYSTEM=block\n");
            assert_eq!(unclean(&record).map(|(name, _)| name), expected, "{text}");
        };
        let fat = "FAT-fs (sdb1): Volume was not properly unmounted. Some data may be corrupt. Please run fsck.";
        check(fat, Some("sdb1"));
        check("exFAT-fs (sdb1): Volume was not properly unmounted. Some data may be corrupt.", Some("sdb1"));
        check("EXT4-fs (dm-0): warning: mounting unchecked fs, running e2fsck is recommended", Some("dm-0"));
        check("EXT4-fs (sdb1): warning: mounting fs with errors, running e2fsck is recommended", Some("sdb1"));
        check("EXT4-fs (sdb1): mounted filesystem with ordered data mode. Quota mode: none.", None);
        check("usb 1-1: Product: stick (sdb1): not properly unmounted", None);
        assert_eq!(unclean("mounting unchecked fs (sdb1):"), None);
    }
}
