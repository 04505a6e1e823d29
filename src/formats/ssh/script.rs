//! What is said to a POSIX shell at the other end, and how its answer is read.
//!
//! A script and its arguments go to the standard input of `sh`: the remote login shell, which may be anything, reads
//! constant words. Only what becomes rsync, whose standard input is the copy, stands on its command line, as one word
//! that all shells read alike ([`line()`]). A script is a function, called in a block of its own, so that half of all
//! this does nothing.
//! Its answer begins and ends with a line of ours: what comes before is a login shell that talks, and an answer without
//! its end is a connection that broke.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;

use super::quote;
use crate::model::layout::assignments;

/// The command that reads a script. The variables mark its processes as ours, so that a later run knows those that a
/// broken connection left behind.
#[must_use]
pub fn command(marks: Option<&Marks>) -> OsString {
    match marks {
        None => "exec sh -s".into(),
        Some(Marks { client, run }) => format!("exec env NBKP_CLIENT={client} NBKP_RUN={run} sh -s").into(),
    }
}

/// What marks the processes of a run at the other end, for all to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    client: String,
    run: String,
}

impl Marks {
    /// The marks of a run; letters, digits, `-`, `.`, `_` and `@` stay, anything else becomes `_`.
    #[must_use]
    pub fn new(client: &str, run: &str) -> Self {
        let plain = |text: &str| {
            let safe = |c: char| if c.is_ascii_alphanumeric() || "-._@".contains(c) { c } else { '_' };
            text.chars().map(safe).collect::<String>()
        };
        // The colon at the end keeps one from being the beginning of another.
        Self { client: format!("{}:", plain(client)), run: format!("{}:", plain(run)) }
    }

    /// Whose processes they are.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Of which run they are.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }
}

macro_rules! whole {
    ($file:literal) => {
        concat!(assignments!(), include_str!("scripts/common.sh"), include_str!(concat!("scripts/", $file)))
    };
}

macro_rules! on_drives {
    ($file:literal) => {
        concat!(
            assignments!(),
            include_str!("scripts/common.sh"),
            include_str!("scripts/drive.sh"),
            include_str!(concat!("scripts/", $file))
        )
    };
}

/// Does something with a drive, and tells how it stands.
pub const ACT: &str = on_drives!("act.sh");
/// Unlocks a drive with the passphrase on its standard input.
pub const UNLOCK: &str = on_drives!("unlock.sh");
/// Tells how one end of a sync stands.
pub const LOOK: &str = whole!("look.sh");
/// Proves an end and becomes rsync.
pub const TRANSFER: &str = whole!("transfer.sh");
/// Becomes an rsync with a root of its own.
pub const APART: &str = include_str!("scripts/apart.sh");
/// Makes complete what was copied.
pub const PUBLISH: &str = whole!("publish.sh");
/// Notes what an unfinished copy is worth.
pub const SETTLE: &str = whole!("settle.sh");
/// Deletes snapshots and moves `latest`.
pub const TIDY: &str = whole!("tidy.sh");
/// Deletes entries of a copy.
pub const DELETE: &str = whole!("delete.sh");
/// Tells the symbolic links of snapshots.
pub const LINKS: &str = whole!("links.sh");
/// Tells which paths are directories.
pub const DIRECTORIES: &str = whole!("directories.sh");
/// Tells how an entry is in each copy.
pub const STATES: &str = whole!("states.sh");
/// Tells what differs between two copies.
pub const COMPARE: &str = whole!("compare.sh");
/// Tells the entries of copies whose names fit a pattern.
pub const FIND: &str = whole!("find.sh");
/// Tells what is no file where one is looked for.
pub const TRAPS: &str = whole!("traps.sh");
/// Tells which entries are there, and which are gone.
pub const PRESENCE: &str = whole!("presence.sh");
/// Tells the sizes of files.
pub const SIZES: &str = whole!("sizes.sh");
/// Tells the sizes of a sample of files.
pub const SAMPLE: &str = whole!("sample.sh");
/// Tells what lies in directories of a copy.
pub const FILES: &str = whole!("files.sh");
/// Tells how files are.
pub const FACTS: &str = whole!("facts.sh");
/// Tells what the contents of files are known by.
pub const SUMS: &str = whole!("sums.sh");
/// Tells in whose hands an end is, and what holds rsync there.
pub const HANDS: &str = whole!("hands.sh");
/// Tells of a place where copies are to lie.
pub const SITE: &str = whole!("site.sh");
/// Makes what an end needs.
pub const PREPARE: &str = whole!("prepare.sh");

/// The command that reads a script from its first word, as [`quote::portable`] wrote it, for any login shell.
const READER: &str = r#"sh -c 'eval "$(printf %b "$1")"' nbkp"#;

/// The command line that reads this script. What a caller adds become the arguments of the script.
fn read(script: &[u8]) -> String {
    // The first word is the script itself.
    format!("{READER} {}", quote::portable(&[b"shift\n", script].concat()))
}

/// The command line that runs a script with these arguments, and such that the caller adds, for the login shell there.
/// The script ends after as many seconds as its first argument says.
#[must_use]
pub fn line(script: &str, arguments: &[OsString], marks: &Marks) -> OsString {
    let read = read(&timed(script, arguments));
    format!("env NBKP_CLIENT={} NBKP_RUN={} {read}", marks.client, marks.run).into()
}

/// The command line that runs a script with these arguments and leaves it its standard input, for the login shell
/// there. It answers like one that was sent ([`text`]).
#[must_use]
pub fn reading_line(script: &str, arguments: &[OsString]) -> OsString {
    format!("exec {}", read(&text(script, arguments))).into()
}

/// What makes an answer known for one, at its beginning and at its end.
fn frame() -> String {
    format!("echo '{BEGIN}'\ntrap 'printf \"\\n{END}%s\\n\" \"$?\"' EXIT")
}

/// The first line of an answer.
const BEGIN: &str = "nbkp 1";
/// How the last line of an answer begins; its exit code follows.
const END: &str = "nbkp end ";

/// A script that becomes a program with an output of its own, for the standard input of `sh`. It ends after as many
/// seconds as its first argument says. `timeout` comes first: the one of `BusyBox` leaves a watcher behind for a
/// second, which must not have inherited the lock that the script takes.
#[must_use]
pub fn timed(script: &str, arguments: &[OsString]) -> Vec<u8> {
    let mut text =
        format!("nbkp_main() {{\n{}\nexec timeout -k 5 \"$1\" sh -c ", include_str!("scripts/timed.sh")).into_bytes();
    text.extend(quote::word(OsStr::new(script)).into_vec());
    text.extend(b" nbkp \"$@\"\n}\n{\nnbkp_main ");
    text.extend(quote::line(arguments.iter().map(OsStr::new)).into_vec());
    text.extend(b" \"$@\"\n}\n");
    text
}

/// What is written to the standard input of `sh`: the script with its arguments.
#[must_use]
pub fn text(script: &str, arguments: &[OsString]) -> Vec<u8> {
    let mut text = format!("nbkp_main() {{\n{script}\n}}\n{{\n{}\nnbkp_main ", frame()).into_bytes();
    text.extend(quote::line(arguments.iter().map(OsStr::new)).into_vec());
    text.extend(b"\n}\n");
    text
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The script ran to its end, with this exit code, and said this.
    Whole(i32, Vec<u8>),
    /// It said this, and then no more.
    Broken(Vec<u8>),
    /// Something else speaks there; its first words.
    Talking(String),
    /// Nothing was said.
    Silent,
}

/// Reads what came from the standard output of a script.
#[must_use]
pub fn answer(output: &[u8]) -> Answer {
    let Some(body) = output.strip_prefix(BEGIN.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n")) else {
        // What our script says behind it is none of its words.
        let first = output.split(|byte| *byte == b'\n').take_while(|line| *line != BEGIN.as_bytes());
        let words: String =
            String::from_utf8_lossy(&first.collect::<Vec<_>>().join(&b'\n')).chars().take(200).collect();
        let words = words.trim().replace(char::is_control, " ");
        return if words.is_empty() || BEGIN.starts_with(&words) { Answer::Silent } else { Answer::Talking(words) };
    };
    let whole = body.strip_suffix(b"\n").and_then(|body| {
        // The line feed before the last line is ours, too: a script need not end its own.
        let end = body.iter().rposition(|byte| *byte == b'\n')?;
        let (said, last) = body.split_at_checked(end)?;
        let code = std::str::from_utf8(last).ok()?.trim_start_matches('\n').strip_prefix(END)?.parse().ok()?;
        Some(Answer::Whole(code, said.to_vec()))
    });
    whole.unwrap_or_else(|| Answer::Broken(body.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the test asks a real shell")]
    fn said(shell: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Half a word is no command.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap().stdout
    }

    #[test]
    fn a_script_gets_its_arguments_and_tells_its_end() {
        let arguments: Vec<OsString> = ["$(touch pwned)", "a\nb", "-rf"].map(OsString::from).to_vec();
        let script = "printf '%s|' \"$@\"; echo; exit 3";
        for shell in [&["sh", "-s"][..], &["bash", "-s"]] {
            let output = said(shell, &text(script, &arguments));
            assert_eq!(answer(&output), Answer::Whole(3, b"$(touch pwned)|a\nb|-rf|\n".to_vec()), "{shell:?}");
        }
        assert_eq!(answer(&said(&["sh", "-s"], &text("true", &[]))), Answer::Whole(0, Vec::new()));
        assert_eq!(answer(&said(&["sh", "-s"], &text("printf x", &[]))), Answer::Whole(0, b"x".to_vec()));
    }

    #[test]
    fn any_login_shell_runs_a_script_and_hands_on_what_the_caller_adds() {
        let marks = Marks::new("host/documents", "20261122T173000.123Z-9f3a");
        let arguments: Vec<OsString> = ["9", "$(touch pwned)", "a\nb!", "it's"].map(OsString::from).to_vec();
        let script = "printf '%s|' \"$@\" # it's mine!\nread -r line; printf '%s' \"$line\"";
        for shell in ["sh", "bash", "tcsh", "fish"] {
            let mut whole = line(script, &arguments, &marks);
            whole.push(" --server . dir\\ x/");
            let output = said(&[shell, "-c", whole.to_str().unwrap()], b"input\n");
            let output = String::from_utf8_lossy(&output);
            assert_eq!(output, "9|$(touch pwned)|a\nb!|it's|--server|.|dir x/|input", "{shell}");
            let secret = reading_line(script, &arguments[1..]);
            let output = said(&[shell, "-c", secret.to_str().unwrap()], b"secret\n");
            assert_eq!(answer(&output), Answer::Whole(0, b"$(touch pwned)|a\nb!|it's|secret".to_vec()), "{shell}");
        }
    }

    #[test]
    fn half_a_script_does_nothing() {
        let whole = text("echo done; echo more", &["x".into()]);
        // The last two bytes end the block.
        for cut in 0..whole.len() - 2 {
            let output = said(&["sh", "-s"], &whole[..cut]);
            assert!(!String::from_utf8_lossy(&output).contains("done"), "{cut}");
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_is_known() {
        assert_eq!(answer(b"nbkp 1\na\n\nnbkp end 0\n"), Answer::Whole(0, b"a\n".to_vec()));
        assert_eq!(answer(b"nbkp 1\na\nnbkp end 7\n"), Answer::Whole(7, b"a".to_vec()));
        for broken in [&b"nbkp 1\n"[..], b"nbkp 1\na\n", b"nbkp 1\na\nnbkp end 0", b"nbkp 1\na\nnbkp end x\n"] {
            assert!(matches!(answer(broken), Answer::Broken(_)), "{broken:?}");
        }
        for silent in [&b""[..], b"\n", b"nbkp"] {
            assert_eq!(answer(silent), Answer::Silent);
        }
        let talking = answer(b"Welcome!\x1b[2J\nnbkp 1\nnbkp end 0\n");
        assert!(matches!(&talking, Answer::Talking(words) if words == "Welcome! [2J"));
    }

    #[test]
    fn marks_are_words_that_no_shell_reads_otherwise() {
        let marks = Marks::new("host;rm/documents@blue", "20261122T173000.123Z-9f3a");
        assert_eq!((marks.client(), marks.run()), ("host_rm_documents@blue:", "20261122T173000.123Z-9f3a:"));
        let command = command(Some(&marks));
        assert_eq!(command, "exec env NBKP_CLIENT=host_rm_documents@blue: NBKP_RUN=20261122T173000.123Z-9f3a: sh -s");
    }
}
