//! What git is told and tells (git(1), git-fetch(1), git-for-each-ref(1), git-ls-remote(1)).

use std::ffi::OsString;

use crate::model::{Refs, RepositoryUrl};

/// What each call begins with: nothing in a mirror or a repository names a program, and nothing goes on behind us.
///
/// What was fetched once stays in its pack: a mirror whose files are packed anew would be copied anew, and to the guard
/// it would look like one that is emptied.
const CALM: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.interactive=false",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
];

/// The variables that keep git from asking anybody, and from other ways than these to a repository.
pub const ENVIRONMENT: [(&str, &str); 6] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS", "/bin/false"),
    ("GCM_INTERACTIVE", "never"),
    ("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh"),
    ("GIT_OPTIONAL_LOCKS", "0"),
];

/// A call of git for a mirror of this name, in the directory that it lies in.
fn call(mirror: Option<&str>, words: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = CALM.iter().flat_map(|set| ["-c".into(), OsString::from(set)]).collect();
    if let Some(mirror) = mirror {
        arguments.push(format!("--git-dir=./{mirror}").into());
    }
    arguments.extend(words.iter().map(OsString::from));
    arguments
}

/// Asks how the user has git call ssh.
#[must_use]
pub fn ask_ssh() -> Vec<OsString> {
    call(None, &["config", "--global", "--get", "core.sshCommand"])
}

/// How git calls ssh so that it asks nobody and waits for no dead server, where the user has it called like this;
/// `None` if that is not `ssh`, whose options are its own affair.
#[must_use]
pub fn ssh_command(of_user: &str) -> Option<String> {
    let of_user = if of_user.trim().is_empty() { "ssh" } else { of_user.trim() };
    let program = of_user.split_whitespace().next()?.rsplit('/').next()?;
    let calm = "-o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15";
    (program == "ssh").then(|| format!("{of_user} {calm}"))
}

/// Makes an empty mirror; one that is there already stays as it is.
#[must_use]
pub fn init(mirror: &str) -> Vec<OsString> {
    call(None, &["init", "--quiet", "--bare", "--template=", "--", &format!("./{mirror}")])
}

/// Asks which branch a repository calls its own.
#[must_use]
pub fn ask_head(mirror: &str, url: &RepositoryUrl) -> Vec<OsString> {
    call(Some(mirror), &["ls-remote", "--symref", "--", url.as_str(), "HEAD"])
}

/// Fetches all refs of a repository to where nothing of the mirror is touched.
#[must_use]
pub fn fetch(mirror: &str, url: &RepositoryUrl, below: &str) -> Vec<OsString> {
    let all = format!("+refs/*:{below}*");
    let not_ours = ["^refs/nbkp/*", "^refs/nbkp-incoming/*"];
    let options = ["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-progress"];
    call(Some(mirror), &[&options[..], &["--", url.as_str(), &all], &not_ours].concat())
}

/// Makes one index over all packs of a mirror, so that many of them are as quick as one (git-multi-pack-index(1)).
#[must_use]
pub fn index(mirror: &str) -> Vec<OsString> {
    call(Some(mirror), &["multi-pack-index", "write"])
}

/// Asks for all refs of a mirror.
#[must_use]
pub fn ask_refs(mirror: &str) -> Vec<OsString> {
    call(Some(mirror), &["for-each-ref", "--format=%(objectname) %(refname)"])
}

/// Asks whether the second commit holds all of the first: it ends with code 1 if not.
#[must_use]
pub fn is_onward(mirror: &str, before: &str, after: &str) -> Vec<OsString> {
    call(Some(mirror), &["merge-base", "--is-ancestor", before, after])
}

/// Changes refs, at one stroke, as its standard input says.
#[must_use]
pub fn update(mirror: &str) -> Vec<OsString> {
    call(Some(mirror), &["update-ref", "--no-deref", "--stdin"])
}

/// Names the branch that a clone of the mirror begins with.
#[must_use]
pub fn set_head(mirror: &str, branch: &str) -> Vec<OsString> {
    call(Some(mirror), &["symbolic-ref", "HEAD", branch])
}

/// The refs that [`ask_refs`] has told.
#[must_use]
pub fn refs(output: &[u8]) -> Refs {
    let text = String::from_utf8_lossy(output);
    text.lines().filter_map(|line| line.split_once(' ')).map(|(id, name)| (name.to_owned(), id.to_owned())).collect()
}

/// The branch that [`ask_head`] has told.
#[must_use]
pub fn head(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines();
    let branch = lines.find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD"))?;
    let is_plain = |c: char| c.is_ascii_graphic() && !"~^:?*[\\".contains(c);
    (branch.starts_with("refs/heads/") && branch.chars().all(is_plain)).then(|| branch.to_owned())
}

/// What git complained of last, without what it says of how to put it right there.
#[must_use]
pub fn complaint(errors: &str) -> Option<&str> {
    let lines = || errors.lines().map(str::trim).filter(|line| !line.is_empty());
    let fatal = lines().find_map(|line| line.strip_prefix("fatal: "));
    let server = lines().find(|line| line.starts_with("ERROR: ") || line.contains("Permission denied"));
    match (fatal, server) {
        // Of a server that refuses git itself knows less than the server.
        (Some("Could not read from remote repository."), Some(server)) => Some(server),
        (Some(fatal), _) => Some(fatal),
        (None, Some(server)) => Some(server),
        (None, None) => lines().next_back(),
    }
}

/// The lock that was in the way of a change, if that is what git complained of.
#[must_use]
pub fn lock_in_the_way(complaint: &str) -> Option<&str> {
    let (_, rest) = complaint.split_once("Unable to create '")?;
    let (lock, _) = rest.split_once("': File exists")?;
    lock.strip_suffix(".lock").map(|_| lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_and_the_first_branch_are_read() {
        let told = b"1111 refs/heads/main\n2222 refs/tags/v1\n";
        let expected: Refs = [("refs/heads/main", "1111"), ("refs/tags/v1", "2222")]
            .map(|(name, id)| (name.to_owned(), id.to_owned()))
            .into();
        assert_eq!(refs(told), expected);
        assert_eq!(head(b"ref: refs/heads/trunk\tHEAD\n1111\tHEAD\n"), Some("refs/heads/trunk".to_owned()));
        for odd in ["1111\tHEAD\n", "ref: refs/heads/a b\tHEAD\n", "ref: refs/nbkp/x\tHEAD\n", ""] {
            assert_eq!(head(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn ssh_is_called_as_the_user_has_it_and_asks_nobody() {
        assert_eq!(ssh_command("").unwrap(), "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15");
        assert!(ssh_command("/usr/bin/ssh -i key\n").unwrap().starts_with("/usr/bin/ssh -i key -o BatchMode=yes"));
        assert_eq!(ssh_command("plink -batch"), None);
    }

    #[test]
    fn the_cause_of_a_failure_is_told() {
        let refused = "git@example.org: Permission denied (publickey).\n\
                       fatal: Could not read from remote repository.\n\n\
                       Please make sure you have the correct access rights\nand the repository exists.\n";
        assert_eq!(complaint(refused), Some("git@example.org: Permission denied (publickey)."));
        let away = "fatal: unable to access 'https://x/': Could not resolve host: x\n";
        assert_eq!(complaint(away), Some("unable to access 'https://x/': Could not resolve host: x"));
        assert_eq!(complaint("\n"), None);
        let locked =
            "fatal: cannot lock ref 'refs/heads/a': Unable to create '/m/a.git/refs/heads/a.lock': File exists.";
        assert_eq!(complaint(locked).and_then(lock_in_the_way), Some("/m/a.git/refs/heads/a.lock"));
        assert_eq!(lock_in_the_way("Unable to create '/etc/passwd': File exists"), None);
    }
}
