//! Our TOML in the making: tables, lines in them, and what is said beside them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use toml::Value;

use crate::formats::text::{is_unsafe, printable};

/// How wide a comment is.
const WIDTH: usize = 78;

/// What the Python tool has and this program has not, or refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The table that it belongs to, such as `syncs.photos`.
    pub table: String,
    /// What it is.
    pub what: String,
    /// Why it is not taken over.
    pub reason: String,
}

/// A table of our file, with what is said about it.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Its name, such as `syncs.photos`.
    pub title: String,
    /// Its lines.
    pub lines: Vec<TomlLine>,
    /// Why all of it is a comment.
    pub off: Option<String>,
    /// Whether it is a sync that was on, and is switched off here.
    pub is_switched_off: bool,
    /// What a sync reads of its source there; nothing once it is told that it would read something else here.
    pub reads: Option<SourceReading>,
}

/// What the Python tool reads of the source of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceReading {
    /// Its `latest`: the source keeps snapshots.
    Latest,
    /// All of it.
    Whole,
}

/// One line of a table.
#[derive(Debug)]
pub(super) enum TomlLine {
    /// A key and its value.
    Key(TomlKey),
    /// What is left out, and why.
    LeftOut(String, String),
    /// A remark.
    Remark(String),
    /// A line that a person may make use of by taking away the mark of a comment.
    Proposal(String),
}

/// A key of ours and what stands behind it.
#[derive(Debug)]
pub(super) struct TomlKey {
    pub name: &'static str,
    pub value: Entries,
    /// Why it is a comment.
    pub refused: Option<String>,
}

/// What stands behind a key.
#[derive(Debug)]
pub(super) enum Entries {
    One(Value),
    /// A list of which each entry has a line of its own, and why it is a comment.
    Many(Vec<(Value, Option<String>)>),
}

/// What a line of the text belongs to: the leaf, the line in it, the entry in that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineOrigin {
    pub leaf: usize,
    pub line: Option<usize>,
    pub entry: Option<usize>,
}

impl Leaf {
    /// An empty table of this name. Names hold no dots: none of the Python tool's does.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), lines: Vec::new(), off: None, is_switched_off: false, reads: None }
    }

    /// Adds a key.
    pub(super) fn key(&mut self, name: &'static str, value: impl Into<Value>) {
        self.lines.push(TomlLine::Key(TomlKey { name, value: Entries::One(value.into()), refused: None }));
    }

    /// Adds a list that has a line for each entry.
    pub(super) fn list(&mut self, name: &'static str, values: Vec<Value>) {
        let value = Entries::Many(values.into_iter().map(|value| (value, None)).collect());
        self.lines.push(TomlLine::Key(TomlKey { name, value, refused: None }));
    }

    /// Says that something is left out.
    pub(super) fn leave_out(&mut self, what: impl Into<String>, reason: impl Into<String>) {
        self.lines.push(TomlLine::LeftOut(what.into(), reason.into()));
    }

    /// Says something.
    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.lines.push(TomlLine::Remark(text.into()));
    }

    /// Switches a sync off: it would not do what it did.
    pub(super) fn disable(&mut self) {
        self.is_switched_off |= self.is_enabled();
        let mut keys = self.lines.iter_mut().filter_map(TomlLine::as_key_mut);
        if let Some(enabled) = keys.find(|key| key.name == "enabled") {
            enabled.value = Entries::One(Value::Boolean(false));
            return;
        }
        self.remark("Off until you have looked at what is left out here:");
        self.key("enabled", false);
    }

    /// Whether nothing says that this sync is off.
    pub(super) fn is_enabled(&self) -> bool {
        self.value("enabled").is_none_or(|value| *value != Value::Boolean(false))
    }

    /// The one value of a key.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        let key = self.lines.iter().filter_map(TomlLine::as_key).find(|key| key.name == name)?;
        match &key.value {
            Entries::One(value) => Some(value),
            Entries::Many(_) => None,
        }
    }

    fn write(&self, number: usize, page: &mut TomlPage) {
        page.origin = LineOrigin { leaf: number, line: None, entry: None };
        page.line("");
        if let Some(reason) = &self.off {
            page.comment(&format!("Left out: [{}]: {reason}", self.title));
        }
        let mark = if self.off.is_some() { "# " } else { "" };
        if !self.title.is_empty() {
            page.line(&format!("{mark}[{}]", self.title));
        }
        for (at, line) in self.lines.iter().enumerate() {
            page.origin = LineOrigin { leaf: number, line: Some(at), entry: None };
            match line {
                TomlLine::Key(key) => key.write(mark, page),
                TomlLine::LeftOut(what, reason) => page.comment(&format!("Left out: {what}: {reason}")),
                TomlLine::Remark(text) => page.comment(text),
                TomlLine::Proposal(text) => page.line(&format!("# {text}")),
            }
        }
    }
}

impl TomlLine {
    /// The key, if it is one.
    pub(super) fn as_key(&self) -> Option<&TomlKey> {
        match self {
            Self::Key(key) => Some(key),
            Self::LeftOut(..) | Self::Remark(_) | Self::Proposal(_) => None,
        }
    }

    fn as_key_mut(&mut self) -> Option<&mut TomlKey> {
        match self {
            Self::Key(key) => Some(key),
            Self::LeftOut(..) | Self::Remark(_) | Self::Proposal(_) => None,
        }
    }
}

impl TomlKey {
    fn write(&self, mark: &str, page: &mut TomlPage) {
        let mark = match &self.refused {
            Some(reason) => {
                page.comment(&format!("Left out: {reason}"));
                "# "
            }
            None => mark,
        };
        match &self.value {
            Entries::One(value) => page.line(&format!("{mark}{} = {}", self.name, on_one_line(value))),
            Entries::Many(values) => {
                page.line(&format!("{mark}{} = [", self.name));
                for (at, (value, refused)) in values.iter().enumerate() {
                    page.origin.entry = Some(at);
                    let value = on_one_line(value);
                    match refused {
                        Some(reason) => {
                            page.comment(&format!("Left out: {reason}"));
                            page.line(&format!("#   {value},"));
                        }
                        None => page.line(&format!("{mark}  {value},")),
                    }
                }
                page.origin.entry = None;
                page.line(&format!("{mark}]"));
            }
        }
    }
}

/// The text, with what each line of it belongs to.
#[derive(Debug, Default)]
pub(super) struct TomlPage {
    pub text: String,
    origins: Vec<LineOrigin>,
    origin: LineOrigin,
}

impl TomlPage {
    /// The text of these tables below a few lines of comment.
    pub(super) fn of(head: &[String], leaves: &[Leaf]) -> Self {
        let mut page = Self::default();
        for line in head {
            page.comment(line);
        }
        for (number, leaf) in leaves.iter().enumerate() {
            leaf.write(number, &mut page);
        }
        page
    }

    /// What a line belongs to, counted from 1.
    pub(super) fn origin(&self, line: usize) -> Option<LineOrigin> {
        self.origins.get(line.checked_sub(1)?).copied()
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        self.origins.push(self.origin);
    }

    /// Words are kept whole, so that a path or a command can be copied. A comment holds no control characters, and ends
    /// with its line.
    fn comment(&mut self, text: &str) {
        let mut line = "#".to_owned();
        for word in printable(text).split(' ') {
            if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                "#".clone_into(&mut line);
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }
}

/// A value on one line, whatever is in it: it may become a comment, and mistakes are told by lines.
pub(super) fn on_one_line(value: &Value) -> String {
    match value {
        Value::String(text) => basic(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(on_one_line).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Table(table) => {
            let entries: Vec<String> =
                table.iter().map(|(name, value)| format!("{} = {}", key(name), on_one_line(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => value.to_string(),
    }
}

/// A name as a key.
pub(super) fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_bare { name.to_owned() } else { basic(name) }
}

/// A text between quotes; what a terminal would obey is escaped.
fn basic(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            c if is_unsafe(c) => {
                // Writing to a string cannot fail.
                let _ = write!(written, "\\U{:08x}", u32::from(c));
            }
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

/// Everything that is left out.
pub(super) fn left_out(leaves: &[Leaf]) -> Vec<LeftOut> {
    let mut all = Vec::new();
    let mut said = BTreeSet::new();
    for leaf in leaves {
        let mut add = |what: String, reason: &String| {
            if said.insert((leaf.title.clone(), what.clone(), reason.clone())) {
                all.push(LeftOut { table: leaf.title.clone(), what, reason: reason.clone() });
            }
        };
        if let Some(reason) = &leaf.off {
            add(format!("[{}]", leaf.title), reason);
        }
        for line in &leaf.lines {
            match line {
                TomlLine::LeftOut(what, reason) => add(what.clone(), reason),
                TomlLine::Key(TomlKey { name, refused: Some(reason), .. }) => add((*name).to_owned(), reason),
                TomlLine::Key(TomlKey { value: Entries::Many(values), .. }) => {
                    for (value, reason) in values {
                        if let Some(reason) = reason {
                            add(on_one_line(value), reason);
                        }
                    }
                }
                TomlLine::Key(_) | TomlLine::Remark(_) | TomlLine::Proposal(_) => {}
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_one_line_and_is_read_back(text in any::<String>(), name in any::<String>()) {
            let inner = Value::Table(toml::Table::from_iter([(name.clone(), Value::from(text.as_str()))]));
            let value = Value::Array(vec![inner, text.as_str().into(), 3.into(), true.into()]);
            let line = format!("{} = {}", key(&name), on_one_line(&value));
            prop_assert!(!line.contains(is_unsafe), "{}", line.escape_debug());
            let read: toml::Table = toml::from_str(&line).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(read.get(&name), Some(&value), "{}", line);
        }
    }
}
