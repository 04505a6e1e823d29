//! Where others than the person at the desk learn how backups stand.

use std::fmt;
use std::path::PathBuf;

/// Where others than the person at the desk learn how backups stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Monitoring {
    /// A file for the text file collector of Prometheus' node exporter, as an absolute path.
    pub textfile: Option<PathBuf>,
    /// Where runs are reported of syncs that name no address of their own.
    pub ping: Option<PingUrl>,
}

/// An address to which the beginnings and ends of runs are reported, as healthchecks.io has it. Whoever knows it may
/// report, too: it is shown in the configuration only.
#[derive(Clone, PartialEq, Eq)]
pub struct PingUrl(String);

impl PingUrl {
    /// The address, if it is one: `http` or `https`, a host, and none of the characters that no address holds.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme))?;
        let is_host = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        let is_plain = rest.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>' | '`' | '#'));
        (is_host && is_plain).then(|| Self(text.to_owned()))
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its host, with the port: what a log may name.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }
}

impl fmt::Debug for PingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PingUrl({})", self.host())
    }
}

/// What an address is told about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingSign {
    /// It begins.
    Start,
    /// It made its copy.
    Success,
    /// It failed, or was held.
    Failure,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_taken_and_logs_name_the_host_alone() {
        for (text, host) in [
            ("https://hc.example.org/0b5e", Some("hc.example.org")),
            ("http://user:secret@[::1]:8000/ping?x=1", Some("[::1]:8000")),
            ("https://hc.example.org?id=5", Some("hc.example.org")),
            ("ftp://example.org/", None),
            ("https://", None),
            ("https:///path", None),
            ("https://-o/", None),
            ("https://a b/", None),
            ("https://a/\"\nurl = \"file:///etc/passwd", None),
            ("https://a/#part", None),
        ] {
            let url = PingUrl::new(text);
            assert_eq!(url.as_ref().map(PingUrl::host), host, "{text}");
            assert!(!format!("{url:?}").contains("secret"));
        }
    }
}
