//! A message bus, and services that come and go on it.

use std::time::{Duration, Instant};

use nbkp::os::bus::{Bus, NotRunning, Presence, Service, Watched};

use crate::ground::{BUS, PrivateBus, block_on, host_with, on_bus, soon};

const PROGRAMS: &[&str] = &["dbus-daemon"];

const NAME: &str = "org.example.Nbkp";

fn watched() -> Watched {
    let signals = &["interface='org.example.Nbkp',member='Happened'"];
    Watched { bus: Bus::At(BUS.into()), name: NAME, signals, deadline: Duration::from_secs(1) }
}

/// How it stands, in a word.
async fn stands(service: &mut Service, wanted: &str) -> Presence {
    let so = |standing: &Presence| {
        let word = match standing {
            Presence::Unknown => "unknown",
            Presence::Here(_) => "here",
            Presence::Absent(NotRunning::Unknown) => "unheard of",
            Presence::Absent(NotRunning::Startable) => "startable",
            Presence::NoBus(_) => "no bus",
        };
        word == wanted
    };
    soon(wanted, service.standing.wait_for(so)).await.unwrap().clone()
}

async fn happen(connection: &zbus::Connection) {
    connection.emit_signal(None::<&str>, "/", NAME, "Happened", &7).await.unwrap();
}

#[test]
fn a_service_comes_speaks_and_goes() {
    host_with(PROGRAMS, "bus::a_service_comes_speaks_and_goes", || {
        let bus = PrivateBus::start();
        block_on(async {
            let mut service = watched().watch();
            stands(&mut service, "unheard of").await;
            for _ in 0..2 {
                let other = on_bus().await;
                other.request_name(NAME).await.unwrap();
                let Presence::Here(peer) = stands(&mut service, "here").await else { panic!() };
                assert_eq!(Some(&peer.owner), other.unique_name());
                happen(&other).await;
                let signal = soon("its signal", service.signals.recv()).await.unwrap();
                assert_eq!(signal.body().deserialize::<i32>().unwrap(), 7);
                other.close().await.unwrap();
                stands(&mut service, "unheard of").await;
            }
        });
        drop(bus);
    });
}

#[test]
fn nothing_is_started_by_watching() {
    host_with(PROGRAMS, "bus::nothing_is_started_by_watching", || {
        std::fs::create_dir_all("/run/services").unwrap();
        let file = format!("[D-BUS Service]\nName={NAME}\nExec=/usr/bin/touch /run/started\nUser=root\n");
        std::fs::write(format!("/run/services/{NAME}.service"), file).unwrap();
        let bus = PrivateBus::start();
        block_on(async {
            let mut service = watched().watch();
            stands(&mut service, "startable").await;
            let other = on_bus().await;
            other.request_name(NAME).await.unwrap();
            let Presence::Here(peer) = stands(&mut service, "here").await else { panic!() };
            other.release_name(NAME).await.unwrap();
            stands(&mut service, "startable").await;
            other.close().await.unwrap();
            // Whoever still has the old address reaches nobody.
            let called = peer.connection.call_method(Some(peer.owner.as_str()), "/", None::<&str>, "Ping", &()).await;
            assert!(called.is_err(), "{called:?}");
            assert!(!std::path::Path::new("/run/started").exists());
        });
        drop(bus);
    });
}

#[test]
fn a_bus_that_dies_is_found_again() {
    host_with(PROGRAMS, "bus::a_bus_that_dies_is_found_again", || {
        block_on(async {
            let mut service = watched().watch();
            let Presence::NoBus(why) = stands(&mut service, "no bus").await else { panic!() };
            assert!(why.starts_with("reach the message bus: ") && why.contains("No such file"), "{why}");
            let mut bus = PrivateBus::start();
            for _ in 0..2 {
                stands(&mut service, "unheard of").await;
                let other = on_bus().await;
                other.request_name(NAME).await.unwrap();
                stands(&mut service, "here").await;
                happen(&other).await;
                soon("its signal", service.signals.recv()).await.unwrap();
                bus.go();
                stands(&mut service, "no bus").await;
                bus.come();
            }
        });
    });
}

#[test]
fn a_bus_that_stands_still_holds_nobody() {
    host_with(PROGRAMS, "bus::a_bus_that_stands_still_holds_nobody", || {
        let bus = PrivateBus::start();
        block_on(async {
            let mut service = watched().watch();
            let other = on_bus().await;
            other.request_name(NAME).await.unwrap();
            let Presence::Here(peer) = stands(&mut service, "here").await else { panic!() };
            bus.signal("STOP");
            let started = Instant::now();
            let call = peer.connection.call_method(Some(peer.owner.as_str()), "/", None::<&str>, "Ping", &());
            assert!(soon("an answer or none", call).await.is_err());
            assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
            let mut late = watched().watch();
            let Presence::NoBus(why) = stands(&mut late, "no bus").await else { panic!() };
            assert_eq!(why, "reach the message bus: it does not answer");
            bus.signal("CONT");
            stands(&mut late, "here").await;
            happen(&other).await;
            soon("what is said afterwards", service.signals.recv()).await.unwrap();
        });
    });
}

#[test]
fn a_storm_of_signals_stops_neither_calls_nor_grows() {
    host_with(PROGRAMS, "bus::a_storm_of_signals_stops_neither_calls_nor_grows", || {
        let bus = PrivateBus::start();
        block_on(async {
            let mut service = watched().watch();
            let other = on_bus().await;
            other.request_name(NAME).await.unwrap();
            let Presence::Here(peer) = stands(&mut service, "here").await else { panic!() };
            for _ in 0..5_000 {
                happen(&other).await;
            }
            // Nobody reads them, and a call is answered all the same.
            let driver = "org.freedesktop.DBus";
            let call = peer.connection.call_method(Some(driver), "/", Some(driver), "GetId", &());
            soon("an answer", call).await.unwrap();
            assert_eq!(service.signals.len(), service.signals.max_capacity());
        });
        drop(bus);
    });
}
