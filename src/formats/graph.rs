//! How data flows, drawn from a configuration alone: as a tree for people, and for Mermaid and Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::formats::json;
use crate::formats::text::{listed, printable};
use crate::formats::wire::{GroupEntry, Listing, SyncEntry, VolumeEntry};
use crate::model::{
    Configuration, EndpointName, Place, SnapshotKind, Sync, SyncName, Volume, VolumeName, VolumeRoot, upstreams,
};

/// What is drawn.
#[derive(Debug)]
pub struct FlowChart<'a> {
    configuration: &'a Configuration,
    /// All syncs, each behind those that go before it.
    order: &'a [SyncName],
    before: BTreeMap<SyncName, BTreeSet<SyncName>>,
}

/// The flow as JSON: what `list` tells, and for each sync those that go before it.
#[derive(Serialize)]
struct Drawn {
    syncs: Vec<DrawnSync>,
    volumes: Vec<VolumeEntry>,
    groups: Vec<GroupEntry>,
    locations: Vec<String>,
    order: Vec<String>,
}

#[derive(Serialize)]
struct DrawnSync {
    #[serde(flatten)]
    entry: SyncEntry,
    after: Vec<String>,
}

/// The marks of a tree: before a branch, before the last one, and below each of them.
const BRANCHES: [(&str, &str); 2] = [("├─ ", "│  "), ("└─ ", "   ")];

impl<'a> FlowChart<'a> {
    /// The flow of a configuration; `order` has all syncs, each behind those that go before it.
    #[must_use]
    pub fn new(configuration: &'a Configuration, order: &'a [SyncName]) -> Self {
        Self { configuration, order, before: upstreams(&configuration.syncs) }
    }

    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let Listing { syncs, volumes, groups, locations } = Listing::new(self.configuration);
        let names = |name: &str| {
            let before = self.before.iter().find(|(sync, _)| sync.as_str() == name).map(|(_, before)| before);
            before.into_iter().flatten().map(ToString::to_string).collect()
        };
        let syncs = syncs.into_iter().map(|entry| DrawnSync { after: names(&entry.name), entry }).collect();
        let order = self.order.iter().map(ToString::to_string).collect();
        json::text(&Drawn { syncs, volumes, groups, locations, order })
    }

    /// As a tree: below each volume the syncs that read what nobody writes there, and below each sync those that go on
    /// from what it writes.
    #[must_use]
    pub fn tree(&self) -> String {
        let mut text = String::new();
        let mut shown = BTreeSet::new();
        let mut used = BTreeSet::new();
        for sync in self.syncs() {
            used.extend([&sync.source.volume, &sync.destination.volume]);
        }
        let begins = |sync: &Sync| self.feeders(sync).next().is_none();
        let mut roots: Vec<&VolumeName> = Vec::new();
        for sync in self.syncs().filter(|sync| begins(sync)) {
            if !roots.contains(&&sync.source.volume) {
                roots.push(&sync.source.volume);
            }
        }
        for volume in roots {
            let _ = writeln!(text, "{}", self.volume_line(volume));
            let branches: Vec<_> = self.syncs().filter(|sync| begins(sync) && sync.source.volume == *volume).collect();
            self.branches(&branches, "", &mut shown, &mut text);
        }
        let unused: Vec<_> = self.configuration.volumes.keys().filter(|name| !used.contains(name)).collect();
        if !unused.is_empty() {
            text.push_str("in no sync:\n");
            for name in unused {
                let _ = writeln!(text, "  {}", self.volume_line(name));
            }
        }
        text
    }

    fn branches<'b>(&'b self, syncs: &[&'b Sync], indent: &str, shown: &mut BTreeSet<&'b SyncName>, text: &mut String) {
        for (place, sync) in syncs.iter().enumerate() {
            let [branch, last] = BRANCHES;
            let (mark, below) = if place.saturating_add(1) == syncs.len() { last } else { branch };
            let is_new = shown.insert(&sync.name);
            let again = if is_new { "" } else { " (as above)" };
            let _ = writeln!(text, "{indent}{mark}{}{again}", self.sync_line(sync));
            if is_new {
                let next: Vec<_> =
                    self.syncs().filter(|next| self.feeders(next).any(|name| *name == sync.name)).collect();
                self.branches(&next, &format!("{indent}{below}"), shown, text);
            }
        }
    }

    /// The syncs in their order.
    fn syncs(&self) -> impl Iterator<Item = &Sync> {
        self.order.iter().filter_map(|name| self.configuration.syncs.get(name))
    }

    /// The syncs that write what this one reads.
    fn feeders(&self, sync: &Sync) -> impl Iterator<Item = &SyncName> {
        let before = self.before.get(&sync.name).into_iter().flatten();
        let source = sync.source.clone();
        before.filter(move |name| {
            self.configuration.syncs.get(*name).is_some_and(|writer| writer.destination.overlaps(&source))
        })
    }

    /// Those that go before a sync, though it does not read what they write.
    fn waited_for(&self, sync: &Sync) -> Vec<&SyncName> {
        let fed: BTreeSet<_> = self.feeders(sync).collect();
        self.before.get(&sync.name).into_iter().flatten().filter(|name| !fed.contains(name)).collect()
    }

    fn sync_line(&self, sync: &Sync) -> String {
        let mut line = format!("{}: {} -> {}", sync.name, sync.source, sync.destination);
        let _ = write!(line, ", {}", history(sync));
        let waited = self.waited_for(sync);
        if !waited.is_empty() {
            let _ = write!(line, ", after {}", listed(waited.iter().map(|name| name.as_str()), "and"));
        }
        if !sync.enabled {
            line.push_str(" (disabled)");
        }
        printable(&line).into_owned()
    }

    fn volume_line(&self, name: &VolumeName) -> String {
        let Some(volume) = self.configuration.volumes.get(name) else { return name.to_string() };
        let (kind, root) = described(volume);
        let groups = self.groups(name);
        let of = if groups.is_empty() { String::new() } else { format!(", in {}", groups.join(", ")) };
        printable(&format!("{name} ({kind} {root}{of})")).into_owned()
    }

    fn groups(&self, name: &VolumeName) -> Vec<String> {
        let groups = self.configuration.groups.values().filter(|group| group.volumes.contains(name));
        groups.map(|group| format!("group {}", group.name)).collect()
    }

    /// What is written on a volume, line by line.
    fn volume_label(&self, volume: &Volume) -> Vec<String> {
        let (kind, root) = described(volume);
        let mut label = vec![volume.name.to_string(), format!("{kind} {root}")];
        label.extend(self.groups(&volume.name));
        label
    }

    /// For Mermaid.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        let label = |lines: &[String]| lines.iter().map(|line| for_mermaid(line)).collect::<Vec<_>>().join("<br/>");
        for (place, volume) in self.configuration.volumes.values().enumerate() {
            let _ = writeln!(text, "    v{place}[(\"{}\")]", label(&self.volume_label(volume)));
        }
        for (place, sync) in self.syncs().enumerate() {
            let _ = writeln!(text, "    s{place}[\"{}\"]", label(&sync_label(sync)));
            let arrow = if sync.enabled { "-->" } else { "-.->" };
            for (from, to, subdir) in self.arrows(place, sync) {
                let said = if subdir.is_empty() { String::new() } else { format!("|\"{}\"|", for_mermaid(&subdir)) };
                let _ = writeln!(text, "    {from} {arrow}{said} {to}");
            }
            if !sync.enabled {
                let _ = writeln!(text, "    class s{place} disabled");
            }
        }
        for (before, behind) in self.waits() {
            let _ = writeln!(text, "    s{before} -. \"goes before\" .-> s{behind}");
        }
        text.push_str("    classDef disabled stroke-dasharray: 5 5,color: #888888\n");
        text
    }

    /// For Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut text = String::from("digraph nbkp {\n    rankdir=LR;\n    node [fontname=\"sans-serif\"];\n");
        text.push_str("    edge [fontname=\"sans-serif\", fontsize=10];\n");
        let label = |lines: &[String]| lines.iter().map(|line| for_dot(line)).collect::<Vec<_>>().join("\\n");
        for (place, volume) in self.configuration.volumes.values().enumerate() {
            let _ = writeln!(text, "    v{place} [shape=cylinder, label=\"{}\"];", label(&self.volume_label(volume)));
        }
        for (place, sync) in self.syncs().enumerate() {
            let style = if sync.enabled { "rounded" } else { "rounded,dashed" };
            let _ =
                writeln!(text, "    s{place} [shape=box, style=\"{style}\", label=\"{}\"];", label(&sync_label(sync)));
            let line = if sync.enabled { "solid" } else { "dashed" };
            for (from, to, subdir) in self.arrows(place, sync) {
                let _ = writeln!(text, "    {from} -> {to} [style={line}, label=\"{}\"];", for_dot(&subdir));
            }
        }
        for (before, behind) in self.waits() {
            let _ = writeln!(text, "    s{before} -> s{behind} [style=dotted, label=\"goes before\"];");
        }
        text.push_str("}\n");
        text
    }

    /// The two arrows of a sync, each with the directory of the volume.
    fn arrows(&self, place: usize, sync: &Sync) -> [(String, String, String); 2] {
        let volume = |name: &VolumeName| {
            let found = self.configuration.volumes.keys().position(|other| other == name);
            format!("v{}", found.unwrap_or_default())
        };
        let subdir = |place: &Place| place.subdir.as_path().display().to_string();
        let node = format!("s{place}");
        [
            (volume(&sync.source.volume), node.clone(), subdir(&sync.source)),
            (node, volume(&sync.destination.volume), subdir(&sync.destination)),
        ]
    }

    /// The pairs of syncs of which one waits for the other, as places in the order.
    fn waits(&self) -> Vec<(usize, usize)> {
        let place = |name: &SyncName| self.order.iter().position(|other| other == name);
        let pairs = self.syncs().enumerate().flat_map(|(behind, sync)| {
            self.waited_for(sync).into_iter().filter_map(move |name| Some((place(name)?, behind)))
        });
        pairs.collect()
    }
}

fn described(volume: &Volume) -> (&'static str, String) {
    let kind = volume.kind().as_str();
    let root = match &volume.root {
        VolumeRoot::Directory(path) => path.display().to_string(),
        VolumeRoot::Drive(drive) => drive.uuid.to_string(),
        VolumeRoot::Server(server) => {
            let endpoints: Vec<_> = server.endpoints.iter().map(EndpointName::as_str).collect();
            format!("{}:{}", endpoints.join(","), server.path.display())
        }
    };
    (kind, root)
}

fn history(sync: &Sync) -> String {
    match sync.snapshots {
        SnapshotKind::None => "no snapshots".to_owned(),
        SnapshotKind::Btrfs | SnapshotKind::HardLink => {
            format!("{} snapshots", sync.snapshots.as_str())
        }
    }
}

fn sync_label(sync: &Sync) -> Vec<String> {
    let mut label = vec![sync.name.to_string(), history(sync)];
    if !sync.enabled {
        label.push("disabled".to_owned());
    }
    label
}

/// A text between quotes of Mermaid: whatever could mean something to it is written by its number.
fn for_mermaid(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        if c.is_alphanumeric() || " ._-/:,".contains(c) {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "#{};", u32::from(c));
        }
    }
    escaped
}

/// A text between quotes of Graphviz, in which a backslash begins words such as `\N`.
fn for_dot(text: &str) -> String {
    printable(text).replace('\\', "\\\\").replace('"', "\\\"")
}
