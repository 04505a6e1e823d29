//! The snapshots that there are.

use super::page::{Page, Tone};
use super::prune::problems;
use super::table::{Column, Row, table};
use crate::ctl::output::Detail;
use crate::formats::text::{relative, size};
use crate::formats::wire::{SnapshotEntry, Snapshots, Term};
use crate::model::{Now, Standing, Weighing};

/// The snapshots as a table, each with the rules that keep it; in full with their paths.
#[must_use]
pub fn snapshots(snapshots: &Snapshots, now: &Now, (detail, sizes): (Detail, Weighing), room: Option<usize>) -> String {
    let mut page = Page::default();
    if !snapshots.snapshots.is_empty() {
        let mut columns = vec![Column::Names("SYNC"), Column::Words("SNAPSHOT"), Column::Words("MADE")];
        if sizes == Weighing::Wanted {
            columns.push(Column::Numbers("FREES"));
        }
        columns.push(Column::Notes("KEPT BY"));
        if detail == Detail::Full {
            columns.push(Column::Notes("PATH"));
        }
        let rows = snapshots.snapshots.iter().map(|snapshot| row(snapshot, now, detail, sizes));
        page.block(&table(&columns, &rows.collect::<Vec<_>>(), room));
        if sizes == Weighing::Wanted {
            unknown(&mut page, snapshots);
        }
    } else if snapshots.problems.is_empty() {
        page.line("there are no snapshots yet");
    }
    problems(&mut page, &snapshots.problems);
    page.finish()
}

/// What is to be known of what is not told.
fn unknown(page: &mut Page, snapshots: &Snapshots) {
    let all = &snapshots.snapshots;
    if all.iter().any(|one| one.frees.is_none() && one.new.is_some()) {
        page.line("`new` is what the one before does not hold: what deleting it would free is known");
        page.line("where btrfs keeps account (`btrfs quota enable` on that filesystem)");
    }
    if all.iter().any(|one| one.frees.is_none() && one.new.is_none()) {
        page.line("`-`: not known here: it is at a server, cannot be read, or has none before it");
    }
}

fn weight(snapshot: &SnapshotEntry) -> String {
    match (snapshot.frees, snapshot.new) {
        (Some(frees), _) => size(frees),
        (None, Some(new)) => format!("new {}", size(new)),
        (None, None) => "-".to_owned(),
    }
}

fn row(snapshot: &SnapshotEntry, now: &Now, detail: Detail, sizes: Weighing) -> Row {
    let made = snapshot.name.parse().map_or_else(|_| "-".to_owned(), |moment| relative(moment, now.wall));
    let mut kept = match snapshot.keep.as_slice() {
        [] => "nothing; it goes with the next prune".to_owned(),
        rules => rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let doubt = doubt(snapshot.standing.as_ref());
    if let Some(doubt) = &doubt {
        kept = format!("{kept} ({doubt})");
    }
    let mut cells = vec![snapshot.sync.clone(), snapshot.name.clone(), made];
    if sizes == Weighing::Wanted {
        cells.push(weight(snapshot));
    }
    cells.push(kept);
    if detail == Detail::Full {
        cells.push(snapshot.path.clone());
    }
    let tone = match (snapshot.keep.is_empty(), doubt) {
        (_, Some(_)) => Tone::Notice,
        (true, None) => Tone::Faint,
        (false, None) => Tone::Plain,
    };
    Row { cells, tone }
}

/// Why it cannot be trusted as a backup, in a word.
fn doubt(standing: Option<&Term<Standing>>) -> Option<&str> {
    match standing? {
        Term::Known(Standing::Good) => None,
        other @ (Term::Known(Standing::Partial | Standing::Suspect) | Term::Other(_)) => Some(other.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::page::plain;
    use super::*;
    use crate::model::{BootTime, KeepReason};

    #[test]
    fn each_snapshot_tells_why_it_stays() {
        let now = Now {
            boot: BootTime(Duration::ZERO),
            wall: "2026-11-22T17:30:00Z".parse().unwrap(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let entry = |name: &str, keep: &[KeepReason], standing: Standing| SnapshotEntry {
            sync: "mail".into(),
            name: name.into(),
            path: format!("/m/{name}"),
            keep: keep.iter().map(|rule| (*rule).into()).collect(),
            standing: Some(standing.into()),
            goes: None,
            frees: None,
            new: None,
        };
        let reply = Snapshots {
            snapshots: vec![
                entry("2026-11-20T17:30:00.000Z", &[], Standing::Good),
                entry("2026-11-22T15:30:00.000Z", &[KeepReason::Daily, KeepReason::Last], Standing::Suspect),
            ],
            problems: vec![],
        };
        let expected = "\
SYNC  SNAPSHOT                  MADE        KEPT BY
mail  2026-11-20T17:30:00.000Z  2 days ago  nothing; it goes with the next prune
mail  2026-11-22T15:30:00.000Z  2 h ago     daily, last (suspect)
";
        assert_eq!(plain(&snapshots(&reply, &now, (Detail::Usual, Weighing::Unwanted), None)), expected);
        assert!(
            snapshots(&reply, &now, (Detail::Full, Weighing::Unwanted), None).contains("/m/2026-11-20T17:30:00.000Z")
        );
        let nothing = Snapshots { snapshots: vec![], problems: vec![] };
        assert_eq!(
            snapshots(&nothing, &now, (Detail::Usual, Weighing::Unwanted), None),
            "there are no snapshots yet\n"
        );
        let mut weighed = reply.clone();
        weighed.snapshots[0].frees = Some(1 << 20);
        weighed.snapshots[1].new = Some(300);
        let text = plain(&snapshots(&weighed, &now, (Detail::Usual, Weighing::Wanted), Some(80)));
        let expected = "\
SYNC  SNAPSHOT                  MADE            FREES
mail  2026-11-20T17:30:00.000Z  2 days ago    1.0 MiB
    kept by: nothing; it goes with the next prune
mail  2026-11-22T15:30:00.000Z  2 h ago     new 300 B
    kept by: daily, last (suspect)
`new` is what the one before does not hold: what deleting it would free is known
where btrfs keeps account (`btrfs quota enable` on that filesystem)
";
        assert_eq!(text, expected);
        weighed.snapshots[0].frees = None;
        let text = plain(&snapshots(&weighed, &now, (Detail::Usual, Weighing::Wanted), Some(80)));
        assert!(text.contains("  -\n    kept by: nothing;") && text.contains("`-`: not known here"), "{text}");
    }
}
