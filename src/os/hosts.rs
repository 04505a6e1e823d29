//! Hosts: where ssh would go for a way to a server, and which addresses that has. Both are asked of other programs,
//! which can be ended: a name may take its time, or hang for as long as a name server does.

use std::ffi::OsString;
use std::net::IpAddr;

use super::process::Ended;
use super::programs;
use super::telling::told;
use crate::formats::ssh::arguments::{Purpose, connection};
use crate::formats::ssh::settings::{self, Connects};
use crate::model::{HostTrouble, Route};

/// Where a way to a server begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// At this host.
    At {
        /// Its name, as it is looked up.
        host: String,
        /// Its addresses, the preferred one first; never empty.
        addresses: Vec<IpAddr>,
    },
    /// Somewhere that only ssh knows: another program connects it.
    Unknown,
}

/// Where a way to a server begins: at its first hop, if it has any. It may wait for as long as a name server does, but
/// not longer than ten seconds: what is not known by then, ssh may still find out.
pub fn whereabouts(route: &Route) -> Result<Whereabouts, HostTrouble> {
    let nearest = route.hops.first().unwrap_or(&route.endpoint);
    let nearest = Route { endpoint: nearest.clone(), hops: Vec::new() };
    let mut arguments: Vec<OsString> = vec!["-G".into()];
    arguments.extend(connection(&nearest, None, Purpose::Alone));
    let Some(told) = run("ssh", arguments, programs::ssh_environment())? else { return Ok(Whereabouts::Unknown) };
    let host = match settings::connects(&told) {
        Some(Connects::To(host)) => host,
        // What is wrong with it, ssh says when it is called in earnest.
        Some(Connects::Otherwise) | None => return Ok(Whereabouts::Unknown),
    };
    if let Ok(address) = host.parse() {
        return Ok(Whereabouts::At { host, addresses: vec![address] });
    }
    // The system's own way, so that `/etc/hosts`, mDNS and the like count as they do for ssh.
    let told = run("getent", vec!["ahosts".into(), "--".into(), host.clone().into()], Vec::new())?;
    let Some(told) = told else { return Ok(Whereabouts::Unknown) };
    let addresses = addresses(&told);
    if addresses.is_empty() { Err(HostTrouble::NoName) } else { Ok(Whereabouts::At { host, addresses }) }
}

/// The account that ssh would enter at the end of a way; none if it does not tell.
#[must_use]
pub fn account(route: &Route) -> Option<String> {
    let last = Route { endpoint: route.endpoint.clone(), hops: Vec::new() };
    let mut arguments: Vec<OsString> = vec!["-G".into()];
    arguments.extend(connection(&last, None, Purpose::Alone));
    settings::account(&run("ssh", arguments, programs::ssh_environment()).ok()??)
}

/// The addresses in the output of `getent ahosts` (getent(1)), each once, in their order.
fn addresses(told: &[u8]) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for line in String::from_utf8_lossy(told).lines() {
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        // Without the zone of a link-local address: the route to it is asked for by itself.
        let address = first.split('%').next().and_then(|text| text.parse().ok());
        found.extend(address.filter(|address| !found.contains(address)));
    }
    found
}

/// Runs a program that only tells something, and returns what it said; nothing if it did not come to its end.
fn run(
    name: &str,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
) -> Result<Option<Vec<u8>>, HostTrouble> {
    let broken = |what: String| HostTrouble::Broken(what);
    let program = programs::find_program(name)
        .ok_or_else(|| broken(format!("the program `{name}` is missing on this machine")))?;
    told(program, arguments, environment).map(heard).map_err(broken)
}

/// What a program said, if it came to its end. Of one whose patience we lost nothing is known: where the first of two
/// name servers is dead, every program gets its answer, but later than we wait.
fn heard((ended, output): (Ended, Vec<u8>)) -> Option<Vec<u8>> {
    match ended {
        // Also what ends badly may have told something: getent ends with 2 for a name that leads nowhere.
        Ended::Code(_) => Some(output),
        Ended::Signal(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_not_an_answer() {
        assert_eq!(heard((Ended::Signal(9), Vec::new())), None);
        assert_eq!(heard((Ended::Code(2), Vec::new())), Some(Vec::new()));
    }

    #[test]
    fn addresses_are_read_once_each() {
        let told = b"192.168.7.2     STREAM nas.local\n192.168.7.2     DGRAM\nfe80::1%eth0 STREAM\n2001:db8::1 RAW\n";
        let found: Vec<String> = addresses(told).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.168.7.2", "fe80::1", "2001:db8::1"]);
        assert!(addresses(b"").is_empty());
    }
}
