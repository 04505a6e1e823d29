//! `run`: queues syncs, and waits for their end if that is wanted.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use crate::ctl::bars::ProgressView;
use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::RunOptions;
use crate::ctl::output::{Detail, Form, Output};
use crate::ctl::render;
use crate::formats::wire::{Flow, Mode, Reply, Request, RunEnd, RunEntry, RunProgress, Term};
use crate::model::{Outcome, SyncName};
use crate::os::clock;
use crate::os::terminal::before_interrupted;

/// Whether the command stays until the runs have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It ends once they are queued.
    Leaves,
    /// It stays, and does the work itself.
    Stays,
    /// It stays, while the daemon does the work.
    Watches,
}

/// `run`.
pub fn request_runs(
    connection: &mut Connection,
    output: &mut Output,
    options: &RunOptions,
    patience: Patience,
) -> Result<Exit, CommandError> {
    let request = Request::Run { syncs: options.syncs.clone(), force: options.force };
    output.go_on_unheard();
    let end = match patience {
        Patience::Leaves => queue(connection, output, &request)?,
        Patience::Stays => wait(connection, output, &request)?,
        Patience::Watches => {
            before_interrupted(|| {
                let _ = writeln!(io::stderr(), "\nnbkpctl: what was begun goes on; `nbkpctl cancel` stops it");
            });
            wait(connection, output, &request)?
        }
    };
    let ran = match patience {
        Patience::Leaves => end.accepted.iter().any(|sync| sync.queued),
        // Who named what is to be copied and waits for it would take 0 for a copy.
        Patience::Stays | Patience::Watches if !options.syncs.is_empty() => {
            options.syncs.iter().all(|asked| is_copied(&end, asked))
        }
        Patience::Stays | Patience::Watches => end.runs.iter().any(|run| !run.outcome.is(Outcome::Skipped)),
    };
    let counts = options.strict || (patience != Patience::Leaves && !options.syncs.is_empty());
    match (worst(&end), ran) {
        (Exit::Fine, false) if counts => Ok(Exit::NothingRan),
        // How the runs went counts for more than that it could not be told.
        (Exit::Fine, _) => output.unheard().map(|()| Exit::Fine),
        (exit, _) => Ok(exit),
    }
}

/// Whether what was asked for by this name was copied; of a group, to one of its members at least.
fn is_copied(end: &RunEnd, asked: &SyncName) -> bool {
    let answers = |run: &RunEntry| {
        let name = run.sync.as_deref().and_then(|name| name.parse::<SyncName>().ok());
        name.is_some_and(|name| name.answers_to(asked))
    };
    end.runs.iter().any(|run| run.outcome.is(Outcome::Ok) && answers(run))
}

fn worst(end: &RunEnd) -> Exit {
    let is_bad = |outcome: &Term<Outcome>| match outcome {
        Term::Known(Outcome::Ok | Outcome::Skipped) => false,
        // What a newer daemon calls otherwise is no copy that anyone may rely on.
        Term::Known(Outcome::Failed | Outcome::Held | Outcome::Interrupted) | Term::Other(_) => true,
    };
    if end.runs.iter().any(|run| is_bad(&run.outcome)) { Exit::Failed } else { Exit::Fine }
}

fn queue(connection: &mut Connection, output: &mut Output, request: &Request) -> Result<RunEnd, CommandError> {
    let reply = connection.ask(request)?;
    let end: RunEnd = reply.decode()?;
    match (output.form(), output.detail()) {
        (Form::Json, _) => output.print_json(&reply.parameters)?,
        (Form::Text, Detail::Brief) => {}
        (Form::Text, Detail::Usual | Detail::Full) => {
            output.print(&render::runs::accepted(&end.accepted, &clock::now().zone))?;
        }
    }
    Ok(end)
}

fn wait(connection: &mut Connection, output: &mut Output, request: &Request) -> Result<RunEnd, CommandError> {
    connection.send(request, Mode::More)?;
    let mut progress = ProgressView::new(output);
    let mut told = BTreeSet::new();
    loop {
        let reply = connection.next()?;
        if reply.flow == Flow::Ends {
            progress.finish();
            return last_words(output, &reply, &told);
        }
        if output.form() == Form::Json {
            continue;
        }
        let news: RunProgress = reply.decode()?;
        if !news.accepted.is_empty() && output.detail() != Detail::Brief {
            progress.print(&render::runs::accepted(&news.accepted, &clock::now().zone), output)?;
        }
        progress.show(&news.running, output)?;
        for run in &news.ended {
            told.insert(run.id.clone());
            progress.print(&render::runs::ended(run), output)?;
        }
    }
}

/// Tells what was not told while it went on.
fn last_words(output: &mut Output, reply: &Reply, told: &BTreeSet<String>) -> Result<RunEnd, CommandError> {
    let end: RunEnd = reply.decode()?;
    if output.form() == Form::Json {
        output.print_json(&reply.parameters)?;
        return Ok(end);
    }
    if end.accepted.is_empty() && output.detail() != Detail::Brief {
        output.print(&render::runs::accepted(&end.accepted, &clock::now().zone))?;
    }
    for run in end.runs.iter().filter(|run| !told.contains(&run.id)) {
        output.print(&render::runs::ended(run))?;
    }
    for problem in &end.dropped {
        output.print(&render::runs::dropped(problem))?;
    }
    Ok(end)
}
