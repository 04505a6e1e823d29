//! What tells one drive from another, whatever is written on it.

use std::fmt;

/// What tells one piece of hardware from another: the serial number and the World Wide Name, as udev gives them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hardware(pub String);

impl Hardware {
    /// What stands for a drive that tells nothing of itself, where one that does was used before.
    #[must_use]
    pub fn nameless() -> Self {
        Self("without a serial number".into())
    }

    /// Whether this is the same piece as one that was used before: one part of its identity is the same, and none is
    /// another. A case or a cable may tell a serial number with the model before it or without, the World Wide Name
    /// with its extension or without, or only one of them. The serial number of a USB device may be that of a dock, so
    /// that a name which was never seen with it is another one.
    #[must_use]
    pub fn is_same(&self, known: &Self) -> bool {
        if self == known || *self == Self::nameless() || *known == Self::nameless() {
            return self == known;
        }
        let (serials, names) = ((self.serial(), known.serial()), (self.name(), known.name()));
        let same_serial = match serials {
            (Some(a), Some(b)) => Some(a == b || is_end_of(a, b) || is_end_of(b, a)),
            (_, _) => None,
        };
        let same_name = match names {
            (Some(a), Some(b)) => Some(a.starts_with(b) || b.starts_with(a)),
            (Some(_), None) if self.is_usb() => Some(false),
            (_, _) => None,
        };
        [same_serial, same_name].contains(&Some(true)) && ![same_serial, same_name].contains(&Some(false))
    }

    /// The serial number, without the number of the first part of a USB device (`-0:0`): other parts are other drives.
    fn serial(&self) -> Option<&str> {
        let serial = self.words().find(|word| !is_name(word))?;
        Some(serial.strip_suffix("-0:0").unwrap_or(serial))
    }

    fn name(&self) -> Option<&str> {
        self.words().find(|word| is_name(word))
    }

    /// Whether the serial number is that of a USB device, with the number of a part of it.
    fn is_usb(&self) -> bool {
        let part = self.words().find(|word| !is_name(word)).and_then(|serial| serial.rsplit_once('-'));
        part.is_some_and(|(_, part)| part.contains(':'))
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ')
    }
}

/// Whether this is a World Wide Name, of SCSI or of `NVMe`.
fn is_name(word: &str) -> bool {
    ["0x", "eui.", "naa.", "nvme.", "t10.", "uuid."].iter().any(|kind| word.starts_with(kind))
}

/// Whether a serial number is the end of a longer one that has the model before it.
fn is_end_of(short: &str, long: &str) -> bool {
    long.strip_suffix(short).is_some_and(|model| model.ends_with('_'))
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_the_same_if_a_part_of_it_is_and_none_is_another() {
        let check = |seen: &str, known: &str, expected: bool| {
            let (seen, known) = (Hardware(seen.into()), Hardware(known.into()));
            assert_eq!((seen.is_same(&known), known.is_same(&seen)), (expected, expected), "{seen} and {known}");
        };
        check("WDC_WD40-A1_WD-WX11 0x50014ee2b5a1", "WDC_WD40-A1_WD-WX11 0x50014ee2b5a1", true);
        check("WD-WX11", "WDC_WD40-A1_WD-WX11 0x50014ee2b5a1", true);
        check("0x50014ee2b5a10001", "WDC_WD40-A1_WD-WX11 0x50014ee2b5a1", true);
        check("SanDisk_Ultra_4C53-0:0", "4C53", true);
        check("WD-WX12", "WDC_WD40-A1_WD-WX11 0x50014ee2b5a1", false);
        check("WDC_WD40-A1_WD-WX11 0x50014ee2b5a2", "WDC_WD40-A1_WD-WX11 0x50014ee2b5a1", false);
        check("DOCK-0:1", "DOCK-0:0", false);
        check("DOCK_S1 eui.0025", "DOCK_S1 eui.0026", false);
        check("DOCK_S1 eui.0025", "DOCK_S1 eui.0025", true);
        check("X11", "WDC_WD40-A1_WD-WX11", false);
        check("4C53", "0x50014ee2b5a1", false);
        check(&Hardware::nameless().0, "4C53", false);
        check(&Hardware::nameless().0, &Hardware::nameless().0, true);
        // A name that was never seen in this dock; that it tells none for once is no other drive.
        let (dock, named) = (Hardware("DOCK-0:0".into()), Hardware("DOCK-0:0 0xBBBB".into()));
        assert!(!named.is_same(&dock) && dock.is_same(&named));
    }
}
