//! `status --watch`: the state as it changes.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::fold::{folded, rows};
use crate::ctl::output::{Form, Output};
use crate::ctl::render::page::{Tone, paint};
use crate::ctl::render::{history, status};
use crate::formats::text::printable;
use crate::formats::wire::{Mode, Request, StatusReply, SyncStatusEntry};
use crate::model::{Now, SyncName, SyncState};
use crate::os::clock;
use crate::os::terminal::{self, Extent};

/// How often "3 min ago" is brought up to date while nothing else happens.
const REFRESH: Duration = Duration::from_secs(20);

/// `status --watch`; it ends with the daemon, or when nobody reads any more.
pub fn follow_status(
    connection: &mut Connection,
    output: &mut Output,
    syncs: Vec<SyncName>,
) -> Result<Exit, CommandError> {
    connection.send(&Request::Status { syncs }, Mode::More)?;
    match output.form() {
        Form::Json => loop {
            let reply = connection.next()?;
            output.print_json(&reply.parameters)?;
        },
        Form::Text if io::stdout().is_terminal() => redraw(connection, output),
        Form::Text => append(connection, output),
    }
}

fn redraw(connection: &mut Connection, output: &mut Output) -> Result<Exit, CommandError> {
    let mut state: StatusReply = connection.next()?.decode()?;
    // What stood there before scrolls away rather than being lost.
    let height = terminal::extent().map_or(0, |extent| extent.lines);
    output.print(&"\n".repeat(height))?;
    loop {
        let text = status::status(&state, &clock::now(), output.detail());
        let text = output.room().map_or(text.clone(), |room| folded(&text, room));
        output.draw(&fitting(&text, terminal::extent()))?;
        if let Some(reply) = connection.next_within(REFRESH)? {
            state = reply.decode()?;
        }
    }
}

/// The lines from the first on that fit on a screen, on which long lines take several rows.
fn fitting(text: &str, extent: Option<Extent>) -> Vec<&str> {
    let Extent { lines, columns } = extent.unwrap_or(Extent { lines: usize::MAX, columns: usize::MAX });
    // The cursor ends on a row of its own.
    let mut room = lines.saturating_sub(1);
    text.lines()
        .take_while(|line| {
            let needed = rows(line, columns);
            let fits = needed <= room;
            room = room.saturating_sub(needed);
            fits
        })
        .collect()
}

fn append(connection: &mut Connection, output: &mut Output) -> Result<Exit, CommandError> {
    let mut told = Told::default();
    loop {
        let state: StatusReply = connection.next()?.decode()?;
        let lines = told.changes(&state, &clock::now());
        output.print(&lines)?;
    }
}

/// What was told last: of the daemon, and of each sync.
#[derive(Debug, Default)]
struct Told {
    daemon: String,
    syncs: BTreeMap<String, String>,
}

impl Told {
    /// A line for each change since the last time.
    fn changes(&mut self, status: &StatusReply, now: &Now) -> String {
        let mut lines = String::new();
        let time = history::local(now.wall, &now.zone);
        let mut line = |text: &str| lines.extend([time.as_str(), "  ", text, "\n"]);
        let daemon = daemon(status);
        if self.daemon != daemon {
            line(&daemon);
            self.daemon = daemon;
        }
        for sync in &status.syncs {
            let text = self::sync(sync, status);
            if self.syncs.get(&sync.name) != Some(&text) {
                line(&format!("{}: {text}", paint(Tone::Title, printable(&sync.name))));
                self.syncs.insert(sync.name.clone(), text);
            }
        }
        self.syncs.retain(|name, _| status.syncs.iter().any(|sync| sync.name == *name));
        lines
    }
}

fn daemon(status: &StatusReply) -> String {
    let mut parts = vec![format!("nbkpd: {}", printable(status.daemon.state.as_str()))];
    if let Some(error) = &status.daemon.config_error {
        parts.push(format!("the configuration file is not in force: {}", printable(error)));
    }
    parts.extend(status.daemon.degraded.iter().map(|sentence| printable(sentence).into_owned()));
    parts.join("; ")
}

/// What is worth a line when it changes; how far a copy is, is not.
fn sync(sync: &SyncStatusEntry, status: &StatusReply) -> String {
    let mut parts = vec![printable(sync.state.as_str()).into_owned()];
    let running = status.running.iter().find(|run| run.sync == sync.name);
    parts.extend(running.map(|run| status::step(&run.step).into_owned()));
    if !sync.state.is(SyncState::Disabled) {
        parts.extend(sync.obstacles.iter().map(|obstacle| printable(&obstacle.message).into_owned()));
    }
    if let (None, Some(run)) = (running, &sync.last_run) {
        let error = run.error.as_ref().map(|error| format!(" ({})", printable(error))).unwrap_or_default();
        parts.push(format!("last run {}: {}{error}", printable(&run.id), printable(run.outcome.as_str())));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::render::page::plain;
    use crate::formats::wire::Reply;
    use crate::model::BootTime;

    fn state(sync: &str, running: &str) -> StatusReply {
        let text = format!(
            r#"{{"parameters":{{"version":1,"daemon":{{"pid":7,"version":"0.1.0","started":"2026-11-22T14:30:00.000Z",
            "state":"idle","config":"/c.toml","config_error":null,"degraded":[]}},"locations":[],
            "network":{{"online":null,"metered":null}},"volumes":[],"syncs":[{{"name":"mail","state":"{sync}",
            "freshness":"never","obstacles":[],"last_success":null,"last_run":null,"next_due":null,"overdue_at":null}}],
            "queue":[],"running":[{running}]}}}}"#
        );
        Reply::read(text.as_bytes()).unwrap().unwrap().decode().unwrap()
    }

    #[test]
    fn only_what_changed_is_told() {
        let wall = "2026-11-22T17:30:00Z".parse().unwrap();
        let now = Now { boot: BootTime(Duration::ZERO), wall, zone: jiff::tz::TimeZone::UTC };
        let copying = |percent| {
            let run = format!(
                r#"{{"sync":"mail","run":"r","step":"copy","percent":{percent},"bytes":1,"rate":1,"eta_seconds":null}}"#
            );
            state("running", &run)
        };
        let mut told = Told::default();
        let mut tell = |status: &StatusReply| plain(&told.changes(status, &now));
        assert_eq!(tell(&state("idle", "")), "2026-11-22 17:30:00  nbkpd: idle\n2026-11-22 17:30:00  mail: idle\n");
        assert_eq!(tell(&state("idle", "")), "");
        assert_eq!(tell(&copying(1)), "2026-11-22 17:30:00  mail: running; copying\n");
        assert_eq!(tell(&copying(2)), "");
        assert_eq!(tell(&state("idle", "")), "2026-11-22 17:30:00  mail: idle\n");
    }

    #[test]
    fn a_screen_takes_what_fits_counting_long_lines_as_several() {
        let text = "one\n\u{1b}[31mtwo\u{1b}[0m\nlonger than ten\nfour\n";
        let fits = |lines, columns| fitting(text, Some(Extent { lines, columns })).len();
        assert_eq!(fits(10, 10), 4);
        assert_eq!(fits(6, 10), 4);
        assert_eq!(fits(5, 10), 3);
        assert_eq!(fits(4, 10), 2);
        assert_eq!(fits(5, 80), 4);
        assert_eq!(fits(1, 80), 0);
        assert_eq!(fitting(text, None).len(), 4);
        // Three signs of two columns each.
        assert_eq!(fitting("写真と\nfour\n", Some(Extent { lines: 3, columns: 5 })).len(), 1);
    }
}
