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
    /// What stands for each route and rule, with the interface that a route leaves by.
    ways: Vec<(Option<u32>, u64)>,
    /// The interfaces by which everything leaves that has no route of its own.
    defaults: BTreeSet<u32>,
}

/// A link that is up.
#[derive(Debug)]
struct LinkFound {
    name: String,
    kind: Make,
    /// How often it has come up.
    came_up: Option<u32>,
    /// The bridge or bond that it is a port of.
    controller: Option<u32>,
}

/// What a link is made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    Direct,
    Tunnel,
    Bridge,
    /// One of the two ends of a virtual cable.
    Cable,
}

impl Found {
    pub(super) fn take(&mut self, message: RouteNetlinkMessage) {
        match message {
            RouteNetlinkMessage::NewLink(link) => self.take_link(&link),
            RouteNetlinkMessage::NewAddress(address) => self.take_address(&address),
            RouteNetlinkMessage::NewRoute(route) => self.take_route(&route),
            RouteNetlinkMessage::NewNeighbour(neighbour) => self.take_neighbour(&neighbour),
            RouteNetlinkMessage::NewRule(rule) => self.note(None, &rule),
            _ => {}
        }
    }

    pub(super) fn sight(mut self) -> AddressesSight {
        let mut sight = AddressesSight::default();
        let mut inside = BTreeSet::new();
        // A bridge with a port that leads out of here leads out of here.
        let ports = self.links.values().filter(|link| link.kind == Make::Direct);
        let ways_out: BTreeSet<u32> = ports.filter_map(|port| port.controller).chain(self.defaults.clone()).collect();
        for (index, found) in &self.links {
            let addresses = self.addresses.remove(index).unwrap_or_default();
            let kind = found.kind(ways_out.contains(index), &addresses);
            if kind == LinkKind::Inside {
                inside.insert(*index);
            }
            if found.controller.is_some() && addresses.is_empty() {
                continue;
            }
            self.ways.push((Some(*index), hash(&(&found.name, found.came_up))));
            sight.links.insert(found.name.clone(), Link { addresses, kind, metered: Metered::Unknown });
        }
        // In whatever order they came.
        for (interface, mark) in self.ways {
            sight.ways = sight.ways.wrapping_add(mark);
            // A link that is down keeps its routes.
            let is_inside = |index| inside.contains(&index) || !self.links.contains_key(&index);
            if !interface.is_some_and(is_inside) {
                sight.outside = sight.outside.wrapping_add(mark);
            }
        }
        for gateway in self.gateways.iter().filter(|gateway| self.links.contains_key(&gateway.interface)) {
            match self.neighbours.get(gateway) {
                Some(hardware) => sight.gateways.insert(hardware.clone()),
                None => sight.unresolved.insert(*gateway),
            };
        }
        sight
    }

    fn take_link(&mut self, link: &LinkMessage) {
        let flags = link.header.flags;
        // Up is what a person wants, lower up is what the cable says.
        if !flags.contains(LinkFlags::Up | LinkFlags::LowerUp) || flags.contains(LinkFlags::Loopback) {
            return;
        }
        let Some(name) = name(link) else { return };
        let controller = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Controller(index) => Some(*index),
            _ => None,
        });
        let found = LinkFound { name: name.to_owned(), kind: kind(link), came_up: came_up(link), controller };
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
        let interface = interface(&route.attributes);
        self.note(interface, &(&route.header, lasting.collect::<Vec<_>>()));
        if route.header.destination_prefix_length == 0 && route.header.kind == RouteType::Unicast {
            self.defaults.extend(interface);
            self.take_gateways(interface, &route.attributes);
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
                        self.defaults.insert(hop.interface_index);
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

    fn note(&mut self, interface: Option<u32>, what: &impl std::fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{what:?}");
        self.ways.push((interface, hash(&text)));
    }
}

impl LinkFound {
    /// What it leads through. Where everything leaves by a bridge or a virtual cable, it is the way out, as it is on a
    /// host of virtual machines and in a container; and so is a bridge that a real cable is plugged into.
    fn kind(&self, is_way_out: bool, addresses: &BTreeSet<(IpAddr, u8)>) -> LinkKind {
        match self.kind {
            Make::Tunnel => LinkKind::Tunnel,
            Make::Bridge if !is_way_out => LinkKind::Inside,
            Make::Cable if !is_way_out && addresses.is_empty() => LinkKind::Inside,
            Make::Bridge | Make::Cable | Make::Direct => LinkKind::Direct,
        }
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

/// How often a link came up.
pub(super) fn came_up(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::CarrierUpCount(count) => Some(*count),
        _ => None,
    })
}

/// What stands for a way: by which gateway, and from which address of ours. The rest counts down, or counts packets.
pub(super) fn way(route: &RouteMessage) -> String {
    let lasting = route.attributes.iter().filter(|attribute| {
        matches!(
            attribute,
            RouteAttribute::Gateway(_)
                | RouteAttribute::Via(_)
                | RouteAttribute::PrefSource(_)
                | RouteAttribute::Oif(_)
        )
    });
    format!("{:?}", lasting.collect::<Vec<_>>())
}

/// The number of the interface that a route leaves by.
pub(super) fn interface(route: &[RouteAttribute]) -> Option<u32> {
    route.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn kind(link: &LinkMessage) -> Make {
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
    match kind {
        Some(InfoKind::Bridge) => Make::Bridge,
        Some(InfoKind::Veth) => Make::Cable,
        Some(_) | None if named || layered => Make::Tunnel,
        Some(_) | None => Make::Direct,
    }
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
