//! The names that a file gives, and whether what refers to them finds them.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use toml::Spanned;
use toml::de::DeValue;

use super::mistake::quoted;
use super::reader::{BadValue, Fields, Reading};
use super::words;
use crate::formats::similar::did_you_mean;

/// The names under one key of the file, such as those of all volumes, whether or not the rest of each is right: a
/// mistake in a volume is told once, and not again by everything that refers to it.
pub(super) struct Names<'a> {
    /// What they name, for people.
    what: &'static str,
    names: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    /// The names under this key.
    pub(super) fn of(file: &Fields<'a>, key: &str, what: &'static str) -> Self {
        let names = file.get(key).map(Spanned::get_ref).into_iter().flat_map(|value| {
            let table = if let DeValue::Table(table) = value { Some(table) } else { None };
            table.into_iter().flat_map(|table| table.keys().map(|name| name.get_ref().as_ref()))
        });
        Self { what, names: names.collect() }
    }

    /// Whether there is this name.
    pub(super) fn contain(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied()
    }

    /// What is wrong with a reference to a name that is not there.
    pub(super) fn missing(&self, name: &str) -> BadValue {
        let problem = BadValue::new(format!("no {} {}", self.what, quoted(name)));
        let help = did_you_mean(name, self.iter()).unwrap_or_else(|| {
            // A person who writes a path where a place belongs needs more than the names.
            let form =
                if self.what == "volume" && name.contains('/') { "write it as \"VOLUME:DIRECTORY\"; " } else { "" };
            let all: Vec<_> = self.names.iter().take(12).copied().collect();
            if all.is_empty() {
                format!("{form}there is no {} in the file yet", self.what)
            } else {
                format!("{form}known: {}", all.join(", "))
            }
        });
        problem.help(help)
    }

    /// The name that a text refers to.
    pub(super) fn reference<T>(&self, reading: &mut Reading<'_>, text: &Spanned<String>) -> Option<T>
    where
        T: FromStr,
    {
        if !self.contain(text.get_ref()) {
            reading.mistake(text.span(), self.missing(text.get_ref()));
            return None;
        }
        text.get_ref().parse().ok()
    }

    /// The names that a list refers to, each at most once.
    pub(super) fn references<T>(&self, reading: &mut Reading<'_>, fields: &Fields<'_>, key: &str) -> Option<Vec<T>>
    where
        T: FromStr,
    {
        let texts = fields.texts(reading, key, |text| Ok(text.to_owned()))?;
        distinct(reading, key, &texts);
        Some(texts.iter().filter_map(|text| self.reference(reading, text)).collect())
    }
}

/// Notes the entries of a list that were in it before.
pub(super) fn distinct(reading: &mut Reading<'_>, key: &str, texts: &[Spanned<String>]) {
    let mut seen = BTreeSet::new();
    for text in texts {
        if !seen.insert(text.get_ref()) {
            let message = format!("{} is in `{key}` twice", quoted(text.get_ref()));
            reading.mistake(text.span(), BadValue::new(message).help("leave one of them out"));
        }
    }
}

/// A name that the file gives.
pub(super) fn given<T>(reading: &mut Reading<'_>, name: &Spanned<&str>) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    match words::name(name.get_ref()) {
        Ok(value) => Some(value),
        Err(problem) => {
            reading.mistake(name.span(), problem);
            None
        }
    }
}
