//! The configuration file: TOML in, a configuration or all its mistakes out.

mod doubts;
mod keys;
mod layer;
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

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use doubts::{Doubt, Surroundings};
pub use mistake::{Colour, Mistake, Mistakes, Warnings};
pub use schema::schema;
pub use show::show;

use crate::model::{Configuration, DaemonSettings, Notify};
use mistake::Found;
use names::Names;
use reader::{Fields, Node, Reading};
use syncs::Known;

/// A first configuration, to begin with.
pub const FIRST: &str = include_str!("first.toml");

/// What the text of a file does not say itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// The file, as it is called in messages.
    pub file: PathBuf,
    /// What `~` stands for.
    pub home: PathBuf,
}

/// A configuration without mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The configuration.
    pub configuration: Configuration,
    /// What is most likely not meant.
    pub warnings: Warnings,
}

/// Reads a configuration.
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

fn utf8<'b>(bytes: &'b [u8], context: &Context) -> Result<&'b str, Mistakes> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let at = error.valid_up_to();
            let found = Found {
                span: at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
                message: "the file is not UTF-8 here".to_owned(),
                help: Some("save it as UTF-8".to_owned()),
            };
            Err(Mistakes::new(&context.file, &String::from_utf8_lossy(bytes), vec![found]))
        }
    }
}

/// Mistakes in the syntax of TOML. One mistake often makes several errors on its line; the first says it best.
fn syntax(text: &str, errors: &[toml::de::Error]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut lines = std::collections::BTreeSet::new();
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count();
        if lines.insert(line) {
            let message = format!("this is not TOML: {}", error.message());
            found.push(Found { span, message, help: None });
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

    let daemon = daemon(reading, &file);
    let locations = network::locations(reading, &file);
    let endpoints = network::endpoints(reading, &file, &endpoint_names, &location_names);
    let volumes = volumes::volumes(reading, &file, &endpoint_names);
    let groups = volumes::groups(reading, &file, &volume_names);
    let credentials = volumes::credentials(reading, &file);
    let known = Known { volumes: &volume_names, group_names: &group_names, groups: &groups, syncs: &sync_names };
    let syncs = syncs::syncs(reading, &file, &known);
    relations::check(reading, &syncs, &volumes, &endpoints);
    if let Some(around) = around {
        doubts::doubt(reading, &syncs, &volumes, around);
    }
    let syncs = syncs.into_iter().map(|(name, (sync, _))| (name, sync)).collect();
    Some(Configuration { daemon, locations, endpoints, volumes, groups, credentials, syncs })
}

/// Which desktop notifications are shown, under the names of the file.
const NOTIFY: [(&str, Notify); 3] = [("all", Notify::All), ("problems", Notify::Problems), ("none", Notify::None)];

fn daemon(reading: &mut Reading<'_>, file: &Fields<'_>) -> DaemonSettings {
    let mut settings = DaemonSettings {
        max_parallel: 1,
        settle: Duration::from_secs(2),
        grace: Duration::from_secs(10),
        notify: Notify::Problems,
    };
    let Some(fields) = file.table(reading, "daemon") else { return settings };
    if let Some(count) = fields.whole(reading, "max-parallel").and_then(|count| usize::try_from(count).ok()) {
        settings.max_parallel = count;
    }
    if let Some(settle) = fields.parsed(reading, "settle", words::interval) {
        settings.settle = settle.into_inner();
    }
    if let Some(grace) = fields.parsed(reading, "grace", words::interval) {
        settings.grace = grace.into_inner();
    }
    if let Some(notify) = fields.choice(reading, "notify", &NOTIFY) {
        settings.notify = notify;
    }
    settings
}

/// The name under which the file knows a value.
fn named<T: PartialEq>(choices: &[(&'static str, T)], value: &T) -> &'static str {
    choices.iter().find(|(_, choice)| choice == value).map_or("", |(name, _)| name)
}
