//! What is to be said of a sync. It is well only where nothing at all is to be said against it.

use std::time::Duration;

use crate::formats::text::{count, doubt_remedy, relative, span};
use crate::formats::wire::{FindingEntry, ObstacleEntry, RunEntry, StatusReply, SyncStatusEntry, SyncTally, Term};
use crate::model::{Freshness, Now, ObstacleCode, Outcome, Severity, SyncState};

/// A copy this old is told of, though no `max-age` says how old is too old.
const OLD: Duration = Duration::from_hours(30 * 24);

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Proven to be well.
    Good,
    /// Nothing is wrong, and nothing is proven either.
    Calm,
    /// A person should look some day.
    Notice,
    /// A person should look now.
    Bad,
}

/// Something to be said of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub grade: Grade,
    /// What it is, in a word or two.
    pub word: &'static str,
    /// What it is.
    pub text: String,
    /// What to do; empty if there is nothing.
    pub hint: String,
}

/// What is to be said of a sync in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncVerdict {
    /// The worst of it, in a word or two.
    pub word: &'static str,
    /// How much that matters.
    pub grade: Grade,
    /// All of it, the worst first.
    pub remarks: Vec<Remark>,
}

fn remark(grade: Grade, word: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Remark {
    Remark { grade, word, text: text.into(), hint: hint.into() }
}

/// What is to be said of everything but the syncs: the daemon and what it hears.
#[must_use]
pub fn surroundings(status: &StatusReply, dead: Option<&str>) -> Vec<Remark> {
    let daemon = &status.daemon;
    let mut remarks = Vec::new();
    if let Some(why) = dead {
        remarks.push(remark(Grade::Bad, "no daemon", why, "until then, `nbkpctl run` makes copies by hand"));
    }
    if let Some(error) = &daemon.config_error {
        let text = format!("the configuration file is not in force, the one before it is: {error}");
        remarks.push(remark(Grade::Bad, "configuration", text, "`nbkpctl config check` shows every mistake"));
    }
    if daemon.state.is(crate::model::DaemonState::Paused) {
        remarks.push(remark(Grade::Notice, "paused", "the daemon is paused: it starts no run", "`nbkpctl resume`"));
    }
    remarks.extend(daemon.degraded.iter().map(|sentence| remark(Grade::Notice, "degraded", sentence, "")));
    remarks
}

/// What is known of a sync beside how it stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// The sums over its runs.
    pub tally: Option<&'a SyncTally>,
    /// That no daemon runs.
    pub dead: Option<&'a str>,
    /// What doctor found.
    pub findings: &'a [FindingEntry],
}

/// What is to be said of a sync. Where no daemon runs nothing is proven to be well.
#[must_use]
pub fn verdict(sync: &SyncStatusEntry, beside: Beside<'_>, now: &Now) -> SyncVerdict {
    let mut remarks = Vec::new();
    if sync.damaged() > 0 {
        let text = format!("{} of its copies damaged", count(sync.damaged(), "file"));
        let hint = format!("the next run writes anew what the source still has; `nbkpctl verify {}`", sync.name);
        remarks.push(remark(Grade::Bad, "damaged", text, hint));
    }
    if sync.doubted() > 0 {
        let text = format!("{} of its source not what its copies hold, which agree", count(sync.doubted(), "file"));
        remarks.push(remark(Grade::Bad, "in doubt", text, doubt_remedy(&sync.name)));
    }
    if sync.state.is(SyncState::Disabled) {
        remarks.push(remark(Grade::Calm, "disabled", "the configuration disables it: it is not copied", ""));
    } else {
        remarks.extend(state(sync));
        remarks.extend(last_run(sync, now));
        remarks.extend(age(sync, beside.tally, now));
        remarks.extend(sync.obstacles.iter().map(|found| obstacle(found, beside.findings)));
    }
    let mut told: Vec<Remark> = Vec::new();
    for one in remarks {
        // The first to say something says it, as badly as anybody does.
        match told.iter_mut().find(|other| other.text.contains(&one.text)) {
            Some(other) if other.grade < one.grade => {
                let hint = if one.hint.is_empty() { other.hint.clone() } else { one.hint };
                *other = Remark { text: other.text.clone(), hint, ..one };
            }
            Some(_) => {}
            None => told.push(one),
        }
    }
    told.sort_by_key(|remark| std::cmp::Reverse(remark.grade));
    match told.first() {
        Some(worst) => SyncVerdict { word: worst.word, grade: worst.grade, remarks: told },
        None if beside.dead.is_some() => SyncVerdict { word: "no daemon", grade: Grade::Calm, remarks: told },
        None => SyncVerdict { word: "fresh", grade: Grade::Good, remarks: told },
    }
}

fn state(sync: &SyncStatusEntry) -> Option<Remark> {
    let name = &sync.name;
    match sync.state.known() {
        Some(SyncState::Held) => {
            let told = sync.obstacles.iter().find(|obstacle| obstacle.code.is(ObstacleCode::Held));
            let text = told.map_or("it waits for your word", |obstacle| &obstacle.message);
            Some(remark(Grade::Bad, "held", text, format!("`nbkpctl diff {name}` shows what, `approve` accepts it")))
        }
        Some(SyncState::Failing) if sync.last_run.is_none() => {
            Some(remark(Grade::Bad, "failing", "it fails", format!("`nbkpctl why {name}`")))
        }
        Some(SyncState::Failing | SyncState::Disabled | SyncState::Waiting | SyncState::Idle) => None,
        Some(SyncState::Queued) => Some(remark(Grade::Calm, "queued", "it waits for its turn", "")),
        Some(SyncState::Running) => Some(remark(Grade::Calm, "running", "it is being copied", "")),
        None => Some(remark(Grade::Notice, "unknown", format!("its state is `{}`", sync.state), "")),
    }
}

fn last_run(sync: &SyncStatusEntry, now: &Now) -> Vec<Remark> {
    let Some(run) = &sync.last_run else { return Vec::new() };
    let ended = relative(run.finished.0, now.wall);
    let why = |run: &RunEntry| run.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    let failing = sync.state.is(SyncState::Failing);
    let told = |word: &str| format!("the last run {word} {ended}{}", why(run));
    let one = match run.outcome.known() {
        Some(Outcome::Ok) if failing => {
            remark(Grade::Bad, "failing", "it fails", format!("`nbkpctl why {}`", sync.name))
        }
        Some(Outcome::Ok) => {
            return run.warnings.iter().map(|warning| remark(Grade::Notice, "with a warning", warning, "")).collect();
        }
        Some(Outcome::Failed) => {
            remark(Grade::Bad, "failed", told("failed"), format!("`nbkpctl history {}`", sync.name))
        }
        Some(Outcome::Held) => remark(Grade::Bad, "held", told("was held"), format!("`nbkpctl diff {}`", sync.name)),
        Some(Outcome::Interrupted) => {
            let grade = if failing { Grade::Bad } else { Grade::Notice };
            remark(grade, "interrupted", told("was interrupted"), "it goes on by itself when it can")
        }
        Some(Outcome::Skipped) => remark(Grade::Notice, "skipped", told("was skipped"), ""),
        None => remark(Grade::Notice, "unknown", told(&format!("ended with `{}`", run.outcome)), ""),
    };
    vec![one]
}

/// How old the copy is, and the data in it.
fn age(sync: &SyncStatusEntry, tally: Option<&SyncTally>, now: &Now) -> Option<Remark> {
    let since = |moment: jiff::Timestamp| Duration::try_from(now.wall.duration_since(moment)).unwrap_or_default();
    let copied = sync.last_success.map(|moment| format!("last copied {}", relative(moment.0, now.wall)));
    let copied = copied.unwrap_or_else(|| "never copied".to_owned());
    match (&sync.freshness, sync.last_success) {
        (Term::Known(Freshness::Overdue), _) => {
            Some(remark(Grade::Bad, "overdue", format!("overdue: {copied}"), format!("`nbkpctl why {}`", sync.name)))
        }
        (Term::Known(Freshness::Never), _) | (Term::Known(Freshness::Fresh), None) => {
            Some(remark(Grade::Notice, "never copied", "never copied so far", format!("`nbkpctl why {}`", sync.name)))
        }
        (Term::Other(word), _) => Some(remark(Grade::Notice, "unknown", format!("its freshness is `{word}`"), "")),
        (Term::Known(Freshness::Fresh), Some(success)) => {
            if since(success.0) > OLD && sync.overdue_at.is_none() {
                let hint = "`max-age` says how old a copy may become before it is told";
                return Some(remark(Grade::Notice, "old", copied, hint));
            }
            // What counts for the copy counts for what came to its source by other syncs.
            let limit = sync.overdue_at.and_then(|at| Duration::try_from(at.0.duration_since(success.0)).ok());
            let chained = tally.filter(|tally| !tally.through.is_empty())?;
            let text = match chained.data_of {
                None => "how old what it copied is, nobody knows: the syncs before it have made no copy".to_owned(),
                Some(data) if since(data.0) > limit.unwrap_or(OLD) => {
                    format!("what it copied is {} old: the syncs before it brought nothing newer", span(since(data.0)))
                }
                Some(_) => return None,
            };
            Some(remark(Grade::Notice, "old data", text, "look at those"))
        }
    }
}

/// What stands in its way. What comes and goes by itself is nothing to worry about; what doctor calls an error is none
/// of that, whatever its code.
fn obstacle(obstacle: &ObstacleEntry, findings: &[FindingEntry]) -> Remark {
    let is_error =
        |found: &FindingEntry| found.severity.is(Severity::Error) && found.message.contains(&obstacle.message);
    if findings.iter().any(is_error) {
        return remark(Grade::Bad, "impossible", obstacle.message.clone(), obstacle.hint.clone());
    }
    let (grade, word) = match obstacle.code.known() {
        Some(
            ObstacleCode::SourceVolumeAbsent
            | ObstacleCode::DestinationVolumeAbsent
            | ObstacleCode::SourceNotMounted
            | ObstacleCode::DestinationNotMounted,
        ) => (Grade::Calm, "away"),
        Some(
            ObstacleCode::HostUnreachable
            | ObstacleCode::WrongLocation
            | ObstacleCode::Metered
            | ObstacleCode::Battery
            | ObstacleCode::OutsideHours
            | ObstacleCode::LockTaken
            | ObstacleCode::Disabled,
        ) => (Grade::Calm, "waits"),
        Some(ObstacleCode::Paused | ObstacleCode::BackingOff | ObstacleCode::CredentialLocked) => {
            (Grade::Notice, "waits")
        }
        Some(ObstacleCode::UpstreamFailed) => (Grade::Bad, "failed before it"),
        Some(ObstacleCode::Held | ObstacleCode::SourceIncomplete | ObstacleCode::ForeignWriter) => (Grade::Bad, "held"),
        Some(
            ObstacleCode::SourceSentinelMissing
            | ObstacleCode::SourceIsEmpty
            | ObstacleCode::DestinationSentinelMissing
            | ObstacleCode::SentinelMismatch
            | ObstacleCode::DuplicateUuid
            | ObstacleCode::DeviceUnknown
            | ObstacleCode::NotEncrypted
            | ObstacleCode::HostKeyMismatch
            | ObstacleCode::HostAuthFailed
            | ObstacleCode::NotAuthorized
            | ObstacleCode::ReadOnly
            | ObstacleCode::NotBtrfs
            | ObstacleCode::LayoutMismatch
            | ObstacleCode::NoSpace
            | ObstacleCode::ToolMissing
            | ObstacleCode::ToolOutdated,
        ) => (Grade::Bad, "impossible"),
        None => (Grade::Notice, "waits"),
    };
    remark(grade, word, obstacle.message.clone(), obstacle.hint.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::wire::Moment;
    use crate::model::{BootTime, Trigger};

    fn now() -> Now {
        Now { boot: BootTime::default(), wall: "2026-11-22T17:30:00Z".parse().unwrap(), zone: jiff::tz::TimeZone::UTC }
    }

    fn ago(hours: i64) -> Moment {
        Moment(now().wall - jiff::SignedDuration::from_hours(hours))
    }

    fn run(outcome: impl Into<Term<Outcome>>) -> RunEntry {
        RunEntry {
            kind: None,
            unchanged: None,
            damaged: None,
            sync: None,
            id: "r".into(),
            outcome: outcome.into(),
            started: ago(2),
            finished: ago(2),
            trigger: Trigger::Drive.into(),
            files_transferred: 1,
            bytes_transferred: 1,
            error: Some("the drive is full".into()),
            files_deleted: 0,
            entries: 9,
            snapshot: None,
            warnings: Vec::new(),
        }
    }

    /// A sync of which nothing bad is known.
    fn well() -> SyncStatusEntry {
        SyncStatusEntry {
            name: "mail".into(),
            state: SyncState::Idle.into(),
            freshness: Freshness::Fresh.into(),
            obstacles: Vec::new(),
            last_success: Some(ago(2)),
            last_run: Some(run(Outcome::Ok)),
            next_due: None,
            overdue_at: Some(ago(-20)),
            starts_at: None,
            damaged: Some(0),
            doubted: Some(0),
            last_verified: None,
        }
    }

    fn judged(sync: &SyncStatusEntry) -> SyncVerdict {
        verdict(sync, Beside::default(), &now())
    }

    fn is_not_well(sync: &SyncStatusEntry, grade: Grade, word: &str) {
        let verdict = judged(sync);
        assert_eq!((verdict.grade, verdict.word), (grade, word), "{verdict:?}");
    }

    #[test]
    fn what_has_nothing_against_it_is_well_and_only_that() {
        assert_eq!(judged(&well()), SyncVerdict { word: "fresh", grade: Grade::Good, remarks: Vec::new() });
        let dead = verdict(&well(), Beside { dead: Some("nbkpd is not running"), ..Beside::default() }, &now());
        assert_eq!((dead.grade, dead.word), (Grade::Calm, "no daemon"));
        is_not_well(&SyncStatusEntry { damaged: Some(2), ..well() }, Grade::Bad, "damaged");
        is_not_well(&SyncStatusEntry { doubted: Some(1), ..well() }, Grade::Bad, "in doubt");
        let mut warned = run(Outcome::Ok);
        warned.warnings.push("3 files could not be read".into());
        is_not_well(&SyncStatusEntry { last_run: Some(warned), ..well() }, Grade::Notice, "with a warning");
    }

    #[test]
    fn no_outcome_but_ok_is_well() {
        for (_, outcome) in Outcome::WORDS {
            let verdict = judged(&SyncStatusEntry { last_run: Some(run(outcome)), ..well() });
            assert_eq!(verdict.grade == Grade::Good, outcome == Outcome::Ok, "{verdict:?}");
        }
        let with = |outcome: Outcome| SyncStatusEntry { last_run: Some(run(outcome)), ..well() };
        is_not_well(&with(Outcome::Failed), Grade::Bad, "failed");
        is_not_well(&with(Outcome::Held), Grade::Bad, "held");
        is_not_well(&with(Outcome::Interrupted), Grade::Notice, "interrupted");
        is_not_well(&with(Outcome::Skipped), Grade::Notice, "skipped");
        let new = SyncStatusEntry { last_run: Some(run(Term::Other("melted".into()))), ..well() };
        is_not_well(&new, Grade::Notice, "unknown");
        assert_eq!(judged(&with(Outcome::Failed)).remarks[0].text, "the last run failed 2 h ago: the drive is full");
    }

    #[test]
    fn no_state_but_that_of_rest_is_well() {
        for (_, state) in SyncState::WORDS {
            let verdict = judged(&SyncStatusEntry { state: state.into(), ..well() });
            let is_at_rest = matches!(state, SyncState::Idle | SyncState::Waiting);
            assert_eq!(verdict.grade == Grade::Good, is_at_rest, "{state:?}: {verdict:?}");
        }
        is_not_well(&SyncStatusEntry { state: SyncState::Held.into(), ..well() }, Grade::Bad, "held");
        is_not_well(&SyncStatusEntry { state: SyncState::Failing.into(), ..well() }, Grade::Bad, "failing");
        is_not_well(
            &SyncStatusEntry { state: SyncState::Failing.into(), last_run: None, ..well() },
            Grade::Bad,
            "failing",
        );
        is_not_well(&SyncStatusEntry { state: Term::Other("x".into()), ..well() }, Grade::Notice, "unknown");
    }

    #[test]
    fn what_is_old_or_was_never_copied_is_not_well() {
        let with = |freshness: Freshness| SyncStatusEntry { freshness: freshness.into(), ..well() };
        is_not_well(&with(Freshness::Overdue), Grade::Bad, "overdue");
        is_not_well(&with(Freshness::Never), Grade::Notice, "never copied");
        is_not_well(&SyncStatusEntry { last_success: None, ..well() }, Grade::Notice, "never copied");
        is_not_well(&SyncStatusEntry { freshness: Term::Other("x".into()), ..well() }, Grade::Notice, "unknown");
        // Nobody said how old is too old.
        let old = SyncStatusEntry { last_success: Some(ago(24 * 40)), overdue_at: None, ..well() };
        is_not_well(&old, Grade::Notice, "old");
        // What came by other syncs may be older than the copy of it.
        let chained = |hours: Option<i64>, sync: &SyncStatusEntry| {
            let tally = SyncTally { data_of: hours.map(ago), through: vec!["a".into()], ..SyncTally::default() };
            let verdict = verdict(sync, Beside { tally: Some(&tally), ..Beside::default() }, &now());
            (verdict.grade, verdict.word)
        };
        let (good, stale) = ((Grade::Good, "fresh"), (Grade::Notice, "old data"));
        assert_eq!(
            [chained(Some(3), &well()), chained(Some(23), &well()), chained(None, &well())],
            [good, stale, stale]
        );
        let lax = SyncStatusEntry { last_success: Some(ago(24 * 40)), overdue_at: Some(ago(-24 * 40)), ..well() };
        assert_eq!([chained(Some(24 * 50), &lax), chained(Some(24 * 400), &lax)], [good, stale]);
        let unlimited = SyncStatusEntry { overdue_at: None, ..well() };
        assert_eq!([chained(Some(24 * 20), &unlimited), chained(Some(24 * 40), &unlimited)], [good, stale]);
    }

    #[test]
    fn nothing_that_stands_in_the_way_is_well() {
        for (word, code) in ObstacleCode::WORDS {
            let obstacle = ObstacleEntry { code: code.into(), message: "m".into(), hint: "h".into() };
            let verdict = judged(&SyncStatusEntry { obstacles: vec![obstacle], ..well() });
            assert_ne!(verdict.grade, Grade::Good, "{word}");
        }
        let away = ObstacleCode::DestinationVolumeAbsent.into();
        let obstacle = |code| ObstacleEntry { code, message: "m".into(), hint: "h".into() };
        is_not_well(&SyncStatusEntry { obstacles: vec![obstacle(away)], ..well() }, Grade::Calm, "away");
        let new = obstacle(Term::Other("x".into()));
        is_not_well(&SyncStatusEntry { obstacles: vec![new], ..well() }, Grade::Notice, "waits");
    }

    #[test]
    fn what_doctor_calls_an_error_is_never_calm() {
        let away = ObstacleEntry {
            code: ObstacleCode::DestinationVolumeAbsent.into(),
            message: "/mnt cannot be read".into(),
            hint: "h".into(),
        };
        let sync = SyncStatusEntry { obstacles: vec![away], ..well() };
        let found = |severity: Severity| FindingEntry {
            code: Term::Other("x".into()),
            severity: severity.into(),
            subject: "usb".into(),
            message: "/mnt cannot be read".into(),
            fix: "f".into(),
            mend: None,
        };
        for (severity, grade) in [(Severity::Error, Grade::Bad), (Severity::Note, Grade::Calm)] {
            let findings = [found(severity)];
            let verdict = verdict(&sync, Beside { findings: &findings, ..Beside::default() }, &now());
            assert_eq!(verdict.grade, grade, "{verdict:?}");
        }
        // What is disabled is damaged all the same.
        let disabled = SyncStatusEntry { state: SyncState::Disabled.into(), damaged: Some(1), ..well() };
        is_not_well(&disabled, Grade::Bad, "damaged");
    }

    #[test]
    fn the_same_is_said_once_and_the_worst_first() {
        let full = ObstacleEntry {
            code: ObstacleCode::BackingOff.into(),
            message: "the drive is full".into(),
            hint: "h".into(),
        };
        let sync = SyncStatusEntry {
            state: SyncState::Failing.into(),
            last_run: Some(run(Outcome::Failed)),
            obstacles: vec![full],
            freshness: Freshness::Never.into(),
            ..well()
        };
        let told: Vec<&str> = judged(&sync).remarks.iter().map(|remark| remark.word).collect();
        assert_eq!(told, ["failed", "never copied"]);
        // A run that found what stands in the way tells of it first, and more calmly.
        let missing = ObstacleEntry {
            code: ObstacleCode::ToolMissing.into(),
            message: "the drive is full".into(),
            hint: "h".into(),
        };
        let skipped = SyncStatusEntry { last_run: Some(run(Outcome::Skipped)), obstacles: vec![missing], ..well() };
        is_not_well(&skipped, Grade::Bad, "impossible");
        let remarks = judged(&skipped).remarks;
        assert_eq!((remarks.len(), remarks[0].hint.as_str()), (1, "h"), "with what helps");
    }
}
