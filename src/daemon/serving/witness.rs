//! The witness of a restore: what it goes into waits, from before the first byte until all has come back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};

use crate::backup::job::SyncAsSeen;
use crate::backup::restore::witness::{Witness, gone_into};
use crate::daemon::messages::ask::Ask;
use crate::daemon::outlets::keeper::KeeperQuestion;
use crate::daemon::serving::asking::{Doors, Unwritten, written_down};
use crate::daemon::serving::wire::{Gone, Line};
use crate::formats::wire::{CallError, DoneReply, RestoreAwaited};
use crate::model::{RestoreEnding, SyncName, UnfinishedRestore};
use crate::os::clock;

/// What a restore, on a thread of its own, has to say.
#[derive(Debug)]
enum Word {
    Begins(PathBuf, UnfinishedRestore, oneshot::Sender<Result<(), String>>),
    Ends(PathBuf, RestoreEnding, oneshot::Sender<()>),
}

/// Carries the words of restores to the dispatcher and to the disk, in their order.
#[derive(Debug, Clone)]
pub(super) struct Messenger(mpsc::Sender<Word>);

impl Messenger {
    /// One that works until nobody has a word for it.
    pub(super) fn sent(asks: mpsc::Sender<Ask>, history: mpsc::Sender<KeeperQuestion>) -> Self {
        let (words, mut told) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(word) = told.recv().await {
                carry(word, &asks, &history).await;
            }
        });
        Self(words)
    }
}

/// Whoever waits for an answer learns from its absence that the daemon ends.
async fn carry(word: Word, asks: &mpsc::Sender<Ask>, history: &mpsc::Sender<KeeperQuestion>) {
    match word {
        Word::Begins(place, restore, back) => {
            let result = begun(place, restore, asks, history).await;
            let _ = back.send(result);
        }
        Word::Ends(place, ending, back) => {
            restore_ended(place, ending, asks).await;
            let _ = back.send(());
        }
    }
}

/// Tells the dispatcher how a restore ended. One that has ended itself has it on the disk that it was begun, which is
/// on the safe side.
pub(super) async fn restore_ended(place: PathBuf, ending: RestoreEnding, asks: &mpsc::Sender<Ask>) {
    let (answer, answered) = oneshot::channel();
    if asks.send(Ask::RestoreEnds { place, ending, answer }).await.is_ok() {
        let _ = answered.await;
    }
}

/// What was told to the dispatcher is on its way to the disk once it has answered: this runs on the same thread, and
/// not before it rests.
async fn begun(
    place: PathBuf,
    restore: UnfinishedRestore,
    asks: &mpsc::Sender<Ask>,
    history: &mpsc::Sender<KeeperQuestion>,
) -> Result<(), String> {
    let stopping = || "nbkpd is stopping; say it again once it runs".to_owned();
    let (answer, answered) = oneshot::channel();
    let told = asks.send(Ask::RestoreBegins { place: place.clone(), restore, answer }).await;
    told.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())?;
    let why = match written_down(history).await {
        Ok(()) => return Ok(()),
        Err(Unwritten::Stopping) => return Err(stopping()),
        Err(Unwritten::Because(why)) => why,
    };
    restore_ended(place, RestoreEnding::Untouched, asks).await;
    Err(format!(
        "nothing is restored there yet, since it could not be written down that copies of it must wait until all is \
         back: {why}; make room in the state directory or make it writable (`nbkpctl doctor` tests it), or restore \
         beside it with `--to DIR`"
    ))
}

/// A witness of the restores of one wish.
#[derive(Debug)]
pub(super) struct DaemonsWitness<'a> {
    /// Who carries what it is told.
    pub(super) messenger: Messenger,
    /// Every sync, as it is seen.
    pub(super) all: &'a [SyncAsSeen],
    /// The command that goes on with it.
    pub(super) command: String,
}

impl Witness for DaemonsWitness<'_> {
    fn begins(&mut self, place: &Path) -> Result<BTreeSet<SyncName>, String> {
        let syncs = gone_into(self.all, place);
        if syncs.is_empty() {
            return Ok(syncs);
        }
        let restore =
            UnfinishedRestore { since: clock::now().wall, command: self.command.clone(), syncs: syncs.clone() };
        let (answer, answered) = oneshot::channel();
        let told = self.messenger.0.blocking_send(Word::Begins(place.to_owned(), restore, answer));
        let answered = told.ok().and_then(|()| answered.blocking_recv().ok());
        answered.unwrap_or_else(|| Err("nbkpd is stopping; say it again once it runs".into())).map(|()| syncs)
    }

    fn ends(&mut self, place: &Path, ending: RestoreEnding) {
        let (answer, answered) = oneshot::channel();
        if self.messenger.0.blocking_send(Word::Ends(place.to_owned(), ending, answer)).is_ok() {
            let _ = answered.blocking_recv();
        }
    }
}

/// A client is about to restore by itself: the syncs that wait for its end.
pub(super) async fn restore_begins(
    place: PathBuf,
    command: String,
    doors: &Doors,
    line: &mut Line,
) -> Result<(), Gone> {
    let awaited = awaited(&place, command, doors).await;
    if awaited.as_ref().is_ok_and(|awaited| !awaited.syncs.is_empty()) {
        line.restoring.push(place);
    }
    line.replies.conclude(awaited).await
}

async fn awaited(place: &Path, command: String, doors: &Doors) -> Result<RestoreAwaited, CallError> {
    if !place.is_absolute() {
        return Err(CallError::InvalidParameter { parameter: "to".into() });
    }
    let all = doors.beg(|answer| Ask::Prospects { syncs: Vec::new(), answer }).await?;
    let (place, sought) = (place.to_owned(), place.to_owned());
    // What is in other hands may take its time to be looked at.
    let syncs = tokio::task::spawn_blocking(move || gone_into(&all, &sought)).await;
    let syncs = syncs.map_err(|_| CallError::Stopping)?;
    let told = RestoreAwaited { syncs: syncs.iter().map(ToString::to_string).collect() };
    if syncs.is_empty() {
        return Ok(told);
    }
    let restore = UnfinishedRestore { since: clock::now().wall, command, syncs };
    begun(place, restore, &doors.asks, &doors.history).await.map_err(|message| CallError::Failed { message })?;
    Ok(told)
}

/// A client has restored by itself.
pub(super) async fn restore_ends(
    place: &Path,
    ending: RestoreEnding,
    doors: &Doors,
    line: &mut Line,
) -> Result<(), Gone> {
    if let Some(at) = line.restoring.iter().position(|begun| begun == place) {
        restore_ended(line.restoring.swap_remove(at), ending, &doors.asks).await;
    }
    line.replies.end(&DoneReply {}).await
}
