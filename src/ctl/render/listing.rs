//! What the configuration holds.

use super::page::{Page, Tone};
use super::table::{Column, Row, table};
use crate::formats::text::printable;
use crate::formats::wire::Listing;

/// Syncs and volumes as tables, groups and locations as lines.
#[must_use]
pub fn listing(listing: &Listing, room: Option<usize>) -> String {
    let mut page = Page::default();
    let syncs = listing.syncs.iter().map(|sync| Row {
        cells: vec![
            sync.name.clone(),
            sync.source.clone(),
            sync.destination.clone(),
            sync.snapshots.to_string(),
            if sync.enabled { "yes".to_owned() } else { "no".to_owned() },
        ],
        tone: if sync.enabled { Tone::Plain } else { Tone::Faint },
    });
    let columns = [
        Column::Names("SYNC"),
        Column::Names("SOURCE"),
        Column::Names("DESTINATION"),
        Column::Words("SNAPSHOTS"),
        Column::Words("ENABLED"),
    ];
    page.block(&table(&columns, &syncs.collect::<Vec<_>>(), room));
    let volumes = listing.volumes.iter().map(|volume| Row {
        cells: vec![volume.name.clone(), volume.kind.to_string(), volume.root.clone()],
        tone: Tone::Plain,
    });
    page.gap();
    let columns = [Column::Names("VOLUME"), Column::Words("KIND"), Column::Names("ROOT")];
    page.block(&table(&columns, &volumes.collect::<Vec<_>>(), room));
    if !listing.groups.is_empty() {
        let groups = listing
            .groups
            .iter()
            .map(|group| Row { cells: vec![group.name.clone(), group.volumes.join(", ")], tone: Tone::Plain });
        page.gap();
        page.block(&table(&["GROUP", "VOLUMES"].map(Column::Names), &groups.collect::<Vec<_>>(), room));
    }
    if !listing.locations.is_empty() {
        page.gap();
        page.line(format!("locations: {}", printable(&listing.locations.join(", "))));
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::{GroupEntry, SyncEntry, VolumeEntry};
    use crate::model::{SnapshotKind, VolumeKind};

    #[test]
    fn each_kind_has_its_table() {
        let reply = Listing {
            syncs: vec![SyncEntry {
                name: "documents".into(),
                source: "laptop:Documents".into(),
                destination: "usb:documents".into(),
                enabled: true,
                snapshots: SnapshotKind::Btrfs.into(),
            }],
            volumes: vec![VolumeEntry {
                name: "laptop".into(),
                kind: VolumeKind::Directory.into(),
                root: "/home/a".into(),
            }],
            groups: vec![GroupEntry { name: "offsite".into(), volumes: vec!["blue".into(), "red".into()] }],
            locations: vec!["home".into()],
        };
        let expected = "\
SYNC       SOURCE            DESTINATION    SNAPSHOTS  ENABLED
documents  laptop:Documents  usb:documents  btrfs      yes

VOLUME  KIND       ROOT
laptop  directory  /home/a

GROUP    VOLUMES
offsite  blue, red

locations: home
";
        assert_eq!(plain(&listing(&reply, Some(80))), expected);
    }
}
