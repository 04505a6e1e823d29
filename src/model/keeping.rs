//! What a filesystem keeps of what it is given, as far as copying depends on it.

/// What a filesystem keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keeping {
    /// The times of files.
    pub times: Fineness,
    /// Who owns files and who may use them.
    pub rights: Rights,
    /// The names of files.
    pub names: Letters,
}

impl Keeping {
    /// Whether there can be pipes, sockets and devices. Where files have no rights of their own and capital letters do
    /// not count (FAT, exFAT), there are none, and some drivers leave a broken file in their place.
    #[must_use]
    pub fn holds_specials(self) -> bool {
        self.rights == Rights::Kept || self.names == Letters::Apart
    }
}

/// How finely the time of a change is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fineness {
    /// To the nanosecond.
    #[default]
    Nanoseconds,
    /// To the second, or to a part of it that rsync does not know: 100 ns on NTFS.
    Seconds,
    /// To two seconds, as FAT does.
    TwoSeconds,
}

/// Whether files keep their owners, groups and modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rights {
    /// They do.
    #[default]
    Kept,
    /// All files have the same, whatever they are given.
    Fixed,
}

/// What lets a file do more than its reader may: set-user-ID and set-group-ID bits, device nodes, capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Privileges {
    /// The copy has it.
    #[default]
    Copied,
    /// The copy has it not: it counted for nothing where it was read, and would count where it is written.
    LeftOut,
}

/// How much of what gives a file power counts on a mount: set-user-ID programs, device nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Honours {
    /// All of it.
    All,
    /// Either programs or device nodes.
    Some,
    /// None of it.
    Nothing,
}

/// Whether names that differ only in capital letters are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Letters {
    /// They are.
    #[default]
    Apart,
    /// They are one.
    Same,
}

/// The time that a file is given to see what becomes of it: 2001-09-09 01:46:41 UTC, in seconds since 1970.
pub const ODD_SECONDS: i64 = 1_000_000_001;
/// The nanoseconds of it.
pub const ODD_NANOSECONDS: i64 = 123_456_789;

impl Fineness {
    /// By what became of the odd time; `None` if this is not what became of it.
    #[must_use]
    pub fn of_kept(seconds: i64, nanoseconds: i64) -> Option<Self> {
        match ODD_SECONDS.abs_diff(seconds) {
            0 if nanoseconds == ODD_NANOSECONDS => Some(Self::Nanoseconds),
            0 => Some(Self::Seconds),
            1 => Some(Self::TwoSeconds),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_the_odd_time_tells_how_fine_times_are() {
        for (kept, fineness) in [
            ((1_000_000_001, 123_456_789), Some(Fineness::Nanoseconds)),
            // NTFS, exFAT, ext3 and FAT.
            ((1_000_000_001, 123_456_700), Some(Fineness::Seconds)),
            ((1_000_000_001, 120_000_000), Some(Fineness::Seconds)),
            ((1_000_000_001, 0), Some(Fineness::Seconds)),
            ((1_000_000_000, 0), Some(Fineness::TwoSeconds)),
            ((1_000_000_002, 0), Some(Fineness::TwoSeconds)),
            ((1_700_000_000, 123_456_789), None),
        ] {
            assert_eq!(Fineness::of_kept(kept.0, kept.1), fineness, "{kept:?}");
        }
    }
}
