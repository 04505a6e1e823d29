//! The state of everything at a glance.

use std::borrow::Cow;
use std::time::Duration;

use crate::ctl::output::Detail;
use crate::ctl::render::page::{Page, Tone, outcome_tone, paint};
use crate::ctl::render::table::column;
use crate::formats::text::{count, doubt_remedy, in_local_time, listed, printable, relative, size, span};
use crate::formats::wire::{
    CheckingEntry, ObstacleEntry, RunEntry, RunningEntry, StatusReply, SyncStatusEntry, Term, VolumeStatusEntry,
};
use crate::model::{DaemonState, Freshness, Now, ObstacleCode, Outcome, Step, SyncState};

/// The state of everything: troubles of the daemon first, then each sync with all that it waits for, then the rest.
#[must_use]
pub fn status(status: &StatusReply, now: &Now, detail: Detail) -> String {
    let mut page = Page::default();
    troubles(&mut page, status);
    if detail != Detail::Brief {
        page.line(daemon(status, now, detail));
        page.gap();
    }
    let names = column(status.syncs.iter().map(|sync| sync.name.as_str()));
    for (sync, name) in status.syncs.iter().zip(&names) {
        let running = status.running.iter().find(|run| run.sync == sync.name);
        self::sync(&mut page, (sync, name), running, now, detail);
        verified(&mut page, sync, status.checking.as_ref(), now, detail);
    }
    bygone(&mut page, status);
    if status.syncs.is_empty() {
        page.line("no syncs are configured; `nbkpctl init` sets up a first one");
    }
    if detail != Detail::Brief {
        surroundings(&mut page, status, detail);
    }
    in_local_time(&page.finish(), &now.zone)
}

fn troubles(page: &mut Page, status: &StatusReply) {
    if let Some(error) = &status.daemon.config_error {
        let config = printable(&status.daemon.config);
        page.line(paint(Tone::Bad, format!("✗ {config} is not in force, the configuration before it is:")));
        page.line(format!("  {}", printable(error)));
        page.hint("", "`nbkpctl config check` shows every mistake");
    }
    for sentence in &status.daemon.degraded {
        page.line(format!("{} {}", paint(Tone::Notice, "!"), printable(sentence)));
    }
}

fn daemon(status: &StatusReply, now: &Now, detail: Detail) -> String {
    let daemon = &status.daemon;
    let state = match &daemon.state {
        Term::Known(DaemonState::Running) => paint(Tone::Busy, "at work"),
        Term::Known(DaemonState::Paused) => format!("{} (`nbkpctl resume` ends it)", paint(Tone::Notice, "paused")),
        Term::Known(DaemonState::Idle) if !status.queue.is_empty() => "about to start".to_owned(),
        Term::Known(DaemonState::Idle) => "nothing to do".to_owned(),
        Term::Other(word) => printable(word).into_owned(),
    };
    if detail != Detail::Full {
        return format!("nbkpd: {state}");
    }
    let since = relative(daemon.started.0, now.wall);
    let (version, config) = (printable(&daemon.version), printable(&daemon.config));
    format!("nbkpd {version}: {state}; process {}, started {since}, configuration {config}", daemon.pid)
}

fn sync(
    page: &mut Page,
    (sync, name): (&SyncStatusEntry, &str),
    running: Option<&RunningEntry>,
    now: &Now,
    detail: Detail,
) {
    let (mark, tone) = mark(sync);
    let name = paint(Tone::Title, name);
    let state = paint(tone, format!("{:8}", printable(sync.state.as_str())));
    page.line(format!("{} {name}  {state}  {}", paint(tone, mark), freshness(sync, now)));
    if detail == Detail::Brief {
        return;
    }
    if let Some(running) = running {
        page.line(format!("    {}", paint(Tone::Busy, progress(running))));
    }
    if sync.damaged() > 0 {
        let what = format!("{} of its copies damaged", count(sync.damaged(), "file"));
        page.line(format!("    {}", paint(Tone::Bad, what)));
        let again =
            format!("the next run writes anew what the source still has; `nbkpctl verify {}` tells more", sync.name);
        page.hint("    ", &printable(&again));
    }
    if sync.doubted() > 0 {
        let what = format!("{} of its source in doubt: copies that agree hold another", count(sync.doubted(), "file"));
        page.line(format!("    {}", paint(Tone::Bad, what)));
        page.hint("    ", &printable(&doubt_remedy(&sync.name)));
    }
    // What went wrong comes first where that is what it stands for.
    let is_failing = sync.state.is(SyncState::Failing);
    let told = sync.last_run.iter().filter(|_| is_failing);
    told.for_each(|run| last_run(page, run, &sync.obstacles, now, detail));
    if !sync.state.is(SyncState::Disabled) {
        for obstacle in &sync.obstacles {
            let tone = if is_failing && obstacle.code.is(ObstacleCode::BackingOff) { Tone::Bad } else { Tone::Plain };
            page.line(format!("    {}", paint(tone, printable(&obstacle.message))));
            page.hint("    ", &obstacle.hint);
        }
    }
    let told = sync.last_run.iter().filter(|_| !is_failing);
    told.for_each(|run| last_run(page, run, &sync.obstacles, now, detail));
}

/// Whether its copies are being read back, and when they were last.
fn verified(page: &mut Page, sync: &SyncStatusEntry, checking: Option<&CheckingEntry>, now: &Now, detail: Detail) {
    if detail == Detail::Brief {
        return;
    }
    if let Some(check) = checking.filter(|check| check.sync == sync.name) {
        let read = format!("reading its copy back, {}, {} so far", count(check.files, "file"), size(check.bytes));
        page.line(format!("    {}", paint(Tone::Busy, read)));
    } else if let Some(last) = sync.last_verified.filter(|_| detail == Detail::Full) {
        page.line(format!("    copy read back {}", relative(last.0, now.wall)));
    }
}

/// What runs on under a name that the configuration has no longer.
fn bygone(page: &mut Page, status: &StatusReply) {
    for run in status.running.iter().filter(|run| run.bygone.unwrap_or_default()) {
        let name = paint(Tone::Title, printable(&run.sync));
        page.line(format!("{} {name}  {}", paint(Tone::Busy, "▶"), paint(Tone::Busy, progress(run))));
        let command = format!("`nbkpctl cancel {}` stops it", printable(&run.sync));
        page.hint("    ", &format!("the configuration has it no longer; it ends by itself, and {command}"));
    }
}

/// One line for scripts and monitors: that every copy is fresh, or which are not and why.
pub fn in_one_line(status: &StatusReply) -> Result<String, String> {
    let enabled: Vec<_> = status.syncs.iter().filter(|sync| !sync.state.is(SyncState::Disabled)).collect();
    let mut wrong: Vec<String> = enabled.iter().filter_map(|sync| trouble(sync)).collect();
    wrong.extend(status.daemon.config_error.iter().map(|_| "the configuration file is not in force".to_owned()));
    if !wrong.is_empty() {
        return Err(printable(&wrong.join("; ")).into_owned());
    }
    match enabled.len() {
        0 => Err("no sync is enabled: nothing is copied".to_owned()),
        fresh => Ok(format!("every copy is fresh ({})", count(u64::try_from(fresh).unwrap_or(u64::MAX), "sync"))),
    }
}

fn trouble(sync: &SyncStatusEntry) -> Option<String> {
    let failed = sync.last_run.as_ref().is_some_and(|run| run.outcome.is(Outcome::Failed));
    let state = match sync.state.known() {
        Some(SyncState::Failing) => Some("failing"),
        Some(SyncState::Held) => Some("held"),
        Some(SyncState::Disabled | SyncState::Waiting | SyncState::Idle | SyncState::Queued | SyncState::Running)
        | None => failed.then_some("its last run failed"),
    };
    let freshness = match sync.freshness.known() {
        Some(Freshness::Overdue) => Some("overdue"),
        Some(Freshness::Never) => Some("never copied"),
        Some(Freshness::Fresh) | None => None,
    };
    let damaged = (sync.damaged() > 0).then_some("damaged");
    let doubted = (sync.doubted() > 0).then_some("in doubt");
    let told: Vec<&str> = state.into_iter().chain(freshness).chain(damaged).chain(doubted).collect();
    (!told.is_empty()).then(|| format!("{}: {}", sync.name, told.join(", ")))
}

fn mark(sync: &SyncStatusEntry) -> (&'static str, Tone) {
    let is_at_rest = sync.state.is(SyncState::Idle) || sync.state.is(SyncState::Waiting);
    match (sync.state.known(), sync.freshness.known()) {
        _ if is_at_rest && (sync.damaged() > 0 || sync.doubted() > 0) => ("✗", Tone::Bad),
        (Some(SyncState::Running), _) => ("▶", Tone::Busy),
        (Some(SyncState::Queued), _) => ("…", Tone::Busy),
        (Some(SyncState::Held), _) => ("✋", Tone::Bad),
        (Some(SyncState::Failing), _) => ("✗", Tone::Bad),
        (Some(SyncState::Disabled), _) => ("-", Tone::Faint),
        (Some(SyncState::Idle), Some(Freshness::Fresh)) => ("✓", Tone::Good),
        (Some(SyncState::Waiting), Some(Freshness::Fresh)) => ("○", Tone::Plain),
        (Some(SyncState::Idle | SyncState::Waiting) | None, Some(Freshness::Overdue)) => ("✗", Tone::Bad),
        (Some(SyncState::Idle | SyncState::Waiting), Some(Freshness::Never) | None)
        | (None, Some(Freshness::Never | Freshness::Fresh) | None) => ("○", Tone::Notice),
    }
}

/// How old the last copy is, and when the next one comes.
fn freshness(sync: &SyncStatusEntry, now: &Now) -> String {
    let copied = match sync.last_success {
        None => "never copied".to_owned(),
        Some(moment) => format!("copied {}", relative(moment.0, now.wall)),
    };
    let copied = match sync.freshness {
        Term::Known(Freshness::Overdue) => paint(Tone::Bad, format!("overdue: {copied}")),
        Term::Known(Freshness::Never) => paint(Tone::Notice, copied),
        Term::Known(Freshness::Fresh) | Term::Other(_) => copied,
    };
    let ahead = |moment: jiff::Timestamp| relative(moment.max(now.wall), now.wall);
    let (is_idle, is_waiting) = (sync.state.is(SyncState::Idle), sync.state.is(SyncState::Waiting));
    match (sync.starts_at, sync.next_due) {
        (Some(moment), _) if moment.0 <= now.wall => format!("{copied}; starts now"),
        (Some(moment), _) => format!("{copied}; starts {}", ahead(moment.0)),
        (None, Some(moment)) if moment.0 > now.wall && is_idle => format!("{copied}; next {}", ahead(moment.0)),
        (None, Some(moment)) if moment.0 <= now.wall && (is_idle || is_waiting) => format!("{copied}; due"),
        (None, Some(_) | None) => copied,
    }
}

/// How far a run is: `copying, 40 %, 1.1 GiB, 34.0 MiB/s, 2 min left`.
#[must_use]
pub fn progress(run: &RunningEntry) -> String {
    let mut words = vec![step(&run.step).into_owned()];
    if let Some(percent) = run.percent {
        words.push(format!("{percent} %"));
    }
    if run.bytes > 0 {
        words.push(size(run.bytes));
    }
    if run.rate > 0 {
        words.push(format!("{}/s", size(run.rate)));
    }
    // Before the first byte is through, no time is known.
    if let Some(seconds) = run.eta_seconds.filter(|_| run.rate > 0) {
        words.push(format!("{} left", span(Duration::from_secs(seconds))));
    }
    if let Some(seconds) = run.still_seconds {
        words.push(format!("nothing moves for {}", span(Duration::from_secs(seconds))));
    }
    words.join(", ")
}

/// What a step does, in words.
#[must_use]
pub fn step(step: &Term<Step>) -> Cow<'_, str> {
    let step = match step {
        Term::Known(step) => step,
        Term::Other(word) => return printable(word),
    };
    match step {
        Step::Prove => "proving both ends",
        Step::Lock => "taking the lock",
        Step::Recover => "tidying up after an earlier run",
        Step::Fetch => "fetching repositories",
        Step::Before => "running the hook before it",
        Step::Copy => "copying",
        Step::Judge => "judging the copy",
        Step::Flush => "flushing it to the drive",
        Step::Commit => "naming the finished copy",
        Step::Record => "writing the log",
        Step::Prune => "deleting old snapshots",
        Step::After => "running the hook after it",
        Step::Undo => "cleaning up",
    }
    .into()
}

fn last_run(page: &mut Page, run: &RunEntry, obstacles: &[ObstacleEntry], now: &Now, detail: Detail) {
    let when = relative(run.finished.0, now.wall);
    let outcome = paint(outcome_tone(&run.outcome), printable(run.outcome.as_str()));
    match &run.error {
        // An obstacle that tells the same was shown just above.
        Some(error) if obstacles.iter().any(|obstacle| tells(obstacle, run, error)) => {}
        Some(error) => page.line(format!("    last run {outcome} {when}: {}", printable(error))),
        None if run.outcome.is(Outcome::Ok) && detail != Detail::Full => {}
        None => page.line(format!("    last run {outcome} {when} ({})", printable(&run.id))),
    }
    for warning in &run.warnings {
        page.line(format!("    {} {}", paint(Tone::Notice, "!"), printable(warning)));
    }
}

fn tells(obstacle: &ObstacleEntry, run: &RunEntry, error: &str) -> bool {
    match run.outcome {
        Term::Known(Outcome::Held) => {
            let codes = [ObstacleCode::Held, ObstacleCode::SourceIncomplete, ObstacleCode::ForeignWriter];
            codes.into_iter().any(|code| obstacle.code.is(code)) || obstacle.message.contains(error)
        }
        // The sentences of all obstacles that it met.
        Term::Known(Outcome::Skipped) => error.contains(&obstacle.message),
        Term::Known(Outcome::Ok | Outcome::Interrupted | Outcome::Failed) | Term::Other(_) => {
            obstacle.message.contains(error)
        }
    }
}

fn surroundings(page: &mut Page, status: &StatusReply, detail: Detail) {
    page.gap();
    if !status.queue.is_empty() {
        page.line(format!("queue: {}", printable(&status.queue.join(", "))));
    }
    if !status.locations.is_empty() {
        page.line(format!("locations: {}", printable(&listed(status.locations.iter().map(String::as_str), "and"))));
    }
    if status.network.metered == Some(true) {
        page.line("the network is metered");
    }
    if status.network.online == Some(false) {
        page.line("there is no network");
    }
    let names = column(status.volumes.iter().map(|volume| volume.name.as_str()));
    let kinds = column(status.volumes.iter().map(|volume| volume.kind.as_str()));
    for (volume, (name, kind)) in status.volumes.iter().zip(names.iter().zip(&kinds)) {
        self::volume(page, volume, (name, kind), detail);
    }
}

fn volume(page: &mut Page, volume: &VolumeStatusEntry, (name, kind): (&str, &str), detail: Detail) {
    let (mark, tone) = match (volume.present, volume.obstacles.is_empty()) {
        (true, true) => ("✓", Tone::Good),
        (true, false) => ("!", Tone::Notice),
        (false, _) => ("○", Tone::Plain),
    };
    let mut what: Vec<_> = volume.path.iter().map(|path| printable(path).into_owned()).collect();
    what.extend(volume.obstacles.iter().map(|obstacle| printable(&obstacle.message).into_owned()));
    page.line(format!("{} {name}  {kind}  {}", paint(tone, mark), what.join("; ")));
    if detail == Detail::Full {
        for obstacle in &volume.obstacles {
            page.hint("    ", &obstacle.hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::Reply;
    use crate::model::BootTime;

    fn now() -> Now {
        Now {
            boot: BootTime(Duration::ZERO),
            wall: "2026-11-22T17:30:00Z".parse().unwrap(),
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    const SAMPLE: &str = r#"{"parameters":{"version":1,
      "daemon":{"pid":7,"version":"0.1.0","started":"2026-11-22T14:30:00.000Z","state":"running","config":"/c.toml",
        "config_error":"line 3: no volume `ubs`","degraded":["udev cannot be heard: drives are not noticed"]},
      "locations":[],"network":{"online":null,"metered":null},
      "volumes":[{"name":"laptop","kind":"directory","present":true,"path":"/home/a","obstacles":[]},
        {"name":"usb","kind":"drive","present":false,"path":null,
         "obstacles":[{"code":"x","message":"drive `usb` is not plugged in","hint":"plug it in"}]}],
      "syncs":[
        {"name":"documents","state":"waiting","freshness":"overdue","obstacles":[
            {"code":"destination-volume-absent","message":"drive `usb` is not plugged in","hint":"plug it in"},
            {"code":"held","message":"a hold lies on volume `usb`","hint":"run `nbkpctl release usb`"}],
          "last_success":"2026-11-13T17:30:00.000Z","last_run":null,"next_due":"2026-11-13T18:30:00.000Z",
          "overdue_at":null},
        {"name":"mail","state":"idle","freshness":"fresh","obstacles":[],"last_success":"2026-11-22T17:27:00.000Z",
          "last_run":{"id":"r","outcome":"ok","started":"2026-11-22T17:26:59.000Z",
            "finished":"2026-11-22T17:27:00.000Z",
            "trigger":"drive","files_transferred":1,"bytes_transferred":1,"error":null,"warnings":["2 files vanished"]},
          "next_due":"2026-11-22T18:27:00.000Z","overdue_at":null},
        {"name":"photos","state":"running","freshness":"never","obstacles":[],"last_success":null,
          "last_run":{"id":"r","outcome":"failed","started":"2026-11-22T17:26:59.000Z",
            "finished":"2026-11-22T17:27:00.000Z",
            "trigger":"drive","files_transferred":1,"bytes_transferred":1,"error":"no space (make room)"},
          "next_due":null,"overdue_at":null}],
      "queue":["mail"],
      "running":[{"sync":"photos","run":"r","step":"copy","percent":40,"bytes":1288490188,"rate":35651584,
        "eta_seconds":125}]}}"#;

    fn sample() -> StatusReply {
        Reply::read(SAMPLE.as_bytes()).unwrap().unwrap().decode().unwrap()
    }

    #[test]
    fn what_is_damaged_is_never_shown_as_well() {
        let fresh = r#""next_due":"2026-11-22T18:27:00.000Z","overdue_at":null}"#;
        assert!(SAMPLE.contains(fresh));
        let text = SAMPLE.replace(fresh, &fresh.replace('}', r#","damaged":2}"#));
        let reply: StatusReply = Reply::read(text.as_bytes()).unwrap().unwrap().decode().unwrap();
        let shown = plain(&status(&reply, &now(), Detail::Usual));
        assert!(shown.contains("✗ mail") && shown.contains("2 files of its copies damaged"), "{shown}");
        assert!(in_one_line(&reply).unwrap_err().contains("mail: damaged"));
        let text = SAMPLE.replace(fresh, &fresh.replace('}', r#","damaged":0,"doubted":1}"#));
        let reply: StatusReply = Reply::read(text.as_bytes()).unwrap().unwrap().decode().unwrap();
        let shown = plain(&status(&reply, &now(), Detail::Usual));
        assert!(shown.contains("✗ mail") && shown.contains("1 file of its source in doubt"), "{shown}");
        assert!(in_one_line(&reply).unwrap_err().contains("mail: in doubt"));
    }

    #[test]
    fn a_run_whose_sync_is_configured_no_longer_is_shown() {
        let run = r#""running":[{"sync":"old","bygone":true,"run":"q","step":"copy","percent":7,"bytes":0,"rate":0,
            "eta_seconds":null},{"sync":"photos""#;
        let text = SAMPLE.replace(r#""running":[{"sync":"photos""#, run);
        let reply: StatusReply = Reply::read(text.as_bytes()).unwrap().unwrap().decode().unwrap();
        let shown = plain(&status(&reply, &now(), Detail::Usual));
        let why = "the configuration has it no longer; it ends by itself, and `nbkpctl cancel old` stops it";
        let expected = format!("▶ old  copying, 7 %\n      → {why}\n");
        assert!(shown.contains(&expected), "{shown}");
        assert_eq!(shown.matches("cancel").count(), 1, "{shown}");
    }

    #[test]
    fn everything_is_seen_at_a_glance() {
        let expected = "\
✗ /c.toml is not in force, the configuration before it is:
  line 3: no volume `ubs`
  → `nbkpctl config check` shows every mistake
! udev cannot be heard: drives are not noticed
nbkpd: at work

✗ documents  waiting   overdue: copied 9 days ago; due
    drive `usb` is not plugged in
      → plug it in
    a hold lies on volume `usb`
      → run `nbkpctl release usb`
✓ mail       idle      copied 3 min ago; next in 57 min
    ! 2 files vanished
▶ photos     running   never copied
    copying, 40 %, 1.1 GiB, 34.0 MiB/s, 2 min left
    last run failed 3 min ago: no space (make room)

queue: mail
✓ laptop  directory  /home/a
○ usb     drive      drive `usb` is not plugged in
";
        assert_eq!(plain(&status(&sample(), &now(), Detail::Usual)), expected);
    }

    #[test]
    fn brief_is_one_line_for_each_sync_and_the_troubles() {
        let text = plain(&status(&sample(), &now(), Detail::Brief));
        assert_eq!(text.lines().count(), 4 + 3, "{text}");
        let text = plain(&status(&sample(), &now(), Detail::Full));
        assert!(text.contains("process 7, started 3 h ago, configuration /c.toml"), "{text}");
    }

    #[test]
    fn what_fails_looks_like_it() {
        let mut reply = sample();
        reply.running.clear();
        let photos = reply.syncs.last_mut().unwrap();
        photos.state = SyncState::Failing.into();
        photos.obstacles = vec![ObstacleEntry {
            code: ObstacleCode::BackingOff.into(),
            message: "no space (make room); it is tried again at noon".into(),
            hint: "wait".into(),
        }];
        let text = status(&reply, &now(), Detail::Usual);
        assert!(
            text.contains("\u{1b}[31m✗\u{1b}[0m") && text.contains("    \u{1b}[31mno space (make room);"),
            "{text:?}"
        );
        assert!(plain(&text).contains("✗ photos     failing   never copied\n    no space (make room);"), "{text}");
        // Another daemon has begun since, and knows no pace yet.
        let photos = reply.syncs.last_mut().unwrap();
        photos.obstacles[0].code = ObstacleCode::NoSpace.into();
        photos.obstacles[0].message = "no inodes".into();
        let text = plain(&status(&reply, &now(), Detail::Usual));
        let (run, obstacle) = (text.find("last run failed").unwrap(), text.find("no inodes").unwrap());
        assert!(run < obstacle, "{text}");
    }

    #[test]
    fn a_check_is_one_line_and_only_fresh_copies_are_well() {
        let mut reply = sample();
        let told = in_one_line(&reply).unwrap_err();
        assert_eq!(
            told,
            "documents: overdue; photos: its last run failed, never copied; the configuration file is not in force"
        );
        reply.daemon.config_error = None;
        for sync in &mut reply.syncs {
            (sync.state, sync.freshness, sync.last_run) = (SyncState::Waiting.into(), Freshness::Fresh.into(), None);
        }
        assert_eq!(in_one_line(&reply), Ok("every copy is fresh (3 syncs)".into()));
        for (state, word) in [(SyncState::Failing, "failing"), (SyncState::Held, "held")] {
            reply.syncs[1].state = state.into();
            assert_eq!(in_one_line(&reply), Err(format!("mail: {word}")));
        }
        for sync in &mut reply.syncs {
            sync.state = SyncState::Disabled.into();
        }
        assert!(in_one_line(&reply).is_err());
    }

    #[test]
    fn an_error_that_an_obstacle_tells_is_told_once() {
        let mut reply = sample();
        let photos = reply.syncs.last_mut().unwrap();
        photos.obstacles = vec![ObstacleEntry {
            code: ObstacleCode::BackingOff.into(),
            message: "the last attempt failed, the next comes at noon: no space (make room)".into(),
            hint: "wait".into(),
        }];
        let text = plain(&status(&reply, &now(), Detail::Usual));
        assert_eq!(text.matches("no space").count(), 1, "{text}");

        let photos = reply.syncs.last_mut().unwrap();
        photos.last_run.as_mut().unwrap().outcome = Outcome::Held.into();
        photos.obstacles[0].code = ObstacleCode::Held.into();
        photos.obstacles[0].message = "the last run was held: too many".into();
        let text = plain(&status(&reply, &now(), Detail::Usual));
        assert!(!text.contains("no space"), "{text}");

        let photos = reply.syncs.last_mut().unwrap();
        let run = photos.last_run.as_mut().unwrap();
        run.outcome = Outcome::Skipped.into();
        run.error = Some("the lock is taken (wait); it is paused (wait)".into());
        photos.obstacles[0].message = "the lock is taken".into();
        let text = plain(&status(&reply, &now(), Detail::Usual));
        assert_eq!(text.matches("the lock is taken").count(), 1, "{text}");
    }

    #[test]
    fn nothing_can_reach_the_terminal_that_it_would_obey() {
        let mut reply = sample();
        for text in [
            &mut reply.daemon.config,
            &mut reply.daemon.degraded[0],
            &mut reply.syncs[0].obstacles[0].message,
            &mut reply.volumes[1].obstacles[0].message,
        ] {
            text.push_str("\u{1b}]0;owned\u{7}\u{202e}\r");
        }
        reply.running[0].step = Term::Other("copy\u{1b}]0;owned\u{7}\u{202e}\r".into());
        reply.syncs[1].name.push('\r');
        reply.syncs[0].obstacles[1].hint = "\u{1b}[2J".into();
        reply.daemon.config_error = Some("\u{1b}[2J".into());
        for detail in [Detail::Brief, Detail::Usual, Detail::Full] {
            let text = status(&reply, &now(), detail);
            let ours = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m"];
            let rest = ours.iter().fold(text, |text, code| text.replace(code, ""));
            assert!(!rest.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{rest:?}");
        }
    }

    #[test]
    fn a_start_that_is_near_is_announced() {
        let mut reply = sample();
        reply.syncs[0].starts_at = Some(crate::formats::wire::Moment("2026-11-22T17:30:08Z".parse().unwrap()));
        assert!(plain(&status(&reply, &now(), Detail::Brief)).contains("copied 9 days ago; starts in 8 s"));
        reply.syncs[0].starts_at = Some(crate::formats::wire::Moment("2026-11-22T17:30:00Z".parse().unwrap()));
        reply.daemon.state = DaemonState::Idle.into();
        let text = plain(&status(&reply, &now(), Detail::Usual));
        assert!(text.contains("copied 9 days ago; starts now"), "{text}");
        assert!(text.contains("nbkpd: about to start"), "{text}");
    }
}
