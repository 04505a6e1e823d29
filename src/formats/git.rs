//! What git is told and tells (git(1), git-fetch(1), git-for-each-ref(1), git-ls-remote(1)).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::model::{RefName, Refs, RepositoryUrl};

/// What each call begins with: nothing of a repository names a program, and nothing goes on behind us.
///
/// What was fetched once stays in its pack: a mirror whose files are packed anew would be copied anew, and to the guard
/// it would look like one that is emptied. What a ref leads to is on the disk before another names it.
const CALM: [&str; 10] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=committed,reference",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.interactive=false",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
];

/// The variables that keep git from asking anybody, from other ways than these to a repository, and from believing what
/// a repository says of histories that are not its commits' own.
pub const ENVIRONMENT: [(&str, &str); 8] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS", "/bin/false"),
    ("GCM_INTERACTIVE", "never"),
    ("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_OPTIONAL_LOCKS", "0"),
];

/// All that the `config` of a mirror says. Git obeys what stands there, programs included, so it is written anew before
/// each fetch.
pub const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";

/// Other files of a mirror that lead git elsewhere (gitrepository-layout(5)), by their directories.
pub const DETOURS: [(&str, &str); 6] = [
    ("", "commondir"),
    ("", "config.worktree"),
    ("", "shallow"),
    ("info", "grafts"),
    ("objects/info", "alternates"),
    ("objects/info", "http-alternates"),
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
    let options = ["init", "--quiet", "--bare", "--template=", "--object-format=sha1"];
    call(None, &[&options[..], &["--", &format!("./{mirror}")]].concat())
}

/// Asks for all refs of a repository, and which branch it calls its own.
#[must_use]
pub fn ask_there(mirror: &str, url: &RepositoryUrl) -> Vec<OsString> {
    call(Some(mirror), &["ls-remote", "--symref", "--", url.as_str()])
}

/// Fetches all refs of a repository to where nothing of the mirror is touched.
#[must_use]
pub fn fetch(mirror: &str, url: &RepositoryUrl, below: &str) -> Vec<OsString> {
    let all = format!("+refs/*:{below}*");
    let not_ours = ["^refs/nbkp", "^refs/nbkp/*", "^refs/nbkp-incoming", "^refs/nbkp-incoming/*"];
    let options = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-progress"];
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
    lines(output).filter_map(|line| object_and_name(line, b' ')).collect()
}

/// The names of refs, and the branch that the repository calls its own, as [`ask_there`] has told.
#[must_use]
pub fn there(output: &[u8]) -> (BTreeSet<RefName>, Option<String>) {
    let names = lines(output).filter_map(|line| object_and_name(line, b'\t')).map(|(name, _)| name);
    // What a tag leads to is told beside it.
    let names = names.filter(|name| name.starts_with(b"refs/") && !name.ends_with(b"^{}")).collect();
    let mut branches = lines(output).filter_map(|line| line.strip_prefix(b"ref: ")?.strip_suffix(b"\tHEAD"));
    let is_plain = |c: char| c.is_ascii_graphic() && !"~^:?*[\\".contains(c);
    let branch = branches.next().and_then(|branch| std::str::from_utf8(branch).ok());
    let branch = branch.filter(|branch| branch.starts_with("refs/heads/") && branch.chars().all(is_plain));
    (names, branch.map(str::to_owned))
}

fn lines(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|byte| *byte == b'\n')
}

fn object_and_name(line: &[u8], between: u8) -> Option<(RefName, String)> {
    let mut parts = line.splitn(2, |byte| *byte == between);
    let object =
        std::str::from_utf8(parts.next()?).ok().filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((parts.next()?.to_vec(), object.to_owned()))
}

/// What git complained of, with what helps there.
#[must_use]
pub fn complaint(errors: &str) -> Option<String> {
    let lines: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let at = |prefix: &str| lines.iter().position(|line| line.starts_with(prefix));
    let fatal = at("fatal: ").and_then(|at| Some((at, lines.get(at)?.strip_prefix("fatal: ")?)));
    let said = match fatal {
        // Of a server that refuses git itself knows less than ssh or the server, who spoke before.
        Some((at, "Could not read from remote repository.")) if at > 0 => (*lines.get(at.checked_sub(1)?)?).to_owned(),
        Some((_, fatal)) => fatal.to_owned(),
        None => lines.get(at("error: ").unwrap_or_default())?.trim_start_matches("error: ").to_owned(),
    };
    let helps = if said.contains("Host key verification failed") {
        "connect there once by `ssh` as the user that runs nbkpd".to_owned()
    } else if said.starts_with("detected dubious ownership") {
        let command = lines.iter().find(|line| line.starts_with("git config --global"))?;
        format!("`{command}`, as the user that runs nbkpd, allows it")
    } else {
        return Some(said);
    };
    Some(format!("{said} ({helps})"))
}

/// The lock that was in the way, if that is what git complained of.
#[must_use]
pub fn lock_in_the_way(errors: &str) -> Option<PathBuf> {
    let between = |before: &str, after: &str| Some(errors.split_once(before)?.1.split_once(after)?.0);
    if let Some(lock) = between("Unable to create '", "': File exists") {
        return lock.strip_suffix(".lock").map(|_| lock.into());
    }
    between("could not lock config file ", ": File exists").map(|file| format!("{file}.lock").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_and_the_first_branch_are_read() {
        let told = b"1111 refs/heads/main\n2222 refs/heads/caf\xe9\n";
        let refs_told: Vec<_> = refs(told).into_iter().collect();
        let expected =
            [(b"refs/heads/caf\xe9".to_vec(), "2222".to_owned()), (b"refs/heads/main".to_vec(), "1111".to_owned())];
        assert_eq!(refs_told, expected, "names are bytes");
        let told =
            b"ref: refs/heads/trunk\tHEAD\n11\tHEAD\n11\trefs/heads/trunk\n22\trefs/tags/v1\n11\trefs/tags/v1^{}\n";
        let (names, head) = there(told);
        assert_eq!(names, [b"refs/heads/trunk".to_vec(), b"refs/tags/v1".to_vec()].into());
        assert_eq!(head.as_deref(), Some("refs/heads/trunk"));
        for odd in ["1111\tHEAD\n", "ref: refs/heads/a b\tHEAD\n", "ref: refs/nbkp/x\tHEAD\n", ""] {
            assert_eq!(there(odd.as_bytes()).1, None, "{odd}");
        }
    }

    #[test]
    fn ssh_is_called_as_the_user_has_it_and_asks_nobody() {
        assert_eq!(ssh_command("").unwrap(), "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15");
        assert!(ssh_command("/usr/bin/ssh -i key\n").unwrap().starts_with("/usr/bin/ssh -i key -o BatchMode=yes"));
        assert_eq!(ssh_command("plink -batch"), None);
    }

    #[test]
    fn the_cause_of_a_failure_is_told_with_what_helps() {
        let told = |errors: &str| complaint(errors).unwrap_or_default();
        let rest = "fatal: Could not read from remote repository.\n\n\
                    Please make sure you have the correct access rights\nand the repository exists.\n";
        for cause in ["git@example.org: Permission denied (publickey).", "ssh: Could not resolve hostname x: unknown"] {
            assert_eq!(told(&format!("{cause}\n{rest}")), cause);
        }
        assert!(told(&format!("Host key verification failed.\n{rest}")).contains("connect there once by `ssh`"));
        let theirs = "fatal: detected dubious ownership in repository at '/home/ada/x'\nTo add an exception, call:\n\n\
                      \tgit config --global --add safe.directory /home/ada/x\n";
        assert!(told(theirs).contains("(`git config --global --add safe.directory /home/ada/x`, as the user"));
        let away = "fatal: unable to access 'https://x/': Could not resolve host: x\n";
        assert_eq!(told(away), "unable to access 'https://x/': Could not resolve host: x");
        let locked = "error: cannot lock ref 'refs/x/a': Unable to create '/m/a.git/refs/x/a.lock': File exists.\n\n\
                      Another git process seems to be running, or crashed:\nremove the file manually to continue.\n";
        assert!(told(locked).starts_with("cannot lock ref 'refs/x/a'"));
        assert_eq!(complaint("\n"), None);
        assert_eq!(lock_in_the_way(locked), Some("/m/a.git/refs/x/a.lock".into()));
        let config = "error: could not lock config file ./a.git/config: File exists\n";
        assert_eq!(lock_in_the_way(config), Some("./a.git/config.lock".into()));
        assert_eq!(lock_in_the_way("Unable to create '/etc/passwd': File exists"), None);
    }
}
