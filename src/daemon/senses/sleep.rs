//! Sleep: the machine waits for us before, and is looked at afresh after.

use tokio::sync::{mpsc, watch};

use super::{Complaints, Sensed, Sleep, Unheard};
use crate::os::bus::{Bus, Peer, Standing};
use crate::os::logind::{self, Inhibitor, Turn};

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
        let Some(peer) = peer else { return Ok(()) };
        match logind::last_turn(peer).await {
            Ok(turn) if turn != self.turn => self.take(turn, Some(peer)).await,
            Ok(_) | Err(_) => self.ask_for_permit(peer).await,
        }
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
                if let Some(peer) = peer {
                    self.ask_for_permit(peer).await?;
                }
            }
        }
        Ok(())
    }

    async fn ask_for_permit(&mut self, peer: &Peer) -> Result<(), Unheard> {
        if self.permit.is_some() || self.turn == Turn::ToSleep {
            return Ok(());
        }
        let trouble = match logind::inhibit(peer).await {
            Ok(permit) => {
                self.permit = Some(permit);
                None
            }
            Err(error) => Some(format!(
                "sleep does not wait for a running copy: could not {error}; the copy is cut off, and goes on after it"
            )),
        };
        self.complaints.tell(trouble).await
    }
}
