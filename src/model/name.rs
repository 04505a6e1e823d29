//! The names that a configuration gives to its syncs, volumes, groups, locations, endpoints and credentials.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// The text is empty.
    Empty,
    /// The text is longer than 64 bytes.
    TooLong,
    /// The first character is not an ASCII letter, digit or underscore.
    Start(char),
    /// A later character is not an ASCII letter, digit, `-`, `_` or `.`.
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name must not be empty"),
            Self::TooLong => f.write_str("a name has at most 64 characters"),
            Self::Start(c) => write!(f, "a name begins with a letter, a digit or `_`, not with {c:?}"),
            Self::Character(c) => write!(f, "a name holds letters, digits, `-`, `_` and `.`, not {c:?}"),
        }
    }
}

impl std::error::Error for NameError {}

/// Names reach file names, log fields and command lines: the grammar keeps options, paths and control characters out.
fn check(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > 64 {
        return Err(NameError::TooLong);
    }
    if !first.is_ascii_alphanumeric() && first != '_' {
        return Err(NameError::Start(first));
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as written in the configuration.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a volume.
    VolumeName
);
name!(
    /// The name of a group of volumes.
    GroupName
);
name!(
    /// The name of a location.
    LocationName
);
name!(
    /// The name of an ssh endpoint.
    EndpointName
);
name!(
    /// The name under which a credential provider knows a secret.
    CredentialName
);

/// The name of a sync: `documents`, or `documents@blue` for the copy that a sync to a group makes on the member `blue`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncName {
    text: String,
    base: usize,
}

impl SyncName {
    /// The name as shown everywhere.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name in the configuration: the part before `@`.
    #[must_use]
    pub fn base(&self) -> &str {
        self.text.get(..self.base).unwrap_or(&self.text)
    }

    /// The name of the copy on one member of a group.
    #[must_use]
    pub fn on(&self, member: &VolumeName) -> Self {
        Self { text: format!("{}@{member}", self.base()), base: self.base }
    }

    /// Whether a person who asks for `asked` means this sync: its whole name, or the base that several copies share.
    #[must_use]
    pub fn answers_to(&self, asked: &Self) -> bool {
        self == asked || self.base() == asked.text
    }
}

impl FromStr for SyncName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let base = match text.split_once('@') {
            Some((base, member)) => {
                check(member)?;
                base
            }
            None => text,
        };
        check(base)?;
        Ok(Self { text: text.to_owned(), base: base.len() })
    }
}

impl fmt::Display for SyncName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
