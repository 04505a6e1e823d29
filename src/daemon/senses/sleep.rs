//! Sleep: the machine waits for us before, and is looked at afresh after.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::{Complaints, Sensed, Sleep, Unheard};
use crate::os::bus::{Bus, Peer, Standing};
use crate::os::logind::{self, Inhibitor, Turn};

/// How long until a logind that refused is asked again.
const AGAIN: Duration = Duration::from_mins(1);

/// Tells of sleep.
pub(super) async fn tell(bus: Bus, look_anew: watch::Sender<()>, to: mpsc::Sender<Sensed>) -> Result<(), Unheard> {
    let mut service = logind::watch(bus);
    let mut sleeper =
        Sleeper { turn: Turn::ToWake, permit: None, complaints: Complaints::of("logind", &to), look_anew, to };
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
            () = sleep(AGAIN), if sleeper.complaints.told.is_some() => {
                let standing = service.standing.borrow().clone();
                sleeper.ask_for_permit(peer(&standing)).await?;
            }
        }
    }
}

fn peer(standing: &Standing) -> Option<&Peer> {
    match standing {
        Standing::Here(peer) => Some(peer),
        Standing::Unknown | Standing::Absent(_) | Standing::NoBus(_) => None,
    }
}

struct Sleeper {
    turn: Turn,
    permit: Option<Inhibitor>,
    complaints: Complaints,
    look_anew: watch::Sender<()>,
    to: mpsc::Sender<Sensed>,
}

impl Sleeper {
    /// Another logind is there, or none: the lock of the one before is worth nothing, and a turn may have been missed.
    async fn meet(&mut self, peer: Option<&Peer>) -> Result<(), Unheard> {
        self.permit = None;
        if let Some(logind) = peer
            && let Ok(turn) = logind::last_turn(logind).await
            && turn != self.turn
        {
            return self.take(turn, peer).await;
        }
        self.ask_for_permit(peer).await
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
                self.ask_for_permit(peer).await?;
            }
        }
        Ok(())
    }

    /// Has sleep wait for us from now on. Where there is no logind, nobody misses it.
    async fn ask_for_permit(&mut self, peer: Option<&Peer>) -> Result<(), Unheard> {
        let trouble = match peer {
            Some(peer) if self.permit.is_none() && self.turn == Turn::ToWake => match logind::inhibit(peer).await {
                Ok(permit) => {
                    self.permit = Some(permit);
                    None
                }
                Err(error) => Some(format!(
                    "sleep does not wait for a running copy: could not {error}; the copy is cut off, and goes on after it"
                )),
            },
            Some(_) | None => None,
        };
        self.complaints.tell(trouble).await
    }
}
