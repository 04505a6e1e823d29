//! Patterns of filter rules that look as if they meant something and match nothing.

use super::mistake::quoted;
use super::reader::BadValue;

/// Why a pattern can match nothing, whatever is copied; `None` if it may.
pub(super) fn nothing(pattern: &str) -> Option<BadValue> {
    let said = |why: &str, help: String| Some(BadValue::new(format!("{} {why}", quoted(pattern))).help(help));
    if pattern == "~" || pattern.starts_with("~/") {
        let rest = pattern.trim_start_matches('~');
        let help =
            format!("a pattern begins at the source of the sync; if that is your home directory, write \"{rest}\"");
        return said("matches nothing: `~` is not the home directory in a pattern", help);
    }
    if ["$HOME", "$USER", "$XDG_", "${"].iter().any(|variable| pattern.starts_with(variable)) {
        let help = "a pattern begins at the source of the sync; write it from there on, with a `/` before it";
        return said("matches nothing: there are no variables in a pattern", help.to_owned());
    }
    if let Some(alternatives) = alternatives(pattern) {
        let help = format!("write a rule for each: {}", alternatives.join(", "));
        return said("matches only a name with these braces: rsync has no alternatives in braces", help);
    }
    if is_open(pattern) {
        let help = format!("write {:?}, if the bracket is part of the name", escaped(pattern));
        return said("matches nothing: its bracket is not closed", help);
    }
    let quote = |quote: char| pattern.len() > 2 && pattern.starts_with(quote) && pattern.ends_with(quote);
    if quote('"') || quote('\'') {
        return said("matches only a name with these quotes", "leave out the inner quotes".to_owned());
    }
    if pattern.split('/').any(|part| matches!(part, "." | "..")) {
        return said("matches nothing: no path of a copy holds `.` or `..`", "write it without them".to_owned());
    }
    if pattern.contains("//") {
        return said("matches nothing: no path of a copy holds `//`", "write one `/`".to_owned());
    }
    if pattern.starts_with(char::is_whitespace) || pattern.ends_with(char::is_whitespace) {
        return said("matches only a name with the blank at its end", "leave out the blank".to_owned());
    }
    None
}

/// What is meant by alternatives in braces, each in quotes: `*.{a,b}` is `*.a` and `*.b` to a shell.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let (before, rest) = pattern.split_once('{')?;
    let (inside, after) = rest.split_once('}')?;
    if before.ends_with('\\') || !inside.contains(',') {
        return None;
    }
    Some(inside.split(',').map(|one| format!("\"{before}{one}{after}\"")).collect())
}

/// Whether a set of characters in brackets is begun and not ended. `]` is one of the set where it comes first.
fn is_open(pattern: &str) -> bool {
    let mut rest = pattern.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => {
                rest.next();
            }
            '[' => {
                let inside = rest.as_str();
                let negated = inside.strip_prefix(['!', '^']).unwrap_or(inside);
                let Some(after) = end_of_set(negated) else { return true };
                rest = after.chars();
            }
            _ => {}
        }
    }
    false
}

/// What follows the bracket that ends a set.
fn end_of_set(set: &str) -> Option<&str> {
    let mut rest = set.strip_prefix(']').unwrap_or(set);
    loop {
        let at = rest.find(['\\', ']', '['])?;
        let (_, from) = rest.split_at_checked(at)?;
        rest = if let Some(class) = from.strip_prefix("[:") {
            class.split_once(":]").map_or(class, |(_, after)| after)
        } else if let Some(escape) = from.strip_prefix('\\') {
            let mut letters = escape.chars();
            letters.next()?;
            letters.as_str()
        } else if let Some(after) = from.strip_prefix(']') {
            return Some(after);
        } else {
            from.strip_prefix('[')?
        };
    }
}

/// The pattern with its brackets taken literally.
fn escaped(pattern: &str) -> String {
    pattern.replace('[', "\\[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_can_match_nothing_say_what_to_write() {
        for (pattern, help) in [
            ("~/.cache", "\"/.cache\""),
            ("$HOME/.cache", "from there on"),
            ("*.{tmp,bak}", "\"*.tmp\", \"*.bak\""),
            ("/a/{b,c}/d", "\"/a/b/d\", \"/a/c/d\""),
            ("/[draft/", "\"/\\\\[draft/\""),
            ("x[!]", "\"x\\\\[!]\""),
            ("x[[:alpha:]", "bracket"),
            ("[a\\]", "bracket"),
            ("'*.tmp'", "inner quotes"),
            ("./a", "without them"),
            ("a/../b", "without them"),
            ("a//b", "one `/`"),
            ("*.tmp ", "blank"),
        ] {
            let problem = nothing(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert!(problem.help.as_deref().unwrap().contains(help), "{pattern}: {problem:?}");
        }
    }

    #[test]
    fn patterns_that_may_match_are_left_alone() {
        for pattern in [
            "*.tmp",
            "/.cache",
            "~*",
            "~$*.docx",
            "$RECYCLE.BIN/",
            "[ab]*",
            "x[]]",
            "x[^]a]",
            "[[:digit:]]*",
            "\\[draft",
            "{uuid}",
            "\\{a,b\\}",
            "a b",
            ".*",
            "...",
            "**/x",
            "a\\",
            "[a\\]]",
            "[a[b]",
        ] {
            assert_eq!(nothing(pattern), None, "{pattern}");
        }
    }
}
