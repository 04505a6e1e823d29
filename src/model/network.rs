//! The network and the power supply, as they were seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::ObstacleCode;

/// The network, as the kernel and, where it runs, NetworkManager know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkSight {
    /// The interfaces that are up and carry a signal, by name, without the loopback.
    pub links: BTreeMap<String, Link>,
    /// The hardware addresses of the default gateways, in lower case with colons.
    pub gateways: BTreeSet<String>,
    /// The active connections of NetworkManager.
    pub connections: BTreeSet<ActiveConnection>,
    /// The names of the Wi-Fi networks that are joined.
    pub ssids: BTreeSet<String>,
    /// How far the internet is within reach.
    pub connectivity: Connectivity,
}

/// An interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its addresses with the length of their prefix, but no link-local ones.
    pub addresses: BTreeSet<(IpAddr, u8)>,
    /// What it leads through.
    pub kind: LinkKind,
    /// Whether what goes through it is paid for by volume.
    pub metered: Metered,
}

/// What an interface leads through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// A cable, Wi-Fi or mobile network.
    Direct,
    /// A tunnel: a VPN, `WireGuard` and the like.
    Tunnel,
    /// A bridge or a port of containers and virtual machines of this machine, by which nothing leaves it.
    Inside,
}

/// What a change of the network may matter for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ChangeExtent {
    /// Only for what is reached through the containers and virtual machines of this machine, which come and go.
    #[default]
    Inside,
    /// For whatever is reached, and for what names lead to.
    Outside,
}

/// Whether a connection is paid for by volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metered {
    /// It is, or NetworkManager guesses so.
    Yes,
    /// It is not, or NetworkManager guesses so.
    No,
    /// Nobody knows.
    #[default]
    Unknown,
}

/// How far the internet is within reach (NetworkManager's `Connectivity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connectivity {
    /// Nobody knows.
    #[default]
    Unknown,
    /// There is no network.
    None,
    /// A captive portal wants something first.
    Portal,
    /// There is a network, but no internet.
    Limited,
    /// It is within reach.
    Full,
}

/// An active connection of NetworkManager.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActiveConnection {
    /// Its name, as people give it.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
}

/// Where the power comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PowerSight {
    /// Nobody knows, or there is no battery: nothing waits for power.
    #[default]
    Unknown,
    /// From the mains.
    Mains,
    /// From the battery, with this much left in percent, 0 to 100; `None` if it does not tell.
    Battery(Option<u8>),
}

/// What a person is told of a host that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFault {
    /// The host, as the configuration names it.
    pub host: String,
    /// The port, if the configuration names one.
    pub port: Option<u16>,
    /// The user, if the configuration names one.
    pub user: Option<String>,
    /// What is wrong.
    pub trouble: HostTrouble,
}

/// What is wrong with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostTrouble {
    /// Its name leads to no address.
    NoName,
    /// No way leads to it.
    NoRoute,
    /// A captive portal stands between us and the internet, and the way leads through it.
    Portal,
    /// It takes no connection at that port.
    Refused,
    /// It does not answer, or not in time.
    Silent,
    /// It was never seen before: its key is not among the known ones.
    UnknownKey,
    /// It shows another key than the one that is known: it is another host.
    OtherKey,
    /// It does not let us in.
    NotAdmitted,
    /// It was reached, but what is needed there is missing: a POSIX shell that says nothing by itself.
    NoShell(String),
    /// The connection broke, or something that has no row here; in ssh's own words.
    Broken(String),
}

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.trouble {
            HostTrouble::NoName => write!(f, "the name `{host}` leads to no address"),
            HostTrouble::NoRoute => write!(f, "no way leads to `{host}`"),
            HostTrouble::Portal => write!(f, "a captive portal stands before `{host}`"),
            HostTrouble::Refused => match self.port {
                Some(port) => write!(f, "`{host}` takes no connection at port {port}"),
                None => write!(f, "`{host}` takes no ssh connection"),
            },
            HostTrouble::Silent => write!(f, "`{host}` does not answer"),
            HostTrouble::UnknownKey => write!(f, "the key of `{host}` is not known"),
            HostTrouble::OtherKey => write!(f, "`{host}` shows another key than the known one: it is another host"),
            HostTrouble::NotAdmitted => write!(f, "`{host}` does not let us in"),
            HostTrouble::NoShell(what) => write!(f, "`{host}` has no usable shell: {what}"),
            HostTrouble::Broken(what) => write!(f, "the connection to `{host}` broke: {what}"),
        }
    }
}

impl HostFault {
    /// The code of the contract.
    #[must_use]
    pub fn code(&self) -> ObstacleCode {
        match self.trouble {
            HostTrouble::UnknownKey | HostTrouble::OtherKey => ObstacleCode::HostKeyMismatch,
            HostTrouble::NotAdmitted => ObstacleCode::HostAuthFailed,
            HostTrouble::NoShell(_) => ObstacleCode::ToolMissing,
            HostTrouble::NoName
            | HostTrouble::NoRoute
            | HostTrouble::Portal
            | HostTrouble::Refused
            | HostTrouble::Silent
            | HostTrouble::Broken(_) => ObstacleCode::HostUnreachable,
        }
    }

    /// The call of `ssh` by which a person sees the same, and mends it.
    #[must_use]
    pub fn by_hand(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        format!("ssh {port}{user}{}", self.host)
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let by_hand = self.by_hand();
        match &self.trouble {
            HostTrouble::NoName => {
                format!("correct `host`, or wait for the network; `getent hosts {}` asks", self.host)
            }
            HostTrouble::NoRoute => "join a network that leads there; it is tried again by itself".into(),
            HostTrouble::Portal => "log in to the network with a browser".into(),
            HostTrouble::Refused => format!("start the ssh server there, or correct `port`; `{by_hand}` tries it"),
            HostTrouble::Silent => format!("switch it on; it is tried again by itself, and `{by_hand}` tries it now"),
            HostTrouble::UnknownKey => format!("connect once by hand and accept its key: `{by_hand}`"),
            HostTrouble::OtherKey => format!(
                "away from home this is as it should be; if the host was set up anew, forget its old key: `ssh-keygen \
                 -R {}`",
                match self.port {
                    Some(port) if port != 22 => format!("'[{}]:{port}'", self.host),
                    Some(_) | None => self.host.clone(),
                }
            ),
            HostTrouble::NotAdmitted => {
                format!("put your public key there: `ssh-copy-id{}`", by_hand.trim_start_matches("ssh"))
            }
            HostTrouble::NoShell(_) => format!("`{by_hand} true` must say nothing and succeed"),
            HostTrouble::Broken(_) => format!("it is tried again by itself; `{by_hand}` tells more"),
        }
    }

    /// Whether only a person can mend it.
    #[must_use]
    pub fn asks_person(&self) -> bool {
        match self.trouble {
            HostTrouble::UnknownKey | HostTrouble::OtherKey | HostTrouble::NotAdmitted | HostTrouble::NoShell(_) => {
                true
            }
            HostTrouble::NoName
            | HostTrouble::NoRoute
            | HostTrouble::Portal
            | HostTrouble::Refused
            | HostTrouble::Silent
            | HostTrouble::Broken(_) => false,
        }
    }
}
