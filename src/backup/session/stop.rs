//! The way by which a run is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::model::{Interruption, NotDone};
use crate::os::process::{Bell, Wanted};

/// What a run is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop(pub Interruption);

/// The end that tells.
#[derive(Debug)]
pub(crate) struct Teller {
    outbox: SyncSender<Stop>,
    bell: Bell,
    told: Arc<AtomicBool>,
}

impl Teller {
    /// Tells the run to stop. It never waits: what does not fit was said often enough.
    pub(crate) fn tell(&self, why: Interruption) {
        let _full = self.outbox.try_send(Stop(why));
        self.told.store(true, Ordering::Relaxed);
        self.bell.ring();
    }
}

/// The end that listens.
#[derive(Debug)]
pub(crate) struct Stops {
    inbox: Receiver<Stop>,
    /// Rings when something was told.
    pub(crate) bell: Bell,
    /// Whether anything was told, for threads beside this one.
    pub(crate) told: Arc<AtomicBool>,
    why: Option<Interruption>,
    wanted: Wanted,
}

/// Both ends.
pub(crate) fn pair() -> std::io::Result<(Teller, Stops)> {
    let (outbox, inbox) = sync_channel(8);
    let bell = Bell::new()?;
    let told = Arc::new(AtomicBool::new(false));
    let teller = Teller { outbox, bell: bell.share()?, told: Arc::clone(&told) };
    Ok((teller, Stops { inbox, bell, told, why: None, wanted: Wanted::GoOn }))
}

impl Stops {
    /// What is wanted now. The first reason stays; being told once more to stop altogether ends all patience.
    pub(crate) fn wanted(&mut self) -> Wanted {
        while let Ok(Stop(why)) = self.inbox.try_recv() {
            if self.why.is_none() {
                self.why = Some(why);
                self.wanted = Wanted::End;
            } else if why == Interruption::Stopping {
                self.wanted = Wanted::Kill;
            }
        }
        self.wanted
    }

    /// What was told is done; only what is told from now on counts. Returns why it was told to stop.
    pub(crate) fn heeded(&mut self) -> Option<Interruption> {
        self.wanted();
        self.wanted = Wanted::GoOn;
        self.why.take()
    }

    /// Ends the run here if it was told to stop.
    pub(crate) fn check(&mut self) -> Result<(), NotDone> {
        self.wanted();
        self.why.clone().map_or(Ok(()), |why| Err(NotDone::Interrupted(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_and_stopping_twice_kills() {
        let (teller, mut stops) = pair().unwrap();
        assert_eq!((stops.wanted(), stops.check()), (Wanted::GoOn, Ok(())));
        teller.tell(Interruption::Cancelled);
        assert_eq!(stops.wanted(), Wanted::End);
        teller.tell(Interruption::Cancelled);
        assert_eq!(stops.wanted(), Wanted::End);
        teller.tell(Interruption::Stopping);
        assert_eq!(stops.wanted(), Wanted::Kill);
        assert_eq!(stops.check(), Err(NotDone::Interrupted(Interruption::Cancelled)));
        for _ in 0..100 {
            teller.tell(Interruption::Stopping);
        }
    }
}
