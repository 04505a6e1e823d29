//! What the dispatcher hears of the machine.

use crate::daemon::fatal::Fatal;
use crate::os::ears::{BlockHint, Ears};

/// What the ears heard.
#[derive(Debug)]
pub(super) enum MachineEvent {
    Block(BlockHint),
    Mounts,
    Config,
    Deadline,
    ClockJumped,
}

/// Waits for the next thing that is heard; for ever, without ears.
pub(super) async fn hear(ears: Option<&mut Ears>) -> Result<MachineEvent, Fatal> {
    let Some(ears) = ears else { return std::future::pending().await };
    let heard = tokio::select! {
        hint = ears.blocks.recv() => hint.map(MachineEvent::Block),
        hint = ears.mounts.recv() => hint.map(|()| MachineEvent::Mounts),
        hint = ears.config.recv() => hint.map(|()| MachineEvent::Config),
        hint = ears.deadline.recv() => hint.map(|()| MachineEvent::Deadline),
        hint = ears.clock.recv() => hint.map(|()| MachineEvent::ClockJumped),
    };
    heard.ok_or(Fatal::TaskEnded("ears"))
}
