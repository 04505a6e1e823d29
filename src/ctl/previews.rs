//! `run --dry-run` and `diff`: what runs would do, told line by line.

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::RunOptions;
use crate::ctl::output::{Detail, Form, Output};
use crate::ctl::render;
use crate::ctl::render::page::{Tone, paint};
use crate::formats::text::printable;
use crate::formats::wire::{Flow, Mode, Moment, PreviewEnd, PreviewLine, PreviewLineKind, Request, WholePreview};
use crate::formats::{json, when};
use crate::model::SyncName;
use crate::os::clock;

/// `run --dry-run`.
pub fn dry_run(connection: &mut Connection, output: &mut Output, options: RunOptions) -> Result<Exit, CommandError> {
    let are_named = !options.syncs.is_empty();
    let end = tell(connection, output, &Request::Preview { syncs: options.syncs }, |_| true)?;
    Ok(match (end.syncs.is_empty(), end.problems.is_empty()) {
        (true, _) if options.strict => Exit::NothingRan,
        // Without names some are always out of reach.
        (_, false) if are_named => Exit::Failed,
        (_, _) => Exit::Fine,
    })
}

/// `diff`.
pub fn diff(
    connection: &mut Connection,
    output: &mut Output,
    sync: SyncName,
    between: Option<&[String]>,
) -> Result<Exit, CommandError> {
    let now = clock::now();
    let moment = |text: &String| {
        let moment = when::parse(text, &now).map(Moment);
        moment.map_err(|why| CommandError::Usage(format!("--between: {why}")))
    };
    let mut moments = between.unwrap_or_default().iter().map(moment);
    let (older, newer) = (moments.next().transpose()?, moments.next().transpose()?);
    let is_wanted = |line: &PreviewLine| line.kind.is(PreviewLineKind::Change) || line.kind.is(PreviewLineKind::Note);
    let end = tell(connection, output, &Request::Diff { sync, older, newer }, is_wanted)?;
    Ok(if end.problems.is_empty() { Exit::Fine } else { Exit::Failed })
}

fn tell(
    connection: &mut Connection,
    output: &mut Output,
    request: &Request,
    is_wanted: impl Fn(&PreviewLine) -> bool,
) -> Result<PreviewEnd, CommandError> {
    connection.send(request, Mode::More)?;
    let mut gathered = Vec::new();
    let mut shown = String::new();
    loop {
        let reply = connection.next()?;
        if reply.flow == Flow::Ends {
            let end: PreviewEnd = reply.decode()?;
            match output.form() {
                Form::Json => {
                    let PreviewEnd { syncs, problems } = end.clone();
                    output.print_json(&json::text(&WholePreview { syncs, problems, lines: gathered }))?;
                }
                Form::Text => output.print(&render::preview::sums(&end))?,
            }
            return Ok(end);
        }
        let line: PreviewLine = reply.decode()?;
        match (output.form(), output.detail()) {
            _ if !is_wanted(&line) => {}
            (Form::Json, _) => gathered.push(line),
            (Form::Text, Detail::Brief) => {}
            (Form::Text, Detail::Usual | Detail::Full) => {
                if line.sync != shown {
                    output.print(&format!("{}\n", paint(Tone::Title, printable(&line.sync))))?;
                    shown.clone_from(&line.sync);
                }
                output.print(&format!("{}\n", render::preview::line(&line)))?;
            }
        }
    }
}
