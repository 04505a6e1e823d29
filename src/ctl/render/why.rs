//! Every condition of a sync, met or not.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::page::{Page, Tone, paint};
use super::table::column;
use crate::formats::text::{in_local_time, printable};
use crate::formats::wire::{Term, Why};
use crate::model::Freshness;

/// The conditions as a list with marks, then whether a copy is due, then what would make it run.
#[must_use]
pub fn why(why: &Why, zone: &TimeZone) -> String {
    let mut page = Page::default();
    let name = paint(Tone::Title, printable(&why.sync));
    page.line(format!("{name}: {}, {}", printable(why.state.as_str()), freshness(&why.freshness)));
    let subjects = column(why.conditions.iter().map(|condition| condition.subject.as_str()));
    for (condition, subject) in why.conditions.iter().zip(subjects) {
        let mark = if condition.met { paint(Tone::Good, "✓") } else { paint(Tone::Bad, "✗") };
        page.line(format!("  {mark} {subject}  {}", printable(&condition.value)));
        page.hint("    ", condition.hint.as_deref().unwrap_or_default());
    }
    page.line(format!("due:  {}", printable(&why.due)));
    page.line(format!("next: {}", printable(&why.next)));
    in_local_time(&page.finish(), zone)
}

fn freshness(freshness: &Term<Freshness>) -> Cow<'_, str> {
    match freshness {
        Term::Known(Freshness::Never) => "never copied".into(),
        Term::Known(Freshness::Fresh | Freshness::Overdue) | Term::Other(_) => printable(freshness.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::Condition;
    use crate::model::SyncState;

    #[test]
    fn conditions_have_marks_and_hints() {
        let condition = |subject: &str, met, value: &str, hint: Option<&str>| Condition {
            subject: subject.into(),
            met,
            value: value.into(),
            hint: hint.map(Into::into),
        };
        let reply = Why {
            sync: "documents".into(),
            state: SyncState::Waiting.into(),
            freshness: Freshness::Never.into(),
            conditions: vec![
                condition("source volume", true, "`laptop` is at /home/a", None),
                condition("destination volume", false, "drive `usb` is not plugged in", Some("plug it in")),
            ],
            due: "last success 2026-11-22T17:30:00Z".into(),
            next: "it runs when drive `usb` is plugged in".into(),
        };
        let expected = "\
documents: waiting, never copied
  ✓ source volume       `laptop` is at /home/a
  ✗ destination volume  drive `usb` is not plugged in
      → plug it in
due:  last success 2026-11-22 18:30:00
next: it runs when drive `usb` is plugged in
";
        assert_eq!(plain(&why(&reply, &TimeZone::fixed(jiff::tz::offset(1)))), expected);
    }
}
