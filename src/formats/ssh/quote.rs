//! Words for a shell that we do not choose: the login shell of a remote user.
//!
//! What may be code is put between single quotes, and quotes and backslashes stand outside of them, each behind a
//! backslash. POSIX shells read that as it is meant, and so does fish, to which a backslash between quotes is special.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// The word that a shell takes for this one argument, whatever bytes it has.
#[must_use]
pub fn word(argument: &OsStr) -> OsString {
    let bytes = argument.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(|byte| is_plain(*byte)) {
        return argument.to_owned();
    }
    let mut quoted = Vec::with_capacity(bytes.len().saturating_add(2));
    let mut inside = false;
    for byte in bytes {
        let outside = matches!(byte, b'\'' | b'\\');
        if outside == inside {
            quoted.push(b'\'');
            inside = !inside;
        }
        if outside {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    if inside {
        quoted.push(b'\'');
    }
    if bytes.is_empty() {
        quoted.extend_from_slice(b"''");
    }
    OsString::from_vec(quoted)
}

/// A command line of these arguments.
#[must_use]
pub fn line<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> OsString {
    let mut line = OsString::new();
    for argument in arguments {
        if !line.is_empty() {
            line.push(" ");
        }
        line.push(word(argument));
    }
    line
}

/// The word that every login shell reads as one, csh and fish included, and that `printf %b` makes this text of again.
/// In csh a line feed ends a quoted word, and `!` is a command of earlier whether it is quoted or not; a backslash
/// before a digit is one for all of them.
#[must_use]
pub fn portable(text: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut quoted = String::with_capacity(text.len().saturating_mul(2));
    quoted.push('\'');
    for byte in text {
        match byte {
            b'\'' | b'\\' | b'!' | b'^' | 0..=0x1f | 0x7f.. => {
                let _a_string_takes_all = write!(quoted, "\\0{byte:03o}");
            }
            plain => quoted.push(char::from(*plain)),
        }
    }
    quoted.push('\'');
    quoted
}

/// A word of rsync's `-e`, which knows quotes of both kinds, doubled to stand for themselves, and no backslash.
#[must_use]
pub fn word_for_rsync(argument: &OsStr) -> OsString {
    let bytes = argument.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(|byte| is_plain(*byte)) {
        return argument.to_owned();
    }
    let mut quoted = vec![b'\''];
    for byte in bytes {
        quoted.push(*byte);
        if *byte == b'\'' {
            quoted.push(b'\'');
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}

/// Bytes that mean nothing to any shell, wherever they stand.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b",-./:@_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the test asks a real shell")]
    fn read_by(shell: &str, line: &OsStr) -> Vec<u8> {
        let mut script = OsString::from("printf '%s\\0' ");
        script.push(line);
        let output = std::process::Command::new(shell).arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn as_read(words: &[Vec<u8>]) -> Vec<u8> {
        words.iter().flat_map(|word| word.iter().copied().chain([0])).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_real_shell_reads_back_what_was_quoted(
            words in prop::collection::vec(prop::collection::vec(1_u8.., 0..40), 1..6),
        ) {
            let line = line(words.iter().map(|word| OsStr::from_bytes(word)));
            prop_assert_eq!(read_by("sh", &line), as_read(&words));
        }
    }

    #[test]
    fn every_login_shell_hands_on_what_is_told_to_all_of_them() {
        let every: Vec<u8> = (1..=255).chain(*b"a\n!!\\\n'$x' `id` \\!\\'7~").collect();
        let text = [every, b"0123456789 ".repeat(2000)].concat();
        let line = format!("sh -c 'printf %b \"$1\"' nbkp {}", portable(&text));
        for shell in ["sh", "bash", "tcsh", "fish"] {
            #[expect(clippy::disallowed_methods, reason = "the test asks a real shell")]
            let output = std::process::Command::new(shell).args(["-c", &line]).output().unwrap();
            assert!(output.stdout == text, "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    #[test]
    fn names_made_to_harm_stay_names() {
        let hostile: &[&[u8]] = &[
            b"",
            b"a b",
            b"$(touch pwned)",
            b"`id`",
            b"'; rm -rf / #",
            b"\\'",
            b"\\",
            b"a\nb",
            b"-rf",
            b"\xff\xfe",
            b"!!",
            b"~root",
            b"*",
        ];
        let words: Vec<Vec<u8>> = hostile.iter().map(|word| word.to_vec()).collect();
        let line = line(words.iter().map(|word| OsStr::from_bytes(word)));
        for shell in ["sh", "bash"] {
            assert_eq!(read_by(shell, &line), as_read(&words), "{shell}");
        }
    }

    #[test]
    fn a_backslash_never_stands_between_quotes() {
        assert_eq!(word(OsStr::new(r"a\'b c")), r"'a'\\\''b c'");
        assert_eq!(word(OsStr::new("plain/word-1.0")), "plain/word-1.0");
        assert_eq!(word_for_rsync(OsStr::new("/run/user's own")), "'/run/user''s own'");
    }
}
