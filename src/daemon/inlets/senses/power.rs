//! The power supply. It is watched only while a sync waits for it, or a run is under way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::daemon::inlets::senses::shortage::Unheard;
use crate::daemon::messages::sensed::{Activity, Sensed};
use crate::decide::locations::{Wish, wishes};
use crate::model::{Configuration, PowerSight};
use crate::os::bus::{Bus, Presence, Service};
use crate::os::power;

/// How long the first sight waits for UPower.
const FIRST: Duration = Duration::from_secs(5);

/// How often the kernel is asked where nobody tells of changes: without UPower, on a machine with a battery.
const EVERY: Duration = Duration::from_mins(1);

/// Where it is learnt.
#[derive(Debug)]
pub(crate) struct PowerSource {
    /// Where UPower is.
    pub bus: Bus,
    /// Where the kernel tells of power supplies.
    pub supplies: PathBuf,
}

/// What it is watched for.
#[derive(Debug)]
pub(crate) struct PowerWanted {
    /// A sync may wait for power.
    pub configuration: watch::Receiver<Arc<Configuration>>,
    /// What runs may keep the machine awake.
    pub activity: watch::Receiver<Activity>,
}

impl PowerWanted {
    fn is_wanted(&mut self) -> bool {
        let runs = *self.activity.borrow_and_update() != Activity::Rest;
        wishes(&self.configuration.borrow_and_update()).contains(&Wish::Battery) || runs
    }

    async fn changed(&mut self) -> Result<(), Unheard> {
        tokio::select! {
            changed = self.configuration.changed() => Ok(changed?),
            changed = self.activity.changed() => Ok(changed?),
        }
    }
}

/// Tells of the power supply.
pub(crate) async fn follow_power(
    source: PowerSource,
    mut wanted: PowerWanted,
    mut anew: watch::Receiver<()>,
    to: mpsc::Sender<Sensed>,
) -> Result<(), Unheard> {
    loop {
        while !wanted.is_wanted() {
            wanted.changed().await?;
        }
        let mut upower = power::service(source.bus.clone());
        let _ = timeout(FIRST, upower.standing.wait_for(|standing| !matches!(standing, Presence::Unknown))).await;
        let mut told = None;
        while wanted.is_wanted() {
            let (sight, teller) = look(&mut upower, &source.supplies).await;
            if told != Some(sight) {
                to.send(Sensed::Power(sight)).await?;
                told = Some(sight);
            }
            let pause = match (teller, sight) {
                (Teller::Upower, _) | (Teller::Kernel, PowerSight::Unknown) => None,
                (Teller::Kernel, PowerSight::Mains | PowerSight::Battery(_)) => Some(EVERY),
            };
            tokio::select! {
                changed = upower.standing.changed() => changed?,
                // A few properties change together; one look is enough for all that wait.
                Some(_) = upower.signals.recv() => while upower.signals.try_recv().is_ok() {},
                changed = wanted.changed() => changed?,
                changed = anew.changed() => {
                    changed?;
                    told = None;
                }
                () = rest(pause) => {}
            }
        }
    }
}

/// Who told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Teller {
    /// It tells of changes, too.
    Upower,
    /// It does not.
    Kernel,
}

async fn look(upower: &mut Service, supplies: &std::path::Path) -> (PowerSight, Teller) {
    let standing = upower.standing.borrow_and_update().clone();
    if let Presence::Here(peer) = standing
        && let Ok(sight) = power::ask(&peer).await
    {
        return (sight, Teller::Upower);
    }
    // A battery may take its time to answer.
    let supplies = supplies.to_owned();
    let read = tokio::task::spawn_blocking(move || power::sight(&supplies)).await;
    (read.unwrap_or_default(), Teller::Kernel)
}

async fn rest(pause: Option<Duration>) {
    match pause {
        Some(pause) => sleep(pause).await,
        None => std::future::pending().await,
    }
}
