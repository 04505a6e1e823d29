//! The kernel's routing.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nbkp::model::LinkKind;
use nbkp::os::addresses::{self, AddressesSight, Ear, Heard, Neighbours, RouteError};

use crate::ground::{block_on, host_with, other_machine, plug_cable, soon};
use crate::mini::{host, sh};

/// Looks each time that something is heard, and only then, until this is so.
async fn heard(ear: &mut Ear, what: &str, so: impl Fn(&AddressesSight) -> bool) -> AddressesSight {
    let looks = async {
        loop {
            ear.hear().await.unwrap();
            ear.drain(10_000).unwrap();
            let sight = addresses::look().await.unwrap();
            if so(&sight) {
                return sight;
            }
        }
    };
    soon(what, looks).await
}

fn own(sight: &AddressesSight, interface: &str) -> Vec<String> {
    let link = sight.links.get(interface);
    link.into_iter().flat_map(|link| &link.addresses).map(|(address, prefix)| format!("{address}/{prefix}")).collect()
}

#[test]
fn links_and_addresses_come_and_go() {
    host("addresses::links_and_addresses_come_and_go", || {
        other_machine();
        plug_cable("v0");
        sh("ip netns exec peer ip link set far-v0 down");
        block_on(async {
            let mut ear = Ear::open().unwrap();
            let first = addresses::look().await.unwrap();
            assert!(first.links.is_empty(), "neither the loopback nor a link without a carrier: {first:?}");

            sh("ip addr add 192.0.2.1/24 dev v0");
            sh("ip netns exec peer ip link set far-v0 up");
            let sight = heard(&mut ear, "an address on a link with a carrier", |sight| !sight.links.is_empty()).await;
            assert_eq!(own(&sight, "v0"), ["192.0.2.1/24"], "link-local addresses are not told");
            assert_eq!(sight.links["v0"].kind, LinkKind::Direct);

            sh("ip addr add 2001:db8::1/64 dev v0");
            let sight =
                heard(&mut ear, "an IPv6 address, once it is checked", |sight| own(sight, "v0").len() == 2).await;
            assert_eq!(own(&sight, "v0"), ["192.0.2.1/24", "2001:db8::1/64"]);
            std::net::UdpSocket::bind("[2001:db8::1]:0").expect("it can be used");

            sh("ip addr del 192.0.2.1/24 dev v0");
            heard(&mut ear, "the address goes", |sight| own(sight, "v0") == ["2001:db8::1/64"]).await;
            sh("ip netns exec peer ip link set far-v0 down");
            heard(&mut ear, "no carrier is no link", |sight| sight.links.is_empty()).await;
        });
    });
}

#[test]
fn a_tunnel_is_told_from_a_cable() {
    host_with(&["python3"], "addresses::a_tunnel_is_told_from_a_cable", || {
        other_machine();
        plug_cable("v0");
        plug_cable("p0");
        sh("ip link add b0 type bridge && ip link set p0 master b0 && ip link set b0 up");
        // A tunnel has a carrier while a program serves it.
        let serve = "import fcntl, struct, sys; t = open('/dev/net/tun', 'r+b', 0); \
            fcntl.ioctl(t, 0x400454ca, struct.pack('16sH22x', b't0', 0x1001)); print(flush=True); sys.stdin.read()";
        let mut served = Command::new("python3");
        let served = served.args(["-c", serve]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut served = served.spawn().unwrap();
        assert_eq!(served.stdout.take().unwrap().read(&mut [0; 1]).unwrap(), 1);
        sh("ip link set t0 up");
        sh("ip addr add 192.0.2.1/24 dev v0");
        let kinds = || {
            let sight = block_on(addresses::look()).unwrap();
            sight.links.into_iter().map(|(name, link)| (name, link.kind)).collect::<Vec<_>>()
        };
        let expected = |bridge| {
            let links = [("b0", bridge), ("t0", LinkKind::Tunnel), ("v0", LinkKind::Direct)];
            links.map(|(name, kind)| (name.to_owned(), kind)).to_vec()
        };
        assert_eq!(kinds(), expected(LinkKind::Inside), "and a port of a bridge is no link of its own");
        // A bridge with a real cable in it leads out of here; one whose cable is pulled does not.
        sh("ip link add d0 type ifb && ip link set d0 master b0 up");
        assert_eq!(kinds(), expected(LinkKind::Direct));
        sh("ip link set d0 down");
        assert_eq!(kinds(), expected(LinkKind::Inside));
        // On a host of virtual machines the bridge is the way out.
        sh("ip addr add 198.51.100.1/24 dev b0 && ip route add default via 198.51.100.2");
        assert_eq!(kinds(), expected(LinkKind::Direct));
        drop(served.stdin.take());
        assert!(served.wait().unwrap().success());
    });
}

#[test]
fn the_gateway_is_known_by_its_hardware_address() {
    host("addresses::the_gateway_is_known_by_its_hardware_address", || {
        other_machine();
        plug_cable("v0");
        sh("ip netns exec peer ip link set far-v0 address 52:54:00:00:00:02");
        sh("ip netns exec peer ip addr add 192.0.2.9/24 dev far-v0 && ip addr add 192.0.2.1/24 dev v0");
        block_on(async {
            let mut ear = Ear::open().unwrap();
            sh("ip route add default via 192.0.2.9");
            let sight = heard(&mut ear, "the route", |sight| !sight.unresolved.is_empty()).await;
            assert!(sight.gateways.is_empty(), "nobody talked to it yet: {sight:?}");

            ear.set_neighbours(Neighbours::Heard).unwrap();
            sight.unresolved.iter().for_each(addresses::Gateway::nudge);
            let sight = heard(&mut ear, "its hardware address", |sight| sight.unresolved.is_empty()).await;
            assert_eq!(sight.gateways.into_iter().collect::<Vec<_>>(), ["52:54:00:00:00:02"]);

            // A second way out counts as well.
            sh("ip -6 addr add 2001:db8::1/64 dev v0 nodad && ip netns exec peer ip -6 addr add 2001:db8::9/64 dev \
                 far-v0 nodad");
            sh("ip netns exec peer ip link set far-v0 address 52:54:00:00:00:03");
            sh("ip -6 route add default via 2001:db8::9");
            let sight = addresses::look().await.unwrap();
            sight.unresolved.iter().for_each(addresses::Gateway::nudge);
            let sight = heard(&mut ear, "the second", |sight| sight.gateways.len() == 2).await;
            assert!(sight.gateways.contains("52:54:00:00:00:03"), "{sight:?}");

            sh("ip netns exec peer ip link set far-v0 down");
            heard(&mut ear, "it is gone with the link", |sight| sight.gateways.is_empty()).await;
        });
    });
}

#[test]
fn a_route_is_told_or_told_to_be_missing() {
    host("addresses::a_route_is_told_or_told_to_be_missing", || {
        let way = |address: &str| {
            let address = address.parse().unwrap();
            block_on(addresses::route_to(address))
                .map(|way| way.interface)
                .map_err(|error| matches!(error, RouteError::Unreachable(_)))
        };
        let through = |interface: &str| Ok(Some(interface.to_owned()));
        assert_eq!(way("192.0.2.1"), Err(true), "no network at all");
        assert_eq!(way("2001:db8::1"), Err(true));
        assert_eq!(way("127.0.0.1"), through("lo"));
        other_machine();
        plug_cable("d0");
        plug_cable("d1");
        sh("ip addr add 192.0.2.1/24 dev d0 && ip addr add 198.51.100.1/24 dev d1");
        sh("ip addr add 2001:db8::1/64 dev d1 nodad");
        assert_eq!(way("192.0.2.77"), through("d0"));
        assert_eq!(way("198.51.100.77"), through("d1"));
        assert_eq!(way("2001:db8::77"), through("d1"));
        assert_eq!(way("203.0.113.1"), Err(true));
        sh("ip route add default via 192.0.2.2");
        assert_eq!(way("203.0.113.1"), through("d0"));
        for (kind, address) in
            [("unreachable", "203.0.113.1"), ("prohibit", "203.0.113.2"), ("blackhole", "203.0.113.3")]
        {
            sh(&format!("ip route add {kind} {address}"));
            assert_eq!(way(address), Err(true), "{kind}");
        }
        for (kind, address) in
            [("unreachable", "2001:db8::2"), ("prohibit", "2001:db8::3"), ("blackhole", "2001:db8::4")]
        {
            sh(&format!("ip -6 route add {kind} {address}"));
            assert_eq!(way(address), Err(true), "{kind}");
        }
        // What a rule sends elsewhere goes elsewhere.
        sh("ip route add default via 198.51.100.2 table 7 && ip rule add to 203.0.113.9 table 7");
        assert_eq!(way("203.0.113.9"), through("d1"));
    });
}

#[test]
fn other_ways_leave_another_mark() {
    host("addresses::other_ways_leave_another_mark", || {
        other_machine();
        plug_cable("d0");
        sh("ip addr add 192.0.2.1/24 dev d0");
        let ways = || block_on(addresses::look()).unwrap().ways;
        let before = ways();
        assert_eq!(ways(), before);
        let mut seen = vec![before];
        for change in [
            "route add 203.0.113.0/24 via 192.0.2.2",
            "rule add to 203.0.113.9 table 7",
            "route add unreachable 203.0.113.7",
        ] {
            sh(&format!("ip {change}"));
            assert!(!seen.contains(&ways()), "{change}");
            seen.push(ways());
        }
        sh("ip route del 203.0.113.0/24 && ip route del unreachable 203.0.113.7 && ip rule del to 203.0.113.9 table 7");
        assert_eq!(ways(), before, "it is as it was");
        // What comes and goes with containers leaves a mark of its own.
        let outside = || block_on(addresses::look()).unwrap().outside;
        sh("ip link add b0 type bridge && ip addr add 172.17.0.1/16 dev b0 && ip link set b0 up");
        let known = outside();
        sh("ip link add h0 type veth peer name c0 && ip link set h0 master b0 up && ip link set c0 up");
        sh("ip route add 198.51.100.0/24 dev b0");
        assert_eq!(outside(), known);
        assert!(!seen.contains(&ways()));
        sh("ip route add default via 172.17.0.9");
        assert_ne!(outside(), known, "it is the way out");
    });
}

#[test]
fn a_storm_is_few_looks_and_the_last_change_is_seen() {
    host("addresses::a_storm_is_few_looks_and_the_last_change_is_seen", || {
        other_machine();
        plug_cable("d0");
        // As fast as it goes: 5,000 addresses come and go, and one stays.
        sh("for i in $(seq 5000); do a=10.$((i / 250 % 200)).$((i % 250)).1/32; echo addr add $a dev d0; echo addr \
             del $a dev d0; done > /run/storm");
        sh("echo addr add 192.0.2.1/24 dev d0 >> /run/storm");
        block_on(async {
            let mut ear = Ear::open().unwrap();
            let mut storm = Command::new("ip").args(["-batch", "/run/storm"]).spawn().unwrap();
            let mut looks: u32 = 0;
            let looked = async {
                loop {
                    ear.hear().await.unwrap();
                    // Meanwhile the socket fills, and nothing of ours grows.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    ear.drain(10_000).unwrap();
                    looks += 1;
                    if !own(&addresses::look().await.unwrap(), "d0").iter().all(|own| own != "192.0.2.1/24") {
                        return;
                    }
                }
            };
            let started = Instant::now();
            soon("the last address", looked).await;
            println!("{looks} looks in {:?}", started.elapsed());
            assert!(storm.wait().unwrap().success());
            assert!(u128::from(looks) <= started.elapsed().as_millis() / 50 + 2);
        });
    });
}

#[test]
fn an_overrun_is_heard_and_hearing_goes_on() {
    host("addresses::an_overrun_is_heard_and_hearing_goes_on", || {
        other_machine();
        plug_cable("d0");
        block_on(async {
            let mut ear = Ear::open_with(1).unwrap();
            sh("for i in $(seq 200); do echo addr add 10.0.0.$i/32 dev d0; done > /run/many && ip -batch /run/many");
            let overrun = async { while ear.hear().await.unwrap() != Heard::Overrun {} };
            soon("an overrun", overrun).await;
            ear.drain(10_000).unwrap();
            sh("ip addr add 192.0.2.1/24 dev d0");
            heard(&mut ear, "what comes later", |sight| own(sight, "d0").contains(&"192.0.2.1/24".to_owned())).await;
        });
    });
}

#[test]
fn an_address_is_heard_within_milliseconds() {
    host("addresses::an_address_is_heard_within_milliseconds", || {
        other_machine();
        plug_cable("d0");
        block_on(async {
            let mut ear = Ear::open().unwrap();
            let mut times = Vec::new();
            for i in 0..51 {
                let add = format!("addr add 192.0.2.{i}/32 dev d0");
                let mut ip = tokio::process::Command::new("ip").args(add.split(' ')).spawn().unwrap();
                let started = Instant::now();
                // What comes of the link itself is heard, too.
                let sight = heard(&mut ear, "the address", |sight| own(sight, "d0").len() > i).await;
                times.push(started.elapsed());
                assert_eq!(own(&sight, "d0").len(), i + 1);
                assert!(ip.wait().await.unwrap().success());
            }
            times.sort();
            let median = times[times.len() / 2];
            println!("from starting `ip addr add` to what was found: {median:?} (median of {})", times.len());
            assert!(median < Duration::from_millis(20), "{median:?}");
        });
    });
}
