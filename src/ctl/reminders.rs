//! `overdue`: what a person should know, also where the daemon is dead. A timer of its own runs it.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use jiff::Timestamp;

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::output::{Form, Output};
use crate::formats::json;
use crate::formats::reminded::{Reminded, Reminder, Reminders};
use crate::formats::text::{count, listed, printable, relative};
use crate::formats::wire::{Request, StatusReply, SyncStatusEntry};
use crate::model::{Freshness, Notification, Now, StandIn, SyncState, Weight};
use crate::os::environment::Paths;
use crate::os::{clock, journal, notifications, service, state_dir};

/// How long nobody is reminded of the same again; a timer is not exact.
const DAILY: Duration = Duration::from_hours(23);

/// A reminder, and how much it presses.
type Weighed = (Reminder, Weight);

/// How things stand: as the daemon says, or without one as the state directory does.
enum Source {
    Daemon(StatusReply),
    State { why: String, status: Option<StatusReply> },
}

/// Tells what a person should know. On the desktop only where the daemon is dead, which tells it otherwise.
pub fn remind(
    paths: &Paths,
    output: &mut Output,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Exit, CommandError> {
    let source = look(paths, alone)?;
    let now = clock::now();
    let (daemon, mut reminders) = match &source {
        Source::Daemon(status) => ("running", reminders(status, &now)),
        Source::State { why, status } => {
            let dead = weighed(None, why.clone(), Weight::Pressing);
            let rest = status.as_ref().map(|status| reminders(status, &now)).unwrap_or_default();
            ("dead", [vec![dead], rest].concat())
        }
    };
    tell(paths, &source, &mut reminders, now.wall);
    let is_all_well = reminders.is_empty();
    let reminders: Vec<Reminder> = reminders.into_iter().map(|(reminder, _)| reminder).collect();
    match output.form() {
        Form::Json => output.print_json(&json::text(&Reminders { daemon, reminders }))?,
        Form::Text if is_all_well => output.confirm("nothing is overdue, and nothing fails")?,
        Form::Text => {
            let lines: Vec<String> = reminders.iter().map(|reminder| format!("{}\n", reminder.message)).collect();
            output.print(&lines.concat())?;
        }
    }
    Ok(match (&source, is_all_well) {
        (Source::State { .. }, _) => Exit::Unreachable,
        (Source::Daemon(_), true) => Exit::Fine,
        (Source::Daemon(_), false) => Exit::Failed,
    })
}

fn look(
    paths: &Paths,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Source, CommandError> {
    let asked = Connection::open(&paths.socket).and_then(|mut daemon| status(&mut daemon));
    match asked {
        Ok(status) => Ok(Source::Daemon(status)),
        Err(problem @ (CommandError::Stranger(..) | CommandError::Usage(_))) => Err(problem),
        Err(problem) => {
            let no_copies = "no copies are made";
            let dead = if let CommandError::NotRunning(_) = problem {
                format!("nbkpd is not running, {no_copies}: start it with `{}`", service::command("start"))
            } else {
                format!("nbkpd does not answer, {no_copies}: {}", problem.sentence())
            };
            let seen = alone(paths, StandIn::Looks).map_err(|(_, sentence)| sentence).and_then(|stream| {
                let mut connection = Connection::over(stream);
                // The copies that are there are looked at once; what is in reach does not matter here.
                let looked = connection.ask(&Request::Scan).and_then(|_| status(&mut connection));
                looked.map_err(|problem| problem.sentence())
            });
            Ok(match seen {
                Ok(status) => Source::State { why: dead, status: Some(status) },
                Err(sentence) => Source::State { why: format!("{dead} ({sentence})"), status: None },
            })
        }
    }
}

fn status(connection: &mut Connection) -> Result<StatusReply, CommandError> {
    Ok(connection.ask(&Request::Status { syncs: Vec::new() })?.decode()?)
}

/// What a person should know of a state.
fn reminders(status: &StatusReply, now: &Now) -> Vec<Weighed> {
    let why = "the configuration file is not in force: `nbkpctl config check` shows its mistakes";
    let refused = status.daemon.config_error.as_ref().map(|_| weighed(None, why.to_owned(), Weight::Standing));
    let fresh: BTreeSet<&str> =
        status.syncs.iter().filter(|sync| is_fresh(sync)).map(|sync| base(&sync.name)).collect();
    let of_syncs = status.syncs.iter().filter_map(|sync| {
        let (message, weight) = reminder(sync, fresh.contains(base(&sync.name)), now)?;
        Some(weighed(Some(sync.name.clone()), message, weight))
    });
    refused.into_iter().chain(of_syncs).collect()
}

fn weighed(sync: Option<String>, message: String, weight: Weight) -> Weighed {
    (Reminder { sync, message, told: false }, weight)
}

/// The name that the copies of a sync to a group have in common.
fn base(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

fn is_fresh(sync: &SyncStatusEntry) -> bool {
    sync.freshness.is(Freshness::Fresh)
}

/// What a person should know of a sync, and how much it presses. `is_fresh` says that another volume of its group has
/// a copy that is fresh: then it is this one's turn to be plugged in, and nothing is lost yet.
fn reminder(sync: &SyncStatusEntry, is_fresh: bool, now: &Now) -> Option<(String, Weight)> {
    let name = &sync.name;
    let first = sync.obstacles.first().map(|obstacle| format!("; {}", obstacle.message)).unwrap_or_default();
    match sync.state.known() {
        Some(SyncState::Disabled) => return None,
        Some(SyncState::Held) => {
            let message = format!("{name} waits for your word: `nbkpctl diff {name}`{first}");
            return Some((message, Weight::Pressing));
        }
        Some(SyncState::Failing) => {
            let why = sync.last_run.as_ref().and_then(|run| run.error.as_deref()).unwrap_or("see `nbkpctl history`");
            return Some((format!("{name} fails: {why}"), Weight::Standing));
        }
        Some(SyncState::Waiting | SyncState::Idle | SyncState::Queued | SyncState::Running) | None
            if sync.damaged() > 0 =>
        {
            let files = count(sync.damaged(), "file");
            let message = format!("{name} is damaged: {files} of its copies, which the next run writes anew{first}");
            return Some((message, Weight::Pressing));
        }
        Some(SyncState::Waiting | SyncState::Idle | SyncState::Queued | SyncState::Running) | None
            if sync.doubted() > 0 =>
        {
            let files = count(sync.doubted(), "file");
            let message = format!("{name} is in doubt: {files} of its source are not what its copies hold{first}");
            return Some((message, Weight::Pressing));
        }
        Some(SyncState::Waiting | SyncState::Idle | SyncState::Queued | SyncState::Running) | None => {}
    }
    if !sync.freshness.is(Freshness::Overdue) {
        return None;
    }
    let copied = match sync.last_success {
        Some(moment) => format!("last copied {}", relative(moment.0, now.wall)),
        None => "never copied".to_owned(),
    };
    Some(match name.split_once('@').filter(|_| is_fresh) {
        Some((_, volume)) => (format!("{volume} is due to rotate in: {name} was {copied}"), Weight::Standing),
        None => (format!("{name} is overdue: {copied}{first}"), Weight::Pressing),
    })
}

/// Reminds of what nobody was reminded of for a day, in the journal and on the desktop. That it was done is noted as
/// far as that can be: better twice than not at all.
fn tell(paths: &Paths, source: &Source, reminders: &mut [Weighed], now: Timestamp) {
    let before = state_dir::read_reminded(&paths.state_dir);
    let mut known = Reminded::default();
    for (reminder, _) in reminders.iter_mut() {
        let key = reminder.sync.clone().map_or_else(|| "nbkpd".to_owned(), |sync| format!("sync {sync}"));
        let last = before.0.get(&key).copied().filter(|last| {
            let age = now.duration_since(*last);
            !age.is_negative() && age.unsigned_abs() < DAILY
        });
        reminder.told = last.is_none();
        known.0.insert(key, last.unwrap_or(now));
    }
    let news: Vec<&Weighed> = reminders.iter().filter(|(reminder, _)| reminder.told).collect();
    for (reminder, _) in &news {
        journal::warn_as_service(&printable(&reminder.message));
    }
    if let (Source::State { .. }, false) = (source, news.is_empty()) {
        let _shown_or_nobody_there = notifications::show_alone(&notification(&news));
    }
    if known != before {
        let _kept_or_told_again = state_dir::write_reminded(&paths.state_dir, &known);
    }
}

/// All of it in one notification.
fn notification(news: &[&Weighed]) -> Notification {
    let presses = news.iter().any(|(_, weight)| *weight == Weight::Pressing);
    let weight = if presses { Weight::Pressing } else { Weight::Standing };
    let syncs: Vec<&str> = news.iter().filter_map(|(reminder, _)| reminder.sync.as_deref()).collect();
    let summary = match syncs.as_slice() {
        [] => "Backups are not made".to_owned(),
        _ => format!("Backups need you: {}", listed(syncs, "and")),
    };
    let body = news.iter().map(|(reminder, _)| reminder.message.as_str()).collect::<Vec<_>>().join("\n");
    Notification { summary, body, weight, button: None }
}
