//! What was tested, how it stands, and what to do.

use super::page::{Page, Tone, paint};
use super::table::column;
use crate::ctl::output::Detail;
use crate::formats::text::{count, printable};
use crate::formats::wire::{Diagnosis, FindingEntry, Term, TestedEntry};
use crate::model::Severity;

/// A line for each thing that was tested, in groups, then the sums. In brief only what was found.
#[must_use]
pub fn diagnosis(diagnosis: &Diagnosis, detail: Detail) -> String {
    let mut page = Page::default();
    let mut findings = diagnosis.findings.iter();
    for group in diagnosis.tested.chunk_by(|one, other| one.area == other.area) {
        let shown = |test: &&TestedEntry| detail != Detail::Brief || !test.codes.is_empty();
        let subjects = column(group.iter().filter(shown).map(|test| test.subject.as_str()));
        if let Some(first) = group.iter().find(shown) {
            page.gap();
            page.line(paint(Tone::Title, printable(first.area.as_str())));
        }
        for (test, subject) in group.iter().filter(shown).zip(subjects) {
            let found: Vec<&FindingEntry> = findings.by_ref().take(test.codes.len()).collect();
            if found.is_empty() {
                page.line(format!("  {} {subject}  {}", paint(Tone::Good, "✓"), printable(&test.message)));
            }
            for finding in found {
                page.line(format!("  {} {subject}  {}", mark(&finding.severity), printable(&finding.message)));
                page.hint("    ", &finding.fix);
            }
        }
    }
    page.gap();
    page.line(sums(diagnosis));
    page.finish()
}

fn mark(severity: &Term<Severity>) -> String {
    match severity {
        Term::Known(Severity::Error) => paint(Tone::Bad, "✗"),
        Term::Known(Severity::Warning) => paint(Tone::Notice, "!"),
        Term::Known(Severity::Note) | Term::Other(_) => "·".to_owned(),
    }
}

fn sums(diagnosis: &Diagnosis) -> String {
    let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let tested = match diagnosis.tested.len() {
        1 => "1 thing was tested".to_owned(),
        many => format!("{many} things were tested"),
    };
    let each = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let found: Vec<String> = each
        .into_iter()
        .map(|(severity, word)| (number(diagnosis.count(severity)), word))
        .filter(|(found, _)| *found > 0)
        .map(|(found, word)| count(found, word))
        .collect();
    if found.is_empty() { format!("{tested}; all is well") } else { format!("{tested}; {}", found.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::model::{Area, Flaw, Verdict};

    fn sample() -> Diagnosis {
        let both = vec![
            Flaw::ConfigurationExposed.error("others can change /c\u{1b}.toml", "run `chmod go-w`"),
            Flaw::ConfigurationNotInForce.warning("it is another one", "run `systemctl reload nbkpd`"),
        ];
        Diagnosis::new(&[
            Area::Daemon.well("nbkpd", "version 0.1.0 runs"),
            Area::Daemon.examined("configuration", Verdict::Found(both)),
            Area::Tools.well("rsync", "version 3.2.7"),
            Area::Drives.examined("mount usb", Flaw::PermissionUntested.note("it cannot be told", "plug it in")),
        ])
    }

    #[test]
    fn each_thing_has_a_line_and_each_finding_its_remedy() {
        let expected = "\
daemon
  ✓ nbkpd          version 0.1.0 runs
  ✗ configuration  others can change /c\\u{1b}.toml
      → run `chmod go-w`
  ! configuration  it is another one
      → run `systemctl reload nbkpd`

tools
  ✓ rsync  version 3.2.7

drives
  · mount usb  it cannot be told
      → plug it in

4 things were tested; 1 error, 1 warning, 1 note
";
        assert_eq!(plain(&diagnosis(&sample(), Detail::Usual)), expected);
    }

    #[test]
    fn in_brief_only_what_was_found_is_shown() {
        let text = plain(&diagnosis(&sample(), Detail::Brief));
        assert!(!text.contains('✓') && !text.contains("tools") && text.contains("! configuration"), "{text}");
        let well = Diagnosis::new(&[Area::Tools.well("rsync", "version 3.2.7")]);
        assert_eq!(plain(&diagnosis(&well, Detail::Brief)), "1 thing was tested; all is well\n");
    }
}
