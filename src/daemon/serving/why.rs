//! `Why`: every condition of a sync with its value, met or not.

use crate::formats::wire::{Condition, Why};
use crate::model::{
    BatteryRule, Configuration, End, Every, MeteredRule, Obstacle, Place, Status, Sync, SyncState, SyncStatus,
    VolumeName, upstreams, words,
};

/// Every condition of a sync.
pub(crate) fn why(found: &SyncStatus, status: &Status, configuration: &Configuration) -> Why {
    let told = |conditions, due, next| Why {
        sync: found.name.to_string(),
        state: found.state.into(),
        freshness: found.freshness.into(),
        conditions,
        due,
        next,
    };
    match configuration.syncs.get(&found.name) {
        Some(sync) => told(conditions(found, sync, status, configuration), due(found, sync), next(found)),
        // The configuration changed between the two; the next call finds it.
        None => told(Vec::new(), String::new(), "the configuration has just changed; ask again".into()),
    }
}

/// What conditions are about, in the order in which a person would check them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// Whether the configuration wants it at all.
    Enabled,
    /// The volume that it reads from.
    SourceVolume,
    /// The place there.
    SourcePlace,
    /// The volume that it writes to.
    DestinationVolume,
    /// The place there.
    DestinationPlace,
    /// What people keep hands off.
    Holds,
    /// The drive as a thing.
    Hardware,
    /// What would delete too much.
    Guard,
    /// The syncs that go first.
    SyncsBefore,
    /// The time of day.
    Hours,
    /// Whether the network is metered.
    Connection,
    /// Whether the machine is on mains power.
    Power,
    /// The pause of the daemon.
    Pause,
    /// What the last attempt left.
    LastAttempt,
}

words!(Subject {
    Enabled = "enabled",
    SourceVolume = "source volume",
    SourcePlace = "source place",
    DestinationVolume = "destination volume",
    DestinationPlace = "destination place",
    Holds = "holds",
    Hardware = "hardware",
    Guard = "guard",
    SyncsBefore = "syncs before",
    Hours = "hours",
    Connection = "connection",
    Power = "power",
    Pause = "pause",
    LastAttempt = "last attempt",
});

fn subject(obstacle: &Obstacle) -> Subject {
    match obstacle {
        Obstacle::Disabled => Subject::Enabled,
        Obstacle::VolumeAbsent { end: End::Source, .. }
        | Obstacle::NotMounted { end: End::Source, .. }
        | Obstacle::NotOpened { end: End::Source, .. }
        | Obstacle::Locked { end: End::Source, .. } => Subject::SourceVolume,
        Obstacle::VolumeAbsent { end: End::Destination, .. }
        | Obstacle::NotMounted { end: End::Destination, .. }
        | Obstacle::Locked { end: End::Destination, .. }
        | Obstacle::NotOpened { end: End::Destination, .. }
        | Obstacle::NotEncrypted { .. }
        | Obstacle::DuplicateUuid { .. }
        | Obstacle::ReadOnly { .. } => Subject::DestinationVolume,
        Obstacle::SourceIsEmpty { .. }
        | Obstacle::Unrestored(_)
        | Obstacle::DirectoryMissing { end: End::Source, .. }
        | Obstacle::NoSnapshotYet { .. }
        | Obstacle::Sentinel { end: End::Source, .. }
        | Obstacle::SentinelMismatch { end: End::Source, .. } => Subject::SourcePlace,
        Obstacle::DirectoryMissing { end: End::Destination, .. }
        | Obstacle::Sentinel { end: End::Destination, .. }
        | Obstacle::SentinelMismatch { end: End::Destination, .. }
        | Obstacle::LayoutMismatch(..)
        | Obstacle::NotBtrfs { .. }
        | Obstacle::NoSpace { .. } => Subject::DestinationPlace,
        Obstacle::VolumeHeld { .. } => Subject::Holds,
        Obstacle::DeviceUnknown { .. } => Subject::Hardware,
        Obstacle::Held(_) => Subject::Guard,
        Obstacle::UpstreamFailed { .. } => Subject::SyncsBefore,
        Obstacle::OutsideHours(_) => Subject::Hours,
        Obstacle::Metered { .. } => Subject::Connection,
        Obstacle::Battery { .. } => Subject::Power,
        Obstacle::Paused { .. } => Subject::Pause,
        Obstacle::BackingOff { .. }
        | Obstacle::PutOff { .. }
        | Obstacle::LockTaken { .. }
        | Obstacle::Stuck(_)
        | Obstacle::ToolMissing { .. }
        | Obstacle::ToolOutdated { .. } => Subject::LastAttempt,
    }
}

fn conditions(found: &SyncStatus, sync: &Sync, status: &Status, configuration: &Configuration) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (word, about) in Subject::WORDS {
        let unmet: Vec<&Obstacle> = found.obstacles.iter().filter(|obstacle| subject(obstacle) == about).collect();
        if unmet.is_empty() {
            let value = met_value(about, sync, status, configuration);
            conditions.push(Condition { subject: word.into(), met: true, value, hint: None });
        }
        conditions.extend(unmet.into_iter().map(|obstacle| Condition {
            subject: word.into(),
            met: false,
            value: obstacle.to_string(),
            hint: Some(obstacle.hint(&found.name)),
        }));
    }
    conditions
}

/// What a condition that is met looks like. Where its place cannot be known yet, it says so.
fn met_value(about: Subject, sync: &Sync, status: &Status, configuration: &Configuration) -> String {
    let volume = |name: &VolumeName| status.volumes.iter().find(|volume| volume.name == *name);
    let root = |name: &VolumeName| volume(name).and_then(|volume| volume.path.as_ref());
    let at =
        |name: &VolumeName| root(name).map_or("not known while it is away".into(), |path| path.display().to_string());
    let place = |place: &Place| {
        root(&place.volume).map_or("not known while its volume is away".into(), |path| {
            format!("{} is proven", path.join(place.subdir.as_path()).display())
        })
    };
    match about {
        Subject::Enabled => "yes".into(),
        Subject::SourceVolume => format!("`{}`: {}", sync.source.volume, at(&sync.source.volume)),
        Subject::DestinationVolume => format!("`{}`: {}", sync.destination.volume, at(&sync.destination.volume)),
        Subject::SourcePlace => place(&sync.source),
        Subject::DestinationPlace => place(&sync.destination),
        Subject::Holds => "none on its volumes".into(),
        Subject::Hardware => "known, or cannot be told apart".into(),
        Subject::Guard => "stopped nothing".into(),
        Subject::SyncsBefore => {
            let before = upstreams(&configuration.syncs).remove(&sync.name).unwrap_or_default();
            let names: Vec<_> = before.iter().map(ToString::to_string).collect();
            if names.is_empty() { "none".into() } else { format!("{} did not fail", names.join(", ")) }
        }
        Subject::Hours => sync.when.hours.map_or("any".into(), |hours| format!("within {hours}")),
        Subject::Connection => match sync.when.metered {
            MeteredRule::Allow => "may be metered".into(),
            MeteredRule::Avoid => "not metered, or not needed".into(),
        },
        Subject::Power => match sync.when.battery {
            BatteryRule::Any => "any".into(),
            BatteryRule::Mains => "from the mains".into(),
            BatteryRule::AtLeast(share) => format!("from the mains, or at least {share} % of the battery"),
        },
        Subject::Pause => "not paused".into(),
        Subject::LastAttempt => "nothing keeps it from being tried".into(),
    }
}

fn due(found: &SyncStatus, sync: &Sync) -> String {
    let pace = match sync.every {
        Every::Appearance => "wanted each time both ends come within reach".into(),
        Every::Interval(interval) => {
            format!("wanted every {}", crate::formats::duration::format(interval))
        }
    };
    match (found.last_success, found.next_due) {
        (None, _) => format!("{pace}; never copied"),
        (Some(last), Some(next)) => format!("{pace}; last success {last:.0}, next wanted {next:.0}"),
        (Some(last), None) => format!("{pace}; last success {last:.0}"),
    }
}

fn next(found: &SyncStatus) -> String {
    match found.state {
        SyncState::Running => "it runs".into(),
        SyncState::Queued => match found.starts_at {
            Some(at) => format!("it starts at {at:.0}"),
            None => "it starts when its turn comes".into(),
        },
        SyncState::Disabled => "it runs once it is enabled".into(),
        SyncState::Idle => match found.next_due {
            Some(at) => format!("it runs at {at:.0}, or when asked: `nbkpctl run {}`", found.name),
            None => format!("it runs at the next plug-in, or when asked: `nbkpctl run {}`", found.name),
        },
        SyncState::Failing if found.obstacles.is_empty() => format!("it runs when asked: `nbkpctl run {}`", found.name),
        SyncState::Waiting | SyncState::Held | SyncState::Failing => {
            let hints: Vec<_> = found.obstacles.iter().map(|obstacle| obstacle.hint(&found.name)).collect();
            format!("it runs when this is done: {}", hints.join("; "))
        }
    }
}
