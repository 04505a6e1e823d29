//! What the kernel tells of power supplies (`Documentation/ABI/testing/sysfs-class-power`).

use std::fs;
use std::path::Path;

use crate::model::PowerSight;

/// Where the kernel tells of them.
pub const SUPPLIES: &str = "/sys/class/power_supply";

/// A battery that feeds the machine.
#[derive(Debug, Clone, Copy)]
struct Battery {
    /// In percent.
    capacity: Option<u8>,
    /// What is in it and what fits into it, in the same unit.
    charge: Option<(u64, u64)>,
    flow: Flow,
}

/// What a battery says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Charging,
    Discharging,
    /// It rests, is full, or does not tell.
    Neither,
}

/// Looks at the supplies below this directory. What cannot be read is not there.
#[must_use]
pub fn sight(supplies: &Path) -> PowerSight {
    let (mut batteries, mut plugged) = (Vec::new(), None);
    for entry in fs::read_dir(supplies).into_iter().flatten().flatten() {
        let supply = entry.path();
        let fact = |name: &str| fs::read_to_string(supply.join(name)).ok().map(|text| text.trim().to_owned());
        match fact("type").as_deref() {
            // A mouse has a battery, too.
            Some("Battery")
                if fact("scope").as_deref() != Some("Device") && fact("present").as_deref() != Some("0") =>
            {
                batteries.push(battery(fact));
            }
            // Mains, USB, USB_C and so on; 2 stands for a supply whose voltage is set by a program.
            Some("Battery" | "UPS") | None => {}
            Some(_) => {
                let online = matches!(fact("online").as_deref(), Some("1" | "2"));
                plugged = Some(plugged.unwrap_or(false) || online);
            }
        }
    }
    let any = |flow: Flow| batteries.iter().any(|battery| battery.flow == flow);
    let discharging = any(Flow::Discharging);
    match plugged {
        Some(true) => PowerSight::Mains,
        _ if batteries.is_empty() => PowerSight::Unknown,
        // What charges is fed by something, though no plug tells of it: not all that come by USB do.
        _ if any(Flow::Charging) && !discharging => PowerSight::Mains,
        Some(false) => PowerSight::Battery(charge(&batteries)),
        // No plug is told of: what the batteries do says it.
        None if discharging => PowerSight::Battery(charge(&batteries)),
        None => PowerSight::Mains,
    }
}

fn battery(fact: impl Fn(&str) -> Option<String>) -> Battery {
    let number = |name: &str| fact(name)?.parse::<u64>().ok();
    let pair = |now, full| Some((number(now)?, number(full)?)).filter(|(_, full)| *full > 0);
    Battery {
        capacity: number("capacity").and_then(|share| share.min(100).try_into().ok()),
        charge: pair("energy_now", "energy_full").or_else(|| pair("charge_now", "charge_full")),
        flow: match fact("status").as_deref() {
            Some("Charging") => Flow::Charging,
            Some("Discharging") => Flow::Discharging,
            Some(_) | None => Flow::Neither,
        },
    }
}

/// The charge of all batteries together. The larger one counts for more, where all tell how large they are.
fn charge(batteries: &[Battery]) -> Option<u8> {
    if let [battery] = batteries
        && battery.capacity.is_some()
    {
        return battery.capacity;
    }
    let weighed: Option<Vec<(u64, u64)>> = batteries.iter().map(|battery| battery.charge).collect();
    let share = |now: u64, full: u64| now.saturating_mul(100).checked_div(full)?.min(100).try_into().ok();
    if let Some(weighed) = weighed {
        let sum = |part: fn(&(u64, u64)) -> u64| weighed.iter().map(part).fold(0, u64::saturating_add);
        return share(sum(|(now, _)| *now), sum(|(_, full)| *full));
    }
    let known: Vec<u64> = batteries.iter().filter_map(|battery| battery.capacity.map(u64::from)).collect();
    known.iter().sum::<u64>().checked_div(u64::try_from(known.len()).ok()?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lays out a machine: `NAME/FILE=CONTENT`, one after another.
    #[track_caller]
    fn check(machine: &str, expected: PowerSight) {
        let root = tempfile::tempdir().unwrap();
        for fact in machine.split_whitespace() {
            let (file, content) = fact.split_once('=').unwrap();
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{content}\n")).unwrap();
        }
        assert_eq!(sight(root.path()), expected, "{machine}");
    }

    #[test]
    fn a_plug_that_is_in_is_mains() {
        check("AC/type=Mains AC/online=1 BAT0/type=Battery BAT0/capacity=10", PowerSight::Mains);
        check("U1/type=USB U1/online=0 U2/type=USB U2/online=1 BAT0/type=Battery", PowerSight::Mains);
        check("AC/type=Mains AC/online=0 U2/type=USB_C U2/online=2 BAT0/type=Battery", PowerSight::Mains);
    }

    #[test]
    fn a_plug_that_is_out_is_battery() {
        check("AC/type=Mains AC/online=0 BAT0/type=Battery BAT0/capacity=57", PowerSight::Battery(Some(57)));
        check("AC/type=Mains AC/online=0 BAT0/type=Battery", PowerSight::Battery(None));
    }

    #[test]
    fn what_charges_is_on_mains_whatever_the_plugs_tell() {
        let cell = "AC/type=Mains AC/online=0 U/type=USB U/online=0 B/type=Battery B/capacity=40 B/status=";
        check(&format!("{cell}Charging"), PowerSight::Mains);
        check(&format!("{cell}Discharging"), PowerSight::Battery(Some(40)));
        check(&format!("{cell}Unknown"), PowerSight::Battery(Some(40)));
        // One battery that is fed by another.
        let fed = format!("{cell}Charging A/type=Battery A/capacity=60 A/status=Discharging");
        check(&fed, PowerSight::Battery(Some(50)));
    }

    #[test]
    fn without_a_plug_the_battery_says_it() {
        check("B/type=Battery B/status=Discharging B/capacity=40", PowerSight::Battery(Some(40)));
        check("B/type=Battery B/status=Full B/capacity=100", PowerSight::Mains);
    }

    #[test]
    fn a_machine_without_a_battery_waits_for_nothing() {
        check("AC/type=Mains AC/online=0", PowerSight::Unknown);
        check("", PowerSight::Unknown);
        check("M/type=Battery M/scope=Device M/capacity=5 M/status=Discharging", PowerSight::Unknown);
        check("AC/type=Mains AC/online=0 B/type=Battery B/present=0", PowerSight::Unknown);
        assert_eq!(sight(Path::new("/does/not/exist")), PowerSight::Unknown);
    }

    #[test]
    fn several_batteries_count_by_what_they_hold() {
        let energy = "A/type=Battery A/capacity=90 A/energy_now=9 A/energy_full=10 A/status=Discharging \
            B/type=Battery B/capacity=20 B/energy_now=18 B/energy_full=90";
        check(energy, PowerSight::Battery(Some(27)));
        let charge = energy.replace("energy", "charge");
        check(&charge, PowerSight::Battery(Some(27)));
        let mean = "A/type=Battery A/capacity=90 A/status=Discharging B/type=Battery B/capacity=20";
        check(mean, PowerSight::Battery(Some(55)));
    }
}
