//! rsync's filter rules (rsync(1), "FILTER RULES"), read as far as we have to know them: files of rules are read here
//! and passed on rule by rule, so that nothing in one of them can clear the rules that protect a destination.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::model::Filter;

/// Files may name files; deeper than this they go in a circle.
const DEEPEST: usize = 8;
/// No more rules are passed to rsync, each as one argument.
const MOST: usize = 20_000;

/// The names of rsync's filter rules, long and short.
const NAMES: [(&str, u8); 9] = [
    ("exclude", b'-'),
    ("include", b'+'),
    ("merge", b'.'),
    ("dir-merge", b':'),
    ("hide", b'H'),
    ("show", b'S'),
    ("protect", b'P'),
    ("risk", b'R'),
    ("clear", b'!'),
];

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'a> {
    /// A rule about the entries that this pattern matches.
    Pattern(&'a [u8]),
    /// One that names no pattern of its own: the files of rules in each directory, or those that CVS leaves out.
    Other,
    /// All rules before it are forgotten.
    Clear,
    /// The rules of a file, which are read once.
    Merge(RuleLines, &'a [u8]),
}

/// What the lines of a file of rules are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleLines {
    /// Rules.
    Rules,
    /// Patterns of what is left out.
    Excludes,
    /// Patterns of what is not left out.
    Includes,
}

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRule {
    /// It does not begin with the name of one.
    Name,
    /// It holds a modifier that is unknown, or that a file of rules cannot have here.
    Modifier(char),
    /// It has no pattern, or one too much.
    Pattern,
}

/// The rule that a text is.
pub fn rule(text: &[u8]) -> Result<Rule<'_>, NoRule> {
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'_')).unwrap_or(text.len());
    let (head, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let pattern = rest.split_first().map_or(&[][..], |(_, pattern)| pattern);
    let (named, modifiers) = match head.iter().position(|byte| *byte == b',').and_then(|at| head.split_at_checked(at)) {
        Some((named, modifiers)) => (named, modifiers.get(1..).unwrap_or_default()),
        None => (head, &[][..]),
    };
    let long = NAMES.iter().find(|(long, _)| long.as_bytes() == named).map(|(_, short)| (*short, modifiers));
    let short = || {
        let (first, modifiers) = head.split_first()?;
        let known = NAMES.iter().any(|(_, short)| short == first);
        known.then(|| (*first, modifiers.strip_prefix(b",").unwrap_or(modifiers)))
    };
    let (name, modifiers) = long.or_else(short).ok_or(NoRule::Name)?;
    let allowed: &[u8] = match name {
        b'.' => b"-+",
        b':' => b"/Csrpx-+enw",
        // They say the side themselves.
        b'H' | b'S' | b'P' | b'R' => b"/!px",
        _ => b"/!Csrpx",
    };
    if let Some(letter) = modifiers.iter().find(|letter| !allowed.contains(letter)) {
        return Err(NoRule::Modifier(char::from(*letter)));
    }
    match (name, pattern, modifiers) {
        (b'!', [], []) => Ok(Rule::Clear),
        (b'!', ..) => Err(NoRule::Pattern),
        (_, [], modifiers) if modifiers.contains(&b'C') => Ok(Rule::Other),
        (_, [], _) => Err(NoRule::Pattern),
        (b'.', file, []) => Ok(Rule::Merge(RuleLines::Rules, file)),
        (b'.', file, [.., b'+']) => Ok(Rule::Merge(RuleLines::Includes, file)),
        (b'.', file, _) => Ok(Rule::Merge(RuleLines::Excludes, file)),
        (b':', ..) => Ok(Rule::Other),
        (_, pattern, _) => Ok(Rule::Pattern(pattern)),
    }
}

/// The names of the files in which rsync looks for rules in each directory, as these rules say: options that name
/// such files are refused.
#[must_use]
pub fn per_directory(filters: &[Filter]) -> BTreeSet<OsString> {
    let named = filters.iter().filter_map(|filter| match filter {
        Filter::DirMerge(name) => Some(name.as_bytes()),
        Filter::Rule(rule) => {
            let text = rule.as_bytes();
            let is_one = text.starts_with(b":") || text.starts_with(b"dir-merge");
            let name = text.splitn(2, |byte| matches!(byte, b' ' | b'_')).nth(1).filter(|name| !name.is_empty());
            is_one.then(|| name.unwrap_or(CVS_FILE.as_bytes()))
        }
        Filter::Exclude(_) | Filter::Include(_) | Filter::Merge(_) => None,
    });
    let last = |name: &[u8]| name.rsplit(|byte| *byte == b'/').next().map(|name| OsStr::from_bytes(name).to_owned());
    named.filter_map(last).collect()
}

/// Whether these rules may keep something in a copy that would be missing from one made anew: they protect it, or lie
/// in directories, where they may say anything.
#[must_use]
pub fn may_protect(filters: &[Filter]) -> bool {
    let protects = |text: &[u8]| match text.split(|byte| matches!(byte, b' ' | b'_')).next().unwrap_or(text) {
        b"exclude" | b"include" | b"hide" | b"show" | b"H" | b"S" => false,
        [b'-' | b'+', modifiers @ ..] => modifiers.contains(&b'r'),
        _ => true,
    };
    filters.iter().any(|filter| match filter {
        Filter::Exclude(_) | Filter::Include(_) => false,
        Filter::Rule(rule) => protects(rule.as_bytes()),
        Filter::Merge(_) | Filter::DirMerge(_) => true,
    })
}

/// The file of rules that CVS has in each directory.
const CVS_FILE: &str = ".cvsignore";

/// The lines of a file that say something, with their numbers from 1.
pub fn rule_lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let numbered = lines.enumerate().map(|(number, line)| (number.saturating_add(1), line));
    numbered.filter(|(_, line)| !line.trim_ascii().is_empty() && !line.starts_with(b"#") && !line.starts_with(b";"))
}

/// The first line of a file of rules that is none.
#[must_use]
pub fn first_wrong(text: &[u8]) -> Option<usize> {
    rule_lines(text).find(|(_, line)| rule(line).is_err()).map(|(number, _)| number)
}

/// What to do about a file whose lines are no rules, in words fit to follow a sentence.
#[must_use]
pub fn remedy(file: &Path, text: &[u8]) -> String {
    if rule_lines(text).any(|(_, line)| rule(line).is_ok()) {
        return "begin each line with a rule: `- PATTERN` leaves out, `+ PATTERN` does not, `#` begins a comment"
            .to_owned();
    }
    format!(
        "if it is a plain list of what is left out, write filters = [\"merge,- {}\"] in place of it, or put `- ` \
         before each line",
        file.display()
    )
}

/// Why rules cannot be passed on. It holds no text of a file: where this is told, others may read it who may not read
/// that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A file of rules cannot be read.
    #[error("the file of filter rules {}: could not {why}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why, fit to follow "could not".
        why: String,
    },
    /// A line of one is no rule.
    #[error("line {line} of {} is no filter rule: {remedy}", .file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What to do.
        remedy: String,
    },
    /// Files of rules name each other.
    #[error("the file of filter rules {} names a file that names a file, and so on", .0.display())]
    Circle(PathBuf),
    /// There are more rules than can be passed on.
    #[error("there are more than {MOST} filter rules")]
    TooMany,
}

/// The rules of a sync without files and without `!`: those that hold, in their order. `read` gives what is in a file.
pub fn flat(
    filters: &[Filter],
    file: Option<&Path>,
    read: &dyn Fn(&Path) -> Result<Vec<u8>, String>,
) -> Result<Vec<Filter>, RulesError> {
    let mut flat = Flat { rules: Vec::new(), read };
    for filter in filters {
        match filter {
            Filter::Exclude(_) | Filter::Include(_) | Filter::DirMerge(_) => flat.add(filter.clone())?,
            Filter::Merge(file) => flat.file(RuleLines::Rules, file, 0)?,
            Filter::Rule(text) => match rule(text.as_bytes()) {
                Ok(Rule::Clear) => flat.rules.clear(),
                Ok(Rule::Merge(lines, file)) => flat.file(lines, Path::new(OsStr::from_bytes(file)), 0)?,
                Ok(Rule::Pattern(_) | Rule::Other) | Err(_) => flat.add(filter.clone())?,
            },
        }
    }
    if let Some(file) = file {
        flat.file(RuleLines::Rules, file, 0)?;
    }
    Ok(flat.rules)
}

/// The rules so far.
struct Flat<'r> {
    rules: Vec<Filter>,
    read: &'r dyn Fn(&Path) -> Result<Vec<u8>, String>,
}

impl Flat<'_> {
    fn add(&mut self, rule: Filter) -> Result<(), RulesError> {
        self.rules.push(rule);
        if self.rules.len() > MOST { Err(RulesError::TooMany) } else { Ok(()) }
    }

    fn file(&mut self, kind: RuleLines, file: &Path, depth: usize) -> Result<(), RulesError> {
        if depth > DEEPEST {
            return Err(RulesError::Circle(file.to_owned()));
        }
        let text = (self.read)(file).map_err(|why| RulesError::Unreadable { file: file.to_owned(), why })?;
        for (number, line) in rule_lines(&text) {
            let listed = |sign: &[u8]| Filter::Rule(OsString::from_vec([sign, line].concat()));
            match kind {
                RuleLines::Excludes => self.add(listed(b"- "))?,
                RuleLines::Includes => self.add(listed(b"+ "))?,
                RuleLines::Rules => match rule(line) {
                    Ok(Rule::Pattern(_) | Rule::Other) => self.add(listed(b""))?,
                    Ok(Rule::Clear) => self.rules.clear(),
                    // rsync would look where it writes.
                    Ok(Rule::Merge(kind, inner)) => {
                        let around = file.parent().unwrap_or(Path::new("/"));
                        self.file(kind, &around.join(OsStr::from_bytes(inner)), depth.saturating_add(1))?;
                    }
                    Err(_) => {
                        let remedy = remedy(file, &text);
                        return Err(RulesError::Wrong { file: file.to_owned(), line: number, remedy });
                    }
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_from_what_is_none() {
        for (text, expected) in [
            ("- *.tmp", Rule::Pattern(b"*.tmp")),
            ("-_*.tmp", Rule::Pattern(b"*.tmp")),
            ("-,s x y", Rule::Pattern(b"x y")),
            ("exclude,! x", Rule::Pattern(b"x")),
            ("!", Rule::Clear),
            ("clear", Rule::Clear),
            (". /rules", Rule::Merge(RuleLines::Rules, b"/rules")),
            ("merge,- /list", Rule::Merge(RuleLines::Excludes, b"/list")),
            (".+ /list", Rule::Merge(RuleLines::Includes, b"/list")),
            (": .rules", Rule::Other),
            ("dir-merge,n- .rules", Rule::Other),
            ("-C", Rule::Other),
        ] {
            assert_eq!(rule(text.as_bytes()), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("*.tmp", NoRule::Name),
            ("/home/x", NoRule::Name),
            (" - x", NoRule::Name),
            (".cache", NoRule::Modifier('c')),
            (".C /x", NoRule::Modifier('C')),
            ("-x", NoRule::Pattern),
            ("-", NoRule::Pattern),
            ("! x", NoRule::Pattern),
            ("!,s", NoRule::Pattern),
            ("P,s x", NoRule::Modifier('s')),
            ("hide,r x", NoRule::Modifier('r')),
            ("R,C x", NoRule::Modifier('C')),
            (":! .rules", NoRule::Modifier('!')),
        ] {
            assert_eq!(rule(text.as_bytes()), Err(expected), "{text}");
        }
    }

    /// The flat rules, as text, of these files.
    fn flattened(filters: &[&str], file: Option<&str>, files: &[(&str, &str)]) -> Result<Vec<String>, RulesError> {
        let filters: Vec<_> = filters.iter().map(|rule| Filter::Rule((*rule).into())).collect();
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| "open it: it is not there".to_owned())
        };
        let rules = flat(&filters, file.map(Path::new), &read)?;
        Ok(rules
            .iter()
            .map(|rule| if let Filter::Rule(rule) = rule { rule.display().to_string() } else { panic!() })
            .collect())
    }

    #[test]
    fn a_clearing_rule_clears_what_a_person_wrote_wherever_it_stands() {
        let files = [
            ("/d/a", "# mine\r\n- x\r\n\n. b\n"),
            ("/d/b", "; more\n!\n+ y\nmerge,- /list\n"),
            ("/list", "!\n.cache\n"),
        ];
        assert_eq!(flattened(&["- old", ". /d/a", "- z"], None, &files).unwrap(), ["+ y", "- !", "- .cache", "- z"]);
        assert_eq!(flattened(&["- old", "clear", "- z"], None, &[]).unwrap(), ["- z"]);
        assert_eq!(flattened(&["- old"], Some("/d/b"), &files).unwrap(), ["+ y", "- !", "- .cache"]);
    }

    #[test]
    fn files_of_rules_in_each_directory_are_known_by_their_names() {
        let rule = |text: &str| Filter::Rule(text.into());
        let filters = [
            Filter::DirMerge(".a".into()),
            Filter::DirMerge("/.b".into()),
            Filter::Exclude(": .x".into()),
            rule(":n- .c d"),
            rule("dir-merge,- .e"),
            rule("- .y"),
            rule(":C"),
        ];
        let names: Vec<_> = per_directory(&filters).into_iter().collect();
        assert_eq!(names, [".a", ".b", ".c d", ".cvsignore", ".e"]);
    }

    #[test]
    fn a_file_that_cannot_be_followed_is_named_and_not_quoted() {
        let wrong = |text: &str| flattened(&[], Some("/f"), &[("/f", text)]).unwrap_err().to_string();
        let list = wrong("# a list\n\n.gvfs\n/.Trash secret\n");
        assert!(list.starts_with("line 3 of /f is no filter rule") && list.contains("\"merge,- /f\""), "{list}");
        assert!(!list.contains("gvfs") && !list.contains("secret"), "{list}");
        let slip = wrong("- a\nb\n");
        assert!(slip.starts_with("line 2 of /f") && slip.contains("begin each line"), "{slip}");
        assert!(wrong(". f\n").contains("names a file that names a file"));
        assert!(wrong(". gone\n").contains("/gone: could not open it"));
        let many = "- x\n".repeat(MOST + 1);
        assert_eq!(flattened(&[], Some("/f"), &[("/f", &many)]), Err(RulesError::TooMany));
    }
}
