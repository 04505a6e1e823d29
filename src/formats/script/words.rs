//! Words and lines of a shell script.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStringExt as _;

use crate::formats::ssh::quote;
use crate::formats::text::printable;

/// A script that is being written.
#[derive(Debug, Default)]
pub(super) struct ScriptText(Vec<u8>);

impl ScriptText {
    /// Adds bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: &str) {
        self.bytes(line.as_bytes());
        self.bytes(b"\n");
    }

    /// Adds a comment of one line, whatever its text holds.
    pub(super) fn comment(&mut self, text: &str) {
        self.line(&format!("# {}", printable(text)));
    }

    /// Adds lines as comments.
    pub(super) fn commented(&mut self, lines: &[u8]) {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.bytes(b"# ");
            self.bytes(line);
        }
    }

    /// All of it.
    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// The word that a shell takes for this, whatever bytes it has.
pub(super) fn quoted(word: &OsStr) -> Vec<u8> {
    quote::word(word).into_vec()
}

/// A part of the name of a function, which no other has: names of ours hold more signs than those of functions.
pub(super) fn function_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut free = plain.clone();
    let mut number = 2_u32;
    while !taken.insert(free.clone()) {
        free = format!("{plain}__{number}");
        number = number.saturating_add(1);
    }
    free
}
