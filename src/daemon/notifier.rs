//! Tells people on the desktop what they should know: one notification for each subject, replaced by the next, never a
//! flood. Where there is no desktop, nothing happens, and nothing is tried again by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::daemon::ask::Ask;
use crate::daemon::world::Notice;
use crate::formats::text::{count, printable};
use crate::model::{
    BootTime, Configuration, Left, Notify, Outcome, RunRecord, Status, SyncName, VolumeName, VolumeRoot,
};
use crate::os::clock;
use crate::os::notifications::{Desktop, Note, NoteId, Urgency};

/// The word of the action that keeps hands off a drive.
const HOLD: &str = "hold";
/// The same thing is said again after this long.
const AGAIN: Duration = Duration::from_hours(24);

/// What a notification is about; there is one at the most for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Sync(SyncName),
    Volume(VolumeName),
}

/// Whether people who want to hear of problems only want to hear of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Problem,
    News,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    subject: Subject,
    kind: Kind,
    note: Note,
}

/// What is shown of a subject.
#[derive(Debug)]
struct Shown {
    id: NoteId,
    kind: Kind,
    note: Note,
    at: BootTime,
}

/// Tells until the daemon ends.
pub async fn run(
    mut notices: mpsc::Receiver<Notice>,
    mut status: watch::Receiver<Arc<Status>>,
    configuration: watch::Receiver<Arc<Configuration>>,
    asks: mpsc::Sender<Ask>,
) {
    let mut notifier = Notifier { desktop: None, shown: BTreeMap::new(), starting: BTreeMap::new(), configuration };
    loop {
        tokio::select! {
            notice = notices.recv() => match notice {
                Some(notice) => notifier.take_in(&notice).await,
                None => return,
            },
            changed = status.changed() => {
                if changed.is_err() {
                    return;
                }
                let status = Arc::clone(&status.borrow_and_update());
                notifier.announce(&status).await;
            }
            pressed = pressed(notifier.desktop.as_mut()) => match pressed {
                Some((id, word)) => notifier.pressed(id, &word, &asks).await,
                // The bus is gone; the next message finds out whether there is another.
                None => notifier.desktop = None,
            },
        }
    }
}

async fn pressed(desktop: Option<&mut Desktop>) -> Option<(NoteId, String)> {
    match desktop {
        Some(desktop) => desktop.pressed().await,
        None => std::future::pending().await,
    }
}

struct Notifier {
    desktop: Option<Desktop>,
    shown: BTreeMap<Subject, Shown>,
    /// When the runs start that were announced.
    starting: BTreeMap<VolumeName, Timestamp>,
    configuration: watch::Receiver<Arc<Configuration>>,
}

impl Notifier {
    async fn take_in(&mut self, notice: &Notice) {
        if let Notice::RunEnded(record) = notice
            && record.outcome == Outcome::Ok
        {
            // What was wrong with it is mended.
            self.take_away(&Subject::Sync(record.sync.clone())).await;
        }
        let configuration = Arc::clone(&self.configuration.borrow());
        if let Some(message) = message(notice, &configuration) {
            self.tell(message).await;
        }
    }

    /// Announces what starts after a time of grace, with the means to stop it.
    async fn announce(&mut self, status: &Status) {
        let configuration = Arc::clone(&self.configuration.borrow());
        let starts = starts(status, &configuration);
        self.starting.retain(|volume, _| starts.contains_key(volume));
        for (volume, at) in starts {
            if self.starting.insert(volume.clone(), at).is_none() {
                let seconds = at.duration_since(clock::now().wall).as_secs().max(1);
                self.tell(announcement(volume, seconds)).await;
            }
        }
    }

    async fn tell(&mut self, message: Message) {
        let wanted = match (self.configuration.borrow().daemon.notify, message.kind) {
            (Notify::All, _) | (Notify::Problems, Kind::Problem) => true,
            (Notify::Problems, Kind::News) | (Notify::None, _) => false,
        };
        let Message { subject, kind, note } = message;
        let (now, before) = (clock::boot(), self.shown.get(&subject));
        let is_old = |shown: &Shown| shown.note == note && kind == Kind::Problem && now.since(shown.at) < AGAIN;
        if !wanted || before.is_some_and(is_old) {
            return;
        }
        let instead_of = before.map(|shown| shown.id);
        if self.desktop.is_none() {
            self.desktop = Desktop::connect().await.ok();
        }
        let Some(desktop) = &self.desktop else { return };
        match desktop.show(&note, instead_of).await {
            Ok(id) => drop(self.shown.insert(subject, Shown { id, kind, note, at: now })),
            Err(error) => {
                tracing::debug!("could not {error}");
                self.desktop = None;
            }
        }
    }

    async fn take_away(&mut self, subject: &Subject) {
        let Some(shown) = self.shown.remove(subject).filter(|shown| shown.kind == Kind::Problem) else { return };
        if let Some(desktop) = &self.desktop {
            // It may have been closed by hand long ago.
            let _ = desktop.close(shown.id).await;
        }
    }

    async fn pressed(&mut self, id: NoteId, word: &str, asks: &mpsc::Sender<Ask>) {
        let found = self.shown.iter().find(|(_, shown)| shown.id == id).map(|(subject, _)| subject.clone());
        let (Some(Subject::Volume(volume)), HOLD) = (found, word) else { return };
        let (answer, answered) = oneshot::channel();
        if asks.send(Ask::Hold { volume: volume.clone(), answer }).await.is_ok() && matches!(answered.await, Ok(Ok(())))
        {
            self.tell(held(volume)).await;
        }
    }
}

/// The drives on which something starts after a time of grace, and when.
fn starts(status: &Status, configuration: &Configuration) -> BTreeMap<VolumeName, Timestamp> {
    let mut starts = BTreeMap::new();
    for (sync, at) in status.syncs.iter().filter_map(|sync| Some((&sync.name, sync.starts_at?))) {
        let Some(sync) = configuration.syncs.get(sync) else { continue };
        let is_drive = |volume: &&VolumeName| {
            matches!(configuration.volumes.get(*volume).map(|it| &it.root), Some(VolumeRoot::Drive(_)))
        };
        if let Some(volume) = [&sync.destination.volume, &sync.source.volume].into_iter().find(is_drive) {
            let first = starts.entry(volume.clone()).or_insert(at);
            *first = at.min(*first);
        }
    }
    starts
}

fn announcement(volume: VolumeName, seconds: i64) -> Message {
    let note = Note {
        title: format!("Backup starts in {seconds} s"),
        body: format!("Drive “{volume}” is in. Hold it to keep hands off."),
        urgency: Urgency::Low,
        action: Some((HOLD, "Hold")),
    };
    Message { subject: Subject::Volume(volume), kind: Kind::News, note }
}

fn held(volume: VolumeName) -> Message {
    let note = Note {
        title: format!("Drive “{volume}” is left alone"),
        body: format!("`nbkpctl release {volume}` ends it."),
        urgency: Urgency::Low,
        action: None,
    };
    Message { subject: Subject::Volume(volume), kind: Kind::News, note }
}

/// What people are told of a notice, if anything.
fn message(notice: &Notice, configuration: &Configuration) -> Option<Message> {
    let note = |title: String, body: String, urgency| Note {
        title,
        body: printable(&body).into_owned(),
        urgency,
        action: None,
    };
    match notice {
        Notice::RunEnded(record) => of_run(record, configuration),
        Notice::Overdue(sync) => Some(Message {
            subject: Subject::Sync(sync.clone()),
            kind: Kind::Problem,
            note: note(
                format!("“{sync}” has no fresh backup"),
                format!("`nbkpctl why {sync}` tells what it waits for."),
                Urgency::Normal,
            ),
        }),
        Notice::NotOpened(trouble, volume) => Some(Message {
            subject: Subject::Volume(volume.clone()),
            kind: Kind::Problem,
            note: note(
                format!("Drive “{volume}” could not be opened"),
                format!("{trouble}. To mend it: {}.", trouble.hint(volume)),
                Urgency::Normal,
            ),
        }),
        Notice::Left(volume, left) => {
            let (title, kind) = match left {
                Left::Safe(_) => (format!("Drive “{volume}” is safe to remove"), Kind::News),
                Left::Shared(_) | Left::InUse(_) | Left::Stuck(_) => {
                    (format!("Do not pull out drive “{volume}”"), Kind::Problem)
                }
                Left::AsFound | Left::Gone => return None,
            };
            let body = left.sentence(volume)?;
            Some(Message { subject: Subject::Volume(volume.clone()), kind, note: note(title, body, Urgency::Normal) })
        }
        Notice::RunStarted { .. }
        | Notice::VolumeCame(..)
        | Notice::VolumeWent(_)
        | Notice::ConfigurationInForce { .. }
        | Notice::ConfigurationRefused(_)
        | Notice::Degraded(_) => None,
    }
}

fn of_run(record: &RunRecord, configuration: &Configuration) -> Option<Message> {
    let sync = &record.sync;
    let error = || record.error.clone().unwrap_or_default();
    let (subject, kind, title, body) = match record.outcome {
        // The drive has one for all that is copied to it.
        Outcome::Ok => {
            let volume = configuration.syncs.get(sync)?.destination.volume.clone();
            let files = count(record.figures.files_transferred, "file");
            (Subject::Volume(volume), Kind::News, format!("“{sync}” is backed up"), format!("{files} copied."))
        }
        Outcome::Failed => (Subject::Sync(sync.clone()), Kind::Problem, format!("Backup “{sync}” failed"), error()),
        Outcome::Held => {
            (Subject::Sync(sync.clone()), Kind::Problem, format!("Backup “{sync}” waits for your word"), error())
        }
        Outcome::Skipped | Outcome::Interrupted => return None,
    };
    let urgency = if kind == Kind::Problem { Urgency::Normal } else { Urgency::Low };
    Some(Message { subject, kind, note: Note { title, body: printable(&body).into_owned(), urgency, action: None } })
}
