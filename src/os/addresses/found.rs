//! What the kernel answered, put together.
#![expect(clippy::wildcard_enum_match_arm, reason = "the kernel's enums have dozens of variants, and grow")]

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia};

use super::sight::{AddressesSight, Gateway};
use crate::model::{Link, LinkKind, Metered};

/// The answers so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    links: BTreeMap<u32, LinkFound>,
    addresses: BTreeMap<u32, BTreeSet<(IpAddr, u8)>>,
    gateways: BTreeSet<Gateway>,
    neighbours: BTreeMap<Gateway, String>,
    ways: u64,
}

/// A link that is up.
#[derive(Debug)]
struct LinkFound {
    name: String,
    kind: LinkKind,
    /// How often it has come up.
    came_up: Option<u32>,
    standing: Standing,
}

/// Whether a link stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Own,
    /// It is a port of a bridge or a bond.
    Port,
}

impl Found {
    pub(super) fn take(&mut self, message: RouteNetlinkMessage) {
        match message {
            RouteNetlinkMessage::NewLink(link) => self.take_link(&link),
            RouteNetlinkMessage::NewAddress(address) => self.take_address(&address),
            RouteNetlinkMessage::NewRoute(route) => self.take_route(&route),
            RouteNetlinkMessage::NewNeighbour(neighbour) => self.take_neighbour(&neighbour),
            RouteNetlinkMessage::NewRule(rule) => self.note(&rule),
            _ => {}
        }
    }

    pub(super) fn sight(mut self) -> AddressesSight {
        let mut sight = AddressesSight::default();
        for (index, found) in &self.links {
            let addresses = self.addresses.remove(index).unwrap_or_default();
            if found.standing == Standing::Port && addresses.is_empty() {
                continue;
            }
            self.ways = self.ways.wrapping_add(hash(&(&found.name, found.came_up)));
            sight.links.insert(found.name.clone(), Link { addresses, kind: found.kind, metered: Metered::Unknown });
        }
        for gateway in self.gateways.iter().filter(|gateway| self.links.contains_key(&gateway.interface)) {
            match self.neighbours.get(gateway) {
                Some(hardware) => sight.gateways.insert(hardware.clone()),
                None => sight.unresolved.insert(*gateway),
            };
        }
        sight.ways = self.ways;
        sight
    }

    fn take_link(&mut self, link: &LinkMessage) {
        let flags = link.header.flags;
        // Up is what a person wants, lower up is what the cable says.
        if !flags.contains(LinkFlags::Up | LinkFlags::LowerUp) || flags.contains(LinkFlags::Loopback) {
            return;
        }
        let Some(name) = name(link) else { return };
        let (mut came_up, mut standing) = (None, Standing::Own);
        for attribute in &link.attributes {
            match attribute {
                LinkAttribute::CarrierUpCount(count) => came_up = Some(*count),
                LinkAttribute::Controller(_) => standing = Standing::Port,
                _ => {}
            }
        }
        let found = LinkFound { name: name.to_owned(), kind: kind(link), came_up, standing };
        self.links.insert(link.header.index, found);
    }

    fn take_address(&mut self, message: &AddressMessage) {
        let (mut address, mut local) = (None, None);
        let mut flags = AddressFlags::empty();
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Address(found) => address = Some(*found),
                AddressAttribute::Local(found) => local = Some(*found),
                AddressAttribute::Flags(found) => flags = *found,
                _ => {}
            }
        }
        // Nobody can be reached from an address that is still being checked. When it has been, the kernel tells.
        let pending = flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
        // Of a point-to-point link `Address` is the other end.
        let Some(own) = local.or(address) else { return };
        if pending || flags.contains(AddressFlags::Dadfailed) || is_link_local(own) {
            return;
        }
        self.addresses.entry(message.header.index).or_default().insert((own, message.header.prefix_len));
    }

    fn take_route(&mut self, route: &RouteMessage) {
        // What the kernel makes of each address says nothing new.
        let matters = matches!(
            route.header.kind,
            RouteType::Unicast | RouteType::Unreachable | RouteType::Prohibit | RouteType::BlackHole
        );
        let on_link_only = route.attributes.iter().any(|attribute| match attribute {
            RouteAttribute::Destination(destination) => address(destination).is_some_and(is_link_local),
            _ => false,
        });
        if !matters || on_link_only {
            return;
        }
        // The rest counts down, or says how often a route was used.
        let lasting = route.attributes.iter().filter(|attribute| {
            !matches!(attribute, RouteAttribute::CacheInfo(_) | RouteAttribute::Expires(_) | RouteAttribute::Other(_))
        });
        self.note(&(&route.header, lasting.collect::<Vec<_>>()));
        if route.header.destination_prefix_length == 0 && route.header.kind == RouteType::Unicast {
            self.take_gateways(interface(&route.attributes), &route.attributes);
        }
    }

    fn take_gateways(&mut self, interface: Option<u32>, attributes: &[RouteAttribute]) {
        for attribute in attributes {
            let gateway = match attribute {
                RouteAttribute::Gateway(gateway) => address(gateway),
                RouteAttribute::Via(RouteVia::Inet(gateway)) => Some(IpAddr::V4(*gateway)),
                RouteAttribute::Via(RouteVia::Inet6(gateway)) => Some(IpAddr::V6(*gateway)),
                RouteAttribute::MultiPath(hops) => {
                    for hop in hops {
                        self.take_gateways(Some(hop.interface_index), &hop.attributes);
                    }
                    None
                }
                _ => None,
            };
            if let (Some(address), Some(interface)) = (gateway, interface) {
                self.gateways.insert(Gateway { address, interface });
            }
        }
    }

    /// An entry that has failed, or is being resolved, has no hardware address.
    fn take_neighbour(&mut self, neighbour: &NeighbourMessage) {
        let (mut address, mut hardware) = (None, None);
        for attribute in &neighbour.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(found)) => address = Some(IpAddr::V4(*found)),
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(found)) => address = Some(IpAddr::V6(*found)),
                NeighbourAttribute::LinkLayerAddress(bytes) if !bytes.is_empty() => {
                    hardware = Some(hexadecimal(bytes));
                }
                _ => {}
            }
        }
        if let (Some(address), Some(hardware)) = (address, hardware) {
            self.neighbours.insert(Gateway { address, interface: neighbour.header.ifindex }, hardware);
        }
    }

    /// Adds something to the fingerprint, in whatever order it comes.
    fn note(&mut self, what: &impl std::fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{what:?}");
        self.ways = self.ways.wrapping_add(hash(&text));
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// The name of a link.
pub(super) fn name(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

/// The number of the interface that a route leaves by.
pub(super) fn interface(route: &[RouteAttribute]) -> Option<u32> {
    route.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn kind(link: &LinkMessage) -> LinkKind {
    let kind = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(information) => information.iter().find_map(|information| match information {
            LinkInfo::Kind(kind) => Some(kind),
            _ => None,
        }),
        _ => None,
    });
    let named = matches!(
        kind,
        Some(
            InfoKind::Tun
                | InfoKind::Wireguard
                | InfoKind::Vti
                | InfoKind::Vti6
                | InfoKind::Xfrm
                | InfoKind::IpIp
                | InfoKind::Ip6Tnl
                | InfoKind::SitTun
                | InfoKind::GreTun
                | InfoKind::GreTun6
                | InfoKind::GreTap
                | InfoKind::GreTap6
                | InfoKind::Vxlan
                | InfoKind::Geneve
        )
    );
    // Older drivers name no kind.
    let layered = matches!(
        link.header.link_layer_type,
        LinkLayerType::Ppp
            | LinkLayerType::Tunnel
            | LinkLayerType::Tunnel6
            | LinkLayerType::Sit
            | LinkLayerType::Ipgre
            | LinkLayerType::Ip6gre
    );
    if named || layered { LinkKind::Tunnel } else { LinkKind::Direct }
}

fn address(route: &RouteAddress) -> Option<IpAddr> {
    match route {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
