//! How data flows: a row for each volume, below it one for each sync that reads it, and a line from there to where it
//! writes. So it can be read on a phone, however many there are.

use super::markup::Markup;
use super::standing::{class, verdicts};
use super::verdict::Grade;
use crate::formats::report::ReportFacts;
use crate::formats::wire::{Listing, SyncEntry, VolumeEntry};
use crate::model::Now;

/// The height of a row.
const ROW: i32 = 30;
/// How wide the names are, and a lane beside them.
const NAMES: i32 = 236;
const LANE: i32 = 14;
/// So many letters of a name fit.
const LETTERS: usize = 28;

/// A row of the drawing.
enum Row<'a> {
    Volume(&'a VolumeEntry),
    Sync(&'a SyncEntry),
}

/// The drawing, and the same as a table.
pub fn flow(page: &mut Markup, facts: &ReportFacts, now: &Now) {
    let list = &facts.list;
    if list.syncs.is_empty() {
        page.leaf("p", &[], "Nothing flows: there is no sync.");
        return;
    }
    let grades: Vec<(&str, Grade)> =
        verdicts(facts, now).iter().map(|(sync, verdict)| (sync.name.as_str(), verdict.grade)).collect();
    page.nest("div", &[("class", "flow")], |page| {
        drawing(page, list, &grades);
        table(page, list);
    });
}

fn volume_of(place: &str) -> &str {
    place.split_once(':').map_or(place, |(volume, _)| volume)
}

/// The rows from above: volumes that nothing is written to first, each volume before those that are filled from it.
fn rows(list: &Listing) -> Vec<Row<'_>> {
    let mut left: Vec<&VolumeEntry> = list.volumes.iter().collect();
    let mut rows = Vec::new();
    while !left.is_empty() {
        let is_fed = |volume: &VolumeEntry| {
            let feeds = |sync: &&SyncEntry| {
                volume_of(&sync.destination) == volume.name
                    && volume_of(&sync.source) != volume.name
                    && left.iter().any(|other| other.name == volume_of(&sync.source))
            };
            list.syncs.iter().any(|sync| feeds(&sync))
        };
        // Where all are fed, as in a circle of volumes, the first one begins.
        let next = left.iter().position(|volume| !is_fed(volume)).unwrap_or_default();
        let volume = left.remove(next);
        rows.push(Row::Volume(volume));
        rows.extend(list.syncs.iter().filter(|sync| volume_of(&sync.source) == volume.name).map(Row::Sync));
    }
    rows
}

fn middle(row: usize) -> i32 {
    i32::try_from(row).unwrap_or_default().saturating_mul(ROW).saturating_add(ROW / 2)
}

fn drawing(page: &mut Markup, list: &Listing, grades: &[(&str, Grade)]) {
    let rows = rows(list);
    // Each volume that is written has a lane of its own.
    let written: Vec<&str> = list
        .volumes
        .iter()
        .map(|volume| volume.name.as_str())
        .filter(|name| list.syncs.iter().any(|sync| volume_of(&sync.destination) == *name))
        .collect();
    let width = NAMES + LANE * (1 + i32::try_from(written.len()).unwrap_or_default());
    let box_of = format!("0 0 {width} {}", middle(rows.len()) - ROW / 2);
    let title = "Each line leads from a sync to the volume that it writes; the table tells the same.";
    let attributes = [("class", "graph"), ("viewBox", box_of.as_str()), ("role", "img"), ("aria-label", title)];
    page.nest("svg", &attributes, |page| {
        let grade = |sync: &SyncEntry| {
            grades.iter().find(|(name, _)| *name == sync.name).map_or(Grade::Calm, |(_, grade)| *grade)
        };
        let mut lines: Vec<(Grade, usize, &SyncEntry)> = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            if let Row::Sync(sync) = row {
                lines.push((grade(sync), at, sync));
            }
        }
        // Where lines lie on each other, the worst news are on top.
        lines.sort_by_key(|(grade, at, _)| (*grade, *at));
        for (grade, at, sync) in lines {
            let target = volume_of(&sync.destination);
            let lane = written.iter().position(|name| *name == target).unwrap_or_default();
            let x = NAMES + LANE * (1 + i32::try_from(lane).unwrap_or_default());
            let to = rows.iter().position(|row| matches!(row, Row::Volume(volume) if volume.name == target));
            if let Some(to) = to {
                line(page, sync, grade, (middle(at), middle(to), x));
            }
        }
        for (at, row) in rows.iter().enumerate() {
            match row {
                Row::Volume(volume) => volume_box(page, volume, middle(at)),
                Row::Sync(sync) => {
                    let y = (middle(at) + 4).to_string();
                    page.leaf("text", &[("x", "26"), ("y", &y)], &shortened(&sync.name));
                }
            }
        }
    });
}

/// From behind the name of a sync to its lane, along that, and back to where it writes.
fn line(page: &mut Markup, sync: &SyncEntry, grade: Grade, (from, to, x): (i32, i32, i32)) {
    let turn = if to > from { 6 } else { -6 };
    let start = 26 + 8 * i32::try_from(shortened(&sync.name).chars().count()).unwrap_or_default() + 6;
    let path = format!(
        "M{} {from}H{}Q{x} {from} {x} {}V{}Q{x} {to} {} {to}H{}",
        start.min(NAMES - 8),
        x - 6,
        from + turn,
        to - turn,
        x - 6,
        NAMES - 2
    );
    let class = format!("line {}{}", class(grade), if sync.enabled { "" } else { " off" });
    page.shape("path", &[("class", &class), ("d", &path)]);
    let head = format!("M{} {to}l8 -4v8z", NAMES - 6);
    page.shape("path", &[("class", &class.replace("line", "head")), ("d", &head)]);
    page.shape(
        "circle",
        &[("class", &class.replace("line", "head")), ("cx", "14"), ("cy", &from.to_string()), ("r", "3")],
    );
}

fn volume_box(page: &mut Markup, volume: &VolumeEntry, middle: i32) {
    let (y, width, height) = ((middle - 12).to_string(), (NAMES - 8).to_string(), "24");
    page.shape(
        "rect",
        &[("class", "volume"), ("x", "1"), ("y", &y), ("width", &width), ("height", height), ("rx", "6")],
    );
    let y = (middle + 4).to_string();
    page.nest("text", &[("class", "volume"), ("x", "10"), ("y", &y)], |page| {
        page.leaf("tspan", &[("class", "name")], &shortened(&volume.name));
        page.leaf("tspan", &[("class", "kind"), ("dx", "8")], volume.kind.as_str());
    });
}

/// A name as far as there is room.
fn shortened(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    let first: String = name.chars().take(LETTERS / 2).collect();
    let last: Vec<char> = name.chars().rev().take(LETTERS / 2 - 1).collect();
    format!("{first}…{}", last.into_iter().rev().collect::<String>())
}

fn table(page: &mut Markup, list: &Listing) {
    page.nest("table", &[("class", "stacked")], |page| {
        page.leaf("caption", &[], "Each sync and its ends");
        page.nest("thead", &[], |page| {
            page.nest("tr", &[], |page| {
                for name in ["Sync", "From", "To", "History"] {
                    page.leaf("th", &[("scope", "col")], name);
                }
            });
        });
        page.nest("tbody", &[], |page| {
            for sync in &list.syncs {
                page.nest("tr", &[], |page| {
                    page.leaf("th", &[("scope", "row")], &sync.name);
                    let off = if sync.enabled { "" } else { " (disabled)" };
                    for (label, text) in [
                        ("From", sync.source.clone()),
                        ("To", sync.destination.clone()),
                        ("History", format!("{}{off}", history(sync.snapshots.as_str()))),
                    ] {
                        page.nest("td", &[("data-label", label)], |page| page.leaf("span", &[], &text));
                    }
                });
            }
        });
    });
}

fn history(kind: &str) -> String {
    if kind == "none" { "no snapshots".to_owned() } else { format!("{kind} snapshots") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::wire::Reply;

    fn list(syncs: &[(&str, &str, &str)], volumes: &[&str]) -> Listing {
        let syncs: Vec<String> = syncs
            .iter()
            .map(|(name, source, destination)| {
                format!(
                    concat!(
                        r#"{{"name":"{}","source":"{}:","destination":"{}:","#,
                        r#""enabled":true,"snapshots":"none"}}"#
                    ),
                    name, source, destination
                )
            })
            .collect();
        let volumes: Vec<String> =
            volumes.iter().map(|name| format!(r#"{{"name":"{name}","kind":"directory","root":"/"}}"#)).collect();
        let text = format!(
            r#"{{"parameters":{{"syncs":[{}],"volumes":[{}],"groups":[],"locations":[]}}}}"#,
            syncs.join(","),
            volumes.join(",")
        );
        Reply::read(text.as_bytes()).unwrap().unwrap().decode().unwrap()
    }

    fn order(list: &Listing) -> String {
        let name = |row: &Row<'_>| match row {
            Row::Volume(volume) => volume.name.clone(),
            Row::Sync(sync) => format!("-{}", sync.name),
        };
        rows(list).iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn volumes_stand_before_those_that_are_filled_from_them_and_circles_end() {
        let chain = list(&[("far", "usb", "nas"), ("near", "laptop", "usb")], &["alone", "laptop", "nas", "usb"]);
        assert_eq!(order(&chain), "alone laptop -near usb -far nas");
        let circle = list(&[("there", "a", "b"), ("back", "b", "a"), ("self", "c", "c")], &["a", "b", "c"]);
        assert_eq!(order(&circle), "c -self a -there b -back");
    }

    #[test]
    fn every_sync_has_a_line_to_where_it_writes() {
        let chain = list(&[("far", "usb", "nas"), ("near", "laptop", "usb")], &["laptop", "nas", "usb"]);
        let mut page = Markup::default();
        drawing(&mut page, &chain, &[("far", Grade::Bad), ("near", Grade::Good)]);
        let html = page.finish();
        assert_eq!((html.matches("\"line ").count(), html.matches("\"line bad\"").count()), (2, 1));
        // `near` stands in the second row, `usb` in the third.
        assert!(html.contains(" 45H") && html.contains(" 75H234\""), "{html}");
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("a-very-long-name-of-something-or-other@blue"), "a-very-long-na…or-other@blue");
        assert_eq!(shortened("ä".repeat(28).as_str()).chars().count(), 28);
    }
}
