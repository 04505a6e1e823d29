//! `versions` and `restore`.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::backup::restore::bare;
use crate::backup::restore::course::{Coming, begin_all, fetch_all};
use crate::backup::restore::fetch::FetchNews;
use crate::backup::session::stop::{self, Stops};
use crate::ctl::bars::ProgressView;
use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::RestoreOptions;
use crate::ctl::output::{Detail, Form, Output};
use crate::ctl::render;
use crate::ctl::witness::MachineWitness;
use crate::formats::text::{printable, shell_words};
use crate::formats::wire::{
    BareListing, Flow, Mode, Moment, Request, RestoreEnd, RestoreNews, RunningEntry, Versions, WholeRestore,
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
    tell_of_others(earnest, output);
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
    conclude(&end, gathered, earnest, output)
}

/// Who restores as root what another user's daemon copies tells that one nothing. That is said before the first file
/// comes: afterwards it may be too late.
fn tell_of_others(earnest: Earnest, output: &mut Output) {
    if earnest == Earnest::Pretended || !environment::is_root() {
        return;
    }
    for user in socket::answering_users() {
        output.remark(&printable(&format!(
            "nbkpd of user {user} runs, and does not know of this: if it copies what is restored to, run `nbkpctl \
             pause` as {user} until all is back"
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
    let mut witness = MachineWitness::called(paths, bare_command(from, &wish), alone);
    let coming = wish.paths.iter().map(|path| Coming { path: path.clone(), wish: wish.clone() }).collect();
    let mut plan = |Coming { path, wish }: &Coming, _: &mut Stops| bare::planned(from, path, wish);
    let mut end = RestoreEnd::default();
    let (begun, _) = begin_all(coming, &mut plan, &mut witness, &mut stops, &mut end);
    // Who has to be told to wait by a person is named while there is time for it.
    if let Some(doubt) = witness.doubt.take() {
        output.complain(&printable(&doubt));
    }
    tell_of_others(wish.earnest, output);
    let (mut view, mut gathered, mut lost) = (ProgressView::new(output), Vec::new(), None);
    let (told, news) = std::sync::mpsc::sync_channel(64);
    let came = std::thread::scope(|scope| {
        let (witness, stops, end) = (&mut witness, &mut stops, &mut end);
        // The channel ends with the work.
        let work = scope.spawn(move || {
            let mut plan = |Coming { path, wish }: &Coming, _: &mut Stops| bare::planned(from, path, wish);
            let mut hear = |path: &str, piece: FetchNews| drop(told.send((path.to_owned(), piece)));
            fetch_all((begun, None), &mut plan, witness, (stops, &mut hear), end);
        });
        for (path, piece) in news {
            let heard = hear(news_of(&path, piece, wish.earnest), &mut view, &mut gathered, output);
            lost = lost.take().or(heard.err());
        }
        work.join()
    });
    if let Some(lost) = lost {
        return Err(lost);
    }
    came.map_err(|_| CommandError::Failed("the work ended without a result".into()))?;
    view.finish();
    if let Some(doubt) = &witness.doubt {
        output.complain(&printable(doubt));
    }
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

/// What one types to go on with it, at any time: what was meant by `yesterday` is another day tomorrow.
fn bare_command(from: &Path, wish: &RestoreWish) -> String {
    let mut words: Vec<OsString> = ["nbkpctl", "restore", "--from"].map(Into::into).into();
    words.push(environment::absolute(from).map_or_else(|_| from.into(), Into::into));
    words.extend(wish.paths.iter().map(Into::into));
    words.extend(wish.at.iter().flat_map(|at| [OsString::from("--at"), at.to_string().into()]));
    words.extend(wish.to.iter().flat_map(|to| [OsString::from("--to"), to.into()]));
    words.extend((wish.existing == Existing::Replaced).then(|| "--force".into()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_goes_on_means_the_same_on_another_day() {
        let options = RestoreOptions {
            paths: vec!["letter".into()],
            at: Some("yesterday".into()),
            to: Some("/back".into()),
            from: None,
            dry_run: false,
            force: true,
        };
        let wish = wish(&options, text).unwrap();
        let at = wish.at.unwrap();
        let command = bare_command(Path::new("/m"), &wish);
        assert_eq!(command, format!("nbkpctl restore --from /m letter --at {at} --to /back --force"));
        assert_eq!(when::parse(&at.to_string(), &clock::now()), Ok(at));
    }
}
