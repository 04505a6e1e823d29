//! The configuration file: TOML in, a configuration or all its mistakes out.

mod context;
mod daemon;
mod doubts;
pub mod extend;
mod keys;
mod layer;
mod manual;
mod mistake;
mod names;
mod network;
mod patterns;
mod reader;
mod relations;
mod rsync_options;
mod schema;
mod show;
mod ssh_options;
mod syncs;
mod volumes;
mod words;

#[cfg(test)]
mod tests;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use context::Context;
pub use doubts::{Doubt, Surroundings};
pub use mistake::{Colour, Mistake, Mistakes, Warnings};
pub use schema::schema;
pub use show::show;

pub(in crate::formats) use mistake::{RawMistake, quoted};

use crate::model::Configuration;
use names::Names;
use reader::{Node, Reading};
use syncs::Known;

/// A first configuration, to begin with.
pub const FIRST: &str = include_str!("first.toml");

/// The manual page of the file, nbkp.toml(5).
#[must_use]
pub fn manual_page(version: &str) -> String {
    manual::manual(version, FIRST)
}

/// A configuration without mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The configuration.
    pub configuration: Configuration,
    /// What is most likely not meant.
    pub warnings: Warnings,
}

/// Reads a configuration, or finds all its mistakes.
///
/// ```
/// use nbkp::formats::config::{Colour, Context, parse};
///
/// let context = Context { file: "config.toml".into(), home: "/home/ada".into() };
/// let volumes = "[volumes.laptop]\npath = '~'\n\n[volumes.usb]\ndrive = '5E3F-1A2B'\n";
/// let sync = "[syncs.documents]\nsource = 'laptop:Documents'\ndestination = 'usb:documents'\n";
/// let configuration = parse(&format!("{volumes}\n{sync}"), &context).unwrap();
/// assert_eq!(configuration.syncs.len(), 1);
///
/// let mistakes = parse(&format!("{volumes}\n{}", sync.replace("usb", "ubs")), &context).unwrap_err();
/// assert!(mistakes.render(Colour::Plain).contains("did you mean `usb`?"));
/// ```
pub fn parse(text: &str, context: &Context) -> Result<Configuration, Mistakes> {
    read(text, context, None).map(|checked| checked.configuration)
}

fn read(text: &str, context: &Context, around: Option<&Surroundings<'_>>) -> Result<Checked, Mistakes> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(Mistakes::new(&context.file, text, syntax(text, &errors)));
    }
    let span = table.span();
    let file = Spanned::new(span, DeValue::Table(table.into_inner()));
    let mut reading = Reading { context, found: Vec::new(), doubts: Vec::new(), drives: Vec::new() };
    let configuration = whole(&mut reading, &file, around);
    match configuration {
        Some(configuration) if reading.found.is_empty() => {
            Ok(Checked { configuration, warnings: Warnings::new(&context.file, text, reading.doubts) })
        }
        Some(_) | None => Err(Mistakes::new(&context.file, text, reading.found)),
    }
}

/// Reads a configuration from the bytes of a file, which must be UTF-8.
pub fn parse_bytes(bytes: &[u8], context: &Context) -> Result<Configuration, Mistakes> {
    utf8(bytes, context).and_then(|text| parse(text, context))
}

/// Reads a configuration and tells what in it is most likely not meant.
pub fn check(bytes: &[u8], context: &Context, around: &Surroundings<'_>) -> Result<Checked, Mistakes> {
    utf8(bytes, context).and_then(|text| read(text, context, Some(around)))
}

/// The text of a file, which must be UTF-8.
pub(in crate::formats) fn utf8<'b>(bytes: &'b [u8], context: &Context) -> Result<&'b str, Mistakes> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let at = error.valid_up_to();
            let found = RawMistake {
                span: at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
                message: "the file is not UTF-8 here".to_owned(),
                help: Some("save it as UTF-8".to_owned()),
            };
            Err(Mistakes::new(&context.file, &String::from_utf8_lossy(bytes), vec![found]))
        }
    }
}

/// Mistakes in the syntax of TOML. One mistake often makes several errors on its line; the first says it best.
fn syntax(text: &str, errors: &[toml::de::Error]) -> Vec<RawMistake> {
    let mut found: Vec<RawMistake> = Vec::new();
    let mut lines = std::collections::BTreeSet::new();
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count();
        if lines.insert(line) {
            let message = format!("this is not TOML: {}", error.message());
            found.push(RawMistake { span, message, help: None });
        }
    }
    found
}

fn whole(reading: &mut Reading<'_>, file: &Node<'_>, around: Option<&Surroundings<'_>>) -> Option<Configuration> {
    let file = reading.table(file, keys::FILE, "the configuration")?;
    let location_names = Names::of(&file, "locations", "location");
    let endpoint_names = Names::of(&file, "ssh-endpoints", "ssh endpoint");
    let volume_names = Names::of(&file, "volumes", "volume");
    let group_names = Names::of(&file, "groups", "group");
    let sync_names = Names::of(&file, "syncs", "sync");

    let daemon = daemon::settings(reading, &file);
    let locations = network::locations(reading, &file);
    let endpoints = network::endpoints(reading, &file, &endpoint_names, &location_names);
    let volumes = volumes::volumes(reading, &file, &endpoint_names);
    let groups = volumes::groups(reading, &file, &volume_names);
    let credentials = volumes::credentials(reading, &file);
    let monitoring = daemon::monitoring(reading, &file);
    let known = Known {
        volumes: &volume_names,
        group_names: &group_names,
        groups: &groups,
        syncs: &sync_names,
        ping: monitoring.ping.as_ref(),
    };
    let syncs = syncs::syncs(reading, &file, &known);
    relations::check(reading, &syncs, &volumes, &endpoints);
    if let Some(around) = around {
        doubts::doubt(reading, &syncs, &volumes, around);
    }
    let syncs = syncs.into_iter().map(|(name, (sync, _))| (name, sync)).collect();
    Some(Configuration { daemon, locations, endpoints, volumes, groups, credentials, monitoring, syncs })
}
