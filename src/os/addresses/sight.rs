//! What a look at the kernel's routing finds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use crate::model::Link;

/// What a look at the kernel's routing found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressesSight {
    /// The interfaces that are up and carry a signal, by name, without the loopback; nobody knows whether they are
    /// metered.
    pub links: BTreeMap<String, Link>,
    /// The hardware addresses of the default gateways, in lower case with colons.
    pub gateways: BTreeSet<String>,
    /// The default gateways whose hardware address is not known yet.
    pub unresolved: BTreeSet<Gateway>,
    /// Stands for all else that may matter for reaching a host: routes, rules, and how often each link came up.
    pub ways: u64,
    /// The same, without what comes and goes with the containers and virtual machines of this machine.
    pub outside: u64,
}

/// A default gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    /// Its address.
    pub(super) address: IpAddr,
    /// The number of the interface that leads there.
    pub(super) interface: u32,
}

impl Gateway {
    /// Lets the kernel find out its hardware address, by an empty datagram to it (to the port 9 of RFC 863, where
    /// everything is thrown away). Whatever stands in the way of that is no reason to complain: it is a nudge.
    pub fn nudge(&self) {
        let (from, to) = match self.address {
            IpAddr::V4(_) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::new(self.address, 9)),
            IpAddr::V6(address) => {
                (IpAddr::V6(Ipv6Addr::UNSPECIFIED), SocketAddrV6::new(address, 9, 0, self.interface).into())
            }
        };
        let _ = UdpSocket::bind((from, 0)).and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to(&[], to)
        });
    }
}
