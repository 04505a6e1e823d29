//! Commands that ask once and show the answer.

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::output::{Form, Output};
use crate::ctl::render;
use crate::formats::json;
use crate::formats::wire::{Drives, HistoryReply, Prepared, Pruned, Reply, Request, Snapshots, SyncProblem};
use crate::model::{Intruding, Pruning, SyncName, Weighing};
use crate::os::causes::chain;
use crate::os::{clock, disks};

/// `status`.
pub fn status(connection: &mut Connection, output: &mut Output, syncs: Vec<SyncName>) -> Result<Exit, CommandError> {
    show(connection, output, &Request::Status { syncs }, |reply, output| {
        Ok(render::status::status(&reply.decode()?, &clock::now(), output.detail()))
    })
}

/// `status --check`.
pub fn check_status(
    connection: &mut Connection,
    output: &mut Output,
    syncs: Vec<SyncName>,
) -> Result<Exit, CommandError> {
    let reply = connection.ask(&Request::Status { syncs })?;
    let found = render::status::in_one_line(&reply.decode()?);
    let exit = if found.is_ok() { Exit::Fine } else { Exit::Failed };
    match output.form() {
        Form::Json => answer(output, &reply, String::new)?,
        // One line, however wide: for what reads it.
        Form::Text => output.print_as_it_is(&(found.unwrap_or_else(|wrong| wrong) + "\n"))?,
    }
    Ok(exit)
}

/// `scan`.
pub fn scan(connection: &mut Connection, output: &mut Output) -> Result<Exit, CommandError> {
    connection.ask(&Request::Scan)?;
    status(connection, output, Vec::new())
}

/// `why`.
pub fn why(connection: &mut Connection, output: &mut Output, sync: SyncName) -> Result<Exit, CommandError> {
    show(connection, output, &Request::Why { sync }, |reply, _| {
        Ok(render::why::why(&reply.decode()?, &clock::now().zone))
    })
}

/// `list`.
pub fn list(connection: &mut Connection, output: &mut Output) -> Result<Exit, CommandError> {
    show(connection, output, &Request::List, |reply, output| {
        Ok(render::listing::listing(&reply.decode()?, output.room()))
    })
}

/// `drives`.
pub fn drives(connection: &mut Connection, output: &mut Output) -> Result<Exit, CommandError> {
    show(connection, output, &Request::Drives, |reply, output| {
        Ok(render::drives::drives(&reply.decode()?, output.detail(), output.room()))
    })
}

/// `drives`, where there is no configuration that a daemon could go by: none of them is known.
pub fn drives_without_daemon(output: &mut Output) -> Result<Exit, CommandError> {
    let devices = disks::enumerate().map_err(|error| CommandError::Failed(format!("could not {}", chain(&error))))?;
    let drives = Drives::of(&devices, |_| None);
    match output.form() {
        Form::Json => output.print_json(&json::text(&drives))?,
        Form::Text => output.print(&render::drives::drives(&drives, output.detail(), output.room()))?,
    }
    Ok(Exit::Fine)
}

/// `history`; the request is the whole question.
pub fn show_history(
    connection: &mut Connection,
    output: &mut Output,
    question: &Request,
) -> Result<Exit, CommandError> {
    show(connection, output, question, |reply, output| {
        let history: HistoryReply = reply.decode()?;
        Ok(render::history::history(&history, &clock::now(), output.detail(), output.room()))
    })
}

/// `snapshots`.
pub fn snapshots(
    connection: &mut Connection,
    output: &mut Output,
    sync: Option<SyncName>,
    sizes: Weighing,
) -> Result<Exit, CommandError> {
    let is_named = sync.is_some();
    let reply = connection.ask(&Request::Snapshots { syncs: sync.into_iter().collect(), sizes })?;
    let snapshots: Snapshots = reply.decode()?;
    let (detail, room) = (output.detail(), output.room());
    answer(output, &reply, || render::snapshots::snapshots(&snapshots, &clock::now(), (detail, sizes), room))?;
    Ok(done(is_named, &snapshots.problems))
}

/// `prune`.
pub fn prune(
    connection: &mut Connection,
    output: &mut Output,
    syncs: Vec<SyncName>,
    pruning: Pruning,
) -> Result<Exit, CommandError> {
    let are_named = !syncs.is_empty();
    let reply = connection.ask(&Request::Prune { syncs, dry_run: pruning })?;
    let pruned: Pruned = reply.decode()?;
    answer(output, &reply, || render::prune::pruned(&pruned, pruning))?;
    let left = pruning == Pruning::Real && pruned.pruned.iter().any(|snapshot| !snapshot.removed);
    Ok(if left { Exit::Failed } else { done(are_named, &pruned.problems) })
}

/// What is out of reach counts where it was named: without names some always is.
fn done(are_named: bool, problems: &[SyncProblem]) -> Exit {
    if are_named && !problems.is_empty() { Exit::Failed } else { Exit::Fine }
}

/// `prepare`.
pub fn prepare(connection: &mut Connection, output: &mut Output, syncs: Vec<SyncName>) -> Result<Exit, CommandError> {
    // Whoever calls this has seen what lies there, or is told of it.
    let reply = connection.ask(&Request::Prepare { syncs, only_free: Intruding::Allowed })?;
    let prepared: Prepared = reply.decode()?;
    let detail = output.detail();
    answer(output, &reply, || render::prepare::prepared(&prepared, detail))?;
    let complete = prepared.syncs.iter().all(|sync| sync.problems.is_empty());
    Ok(if complete { Exit::Fine } else { Exit::Failed })
}

fn show(
    connection: &mut Connection,
    output: &mut Output,
    request: &Request,
    text: impl FnOnce(&Reply, &Output) -> Result<String, CommandError>,
) -> Result<Exit, CommandError> {
    let reply = connection.ask(request)?;
    match output.form() {
        Form::Json => output.print_json(&reply.parameters)?,
        Form::Text => {
            let text = text(&reply, output)?;
            output.print(&text)?;
        }
    }
    Ok(Exit::Fine)
}

fn answer(output: &mut Output, reply: &Reply, text: impl FnOnce() -> String) -> Result<(), CommandError> {
    match output.form() {
        Form::Json => output.print_json(&reply.parameters),
        Form::Text => output.print(&text()),
    }
}
