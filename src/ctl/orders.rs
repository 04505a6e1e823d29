//! Commands that tell the daemon what to do, and confirm it with a sentence.

use std::time::Duration;

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::output::{Form, Output};
use crate::formats::duration;
use crate::formats::text::{listed, printable};
use crate::formats::wire::{Approved, Cancelled, ClosedDrive, Mounted, Reply, Request};
use crate::model::{SyncName, VolumeName};

/// `cancel`.
pub fn cancel(connection: &mut Connection, output: &mut Output, syncs: Vec<SyncName>) -> Result<Exit, CommandError> {
    order(connection, output, &Request::Cancel { syncs }, |reply| {
        let Cancelled { cancelled } = reply.decode()?;
        Ok(if cancelled.is_empty() {
            "nothing ran and nothing waited".to_owned()
        } else {
            format!("cancelled {}", printable(&listed(cancelled.iter().map(String::as_str), "and")))
        })
    })
}

/// `pause`.
pub fn pause(connection: &mut Connection, output: &mut Output, length: Option<Duration>) -> Result<Exit, CommandError> {
    order(connection, output, &Request::Pause { seconds: length }, |_| {
        Ok(match length {
            Some(length) => format!("paused for {}; `nbkpctl resume` ends it sooner", duration::format(length)),
            None => "paused until `nbkpctl resume`".to_owned(),
        })
    })
}

/// `resume`.
pub fn resume(connection: &mut Connection, output: &mut Output) -> Result<Exit, CommandError> {
    order(connection, output, &Request::Resume, |_| Ok("resumed: what is possible and due runs again".to_owned()))
}

/// `hold`.
pub fn hold(
    connection: &mut Connection,
    output: &mut Output,
    volume: VolumeName,
    length: Option<Duration>,
) -> Result<Exit, CommandError> {
    let (span, sooner) = match length {
        Some(length) => (format!(" for {}", duration::format(length)), " sooner"),
        None => (String::new(), ""),
    };
    let sentence =
        format!("a hold lies on `{volume}`{span}, and nothing runs on it; `nbkpctl release {volume}` ends it{sooner}");
    order(connection, output, &Request::Hold { volume, seconds: length }, |_| Ok(sentence))
}

/// `release`.
pub fn release(connection: &mut Connection, output: &mut Output, volume: VolumeName) -> Result<Exit, CommandError> {
    let sentence = format!("`{volume}` is used again");
    order(connection, output, &Request::Release { volume }, |_| Ok(sentence))
}

/// `mount`.
pub fn mount(connection: &mut Connection, output: &mut Output, volume: VolumeName) -> Result<Exit, CommandError> {
    let begin = format!("`{volume}` is mounted at");
    let end = format!("`nbkpctl eject {volume}` closes it");
    order(connection, output, &Request::Mount { volume }, |reply| {
        let Mounted { path } = reply.decode()?;
        Ok(format!("{begin} {}; {end}", printable(&path)))
    })
}

/// `unmount` and `eject`.
pub fn close(connection: &mut Connection, output: &mut Output, request: &Request) -> Result<Exit, CommandError> {
    let reply = connection.ask(request)?;
    let ClosedDrive { safe_to_remove, message, .. } = reply.decode()?;
    match output.form() {
        Form::Json => output.print_json(&reply.parameters)?,
        Form::Text if safe_to_remove => output.confirm(&printable(&message))?,
        Form::Text => output.complain(&printable(&message)),
    }
    Ok(if safe_to_remove { Exit::Fine } else { Exit::Failed })
}

/// `approve`.
pub fn approve(connection: &mut Connection, output: &mut Output, sync: SyncName) -> Result<Exit, CommandError> {
    let nothing = format!("nothing of `{sync}` waits for approval");
    order(connection, output, &Request::Approve { sync }, |reply| {
        let Approved { approved } = reply.decode()?;
        let lines: Vec<_> = approved.iter().map(|sentence| format!("approved: {}", printable(sentence))).collect();
        Ok(if lines.is_empty() { nothing } else { lines.join("\n") })
    })
}

fn order(
    connection: &mut Connection,
    output: &mut Output,
    request: &Request,
    sentence: impl FnOnce(&Reply) -> Result<String, CommandError>,
) -> Result<Exit, CommandError> {
    let reply = connection.ask(request)?;
    match output.form() {
        Form::Json => output.print_json(&reply.parameters)?,
        Form::Text => output.confirm(&sentence(&reply)?)?,
    }
    Ok(Exit::Fine)
}
