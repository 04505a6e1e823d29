//! The senses together, with what is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nbkp::decide::locations::{Wish, wishes};
use nbkp::model::PowerSight;

use crate::ground::{CONTENT, CURIOUS, Rig, block_on, configuration, other_machine, plug_cable};
use crate::mini::{host, sh};

/// Where there is no power supply.
const NOWHERE: &str = "/does/not/exist";

fn addresses(rig: &Rig) -> Vec<String> {
    let links = rig.network.iter().flat_map(|network| network.links.values());
    links.flat_map(|link| &link.addresses).map(|(address, _)| address.to_string()).collect()
}

#[test]
fn a_configuration_says_what_it_wants_to_know() {
    assert_eq!(wishes(&configuration(CONTENT)), BTreeSet::new());
    let all = [Wish::Connections, Wish::Gateways, Wish::Metered, Wish::Battery];
    assert_eq!(wishes(&configuration(CURIOUS)), BTreeSet::from(all));
    for (with, without, gone) in [
        ("ssids = [\"Lighthouse\"]\n    connections = [\"Dock\"]", "", Wish::Connections),
        ("gateways = [\"52:54:00:00:00:02\"]", "", Wish::Gateways),
        ("battery = \"30%\"", "metered = true, battery = \"30%\"", Wish::Metered),
        ("battery = \"30%\"", "battery = \"any\"", Wish::Battery),
    ] {
        assert!(CURIOUS.contains(with), "{with}");
        let left = all.into_iter().filter(|wish| *wish != gone).collect();
        assert_eq!(wishes(&configuration(&CURIOUS.replace(with, without))), left, "without {with}");
    }
    let disabled = CURIOUS.replace("source = \"laptop\"", "enabled = false\n    source = \"laptop\"");
    assert_eq!(wishes(&configuration(&disabled)), BTreeSet::from([Wish::Connections, Wish::Gateways]));
}

#[test]
fn the_kernel_alone_is_enough() {
    host("whole::the_kernel_alone_is_enough", || {
        other_machine();
        plug_cable("v0");
        sh("ip netns exec peer ip link set far-v0 address 52:54:00:00:00:02");
        sh("ip netns exec peer ip addr add 192.0.2.9/24 dev far-v0");
        // What IPv6 says by itself must not be the hint that is waited for.
        fs::write("/proc/sys/net/ipv6/conf/v0/disable_ipv6", "1").unwrap();
        block_on(async {
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the first sight", |rig| rig.network.is_some()).await;
            rig.until("what is missed", |rig| rig.degraded.contains_key("NetworkManager")).await;
            let told = &rig.degraded["NetworkManager"];
            assert!(told.starts_with("NetworkManager is not there: could not reach the message bus"), "{told}");
            assert_eq!(rig.degraded.len(), 1, "nobody misses logind and UPower: {:?}", rig.degraded);
            rig.until("no battery is known", |rig| rig.power == Some(PowerSight::Unknown)).await;

            sh("ip addr add 192.0.2.1/24 dev v0 && ip route add default via 192.0.2.9");
            rig.until("the address", |rig| addresses(rig) == ["192.0.2.1"]).await;
            let known = |rig: &Rig| rig.network.as_ref().unwrap().gateways.contains("52:54:00:00:00:02");
            rig.until("the gateway, which nobody else talks to", known).await;
            // One that is switched on late, and that somebody else talks to.
            sh("ip netns exec peer ip addr del 192.0.2.9/24 dev far-v0 && ip neigh flush dev v0");
            sh("ip route replace default via 192.0.2.8");
            rig.until("another, which is silent", |rig| rig.network.as_ref().unwrap().gateways.is_empty()).await;
            rig.listen(Duration::from_millis(500)).await;
            sh("ip netns exec peer ip addr add 192.0.2.8/24 dev far-v0");
            let somebody = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
            somebody.send_to(&[], "192.0.2.8:9").unwrap();
            rig.until("it answers", known).await;
            sh("ip route add 203.0.113.0/24 via 192.0.2.8");
            rig.until("other ways", |rig| rig.routes_changed > 0).await;
            // Also where they change at the very moment at which it is asked for.
            for number in 0..8 {
                let before = rig.routes_changed;
                sh(&format!("ip route add 203.0.{number}.0/25 via 192.0.2.8"));
                rig.again.try_send(()).unwrap();
                rig.until("other ways than it was asked for", |rig| rig.routes_changed > before).await;
            }
            sh("ip addr del 192.0.2.1/24 dev v0");
            rig.until("the address is gone", |rig| addresses(rig).is_empty()).await;

            // Asked again, it is told again though it is the same.
            let before = rig.networks;
            rig.again.try_send(()).unwrap();
            rig.until("an answer", |rig| rig.networks > before).await;

            // Whoever asks for nothing hears no complaints.
            rig.configuration.send_replace(configuration(CONTENT));
            rig.until("nothing is missed", |rig| rig.degraded.is_empty()).await;
            assert!(rig.lives());
        });
    });
}

#[test]
fn ten_thousand_addresses_are_a_few_sights() {
    host("whole::ten_thousand_addresses_are_a_few_sights", || {
        other_machine();
        plug_cable("v0");
        sh("for i in $(seq 5000); do a=10.$((i / 250 % 200)).$((i % 250)).1/32; echo addr add $a dev v0; echo addr \
             del $a dev v0; done > /run/storm");
        sh("echo addr add 192.0.2.1/24 dev v0 >> /run/storm");
        block_on(async {
            let mut rig = Rig::start(CONTENT, Path::new(NOWHERE));
            rig.until("the first sight", |rig| rig.network.is_some()).await;
            rig.listen(Duration::from_millis(500)).await;
            let before = rig.networks + rig.routes_changed;
            let started = Instant::now();
            let mut storm = tokio::process::Command::new("ip").args(["-batch", "/run/storm"]).spawn().unwrap();
            rig.until("the last address", |rig| addresses(rig) == ["192.0.2.1"]).await;
            let (told, time) = (rig.networks + rig.routes_changed - before, started.elapsed());
            println!("{told} times told in {time:?}");
            assert!(u128::try_from(told).unwrap() <= 10 + time.as_millis() / 200, "{told} in {time:?}");
            assert!(storm.wait().await.unwrap().success());
        });
    });
}

#[test]
fn an_address_is_told_within_milliseconds() {
    host("whole::an_address_is_told_within_milliseconds", || {
        other_machine();
        plug_cable("v0");
        block_on(async {
            let mut rig = Rig::start(CONTENT, Path::new(NOWHERE));
            rig.until("the first sight", |rig| rig.network.is_some()).await;
            let mut times = Vec::new();
            for i in 1..=51 {
                // A person's pace, as far as looks are concerned.
                rig.listen(Duration::from_millis(250)).await;
                let add = format!("addr add 192.0.2.{i}/32 dev v0");
                let started = Instant::now();
                let mut ip = tokio::process::Command::new("ip").args(add.split(' ')).spawn().unwrap();
                rig.until("the address", |rig| addresses(rig).len() == i).await;
                times.push(started.elapsed());
                assert!(ip.wait().await.unwrap().success());
            }
            times.sort();
            let median = times[times.len() / 2];
            println!("from starting `ip addr add` to what is told: {median:?} (median of {})", times.len());
            assert!(median < Duration::from_millis(20), "{median:?}");
        });
    });
}

#[test]
fn the_kernel_tells_of_the_battery_where_nobody_else_does() {
    host("whole::the_kernel_tells_of_the_battery_where_nobody_else_does", || {
        let supplies = Path::new("/run/power_supply");
        let fact = |file: &str, content: &str| {
            fs::create_dir_all(supplies.join(file).parent().unwrap()).unwrap();
            fs::write(supplies.join(file), content).unwrap();
        };
        fact("AC/type", "Mains\n");
        fact("AC/online", "0\n");
        fact("BAT0/type", "Battery\n");
        fact("BAT0/capacity", "42\n");
        block_on(async {
            let mut rig = Rig::start(CURIOUS, supplies);
            rig.until("the battery", |rig| rig.power == Some(PowerSight::Battery(Some(42)))).await;
            fact("AC/online", "1\n");
            rig.again.try_send(()).unwrap();
            rig.until("the mains, when asked", |rig| rig.power == Some(PowerSight::Mains)).await;
        });
    });
}
