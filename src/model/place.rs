//! `volume:subdir`: where a sync reads and where it writes.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::VolumeName;

/// Why a text is not a subdirectory of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubdirError {
    /// The path is absolute; a subdirectory is relative to the root of its volume.
    Absolute,
    /// The path holds `..`, which would leave the volume.
    Parent,
    /// A component begins with `-` or holds a control character.
    Unsafe,
}

impl fmt::Display for SubdirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absolute => "a subdirectory is relative to its volume: leave out the leading `/`",
            Self::Parent => "a subdirectory must not contain `..`",
            Self::Unsafe => "a subdirectory must not begin with `-` or hold control characters",
        })
    }
}

impl std::error::Error for SubdirError {}

/// A path below the root of a volume: relative, without `.` or `..`; empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Subdir(PathBuf);

impl Subdir {
    /// The relative path; empty for the root of the volume.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether this is the root of the volume.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    /// Whether one of the two contains the other, or they are the same.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

impl FromStr for Subdir {
    type Err = SubdirError;

    fn from_str(text: &str) -> Result<Self, SubdirError> {
        if text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(SubdirError::Unsafe);
        }
        let mut path = PathBuf::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(name) => path.push(name),
                Component::CurDir => {}
                Component::ParentDir => return Err(SubdirError::Parent),
                Component::RootDir | Component::Prefix(_) => return Err(SubdirError::Absolute),
            }
        }
        Ok(Self(path))
    }
}

/// A directory on a volume.
///
/// ```
/// use nbkp::model::Place;
///
/// let place = |subdir: &str| Place { volume: "usb".parse().unwrap(), subdir: subdir.parse().unwrap() };
/// assert_eq!(place("photos/2026").to_string(), "usb:photos/2026");
/// // Two syncs may not write both of these.
/// assert!(place("photos").overlaps(&place("photos/2026")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The volume.
    pub volume: VolumeName,
    /// The directory below its root.
    pub subdir: Subdir,
}

impl Place {
    /// Whether both are on the same volume and one contains the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.volume == other.volume && self.subdir.overlaps(&other.subdir)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.volume, self.subdir.as_path().display())
    }
}

/// One end of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Where it reads.
    Source,
    /// Where it writes.
    Destination,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}
