//! The network as a whole: what the kernel knows, and what NetworkManager adds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::daemon::inlets::senses::manager::Manager;
use crate::daemon::inlets::senses::pace::Pace;
use crate::daemon::inlets::senses::shortage::{Shortage, Unheard};
use crate::daemon::messages::sensed::Sensed;
use crate::decide::locations::{Wish, wishes};
use crate::model::{ChangeExtent, Configuration, LinkKind, NetworkSight};
use crate::os::addresses::{self, AddressesError, AddressesSight, Ear, Gateway, Neighbours};
use crate::os::causes::chain;

/// How long the first sight waits for NetworkManager: without it a connection that is metered looks like any other.
const FIRST: Duration = Duration::from_secs(5);

/// How long until the kernel is asked again after it did not answer.
const AGAIN: Duration = Duration::from_secs(5);

/// So much of a storm is taken before each look. What is left of it leads to one more.
const DRAINED: usize = 10_000;

/// Tells of the network.
pub(crate) async fn follow_network(
    configuration: watch::Receiver<Arc<Configuration>>,
    mut manager: watch::Receiver<Manager>,
    anew: watch::Receiver<()>,
    to: mpsc::Sender<Sensed>,
) -> Result<(), Unheard> {
    let _ = timeout(FIRST, manager.wait_for(|manager| *manager != Manager::Unknown)).await;
    let complaints = (Shortage::of("network", &to), Shortage::of("NetworkManager", &to));
    let told = Told { wanted: Wanted::Anyway, ..Told::default() };
    let (pace, nudged) = Default::default();
    Network { ear: None, configuration, manager, anew, complaints, told, nudged, pace, to }.run().await
}

struct Network {
    ear: Option<Ear>,
    configuration: watch::Receiver<Arc<Configuration>>,
    manager: watch::Receiver<Manager>,
    anew: watch::Receiver<()>,
    /// Of the kernel, and of NetworkManager.
    complaints: (Shortage, Shortage),
    told: Told,
    /// The gateways that were asked for their hardware address.
    nudged: BTreeSet<Gateway>,
    pace: Pace,
    to: mpsc::Sender<Sensed>,
}

/// What the dispatcher knows.
#[derive(Debug, Default)]
struct Told {
    network: NetworkSight,
    /// What stood for the ways, and for those out of this machine.
    ways: (u64, u64),
    wanted: Wanted,
}

/// When a sight is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Wanted {
    /// If it is another one.
    #[default]
    IfNew,
    /// Whatever it is.
    Anyway,
}

impl Network {
    async fn run(mut self) -> Result<(), Unheard> {
        loop {
            self.pace.take().await;
            let trouble = match self.look().await {
                Ok(found) => {
                    self.tell(&found).await?;
                    None
                }
                Err(error) => {
                    // Whoever waits to be told is told that nothing is known: servers are asked all the same.
                    if self.told.wanted == Wanted::Anyway {
                        self.tell(&AddressesSight::default()).await?;
                    }
                    Some(error)
                }
            };
            self.complain(trouble.as_ref()).await?;
            if trouble.is_some() {
                // Whatever broke, it is opened anew.
                self.ear = None;
            }
            self.wait().await?;
        }
    }

    /// Looks at what the kernel knows. It is listened to first, so that nothing falls in between.
    async fn look(&mut self) -> Result<AddressesSight, AddressesError> {
        let ear = match &mut self.ear {
            Some(ear) => ear,
            None => self.ear.insert(Ear::open()?),
        };
        ear.drain(DRAINED)?;
        let found = addresses::look().await?;
        let wished = wishes(&self.configuration.borrow_and_update()).contains(&Wish::Gateways);
        if !wished || found.unresolved.is_empty() {
            ear.set_neighbours(Neighbours::Ignored)?;
            self.nudged.clear();
            return Ok(found);
        }
        // Somebody has to talk to a gateway before its hardware address is known.
        ear.set_neighbours(Neighbours::Heard)?;
        found.unresolved.difference(&self.nudged).for_each(Gateway::nudge);
        self.nudged.clone_from(&found.unresolved);
        // It may have become known between the look and the hearing.
        addresses::look().await
    }

    async fn tell(&mut self, found: &AddressesSight) -> Result<(), Unheard> {
        let network = sight(found, &self.manager.borrow_and_update());
        let ways = (found.ways, found.outside);
        let is_inside = found.outside == self.told.ways.1 && outside(&network) == outside(&self.told.network);
        let extent = if is_inside { ChangeExtent::Inside } else { ChangeExtent::Outside };
        let is_new = network != self.told.network;
        if self.told.wanted == Wanted::Anyway || is_new {
            self.to.send(Sensed::Network(network.clone(), extent)).await?;
        }
        // Also where the same network was asked for, other ways may lead through it by now.
        if !is_new && ways != self.told.ways {
            self.to.send(Sensed::RoutesChanged(extent)).await?;
        }
        self.told = Told { network, ways, wanted: Wanted::IfNew };
        Ok(())
    }

    async fn complain(&mut self, trouble: Option<&AddressesError>) -> Result<(), Unheard> {
        let sentence = trouble.map(|error| {
            format!("networks that are joined and left are not seen: could not {}; it is tried again", chain(error))
        });
        self.complaints.0.tell(sentence).await?;
        let sentence = manager_trouble(&self.manager.borrow(), &wishes(&self.configuration.borrow()));
        self.complaints.1.tell(sentence).await
    }

    /// Waits until another look is owed.
    async fn wait(&mut self) -> Result<(), Unheard> {
        tokio::select! {
            heard = hear(self.ear.as_mut()) => if let Err(error) = heard {
                self.ear = None;
                self.complain(Some(&error)).await?;
                sleep(AGAIN).await;
            },
            changed = self.manager.changed() => changed?,
            changed = self.configuration.changed() => changed?,
            changed = self.anew.changed() => {
                changed?;
                self.told.wanted = Wanted::Anyway;
            }
        }
        Ok(())
    }
}

async fn hear(ear: Option<&mut Ear>) -> Result<(), AddressesError> {
    let Some(ear) = ear else {
        sleep(AGAIN).await;
        return Ok(());
    };
    ear.hear().await.map(drop)
}

/// A network without what comes and goes with containers and virtual machines: NetworkManager tells of their bridges.
fn outside(network: &NetworkSight) -> NetworkSight {
    let mut outside = NetworkSight { connections: BTreeSet::new(), ..network.clone() };
    outside.links.retain(|_, link| link.kind != LinkKind::Inside);
    outside
}

/// What the kernel knows, with what NetworkManager adds.
fn sight(found: &AddressesSight, manager: &Manager) -> NetworkSight {
    let (links, gateways) = (found.links.clone(), found.gateways.clone());
    let mut network = NetworkSight { links, gateways, ..NetworkSight::default() };
    if let Manager::Says(says) = manager {
        for (name, link) in &mut network.links {
            link.metered = says.metered.get(name).copied().unwrap_or_default();
        }
        network.connections.clone_from(&says.connections);
        network.ssids.clone_from(&says.ssids);
        network.connectivity = says.connectivity;
    }
    network
}

/// What a person misses without NetworkManager, and what can be done. Where it was never meant to be, that is only what
/// was asked of it.
fn manager_trouble(manager: &Manager, wishes: &BTreeSet<Wish>) -> Option<String> {
    let (state, why, unmeant) = match manager {
        Manager::Unknown | Manager::Says(_) => return None,
        Manager::Missing(why) => ("is not there", why, true),
        Manager::Gone(why) => ("is gone", why, false),
        Manager::Silent(why) => ("does not answer", why, false),
    };
    let places = "locations are not recognised by `ssids` and `connections`";
    let mend = "start it, or recognise them by `gateways` and `subnets`";
    if wishes.contains(&Wish::Connections) {
        Some(format!("NetworkManager {state}: {why}; {places}, and nobody knows what is metered; {mend}"))
    } else if wishes.contains(&Wish::Metered) && !unmeant {
        let mend = "`systemctl restart NetworkManager` may help";
        Some(format!("NetworkManager {state}: {why}; nobody knows what is metered; {mend}"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_missed_only_by_who_asked_for_it() {
        let check = |manager: Manager, wishes: &[Wish], expected: &str| {
            let told = manager_trouble(&manager, &wishes.iter().copied().collect());
            assert!(told.as_deref().unwrap_or("nothing").contains(expected), "{manager:?} {wishes:?}: {told:?}");
        };
        let missing = || Manager::Missing("it does not run".into());
        let silent = || Manager::Silent("it says nothing".into());
        let gone = || Manager::Gone("it does not run".into());
        check(missing(), &[], "nothing");
        check(missing(), &[Wish::Metered, Wish::Gateways, Wish::Battery], "nothing");
        check(missing(), &[Wish::Connections], "is not there: it does not run; locations are not recognised");
        check(gone(), &[Wish::Battery], "nothing");
        check(gone(), &[Wish::Metered], "is gone: it does not run; nobody knows what is metered");
        check(silent(), &[Wish::Gateways], "nothing");
        check(silent(), &[Wish::Metered], "does not answer: it says nothing; nobody knows what is metered");
        check(Manager::Unknown, &[Wish::Connections], "nothing");
        check(Manager::Says(crate::os::network_manager::ManagerSight::default()), &[Wish::Connections], "nothing");
    }
}
