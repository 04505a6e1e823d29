//! A source file, as the rules see it: without its tests, and with comments and literals blanked out.

use crate::height;

/// A source file, as the rules see it.
#[derive(Clone)]
pub struct Source {
    /// Relative to the package, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Without tests; comments, strings and characters are blanks.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let blanked = blank_literals(text);
        let end = start_of_tests(&blanked).unwrap_or(blanked.len());
        Self { path: path.to_owned(), text: text.to_owned(), code: blanked[..end].to_owned() }
    }

    /// The modules from the root of the crate to this file: `src/os/disks.rs` is `["os", "disks"]`.
    pub fn modules(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').filter(|part| *part != "mod" && *part != "lib").collect()
    }

    /// The room on a floor of the house that the file is in.
    pub fn room(&self) -> Option<&str> {
        self.modules().first().copied().filter(|room| height(room).is_some())
    }

    pub fn is_door(&self) -> bool {
        self.room() == Some("bin")
    }
}

/// Where the tests begin: they are the last thing in a file.
fn start_of_tests(blanked: &str) -> Option<usize> {
    let mark = "#[cfg(test)]";
    let mut from = 0;
    while let Some(found) = blanked[from..].find(mark) {
        let at = from + found;
        // A module in a file of its own ends nothing here.
        let next = blanked[at + mark.len()..].trim_start().lines().next().unwrap_or_default();
        if next.starts_with("mod ") && next.trim_end().ends_with('{') {
            return Some(at);
        }
        from = at + mark.len();
    }
    None
}

/// Replaces comments, strings and characters by blanks and keeps the lines.
pub fn blank_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal_length(rest, out.chars().next_back());
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

/// The length of the comment, string or character at the start of `rest`; 0 if there is none.
fn literal_length(rest: &str, before: Option<char>) -> usize {
    let in_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return closing_quote(rest, 1);
    }
    if !in_name && (rest.starts_with("r\"") || rest.starts_with("r#")) {
        let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len());
        }
    }
    if rest.starts_with('\'') {
        // A character, unless it is a lifetime or a label: those have no quote behind the first character.
        let mut chars = rest.char_indices().skip(1);
        return match (chars.next(), chars.next()) {
            (Some((_, '\\')), Some((at, escaped))) => {
                let from = at + escaped.len_utf8();
                rest[from..].find('\'').map_or(0, |end| from + end + 1)
            }
            (Some(_), Some((at, '\''))) => at + 1,
            _ => 0,
        };
    }
    0
}

fn closing_quote(rest: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(from) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// All names in a text, with where they start.
pub fn words(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        let part = c.is_alphanumeric() || c == '_';
        match (start, part) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                found.push((from, &code[from..at]));
                start = None;
            }
            _ => {}
        }
    }
    found
}
