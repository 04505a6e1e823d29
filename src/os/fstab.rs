//! `/etc/fstab`.

use crate::formats::fstab;
use crate::model::FstabLine;

/// Its lines; none if there is no such file.
#[must_use]
pub fn lines() -> Vec<FstabLine> {
    std::fs::read("/etc/fstab").map(|bytes| fstab::lines(&bytes)).unwrap_or_default()
}
