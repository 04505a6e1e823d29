//! `drives polkit`: a rule that lets a user without a seat at the machine open the drives of the configuration.

use std::collections::BTreeSet;

use crate::ctl::config;
use crate::ctl::output::Output;
use crate::ctl::problem::{Exit, Problem};
use crate::formats::config::Colour;
use crate::formats::polkit::{Drives, rule};
use crate::model::{BlockDevice, Configuration, DeviceRole, Drive, DriveUuid, Mounting, VolumeName, VolumeRoot};
use crate::os::disks;
use crate::os::environment::{self, Paths};

/// Prints the rule.
pub fn polkit(paths: &Paths, user: Option<String>, kinds: Drives, output: &mut Output) -> Result<Exit, Problem> {
    let configuration = match config::read(paths)? {
        Ok(configuration) => configuration,
        Err(mistakes) => {
            output.complain_at_length(&mistakes.render(Colour::Styled));
            return Ok(Exit::Usage);
        }
    };
    let unknown = || Problem::Failed("your name is not known: USER is not set; give it with --user".to_owned());
    let user = user.or_else(environment::user_name).ok_or_else(unknown)?;
    let devices = disks::enumerate().map_err(|error| Problem::Failed(format!("could not {error}")))?;
    let mut uuids = BTreeSet::new();
    for (volume, drive) in opened(&configuration) {
        uuids.insert(drive.uuid.clone());
        let within = within(drive, &devices);
        if within.is_none() && is_encrypted(drive) {
            output.remark(&format!(
                "drive `{volume}` is locked or not plugged in: unlock it once and print the rule again, so that it names \
                 the filesystem in it, too"
            ));
        }
        uuids.extend(within);
    }
    if uuids.is_empty() {
        return Err(Problem::Failed("no drive of the configuration has `mount = true`, so no rule is needed".into()));
    }
    let rule = rule(&user, &uuids, kinds).map_err(|error| Problem::Failed(error.to_string()))?;
    output.remark("install it as root: `nbkpctl drives polkit | sudo tee /etc/polkit-1/rules.d/50-nbkp.rules`");
    output.print(&rule)?;
    Ok(Exit::Fine)
}

/// The drives that the daemon opens.
fn opened(configuration: &Configuration) -> impl Iterator<Item = (&VolumeName, &Drive)> {
    configuration.volumes.values().filter_map(|volume| match &volume.root {
        VolumeRoot::Drive(drive) if drive.mounting != Mounting::Elsewhere => Some((&volume.name, drive)),
        VolumeRoot::Drive(_) | VolumeRoot::Directory(_) | VolumeRoot::Server(_) => None,
    })
}

fn is_encrypted(drive: &Drive) -> bool {
    matches!(drive.mounting, Mounting::ForTheRun { passphrase: Some(_) })
}

/// The other UUID of an encrypted drive: that of the filesystem in the container, or that of the container around it.
fn within(drive: &Drive, devices: &[BlockDevice]) -> Option<DriveUuid> {
    devices.iter().find_map(|device| match &device.role {
        DeviceRole::Unlocked { container, .. } if *container == drive.uuid => Some(device.uuid.clone()),
        DeviceRole::Unlocked { container, .. } if device.uuid == drive.uuid => Some(container.clone()),
        DeviceRole::Unlocked { .. } | DeviceRole::Filesystem(_) | DeviceRole::Container | DeviceRole::Member => None,
    })
}
