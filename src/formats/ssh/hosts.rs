//! The hosts that a configuration of ssh names (`ssh_config(5)`).

/// What a file of it holds, as far as hosts are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostsFile {
    /// The names behind `Host` that are no patterns, in their order.
    pub hosts: Vec<String>,
    /// What it includes.
    pub includes: Vec<String>,
}

/// Reads a file. What is not understood is ssh's business.
#[must_use]
pub fn hosts(text: &str) -> HostsFile {
    let mut file = HostsFile::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let (key, words) = line.split_once(|c: char| c.is_whitespace() || c == '=').unwrap_or((line, ""));
        let words = words.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
        let words = words.split_whitespace().map(|word| word.trim_matches('"').to_owned());
        if key.eq_ignore_ascii_case("host") {
            let named: Vec<_> = words.filter(|word| is_name(word) && !file.hosts.contains(word)).collect();
            file.hosts.extend(named);
        } else if key.eq_ignore_ascii_case("include") {
            file.includes.extend(words);
        }
    }
    file
}

/// Whether this is the name of one host, and can stand on a command line.
fn is_name(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    !word.is_empty() && !word.starts_with('-') && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_and_patterns_are_not() {
        let file = hosts(
            "# Host commented\nInclude config.d/* \"other\"\nHost nas nas.local *.example !no\n  HostName 10.0.0.1\n\
             host=attic\nHost \"quoted\"\nHost nas\nMatch host x\nHostName y\nHost -oProxyCommand=x\n",
        );
        assert_eq!(file.hosts, ["nas", "nas.local", "attic", "quoted"]);
        assert_eq!(file.includes, ["config.d/*", "other"]);
        assert_eq!(hosts(""), HostsFile::default());
    }
}
