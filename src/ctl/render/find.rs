//! Names that were found in the copies: a line each, since they come one by one.

use super::page::{Page, Tone, paint};
use super::restores::unreached;
use crate::ctl::output::Detail;
use crate::formats::text::{count, printable, size, wall_time};
use crate::formats::wire::{FindEnd, FoundEntry, Moment};
use crate::model::{Among, EntryKind, Now};

/// One of them: when it was changed, its size, and where it is or was; in full, and if it went, from which copy it can
/// be had.
#[must_use]
pub fn entry(entry: &FoundEntry, now: &Now, detail: Detail) -> String {
    let wall = |moment: &Option<Moment>| moment.as_ref().map(|Moment(moment)| wall_time(*moment, &now.zone));
    let unknown = || "-".to_owned();
    let size = match (&entry.kind, entry.size) {
        (Some(kind), Some(bytes)) if kind.is(EntryKind::File) => size(bytes),
        (Some(kind), _) => kind.to_string(),
        (None, _) => unknown(),
    };
    let modified = wall(&entry.modified).unwrap_or_else(unknown);
    let mut text = format!("{modified:19}  {size:>9}  {}\n", printable(&entry.name));
    let newest = || match wall(&entry.made) {
        Some(made) => format!("`{}` of {made}", entry.sync),
        None => format!("`{}`", entry.sync),
    };
    let went = wall(&entry.gone).map(|gone| format!("deleted before {gone}; "));
    if went.is_some() && detail != Detail::Brief || detail == Detail::Full {
        let went = went.unwrap_or_default();
        text.push_str(&paint(Tone::Faint, format!("  {went}last in {}", printable(&newest()))));
        text.push('\n');
    }
    if detail == Detail::Full {
        text.extend(["  ", &printable(&entry.path), "\n"]);
    }
    text
}

/// What is said at the end.
#[must_use]
pub fn end(end: &FindEnd, pattern: &str, among: Among, now: &Now, detail: Detail) -> String {
    let mut page = Page::default();
    if end.count == 0 {
        let pattern = printable(pattern);
        page.line(match among {
            Among::All => format!("no copy within reach has a name that fits `{pattern}`"),
            Among::Deleted => {
                format!("nothing that fits `{pattern}` is in a copy within reach and gone from its source")
            }
        });
    }
    if end.unsure > 0 {
        let names = count(end.unsure, "name");
        page.line(format!("{}: whether the source still has them could not be told", paint(Tone::Notice, names)));
    }
    for remark in &end.remarks {
        page.line(paint(Tone::Notice, printable(remark)));
    }
    if detail != Detail::Brief || end.count == 0 {
        unreached(&mut page, &end.unreached, now);
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::UnreachedCopies;
    use crate::model::BootTime;

    fn now() -> Now {
        let zone = jiff::tz::TimeZone::UTC;
        Now { boot: BootTime(Duration::ZERO), wall: "2026-11-22T17:30:00Z".parse().unwrap(), zone }
    }

    #[test]
    fn a_name_tells_how_it_was_and_when_it_went() {
        let moment = |text: &str| Some(Moment(text.parse().unwrap()));
        let found = FoundEntry {
            name: "/home/a/x\n".into(),
            modified: moment("2026-11-20T09:00:00Z"),
            size: Some(2048),
            kind: Some(EntryKind::File.into()),
            sync: "mail".into(),
            snapshot: None,
            path: "/m/x".into(),
            made: moment("2026-11-21T10:00:00Z"),
            gone: moment("2026-11-22T10:00:00Z"),
        };
        let line = "2026-11-20 09:00:00    2.0 KiB  /home/a/x\u{fffd}\n";
        let went = "  deleted before 2026-11-22 10:00:00; last in `mail` of 2026-11-21 10:00:00\n";
        let shown = |found: &FoundEntry, detail| plain(&entry(found, &now(), detail));
        assert_eq!(shown(&found, Detail::Usual).replace("\\n", "\u{fffd}"), format!("{line}{went}"));
        assert!(shown(&found, Detail::Full).ends_with("  /m/x\n"));
        let there = FoundEntry { gone: None, kind: None, modified: None, ..found };
        assert_eq!(shown(&there, Detail::Usual).lines().count(), 1);
    }

    #[test]
    fn nothing_found_is_said_with_what_is_out_of_reach() {
        let away = UnreachedCopies { sync: "away".into(), message: "not plugged in".into(), last_success: None };
        let nothing = FindEnd { unreached: vec![away], unsure: 1, ..FindEnd::default() };
        let text = plain(&end(&nothing, "*.odt", Among::Deleted, &now(), Detail::Brief));
        assert!(text.starts_with("nothing that fits `*.odt`") && text.contains("away: out of reach"), "{text}");
        assert!(text.contains("1 name: whether"), "{text}");
        let found = FindEnd { count: 1, ..FindEnd::default() };
        assert_eq!(end(&found, "*", Among::All, &now(), Detail::Usual), "");
    }
}
