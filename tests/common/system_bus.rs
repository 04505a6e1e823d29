//! The system bus of a machine, with a real NetworkManager on it, and with somebody who announces sleep.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;

use super::{attempt, run, until};

/// Where programs look for it.
const SOCKET: &str = "/run/dbus/system_bus_socket";

/// A system bus; it ends when it goes out of scope.
pub struct SystemBus {
    daemon: Child,
}

impl SystemBus {
    /// Starts it.
    pub fn start() -> Self {
        std::fs::create_dir_all("/run/dbus").unwrap();
        let text = format!(
            "<busconfig><type>system</type><listen>unix:path={SOCKET}</listen><auth>EXTERNAL</auth><policy \
             context=\"default\">\
             <allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\" eavesdrop=\"true\"/><allow \
             eavesdrop=\"true\"/>\
             <allow send_type=\"method_call\"/></policy></busconfig>"
        );
        std::fs::write("/run/dbus/bus.conf", text).unwrap();
        let bus = Self { daemon: launch() };
        Self::comes();
        bus
    }

    /// It is killed, and another takes its place.
    pub fn restart(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
        let _ = std::fs::remove_file(SOCKET);
        self.daemon = launch();
        Self::comes();
    }

    fn comes() {
        until("the system bus is there", || UnixStream::connect(SOCKET).is_ok());
    }
}

fn launch() -> Child {
    let mut command = Command::new("dbus-daemon");
    command.args(["--nofork", "--nopidfile", "--config-file=/run/dbus/bus.conf"]).stdin(Stdio::null());
    command.spawn().expect("dbus-daemon")
}

impl Drop for SystemBus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A real NetworkManager that takes care of one interface.
pub struct NetworkManager {
    program: Option<Child>,
    interface: String,
}

impl NetworkManager {
    /// Starts it.
    pub fn start(interface: &str) -> Self {
        std::fs::create_dir_all("/run/nm/connections").unwrap();
        let text = format!(
            "[main]\nplugins=keyfile\ndns=none\ndhcp=internal\nno-auto-default=*\n[keyfile]\npath=/run/nm/connections\n\
             [connectivity]\nenabled=false\n[logging]\nlevel=WARN\n[device]\nmatch-device=interface-name:{interface}\n\
             managed=1\n"
        );
        std::fs::write("/run/nm/nm.conf", text).unwrap();
        // What udev has not seen, NetworkManager leaves alone.
        run("udevadm", &[&"trigger", &"--subsystem-match=net"]);
        run("udevadm", &[&"settle"]);
        let mut manager = Self { program: None, interface: interface.into() };
        manager.come();
        manager
    }

    /// It starts (again).
    pub fn come(&mut self) {
        let mut program = Command::new("NetworkManager");
        program.args(["--no-daemon", "--config=/run/nm/nm.conf", "--config-dir=/run/nm/none"]);
        program.args(["--system-config-dir=/run/nm/none", "--intern-config=/run/nm/intern.conf"]);
        program.args(["--state-file=/run/nm/state", "--pid-file=/run/nm/pid"]).stdin(Stdio::null());
        self.program = Some(program.spawn().expect("NetworkManager"));
        until("NetworkManager answers", || attempt("nmcli", &[&"general", &"status"]).status.success());
        until("it takes care of the interface", || {
            attempt("nmcli", &[&"device", &"set", &self.interface, &"managed", &"yes"]).status.success()
        });
    }

    /// It is killed; the connections stay as they are.
    pub fn go(&mut self) {
        if let Some(mut program) = self.program.take() {
            program.kill().unwrap();
            program.wait().unwrap();
        }
    }

    /// Makes a connection of this name with this address.
    pub fn add(&self, name: &str, address: &str) {
        let how = ["connection", "add", "type", "ethernet", "autoconnect", "no", "ipv4.method", "manual"];
        let mut words: Vec<&dyn super::AsArgument> = super::arguments(&how);
        words.extend::<[&dyn super::AsArgument; 8]>([
            &"con-name",
            &name,
            &"ifname",
            &self.interface,
            &"ipv4.addresses",
            &address,
            &"ipv6.method",
            &"disabled",
        ]);
        run("nmcli", &words);
    }

    /// Brings a connection up.
    pub fn up(&self, name: &str) {
        run("nmcli", &[&"--wait", &"20", &"connection", &"up", &name, &"ifname", &self.interface]);
    }

    /// Takes the connection down.
    pub fn down(&self) {
        run("nmcli", &[&"--wait", &"20", &"device", &"disconnect", &self.interface]);
    }

    /// Says whether a connection that is up is metered.
    pub fn meter(&self, name: &str, metered: &str) {
        run("nmcli", &[&"connection", &"modify", &name, &"connection.metered", &metered]);
        run("nmcli", &[&"device", &"reapply", &self.interface]);
    }
}

impl Drop for NetworkManager {
    fn drop(&mut self) {
        self.go();
    }
}

/// Somebody in the place of logind who lets a machine say that it goes to sleep: one for tests cannot.
pub struct Login {
    locks: Receiver<UnixStream>,
    vigils: Receiver<UnixStream>,
    orders: mpsc::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Login {
    /// Takes its place on the system bus.
    pub fn start() -> Self {
        assert!(Path::new(SOCKET).exists(), "start the system bus first");
        let (taken, locks) = sync_channel(16);
        let (begun, vigils) = sync_channel(16);
        let (orders, ordered) = mpsc::channel(4);
        let (ready, is_ready) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(Manager { taken, begun, preparing: false }, ready, ordered));
        });
        is_ready.recv().unwrap();
        Self { locks, vigils, orders, thread: Some(thread) }
    }

    /// Waits until somebody holds sleep back, and gives what tells whether they still do.
    #[track_caller]
    pub fn lock(&self) -> Lock {
        Lock(self.locks.recv_timeout(super::PATIENCE).expect("somebody holds sleep back"))
    }

    /// Waits until somebody wants the machine not to be taken for idle, likewise.
    #[track_caller]
    pub fn vigil(&self) -> Lock {
        Lock(self.vigils.recv_timeout(super::PATIENCE).expect("somebody keeps the machine awake"))
    }

    /// Announces that the machine goes to sleep.
    pub fn announce_sleep(&self) {
        self.orders.blocking_send(true).unwrap();
    }

    /// Tells that it has woken.
    pub fn announce_waking(&self) {
        self.orders.blocking_send(false).unwrap();
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let (closed, _) = mpsc::channel(1);
        self.orders = closed;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A lock that holds sleep or idleness back.
pub struct Lock(UnixStream);

impl Lock {
    /// Whether it is held.
    pub fn is_held(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
        !fds[0].revents().contains(PollFlags::HUP)
    }
}

struct Manager {
    taken: SyncSender<UnixStream>,
    begun: SyncSender<UnixStream>,
    preparing: bool,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::OwnedFd {
        let (ours, theirs) = UnixStream::pair().unwrap();
        match (what, mode) {
            ("sleep", "delay") => self.taken.send(ours).unwrap(),
            ("idle", "block") => self.begun.send(ours).unwrap(),
            _ => panic!("{what} {mode}"),
        }
        assert!(!who.is_empty() && !why.is_empty(), "people are told who it is and why");
        zbus::OwnedFd::from(std::os::fd::OwnedFd::from(theirs))
    }

    #[zbus(property)]
    fn preparing_for_sleep(&self) -> bool {
        self.preparing
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &zbus::object_server::SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

async fn serve(manager: Manager, ready: SyncSender<()>, mut orders: mpsc::Receiver<bool>) {
    const PATH: &str = "/org/freedesktop/login1";
    let address = format!("unix:path={SOCKET}");
    let builder = zbus::connection::Builder::address(address.as_str());
    let builder = builder.serve_at(PATH, manager).name("org.freedesktop.login1");
    let connection = builder.build().await.unwrap();
    ready.send(()).unwrap();
    while let Some(start) = orders.recv().await {
        let manager = connection.object_server().interface::<_, Manager>(PATH).await.unwrap();
        manager.get_mut().await.preparing = start;
        Manager::prepare_for_sleep(manager.signal_emitter(), start).await.unwrap();
    }
}
