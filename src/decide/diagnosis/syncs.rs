//! Syncs: what keeps each from running that a person could mend, and how they went of late.

use std::collections::BTreeSet;

use crate::model::{
    Absence, Area, Examined, Finding, FindingCode, Flaw, Freshness, HalfRestored, HostFault, HostTrouble, Obstacle,
    OpeningTrouble, Outcome, RestoreStage, RunRecord, Severity, Status, SyncName, SyncState, SyncStatus, Unmounted,
    Verdict,
};

/// So many failures one after another are more than bad luck.
const REPEATEDLY: usize = 3;

/// How each sync stands that is enabled; what is said of its volumes already is not said again. `recent` are runs of
/// the past, newest first.
#[must_use]
pub fn syncs(status: &Status, recent: &[RunRecord]) -> Vec<Examined> {
    let mut said: BTreeSet<String> = status
        .volumes
        .iter()
        .filter(|volume| volume.user.is_some())
        .flat_map(|volume| &volume.obstacles)
        .map(ToString::to_string)
        .collect();
    let enabled = status.syncs.iter().filter(|sync| sync.state != SyncState::Disabled);
    enabled.map(|sync| examined(sync, recent, &mut said)).collect()
}

fn examined(sync: &SyncStatus, recent: &[RunRecord], said: &mut BTreeSet<String>) -> Examined {
    let name = &sync.name;
    let is_said =
        sync.obstacles.iter().any(|obstacle| said.contains(&obstacle.to_string()) && finding(obstacle, name).is_some());
    let new: Vec<&Obstacle> = sync.obstacles.iter().filter(|obstacle| said.insert(obstacle.to_string())).collect();
    let mut findings: Vec<Finding> = new.into_iter().filter_map(|obstacle| finding(obstacle, name)).collect();
    findings.extend(failures(name, recent));
    if sync.freshness == Freshness::Overdue {
        findings.push(Flaw::Overdue.warning(
            if sync.last_success.is_some() {
                "its last copy is older than `max-age`"
            } else {
                "it was never copied, for longer than `max-age`"
            },
            format!("run `nbkpctl why {name}`, which tells what it waits for"),
        ));
    }
    if sync.damaged > 0 {
        let count = sync.damaged;
        findings.push(Flaw::Damaged.error(
            format!("files of its copies are damaged: {count}"),
            format!(
                "run `nbkpctl run {name}`, which writes anew what the source still has, then `nbkpctl verify {name}`"
            ),
        ));
    }
    if sync.doubted > 0 {
        let count = sync.doubted;
        findings.push(Flaw::Damaged.error(
            format!("files of its source are not what its copies hold, which agree: {count}"),
            format!(
                "run `nbkpctl verify {name}`, which names them, and compare each with what `nbkpctl restore FILE --to \
                 DIR` gets: put that back, or `touch` the file if the source is right; then `nbkpctl verify {name}`"
            ),
        ));
    }
    Area::Syncs.examined(
        name.as_str(),
        Verdict::of(findings, || if is_said { "it waits for what is said above".to_owned() } else { standing(sync) }),
    )
}

fn standing(sync: &SyncStatus) -> String {
    let state = sync.state.as_str();
    match (sync.freshness, sync.obstacles.first()) {
        (Freshness::Never, None) => format!("{state}, never copied"),
        (Freshness::Fresh | Freshness::Overdue, None) => state.to_owned(),
        (_, Some(obstacle)) => format!("{state}: {obstacle}"),
    }
}

/// What the last runs of a sync ended with, if they failed.
fn failures(name: &SyncName, recent: &[RunRecord]) -> Option<Finding> {
    let mut of_sync = recent.iter().filter(|run| run.sync == *name && run.outcome != Outcome::Skipped);
    let newest = of_sync.clone().next().filter(|run| run.outcome == Outcome::Failed)?;
    let count = of_sync.by_ref().take_while(|run| run.outcome == Outcome::Failed).count();
    let why = newest.error.as_deref().unwrap_or("nothing is known of why");
    let fix = format!("mend what it names, then run `nbkpctl run {name}`; `nbkpctl history {name}` shows all runs");
    Some(if count >= REPEATEDLY {
        Flaw::RunFailed.error(format!("its last {count} runs failed: {why}"), fix)
    } else {
        Flaw::RunFailed.warning(format!("its last run failed: {why}"), fix)
    })
}

/// An obstacle as a finding, if a person could do something about it. Absence is a state, and what passes by itself
/// is none of theirs.
#[must_use]
pub fn finding(obstacle: &Obstacle, sync: &SyncName) -> Option<Finding> {
    let severity = match obstacle {
        Obstacle::VolumeAbsent { absence, .. } => absent(absence)?,
        Obstacle::NotOpened { trouble, .. } => match trouble {
            OpeningTrouble::KeyringLocked(_)
            | OpeningTrouble::MissingOrLocked(_)
            | OpeningTrouble::KeyringAbsent(_) => Severity::Warning,
            OpeningTrouble::OutOfReach(fault) => out_of_reach(fault),
            OpeningTrouble::NoSecret(..)
            | OpeningTrouble::WrongSecret(_)
            | OpeningTrouble::NotAuthorized(_)
            | OpeningTrouble::NoUdisks(_)
            | OpeningTrouble::Damaged { .. }
            | OpeningTrouble::Other(_) => Severity::Error,
        },
        Obstacle::NotMounted { how: Unmounted::Plainly | Unmounted::ByUser, .. }
        | Obstacle::Locked { .. }
        | Obstacle::VolumeHeld { .. }
        | Obstacle::Paused { .. } => Severity::Note,
        Obstacle::NotMounted { how: Unmounted::Blocked(_), .. }
        | Obstacle::DirectoryMissing { .. }
        | Obstacle::SourceIsEmpty { .. }
        | Obstacle::NotEncrypted { .. }
        | Obstacle::Sentinel { .. }
        | Obstacle::SentinelMismatch { .. }
        | Obstacle::DuplicateUuid { .. }
        | Obstacle::DeviceUnknown { .. }
        | Obstacle::ReadOnly { .. }
        | Obstacle::LayoutMismatch(..)
        | Obstacle::NotBtrfs { .. }
        | Obstacle::NoSpace { .. }
        | Obstacle::Held(_)
        | Obstacle::Unrestored(HalfRestored { stage: RestoreStage::Cut, .. })
        | Obstacle::Stuck(_)
        | Obstacle::ToolMissing { .. }
        | Obstacle::ToolOutdated { .. } => Severity::Error,
        Obstacle::Disabled
        | Obstacle::NoSnapshotYet { .. }
        | Obstacle::OutsideHours(_)
        | Obstacle::Metered { .. }
        | Obstacle::Battery { .. }
        | Obstacle::UpstreamFailed { .. }
        | Obstacle::BackingOff { .. }
        | Obstacle::PutOff { .. }
        | Obstacle::Unrestored(HalfRestored { stage: RestoreStage::UnderWay, .. })
        | Obstacle::LockTaken { .. } => return None,
    };
    Some(Finding {
        code: FindingCode::Obstacle(obstacle.code()),
        severity,
        message: obstacle.to_string(),
        fix: obstacle.hint(sync),
        mend: None,
    })
}

fn absent(absence: &Absence) -> Option<Severity> {
    match absence {
        Absence::NotPlugged | Absence::NotPluggedThere(_) | Absence::Elsewhere | Absence::NotLookedAt => None,
        Absence::NoDirectory(_)
        | Absence::Unreadable(..)
        | Absence::Silent(_)
        | Absence::HoldsMember(_)
        | Absence::OnMembers(_) => Some(Severity::Error),
        Absence::Host(fault) => Some(out_of_reach(fault)),
    }
}

fn out_of_reach(fault: &HostFault) -> Severity {
    match fault.trouble {
        HostTrouble::UnknownKey | HostTrouble::NotAdmitted | HostTrouble::NoShell(_) => Severity::Error,
        // A stranger at the address of the server is as it should be away from home.
        HostTrouble::OtherKey
        | HostTrouble::NoName
        | HostTrouble::Refused
        | HostTrouble::Silent
        | HostTrouble::Broken(_) => Severity::Warning,
        HostTrouble::NoRoute | HostTrouble::Portal => Severity::Note,
    }
}
