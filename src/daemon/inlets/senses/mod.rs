//! The senses: what the daemon knows of the network, of sleep and of the power supply.
//!
//! Each neighbour has a task of its own here. It may be missing, late, or start anew at any time: what it says is then
//! unknown, the others go on, and it is taken up again when it is back. An event only says "look again"; what is told
//! is what the look found, and only if it is something new.

mod manager;
mod network;
mod pace;
mod power;
mod shortage;
mod sleep;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::daemon::messages::sensed::{Activity, Sensed};
use crate::model::Configuration;
use crate::os::bus::Bus;

/// What the senses need.
#[derive(Debug)]
pub struct SenseInputs {
    /// Where NetworkManager, logind and UPower are.
    pub bus: Bus,
    /// Where the kernel tells of power supplies.
    pub supplies: PathBuf,
    /// The configuration in force: what nobody asked for is not complained about, and costs nothing.
    pub configuration: watch::Receiver<Arc<Configuration>>,
    /// What is under way.
    pub activity: watch::Receiver<Activity>,
    /// Orders to look at everything again and to tell it even if it is the same. One that waits is enough.
    pub again: mpsc::Receiver<()>,
}

/// Senses until the dispatcher is gone.
pub async fn listen(surroundings: SenseInputs, to_dispatcher: mpsc::Sender<Sensed>) {
    let SenseInputs { bus, supplies, configuration, activity, mut again } = surroundings;
    let (look_anew, anew) = watch::channel(());
    let (to_manager, manager) = watch::channel(manager::Manager::Unknown);
    let mut tasks = JoinSet::new();
    tasks.spawn(manager::follow(bus.clone(), to_manager));
    tasks.spawn(network::follow_network(configuration.clone(), manager, anew.clone(), to_dispatcher.clone()));
    tasks.spawn(sleep::follow_sleep(bus.clone(), activity.clone(), look_anew.clone(), to_dispatcher.clone()));
    let wanted = power::PowerWanted { configuration, activity };
    tasks.spawn(power::follow_power(power::PowerSource { bus, supplies }, wanted, anew, to_dispatcher.clone()));
    loop {
        tokio::select! {
            Some(()) = again.recv() => {
                look_anew.send_replace(());
            }
            // None of them ends but by a mistake, or because nobody listens.
            _ = tasks.join_next() => return,
            () = to_dispatcher.closed() => return,
        }
    }
}
