//! What the scenarios stand on: an event loop, and a network to join.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::Duration;

use crate::mini::{eventually, sh};

/// Runs this to its end on a loop like the daemon's. What hangs fails.
pub fn block_on<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_mins(1), what).await.unwrap() })
}

/// Waits for something that must come soon.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(20), future).await;
    waited.unwrap_or_else(|_| panic!("not within 20 s: {what}"))
}

/// Another machine: the namespace `peer`.
pub fn other_machine() {
    sh("mkdir -p /run/netns && ip netns add peer");
}

/// A cable to the other machine, with both ends up: ours is `name`, the other `far-NAME`.
pub fn plug_cable(name: &str) {
    sh(&format!("ip link add {name} type veth peer name far-{name} netns peer"));
    sh(&format!("ip netns exec peer ip link set far-{name} up && ip link set {name} up"));
}

/// A message bus of its own. Everybody may do everything on it.
pub struct PrivateBus {
    daemon: Option<Child>,
}

/// Where it is.
pub const BUS: &str = "unix:path=/run/bus";

impl PrivateBus {
    pub fn start() -> Self {
        let configuration = format!(
            "<busconfig><type>system</type><listen>{BUS}</listen><auth>EXTERNAL</auth><servicedir>/run/services</servicedir>\
             <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_type=\"method_call\"/>\
             <allow send_destination=\"*\" eavesdrop=\"false\"/><allow receive_sender=\"*\"/></policy></busconfig>"
        );
        std::fs::create_dir_all("/run/services").unwrap();
        std::fs::write("/run/bus.conf", configuration).unwrap();
        let mut bus = Self { daemon: None };
        bus.come();
        bus
    }

    /// It starts, and lets people in.
    pub fn come(&mut self) {
        let _ = std::fs::remove_file("/run/bus");
        let mut daemon = Command::new("dbus-daemon");
        daemon.args(["--config-file=/run/bus.conf", "--nofork", "--nopidfile"]);
        self.daemon = Some(daemon.spawn().unwrap());
        eventually("the bus", || UnixStream::connect("/run/bus").ok());
    }

    /// It is killed.
    pub fn go(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// It stands still (`STOP`), or goes on (`CONT`).
    pub fn signal(&self, signal: &str) {
        sh(&format!("kill -{signal} {}", self.daemon.as_ref().unwrap().id()));
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        self.go();
    }
}

/// A connection to the private bus, for a stand-in of ours.
pub async fn on_bus() -> zbus::Connection {
    zbus::connection::Builder::address(BUS).build().await.unwrap()
}
