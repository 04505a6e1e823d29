//! What a run would do.

use super::page::{Page, Tone, paint};
use super::prune::problems;
use crate::formats::text::{grouped, printable, size};
use crate::formats::wire::{DiffSummary, PreviewEnd, PreviewLine, PreviewLineKind, Term};

/// One line of a preview, without its end of line.
#[must_use]
pub fn line(line: &PreviewLine) -> String {
    let text = printable(&line.text);
    match line.kind {
        Term::Known(PreviewLineKind::Command) => format!("  {} {text}", paint(Tone::Faint, "$")),
        Term::Known(PreviewLineKind::Action) => format!("  {} {text}", paint(Tone::Faint, "·")),
        Term::Known(PreviewLineKind::Note) => format!("  {} {text}", paint(Tone::Notice, "!")),
        Term::Known(PreviewLineKind::Change) => format!("  {}", change(&text)),
        Term::Other(_) => format!("  {text}"),
    }
}

/// A change, which begins with a word or with rsync's code that says what kind it is (rsync(1), `--itemize-changes`).
fn change(text: &str) -> String {
    let (code, name) = text.split_once(' ').unwrap_or((text, ""));
    let (tone, word) = match code {
        "*deleting" | "deleted" => (Tone::Bad, "deleted"),
        "new" => (Tone::Good, "new"),
        _ if code.len() == 11 && code.ends_with("+++++++++") => (Tone::Good, "new"),
        "changed" => (Tone::Notice, "changed"),
        _ if code.len() == 11 && code.starts_with(['<', '>', 'c']) => (Tone::Notice, "changed"),
        _ if code.len() == 11 && code.starts_with(['.', 'h']) => (Tone::Plain, "attributes"),
        other => (Tone::Plain, other),
    };
    // rsync puts spaces behind its shorter codes; a name may begin with spaces of its own.
    let padding = if code == "*deleting" { "  " } else { "" };
    let name = name.strip_prefix(padding).unwrap_or(name);
    format!("{} {name}", paint(tone, format!("{word:10}")))
}

/// The sums, and what could not be previewed.
#[must_use]
pub fn sums(end: &PreviewEnd) -> String {
    let mut page = Page::default();
    for sync in &end.syncs {
        page.line(format!("{}: {}", paint(Tone::Title, printable(&sync.sync)), sum(sync)));
    }
    problems(&mut page, &end.problems);
    page.finish()
}

fn sum(sync: &DiffSummary) -> String {
    let (gone, nothing, of) = match &sync.between {
        None => ("to delete", "nothing would change".to_owned(), "in the files to send"),
        Some([older, newer]) => ("deleted", format!("nothing differs between {older} and {newer}"), "in them"),
    };
    let counts = [
        (sync.created, "new"),
        (sync.changed, "changed"),
        (sync.attributes, "with other attributes"),
        (sync.deleted, gone),
    ];
    let counted: Vec<_> = counts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", grouped(*number)))
        .collect();
    if counted.is_empty() {
        nothing
    } else {
        let since = sync.between.as_ref().map(|[older, newer]| format!("from {older} to {newer}: "));
        format!("{}{}; {} {of}", since.unwrap_or_default(), counted.join(", "), size(sync.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::SyncProblem;

    #[test]
    fn lines_are_marked_by_their_kind() {
        let show = |kind, text: &str| {
            super::line(&PreviewLine { sync: "mail".into(), kind: Term::Known(kind), text: text.into() })
        };
        assert_eq!(plain(&show(PreviewLineKind::Command, "rsync -a a/ b/")), "  $ rsync -a a/ b/");
        assert_eq!(plain(&show(PreviewLineKind::Action, "point latest to x")), "  · point latest to x");
        assert_eq!(plain(&show(PreviewLineKind::Change, "new a b")), "  new        a b");
        assert_eq!(plain(&show(PreviewLineKind::Note, "the run would be held: x")), "  ! the run would be held: x");
        for (line, shown) in [
            (">f+++++++++ a b", "  new        a b"),
            ("cd+++++++++ dir/", "  new        dir/"),
            (">f.st......  a", "  changed     a"),
            ("cLc.t...... link -> x", "  changed    link -> x"),
            (".d..t...... ./", "  attributes ./"),
            ("*deleting   old", "  deleted    old"),
            ("*deleting    old", "  deleted     old"),
        ] {
            assert_eq!(plain(&show(PreviewLineKind::Change, line)), shown);
        }
        assert!(show(PreviewLineKind::Change, "deleted a\u{7}").contains("\u{1b}[31mdeleted   \u{1b}[0m a\\u{7}"));
    }

    #[test]
    fn sums_leave_out_what_is_nothing() {
        let some =
            DiffSummary { sync: "mail".into(), created: 1204, deleted: 1, bytes: 1536, ..DiffSummary::default() };
        let nothing = DiffSummary { sync: "photos".into(), ..DiffSummary::default() };
        let problem = SyncProblem { sync: "music".into(), message: "drive `usb` is not plugged in".into() };
        let end = PreviewEnd { syncs: vec![some, nothing], problems: vec![problem] };
        let expected = "\
mail: 1,204 new, 1 to delete; 1.5 KiB in the files to send
photos: nothing would change
music: drive `usb` is not plugged in
";
        assert_eq!(plain(&sums(&end)), expected);
    }
}
