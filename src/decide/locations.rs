//! Where the machine is: which locations the network is recognised as, and what it is good for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::{
    ActiveConnection, BatteryRule, Configuration, Connectivity, Link, LinkKind, Location, LocationName, Metered,
    MeteredRule, NetworkSight, VolumeRoot,
};

/// The locations that this network is; one match of each is enough.
#[must_use]
pub fn recognised(locations: &BTreeMap<LocationName, Location>, network: &NetworkSight) -> BTreeSet<LocationName> {
    let here = locations.iter().filter(|(_, location)| is_here(location, network));
    here.map(|(name, _)| name.clone()).collect()
}

fn is_here(location: &Location, network: &NetworkSight) -> bool {
    // Names are compared as they are written; what is hexadecimal is compared as numbers are.
    let connection = |wanted: &String| {
        let mut active = network.connections.iter();
        active.any(|active| active.name == *wanted || active.uuid.eq_ignore_ascii_case(wanted))
    };
    location.ssids.iter().any(|ssid| network.ssids.contains(ssid))
        || location.connections.iter().any(connection)
        || location.gateways.iter().any(|wanted| network.gateways.iter().any(|mac| mac.eq_ignore_ascii_case(wanted)))
        || location.subnets.iter().filter_map(|text| text.parse::<IpNet>().ok()).any(|subnet| {
            let mut own = network.links.values().flat_map(|link| &link.addresses);
            own.any(|(address, _)| subnet.contains(address))
        })
}

/// A network that would be recognised as this location.
#[must_use]
pub fn network_of(location: &Location) -> NetworkSight {
    let mut subnets = location.subnets.iter().filter_map(|text| text.parse::<IpNet>().ok());
    let own = subnets.find_map(|subnet| Some((subnet.hosts().next()?, subnet.prefix_len())));
    // Where no subnet is named, any address will do (RFC 5737).
    let address = own.unwrap_or((IpAddr::from([192, 0, 2, 1]), 24));
    let link = Link { addresses: [address].into(), kind: LinkKind::Direct, metered: Metered::Unknown };
    let connection = |wanted: &String| ActiveConnection { name: wanted.clone(), uuid: String::new() };
    NetworkSight {
        links: BTreeMap::from([("net".to_owned(), link)]),
        gateways: location.gateways.iter().take(1).cloned().collect(),
        connections: location.connections.iter().take(1).map(connection).collect(),
        ssids: location.ssids.iter().take(1).cloned().collect(),
        connectivity: Connectivity::Full,
    }
}

/// Whether there is any network: an interface with an address.
#[must_use]
pub fn is_online(network: &NetworkSight) -> bool {
    network.links.values().any(|link| !link.addresses.is_empty())
}

/// Whether what leaves by this interface is paid for by volume. A tunnel of which nobody knows is taken to be as dear
/// as the dearest link that it may go through.
#[must_use]
pub fn metered(network: &NetworkSight, interface: &str) -> Metered {
    let Some(link) = network.links.get(interface) else { return Metered::Unknown };
    let dear = network.links.values().any(|below| below.kind == LinkKind::Direct && below.metered == Metered::Yes);
    match (link.metered, link.kind) {
        (Metered::Unknown, LinkKind::Tunnel) if dear => Metered::Yes,
        (known, _) => known,
    }
}

/// The interface by which everything leaves that is paid for by volume; `None` if there is one that is not.
#[must_use]
pub fn only_metered(network: &NetworkSight) -> Option<&str> {
    let ways = || network.links.iter().filter(|(_, link)| link.kind == LinkKind::Direct && !link.addresses.is_empty());
    let (first, _) = ways().next()?;
    ways().all(|(_, link)| link.metered == Metered::Yes).then_some(first)
}

/// Whether this address is out of reach because there is no internet: a captive portal wants something first, or the
/// network leads nowhere else. What lies in our own network needs no internet.
#[must_use]
pub fn is_cut_off(network: &NetworkSight, address: IpAddr) -> bool {
    match network.connectivity {
        Connectivity::Portal | Connectivity::Limited => needs_internet(network, address),
        Connectivity::Unknown | Connectivity::None | Connectivity::Full => false,
    }
}

fn needs_internet(network: &NetworkSight, address: IpAddr) -> bool {
    let mut own = network.links.values().flat_map(|link| &link.addresses);
    let neighbour = own.any(|(own, prefix)| IpNet::new(*own, *prefix).is_ok_and(|subnet| subnet.contains(&address)));
    let near = match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local(),
    };
    !near && !neighbour
}

/// What a configuration asks of the senses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Which connections and Wi-Fi networks are active: a location is recognised by them.
    Connections,
    /// The hardware address of the gateway: a location is recognised by it.
    Gateways,
    /// Whether a connection is metered: a sync with a server avoids such ones.
    Metered,
    /// The charge of the battery: a sync waits for it, or for the mains.
    Battery,
}

/// What this configuration asks of the senses.
#[must_use]
pub fn wishes(configuration: &Configuration) -> BTreeSet<Wish> {
    let mut wishes = BTreeSet::new();
    for location in configuration.locations.values() {
        if !location.ssids.is_empty() || !location.connections.is_empty() {
            wishes.insert(Wish::Connections);
        }
        if !location.gateways.is_empty() {
            wishes.insert(Wish::Gateways);
        }
    }
    for sync in configuration.syncs.values().filter(|sync| sync.enabled) {
        let mut ends = [&sync.source, &sync.destination].into_iter();
        let remote = ends.any(|end| {
            let volume = configuration.volumes.get(&end.volume);
            volume.is_some_and(|volume| matches!(volume.root, VolumeRoot::Server(_)) || !volume.repositories.is_empty())
        });
        if remote && sync.when.metered == MeteredRule::Avoid {
            wishes.insert(Wish::Metered);
        }
        if sync.when.battery != BatteryRule::Any {
            wishes.insert(Wish::Battery);
        }
    }
    wishes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ActiveConnection, Link};

    fn link(kind: LinkKind, metered: Metered, addresses: &[&str]) -> Link {
        let address = |text: &&str| {
            let (address, prefix) = text.split_once('/').unwrap();
            (address.parse().unwrap(), prefix.parse().unwrap())
        };
        Link { addresses: addresses.iter().map(address).collect(), kind, metered }
    }

    fn at_home() -> NetworkSight {
        let wifi = link(LinkKind::Direct, Metered::No, &["192.168.7.20/24", "2001:db8:7::20/64"]);
        NetworkSight {
            links: BTreeMap::from([("wlan0".to_owned(), wifi)]),
            gateways: BTreeSet::from(["52:54:00:12:35:0a".to_owned()]),
            connections: BTreeSet::from([ActiveConnection {
                name: "Dock".into(),
                uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".into(),
            }]),
            ssids: BTreeSet::from(["Lighthouse".to_owned()]),
            connectivity: Connectivity::Full,
        }
    }

    #[track_caller]
    fn check(key: &str, value: &str, expected: bool) {
        let mut location = Location::default();
        let values = vec![value.to_owned()];
        match key {
            "ssids" => location.ssids = values,
            "connections" => location.connections = values,
            "gateways" => location.gateways = values,
            "subnets" => location.subnets = values,
            _ => panic!("{key}"),
        }
        let name: LocationName = "home".parse().unwrap();
        let found = recognised(&BTreeMap::from([(name.clone(), location)]), &at_home());
        assert_eq!(found.contains(&name), expected, "{key} = {value}");
    }

    #[test]
    fn each_mark_of_a_location_is_enough() {
        check("ssids", "Lighthouse", true);
        check("connections", "Dock", true);
        check("connections", "2D577679-A7B6-429D-8250-3D0D80E034DF", true);
        check("gateways", "52:54:00:12:35:0A", true);
        check("subnets", "192.168.7.0/24", true);
        check("subnets", "192.168.0.0/16", true);
        check("subnets", "192.168.7.99/24", true);
        check("subnets", "0.0.0.0/0", true);
        check("subnets", "192.168.7.20/32", true);
        check("subnets", "2001:db8:7::/64", true);
        check("subnets", "::/0", true);
    }

    #[test]
    fn everything_is_paid_for_only_where_no_way_out_is_free() {
        let network = |links: &[(&str, LinkKind, Metered, &[&str])]| NetworkSight {
            links: links.iter().map(|(name, kind, dear, own)| ((*name).to_owned(), link(*kind, *dear, own))).collect(),
            ..NetworkSight::default()
        };
        let (phone, cable) = (&["10.0.0.2/24"][..], &["192.168.7.20/24"][..]);
        let dear = ("wlan0", LinkKind::Direct, Metered::Yes, phone);
        assert_eq!(only_metered(&network(&[dear])), Some("wlan0"));
        assert_eq!(only_metered(&network(&[dear, ("eth0", LinkKind::Direct, Metered::No, cable)])), None);
        assert_eq!(only_metered(&network(&[dear, ("eth0", LinkKind::Direct, Metered::Unknown, cable)])), None);
        let others =
            [("eth0", LinkKind::Direct, Metered::No, &[][..]), ("tun0", LinkKind::Tunnel, Metered::Unknown, cable)];
        assert_eq!(only_metered(&network(&[dear, others[0], others[1]])), Some("wlan0"));
        assert_eq!(only_metered(&network(&[])), None);
    }

    #[test]
    fn what_is_not_the_same_is_not_it() {
        check("ssids", "lighthouse", false);
        check("ssids", "Light*", false);
        check("connections", "dock", false);
        check("gateways", "52:54:00:12:35:0b", false);
        check("subnets", "192.168.8.0/24", false);
        check("subnets", "192.168.7.21/32", false);
        check("subnets", "2001:db8:8::/64", false);
        check("subnets", "192.168.7.0", false);
    }

    #[test]
    fn nothing_is_recognised_without_a_network_or_without_a_mark() {
        let name: LocationName = "home".parse().unwrap();
        let home = Location { subnets: vec!["192.168.7.0/24".into()], ..Location::default() };
        assert_eq!(recognised(&BTreeMap::from([(name.clone(), home)]), &NetworkSight::default()), BTreeSet::new());
        assert_eq!(recognised(&BTreeMap::from([(name, Location::default())]), &at_home()), BTreeSet::new());
    }

    #[test]
    fn a_network_is_an_address() {
        let mut network = at_home();
        assert!(is_online(&network));
        network.links = BTreeMap::from([("eth0".into(), link(LinkKind::Direct, Metered::Unknown, &[]))]);
        assert!(!is_online(&network));
    }

    #[test]
    fn the_interface_that_is_used_says_whether_it_is_metered() {
        let mut network = at_home();
        network.links.insert("wwan0".into(), link(LinkKind::Direct, Metered::Yes, &["10.9.9.9/30"]));
        network.links.insert("wg0".into(), link(LinkKind::Tunnel, Metered::Unknown, &["10.1.1.1/24"]));
        network.links.insert("tun0".into(), link(LinkKind::Tunnel, Metered::No, &["10.2.1.1/24"]));
        for (interface, expected) in [
            ("wlan0", Metered::No),
            ("wwan0", Metered::Yes),
            ("wg0", Metered::Yes),
            ("tun0", Metered::No),
            ("eth9", Metered::Unknown),
        ] {
            assert_eq!(metered(&network, interface), expected, "{interface}");
        }
        network.links.remove("wwan0");
        assert_eq!(metered(&network, "wg0"), Metered::Unknown);
    }

    #[test]
    fn a_portal_stands_before_the_internet_only() {
        let cut_off = |connectivity, address: &str| {
            is_cut_off(&NetworkSight { connectivity, ..at_home() }, address.parse().unwrap())
        };
        for connectivity in [Connectivity::Portal, Connectivity::Limited] {
            for far in ["203.0.113.9", "2001:db8:8::9", "100.64.0.1", "172.32.0.1"] {
                assert!(cut_off(connectivity, far), "{far}");
            }
            for near in
                ["192.168.7.9", "10.0.0.1", "172.16.0.1", "169.254.1.1", "127.0.0.1", "fe80::1", "fd00::1", "::1"]
            {
                assert!(!cut_off(connectivity, near), "{near}");
            }
            assert!(!cut_off(connectivity, "2001:db8:7::9"), "a neighbour with an address of the internet");
        }
        for connectivity in [Connectivity::Unknown, Connectivity::None, Connectivity::Full] {
            assert!(!cut_off(connectivity, "203.0.113.9"), "{connectivity:?}");
        }
    }
}
