//! Reads the tree of a file key by key, and collects every mistake instead of stopping at the first.

use std::ops::Range;

use crate::formats::config::{RawMistake, quoted};
use crate::formats::python_tool::tree::mistake;
use crate::formats::python_tool::values::{YamlEntry, YamlNode, YamlValue};
use crate::formats::similar::did_you_mean;

/// One reading of a file, with the mistakes found so far.
#[derive(Default)]
pub(super) struct YamlMistakes {
    /// The mistakes found so far.
    pub found: Vec<RawMistake>,
}

/// A table of the file.
#[derive(Clone)]
pub(super) struct Section<'a> {
    /// Its lines.
    pub entries: Vec<&'a YamlEntry>,
    /// Where it stands: what it has not is missed there.
    pub at: Range<usize>,
}

/// A text of the file, with its place.
pub(super) struct Written<'a> {
    pub text: &'a str,
    pub at: Range<usize>,
}

/// A key as the Python tool knows it: it takes `_` for `-`.
pub(super) fn plain_key(key: &str) -> String {
    key.replace('_', "-")
}

impl YamlMistakes {
    /// Notes a mistake.
    pub(super) fn note(&mut self, at: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(mistake(at.clone(), message, Some(help.into())));
    }

    /// The table that a value must be; `what` names it for people. Nothing is an empty table.
    pub(super) fn table<'a>(&mut self, node: &'a YamlNode, what: &str) -> Option<Section<'a>> {
        let entries = match &node.value {
            YamlValue::Table(entries) => entries.iter().collect(),
            YamlValue::Null => Vec::new(),
            other @ (YamlValue::Switch(_)
            | YamlValue::Whole(_)
            | YamlValue::Odd(_)
            | YamlValue::Text(_)
            | YamlValue::List(_)) => {
                let message = format!("{what} must be a table, not {}", in_words(other));
                self.note(&node.span, message, "write `KEY: VALUE` lines");
                return None;
            }
        };
        Some(Section { entries, at: node.span.clone() })
    }

    /// The name that a text refers to, if it is one of these.
    pub(super) fn known<'a>(
        &mut self,
        written: &Written<'_>,
        what: &str,
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> bool {
        if names.clone().any(|name| name == written.text) {
            return true;
        }
        let near = did_you_mean(written.text, names.clone());
        let help = near.unwrap_or_else(|| match names.take(12).collect::<Vec<_>>() {
            all if all.is_empty() => format!("there is no {what} in the file"),
            all => format!("known: {}", all.join(", ")),
        });
        self.note(&written.at, format!("no {what} {}", quoted(written.text)), help);
        false
    }
}

impl<'a> Section<'a> {
    /// What stands behind a key; nothing where that is `~`.
    pub(super) fn get(&self, key: &str) -> Option<&'a YamlNode> {
        let entry = self.entries.iter().find(|entry| plain_key(&entry.key) == key)?;
        Some(&entry.node).filter(|node| !matches!(node.value, YamlValue::Null))
    }

    /// Whether a key is there, whatever stands behind it.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| plain_key(&entry.key) == key)
    }

    /// The table behind a key; an empty one where there is none.
    pub(super) fn section(&self, findings: &mut YamlMistakes, key: &str) -> Section<'a> {
        let empty = || Section { entries: Vec::new(), at: self.at.clone() };
        self.get(key).and_then(|node| findings.table(node, &format!("`{key}`"))).unwrap_or_else(empty)
    }

    /// The text behind a key.
    pub(super) fn text(&self, findings: &mut YamlMistakes, key: &str) -> Option<Written<'a>> {
        self.get(key).and_then(|node| text(findings, key, node))
    }

    /// The text behind a key that must be there.
    pub(super) fn needed(&self, findings: &mut YamlMistakes, key: &str, whose: &str) -> Option<Written<'a>> {
        if self.get(key).is_none() {
            findings.note(&self.at, format!("{whose} has no `{key}`"), format!("write `{key}: …`"));
        }
        self.text(findings, key)
    }

    /// The texts in the list behind a key.
    pub(super) fn texts(&self, findings: &mut YamlMistakes, key: &str) -> Option<Vec<Written<'a>>> {
        let nodes = self.list(findings, key)?;
        Some(nodes.iter().filter_map(|node| text(findings, key, node)).collect())
    }

    /// The list behind a key.
    pub(super) fn list(&self, findings: &mut YamlMistakes, key: &str) -> Option<&'a [YamlNode]> {
        let node = self.get(key)?;
        if let YamlValue::List(nodes) = &node.value {
            return Some(nodes);
        }
        let message = format!("`{key}` must be a list, not {}", in_words(&node.value));
        findings.note(&node.span, message, "write it as `[…, …]`, or as lines that begin with `- `");
        None
    }

    /// Whether something is on.
    pub(super) fn switch(&self, findings: &mut YamlMistakes, key: &str) -> Option<bool> {
        let node = self.get(key)?;
        if let YamlValue::Switch(on) = node.value {
            return Some(on);
        }
        let message = format!("`{key}` must be `true` or `false`, not {}", in_words(&node.value));
        findings.note(&node.span, message, "write `true` or `false` without quotes");
        None
    }

    /// The whole number behind a key.
    pub(super) fn whole(&self, findings: &mut YamlMistakes, key: &str, (least, most): (i64, i64)) -> Option<i64> {
        let node = self.get(key)?;
        if let YamlValue::Whole(number) = node.value
            && (least..=most).contains(&number)
        {
            return Some(number);
        }
        let message = format!("`{key}` must be a whole number from {least} to {most}, not {}", in_words(&node.value));
        findings.note(&node.span, message, "write it without quotes");
        None
    }
}

fn text<'a>(findings: &mut YamlMistakes, key: &str, node: &'a YamlNode) -> Option<Written<'a>> {
    let help = match &node.value {
        YamlValue::Text(text) if !text.is_empty() => return Some(Written { text, at: node.span.clone() }),
        YamlValue::Text(_) => "leave it out, or write what it is",
        YamlValue::List(_) | YamlValue::Table(_) => "write one text",
        YamlValue::Null | YamlValue::Switch(_) | YamlValue::Whole(_) | YamlValue::Odd(_) => "write it in quotes",
    };
    findings.note(&node.span, format!("`{key}` must be a text, not {}", in_words(&node.value)), help);
    None
}

/// What a value is, for people.
pub(super) fn in_words(value: &YamlValue) -> String {
    match value {
        YamlValue::Null => "nothing".to_owned(),
        YamlValue::Switch(on) => format!("the switch `{on}`"),
        YamlValue::Whole(number) => format!("the number {number}"),
        YamlValue::Odd(text) => format!("the number or date {}", quoted(text)),
        YamlValue::Text(text) if text.is_empty() => "nothing".to_owned(),
        YamlValue::Text(text) => format!("the text {}", quoted(text)),
        YamlValue::List(_) => "a list".to_owned(),
        YamlValue::Table(_) => "a table".to_owned(),
    }
}

/// A value as it is put into a remark: short, on one line.
pub(super) fn in_short(value: &YamlValue) -> String {
    match value {
        YamlValue::Null => "~".to_owned(),
        YamlValue::Switch(on) => on.to_string(),
        YamlValue::Whole(number) => number.to_string(),
        YamlValue::Odd(text) | YamlValue::Text(text) => quoted(text).trim_matches('`').to_owned(),
        YamlValue::List(nodes) => {
            let all = nodes.iter().map(|node| in_short(&node.value)).collect::<Vec<_>>().join(", ");
            quoted(&format!("[{all}]")).trim_matches('`').to_owned()
        }
        YamlValue::Table(entries) => {
            let entry = |entry: &YamlEntry| format!("{}: {}", entry.key, in_short(&entry.node.value));
            let all = entries.iter().map(entry).collect::<Vec<_>>().join(", ");
            quoted(&format!("{{{all}}}")).trim_matches('`').to_owned()
        }
    }
}
