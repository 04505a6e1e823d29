//! Versions and restores on behalf of a client.

use std::ffi::OsString;

use tokio::sync::mpsc;

use crate::backup::job::SyncAsSeen;
use crate::backup::restore::course::{Coming, begin_all, fetch_all};
use crate::backup::restore::fetch::FetchNews;
use crate::backup::restore::find::search;
use crate::backup::restore::giving::planned;
use crate::backup::restore::sought::spread;
use crate::backup::restore::versions::versions;
use crate::backup::session::stop::{self, Stops, Teller};
use crate::daemon::messages::ask::Refusal;
use crate::daemon::messages::errand::{ErrandNews, ErrandResult};
use crate::daemon::serving::witness::{DaemonsWitness, Messenger};
use crate::formats::text::shell_words;
use crate::formats::wire::{FindNews, RestoreEnd, RestoreNews};
use crate::model::{Earnest, Existing, FindWish, Interruption, RestoreWish};
use crate::os::ssh::SshPlace;

/// The versions of an entry.
pub(super) fn version_answer(path: &str, all: &[SyncAsSeen], ssh: &SshPlace) -> Result<ErrandResult, Refusal> {
    let (_teller, mut stops) = begun()?;
    versions(path, all, ssh, &mut stops).map(ErrandResult::Versions).map_err(Refusal::Failed)
}

/// The names that were found. It ends when the client leaves.
pub(super) fn found(
    wish: &FindWish,
    all: &[SyncAsSeen],
    ssh: &SshPlace,
    news: &mpsc::Sender<ErrandNews>,
) -> Result<ErrandResult, Refusal> {
    let (teller, mut stops) = begun()?;
    let mut hear = |told: FindNews| {
        if news.blocking_send(ErrandNews::Finding(told)).is_err() {
            teller.tell(Interruption::Cancelled);
        }
    };
    search(wish, all, ssh, (&mut stops, &mut hear)).map(ErrandResult::Found).map_err(Refusal::Failed)
}

/// What a restore hears when the client leaves, also while one large file comes and there is nothing to tell: what has
/// come by then stays.
pub(super) fn leaving(news: &mpsc::Sender<ErrandNews>) -> Result<Stops, Refusal> {
    let (teller, stops) = begun()?;
    let client = news.clone();
    // It ends with the client, who also leaves once all is told.
    tokio::spawn(async move {
        client.closed().await;
        teller.tell(Interruption::Cancelled);
    });
    Ok(stops)
}

/// What was given back of a wish.
pub(super) fn restored(
    wish: &RestoreWish,
    all: &[SyncAsSeen],
    ssh: &SshPlace,
    messenger: &Messenger,
    (news, mut stops): (&mpsc::Sender<ErrandNews>, Stops),
) -> Result<ErrandResult, Refusal> {
    if let Some(to) = wish.to.as_ref().filter(|to| !to.is_absolute()) {
        return Err(Refusal::Failed(format!("{} is not an absolute path", to.display())));
    }
    let spread = wish.paths.iter().flat_map(|path| spread(path, all));
    let coming = spread.map(|(path, below)| {
        let to = wish.to.as_ref().map(|to| to.join(&below).components().collect());
        Coming { path, wish: RestoreWish { to, ..wish.clone() } }
    });
    let mut hear = |path: &str, told: FetchNews| {
        let news_of = match told {
            FetchNews::Progress(now) => RestoreNews {
                path: path.to_owned(),
                entry: None,
                percent: now.percent,
                bytes: now.bytes,
                rate: now.rate,
                eta_seconds: now.eta_seconds,
            },
            FetchNews::Entry(entry) if wish.earnest == Earnest::Pretended => {
                RestoreNews { path: path.to_owned(), entry: Some(entry), ..RestoreNews::default() }
            }
            FetchNews::Entry(_) => return,
        };
        // Who has left is told nothing.
        let _left = news.blocking_send(ErrandNews::Restoring(news_of));
    };
    let mut witness = DaemonsWitness { messenger: messenger.clone(), all, command: command(wish) };
    let mut plan = |Coming { path, wish }: &Coming, stops: &mut Stops| planned(path, wish, all, ssh, stops);
    let mut end = RestoreEnd::default();
    let begun = begin_all(coming.collect(), &mut plan, &mut witness, &mut stops, &mut end);
    fetch_all(begun, &mut plan, &mut witness, (&mut stops, &mut hear), &mut end);
    Ok(ErrandResult::Restored(end))
}

/// What one types to go on with a restore: with all of it.
fn command(wish: &RestoreWish) -> String {
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let mut command = words(&["nbkpctl", "restore"]);
    command.extend(wish.paths.iter().map(OsString::from));
    if let Some(at) = wish.at {
        command.extend(words(&["--at", &at.to_string()]));
    }
    if let Some(to) = &wish.to {
        command.extend(["--to".into(), to.into()]);
    }
    if wish.existing == Existing::Replaced {
        command.extend(words(&["--force"]));
    }
    shell_words(&command)
}

fn begun() -> Result<(Teller, Stops), Refusal> {
    stop::pair().map_err(|cause| Refusal::Failed(format!("could not start: {cause}; try again")))
}
