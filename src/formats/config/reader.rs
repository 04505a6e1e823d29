//! Reads the tree of a TOML text, key by key, and collects every mistake instead of stopping at the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::formats::config::context::Context;
use crate::formats::config::keys::{Key, Keys, Shape};
use crate::formats::config::mistake::{RawMistake, quoted};
use crate::formats::similar::did_you_mean;
use crate::model::DriveUuid;

/// A value and its place.
pub(super) type Node<'a> = Spanned<DeValue<'a>>;

/// What is wrong with a value, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadValue {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl BadValue {
    /// A problem that says itself what to do.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// The same, with what to do.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Keys that are meant to be understood one day. One that did nothing would be worse than a mistake.
const NOT_YET: [&str; 3] = ["full-every", "rclone", "source-snapshot"];

/// One reading of a file: what it is read for, and the mistakes found so far.
pub(super) struct Reading<'c> {
    /// What the text itself does not say.
    pub context: &'c Context,
    /// The mistakes found so far.
    pub found: Vec<RawMistake>,
    /// What is most likely not meant.
    pub doubts: Vec<RawMistake>,
    /// The UUIDs of drives of this machine.
    pub drives: Vec<Spanned<DriveUuid>>,
}

impl Reading<'_> {
    /// Notes a mistake.
    pub(super) fn mistake(&mut self, span: Range<usize>, problem: BadValue) {
        self.found.push(RawMistake { span, message: problem.message, help: problem.help });
    }

    /// Notes what is most likely not meant.
    pub(super) fn doubt(&mut self, span: Range<usize>, problem: BadValue) {
        self.doubts.push(RawMistake { span, message: problem.message, help: problem.help });
    }

    /// The table that a value must be, its unknown keys noted. `what` names it for people.
    pub(super) fn table<'a>(&mut self, node: &'a Node<'a>, keys: Keys, what: &str) -> Option<Fields<'a>> {
        let DeValue::Table(table) = node.get_ref() else {
            let message = format!("{what} must be a table, not {}", kind(node));
            self.mistake(node.span(), BadValue::new(message));
            return None;
        };
        let fields = Fields { table, keys, span: node.span() };
        for key in table.keys() {
            if fields.shape(key.get_ref()).is_none() {
                self.unknown_key(key, keys, what);
            }
        }
        Some(fields)
    }

    fn unknown_key(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, keys: Keys, what: &str) {
        let known = || keys.iter().copied().flatten().map(|key| key.name);
        let not_yet = NOT_YET.contains(&key.get_ref().as_ref());
        let not_yet = not_yet.then(|| "this version does not know it yet; leave it out".to_owned());
        let help = not_yet
            .or_else(|| did_you_mean(key.get_ref(), known()))
            .unwrap_or_else(|| format!("{what} can hold {}", known().collect::<Vec<_>>().join(", ")));
        let message = format!("{what} has no key {}", quoted(key.get_ref()));
        self.mistake(key.span(), BadValue::new(message).help(help));
    }

    /// The text that a value must be. `what` names it, `must` says what it must be.
    pub(super) fn text<'a>(&mut self, node: &'a Node<'a>, what: &str, must: &str) -> Option<Spanned<&'a str>> {
        if let DeValue::String(text) = node.get_ref() {
            return Some(Spanned::new(node.span(), text));
        }
        self.wrong_kind(node, what, must);
        None
    }

    /// Notes that a value is of the wrong kind.
    pub(super) fn wrong_kind(&mut self, node: &Node<'_>, what: &str, must: &str) {
        let problem = BadValue::new(format!("{what} must be {must}, not {}", kind(node)));
        let problem = match node.get_ref() {
            DeValue::String(text) if must.starts_with("a list") => problem.help(format!("write [\"{text}\"]")),
            DeValue::String(text) if ["true", "false"].contains(&text.as_ref()) => problem.help("leave out the quotes"),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => problem,
        };
        self.mistake(node.span(), problem);
    }
}

/// What a value is, in words fit to follow "not".
fn kind(node: &Node<'_>) -> &'static str {
    match node.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The table of a file under its keys.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    table: &'a DeTable<'a>,
    keys: Keys,
    /// Its place.
    pub span: Range<usize>,
}

impl<'a> Fields<'a> {
    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node<'a>> {
        self.table.get(key)
    }

    /// The keys that are there and known, with their places.
    pub(super) fn present(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        let known = self.table.keys().filter(|key| self.shape(key.get_ref()).is_some());
        known.map(|key| (key.get_ref().as_ref(), key.span()))
    }

    /// The place of a key, or of the table if it is not there.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.table.get_key_value(key).map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    fn shape(&self, name: &str) -> Option<&'static Shape> {
        self.keys.iter().copied().flatten().find(|key: &&Key| key.name == name).map(|key| &key.shape)
    }

    fn must(&self, key: &str) -> String {
        self.shape(key).map(Shape::in_words).unwrap_or_default()
    }

    /// A text.
    pub(super) fn text(&self, reading: &mut Reading<'_>, key: &str) -> Option<Spanned<&'a str>> {
        let node = self.get(key)?;
        reading.text(node, &format!("`{key}`"), &self.must(key))
    }

    /// What a text means.
    pub(super) fn parsed<T>(
        &self,
        reading: &mut Reading<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, BadValue>,
    ) -> Option<Spanned<T>> {
        let text = self.text(reading, key)?;
        match parse(text.get_ref()) {
            Ok(value) => Some(Spanned::new(text.span(), value)),
            Err(problem) => {
                reading.mistake(text.span(), problem);
                None
            }
        }
    }

    /// One of several texts.
    pub(super) fn choice<T: Copy>(&self, reading: &mut Reading<'_>, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let chosen = self.parsed(reading, key, |text| {
            choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
                let problem = BadValue::new(format!("`{key}` must be {}, not {}", self.must(key), quoted(text)));
                BadValue { help: did_you_mean(text, choices.iter().map(|(name, _)| *name)), ..problem }
            })
        });
        chosen.map(Spanned::into_inner)
    }

    /// `true` or `false`.
    pub(super) fn switch(&self, reading: &mut Reading<'_>, key: &str) -> Option<bool> {
        let node = self.get(key)?;
        let DeValue::Boolean(value) = node.get_ref() else {
            reading.wrong_kind(node, &format!("`{key}`"), &self.must(key));
            return None;
        };
        Some(*value)
    }

    /// A whole number within the bounds of the key.
    pub(super) fn whole(&self, reading: &mut Reading<'_>, key: &str) -> Option<u32> {
        let node = self.get(key)?;
        let DeValue::Integer(digits) = node.get_ref() else {
            reading.wrong_kind(node, &format!("`{key}`"), &self.must(key));
            return None;
        };
        let Some(Shape::Whole(least, most)) = self.shape(key) else { return None };
        let value = u32::from_str_radix(digits.as_str(), digits.radix()).ok();
        let value = value.filter(|value| (least..=most).contains(&value));
        if value.is_none() {
            let message = format!("`{key}` must be {}, not {digits}", self.must(key));
            reading.mistake(node.span(), BadValue::new(message));
        }
        value
    }

    /// The entries of a list.
    pub(super) fn list(&self, reading: &mut Reading<'_>, key: &str) -> Option<&'a [Node<'a>]> {
        let node = self.get(key)?;
        let DeValue::Array(entries) = node.get_ref() else {
            reading.wrong_kind(node, &format!("`{key}`"), &self.must(key));
            return None;
        };
        Some(entries)
    }

    /// What the texts of a list mean, without those that mean nothing.
    pub(super) fn texts<T>(
        &self,
        reading: &mut Reading<'_>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, BadValue>,
    ) -> Option<Vec<Spanned<T>>> {
        let mut values = Vec::new();
        for node in self.list(reading, key)? {
            let Some(text) = reading.text(node, &format!("an entry of `{key}`"), "a text in quotes") else { continue };
            match parse(text.get_ref()) {
                Ok(value) => values.push(Spanned::new(text.span(), value)),
                Err(problem) => reading.mistake(text.span(), problem),
            }
        }
        Some(values)
    }

    /// The table behind a key.
    pub(super) fn table(&self, reading: &mut Reading<'_>, key: &str) -> Option<Fields<'a>> {
        let keys = match self.shape(key)? {
            Shape::Table(keys) => keys,
            Shape::Either(shapes) => shapes.iter().find_map(|shape| {
                let Shape::Table(keys) = shape else { return None };
                Some(keys)
            })?,
            Shape::Switch
            | Shape::Whole(..)
            | Shape::Text
            | Shape::Pattern(..)
            | Shape::Choice(_)
            | Shape::List(_)
            | Shape::OneOf(_)
            | Shape::Named(_) => return None,
        };
        reading.table(self.get(key)?, keys, &format!("`{key}`"))
    }

    /// The tables behind a key under names of the user's choice, each with its name.
    pub(super) fn named(&self, reading: &mut Reading<'_>, key: &str) -> Vec<(Spanned<&'a str>, Fields<'a>)> {
        let (Some(node), Some(Shape::Named(keys))) = (self.get(key), self.shape(key)) else { return Vec::new() };
        let DeValue::Table(table) = node.get_ref() else {
            reading.wrong_kind(node, &format!("`{key}`"), "a table of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in table {
            let what = format!("[{key}.{}]", name.get_ref().escape_debug());
            if let Some(fields) = reading.table(value, keys, &what) {
                tables.push((Spanned::new(name.span(), name.get_ref().as_ref()), fields));
            }
        }
        tables
    }
}
