//! What checks of copies found.

use super::page::{Page, Tone, paint};
use super::prune::problems;
use crate::ctl::output::Detail;
use crate::formats::text::{count, doubt_remedy, printable, size};
use crate::formats::wire::{CheckEnd, CheckedCopy};
use crate::model::SampleShare;

/// So many damaged files are named, unless all are asked for.
const NAMED: usize = 20;

/// Each copy in a sentence, and each damaged file with what becomes of it.
#[must_use]
pub fn checked(end: &CheckEnd, sample: SampleShare, detail: Detail) -> String {
    let mut page = Page::default();
    for copy in &end.checked {
        tell(&mut page, copy, sample, detail);
    }
    problems(&mut page, &end.problems);
    page.finish()
}

fn tell(page: &mut Page, copy: &CheckedCopy, sample: SampleShare, detail: Detail) {
    let sync = paint(Tone::Title, printable(&copy.sync));
    let which = copy.snapshot.as_deref().map(|name| format!(", snapshot {}", printable(name))).unwrap_or_default();
    let part = match sample.as_percent() {
        100 => String::new(),
        percent => format!(" (a sample of {percent}%)"),
    };
    let read = format!("{} read, {}{part}", count(copy.files, "file"), size(copy.bytes));
    let is_sound = copy.damaged.is_empty() && copy.doubtful.is_empty();
    let number = |files: usize| count(u64::try_from(files).unwrap_or(u64::MAX), "file");
    let found = if !is_sound {
        let damaged = (!copy.damaged.is_empty()).then(|| format!("{} damaged", number(copy.damaged.len())));
        let doubted =
            (!copy.doubtful.is_empty()).then(|| format!("{} of the source in doubt", number(copy.doubtful.len())));
        paint(Tone::Bad, damaged.into_iter().chain(doubted).collect::<Vec<_>>().join(", "))
    } else if copy.files == 0 {
        paint(Tone::Notice, "nothing was read, and nothing is proven")
    } else if copy.compared_with_source == 0 && copy.compared_with_copies == 0 {
        paint(Tone::Notice, "it can be read, and was compared with nothing")
    } else {
        paint(Tone::Good, "nothing is damaged")
    };
    page.line(format!("{sync}{which}: {found}; {read}"));
    if is_sound || detail == Detail::Full {
        let alone = copy.files.saturating_sub(copy.compared_with_source).saturating_sub(copy.compared_with_copies);
        let mut parts = vec![format!("{} compared with the source", copy.compared_with_source)];
        if copy.compared_with_copies > 0 {
            parts.push(format!("{} with other copies", copy.compared_with_copies));
        }
        if alone > 0 {
            parts.push(format!("{alone} only read, as nothing that passes for the same is within reach"));
        }
        if detail != Detail::Brief {
            page.line(format!("  {}", parts.join(", ")));
        }
    }
    let shown = if detail == Detail::Full { usize::MAX } else { NAMED };
    for file in copy.damaged.iter().take(shown) {
        let held = match file.snapshots.len() {
            0 | 1 => String::new(),
            several => format!(" (in {several} snapshots)"),
        };
        page.line(format!("  {}: {}{held}", printable(&file.path), printable(&file.reason)));
    }
    if copy.damaged.len() > shown {
        page.line(format!("  and {} more; `-v` names all", copy.damaged.len() - shown));
    }
    if !copy.damaged.is_empty() {
        let what = "The next run writes anew what the source still has. If the source is what is damaged, get the file \
                    out of the copy before: `nbkpctl pause`, then `nbkpctl restore FILE --to DIR`.";
        page.line(format!("  {what}"));
    }
    for path in copy.doubtful.iter().take(shown) {
        let what = "the source differs from copies that agree, though size and time are the same: perhaps it is the \
                    source that is damaged";
        page.line(format!("  {}: {}", printable(path), paint(Tone::Bad, what)));
    }
    if copy.doubtful.len() > shown {
        page.line(format!("  and {} more; `-v` names all", copy.doubtful.len() - shown));
    }
    if !copy.doubtful.is_empty() {
        page.line(format!("  {}", printable(&doubt_remedy(&copy.sync))));
    }
    for remark in &copy.remarks {
        page.line(format!("  {}", paint(Tone::Notice, printable(remark))));
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::DamagedEntry;

    #[test]
    fn what_is_damaged_is_named_and_nothing_read_is_nothing_proven() {
        let sound = CheckedCopy {
            sync: "documents".into(),
            snapshot: Some("2026-11-22T17:30:00.000Z".into()),
            files: 3,
            bytes: 2048,
            compared_with_source: 2,
            compared_with_copies: 0,
            damaged: vec![],
            doubtful: vec![],
            remarks: vec![],
        };
        let damaged = DamagedEntry {
            path: "a\n".into(),
            reason: "it cannot be read back: Input/output error".into(),
            snapshots: vec!["x".into(), "y".into()],
        };
        let bad = CheckedCopy { sync: "mail".into(), snapshot: None, damaged: vec![damaged], ..sound.clone() };
        let doubted = CheckedCopy { damaged: vec![], doubtful: vec!["b".into()], ..bad.clone() };
        let text =
            plain(&checked(&CheckEnd { checked: vec![doubted], problems: vec![] }, SampleShare::ALL, Detail::Usual));
        assert!(text.starts_with("mail: 1 file of the source in doubt; 3 files read"), "{text}");
        assert!(text.contains("`nbkpctl restore FILE --to DIR`") && !text.contains("0 files"), "{text}");
        let empty = CheckedCopy { files: 0, bytes: 0, compared_with_source: 0, ..sound.clone() };
        let alone = CheckedCopy { compared_with_source: 0, ..sound.clone() };
        let end = CheckEnd { checked: vec![sound, bad, empty, alone], problems: vec![] };
        let text = plain(&checked(&end, SampleShare::percent(5).unwrap(), Detail::Usual));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "documents, snapshot 2026-11-22T17:30:00.000Z: nothing is damaged; 3 files read, 2.0 KiB (a sample of 5%)"
        );
        let alone = "1 only read, as nothing that passes for the same is within reach";
        assert_eq!(lines[1], format!("  2 compared with the source, {alone}"));
        assert!(lines[2].starts_with("mail: 1 file damaged; 3 files read"), "{text}");
        assert!(lines[3].contains("it cannot be read back: Input/output error (in 2 snapshots)"), "{text}");
        assert!(lines[4].contains("`nbkpctl pause`"), "a person decides which of two is right: {text}");
        assert!(lines[5].contains("nothing was read, and nothing is proven"), "{text}");
        assert!(lines[7].contains("it can be read, and was compared with nothing"), "{text}");
    }
}
