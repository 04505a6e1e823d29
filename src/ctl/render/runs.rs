//! What became of a request to run, and how runs ended.

use jiff::tz::TimeZone;

use super::page::{Page, Tone, outcome_tone, paint};
use crate::formats::text::{count, in_local_time, printable, size, stopwatch};
use crate::formats::wire::{AcceptedSync, RunEntry, SyncProblem, Term};
use crate::model::Outcome;

/// What is told of a run that found nothing new.
pub(super) const NOTHING_NEW: &str = "nothing new, so no snapshot";

/// What became of the request for each sync.
#[must_use]
pub fn accepted(accepted: &[AcceptedSync], zone: &TimeZone) -> String {
    let mut page = Page::default();
    for sync in accepted {
        let name = paint(Tone::Title, printable(&sync.sync));
        if sync.queued {
            page.line(format!("{name}: {}", paint(Tone::Busy, "queued")));
        } else {
            page.line(format!("{name}: {}", paint(Tone::Notice, "cannot run now")));
            for obstacle in &sync.obstacles {
                page.obstacle("    ", obstacle);
            }
        }
    }
    if accepted.is_empty() {
        page.line("there is nothing to run: no sync is possible now; `nbkpctl status` tells why");
    }
    in_local_time(&page.finish(), zone)
}

/// How long a run took. Nobody knows of one that was killed, which is told to have ended when it began.
#[must_use]
pub fn took(run: &RunEntry) -> Option<String> {
    let took = run.finished.0.duration_since(run.started.0).unsigned_abs();
    (!took.is_zero()).then(|| stopwatch(took))
}

/// One sentence for a run that has ended, and what belongs to it.
#[must_use]
pub fn ended(run: &RunEntry) -> String {
    let mut page = Page::default();
    let sync = run.sync.as_deref().unwrap_or_default();
    let name = paint(Tone::Title, printable(sync));
    let outcome = paint(outcome_tone(&run.outcome), printable(run.outcome.as_str()));
    // What was not even begun took no time.
    let took = took(run).filter(|_| !run.outcome.is(Outcome::Skipped));
    let after = took.map(|took| format!(" after {took}")).unwrap_or_default();
    let mut parts = vec![format!("{name}: {outcome}{after}")];
    if run.unchanged == Some(true) {
        parts.push(NOTHING_NEW.to_owned());
    } else if run.outcome.is(Outcome::Ok) || run.files_transferred > 0 {
        parts.push(format!("{}, {}", count(run.files_transferred, "file"), size(run.bytes_transferred)));
    }
    if run.files_deleted > 0 {
        parts.push(format!("{} deleted", run.files_deleted));
    }
    if let Some(snapshot) = &run.snapshot {
        parts.push(format!("snapshot {}", printable(snapshot)));
    }
    page.line(parts.join(", "));
    if let Some(error) = &run.error {
        page.line(format!("    {}", printable(error)));
    }
    for warning in &run.warnings {
        page.line(format!("    {} {}", paint(Tone::Notice, "!"), printable(warning)));
    }
    let is_told = run.error.as_ref().is_some_and(|error| error.contains("nbkpctl approve"));
    match run.outcome {
        Term::Known(Outcome::Held) if !is_told => {
            page.hint("  ", &format!("look with `nbkpctl diff {sync}`, then accept with `nbkpctl approve {sync}`"));
        }
        Term::Known(Outcome::Interrupted) => page.hint("  ", "it goes on by itself as soon as it can"),
        Term::Known(Outcome::Ok | Outcome::Skipped | Outcome::Failed | Outcome::Held) | Term::Other(_) => {}
    }
    page.finish()
}

/// A sync that was asked for and did not run after all.
#[must_use]
pub fn dropped(problem: &SyncProblem) -> String {
    let name = paint(Tone::Title, printable(&problem.sync));
    format!("{name}: {}: {}\n", paint(Tone::Notice, "did not run"), printable(&problem.message))
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::{Moment, ObstacleEntry};
    use crate::model::{ObstacleCode, Trigger};

    fn run(outcome: Outcome) -> RunEntry {
        RunEntry {
            kind: None,
            unchanged: None,
            damaged: None,
            sync: Some("mail".into()),
            id: "r".into(),
            outcome: outcome.into(),
            started: Moment("2026-11-22T16:00:00Z".parse().unwrap()),
            finished: Moment("2026-11-22T16:00:02.3Z".parse().unwrap()),
            trigger: Trigger::Request.into(),
            files_transferred: 12,
            bytes_transferred: 3 << 20,
            error: None,
            files_deleted: 0,
            entries: 40,
            snapshot: None,
            warnings: vec![],
        }
    }

    #[test]
    fn a_good_run_is_one_sentence() {
        let good = RunEntry { snapshot: Some("2026-11-22T16:00:00.000Z".into()), files_deleted: 4, ..run(Outcome::Ok) };
        let sentence = "mail: ok after 2.3 s, 12 files, 3.0 MiB, 4 deleted, snapshot 2026-11-22T16:00:00.000Z\n";
        assert_eq!(plain(&ended(&good)), sentence);
        let same = RunEntry { unchanged: Some(true), files_transferred: 0, bytes_transferred: 0, ..run(Outcome::Ok) };
        assert_eq!(plain(&ended(&same)), "mail: ok after 2.3 s, nothing new, so no snapshot\n");
        let warned = RunEntry { warnings: vec!["2 files vanished".into()], ..run(Outcome::Ok) };
        assert_eq!(plain(&ended(&warned)), "mail: ok after 2.3 s, 12 files, 3.0 MiB\n    ! 2 files vanished\n");
    }

    #[test]
    fn a_run_that_did_not_end_well_tells_why_and_what_to_do() {
        let held = RunEntry {
            error: Some("it would delete 9 of 10 files".into()),
            files_transferred: 0,
            ..run(Outcome::Held)
        };
        let expected = "\
mail: held after 2.3 s
    it would delete 9 of 10 files
    → look with `nbkpctl diff mail`, then accept with `nbkpctl approve mail`
";
        assert_eq!(plain(&ended(&held)), expected);
        let told = RunEntry { error: Some("too many; then `nbkpctl approve mail`".into()), ..held };
        assert_eq!(plain(&ended(&told)).matches("approve").count(), 1);
        let failed = RunEntry { error: Some("no space (make room\u{1b}[2J)".into()), ..run(Outcome::Failed) };
        assert!(plain(&ended(&failed)).contains("    no space (make room\\u{1b}[2J)\n"));
    }

    #[test]
    fn a_request_tells_what_was_queued_and_what_stands_in_the_way() {
        let obstacle = ObstacleEntry {
            code: ObstacleCode::DestinationVolumeAbsent.into(),
            message: "drive `usb` is not plugged in".into(),
            hint: "plug it in".into(),
        };
        let asked = [
            AcceptedSync { sync: "mail".into(), queued: true, obstacles: vec![] },
            AcceptedSync { sync: "photos".into(), queued: false, obstacles: vec![obstacle] },
        ];
        let expected = "\
mail: queued
photos: cannot run now
    drive `usb` is not plugged in
      → plug it in
";
        assert_eq!(plain(&accepted(&asked, &TimeZone::UTC)), expected);
        assert!(accepted(&[], &TimeZone::UTC).contains("nothing to run"));
    }
}
