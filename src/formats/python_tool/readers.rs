//! Who reads what others write: it reads that as the Python tool would, or is switched off.

use std::collections::BTreeSet;

use crate::formats::python_tool::page::{Leaf, SourceReading};
use crate::model::{Configuration, Place, Sync, SyncName};

/// A sync that is left out, or switched off.
struct Missing {
    name: String,
    writes: Place,
    /// Whether it was on there.
    was_on: bool,
    /// Whether all of it is a comment.
    is_comment: bool,
}

/// Switches off each sync of a configuration that would read something else than it did, or what nobody brings up to
/// date any more. Returns how many these are.
pub(super) fn switch_off(leaves: &mut [Leaf], configuration: &Configuration) -> usize {
    let kept = configuration.snapshot_destinations();
    let missing: Vec<Missing> = leaves.iter().filter_map(missing).collect();
    let mut switched = 0;
    for leaf in leaves.iter_mut().filter(|leaf| leaf.off.is_none()) {
        let name = leaf.title.strip_prefix(TABLE).and_then(|name| name.parse::<SyncName>().ok());
        let Some(sync) = name.and_then(|name| configuration.syncs.get(&name)) else { continue };
        let writers = missing.iter().filter(|missing| lies_in(&sync.source, &missing.writes));
        // One that nobody had on says nothing of what is there.
        let writer = writers.min_by_key(|missing| !missing.was_on);
        if let Some(reason) = leaf.reads.and_then(|reads| other_reading(reads, sync, &kept, writer)) {
            leaf.leave_out("snapshots of the source", reason);
            leaf.reads = None;
        } else if let Some(writer) = writer.filter(|writer| writer.was_on && sync.enabled) {
            let reason = format!("{}; this one would copy again what is there from before", writer.sentence());
            leaf.leave_out(format!("what comes to `{}`", sync.source), reason);
        } else {
            continue;
        }
        leaf.disable();
        switched += 1;
    }
    switched
}

/// How the names of the tables of syncs begin.
const TABLE: &str = "syncs.";

fn missing(leaf: &Leaf) -> Option<Missing> {
    let name = leaf.title.strip_prefix(TABLE)?.to_owned();
    let is_comment = leaf.off.is_some();
    let was_on = leaf.is_switched_off || leaf.is_enabled();
    let writes = place(leaf.value("destination")?.as_str()?)?;
    (is_comment || leaf.is_switched_off).then_some(Missing { name, writes, was_on, is_comment })
}

/// A place as it is written; what is none is refused in a reader of it, too.
fn place(text: &str) -> Option<Place> {
    let (volume, subdir) = text.split_once(':').unwrap_or((text, ""));
    Some(Place { volume: volume.parse().ok()?, subdir: subdir.parse().ok()? })
}

fn lies_in(inner: &Place, outer: &Place) -> bool {
    inner.volume == outer.volume && inner.subdir.as_path().starts_with(outer.subdir.as_path())
}

/// Why a sync would read something else of its source than the Python tool does.
fn other_reading(
    reads: SourceReading,
    sync: &Sync,
    kept: &BTreeSet<&Place>,
    writer: Option<&Missing>,
) -> Option<String> {
    let place = &sync.source;
    match (reads, kept.contains(place)) {
        (SourceReading::Latest, true) | (SourceReading::Whole, false) => None,
        (SourceReading::Latest, false) => {
            let why = writer.map_or_else(|| format!("no sync of this file writes `{place}`"), Missing::sentence);
            Some(format!(
                "{why}, and without one that keeps snapshots there nbkp copies all of it, older snapshots included, \
                 instead of its `latest`"
            ))
        }
        (SourceReading::Whole, true) => Some(format!(
            "a sync of this file keeps snapshots in `{place}`, of which nbkp copies the `latest`; the Python tool \
             copies all of it here"
        )),
    }
}

impl Missing {
    fn sentence(&self) -> String {
        let Self { name, writes, is_comment, was_on: _ } = self;
        let state = if *is_comment { "left out" } else { "off" };
        format!("the sync `{name}`, which writes `{writes}`, is {state}")
    }
}
