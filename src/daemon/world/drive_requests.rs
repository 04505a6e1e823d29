//! Whoever waits until a drive is open or closed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::sync::oneshot;

use crate::daemon::messages::ask::Refusal;
use crate::model::{Closed, DriveName, Left, VolumeName, WhenDone};

/// Those who wait for a drive. Whoever asked may have left, and nothing is lost by it.
#[derive(Debug, Default)]
pub(super) struct DriveRequests {
    mounts: Vec<(VolumeName, ToMount)>,
    closes: Vec<(VolumeName, WhenDone, ToClose)>,
    /// How the drives are closed of which that is under way, or was ordered last.
    ordered: BTreeMap<VolumeName, WhenDone>,
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

    /// In which way people want a drive to be closed, if somebody does: whoever wants the least gets more.
    pub(super) fn wanted_close(&self, volume: &VolumeName) -> Option<WhenDone> {
        self.closes.iter().filter(|(of, ..)| of == volume).map(|(_, then, _)| *then).max()
    }

    /// A drive is about to be closed so.
    pub(super) fn order(&mut self, volume: &VolumeName, then: WhenDone) {
        self.ordered.insert(volume.clone(), then);
    }

    /// Answers those who want a drive open.
    pub(super) fn answer_mounts(&mut self, volume: &VolumeName, result: &Result<PathBuf, Refusal>) {
        for (_, answer) in self.mounts.extract_if(.., |(of, _)| of == volume) {
            let _ = answer.send(result.clone());
        }
    }

    /// Answers those who want a drive closed. Who came while it was being closed, and wants more than that, waits on:
    /// it is closed once more for them.
    pub(super) fn answer_closes(&mut self, drive: &DriveName, left: &Left) {
        let ordered = self.ordered.remove(&drive.volume).unwrap_or(WhenDone::PowerOff);
        let nothing_is_left = matches!(left, Left::Gone | Left::Safe(Closed::PoweredOff));
        let is_answered = |of: &VolumeName, then: WhenDone| {
            *of == drive.volume && (then <= ordered || nothing_is_left || left.is_open())
        };
        for (_, _, answer) in self.closes.extract_if(.., |(of, then, _)| is_answered(of, *then)) {
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
