//! The power supply: UPower where it runs, and else what the kernel tells in `/sys/class/power_supply`.

mod supplies;

use std::time::Duration;

use zbus::proxy::CacheProperties;
use zbus::{OwnedObjectPath, proxy};

pub use self::supplies::{SUPPLIES, sight};
use super::bus::{Bus, Peer, Service, Watched};
use crate::model::PowerSight;

/// How long UPower may take to answer one question.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why nothing is known of UPower.
#[derive(Debug, thiserror::Error)]
#[error("ask UPower")]
pub struct UpowerError(#[from] zbus::Error);

#[proxy(interface = "org.freedesktop.UPower", default_path = "/org/freedesktop/UPower")]
trait Upower {
    fn get_display_device(&self) -> zbus::Result<OwnedObjectPath>;

    #[zbus(property)]
    fn on_battery(&self) -> zbus::Result<bool>;
}

#[proxy(interface = "org.freedesktop.UPower.Device")]
trait Battery {
    #[zbus(property)]
    fn is_present(&self) -> zbus::Result<bool>;

    #[zbus(property)]
    fn percentage(&self) -> zbus::Result<f64>;

    #[zbus(property)]
    fn state(&self) -> zbus::Result<u32>;
}

/// A battery that is being charged, as UPower numbers it.
const CHARGING: u32 = 1;

/// Begins to watch UPower. Each signal says that another look is owed.
#[must_use]
pub fn service(bus: Bus) -> Service {
    // Neither a mouse nor a telephone.
    let signals = &["path='/org/freedesktop/UPower'", "path='/org/freedesktop/UPower/devices/DisplayDevice'"];
    Watched { bus, name: "org.freedesktop.UPower", signals, deadline: DEADLINE }.watch()
}

/// Looks at what UPower knows now.
pub async fn ask(peer: &Peer) -> Result<PowerSight, UpowerError> {
    let upower = UpowerProxy::builder(&peer.connection).destination(peer.owner.clone());
    let upower = upower.cache_properties(CacheProperties::No).build().await?;
    if !upower.on_battery().await? {
        return Ok(PowerSight::Mains);
    }
    // The device that stands for all batteries together.
    let all = BatteryProxy::builder(&peer.connection).destination(peer.owner.clone());
    let all = all.path(upower.get_display_device().await?).cache_properties(CacheProperties::No).build().await?;
    // Where no plug tells of itself, UPower takes the machine to be on battery.
    if all.state().await.is_ok_and(|state| state == CHARGING) {
        return Ok(PowerSight::Mains);
    }
    let charge = if all.is_present().await? { percent(all.percentage().await?) } else { None };
    Ok(PowerSight::Battery(charge))
}

/// A share in whole percent, rounded down: 29.9 is less than 30.
fn percent(share: f64) -> Option<u8> {
    (0..=100).rev().find(|whole| f64::from(*whole) <= share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_never_shown_as_more_than_it_is() {
        for (share, expected) in
            [(0.0, Some(0)), (29.99, Some(29)), (30.0, Some(30)), (100.0, Some(100)), (104.2, Some(100))]
        {
            assert_eq!(percent(share), expected, "{share}");
        }
        assert_eq!((percent(f64::NAN), percent(-1.0)), (None, None));
    }
}
