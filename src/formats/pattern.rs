//! Patterns of names, as a shell has them: `*`, `?`, `[a-z]`, `[!a-z]`, and `\` before what stands for itself.
//!
//! A pattern without a `/` is about a name, wherever it is; one with a `/` about a whole path, where `*`, `?` and
//! brackets stop at a `/`, and `**` does not.

/// A pattern that names are compared with, byte by byte where they are no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    pieces: Vec<Piece>,
    scope: PatternScope,
    /// What every name that fits begins and ends with.
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// What a pattern is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternScope {
    /// The last part of a path.
    Name,
    /// All of a path.
    Path,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    /// One character, but no `/`.
    One,
    /// One of these, or none of these; never a `/`.
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Any characters but a `/`.
    Any,
    /// Any characters.
    Deep,
}

impl NamePattern {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("./").unwrap_or(text).trim_matches('/');
        if path.is_empty() || text.contains('\0') {
            return Err(format!("`{text}` is no pattern of a name; write it like `letter*.odt` or `photos/2024/*`"));
        }
        let scope = if text.contains('/') { PatternScope::Path } else { PatternScope::Name };
        let pieces = pieces(path);
        let literal = |piece: &Piece| match piece {
            Piece::Byte(byte) => Some(*byte),
            Piece::One | Piece::Set { .. } | Piece::Any | Piece::Deep => None,
        };
        let head = pieces.iter().map_while(literal).collect();
        let mut tail: Vec<u8> = pieces.iter().rev().map_while(literal).collect();
        tail.reverse();
        Ok(Self { pieces, scope, head, tail })
    }

    /// What it is about.
    #[must_use]
    pub fn scope(&self) -> PatternScope {
        self.scope
    }

    /// Whether it fits a name, or a path, as its scope is.
    #[must_use]
    pub fn fits(&self, text: &[u8]) -> bool {
        text.starts_with(&self.head) && text.ends_with(&self.tail) && fits(&self.pieces, text)
    }

    /// A pattern for the `find` of any server that fits all that this one fits, and more.
    #[must_use]
    pub fn wide(&self) -> Vec<u8> {
        let mut wide: Vec<u8> = match self.scope {
            PatternScope::Name => Vec::new(),
            PatternScope::Path => b"./".to_vec(),
        };
        let mut is_open = false;
        for piece in &self.pieces {
            match piece {
                Piece::Byte(byte) => {
                    if br"*?[]\".contains(byte) {
                        wide.push(b'\\');
                    }
                    wide.push(*byte);
                    is_open = false;
                }
                Piece::One | Piece::Set { .. } | Piece::Any | Piece::Deep => {
                    if !is_open {
                        wide.push(b'*');
                    }
                    is_open = true;
                }
            }
        }
        wide
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let literal = |pieces: &mut Vec<Piece>, c: char| {
        pieces.extend(c.encode_utf8(&mut [0; 4]).bytes().map(Piece::Byte));
    };
    let mut rest = text;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        rest = chars.as_str();
        match c {
            '*' => {
                let after = rest.trim_start_matches('*');
                pieces.push(if after.len() < rest.len() { Piece::Deep } else { Piece::Any });
                rest = after;
            }
            '?' => pieces.push(Piece::One),
            '[' => match set(rest) {
                Some((piece, after)) => {
                    pieces.push(piece);
                    rest = after;
                }
                None => literal(&mut pieces, c),
            },
            '\\' => {
                let mut after = rest.chars();
                literal(&mut pieces, after.next().unwrap_or('\\'));
                rest = after.as_str();
            }
            _ => literal(&mut pieces, c),
        }
        chars = rest.chars();
    }
    pieces
}

/// What stands in brackets, and what follows; `None` if they are not closed.
fn set(text: &str) -> Option<(Piece, &str)> {
    let inner = text.strip_prefix(['!', '^']);
    let (negated, mut rest) = (inner.is_some(), inner.unwrap_or(text));
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        let mut chars = rest.chars();
        match (chars.next()?, ranges.is_empty()) {
            (']', false) => return Some((Piece::Set { negated, ranges }, chars.as_str())),
            (first, _) => {
                let first = if first == '\\' { chars.next()? } else { first };
                rest = chars.as_str();
                let mut ahead = rest.chars();
                match (ahead.next(), ahead.next()) {
                    (Some('-'), Some(last)) if last != ']' => {
                        ranges.push((first, last));
                        rest = ahead.as_str();
                    }
                    _ => ranges.push((first, first)),
                }
            }
        }
    }
}

impl Piece {
    /// What is left of a text behind what this piece stands for; `None` if it does not fit.
    fn taken<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Byte(byte) => text.strip_prefix(&[*byte]),
            Self::One => first(text).filter(|(c, _)| *c != Some('/')).map(|(_, rest)| rest),
            Self::Set { negated, ranges } => {
                let (c, rest) = first(text)?;
                let is_in = c.is_some_and(|c| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)));
                (c != Some('/') && is_in != *negated).then_some(rest)
            }
            Self::Any | Self::Deep => None,
        }
    }
}

/// The first character of a text, and the rest; a byte that is no text is a character that nothing names.
fn first(text: &[u8]) -> Option<(Option<char>, &[u8])> {
    let longest = text.len().min(4);
    let found = (1..=longest).find_map(|length| {
        let (head, rest) = text.split_at_checked(length)?;
        Some((std::str::from_utf8(head).ok()?.chars().next()?, rest))
    });
    match found {
        Some((c, rest)) => Some((Some(c), rest)),
        None => text.split_first().map(|(_, rest)| (None, rest)),
    }
}

/// Where a star may take one character more: what follows it, and the text from there on.
type Retry<'a> = Option<(&'a [Piece], &'a [u8])>;

fn fits(pieces: &[Piece], text: &[u8]) -> bool {
    let (mut pattern, mut left) = (pieces, text);
    let (mut star, mut deep): (Retry<'_>, Retry<'_>) = (None, None);
    loop {
        match pattern.split_first() {
            Some((Piece::Any, rest)) => {
                (pattern, star) = (rest, Some((rest, left)));
                continue;
            }
            Some((Piece::Deep, rest)) => {
                (pattern, star, deep) = (rest, None, Some((rest, left)));
                continue;
            }
            Some((piece, rest)) => {
                if let Some(after) = piece.taken(left) {
                    (pattern, left) = (rest, after);
                    continue;
                }
            }
            None if left.is_empty() => return true,
            None => {}
        }
        // Only a `/` of the pattern or `**` goes beyond a `/`: an earlier star could reach no further.
        let retried = star.and_then(|(rest, from)| Some((rest, Piece::One.taken(from)?)));
        if retried.is_some() {
            star = retried;
        } else {
            star = None;
            deep = deep.and_then(|(rest, from)| Some((rest, first(from)?.1)));
        }
        match star.or(deep) {
            Some((rest, from)) => (pattern, left) = (rest, from),
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        NamePattern::parse(pattern).unwrap().fits(text.as_bytes())
    }

    #[test]
    fn names_fit_as_in_a_shell() {
        for (pattern, yes, no) in [
            ("letter", vec!["letter"], vec!["letters", "aletter", "Letter", ""]),
            ("*.odt", vec![".odt", "a.odt", "a.odt.odt"], vec!["a.ods", "a.odt~"]),
            ("a*b*c", vec!["abc", "aXbXc", "abbcc", "abcbc"], vec!["ab", "acb", "abcd"]),
            ("?", vec!["a", "ä", "€"], vec!["", "ab"]),
            ("[a-c]x", vec!["ax", "cx"], vec!["dx", "x", "aax"]),
            ("[!a-c]x", vec!["dx", "äx"], vec!["ax"]),
            ("[]x]", vec!["]", "x"], vec!["a"]),
            ("[ä-ü]", vec!["ö"], vec!["o"]),
            ("a[", vec!["a["], vec!["a"]),
            ("\\*", vec!["*"], vec!["a"]),
            ("[[]", vec!["["], vec!["a"]),
            ("**", vec!["", "a"], vec![]),
        ] {
            assert!(yes.iter().all(|text| fits(pattern, text)), "{pattern} {yes:?}");
            assert!(no.iter().all(|text| !fits(pattern, text)), "{pattern} {no:?}");
        }
        assert!(NamePattern::parse("?").unwrap().fits(b"\xff") && NamePattern::parse("*").unwrap().fits(b"\xff\xfe"));
    }

    #[test]
    fn a_pattern_with_a_slash_is_about_the_whole_path() {
        for (pattern, text, expected) in [
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("/a/b", "a/b", true),
            ("./b", "b", true),
            ("./b", "a/b", false),
            ("*/b*/c", "a/bb/c", true),
            ("*/b*/c", "a/x/c", false),
            ("**/c*d/*", "a/b/cxd/e", true),
            ("**/c*d/*", "a/cx/d/cd/e", true),
            ("**/c*d/*", "a/cx/dd/e", false),
            ("a?b/c", "a/b/c", false),
            ("a[!x]b/c", "a/b/c", false),
        ] {
            let read = NamePattern::parse(pattern).unwrap();
            assert_eq!((read.scope(), read.fits(text.as_bytes())), (PatternScope::Path, expected), "{pattern} {text}");
        }
        for wrong in ["", "/", "./", "a\0"] {
            assert!(NamePattern::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_a_server_is_asked_for_leaves_nothing_out() {
        let wide = |pattern: &str| String::from_utf8(NamePattern::parse(pattern).unwrap().wide()).unwrap();
        assert_eq!(wide("a?[b-d]*\\*x"), r"a*\*x");
        assert_eq!(wide("a/b[!c].odt"), "./a/b*.odt");
        assert_eq!(wide("a["), r"a\[");
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = NamePattern::parse(&"*a".repeat(40)).unwrap();
        assert!(
            !pattern.fits("a".repeat(39).as_bytes())
                && pattern.fits("ab".repeat(40).as_bytes().split_last().unwrap().1)
        );
    }
}
