//! The way through other hosts.
//!
//! `-J` carries a hop's user, host and port and nothing else, so its key, its known hosts and that it must not prompt
//! are told by a configuration of our own. ssh hands that file on to the connections of its hops; the user's
//! configuration and that of the system, which `-F` takes the place of, are included behind it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt as _;

use super::option::{seconds, with_path};
use crate::model::{Endpoint, Route};

/// What holds for all hosts on the way; the server itself has its own on the command line. At a lower level of log a
/// hop does not tell why it could not reach the next.
const FOR_ALL: &str = "Host *
    BatchMode yes
    NumberOfPasswordPrompts 0
    StrictHostKeyChecking yes
    ServerAliveInterval 6
    ServerAliveCountMax 2
    ForwardAgent no
    ForwardX11 no
    PermitLocalCommand no
    LogLevel INFO
    ControlMaster no
    ControlPath none
Include ~/.ssh/config
Include /etc/ssh/ssh_config
";

/// What `-J` is given; `None` for a route without hops.
pub(super) fn jumps(route: &Route) -> Option<String> {
    let hops: Vec<String> = route.hops.iter().enumerate().map(|(place, hop)| jump(place, hop)).collect();
    (!hops.is_empty()).then(|| hops.join(","))
}

fn jump(place: usize, hop: &Endpoint) -> String {
    let mut jump = String::new();
    if let Some(user) = &hop.user {
        jump.push_str(user);
        jump.push('@');
    }
    jump.push_str(&name(place, hop));
    if let Some(port) = hop.port {
        // Writing to a string cannot fail.
        let _ = write!(jump, ":{port}");
    }
    jump
}

/// The name of a hop. `-J` would read the colons of an address as ports and expand a percent sign; an address has no
/// block in anybody's configuration, so that another name for it takes nothing away.
fn name(place: usize, hop: &Endpoint) -> String {
    if hop.host.contains([':', '%']) { format!("nbkp-hop-{}", place.saturating_add(1)) } else { hop.host.clone() }
}

/// The configuration for ssh; `None` for a route without hops, which needs none.
#[must_use]
pub fn configuration(route: &Route) -> Option<Vec<u8>> {
    if route.hops.is_empty() {
        return None;
    }
    let mut text = Vec::new();
    for (place, hop) in route.hops.iter().enumerate() {
        let mut line = |words: OsString| {
            text.extend(words.into_vec());
            text.push(b'\n');
        };
        let name = name(place, hop);
        line(format!("Host {name}").into());
        if name != hop.host {
            line(format!("    HostName {}", hop.host.replace('%', "%%")).into());
        }
        for option in &hop.options {
            line(format!("    {option}").into());
        }
        line(format!("    ConnectTimeout {}", seconds(hop.connect_timeout)).into());
        if let Some(key) = &hop.key {
            line(with_path("    IdentityFile ", key));
            line("    IdentitiesOnly yes".into());
        }
        if let Some(known_hosts) = &hop.known_hosts {
            line(with_path("    UserKnownHostsFile ", known_hosts));
        }
    }
    text.extend(FOR_ALL.as_bytes());
    Some(text)
}
