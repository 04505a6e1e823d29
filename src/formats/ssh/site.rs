//! What a server tells of a place where copies are to lie.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::calls::ScriptCall;
use super::script;
use crate::model::Vacancy;

/// Asks for a directory there: absolute, or below the home directory; empty for that itself.
#[must_use]
pub fn call(directory: &Path) -> ScriptCall {
    ScriptCall { script: script::SITE, words: vec![OsString::from(directory)] }
}

/// What it told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteThere {
    /// The home directory of the account.
    pub home: Option<PathBuf>,
    /// Whether the directory is there.
    pub directory: DirectoryThere,
    /// The type of its filesystem, in the words of `stat -f`.
    pub fs_type: Option<String>,
    /// Whether the account may write there.
    pub is_writable: bool,
    /// How much room is left, in bytes.
    pub free: Option<u64>,
    /// What lies in the directory, seen as the destination of a sync.
    pub vacancy: Vacancy,
}

/// Whether a directory is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryThere {
    /// It is.
    Open,
    /// There is none; what is told else is that of the home directory, if it would lie below it.
    Missing,
    /// It cannot be entered, or is no directory.
    Closed,
}

/// Reads the answer; `None` if it makes no sense.
#[must_use]
pub fn site(answer: &[u8]) -> Option<SiteThere> {
    let text = String::from_utf8_lossy(answer);
    let line = |word: &str| {
        let mut told = text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        told.next_back().map(str::trim).filter(|told| !told.is_empty())
    };
    let directory = match line("place")? {
        "there" => DirectoryThere::Open,
        "missing" => DirectoryThere::Missing,
        "closed" => DirectoryThere::Closed,
        _ => return None,
    };
    // No sync goes through a link.
    let vacancy = match (directory, line("way"), line("holds")) {
        (_, Some(_), _) | (DirectoryThere::Closed, ..) | (DirectoryThere::Open, None, Some("other")) => Vacancy::Taken,
        (DirectoryThere::Open, None, Some(_)) => Vacancy::Copies,
        (DirectoryThere::Open, None, None) | (DirectoryThere::Missing, None, _) => Vacancy::Free,
    };
    Some(SiteThere {
        home: line("home").map(PathBuf::from),
        directory,
        fs_type: line("type").map(str::to_owned),
        is_writable: line("access") == Some("write"),
        free: line("free").and_then(|kibibytes| kibibytes.parse::<u64>().ok()).map(|kibibytes| kibibytes << 10),
        vacancy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let told = b"home /home/ada\nplace there\nholds copies\ntype btrfs\naccess write\nfree 1024\n";
        let expected = SiteThere {
            home: Some("/home/ada".into()),
            directory: DirectoryThere::Open,
            fs_type: Some("btrfs".into()),
            is_writable: true,
            free: Some(1 << 20),
            vacancy: Vacancy::Copies,
        };
        assert_eq!(site(told), Some(expected));
        let missing = site(b"home /root\nplace missing\ntype \nfree \n").unwrap();
        assert_eq!((missing.directory, missing.fs_type, missing.free), (DirectoryThere::Missing, None, None));
        assert_eq!(missing.vacancy, Vacancy::Free);
        assert_eq!(site(b"home /root\nway link\nplace missing\n").unwrap().vacancy, Vacancy::Taken);
        assert_eq!(site(b"home /root\nplace there\nholds other\n").unwrap().vacancy, Vacancy::Taken);
        assert_eq!(site(b"home /root\nplace there\n").unwrap().vacancy, Vacancy::Free);
        assert_eq!(site(b"home /root\nplace closed\n").unwrap().directory, DirectoryThere::Closed);
        assert_eq!(site(b"Welcome!\n"), None);
    }
}
