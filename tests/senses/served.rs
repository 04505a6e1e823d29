//! Shapes that the real neighbours cannot make on a machine for tests: Wi-Fi, a captive portal, a battery, sleep. They
//! are served by a few lines of ours, on a bus of their own.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, OwnedFd, OwnedObjectPath, interface};

use crate::ground::{
    BUS, CONTENT, CURIOUS, PrivateBus, Rig, block_on, host_with, on_bus, other_machine, plug_cable, soon,
};
use crate::mini::eventually;
use nbkp::daemon::messages::sensed::{Activity, Sleep};
use nbkp::model::{Connectivity, Lingering, Locks, Metered, PowerSight};
use nbkp::os::bus::{Bus, Presence, standing};
use nbkp::os::{logind, network_manager};

const PROGRAMS: &[&str] = &["dbus-daemon"];

const NOWHERE: &str = "/does/not/exist";

fn path(path: &str) -> OwnedObjectPath {
    ObjectPath::try_from(path.to_owned()).unwrap().into()
}

// --- NetworkManager
// ---------------------------------------------------------------------------------------------------

struct Manager {
    /// How often it was asked.
    looks: Arc<AtomicU32>,
    connectivity: u32,
    active: Vec<OwnedObjectPath>,
}

#[interface(name = "org.freedesktop.NetworkManager")]
impl Manager {
    #[zbus(property)]
    fn connectivity(&self) -> u32 {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.connectivity
    }

    #[zbus(property)]
    fn active_connections(&self) -> Vec<OwnedObjectPath> {
        self.active.clone()
    }

    #[zbus(signal)]
    async fn state_changed(emitter: &SignalEmitter<'_>, state: u32) -> zbus::Result<()>;
}

struct Active {
    name: String,
    kind: &'static str,
    state: u32,
    devices: Vec<OwnedObjectPath>,
}

#[interface(name = "org.freedesktop.NetworkManager.Connection.Active")]
impl Active {
    #[zbus(property)]
    fn id(&self) -> String {
        self.name.clone()
    }

    #[zbus(property)]
    fn uuid(&self) -> String {
        "2d577679-a7b6-429d-8250-3d0d80e034df".into()
    }

    #[zbus(property, name = "Type")]
    fn kind(&self) -> String {
        self.kind.into()
    }

    #[zbus(property)]
    fn state(&self) -> u32 {
        self.state
    }

    #[zbus(property)]
    fn devices(&self) -> Vec<OwnedObjectPath> {
        self.devices.clone()
    }
}

struct Device {
    interface: &'static str,
    ip_interface: &'static str,
    metered: u32,
}

#[interface(name = "org.freedesktop.NetworkManager.Device")]
impl Device {
    #[zbus(property)]
    fn interface(&self) -> String {
        self.interface.into()
    }

    #[zbus(property)]
    fn ip_interface(&self) -> String {
        self.ip_interface.into()
    }

    #[zbus(property)]
    fn metered(&self) -> u32 {
        self.metered
    }
}

struct Wireless(OwnedObjectPath);

#[interface(name = "org.freedesktop.NetworkManager.Device.Wireless")]
impl Wireless {
    #[zbus(property)]
    fn active_access_point(&self) -> OwnedObjectPath {
        self.0.clone()
    }
}

struct AccessPoint(Vec<u8>);

#[interface(name = "org.freedesktop.NetworkManager.AccessPoint")]
impl AccessPoint {
    #[zbus(property)]
    fn ssid(&self) -> Vec<u8> {
        self.0.clone()
    }
}

const ROOT: &str = "/org/freedesktop/NetworkManager";

/// A manager with one Wi-Fi of this name, and a modem. One of its connections is gone before it can be asked about, and
/// one is still coming up.
async fn wifi(ssid: &[u8], connectivity: u32) -> Connection {
    let served = on_bus().await;
    let object = |name: &str| path(&format!("{ROOT}/{name}"));
    let objects = served.object_server();
    let active = |name: &str, kind, state, devices: &[&str]| {
        let devices = devices.iter().map(|name| object(name)).collect();
        Active { name: name.into(), kind, state, devices }
    };
    let wlan = "802-11-wireless";
    objects.at(object("ActiveConnection/1"), active("Home", wlan, 2, &["Devices/1"])).await.unwrap();
    objects.at(object("ActiveConnection/2"), active("Mobile", "gsm", 2, &["Devices/2", "Devices/gone"])).await.unwrap();
    objects.at(object("ActiveConnection/3"), active("Later", wlan, 1, &["Devices/1"])).await.unwrap();
    let device = |interface, ip_interface, metered| Device { interface, ip_interface, metered };
    objects.at(object("Devices/1"), device("v0", "", 4)).await.unwrap();
    objects.at(object("Devices/1"), Wireless(object("AccessPoint/1"))).await.unwrap();
    objects.at(object("Devices/2"), device("ttyUSB0", "v1", 3)).await.unwrap();
    objects.at(object("AccessPoint/1"), AccessPoint(ssid.to_owned())).await.unwrap();
    let active = ["1", "gone", "2", "3"]
        .map(|name| format!("ActiveConnection/{name}"))
        .iter()
        .map(|name| object(name))
        .collect();
    objects.at(ROOT, Manager { looks: Arc::default(), connectivity, active }).await.unwrap();
    served.request_name("org.freedesktop.NetworkManager").await.unwrap();
    served
}

#[test]
fn wifi_and_modem_are_known_by_name_and_price() {
    host_with(PROGRAMS, "served::wifi_and_modem_are_known_by_name_and_price", || {
        other_machine();
        plug_cable("v0");
        plug_cable("v1");
        let bus = PrivateBus::start();
        block_on(async {
            let served = wifi(b"Lighthouse", 4).await;
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the Wi-Fi", |rig| rig.network.is_some()).await;
            let network = rig.network.clone().unwrap();
            assert_eq!(network.ssids.iter().collect::<Vec<_>>(), ["Lighthouse"], "known in the first sight");
            assert_eq!(rig.connections(), ["Home", "Mobile"], "neither what is gone nor what is still coming up");
            assert_eq!(network.links["v0"].metered, Metered::No, "guessed");
            assert_eq!(network.links["v1"].metered, Metered::Yes, "guessed, by the name of the interface");
            assert_eq!(network.connectivity, Connectivity::Full);

            let manager = served.object_server().interface::<_, Manager>(ROOT).await.unwrap();
            for (number, expected) in [
                (2, Connectivity::Portal),
                (3, Connectivity::Limited),
                (1, Connectivity::None),
                (0, Connectivity::Unknown),
                (4, Connectivity::Full),
            ] {
                manager.get_mut().await.connectivity = number;
                Manager::state_changed(manager.signal_emitter(), 70).await.unwrap();
                let so = |rig: &Rig| rig.network.as_ref().unwrap().connectivity == expected;
                rig.until("another connectivity", so).await;
            }

            // The access point is lost, and the connection with it.
            served.object_server().remove::<AccessPoint, _>(path(&format!("{ROOT}/AccessPoint/1"))).await.unwrap();
            manager.get_mut().await.active.truncate(1);
            Manager::state_changed(manager.signal_emitter(), 70).await.unwrap();
            rig.until("no SSID", |rig| rig.network.as_ref().unwrap().ssids.is_empty()).await;
            assert_eq!(rig.connections(), ["Home"]);
        });
        drop(bus);
    });
}

#[test]
fn a_wifi_whose_name_is_no_text_harms_nobody() {
    host_with(PROGRAMS, "served::a_wifi_whose_name_is_no_text_harms_nobody", || {
        let bus = PrivateBus::start();
        block_on(async {
            let _served = wifi(b"caf\xe9\xff\x00", 4).await;
            let mut service = network_manager::service(Bus::At(BUS.into()));
            let here = service.standing.wait_for(|standing| matches!(standing, Presence::Here(_)));
            let Presence::Here(peer) = soon("it is there", here).await.unwrap().clone() else { panic!() };
            let sight = network_manager::look(&peer).await.unwrap();
            assert_eq!(sight.ssids.into_iter().collect::<Vec<_>>(), ["caf\u{fffd}\u{fffd}\0"]);
        });
        drop(bus);
    });
}

#[test]
fn a_storm_of_signals_is_a_look_or_two() {
    host_with(PROGRAMS, "served::a_storm_of_signals_is_a_look_or_two", || {
        let bus = PrivateBus::start();
        block_on(async {
            let served = wifi(b"Lighthouse", 4).await;
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the Wi-Fi", |rig| rig.network.is_some()).await;
            let before = rig.networks;
            let manager = served.object_server().interface::<_, Manager>(ROOT).await.unwrap();
            for number in 0..1000 {
                manager.get_mut().await.connectivity = number % 5;
                Manager::state_changed(manager.signal_emitter(), 70).await.unwrap();
            }
            manager.get_mut().await.connectivity = 2;
            Manager::state_changed(manager.signal_emitter(), 70).await.unwrap();
            rig.until("the last word", |rig| rig.network.as_ref().unwrap().connectivity == Connectivity::Portal).await;
            let looks = manager.get().await.looks.load(Ordering::Relaxed);
            println!("{looks} looks and {} sights", rig.networks - before);
            assert!(looks <= 3 && rig.networks - before <= 2, "{looks} looks");
            // As a connection comes up: slowly, and with much to say.
            for number in 0..40 {
                manager.get_mut().await.connectivity = number % 5;
                Manager::state_changed(manager.signal_emitter(), 70).await.unwrap();
                rig.listen(Duration::from_millis(15)).await;
            }
            manager.get_mut().await.connectivity = 3;
            Manager::state_changed(manager.signal_emitter(), 70).await.unwrap();
            rig.until("the last word", |rig| rig.network.as_ref().unwrap().connectivity == Connectivity::Limited).await;
            let more = manager.get().await.looks.load(Ordering::Relaxed) - looks;
            assert!(more <= 2, "{more} looks");
        });
        drop(bus);
    });
}

#[test]
fn a_flickering_wifi_wakes_nobody() {
    host_with(PROGRAMS, "served::a_flickering_wifi_wakes_nobody", || {
        let bus = PrivateBus::start();
        block_on(async {
            let served = wifi(b"Lighthouse", 4).await;
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the Wi-Fi", |rig| rig.network.is_some()).await;
            let manager = served.object_server().interface::<_, Manager>(ROOT).await.unwrap();
            let looks = Arc::clone(&manager.get().await.looks);
            let before = looks.load(Ordering::Relaxed);
            let points = format!("{ROOT}/AccessPoint/1");
            for strength in 0..100_u8 {
                let changed = (
                    "org.freedesktop.NetworkManager.AccessPoint",
                    HashMap::from([("Strength", zbus::Variant::from(strength))]),
                    Vec::<&str>::new(),
                );
                let properties = "org.freedesktop.DBus.Properties";
                served.emit_signal(None::<&str>, &*points, properties, "PropertiesChanged", &changed).await.unwrap();
            }
            // Longer than a look waits for quiet.
            rig.listen(Duration::from_millis(500)).await;
            assert_eq!(looks.load(Ordering::Relaxed), before);
            manager.get_mut().await.connectivity = 2;
            Manager::state_changed(manager.signal_emitter(), 70).await.unwrap();
            rig.until("a portal", |rig| rig.network.as_ref().unwrap().connectivity == Connectivity::Portal).await;
            assert_eq!(looks.load(Ordering::Relaxed), before + 1);
        });
        drop(bus);
    });
}

// --- logind
// -----------------------------------------------------------------------------------------------------------

/// It hands out locks, and gives the other end of each to the test; if the test does not take them, it refuses.
struct Login {
    locks: mpsc::Sender<(String, std::os::unix::net::UnixStream)>,
    preparing: bool,
}

struct User {
    linger: bool,
}

#[interface(name = "org.freedesktop.login1.User")]
impl User {
    #[zbus(property)]
    fn linger(&self) -> bool {
        self.linger
    }
}

#[interface(name = "org.freedesktop.login1.Manager")]
impl Login {
    fn get_user(&self, uid: u32) -> OwnedObjectPath {
        assert_eq!((uid, self.preparing), (rustix::process::geteuid().as_raw(), false));
        path("/org/freedesktop/login1/user/me")
    }

    async fn inhibit(&self, what: String, who: String, why: String, mode: String) -> zbus::fdo::Result<OwnedFd> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let given = self.locks.send((format!("{what} {who} {why} {mode}"), ours)).await;
        given.map_err(|_| zbus::fdo::Error::AccessDenied("not for you".into()))?;
        Ok(OwnedFd::from(std::os::fd::OwnedFd::from(theirs)))
    }

    #[zbus(property)]
    fn preparing_for_sleep(&self) -> bool {
        self.preparing
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

const LOGIN: &str = "/org/freedesktop/login1";

async fn login() -> (Connection, mpsc::Receiver<(String, std::os::unix::net::UnixStream)>) {
    let (locks, taken) = mpsc::channel(8);
    let served = on_bus().await;
    served.object_server().at(LOGIN, Login { locks, preparing: false }).await.unwrap();
    served.request_name("org.freedesktop.login1").await.unwrap();
    (served, taken)
}

async fn turn(served: &Connection, start: bool) {
    let login = served.object_server().interface::<_, Login>(LOGIN).await.unwrap();
    login.get_mut().await.preparing = start;
    Login::prepare_for_sleep(login.signal_emitter(), start).await.unwrap();
}

/// Whether the other end of a lock is held.
fn is_held(lock: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&lock, PollFlags::IN)];
    poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
    !fds[0].revents().contains(PollFlags::HUP)
}

async fn given_back(lock: impl AsFd) {
    while is_held(&lock) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn locks_are_tried_and_given_back_and_lingering_is_told() {
    host_with(PROGRAMS, "served::locks_are_tried_and_given_back_and_lingering_is_told", || {
        let _bus = PrivateBus::start();
        block_on(async {
            let bus = || Bus::At(BUS.into());
            let asked = || standing(bus(), "org.freedesktop.login1", Duration::from_secs(5));
            assert!(matches!(asked().await, Presence::Absent(_)));
            let (served, mut locks) = login().await;
            let Presence::Here(peer) = asked().await else { panic!("logind is there") };
            assert_eq!(logind::try_locks(&peer).await, Locks { sleep: Ok(()), idle: Ok(()) });
            for words in [("sleep ", " delay"), ("idle ", " block")] {
                let (asked, lock) = soon("a lock", locks.recv()).await.unwrap();
                assert!(asked.starts_with(words.0) && asked.ends_with(words.1), "{asked}");
                soon("it is given back", given_back(&lock)).await;
            }
            for (linger, lingering) in [(false, Lingering::Off), (true, Lingering::On)] {
                let objects = served.object_server();
                objects.at("/org/freedesktop/login1/user/me", User { linger }).await.unwrap();
                assert_eq!(logind::lingering(&peer).await.unwrap(), lingering);
                objects.remove::<User, _>("/org/freedesktop/login1/user/me").await.unwrap();
            }
            // Nobody takes them any more: logind refuses.
            drop(locks);
            let Locks { sleep, idle } = logind::try_locks(&peer).await;
            assert!(sleep.unwrap_err().contains("not for you") && idle.is_err());
            let nowhere =
                standing(Bus::At(format!("unix:path={NOWHERE}")), "org.example", Duration::from_secs(5)).await;
            assert!(matches!(nowhere, Presence::NoBus(_)), "{nowhere:?}");
        });
    });
}

#[test]
fn sleep_waits_for_the_permit_and_waking_is_a_fresh_look() {
    host_with(PROGRAMS, "served::sleep_waits_for_the_permit_and_waking_is_a_fresh_look", || {
        let bus = PrivateBus::start();
        block_on(async {
            let (served, mut locks) = login().await;
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the first sight", |rig| rig.network.is_some()).await;
            for _ in 0..2 {
                let (asked, lock) = soon("a lock", locks.recv()).await.unwrap();
                assert_eq!(asked, "sleep Nomad Backup finish or stop the running backup cleanly delay");
                turn(&served, true).await;
                rig.until("it goes to sleep", |rig| !rig.sleeps.is_empty()).await;
                let Some(Sleep::GoingToSleep { permit: Some(permit) }) = rig.sleeps.pop_front() else { panic!() };
                assert!(is_held(&lock), "sleep waits");
                drop(permit);
                eventually("it may sleep", || (!is_held(&lock)).then_some(()));
                let before = rig.networks;
                turn(&served, false).await;
                rig.until("it woke", |rig| matches!(rig.sleeps.front(), Some(Sleep::Woke))).await;
                rig.sleeps.clear();
                rig.until("a sight, though it is the same", |rig| rig.networks > before).await;
            }
            assert!(rig.degraded.keys().all(|name| *name == "NetworkManager"), "{:?}", rig.degraded);
        });
        drop(bus);
    });
}

#[test]
fn a_logind_that_comes_back_is_asked_again() {
    host_with(PROGRAMS, "served::a_logind_that_comes_back_is_asked_again", || {
        let mut bus = PrivateBus::start();
        block_on(async {
            let (served, mut locks) = login().await;
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            let (_, first) = soon("a lock", locks.recv()).await.unwrap();
            served.close().await.unwrap();
            let (served, mut locks) = login().await;
            let (_, second) = soon("another", locks.recv()).await.unwrap();
            assert!(!is_held(&first) && is_held(&second), "the old one is worth nothing");

            // The bus dies while the machine sleeps, and the waking is not heard.
            turn(&served, true).await;
            rig.until("it goes to sleep", |rig| !rig.sleeps.is_empty()).await;
            rig.sleeps.clear();
            bus.go();
            bus.come();
            let (_served, mut locks) = login().await;
            rig.until("it woke", |rig| matches!(rig.sleeps.front(), Some(Sleep::Woke))).await;
            let (_, third) = soon("a third", locks.recv()).await.unwrap();
            assert!(is_held(&third));
        });
    });
}

#[test]
fn a_logind_that_refuses_is_told_and_sleep_is_heard_all_the_same() {
    host_with(PROGRAMS, "served::a_logind_that_refuses_is_told_and_sleep_is_heard_all_the_same", || {
        let bus = PrivateBus::start();
        block_on(async {
            let (served, locks) = login().await;
            drop(locks);
            let mut rig = Rig::start(CONTENT, Path::new(NOWHERE));
            rig.until("what is missed", |rig| rig.degraded.contains_key("logind")).await;
            let told = &rig.degraded["logind"];
            assert!(told.starts_with("sleep does not wait for a running copy: could not ask logind: "), "{told}");
            assert!(told.contains("not for you"), "{told}");
            turn(&served, true).await;
            rig.until("it goes to sleep", |rig| !rig.sleeps.is_empty()).await;
            assert!(matches!(rig.sleeps.pop_front(), Some(Sleep::GoingToSleep { permit: None })));
            turn(&served, false).await;
            rig.until("it woke", |rig| matches!(rig.sleeps.front(), Some(Sleep::Woke))).await;
        });
        drop(bus);
    });
}

#[test]
fn the_machine_is_kept_awake_while_it_is_wanted() {
    host_with(PROGRAMS, "served::the_machine_is_kept_awake_while_it_is_wanted", || {
        let mut bus = PrivateBus::start();
        block_on(async {
            let (served, mut locks) = login().await;
            let mut rig = Rig::start(CONTENT, Path::new(NOWHERE));
            let (_, _sleep) = soon("the lock against sleep", locks.recv()).await.unwrap();
            rig.activity.send_replace(Activity::Runs);
            rig.until("the power supply is looked at", |rig| rig.power == Some(PowerSight::Unknown)).await;
            rig.activity.send_replace(Activity::RunsAwake);
            let (asked, vigil) = soon("the lock against idleness", locks.recv()).await.unwrap();
            assert_eq!(asked, "idle Nomad Backup a backup is being made block");
            assert!(is_held(&vigil));
            rig.activity.send_replace(Activity::Runs);
            soon("it is given back on battery", given_back(&vigil)).await;

            // Another logind in mid-run is asked anew; one that refuses is told of.
            rig.activity.send_replace(Activity::RunsAwake);
            let (_, _vigil) = soon("the lock", locks.recv()).await.unwrap();
            served.close().await.unwrap();
            let (_served, mut locks) = login().await;
            let (first, _kept) = soon("a lock", locks.recv()).await.unwrap();
            let (second, kept) = soon("another", locks.recv()).await.unwrap();
            assert!(first.starts_with("sleep ") && second.starts_with("idle "), "{first} {second}");
            assert!(is_held(&kept));
            drop(locks);
            rig.activity.send_replace(Activity::Rest);
            soon("it is given back at the end", given_back(&kept)).await;
            rig.activity.send_replace(Activity::RunsAwake);
            rig.until("what is missed", |rig| rig.degraded.contains_key("logind")).await;
            let told = &rig.degraded["logind"];
            assert!(
                told.starts_with("the machine may fall asleep while a copy runs: could not ask logind: "),
                "{told}"
            );
            rig.activity.send_replace(Activity::Rest);
            rig.until("nothing is missed any more", |rig| !rig.degraded.contains_key("logind")).await;
        });
        bus.go();
    });
}

// --- UPower
// -----------------------------------------------------------------------------------------------------------

struct Upower {
    on_battery: bool,
}

#[interface(name = "org.freedesktop.UPower")]
impl Upower {
    fn get_display_device(&self) -> OwnedObjectPath {
        path("/org/freedesktop/UPower/devices/DisplayDevice")
    }

    #[zbus(property)]
    fn on_battery(&self) -> bool {
        self.on_battery
    }
}

struct Battery {
    percentage: f64,
    state: u32,
}

#[interface(name = "org.freedesktop.UPower.Device")]
impl Battery {
    #[zbus(property)]
    fn percentage(&self) -> f64 {
        self.percentage
    }

    #[zbus(property)]
    fn is_present(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn state(&self) -> u32 {
        self.state
    }
}

#[test]
fn upower_tells_of_plug_and_charge() {
    host_with(PROGRAMS, "served::upower_tells_of_plug_and_charge", || {
        let bus = PrivateBus::start();
        block_on(async {
            let served = on_bus().await;
            let (root, all) = ("/org/freedesktop/UPower", "/org/freedesktop/UPower/devices/DisplayDevice");
            served.object_server().at(root, Upower { on_battery: true }).await.unwrap();
            served.object_server().at(all, Battery { percentage: 80.6, state: 2 }).await.unwrap();
            served.request_name("org.freedesktop.UPower").await.unwrap();
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the battery", |rig| rig.power == Some(PowerSight::Battery(Some(80)))).await;
            let battery = served.object_server().interface::<_, Battery>(all).await.unwrap();
            battery.get_mut().await.percentage = 29.9;
            battery.get().await.percentage_changed(battery.signal_emitter()).await.unwrap();
            rig.until("less of it", |rig| rig.power == Some(PowerSight::Battery(Some(29)))).await;
            // It is charged, though no plug tells of itself.
            battery.get_mut().await.state = 1;
            battery.get().await.state_changed(battery.signal_emitter()).await.unwrap();
            rig.until("what charges it", |rig| rig.power == Some(PowerSight::Mains)).await;
            battery.get_mut().await.state = 2;
            battery.get().await.state_changed(battery.signal_emitter()).await.unwrap();
            rig.until("the battery again", |rig| rig.power == Some(PowerSight::Battery(Some(29)))).await;
            let upower = served.object_server().interface::<_, Upower>(root).await.unwrap();
            upower.get_mut().await.on_battery = false;
            upower.get().await.on_battery_changed(upower.signal_emitter()).await.unwrap();
            rig.until("the mains", |rig| rig.power == Some(PowerSight::Mains)).await;
            served.close().await.unwrap();
            rig.until("the kernel, which knows of none", |rig| rig.power == Some(PowerSight::Unknown)).await;
        });
        drop(bus);
    });
}
