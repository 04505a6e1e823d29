//! Where the copies of each source are: three of the data, on two media, one of them elsewhere.

use super::markup::Markup;
use super::standing::sign;
use super::verdict::Grade;
use crate::formats::report::ReportFacts;
use crate::formats::text::relative;
use crate::formats::wire::{Moment, SourceCopies};
use crate::model::Now;

/// A table with a row for each source.
pub fn copies(page: &mut Markup, facts: &ReportFacts, now: &Now) {
    let sources = facts.history.sources.as_deref().unwrap_or_default();
    if sources.is_empty() {
        page.leaf("p", &[], "Nothing is copied.");
        return;
    }
    page.leaf(
        "p",
        &[],
        "A rule of thumb: three copies of the data, itself counted, on two media, one of them elsewhere. Elsewhere is \
         what is at a server, or on a drive that is not plugged in.",
    );
    page.nest("table", &[("class", "stacked")], |page| {
        page.leaf("caption", &[], "Copies of each source");
        page.nest("thead", &[], |page| {
            page.nest("tr", &[], |page| {
                for name in ["Source", "Copies", "Media", "Elsewhere", "Newest data", "Oldest data"] {
                    page.leaf("th", &[("scope", "col")], name);
                }
            });
        });
        page.nest("tbody", &[], |page| sources.iter().for_each(|source| row(page, source, facts, now)));
    });
}

fn row(page: &mut Markup, source: &SourceCopies, facts: &ReportFacts, now: &Now) {
    let copied = u64::try_from(source.copied.len()).unwrap_or(u64::MAX);
    let age = |moment: Option<Moment>| moment.map_or_else(|| "none".to_owned(), |at| relative(at.0, now.wall));
    page.nest("tr", &[], |page| {
        page.leaf("th", &[("scope", "row")], &source.source);
        let is_damaged =
            |name: &&String| facts.status.syncs.iter().any(|sync| sync.name == **name && sync.damaged() > 0);
        let is_doubted =
            |name: &&String| facts.status.syncs.iter().any(|sync| sync.name == **name && sync.doubted() > 0);
        let damaged = source.copied.iter().filter(is_damaged).count();
        let doubted = source.copied.iter().filter(is_doubted).count();
        let mut fulfilled = |label: &str, found: u64, wanted: u64, text: String| {
            page.nest("td", &[("data-label", label)], |page| {
                page.nest("span", &[], |page| {
                    sign(
                        page,
                        if found >= wanted && damaged == 0 && doubted == 0 { Grade::Calm } else { Grade::Notice },
                    );
                    page.text(&text);
                    if found < wanted {
                        page.text(&format!(" ({wanted} would be safer)"));
                    }
                });
            });
        };
        let all = copied.saturating_add(1);
        let missing = source.syncs.len().saturating_sub(source.copied.len());
        let never = if missing > 0 { format!(", {missing} not made yet") } else { String::new() };
        let flawed = if damaged > 0 { format!(", {damaged} with damaged files") } else { String::new() };
        let unlike = if doubted > 0 { format!(", {doubted} unlike the source") } else { String::new() };
        fulfilled("Copies", all, 3, format!("{all}{never}{flawed}{unlike}"));
        fulfilled("Media", source.media, 2, source.media.to_string());
        fulfilled("Elsewhere", source.off_site, 1, source.off_site.to_string());
        for (label, moment) in [("Newest data", source.newest), ("Oldest data", source.oldest)] {
            page.nest("td", &[("data-label", label)], |page| page.leaf("span", &[], &age(moment)));
        }
    });
}
