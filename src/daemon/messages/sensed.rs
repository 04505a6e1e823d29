//! What was sensed of network, sleep and power.

use crate::model::{ChangeExtent, NetworkSight, PowerSight};
use crate::os::logind::Inhibitor;

/// What was sensed.
#[derive(Debug)]
pub enum Sensed {
    /// How the network is now. It is told once at the start, then when it has changed, and when it was asked for.
    Network(NetworkSight, ChangeExtent),
    /// The network is as it was told, but other ways lead through it: routes, rules, or a link that went and came.
    RoutesChanged(ChangeExtent),
    /// How the power supply is now. It is told only while a sync waits for power, or a run is under way.
    Power(PowerSight),
    /// The machine goes to sleep or has woken.
    Sleep(Sleep),
    /// A neighbour, and what is missing without it; `None` when it is all right again.
    Degraded(&'static str, Option<String>),
}

/// A turn between waking and sleeping.
#[derive(Debug)]
pub enum Sleep {
    /// It is going to sleep, and waits while the permit lives, for as long as logind allows (5 s, most often). Dropping
    /// the permit lets it sleep at once.
    GoingToSleep {
        /// Holds it awake; `None` if logind did not grant that.
        permit: Option<Inhibitor>,
    },
    /// It has woken.
    Woke,
}

/// What is under way, as far as the senses have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// No run.
    #[default]
    Rest,
    /// Runs, on battery: the machine may sleep when it likes.
    Runs,
    /// Runs, for which the machine is to stay awake if nobody sends it to sleep.
    RunsAwake,
}
