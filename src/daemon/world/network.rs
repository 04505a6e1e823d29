//! The network, and which of the configured locations it is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::decide::locations;
use crate::model::{BootTime, Configuration, LocationName, Metered, NetworkSight, Now};

/// So long after a network was joined a connection that breaks is not counted: networks come up piece by piece.
const COMING_UP: Duration = Duration::from_mins(5);

/// The network.
#[derive(Debug, Clone, Default)]
pub(super) struct NetworkState {
    /// `None` until it was seen for the first time.
    sight: Option<Arc<NetworkSight>>,
    /// The locations that are recognised.
    here: BTreeSet<LocationName>,
    /// When it last changed, or the ways that lead through it.
    changed: BootTime,
}

/// What a look at the network changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NetworkChange {
    /// Nothing.
    None,
    /// It is another one, in the same locations.
    Network,
    /// It is another one, and so are the locations.
    Locations(BTreeSet<LocationName>),
}

impl NetworkState {
    /// Takes in how the network is now.
    pub(super) fn take_in(&mut self, sight: NetworkSight, configuration: &Configuration) -> NetworkChange {
        if self.sight.as_deref() == Some(&sight) {
            return NetworkChange::None;
        }
        let here = locations::recognised(&configuration.locations, &sight);
        self.sight = Some(Arc::new(sight));
        if here == self.here {
            return NetworkChange::Network;
        }
        self.here.clone_from(&here);
        NetworkChange::Locations(here)
    }

    /// The configuration is another one, and may call other networks a location.
    pub(super) fn fit(&mut self, configuration: &Configuration) {
        if let Some(sight) = &self.sight {
            self.here = locations::recognised(&configuration.locations, sight);
        }
    }

    /// The ways that lead through it changed.
    pub(super) fn ways_changed(&mut self, now: &Now) {
        self.changed = now.boot;
    }

    /// The network, if it was seen.
    pub(super) fn sight(&self) -> Option<&Arc<NetworkSight>> {
        self.sight.as_ref()
    }

    /// The locations that are recognised.
    pub(super) fn locations(&self) -> &BTreeSet<LocationName> {
        &self.here
    }

    /// Whether what goes through this interface is paid for by volume.
    pub(super) fn is_metered(&self, interface: &str) -> bool {
        self.sight.as_deref().is_some_and(|sight| locations::metered(sight, interface) == Metered::Yes)
    }

    /// Whether it is still coming up.
    pub(super) fn comes_up(&self, now: BootTime) -> bool {
        now.since(self.changed) < COMING_UP
    }
}
