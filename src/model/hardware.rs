//! What tells one drive from another, whatever is written on it.

use std::fmt;

use super::{DriveUuid, SyncName, VolumeName};

/// What tells one piece of hardware from another: the serial number and the World Wide Name, as udev gives them; and of
/// an encrypted drive what its LUKS header tells, and which filesystem is in it, as far as that is seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hardware(pub String);

/// What stands before what the header of a LUKS container tells.
const HEADER: &str = "luks:";
/// What stands before the UUID of the filesystem in a LUKS container.
const INSIDE: &str = "fs:";

/// What is another one about a drive than what it was used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// The piece of hardware.
    Device,
    /// The LUKS header: it belongs to another key.
    Header,
    /// The filesystem in the LUKS container.
    Inside,
}

impl Stranger {
    pub(super) fn tell(self, (volume, hardware): (&VolumeName, &Hardware), f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => write!(f, "drive `{volume}` came on hardware that was never used for it: {hardware}"),
            Self::Header => write!(
                f,
                "the LUKS header of drive `{volume}` is not the one that it was used with: it belongs to another key \
                 ({hardware})"
            ),
            Self::Inside => write!(
                f,
                "the LUKS container of drive `{volume}` holds another filesystem than the one that it was used with \
                 ({hardware})"
            ),
        }
    }

    pub(super) fn hint(self, sync: &SyncName) -> String {
        match self {
            Self::Device => format!("if this is your drive, run `nbkpctl approve {sync}`"),
            Self::Header | Self::Inside => format!(
                "if you have encrypted or formatted it anew, run `nbkpctl approve {sync}`; if not, find out who had \
                 it before you unlock it"
            ),
        }
    }
}

impl Hardware {
    /// The same with what the header of its LUKS container tells.
    #[must_use]
    pub fn with_header(hardware: Option<Self>, mark: Option<&str>) -> Option<Self> {
        mark.map_or(hardware.clone(), |mark| Some(Self::marked(hardware, &format!("{HEADER}{mark}"))))
    }

    /// The same with the filesystem that is in its LUKS container.
    #[must_use]
    pub fn with_inside(hardware: Option<Self>, filesystem: &DriveUuid) -> Self {
        Self::marked(hardware, &format!("{INSIDE}{filesystem}"))
    }

    fn marked(hardware: Option<Self>, mark: &str) -> Self {
        Self(hardware.map_or_else(|| mark.to_owned(), |Self(before)| format!("{before} {mark}")))
    }

    /// The same with what another tells of its encryption, where it tells nothing itself.
    #[must_use]
    pub fn with_marks_of(&self, other: &Self) -> Self {
        let missing = [HEADER, INSIDE].into_iter().filter(|kind| self.mark(kind).is_none());
        let marks: Vec<&str> = missing.filter_map(|kind| other.mark(kind)).collect();
        let before = Some(self.clone()).filter(|before| marks.is_empty() || *before != Self::nameless());
        marks.into_iter().fold(before, |marked, mark| Some(Self::marked(marked, mark))).unwrap_or_else(Self::nameless)
    }

    /// Whether it tells nothing but of its encryption.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.words().next().is_none()
    }

    /// What is another one about it than about this one that was used before; none if it is the same.
    #[must_use]
    pub fn stranger(&self, known: &Self) -> Option<Stranger> {
        let differs = |kind| self.mark(kind).zip(known.mark(kind)).is_some_and(|(seen, known)| seen != known);
        if !self.is_same_piece(known) {
            Some(Stranger::Device)
        } else if differs(HEADER) {
            Some(Stranger::Header)
        } else {
            differs(INSIDE).then_some(Stranger::Inside)
        }
    }

    fn mark(&self, kind: &str) -> Option<&str> {
        self.0.split(' ').find(|word| word.starts_with(kind))
    }

    /// What stands for a drive that tells nothing of itself, where one that does was used before.
    #[must_use]
    pub fn nameless() -> Self {
        Self("without a serial number".into())
    }

    /// Whether this is the same piece as one that was used before: one part of its identity is the same, and none is
    /// another. A case or a cable may tell a serial number with the model before it or without, the World Wide Name
    /// with its extension or without, or only one of them. The serial number of a USB device may be that of a dock, so
    /// that a name which was never seen with it is another one.
    fn is_same_piece(&self, known: &Self) -> bool {
        if self.is_nameless() || known.is_nameless() {
            return self.is_nameless() == known.is_nameless();
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

    /// Without what it tells of its encryption.
    fn words(&self) -> impl Iterator<Item = &str> {
        let is_mark = |word: &&str| word.starts_with(HEADER) || word.starts_with(INSIDE);
        self.0.split(' ').filter(move |word| !word.is_empty() && !is_mark(word))
    }

    fn is_nameless(&self) -> bool {
        *self == Self::nameless() || self.is_bare()
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
            let same = (seen.stranger(&known).is_none(), known.stranger(&seen).is_none());
            assert_eq!(same, (expected, expected), "{seen} and {known}");
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
        assert!(named.stranger(&dock).is_some() && dock.stranger(&named).is_none());
    }

    #[test]
    fn another_header_or_content_makes_it_another_one_and_none_is_no_other() {
        let check = |seen: &str, known: &str, expected: Option<Stranger>| {
            let (seen, known) = (Hardware(seen.into()), Hardware(known.into()));
            assert_eq!((seen.stranger(&known), known.stranger(&seen)), (expected, expected), "{seen} and {known}");
        };
        check("WD-1 luks:a fs:1", "WD-1 luks:a fs:1", None);
        check("WD-1", "WD-1 luks:a fs:1", None);
        check("WD-1 luks:a", "WD-1 fs:1", None);
        check("WD-1 luks:b", "WD-1 luks:a fs:1", Some(Stranger::Header));
        check("WD-1 luks:a fs:2", "WD-1 luks:a fs:1", Some(Stranger::Inside));
        check("WD-2 luks:a", "WD-1 luks:a", Some(Stranger::Device));
        check("luks:a", "luks:a fs:1", None);
        check("luks:a", "luks:b", Some(Stranger::Header));
        check(&Hardware::nameless().0, "luks:a", None);
        check("luks:a", "WD-1", Some(Stranger::Device));
        let marked = Hardware("WD-1 luks:a".into()).with_marks_of(&Hardware("WD-1 luks:b fs:1".into()));
        assert_eq!((marked.to_string().as_str(), marked.is_bare()), ("WD-1 luks:a fs:1", false));
        let nameless = Hardware::nameless().with_marks_of(&Hardware("luks:a".into()));
        assert_eq!((nameless.stranger(&Hardware::nameless()), nameless.is_bare()), (None, true));
        let bare = Hardware::with_header(None, Some("a")).map(|hardware| (hardware.is_bare(), hardware.to_string()));
        assert_eq!(bare, Some((true, "luks:a".to_owned())));
    }
}
