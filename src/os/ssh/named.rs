//! The hosts that the user's own configuration of ssh names.

use std::path::{Path, PathBuf};

use crate::formats::ssh::hosts;

/// No more files than these are read.
const MOST_FILES: usize = 50;
/// No file is larger, in bytes.
const LARGEST: u64 = 1 << 20;

/// The names of hosts in `~/.ssh/config` and what it includes, in their order, each once. What cannot be read names
/// none.
#[must_use]
pub fn named_hosts(home: &Path) -> Vec<String> {
    let folder = home.join(".ssh");
    let mut waiting = vec![folder.join("config")];
    let mut found: Vec<String> = Vec::new();
    for _ in 0..MOST_FILES {
        let Some(file) = waiting.pop() else { break };
        let Some(text) = small_text(&file) else { continue };
        let file = hosts::hosts(&text);
        let new: Vec<_> = file.hosts.into_iter().filter(|host| !found.contains(host)).collect();
        found.extend(new);
        waiting.extend(file.includes.iter().rev().flat_map(|include| included(include, &folder, home)));
    }
    found
}

fn small_text(file: &Path) -> Option<String> {
    let about = std::fs::metadata(file).ok()?;
    if !about.is_file() || about.len() > LARGEST {
        return None;
    }
    std::fs::read(file).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The files that `Include` names: one, or all in a directory (`config.d/*`), the last first. Finer patterns are rare,
/// and only leave out a proposal.
fn included(include: &str, folder: &Path, home: &Path) -> Vec<PathBuf> {
    let path = match include.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => folder.join(include),
    };
    if path.file_name().is_none_or(|name| name != "*") {
        return vec![path];
    }
    let entries = path.parent().and_then(|parent| std::fs::read_dir(parent).ok());
    let mut files: Vec<_> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.reverse();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_what_is_included_too() {
        let home = tempfile::tempdir().unwrap();
        let ssh = home.path().join(".ssh");
        std::fs::create_dir_all(ssh.join("more")).unwrap();
        std::fs::write(ssh.join("config"), "Include more/*\nInclude ~/other\nHost nas\nInclude config\n").unwrap();
        std::fs::write(ssh.join("more/a"), "Host a nas\n").unwrap();
        std::fs::write(ssh.join("more/b"), "Host b\n").unwrap();
        std::fs::write(home.path().join("other"), "Host other\n").unwrap();
        assert_eq!(named_hosts(home.path()), ["nas", "a", "b", "other"]);
        assert!(named_hosts(&home.path().join("none")).is_empty());
    }
}
