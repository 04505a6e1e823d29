//! `Why`: every condition of a sync with its value, met or not.

use crate::formats::wire::{Condition, Why};
use crate::model::{
    BatteryRule, Configuration, End, Every, MeteredRule, Obstacle, Place, Status, Sync, SyncName, SyncState,
    SyncStatus, VolumeName, upstreams,
};

/// Every condition of the first sync that this name means.
pub(crate) fn why(asked: &SyncName, status: &Status, configuration: &Configuration) -> Why {
    let found = status.syncs.iter().find(|sync| sync.name.answers_to(asked));
    let sync = found.and_then(|status| configuration.syncs.get(&status.name));
    let (Some(found), Some(sync)) = (found, sync) else {
        // The configuration changed between the two; the next call finds it.
        return Why {
            sync: asked.to_string(),
            state: String::new(),
            freshness: String::new(),
            conditions: Vec::new(),
            due: String::new(),
            next: "the configuration has just changed; ask again".into(),
        };
    };
    Why {
        sync: found.name.to_string(),
        state: found.state.as_str().into(),
        freshness: found.freshness.as_str().into(),
        conditions: conditions(found, sync, status, configuration),
        due: due(found, sync),
        next: next(found),
    }
}

/// The subjects, in the order in which a person would check them.
const SUBJECTS: [&str; 14] = [
    "enabled",
    "source volume",
    "source place",
    "destination volume",
    "destination place",
    "holds",
    "hardware",
    "guard",
    "syncs before",
    "hours",
    "connection",
    "power",
    "pause",
    "last attempt",
];

fn subject(obstacle: &Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Disabled => "enabled",
        Obstacle::VolumeAbsent { end: End::Source, .. }
        | Obstacle::NotMounted { end: End::Source, .. }
        | Obstacle::NotOpened { end: End::Source, .. }
        | Obstacle::Locked { end: End::Source, .. } => "source volume",
        Obstacle::VolumeAbsent { end: End::Destination, .. }
        | Obstacle::NotMounted { end: End::Destination, .. }
        | Obstacle::Locked { end: End::Destination, .. }
        | Obstacle::NotOpened { end: End::Destination, .. }
        | Obstacle::NotEncrypted { .. }
        | Obstacle::DuplicateUuid { .. }
        | Obstacle::ReadOnly { .. } => "destination volume",
        Obstacle::SourceIsEmpty { .. }
        | Obstacle::DirectoryMissing { end: End::Source, .. }
        | Obstacle::NoSnapshotYet { .. }
        | Obstacle::Sentinel { end: End::Source, .. }
        | Obstacle::SentinelMismatch { end: End::Source, .. } => "source place",
        Obstacle::DirectoryMissing { end: End::Destination, .. }
        | Obstacle::Sentinel { end: End::Destination, .. }
        | Obstacle::SentinelMismatch { end: End::Destination, .. }
        | Obstacle::NotBtrfs { .. }
        | Obstacle::NoSpace { .. } => "destination place",
        Obstacle::VolumeHeld { .. } => "holds",
        Obstacle::DeviceUnknown { .. } => "hardware",
        Obstacle::Held(_) => "guard",
        Obstacle::UpstreamFailed { .. } => "syncs before",
        Obstacle::OutsideHours(_) => "hours",
        Obstacle::Metered { .. } => "connection",
        Obstacle::Battery { .. } => "power",
        Obstacle::Paused { .. } => "pause",
        Obstacle::BackingOff { .. } | Obstacle::LockTaken { .. } | Obstacle::ToolMissing { .. } => "last attempt",
    }
}

fn conditions(found: &SyncStatus, sync: &Sync, status: &Status, configuration: &Configuration) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for about in SUBJECTS {
        let unmet: Vec<&Obstacle> = found.obstacles.iter().filter(|obstacle| subject(obstacle) == about).collect();
        if unmet.is_empty() {
            let value = met_value(about, sync, status, configuration);
            conditions.push(Condition { subject: about.into(), met: true, value, hint: None });
        }
        conditions.extend(unmet.into_iter().map(|obstacle| Condition {
            subject: about.into(),
            met: false,
            value: obstacle.to_string(),
            hint: Some(obstacle.hint(&found.name)),
        }));
    }
    conditions
}

/// What a condition that is met looks like. Where its place cannot be known yet, it says so.
fn met_value(about: &str, sync: &Sync, status: &Status, configuration: &Configuration) -> String {
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
        "enabled" => "yes".into(),
        "source volume" => format!("`{}`: {}", sync.source.volume, at(&sync.source.volume)),
        "destination volume" => format!("`{}`: {}", sync.destination.volume, at(&sync.destination.volume)),
        "source place" => place(&sync.source),
        "destination place" => place(&sync.destination),
        "holds" => "none on its volumes".into(),
        "hardware" => "known, or cannot be told apart".into(),
        "guard" => "stopped nothing".into(),
        "syncs before" => {
            let before = upstreams(&configuration.syncs).remove(&sync.name).unwrap_or_default();
            let names: Vec<_> = before.iter().map(ToString::to_string).collect();
            if names.is_empty() { "none".into() } else { format!("{} did not fail", names.join(", ")) }
        }
        "hours" => sync.when.hours.map_or("any".into(), |hours| format!("within {hours}")),
        "connection" => match sync.when.metered {
            MeteredRule::Allow => "may be metered".into(),
            MeteredRule::Avoid => "not metered, or not needed".into(),
        },
        "power" => match sync.when.battery {
            BatteryRule::Any => "any".into(),
            BatteryRule::Mains => "from the mains".into(),
            BatteryRule::AtLeast(share) => format!("from the mains, or at least {share} % of the battery"),
        },
        "pause" => "not paused".into(),
        _ => "nothing keeps it from being tried".into(),
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
        SyncState::Waiting | SyncState::Held => {
            let hints: Vec<_> = found.obstacles.iter().map(|obstacle| obstacle.hint(&found.name)).collect();
            format!("it runs when this is done: {}", hints.join("; "))
        }
    }
}
