//! `NetworkManager` itself, on a bus of its own, with a cable to another machine.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use nbkp::decide::locations;
use nbkp::model::{Connectivity, Metered};

use crate::ground::{
    BUS, CONTENT, CURIOUS, PrivateBus, Rig, block_on, configuration, host_with, other_machine, plug_cable,
};
use crate::mini::{eventually, sh};

const PROGRAMS: &[&str] = &["dbus-daemon", "NetworkManager", "nmcli"];

/// A running NetworkManager.
pub struct Manager(Option<Child>);

impl Manager {
    /// It starts, and takes the cable `v0` into its care.
    pub fn start() -> Self {
        fs::create_dir_all("/run/nm/connections").unwrap();
        let configuration = "[main]\nplugins=keyfile\ndns=none\ndhcp=internal\nno-auto-default=*\n\
            [keyfile]\npath=/run/nm/connections\n[connectivity]\nenabled=false\n[logging]\nlevel=WARN\n\
            [device]\nmatch-device=interface-name:v0\nmanaged=1\n";
        fs::write("/run/nm/nm.conf", configuration).unwrap();
        // What udev has not seen, NetworkManager leaves alone.
        sh("udevadm trigger --subsystem-match=net && udevadm settle");
        let mut manager = Self(None);
        manager.come();
        nmcli("device set v0 managed yes");
        manager
    }

    fn come(&mut self) {
        let mut program = Command::new("NetworkManager");
        program.args([
            "--no-daemon",
            "--config=/run/nm/nm.conf",
            "--config-dir=/run/nm/none",
            "--system-config-dir=/run/nm/none",
        ]);
        program.args(["--intern-config=/run/nm/intern.conf", "--state-file=/run/nm/state", "--pid-file=/run/nm/pid"]);
        self.0 = Some(program.env("DBUS_SYSTEM_BUS_ADDRESS", BUS).spawn().unwrap());
        eventually("NetworkManager", || tried("general status").then_some(()));
    }

    fn go(&mut self) {
        if let Some(mut program) = self.0.take() {
            program.kill().unwrap();
            program.wait().unwrap();
        }
    }

    fn signal(&self, signal: &str) {
        sh(&format!("kill -{signal} {}", self.0.as_ref().unwrap().id()));
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.go();
    }
}

pub fn nmcli(arguments: &str) -> String {
    sh(&format!("DBUS_SYSTEM_BUS_ADDRESS={BUS} nmcli --wait 10 {arguments}"))
}

fn tried(arguments: &str) -> bool {
    let mut nmcli = Command::new("nmcli");
    nmcli.args(arguments.split(' ')).env("DBUS_SYSTEM_BUS_ADDRESS", BUS).output().is_ok_and(|out| out.status.success())
}

pub fn add_dock() -> String {
    nmcli(
        "connection add type ethernet con-name Dock ifname v0 autoconnect no ipv4.method manual ipv4.addresses \
         192.0.2.1/24 ipv6.method disabled",
    );
    nmcli("-g connection.uuid connection show Dock")
}

/// Whether the cable is metered, as far as was told.
fn metered(rig: &Rig) -> Option<Metered> {
    rig.network.as_ref()?.links.get("v0").map(|link| link.metered)
}

const NOWHERE: &str = "/does/not/exist";

#[test]
fn a_connection_is_known_by_its_name_and_metered_if_it_is() {
    host_with(PROGRAMS, "network_manager::a_connection_is_known_by_its_name_and_metered_if_it_is", || {
        other_machine();
        plug_cable("v0");
        let bus = PrivateBus::start();
        let manager = Manager::start();
        let uuid = add_dock();
        block_on(async {
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the first sight", |rig| rig.network.is_some()).await;
            assert_eq!(rig.connections(), <[&str; 0]>::default());
            nmcli("connection up Dock");
            rig.until("it is up", |rig| rig.connections() == ["Dock"]).await;
            let network = rig.network.clone().unwrap();
            assert!(network.connections.iter().all(|active| active.uuid == uuid), "{network:?}");
            let places = locations::recognised(&configuration(CURIOUS).locations, &network);
            assert_eq!(places.len(), 1, "it is home");
            rig.until("a cable is not metered, it is guessed", |rig| metered(rig) == Some(Metered::No)).await;
            nmcli("connection modify Dock connection.metered yes");
            nmcli("device reapply v0");
            rig.until("it is metered", |rig| metered(rig) == Some(Metered::Yes)).await;
            nmcli("connection down Dock");
            rig.until("it is down", |rig| rig.connections().is_empty()).await;
            assert!(rig.degraded.is_empty(), "{:?}", rig.degraded);
        });
        drop((manager, bus));
    });
}

#[test]
fn one_that_is_killed_and_comes_back_moves_nobody() {
    host_with(PROGRAMS, "network_manager::one_that_is_killed_and_comes_back_moves_nobody", || {
        other_machine();
        plug_cable("v0");
        let bus = PrivateBus::start();
        let mut manager = Manager::start();
        add_dock();
        nmcli("connection up Dock");
        block_on(async {
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the connection", |rig| rig.connections() == ["Dock"]).await;
            let before = rig.networks;
            manager.go();
            rig.listen(Duration::from_millis(500)).await;
            manager.come();
            eventually("it has taken it up again", || {
                nmcli("-t -f NAME connection show --active").lines().any(|name| name == "Dock").then_some(())
            });
            rig.listen(Duration::from_secs(3)).await;
            assert_eq!(rig.connections(), ["Dock"]);
            assert_eq!(rig.networks, before, "what it said was held meanwhile");
            assert!(rig.degraded.is_empty(), "{:?}", rig.degraded);

            manager.go();
            rig.until("it stays away", |rig| rig.degraded.contains_key("NetworkManager")).await;
            assert_eq!(rig.connections(), <[&str; 0]>::default(), "nobody knows");
            assert_eq!(metered(&rig), Some(Metered::Unknown));
            assert_eq!(rig.network.as_ref().unwrap().connectivity, Connectivity::Unknown);
            rig.configuration.send_replace(configuration(CONTENT));
            rig.until("nobody asked for it", |rig| rig.degraded.is_empty()).await;
            rig.configuration.send_replace(configuration(CURIOUS));
            manager.come();
            rig.until("it is back", |rig| rig.degraded.is_empty() && rig.connections() == ["Dock"]).await;
        });
        drop(bus);
    });
}

#[test]
fn one_that_hangs_is_told_and_holds_nothing_up() {
    host_with(PROGRAMS, "network_manager::one_that_hangs_is_told_and_holds_nothing_up", || {
        other_machine();
        plug_cable("v0");
        let bus = PrivateBus::start();
        let manager = Manager::start();
        add_dock();
        nmcli("connection up Dock");
        block_on(async {
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the connection", |rig| rig.connections() == ["Dock"]).await;
            manager.signal("STOP");
            // What the kernel knows is told meanwhile.
            sh("ip addr add 198.51.100.1/24 dev v0");
            let added = |rig: &Rig| rig.network.as_ref().unwrap().links["v0"].addresses.len() == 2;
            rig.until("an address", added).await;
            let mut late = Rig::start(CURIOUS, Path::new(NOWHERE));
            late.until("a first sight all the same", |rig| rig.network.is_some()).await;
            late.until("what is wrong", |rig| rig.degraded.contains_key("NetworkManager")).await;
            let told = &late.degraded["NetworkManager"];
            assert!(told.starts_with("NetworkManager does not answer: "), "{told}");
            manager.signal("CONT");
            late.again.try_send(()).unwrap();
            nmcli("connection down Dock");
            nmcli("connection up Dock");
            late.until("it answers", |rig| rig.degraded.is_empty() && rig.connections() == ["Dock"]).await;
        });
        drop(bus);
    });
}

#[test]
fn a_bus_that_is_restarted_is_found_again() {
    host_with(PROGRAMS, "network_manager::a_bus_that_is_restarted_is_found_again", || {
        other_machine();
        plug_cable("v0");
        let mut bus = PrivateBus::start();
        let mut manager = Manager::start();
        add_dock();
        nmcli("connection up Dock");
        block_on(async {
            let mut rig = Rig::start(CURIOUS, Path::new(NOWHERE));
            rig.until("the connection", |rig| rig.connections() == ["Dock"]).await;
            bus.go();
            bus.come();
            manager.go();
            manager.come();
            nmcli("connection modify Dock connection.id Harbour");
            nmcli("connection up Harbour");
            rig.until("what came later", |rig| rig.connections() == ["Harbour"]).await;
            assert!(rig.lives() && rig.degraded.is_empty(), "{:?}", rig.degraded);

            bus.signal("STOP");
            sh("ip addr add 198.51.100.1/24 dev v0");
            let added = |rig: &Rig| rig.network.as_ref().unwrap().links["v0"].addresses.len() == 2;
            rig.until("the kernel is heard while the bus stands still", added).await;
            bus.signal("CONT");
            nmcli("connection down Harbour");
            rig.until("the bus is heard again", |rig| rig.connections().is_empty()).await;
        });
    });
}
