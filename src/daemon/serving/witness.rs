//! The witness of a restore: what it goes into waits, from before the first byte until all has come back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};

use crate::backup::job::SyncAsSeen;
use crate::backup::restore::witness::{Landing, Witness, gone_into};
use crate::daemon::messages::ask::{Ask, Refusal};
use crate::daemon::outlets::keeper::KeeperQuestion;
use crate::daemon::serving::asking::{Doors, Unwritten, written_down};
use crate::daemon::serving::wire::{Gone, Line};
use crate::formats::wire::{CallError, DoneReply, RestoreAwaited};
use crate::model::{RestoreEnding, RestoreKey, SyncName, UnfinishedRestore};
use crate::os::clock;

/// A restore, and what it brings as far as that is known.
type Restoring = (RestoreKey, Option<PathBuf>);

/// What a restore, on a thread of its own, has to say.
#[derive(Debug)]
enum Word {
    Begins(Restoring, BTreeSet<SyncName>, oneshot::Sender<Result<(), String>>),
    Ends(Restoring, RestoreEnding, oneshot::Sender<()>),
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
        Word::Begins(restoring, syncs, back) => {
            let result = begun(restoring, syncs, asks, history).await;
            let _ = back.send(result);
        }
        Word::Ends(restoring, ending, back) => {
            restore_ended(restoring, ending, asks).await;
            let _ = back.send(());
        }
    }
}

/// Tells the dispatcher how a restore ended. One that has ended itself has it on the disk that it was begun, which is
/// on the safe side.
pub(super) async fn restore_ended((key, origin): Restoring, ending: RestoreEnding, asks: &mpsc::Sender<Ask>) {
    let (answer, answered) = oneshot::channel();
    if asks.send(Ask::RestoreEnds { key, origin, ending, answer }).await.is_ok() {
        let _ = answered.await;
    }
}

/// What was told to the dispatcher is on its way to the disk once it has answered: this runs on the same thread, and
/// not before it rests.
async fn begun(
    (key, origin): Restoring,
    syncs: BTreeSet<SyncName>,
    asks: &mpsc::Sender<Ask>,
    history: &mpsc::Sender<KeeperQuestion>,
) -> Result<(), String> {
    let stopping = || "nbkpd is stopping; say it again once it runs".to_owned();
    let (answer, answered) = oneshot::channel();
    let restore = UnfinishedRestore { since: clock::now().wall, origin: origin.clone(), syncs };
    let told = asks.send(Ask::RestoreBegins { key: key.clone(), restore, answer }).await;
    told.map_err(|_| stopping())?;
    match answered.await.map_err(|_| stopping())? {
        Ok(()) => {}
        Err(Refusal::Failed(why)) => return Err(why),
        Err(
            Refusal::UnknownSync(..)
            | Refusal::UnknownVolume(..)
            | Refusal::NoDrive(..)
            | Refusal::UnknownLocation(..)
            | Refusal::Stopping,
        ) => return Err(stopping()),
    }
    let why = match written_down(history).await {
        Ok(()) => return Ok(()),
        Err(Unwritten::Stopping) => return Err(stopping()),
        Err(Unwritten::Because(why)) => why,
    };
    restore_ended((key, origin), RestoreEnding::Untouched, asks).await;
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

impl DaemonsWitness<'_> {
    fn key(&self, landing: &Landing) -> Restoring {
        let Landing { place, origin } = landing.clone();
        (RestoreKey { place, command: self.command.clone() }, Some(origin))
    }
}

impl Witness for DaemonsWitness<'_> {
    fn begins(&mut self, landing: &Landing) -> Result<BTreeSet<SyncName>, String> {
        let syncs = gone_into(self.all, &landing.place);
        if syncs.is_empty() {
            return Ok(syncs);
        }
        let (answer, answered) = oneshot::channel();
        let told = self.messenger.0.blocking_send(Word::Begins(self.key(landing), syncs.clone(), answer));
        let answered = told.ok().and_then(|()| answered.blocking_recv().ok());
        answered.unwrap_or_else(|| Err("nbkpd is stopping; say it again once it runs".into())).map(|()| syncs)
    }

    fn ends(&mut self, landing: &Landing, ending: RestoreEnding) {
        let (answer, answered) = oneshot::channel();
        if self.messenger.0.blocking_send(Word::Ends(self.key(landing), ending, answer)).is_ok() {
            let _ = answered.blocking_recv();
        }
    }
}

/// A client is about to restore by itself: the syncs that wait for its end.
pub(super) async fn restore_begins(
    (to, command): (String, String),
    origin: Option<String>,
    doors: &Doors,
    line: &mut Line,
) -> Result<(), Gone> {
    let key = RestoreKey { place: to.into(), command };
    let awaited = awaited((key.clone(), origin.map(Into::into)), doors).await;
    if awaited.as_ref().is_ok_and(|awaited| !awaited.syncs.is_empty()) {
        line.restoring.push(key);
    }
    line.replies.conclude(awaited).await
}

async fn awaited((key, origin): Restoring, doors: &Doors) -> Result<RestoreAwaited, CallError> {
    if !key.place.is_absolute() {
        return Err(CallError::InvalidParameter { parameter: "to".into() });
    }
    let all = doors.beg(|answer| Ask::Prospects { syncs: Vec::new(), answer }).await?;
    let sought = key.place.clone();
    // What is in other hands may take its time to be looked at.
    let syncs = tokio::task::spawn_blocking(move || gone_into(&all, &sought)).await;
    let syncs = syncs.map_err(|_| CallError::Stopping)?;
    let told = RestoreAwaited { syncs: syncs.iter().map(ToString::to_string).collect() };
    if syncs.is_empty() {
        return Ok(told);
    }
    let done = begun((key, origin), syncs, &doors.asks, &doors.history).await;
    done.map(|()| told).map_err(|message| CallError::Failed { message })
}

/// A client has restored by itself.
pub(super) async fn restore_ends(
    (to, origin): (String, Option<String>),
    ending: RestoreEnding,
    doors: &Doors,
    line: &mut Line,
) -> Result<(), Gone> {
    if let Some(at) = line.restoring.iter().position(|begun| begun.place == Path::new(&to)) {
        restore_ended((line.restoring.swap_remove(at), origin.map(Into::into)), ending, &doors.asks).await;
    }
    line.replies.end(&DoneReply {}).await
}
