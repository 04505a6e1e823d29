//! Sleep: the machine waits for us before, does not fall asleep by itself while we copy, and is looked at afresh after.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::daemon::inlets::senses::shortage::{Shortage, Unheard};
use crate::daemon::messages::sensed::{Activity, Sensed, Sleep};
use crate::os::bus::{Bus, Peer, Presence};
use crate::os::causes::chain;
use crate::os::logind::{self, HeldOff, Inhibitor, LogindError, Turn};

/// How long until a logind that refused is asked again.
const AGAIN: Duration = Duration::from_mins(1);

/// Tells of sleep.
pub(crate) async fn follow_sleep(
    bus: Bus,
    mut activity: watch::Receiver<Activity>,
    look_anew: watch::Sender<()>,
    to: mpsc::Sender<Sensed>,
) -> Result<(), Unheard> {
    let mut service = logind::service(bus);
    let complaints = Shortage::of("logind", &to);
    let now = *activity.borrow_and_update();
    let mut sleeper =
        Sleeper { turn: Turn::ToWake, activity: now, permit: None, vigil: None, complaints, look_anew, to };
    loop {
        tokio::select! {
            // What was signalled comes before what follows from a new standing.
            biased;
            Some(signal) = service.signals.recv() => {
                if let Some(turn) = logind::turn(&signal) {
                    let standing = service.standing.borrow().clone();
                    sleeper.take(turn, peer(&standing)).await?;
                }
            }
            changed = service.standing.changed() => {
                changed?;
                let standing = service.standing.borrow_and_update().clone();
                sleeper.meet(peer(&standing)).await?;
            }
            changed = activity.changed() => {
                changed?;
                sleeper.activity = *activity.borrow_and_update();
                let standing = service.standing.borrow().clone();
                sleeper.ask(peer(&standing)).await?;
            }
            () = sleep(AGAIN), if sleeper.complaints.complains() => {
                let standing = service.standing.borrow().clone();
                sleeper.ask(peer(&standing)).await?;
            }
        }
    }
}

fn peer(standing: &Presence) -> Option<&Peer> {
    match standing {
        Presence::Here(peer) => Some(peer),
        Presence::Unknown | Presence::Absent(_) | Presence::NoBus(_) => None,
    }
}

struct Sleeper {
    turn: Turn,
    activity: Activity,
    /// Has sleep wait for us.
    permit: Option<Inhibitor>,
    /// Keeps the machine from falling asleep by itself.
    vigil: Option<Inhibitor>,
    complaints: Shortage,
    look_anew: watch::Sender<()>,
    to: mpsc::Sender<Sensed>,
}

impl Sleeper {
    /// Another logind is there, or none: the locks of the one before are worth nothing, and a turn may have been
    /// missed.
    async fn meet(&mut self, peer: Option<&Peer>) -> Result<(), Unheard> {
        (self.permit, self.vigil) = (None, None);
        if let Some(logind) = peer
            && let Ok(turn) = logind::last_turn(logind).await
            && turn != self.turn
        {
            return self.take(turn, peer).await;
        }
        self.ask(peer).await
    }

    async fn take(&mut self, turn: Turn, peer: Option<&Peer>) -> Result<(), Unheard> {
        self.turn = turn;
        match turn {
            Turn::ToSleep => {
                let permit = self.permit.take();
                self.to.send(Sensed::Sleep(Sleep::GoingToSleep { permit })).await?;
            }
            Turn::ToWake => {
                self.to.send(Sensed::Sleep(Sleep::Woke)).await?;
                self.look_anew.send_replace(());
                self.ask(peer).await?;
            }
        }
        Ok(())
    }

    /// Asks for the locks that are wanted and not there, and gives back those that are wanted no longer. Where there is
    /// no logind, nobody misses them.
    async fn ask(&mut self, peer: Option<&Peer>) -> Result<(), Unheard> {
        let mut troubles = Vec::new();
        if self.turn == Turn::ToWake {
            let told = granted(&mut self.permit, HeldOff::Sleep, peer).await;
            troubles.extend(told.map(|error| {
                format!(
                    "sleep does not wait for a running copy: could not {}; the copy is cut off, and goes on after it",
                    chain(&error)
                )
            }));
        }
        if self.activity == Activity::RunsAwake {
            let told = granted(&mut self.vigil, HeldOff::Idleness, peer).await;
            troubles.extend(told.map(|error| {
                format!(
                    "the machine may fall asleep while a copy runs: could not {}; the copy goes on when it wakes",
                    chain(&error)
                )
            }));
        } else {
            self.vigil = None;
        }
        self.complaints.tell((!troubles.is_empty()).then(|| troubles.join("; "))).await
    }
}

/// Takes a lock, unless it is there already; tells why it was refused.
async fn granted(lock: &mut Option<Inhibitor>, what: HeldOff, peer: Option<&Peer>) -> Option<LogindError> {
    let (None, Some(peer)) = (&lock, peer) else { return None };
    match logind::inhibit(peer, what).await {
        Ok(inhibitor) => {
            *lock = Some(inhibitor);
            None
        }
        Err(error) => Some(error),
    }
}
