//! Repositories that somebody else keeps, and of which mirrors are kept here (gitglossary(7)).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

/// Why a text is not the address of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryUrlError {
    /// It is empty, or holds blanks or control characters.
    Shape,
    /// It begins with `-`: git would take it for an option.
    Option,
    /// It is a path that begins nowhere: git would look for it among the mirrors.
    Relative,
    /// It names a way that git is not let to go.
    Scheme,
    /// It names a program of git's that fetches (`ext::`, gitremote-helpers(7)).
    Helper,
    /// It holds a password, which everybody could read who sees the configuration or the processes.
    Password,
    /// It does not end in a name.
    Nameless,
}

impl fmt::Display for RepositoryUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "it is empty, or holds blanks",
            Self::Option => "it begins with `-`",
            Self::Relative => "it is neither an address nor a path that begins with `/` or `~/`",
            Self::Scheme => "only `https:`, `http:`, `ssh:`, `git:` and `file:` are asked",
            Self::Helper => "a program would be started to fetch it",
            Self::Password => "it holds a password, which others can read; a credential helper of git keeps it safe",
            Self::Nameless => "it does not end in the name of a repository",
        })
    }
}

impl std::error::Error for RepositoryUrlError {}

/// The address of a repository, as `git clone` takes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepositoryUrl(String);

impl RepositoryUrl {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What its mirror is called: the last part of the address, ending in `.git`.
    #[must_use]
    pub fn mirror_name(&self) -> String {
        format!("{}.git", last_part(&self.0))
    }
}

impl FromStr for RepositoryUrl {
    type Err = RepositoryUrlError;

    fn from_str(text: &str) -> Result<Self, RepositoryUrlError> {
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(RepositoryUrlError::Shape);
        }
        if text.starts_with('-') {
            return Err(RepositoryUrlError::Option);
        }
        if text.split_once("::").is_some_and(|(helper, _)| helper.chars().all(|c| c.is_ascii_alphanumeric())) {
            return Err(RepositoryUrlError::Helper);
        }
        match text.split_once("://") {
            Some(("https" | "http" | "ssh" | "git" | "file", _)) => {}
            Some(_) => return Err(RepositoryUrlError::Scheme),
            // As git has it, a colon before the first slash ends a host (git-clone(1)).
            None if text.starts_with('/') || text.split('/').next().is_some_and(|host| host.contains(':')) => {}
            None => return Err(RepositoryUrlError::Relative),
        }
        let authority = text.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
        if user.is_some_and(|user| user.contains(':')) {
            return Err(RepositoryUrlError::Password);
        }
        let name = last_part(text);
        if name.is_empty() || name.starts_with('.') || name.contains('\\') {
            return Err(RepositoryUrlError::Nameless);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn last_part(text: &str) -> &str {
    let text = text.trim_end_matches('/');
    let text = text.strip_suffix("/.git").unwrap_or(text);
    let name = text.rsplit(['/', ':']).next().unwrap_or_default();
    name.strip_suffix(".git").unwrap_or(name)
}

/// The repositories that a run fetches before it copies their mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repositories {
    /// Where they are had.
    pub urls: Vec<RepositoryUrl>,
    /// How long is kept what a repository has deleted or rewritten; `None` for ever.
    pub kept_for: Option<Duration>,
    /// When they were copied last.
    pub last_copied: Option<Timestamp>,
}

/// The full name of a ref, as whoever pushed it chose it.
pub type RefName = Vec<u8>;

/// The refs of a repository by their full names, with the ids of their objects.
pub type Refs = BTreeMap<RefName, String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_mirror() {
        for (text, name) in [
            ("git@example.org:ada/notes.git", "notes.git"),
            ("https://example.org/tool.git", "tool.git"),
            ("https://example.org/tool/", "tool.git"),
            ("ssh://git@[::1]:22/a/b", "b.git"),
            ("/home/ada/work/.git", "work.git"),
            ("host:notes", "notes.git"),
            ("https://ada@example.org/x.y", "x.y.git"),
        ] {
            assert_eq!(text.parse::<RepositoryUrl>().unwrap().mirror_name(), name, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        use RepositoryUrlError::{Helper, Nameless, Option, Password, Relative, Scheme, Shape};
        for (text, why) in [
            ("", Shape),
            ("https://example.org/a b", Shape),
            ("https://example.org/a\nb", Shape),
            ("--upload-pack=touch", Option),
            ("ext::sh -c id".replace(' ', "_").as_str(), Helper),
            ("fd::17/x", Helper),
            ("https://ada:secret@example.org/a", Password),
            ("notes", Relative),
            ("./notes.git", Relative),
            ("work/a:b", Relative),
            ("ftp://example.org/a", Scheme),
            ("https://example.org/..", Nameless),
            ("/", Nameless),
            ("host:", Nameless),
            ("https://example.org/.nbkp", Nameless),
        ] {
            assert_eq!(text.parse::<RepositoryUrl>(), Err(why), "{text}");
        }
    }
}
