//! Sync endpoints and syncs: here a sync names its places itself, and how history is kept there.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::formats::config::quoted;
use crate::formats::python_tool::endpoints::strangers;
use crate::formats::python_tool::options::translated;
use crate::formats::python_tool::page::{Leaf, SourceReading};
use crate::formats::python_tool::reading::{Section, Written, YamlMistakes, in_short, in_words};
use crate::formats::python_tool::values::{YamlNode, YamlValue};

const KEYS: [&str; 7] = ["source", "destination", "enabled", "rsync-options", "filters", "filter-file", "slug"];

/// A place that syncs read or write.
pub(super) struct SyncPlace {
    /// `volume:subdir`.
    pub place: String,
    /// How history is kept there.
    history: Option<History>,
}

#[derive(Clone)]
struct History {
    kind: &'static str,
    most: Option<i64>,
}

/// A place as a table tells it.
pub(super) fn place<'a>(
    findings: &mut YamlMistakes,
    whose: &str,
    section: &Section<'_>,
    volumes: impl Iterator<Item = &'a str> + Clone,
) -> Option<SyncPlace> {
    let volume = section.needed(findings, "volume", whose)?;
    if !findings.known(&volume, "volume", volumes) {
        return None;
    }
    let subdir = section.text(findings, "subdir").map_or("", |subdir| subdir.text.trim_matches('/'));
    let place = if subdir.is_empty() { volume.text.to_owned() } else { format!("{}:{subdir}", volume.text) };
    let mut kinds = Vec::new();
    for (key, kind) in [("btrfs-snapshots", "btrfs"), ("hard-link-snapshots", "hard-link")] {
        let snapshots = section.section(findings, key);
        let most = snapshots.whole(findings, "max-snapshots", (1, i64::MAX));
        if snapshots.switch(findings, "enabled") == Some(true) {
            kinds.push(History { kind, most });
        }
    }
    if kinds.len() > 1 {
        let help = "switch one of them off";
        findings.note(&section.at, format!("{whose} has both btrfs and hard-link snapshots"), help);
    }
    Some(SyncPlace { place, history: kinds.pop() })
}

/// The places of a file under their names.
pub(super) struct SyncPlaces<'p> {
    /// Those that have names.
    pub named: BTreeMap<&'p str, SyncPlace>,
    /// The names of volumes.
    pub volumes: BTreeSet<&'p str>,
}

/// One end of a sync: the name of a sync endpoint or, as in early versions, a table of its own.
pub(super) fn end(
    findings: &mut YamlMistakes,
    whose: &str,
    sync: &Section<'_>,
    key: &str,
    places: &SyncPlaces<'_>,
) -> Option<SyncPlace> {
    if let Some(YamlNode { value: YamlValue::Table(_), .. }) = sync.get(key) {
        let section = sync.section(findings, key);
        return place(findings, &format!("the {key} of {whose}"), &section, places.volumes.iter().copied());
    }
    let name = sync.needed(findings, key, whose)?;
    if !findings.known(&name, "sync endpoint", places.named.keys().copied()) {
        return None;
    }
    let named = places.named.get(name.text)?;
    Some(SyncPlace { place: named.place.clone(), history: named.history.clone() })
}

/// The table of one sync.
pub(super) fn leaf(findings: &mut YamlMistakes, name: &str, sync: &Section<'_>, places: &SyncPlaces<'_>) -> Leaf {
    let mut leaf = Leaf::new(format!("syncs.{name}"));
    let whose = format!("the sync `{name}`");
    let source = end(findings, &whose, sync, "source", places);
    let destination = end(findings, &whose, sync, "destination", places);
    if let Some(source) = &source {
        leaf.key("source", source.place.as_str());
        let is_kept = source.history.is_some();
        leaf.reads = Some(if is_kept { SourceReading::Latest } else { SourceReading::Whole });
    }
    if let Some(destination) = &destination {
        leaf.key("destination", destination.place.as_str());
        if let Some(History { kind, most }) = &destination.history {
            leaf.key("snapshots", *kind);
            if let Some(most) = most {
                leaf.key("max-snapshots", *most);
            }
        }
    }
    if let Some(enabled) = sync.switch(findings, "enabled") {
        leaf.key("enabled", enabled);
    }
    filters(findings, sync, &mut leaf);
    if let Some(file) = sync.text(findings, "filter-file") {
        leaf.key("filter-file", file.text);
    }
    rsync(findings, sync, &mut leaf);
    strangers(sync, &KEYS, &mut leaf);
    leaf
}

fn filters(findings: &mut YamlMistakes, sync: &Section<'_>, leaf: &mut Leaf) {
    let nodes = sync.list(findings, "filters").unwrap_or_default();
    let rules: Vec<Value> = nodes.iter().flat_map(|node| filter(findings, node)).collect();
    if !rules.is_empty() {
        leaf.list("filters", rules);
    }
}

fn filter(findings: &mut YamlMistakes, node: &YamlNode) -> Vec<Value> {
    const HELP: &str = "write a text, or a table with include, exclude, merge or dir-merge";
    if let YamlValue::Text(rule) = &node.value {
        return vec![rule.as_str().into()];
    }
    let YamlValue::Table(entries) = &node.value else {
        findings.note(&node.span, format!("a filter must be a rule, not {}", in_words(&node.value)), HELP);
        return Vec::new();
    };
    let section = Section { entries: entries.iter().collect(), at: node.span.clone() };
    for key in ["include", "exclude", "merge"] {
        if section.holds(key) {
            return section.text(findings, key).map(|text| one(key, text.text)).into_iter().collect();
        }
    }
    let Some(merge) = section.get("dir-merge") else {
        let all = in_short(&node.value);
        findings.note(&node.span, format!("{} is no filter", quoted(&all)), HELP);
        return Vec::new();
    };
    if !matches!(merge.value, YamlValue::Table(_)) {
        return section.text(findings, "dir-merge").map(|file| dir_merge(file.text)).into_iter().collect();
    }
    let options = section.section(findings, "dir-merge");
    let Some(Written { text, .. }) = options.needed(findings, "path", "`dir-merge`") else { return Vec::new() };
    let excludes_itself = options.switch(findings, "exclude-self") == Some(true);
    let itself = excludes_itself.then(|| one("exclude", text));
    std::iter::once(dir_merge(text)).chain(itself).collect()
}

fn one(key: &str, text: &str) -> Value {
    Value::Table(Table::from_iter([(key.to_owned(), Value::from(text))]))
}

/// Our short form takes a plain name; rsync's own also takes `/.rules`, which looks above the source, too.
fn dir_merge(file: &str) -> Value {
    if file.contains('/') { format!("dir-merge {file}").into() } else { one("dir-merge", file) }
}

fn rsync(findings: &mut YamlMistakes, sync: &Section<'_>, leaf: &mut Leaf) {
    let rsync = sync.section(findings, "rsync-options");
    for (key, ours) in [("compress", "rsync.compress"), ("checksum", "rsync.checksum")] {
        if let Some(on) = rsync.switch(findings, key) {
            leaf.key(ours, on);
        }
    }
    let mut words = |key| {
        let words = rsync.texts(findings, key)?;
        Some(translated(&words.iter().map(|word| word.text).collect::<Vec<_>>()))
    };
    let (basic, extra) = (words("default-options-override"), words("extra-options").unwrap_or_default());
    // A list without an option replaces them, too, and where we leave the key out our own count, which delete. So the
    // further ones stand there; if there are none either, our reader says what comes of it.
    let is_empty = basic.as_ref().is_some_and(|(options, _)| options.is_empty());
    let place_of_extra = if is_empty { "rsync.options" } else { "rsync.extra-options" };
    for (name, (options, left_out), must_be_there) in
        [("rsync.options", basic.unwrap_or_default(), false), (place_of_extra, extra, is_empty)]
    {
        for (option, reason) in left_out {
            leaf.leave_out(quoted(&option), reason);
        }
        if must_be_there || !options.is_empty() {
            leaf.list(name, options.into_iter().map(Value::from).collect());
        }
    }
    strangers(&rsync, &["compress", "checksum", "default-options-override", "extra-options"], leaf);
}
