//! Versions, and what was given back.

use std::borrow::Cow;

use super::page::{Page, Tone, paint};
use super::table::{Column, Row, table};
use crate::ctl::output::Detail;
use crate::formats::text::{count, printable, relative, size, wall_time};
use crate::formats::wire::{BareListing, Moment, RestoreEnd, RestoredEntry, UnreachedCopies, VersionEntry, Versions};
use crate::model::{Earnest, EntryKind, Now};

/// So many files that stay are named.
const NAMED: usize = 20;

/// The versions as a table, and which copies were out of reach.
#[must_use]
pub fn versions(versions: &Versions, now: &Now, detail: Detail, room: Option<usize>) -> String {
    let mut page = Page::default();
    if versions.versions.is_empty() {
        page.line(format!("no copy within reach has {}", printable(&versions.path)));
    } else {
        let mut columns = vec![
            Column::Words("CHANGED"),
            Column::Numbers("SIZE"),
            Column::Names("SYNC"),
            Column::Words("AS OF"),
            Column::Numbers("COPIES"),
            Column::Words(""),
        ];
        if detail == Detail::Full {
            columns.push(Column::Notes("PATH"));
        }
        let rows: Vec<Row> = versions.versions.iter().map(|version| row(version, now, detail)).collect();
        page.block(&table(&columns, &rows, room));
    }
    unreached(&mut page, &versions.unreached, now);
    page.finish()
}

fn row(version: &VersionEntry, now: &Now, detail: Detail) -> Row {
    let size_shown = if version.kind.is(EntryKind::File) { size(version.size) } else { version.kind.to_string() };
    let mut cells = vec![
        wall_time(version.modified.0, &now.zone),
        size_shown,
        version.sync.clone(),
        version.newest.map_or_else(|| "-".to_owned(), |Moment(made)| wall_time(made, &now.zone)),
        version.copies.to_string(),
        if version.now { "as it is now".to_owned() } else { String::new() },
    ];
    if detail == Detail::Full {
        cells.push(version.path.clone());
    }
    Row { cells, tone: if version.now { Tone::Good } else { Tone::Plain } }
}

pub(super) fn unreached(page: &mut Page, unreached: &[UnreachedCopies], now: &Now) {
    for UnreachedCopies { sync, message, last_success } in unreached {
        let age = match last_success {
            Some(Moment(moment)) => format!("last copied {}", relative(*moment, now.wall)),
            None => "never copied, as far as is known here".to_owned(),
        };
        let sync = paint(Tone::Title, printable(sync));
        page.line(format!("{sync}: {} ({age}): {}", paint(Tone::Notice, "out of reach"), printable(message)));
    }
}

/// What was given back, or would be, and what stays as it is.
#[must_use]
pub fn restored(end: &RestoreEnd, earnest: Earnest, now: &Now, detail: Detail) -> String {
    let mut page = Page::default();
    for entry in &end.restored {
        one(&mut page, entry, earnest, now);
        if detail == Detail::Brief {
            continue;
        }
        page.line(format!("  from {}", printable(&entry.from)));
        for remark in &entry.remarks {
            page.line(format!("  {}", printable(remark)));
        }
    }
    for problem in &end.problems {
        let what = paint(Tone::Title, printable(&problem.path));
        page.line(format!("{what}: {}: {}", paint(Tone::Bad, "not restored"), printable(&problem.message)));
    }
    page.finish()
}

fn one(page: &mut Page, entry: &RestoredEntry, earnest: Earnest, now: &Now) {
    let made =
        entry.made.map(|Moment(made)| format!(" of {} ({})", wall_time(made, &now.zone), relative(made, now.wall)));
    let is_whole = entry.kept_count == 0 && entry.missing.is_empty();
    let word = match (earnest, entry.files, is_whole) {
        (Earnest::Pretended, ..) => "would be restored to".to_owned(),
        (Earnest::Real, _, true) => paint(Tone::Good, "restored to"),
        (Earnest::Real, 0, false) => paint(Tone::Notice, "not restored to"),
        (Earnest::Real, _, false) => paint(Tone::Notice, "restored in part to"),
    };
    page.line(format!(
        "{}: {word} {}, as in `{}`{}",
        paint(Tone::Title, printable(&entry.path)),
        printable(&entry.to),
        printable(&entry.sync),
        made.unwrap_or_default()
    ));
    let there = match entry.same {
        0 => Cow::Borrowed(""),
        same => format!(", {} there already", count(same, "file")).into(),
    };
    let files = count(entry.files, "file");
    page.line(match earnest {
        Earnest::Real => format!("  {files} written, {}{there}", size(entry.bytes)),
        Earnest::Pretended => format!("  {files} to be written{there}"),
    });
    if entry.kept_count > 0 {
        let kept = paint(Tone::Notice, format!("{} kept, although the copy differs", count(entry.kept_count, "file")));
        page.line(format!("  {kept}; `--force` overwrites:"));
        for name in entry.kept.iter().take(NAMED) {
            page.line(format!("    {}", printable(name)));
        }
        if entry.kept_count > u64::try_from(NAMED).unwrap_or(u64::MAX) {
            page.line("    …");
        }
    }
    for missing in &entry.missing {
        page.line(format!("  {} {}", paint(Tone::Bad, "✗"), printable(missing)));
    }
}

/// The copies that lie on a drive.
#[must_use]
pub fn bare_copies(listing: &BareListing, now: &Now, detail: Detail, room: Option<usize>) -> String {
    let columns =
        [Column::Names("SYNC"), Column::Words("NEWEST COPY"), Column::Numbers("SNAPSHOTS"), Column::Notes("PATH")];
    let rows: Vec<Row> = listing
        .copies
        .iter()
        .map(|found| {
            let newest = found.newest.map_or_else(|| "-".to_owned(), |Moment(made)| wall_time(made, &now.zone));
            let cells = vec![found.sync.clone(), newest, found.snapshots.len().to_string(), found.path.clone()];
            Row { cells, tone: Tone::Plain }
        })
        .collect();
    let mut page = Page::default();
    page.block(&table(&columns, &rows, room));
    for found in &listing.copies {
        if let Some(remark) = &found.remark {
            page.line(format!("{}: {}", printable(&found.sync), printable(remark)));
        }
    }
    if detail == Detail::Full {
        for found in &listing.copies {
            page.gap();
            page.line(paint(Tone::Title, printable(&found.sync)));
            for name in &found.snapshots {
                page.line(format!("  {}", printable(name)));
            }
        }
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::{BareCopies, RestoreProblem};
    use crate::model::BootTime;

    fn now() -> Now {
        let zone = jiff::tz::TimeZone::UTC;
        Now { boot: BootTime(Duration::ZERO), wall: "2026-11-22T17:30:00Z".parse().unwrap(), zone }
    }

    fn moment(text: &str) -> Moment {
        Moment(text.parse().unwrap())
    }

    #[test]
    fn versions_tell_where_they_are_and_what_is_out_of_reach() {
        let version = |modified: &str, copies, now| VersionEntry {
            modified: moment(modified),
            size: 2048,
            kind: EntryKind::File.into(),
            sync: "mail".into(),
            snapshot: Some("2026-11-21T10:00:00.000Z".into()),
            path: "/m/snapshots/2026-11-21T10:00:00.000Z/x".into(),
            copies,
            oldest: None,
            newest: Some(moment("2026-11-21T10:00:00Z")),
            now,
        };
        let out = UnreachedCopies {
            sync: "away".into(),
            message: "drive `usb` is not plugged in".into(),
            last_success: Some(moment("2026-11-20T17:30:00Z")),
        };
        let versions_of = Versions {
            path: "/home/a/x".into(),
            versions: vec![version("2026-11-20T09:00:00Z", 3, true), version("2026-11-02T09:00:00Z", 1, false)],
            unreached: vec![out],
        };
        let expected = "\
CHANGED                 SIZE  SYNC  AS OF                COPIES
2026-11-20 09:00:00  2.0 KiB  mail  2026-11-21 10:00:00       3  as it is now
2026-11-02 09:00:00  2.0 KiB  mail  2026-11-21 10:00:00       1
away: out of reach (last copied 2 days ago): drive `usb` is not plugged in
";
        assert_eq!(plain(&versions(&versions_of, &now(), Detail::Usual, Some(80))), expected);
        assert!(versions(&versions_of, &now(), Detail::Full, None).contains("/m/snapshots/"));
        let nothing = Versions { path: "/x".into(), versions: vec![], unreached: vec![] };
        assert_eq!(plain(&versions(&nothing, &now(), Detail::Usual, None)), "no copy within reach has /x\n");
    }

    #[test]
    fn what_stays_is_named() {
        let end = RestoreEnd {
            restored: vec![RestoredEntry {
                path: "/home/a/x".into(),
                to: "/home/a/x".into(),
                sync: "mail".into(),
                snapshot: None,
                made: Some(moment("2026-11-21T17:30:00Z")),
                from: "/m/x".into(),
                files: 2,
                bytes: 2048,
                same: 1,
                kept: vec!["x/y".into()],
                kept_count: 1,
                missing: vec![],
                remarks: vec![],
            }],
            problems: vec![RestoreProblem { path: "/z".into(), message: "no copy has it".into() }],
        };
        let expected = "\
/home/a/x: restored in part to /home/a/x, as in `mail` of 2026-11-21 17:30:00 (24 h ago)
  2 files written, 2.0 KiB, 1 file there already
  1 file kept, although the copy differs; `--force` overwrites:
    x/y
  from /m/x
/z: not restored: no copy has it
";
        assert_eq!(plain(&restored(&end, Earnest::Real, &now(), Detail::Usual)), expected);
    }

    #[test]
    fn a_drive_alone_tells_what_is_on_it() {
        let copies = BareCopies {
            remark: Some("it may lack anything".into()),
            path: "/mnt/mail".into(),
            sync: "mail".into(),
            snapshots: vec!["2026-11-21T10:00:00.000Z".into()],
            newest: Some(moment("2026-11-21T10:00:00Z")),
        };
        let listing = BareListing { copies: vec![copies] };
        let text = plain(&bare_copies(&listing, &now(), Detail::Full, None));
        assert!(text.contains("mail  2026-11-21 10:00:00          1  /mnt/mail"), "{text}");
        assert!(text.contains("\nmail: it may lack anything\n"), "{text}");
        assert!(text.ends_with("mail\n  2026-11-21T10:00:00.000Z\n"), "{text}");
    }
}
