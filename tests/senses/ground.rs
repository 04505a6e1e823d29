//! What the scenarios stand on: an event loop, and a network to join.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::mini::{eventually, host, sh};
use nbkp::daemon::inlets::senses::{self, SenseInputs};
use nbkp::daemon::messages::sensed::{Activity, Sensed, Sleep};
use nbkp::formats::config::{Context, parse_bytes};
use nbkp::model::{Configuration, NetworkSight, PowerSight};
use nbkp::os::bus::Bus;

/// Runs this to its end on a loop like the daemon's. What hangs fails.
pub fn block_on<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_mins(1), what).await.unwrap() })
}

/// Runs a scenario on a mini host (see `mini`) that has these programs.
pub fn host_with(programs: &[&str], test: &str, scenario: impl FnOnce()) {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/lib/systemd", "/usr/libexec"];
    let missing =
        programs.iter().find(|program| !folders.iter().any(|folder| Path::new(folder).join(program).exists()));
    let Some(program) = missing else { return host(test, scenario) };
    let why = format!("{test} did not run: it needs `{program}`");
    assert!(!crate::required::all_must_run(), "{why}");
    println!("{why}");
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
            "<busconfig><type>system</type><listen>{BUS}</listen><auth>EXTERNAL</auth>\
             <servicedir>/run/services</servicedir>\
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

/// The senses at work.
pub struct Rig {
    sensed: mpsc::Receiver<Sensed>,
    pub again: mpsc::Sender<()>,
    pub configuration: watch::Sender<Arc<Configuration>>,
    pub activity: watch::Sender<Activity>,
    /// What was told last, of each kind.
    pub network: Option<NetworkSight>,
    pub power: Option<PowerSight>,
    pub degraded: BTreeMap<&'static str, String>,
    /// How many networks were told.
    pub networks: usize,
    pub routes_changed: usize,
    pub sleeps: VecDeque<Sleep>,
    task: JoinHandle<()>,
}

/// A configuration that asks for all that can be sensed.
pub const CURIOUS: &str = r#"
    [locations.home]
    ssids = ["Lighthouse"]
    connections = ["Dock"]
    gateways = ["52:54:00:00:00:02"]
    [ssh-endpoints.nas]
    host = "192.0.2.9"
    [volumes.laptop]
    path = "/home/a"
    [volumes.nas]
    ssh = ["nas"]
    path = "/srv/backups"
    [syncs.documents]
    source = "laptop"
    destination = "nas:documents"
    when = { battery = "30%" }
"#;

/// A configuration that asks for nothing.
pub const CONTENT: &str = "";

pub fn configuration(text: &str) -> Arc<Configuration> {
    let context = Context { file: "/etc/nbkp/config.toml".into(), home: "/home/a".into() };
    Arc::new(parse_bytes(text.as_bytes(), &context).unwrap_or_else(|mistakes| panic!("{}", mistakes.summary())))
}

impl Rig {
    pub fn start(text: &str, supplies: &Path) -> Self {
        let (configuration, in_force) = watch::channel(configuration(text));
        let (activity, under_way) = watch::channel(Activity::Rest);
        let (again, orders) = mpsc::channel(1);
        let (to_dispatcher, sensed) = mpsc::channel(4);
        let surroundings = SenseInputs {
            bus: Bus::At(BUS.into()),
            supplies: supplies.to_owned(),
            configuration: in_force,
            activity: under_way,
            again: orders,
        };
        let task = tokio::spawn(senses::listen(surroundings, to_dispatcher));
        let (network, power, degraded, sleeps) = Default::default();
        Self {
            sensed,
            again,
            configuration,
            activity,
            network,
            power,
            degraded,
            networks: 0,
            routes_changed: 0,
            sleeps,
            task,
        }
    }

    /// Takes what is sensed until this is so.
    pub async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let taken = tokio::time::timeout(Duration::from_secs(25), async {
            while !so(self) {
                let sensed = self.sensed.recv().await.unwrap();
                self.take(sensed);
            }
        });
        let so = taken.await.is_ok();
        assert!(so, "not within 25 s: {what}; {:?} {:?} {:?}", self.network, self.power, self.degraded);
    }

    /// Takes what is sensed for this long.
    pub async fn listen(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, async {
            while let Some(sensed) = self.sensed.recv().await {
                self.take(sensed);
            }
        })
        .await;
    }

    /// Whatever is told now is too much.
    pub async fn hear_nothing(&mut self) {
        let told = self.sensed.recv().await;
        panic!("{told:?}");
    }

    fn take(&mut self, sensed: Sensed) {
        match sensed {
            Sensed::Network(network, _) => {
                self.networks += 1;
                self.network = Some(network);
            }
            Sensed::RoutesChanged(_) => self.routes_changed += 1,
            Sensed::Power(power) => self.power = Some(power),
            Sensed::Sleep(sleep) => self.sleeps.push_back(sleep),
            Sensed::Degraded(name, Some(sentence)) => {
                assert_ne!(self.degraded.insert(name, sentence.clone()), Some(sentence), "it was told already");
            }
            Sensed::Degraded(name, None) => assert!(self.degraded.remove(name).is_some(), "{name} was all right"),
        }
    }

    /// The names of the active connections.
    pub fn connections(&self) -> Vec<&str> {
        let network = self.network.as_ref();
        network.into_iter().flat_map(|network| &network.connections).map(|active| active.name.as_str()).collect()
    }

    /// The senses are still at work.
    pub fn lives(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}
