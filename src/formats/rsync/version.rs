//! What rsync says of itself: `rsync --version`.

use crate::model::ProgramVersion;

/// The oldest one that can be the other end of a copy: older ones keep no fractions of a second, and know no deletions
/// by name.
pub const OLDEST_AT_A_SERVER: ProgramVersion = ProgramVersion(3, 1, 0);

/// The first one that can be told to compare times to the nanosecond.
pub const COMPARES_NANOSECONDS: ProgramVersion = ProgramVersion(3, 1, 3);

/// The version in its first line, `rsync  version 3.2.7  protocol version 31`; `None` if there is none.
#[must_use]
pub fn of(said: &str) -> Option<ProgramVersion> {
    let mut words = said.lines().next()?.split_whitespace();
    if words.next() != Some("rsync") || words.next() != Some("version") {
        return None;
    }
    // Versions in the making are `3.4.0pre1` and `v3.4.1-12-gabc`.
    let mut numbers = words.next()?.trim_start_matches('v').split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    Some(ProgramVersion(numbers.next()??, numbers.next().flatten().unwrap_or(0), numbers.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_first_line() {
        for (said, version) in [
            ("rsync  version 3.2.7  protocol version 31\nCopyright …", Some(ProgramVersion(3, 2, 7))),
            ("rsync  version 3.5.0pre1  protocol version 32", Some(ProgramVersion(3, 5, 0))),
            ("rsync version v3.4.1-12-gabc protocol version 32", Some(ProgramVersion(3, 4, 1))),
            ("rsync version 4 protocol version 40", Some(ProgramVersion(4, 0, 0))),
            ("openrsync: protocol version 29", None),
            ("", None),
        ] {
            assert_eq!(of(said), version, "{said}");
        }
        assert!(
            ProgramVersion(3, 1, 10) > ProgramVersion(3, 1, 3) && ProgramVersion(3, 1, 2) < ProgramVersion(3, 1, 3)
        );
    }
}
