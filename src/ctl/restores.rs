//! `versions` and `restore`.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::backup::restore::bare;
use crate::backup::restore::fetch::FetchNews;
use crate::backup::session::stop;
use crate::ctl::bars::ProgressView;
use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::RestoreOptions;
use crate::ctl::output::{Detail, Form, Output};
use crate::ctl::render;
use crate::ctl::witness::MachineWitness;
use crate::formats::text::{printable, shell_words};
use crate::formats::wire::{
    BareListing, Flow, Mode, Moment, Request, RestoreEnd, RestoreNews, RestoreProblem, RunningEntry, Versions,
    WholeRestore,
};
use crate::formats::{json, when};
use crate::model::{Earnest, Existing, Interruption, RestoreWish, StandIn, Step, VolumeName};
use crate::os::environment::Paths;
use crate::os::terminal::once_interrupted;
use crate::os::{clock, entry, environment, socket};

/// `versions`.
pub fn versions(connection: &mut Connection, output: &mut Output, path: &Path) -> Result<Exit, CommandError> {
    let reply = connection.ask(&Request::Versions { path: named(path)? })?;
    let versions: Versions = reply.decode()?;
    match output.form() {
        Form::Json => output.print_json(&reply.parameters)?,
        Form::Text => {
            let text = render::restores::versions(&versions, &clock::now(), output.detail(), output.room());
            output.print(&text)?;
        }
    }
    Ok(if versions.versions.is_empty() { Exit::Failed } else { Exit::Fine })
}

/// `restore`.
pub fn restore(
    connection: &mut Connection,
    output: &mut Output,
    options: &RestoreOptions,
) -> Result<Exit, CommandError> {
    let wish = wish(options, named)?;
    let to = wish.to.as_deref().map(text).transpose()?;
    let RestoreWish { paths, at, existing, earnest, .. } = wish;
    let request = Request::Restore { paths, at: at.map(Moment), to, force: existing, dry_run: earnest };
    connection.send(&request, Mode::More)?;
    let (mut view, mut gathered) = (ProgressView::new(output), Vec::new());
    let end: RestoreEnd = loop {
        let reply = connection.next()?;
        if reply.flow == Flow::Ends {
            break reply.decode()?;
        }
        hear(reply.decode()?, &mut view, &mut gathered, output)?;
    };
    view.finish();
    tell_of_others(earnest, output);
    conclude(&end, gathered, earnest, output)
}

/// Who restores as root what another user's daemon copies has told that one nothing.
fn tell_of_others(earnest: Earnest, output: &mut Output) {
    if earnest == Earnest::Pretended || !environment::is_root() {
        return;
    }
    for user in socket::answering_users() {
        output.remark(&printable(&format!(
            "nbkpd of user {user} runs, and does not know of this: if it copies what is restored to, and not all is \
             back, run `nbkpctl pause` as {user}"
        )));
    }
}

/// `restore --from`: without a daemon, without configuration and without state.
/// What runs here may copy is told to wait.
pub fn restore_from(
    from: &Path,
    (output, paths): (&mut Output, Option<&Paths>),
    options: &RestoreOptions,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Exit, CommandError> {
    let wish = wish(options, text)?;
    if wish.paths.is_empty() {
        return list_bare(from, output);
    }
    if wish.to.is_none() {
        let example = "nbkpctl restore --from DIR PATH --to /tmp/restored";
        return Err(CommandError::Usage(format!("what comes from a drive alone needs a place: `{example}`")));
    }
    let (teller, mut stops) =
        stop::pair().map_err(|cause| CommandError::Failed(format!("could not start: {cause}")))?;
    // What has come stays, and rsync keeps the beginning of a file for the next time.
    once_interrupted(move || teller.tell(Interruption::Cancelled));
    // A dry run changes nothing that anybody would have to wait for.
    let paths = paths.filter(|_| wish.earnest == Earnest::Real);
    let mut witness = MachineWitness::called(paths, bare_command(from, options), alone);
    let (mut view, mut gathered) = (ProgressView::new(output), Vec::new());
    let mut end = RestoreEnd::default();
    for path in &wish.paths {
        let mut lost = None;
        let (told, news) = std::sync::mpsc::sync_channel(64);
        let done = std::thread::scope(|scope| {
            let (wish, witness, stops) = (&wish, &mut witness, &mut stops);
            // The channel ends with the work.
            let work = scope.spawn(move || {
                bare::give_back(from, path, wish, witness, (stops, &mut |piece: FetchNews| drop(told.send(piece))))
            });
            for piece in news {
                let heard = hear(news_of(path, piece, wish.earnest), &mut view, &mut gathered, output);
                lost = lost.take().or(heard.err());
            }
            work.join().unwrap_or_else(|_| Err("the work ended without a result".into()))
        });
        if let Some(lost) = lost {
            return Err(lost);
        }
        match done {
            Ok(entry) => end.restored.push(entry),
            Err(message) => end.problems.push(RestoreProblem { path: path.clone(), message }),
        }
    }
    view.finish();
    if let Some(doubt) = &witness.doubt {
        output.complain(&printable(doubt));
    }
    tell_of_others(wish.earnest, output);
    conclude(&end, gathered, wish.earnest, output)
}

fn list_bare(from: &Path, output: &mut Output) -> Result<Exit, CommandError> {
    let listing = BareListing { copies: bare::list(from).map_err(CommandError::Failed)? };
    match output.form() {
        Form::Json => output.print_json(&json::text(&listing))?,
        Form::Text => {
            let text = render::restores::bare_copies(&listing, &clock::now(), output.detail(), output.room());
            output.print(&text)?;
        }
    }
    Ok(Exit::Fine)
}

/// What one types to go on with it.
fn bare_command(from: &Path, options: &RestoreOptions) -> String {
    let mut words: Vec<OsString> = ["nbkpctl", "restore", "--from"].map(Into::into).into();
    words.push(environment::absolute(from).map_or_else(|_| from.into(), Into::into));
    words.extend(options.paths.iter().map(Into::into));
    words.extend(options.at.iter().flat_map(|at| [OsString::from("--at"), at.into()]));
    let to = options.to.iter().map(|to| environment::absolute(to).unwrap_or_else(|_| to.clone()));
    words.extend(to.flat_map(|to| [OsString::from("--to"), to.into()]));
    words.extend(options.force.then(|| "--force".into()));
    shell_words(&words)
}

fn news_of(path: &str, piece: FetchNews, earnest: Earnest) -> RestoreNews {
    let news = RestoreNews { path: path.to_owned(), ..RestoreNews::default() };
    match piece {
        FetchNews::Progress(now) => {
            RestoreNews { percent: now.percent, bytes: now.bytes, rate: now.rate, eta_seconds: now.eta_seconds, ..news }
        }
        FetchNews::Entry(entry) if earnest == Earnest::Pretended => RestoreNews { entry: Some(entry), ..news },
        FetchNews::Entry(_) => news,
    }
}

fn hear(
    news: RestoreNews,
    view: &mut ProgressView,
    gathered: &mut Vec<String>,
    output: &mut Output,
) -> Result<(), CommandError> {
    let RestoreNews { path, entry, percent, bytes, rate, eta_seconds } = news;
    match (entry, output.form(), output.detail()) {
        (Some(entry), Form::Json, _) => gathered.push(entry),
        (Some(_), Form::Text, Detail::Brief) => {}
        (Some(entry), Form::Text, Detail::Usual | Detail::Full) => {
            view.print(&format!("{}\n", printable(&entry)), output)?;
        }
        (None, _, _) => {
            let step = Step::Copy.into();
            let running = RunningEntry {
                sync: path,
                run: String::new(),
                step,
                percent,
                bytes,
                rate,
                eta_seconds,
                still_seconds: None,
                bygone: None,
            };
            view.show(&[running], output)?;
        }
    }
    Ok(())
}

fn conclude(
    end: &RestoreEnd,
    entries: Vec<String>,
    earnest: Earnest,
    output: &mut Output,
) -> Result<Exit, CommandError> {
    match output.form() {
        Form::Json => output.print_json(&json::text(&WholeRestore { end: end.clone(), entries }))?,
        Form::Text => output.print(&render::restores::restored(end, earnest, &clock::now(), output.detail()))?,
    }
    let is_whole = end.restored.iter().all(|entry| entry.kept_count == 0 && entry.missing.is_empty());
    Ok(if end.problems.is_empty() && is_whole { Exit::Fine } else { Exit::Failed })
}

/// What a person wants, with the paths as `name` writes them.
fn wish(
    options: &RestoreOptions,
    name: impl Fn(&Path) -> Result<String, CommandError>,
) -> Result<RestoreWish, CommandError> {
    let now = clock::now();
    let at = options.at.as_deref().map(|at| when::parse(at, &now)).transpose();
    let absolute = |path: &PathBuf| environment::absolute(path).map_err(CommandError::Environment);
    Ok(RestoreWish {
        paths: options.paths.iter().map(|path| name(path)).collect::<Result<_, _>>()?,
        at: at.map_err(|why| CommandError::Usage(format!("--at: {why}")))?,
        to: options.to.as_ref().map(absolute).transpose()?,
        existing: if options.force { Existing::Replaced } else { Existing::Stays },
        earnest: if options.dry_run { Earnest::Pretended } else { Earnest::Real },
    })
}

/// An entry of a source, as the daemon reads it: `volume:path` as it is, unless there is something of that name here.
fn named(path: &Path) -> Result<String, CommandError> {
    let written = text(path)?;
    let is_place = written.split_once(':').is_some_and(|(volume, _)| volume.parse::<VolumeName>().is_ok());
    let absolute = environment::absolute(path)?;
    if is_place && entry::look_at(&absolute).is_none() {
        return Ok(written);
    }
    text(&absolute)
}

fn text(path: &Path) -> Result<String, CommandError> {
    let wrong = || {
        let what = "is no UTF-8, which messages cannot carry; name the directory that it is in";
        CommandError::Usage(format!("the name {} {what}", path.display()))
    };
    path.to_str().map(ToOwned::to_owned).ok_or_else(wrong)
}
