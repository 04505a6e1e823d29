//! What every test of the doctor starts from, and how it asks a bus.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::backup::job::SyncAsSeen;
use crate::daemon::world::Initiative;
use crate::model::{BlockDevice, Configuration, Containers, Status};
use crate::os::environment::Paths;

/// How long a look at everything may take, servers included. What is late is judged by what was known before.
pub(crate) const A_LOOK: Duration = Duration::from_secs(40);

/// What was known when the tests began.
pub(crate) struct Premises {
    pub(crate) paths: Paths,
    pub(crate) initiative: Initiative,
    pub(crate) status: Arc<Status>,
    pub(crate) configuration: Arc<Configuration>,
    /// What is plugged in, and which containers it is known to lie in; nothing if that could not be learnt in time.
    pub(crate) devices: Option<(Vec<BlockDevice>, Arc<Containers>)>,
    /// How each sync stands; nothing if that could not be learnt in time.
    pub(crate) seen: Vec<SyncAsSeen>,
    /// One of the few places for errands: it is taken for as long as a test waits for what does not answer.
    _place: OwnedSemaphorePermit,
}

impl Premises {
    /// What these know; `place` is held for as long as a test waits.
    pub(crate) fn new(
        (paths, initiative): (Paths, Initiative),
        status: Arc<Status>,
        configuration: Arc<Configuration>,
        devices: Option<(Vec<BlockDevice>, Arc<Containers>)>,
        seen: Vec<SyncAsSeen>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { paths, initiative, status, configuration, devices, seen, _place: place }
    }
}

/// Waits for an answer on this thread.
pub(crate) fn on_a_runtime<T>(work: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    Some(runtime.block_on(work))
}
