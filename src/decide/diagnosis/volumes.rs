//! Volumes: what keeps each from being used that a person could mend, and what lies below them.

use std::path::Path;

use crate::decide::diagnosis::syncs::finding;
use crate::model::{
    Area, BarePoint, Configuration, Examined, Finding, Flaw, SyncName, Verdict, VolumeName, VolumeStatus,
};

/// How a volume stands. One that only syncs use that are disabled may stand as it likes.
#[must_use]
pub fn volume(volume: &VolumeStatus, configuration: &Configuration) -> Examined {
    let mut users = configuration.syncs.values().filter(|sync| sync.enabled && sync.uses(&volume.name));
    let Some(user) = users.next().map(|sync| &sync.name) else {
        return Area::Volumes.well(volume.name.as_str(), "no sync that is enabled uses it");
    };
    let findings: Vec<Finding> = volume.obstacles.iter().filter_map(|obstacle| finding(obstacle, user)).collect();
    Area::Volumes.examined(volume.name.as_str(), Verdict::of(findings, || standing(volume, user)))
}

fn standing(volume: &VolumeStatus, user: &SyncName) -> String {
    match (&volume.path, volume.obstacles.first()) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(obstacle)) => obstacle.to_string(),
        (None, None) => format!("it is opened when `{user}` is due"),
    }
}

/// A destination whose filesystem lacks this for snapshots by hard links.
#[must_use]
pub fn unsupported(sync: &SyncName, path: &Path, lacks: &[&str]) -> Examined {
    let finding = Flaw::SnapshotsUnsupported.error(
        format!("the filesystem of {} has no {}, which its snapshots need", path.display(), lacks.join(", ")),
        format!("choose `snapshots = \"none\"` in [syncs.{}], or a destination on ext4, xfs or btrfs", sync.base()),
    );
    Area::Volumes.examined(sync.as_str(), finding)
}

/// A server that admits one session for each connection.
#[must_use]
pub fn one_session(volume: &VolumeName, host: &str) -> Examined {
    let finding = Flaw::OneSession.error(
        format!("{host} admits one session a connection, and a run needs several, so that none comes to its end"),
        "set `MaxSessions 10` in its `sshd_config`, and reload it".to_owned(),
    );
    Area::Volumes.examined(format!("{volume} at {host}"), finding)
}

/// A directory volume at or below a mount point of `/etc/fstab` where nothing is mounted.
#[must_use]
pub fn bare_point(name: &str, point: &Path, bare: BarePoint) -> Examined {
    let shown = point.display();
    let finding = match bare {
        BarePoint::Open => Flaw::MountPointBare.warning(
            format!(
                "nothing is mounted at {shown}, where /etc/fstab has a line for it: whatever is written there ends up \
                 on the filesystem around it"
            ),
            format!(
                "mount it: `mount {shown}`; before that, `chattr +i {shown}` keeps everybody from writing into \
                     the bare directory"
            ),
        ),
        BarePoint::Immutable => Flaw::MountPointBare.note(
            format!("nothing is mounted at {shown}, and nothing can be written there meanwhile"),
            format!("mount it: `mount {shown}`"),
        ),
    };
    Area::Volumes.examined(format!("{name} at {shown}"), finding)
}
