//! Whoever waits until a drive is open or closed.

use std::path::PathBuf;

use tokio::sync::oneshot;

use crate::daemon::messages::ask::Refusal;
use crate::model::{DriveName, Left, VolumeName, WhenDone};

/// Those who wait for a drive. Whoever asked may have left, and nothing is lost by it.
#[derive(Debug, Default)]
pub(super) struct DriveRequests {
    mounts: Vec<(VolumeName, ToMount)>,
    closes: Vec<(VolumeName, WhenDone, ToClose)>,
}

/// The way back to who wants a drive open.
pub(super) type ToMount = oneshot::Sender<Result<PathBuf, Refusal>>;

/// The way back to who wants a drive closed.
pub(super) type ToClose = oneshot::Sender<Result<(DriveName, Left), Refusal>>;

impl DriveRequests {
    /// A person wants this drive open.
    pub(super) fn await_mount(&mut self, volume: VolumeName, answer: ToMount) {
        self.mounts.push((volume, answer));
    }

    /// A person wants this drive closed.
    pub(super) fn await_close(&mut self, volume: VolumeName, then: WhenDone, answer: ToClose) {
        self.closes.push((volume, then, answer));
    }

    /// In which way a person wants a drive to be closed, if one does.
    pub(super) fn wanted_close(&self, volume: &VolumeName) -> Option<WhenDone> {
        self.closes.iter().find(|(of, ..)| of == volume).map(|(_, then, _)| *then)
    }

    /// Answers those who want a drive open.
    pub(super) fn answer_mounts(&mut self, volume: &VolumeName, result: &Result<PathBuf, Refusal>) {
        for (_, answer) in self.mounts.extract_if(.., |(of, _)| of == volume) {
            let _ = answer.send(result.clone());
        }
    }

    /// Answers those who want a drive closed.
    pub(super) fn answer_closes(&mut self, drive: &DriveName, left: &Left) {
        for (_, _, answer) in self.closes.extract_if(.., |(of, ..)| *of == drive.volume) {
            let _ = answer.send(Ok((drive.clone(), left.clone())));
        }
    }

    /// The configuration is another one: whoever waits for a drive that it has no longer would wait for ever.
    pub(super) fn refuse(&mut self, refusal: impl Fn(&VolumeName) -> Option<Refusal>) {
        for (volume, answer) in self.mounts.extract_if(.., |(volume, _)| refusal(volume).is_some()) {
            if let Some(refusal) = refusal(&volume) {
                let _ = answer.send(Err(refusal));
            }
        }
        for (volume, _, answer) in self.closes.extract_if(.., |(volume, ..)| refusal(volume).is_some()) {
            if let Some(refusal) = refusal(&volume) {
                let _ = answer.send(Err(refusal));
            }
        }
    }
}
