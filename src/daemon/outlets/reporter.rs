//! Tells the journal and the service manager what happens, on a thread of its own: a service manager that does not take
//! messages must not stop the daemon. That the journal does not is seen to in [`crate::os::journal`].

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use jiff::SignedDuration;

use crate::daemon::messages::event::Notice;
use crate::daemon::outlets::{check_notices, message_id};
use crate::formats::text;
use crate::model::{DriveName, Left, LocationName, Outcome, RunRecord, Status, Step, Unclean, VolumeName};
use crate::os::service::{self, Word};

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How many reports may wait for a slow journal.
const WAITING: usize = 256;

/// The way to the reporter.
#[derive(Debug)]
pub struct Reporter {
    reports: SyncSender<Report>,
    silence: Receiver<()>,
    dropped: u64,
    sentence: String,
}

#[derive(Debug)]
enum Report {
    Notice(Notice),
    Dropped(u64),
    Ready,
    Reloading,
    Stopping,
    Sentence(String),
    Alive,
}

impl Reporter {
    /// Starts the thread. It ends when the last word is told after this is dropped.
    pub fn start() -> std::io::Result<Self> {
        let (reports, received) = sync_channel(WAITING);
        let (last_word, silence) = sync_channel(1);
        std::thread::Builder::new().name("reporter".into()).spawn(move || {
            tell_all(&received);
            // Whoever waited for it may have given up.
            let _ = last_word.send(());
        })?;
        Ok(Self { reports, silence, dropped: 0, sentence: String::new() })
    }

    /// Waits until all is told, but not for long.
    pub fn finish(self) {
        drop(self.reports);
        let _ = self.silence.recv_timeout(LAST_WORDS);
    }

    /// Writes a notice to the journal.
    pub fn tell(&mut self, notice: Notice) {
        if self.dropped > 0 && self.reports.try_send(Report::Dropped(self.dropped)).is_ok() {
            self.dropped = 0;
        }
        self.send(Report::Notice(notice));
    }

    /// Tells the service manager that start-up is complete, or the reload.
    pub fn ready(&mut self) {
        self.send(Report::Ready);
    }

    /// Tells the service manager that the configuration is read anew.
    pub fn reloading(&mut self) {
        self.send(Report::Reloading);
    }

    /// Tells the service manager that the daemon is ending.
    pub fn stopping(&mut self) {
        self.send(Report::Stopping);
    }

    /// Tells the service manager that the daemon is alive.
    pub fn alive(&mut self) {
        self.send(Report::Alive);
    }

    /// Tells the service manager what the daemon does, if that has changed.
    pub fn show(&mut self, status: &Status) {
        let sentence = sentence(status);
        if sentence != self.sentence {
            self.sentence.clone_from(&sentence);
            self.send(Report::Sentence(sentence));
        }
    }

    fn send(&mut self, report: Report) {
        match self.reports.try_send(report) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped += 1,
        }
    }
}

fn tell_all(reports: &Receiver<Report>) {
    while let Ok(report) = reports.recv() {
        match report {
            Report::Notice(notice) => write(&notice),
            Report::Dropped(count) => tracing::warn!("{count} messages were dropped: the journal did not take them"),
            Report::Ready => service::notify(Word::Ready),
            Report::Reloading => service::notify(Word::Reloading),
            Report::Stopping => service::notify(Word::Stopping),
            Report::Sentence(sentence) => service::notify(Word::Status(&sentence)),
            Report::Alive => service::notify(Word::Alive),
        }
    }
}

fn write(notice: &Notice) {
    match notice {
        Notice::RunStarted { run, sync, trigger } => tracing::info!(
            message_id = message_id::RUN_STARTED,
            nbkp.sync = sync.as_str(),
            nbkp.run = run.as_str(),
            nbkp.trigger = trigger.as_str(),
            "{sync}: started ({})",
            trigger.as_str()
        ),
        Notice::RunEnded(record) => write_end(record),
        Notice::Returned(run, sync, outcome) => tracing::info!(
            nbkp.sync = sync.as_str(),
            nbkp.run = run.as_str(),
            "{sync}: the run that could not be ended is gone ({}); its places are free again",
            outcome.as_str()
        ),
        Notice::CheckStarted(run, sync, share) => check_notices::tell_start_of_check(run, sync, *share),
        Notice::CheckEnded(record) => check_notices::write_check(record),
        Notice::Damaged(sync, files) => check_notices::tell_damage(sync, files),
        Notice::SourceDoubted(sync, files) => check_notices::tell_doubt(sync, files),
        Notice::VolumeCame(volume, path, unclean) => tell_that_it_came(volume, path, unclean.as_ref()),
        Notice::VolumeWent(volume) => tracing::info!(
            message_id = message_id::VOLUME_WENT,
            nbkp.volume = volume.as_str(),
            "volume {volume} went away"
        ),
        Notice::ConfigurationInForce { syncs } => {
            tracing::info!(message_id = message_id::CONFIGURATION, "the configuration is in force; syncs: {syncs}");
        }
        Notice::ConfigurationRefused(mistakes) => tracing::warn!(
            message_id = message_id::CONFIGURATION_REFUSED,
            "the configuration file has mistakes, the one before stays in force: {mistakes}; \
             `nbkpctl config check` shows them all"
        ),
        Notice::Located(here) => {
            let names: Vec<&str> = here.iter().map(LocationName::as_str).collect();
            let where_to = if names.is_empty() { "nowhere that is known".to_owned() } else { names.join(", ") };
            tracing::info!(message_id = message_id::LOCATED, nbkp.locations = names.join(" "), "location: {where_to}");
        }
        Notice::HostFault(fault) => tracing::warn!(
            message_id = message_id::HOST_FAULT,
            nbkp.host = fault.host.as_str(),
            "{}; {}",
            text::printable(&fault.to_string()),
            text::printable(&fault.hint())
        ),
        Notice::Overdue(sync) => tracing::warn!(
            message_id = message_id::OVERDUE,
            nbkp.sync = sync.as_str(),
            "{sync}: there is no copy that is younger than max-age; `nbkpctl why {sync}` tells what it waits for"
        ),
        Notice::NotOpened(trouble, drive) => tracing::warn!(
            message_id = message_id::NOT_OPENED,
            nbkp.volume = drive.volume.as_str(),
            "{drive} could not be opened: {}; it is tried again by itself ({})",
            text::printable(&trouble.to_string()),
            trouble.hint(drive)
        ),
        Notice::Unusable(volume, obstacle) => tracing::warn!(
            message_id = message_id::UNUSABLE,
            nbkp.volume = volume.as_str(),
            "{}; it is not used like this",
            text::printable(&obstacle.to_string())
        ),
        Notice::Left(drive, left) => tell_how_it_was_left(drive, left),
        Notice::Degraded(sentence) => tracing::warn!(message_id = message_id::DEGRADED, "{sentence}"),
    }
}

fn tell_that_it_came(volume: &VolumeName, path: &Path, unclean: Option<&Unclean>) {
    tracing::info!(
        message_id = message_id::VOLUME_CAME,
        nbkp.volume = volume.as_str(),
        "volume {volume} is there: {}",
        text::printable(&path.to_string_lossy())
    );
    if let Some(Unclean { why, command }) = unclean {
        tracing::warn!(
            message_id = message_id::UNCLEAN,
            nbkp.volume = volume.as_str(),
            "the filesystem of volume {volume} should be checked: {why}; it is used all the same (unmount it, then \
             `sudo {command}`)"
        );
    }
}

fn tell_how_it_was_left(drive: &DriveName, left: &Left) {
    let Some(sentence) = left.sentence(drive) else { return };
    let (volume, sentence) = (drive.volume.as_str(), text::printable(&sentence));
    match left {
        Left::Safe(_) | Left::AsFound | Left::Gone => {
            tracing::info!(message_id = message_id::LEFT, nbkp.volume = volume, "{sentence}");
        }
        Left::Shared(_) | Left::InUse(_) | Left::Stuck(_) | Left::OutOfReach(_) => {
            tracing::warn!(message_id = message_id::NOT_LEFT, nbkp.volume = volume, "{sentence}");
        }
    }
}

fn write_end(record: &RunRecord) {
    let (sync, run, outcome) = (record.sync.as_str(), record.run.as_str(), record.outcome.as_str());
    let error = record.error.as_deref().map(text::printable).unwrap_or_default();
    for warning in &record.warnings {
        tracing::warn!(nbkp.sync = sync, nbkp.run = run, "{sync}: {}", text::printable(warning));
    }
    match record.outcome {
        Outcome::Ok => tracing::info!(
            message_id = message_id::RUN_OK,
            nbkp.sync = sync,
            nbkp.run = run,
            nbkp.outcome = outcome,
            nbkp.files = record.figures.files_transferred,
            nbkp.bytes = record.figures.bytes_transferred,
            "{sync}: {}",
            success(record)
        ),
        Outcome::Skipped => tracing::info!(
            message_id = message_id::RUN_SKIPPED,
            nbkp.sync = sync,
            nbkp.run = run,
            nbkp.outcome = outcome,
            "{sync}: skipped: {error}"
        ),
        Outcome::Interrupted => tracing::info!(
            message_id = message_id::RUN_INTERRUPTED,
            nbkp.sync = sync,
            nbkp.run = run,
            nbkp.outcome = outcome,
            "{sync}: interrupted: {error}; it goes on by itself"
        ),
        Outcome::Failed => tracing::warn!(
            message_id = message_id::RUN_FAILED,
            nbkp.sync = sync,
            nbkp.run = run,
            nbkp.outcome = outcome,
            "{sync}: failed: {error}"
        ),
        Outcome::Held => tracing::warn!(
            message_id = message_id::RUN_HELD,
            nbkp.sync = sync,
            nbkp.run = run,
            nbkp.outcome = outcome,
            "{sync}: held: {error}"
        ),
    }
}

fn success(record: &RunRecord) -> String {
    let figures = &record.figures;
    let took: SignedDuration = record.finished.duration_since(record.started);
    let copied = format!(
        "done: {} copied, {} sent, {} deleted in {:.1} s",
        text::count(figures.files_transferred, "file"),
        text::size(figures.bytes_transferred),
        figures.deletions,
        took.as_secs_f64()
    );
    match record.snapshot {
        Some(snapshot) if record.is_unchanged() => {
            format!("done: nothing new in {:.1} s, snapshot {snapshot} holds it all", took.as_secs_f64())
        }
        Some(snapshot) => format!("{copied}, snapshot {snapshot}"),
        None => copied,
    }
}

/// `copying documents to usb, 40 %`.
fn sentence(status: &Status) -> String {
    let running: Vec<String> = status
        .running
        .iter()
        .map(|run| {
            let doing = match run.progress.step {
                Step::Copy => "copying",
                Step::Prune => "pruning",
                Step::Prove | Step::Lock | Step::Recover | Step::Fetch | Step::Before => "preparing",
                Step::Judge | Step::Flush | Step::Commit | Step::Record | Step::After | Step::Undo => "finishing",
            };
            let (sync, volume) = (&run.sync, &run.destination);
            match run.progress.percent {
                Some(percent) => format!("{doing} {sync} to {volume}, {percent} %"),
                None => format!("{doing} {sync} to {volume}"),
            }
        })
        .collect();
    match (running.is_empty(), status.queue.len()) {
        (false, _) => running.join("; "),
        (true, 0) if let Some(check) = &status.checking => format!("reading the copy of {} back", check.sync),
        (true, 0) => match status.config_error {
            Some(_) => "waiting; the configuration file has mistakes, the one before is in force".into(),
            None => {
                format!("waiting; {} configured", text::count(u64::try_from(status.syncs.len()).unwrap_or(0), "sync"))
            }
        },
        (true, queued) => format!("{} in the queue", text::count(u64::try_from(queued).unwrap_or(0), "sync")),
    }
}
