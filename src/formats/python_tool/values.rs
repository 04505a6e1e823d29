//! The values of a YAML text: what they are, and how much memory they take.

use std::ops::{AddAssign, Range};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct YamlNode {
    /// The place in the text, in bytes.
    pub span: Range<usize>,
    /// What stands there.
    pub value: YamlValue,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum YamlValue {
    /// Nothing: `~`, `null`, or no text.
    Null,
    /// `true` or `false`, in any of its spellings.
    Switch(bool),
    /// A whole number.
    Whole(i64),
    /// A number or date in another notation.
    Odd(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<YamlNode>),
    /// A table, in the order of the file.
    Table(Vec<YamlEntry>),
}

/// One line of a table.
#[derive(Debug, Clone)]
pub(super) struct YamlEntry {
    /// The key.
    pub key: String,
    /// The place of the key.
    pub at: Range<usize>,
    /// What stands behind it.
    pub node: YamlNode,
}

/// How much memory values take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct YamlWeight {
    /// How many values these are.
    pub values: usize,
    /// How many bytes their texts and keys have.
    pub bytes: usize,
}

impl YamlWeight {
    /// That of one value with this text.
    pub(super) fn of_text(text: &str) -> Self {
        Self { values: 1, bytes: text.len() }
    }
}

impl AddAssign for YamlWeight {
    fn add_assign(&mut self, more: Self) {
        self.values = self.values.saturating_add(more.values);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

impl YamlValue {
    /// What it weighs, with all that is in it.
    pub(super) fn weight(&self) -> YamlWeight {
        let mut weight = YamlWeight::of_text("");
        match self {
            Self::List(nodes) => nodes.iter().for_each(|node| weight += node.value.weight()),
            Self::Table(entries) => {
                for entry in entries {
                    weight += YamlWeight::of_text(&entry.key);
                    weight += entry.node.value.weight();
                }
            }
            Self::Odd(text) | Self::Text(text) => weight.bytes = text.len(),
            Self::Null | Self::Switch(_) | Self::Whole(_) => {}
        }
        weight
    }
}

/// What a text without quotes is.
pub(super) fn plain(text: &str) -> YamlValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return YamlValue::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return YamlValue::Switch(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return YamlValue::Switch(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return YamlValue::Text(text.to_owned());
    }
    let are_digits = |part: &str| part.chars().all(|c| c.is_ascii_digit() || c == '_');
    if are_digits(digits) {
        let is_octal = digits.len() > 1 && digits.starts_with('0');
        let number = text.replace('_', "").parse().ok().filter(|_| !is_octal);
        return number.map_or_else(|| YamlValue::Odd(text.to_owned()), YamlValue::Whole);
    }
    let radix = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0b"));
    let is_number_of_radix =
        radix.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit() || c == '_'));
    let mantissa = digits.split_once(['e', 'E']).map_or(digits, |(mantissa, _)| mantissa);
    let is_fraction = mantissa.split_once('.').is_some_and(|(whole, rest)| {
        are_digits(whole) && are_digits(rest) && (mantissa == digits || digits.contains(['+', '-']))
    });
    let is_clock = digits.contains(':') && digits.split(':').all(|part| !part.is_empty() && are_digits(part));
    let date: Vec<&str> = digits.splitn(3, '-').collect();
    let is_date = matches!(date.as_slice(), [year, month, day]
        if year.len() == 4 && are_digits(year) && are_digits(month) && month.len() <= 2
            && day.starts_with(|c: char| c.is_ascii_digit()) && !day.contains('-'));
    if is_number_of_radix || is_fraction && digits != "." || is_clock || is_date {
        YamlValue::Odd(text.to_owned())
    } else {
        YamlValue::Text(text.to_owned())
    }
}
