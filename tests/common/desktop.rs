//! A session bus of its own, and a desktop on it that shows notifications: what it is told, it remembers; what a person
//! would do with them, a scenario does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use zbus::OwnedVariant;

use super::{eventually, run, until};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// A session bus; it ends when it goes out of scope.
pub struct SessionBus {
    daemon: Child,
    address: String,
}

impl SessionBus {
    /// Starts one where programs look for it that run with this runtime directory.
    pub fn start(runtime: &Path) -> Self {
        let socket = runtime.join("bus");
        let config = runtime.join("bus.conf");
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy \
             context=\"default\">\
             <allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\" eavesdrop=\"true\"/><allow \
             eavesdrop=\"true\"/>\
             </policy></busconfig>",
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg(format!("--config-file={}", config.display())).stdin(Stdio::null());
        let daemon = command.spawn().expect("dbus-daemon");
        until("the session bus is there", || socket.exists());
        Self { daemon, address: format!("unix:path={}", socket.display()) }
    }

    /// How many programs are connected to it.
    pub fn guests(&self) -> usize {
        let address = format!("--address={}", self.address);
        let all = run("busctl", &[&address, &"list", &"--unique", &"--no-legend"]).lines().count();
        all - 1 // busctl itself
    }

    /// A desktop with these capabilities, whose first notification gets this number.
    pub fn desktop(&self, capabilities: &[&'static str], first: u32) -> Desktop {
        Desktop::open(&self.address, Manner::Polite(capabilities.to_vec()), first)
    }

    /// A desktop that never answers.
    pub fn silent_desktop(&self) -> Desktop {
        Desktop::open(&self.address, Manner::Silent, 1)
    }
}

impl Drop for SessionBus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A notification that the desktop was asked to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The number that it got.
    pub id: u32,
    /// The number that it takes the place of; 0 for none.
    pub replaces: u32,
    /// Its first line.
    pub summary: String,
    /// The rest.
    pub body: String,
    /// Its buttons: each a key and a word.
    pub buttons: Vec<String>,
    /// 0 to 2.
    pub urgency: u8,
    /// Whether it need not be kept.
    pub transient: bool,
    /// After how many milliseconds it goes; -1 for the desktop's own choice.
    pub expires: i32,
}

/// What the desktop was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// What it can do.
    Capabilities,
    /// To show this.
    Show(Shown),
    /// To take this away.
    Close(u32),
}

#[derive(Clone)]
enum Manner {
    Polite(Vec<&'static str>),
    Silent,
}

#[derive(Debug)]
enum Order {
    Emit(&'static str, u32, Argument),
    Leave,
}

#[derive(Debug)]
enum Argument {
    Key(&'static str),
    Reason(u32),
}

/// A desktop; it leaves the bus when it goes out of scope.
pub struct Desktop {
    calls: Receiver<Call>,
    heard: RefCell<Vec<Call>>,
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Desktop {
    fn open(address: &str, manner: Manner, first: u32) -> Self {
        let (told, calls) = sync_channel(10_000);
        let (orders, ordered) = mpsc::channel(16);
        let (ready, is_ready) = sync_channel(1);
        let address = address.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(&address, Service { manner, told, next: first }, ready, ordered));
        });
        is_ready.recv().expect("a desktop on the bus");
        Self { calls, heard: RefCell::default(), orders, thread: Some(thread) }
    }

    /// All that it was asked so far.
    pub fn heard(&self) -> Vec<Call> {
        self.heard.borrow_mut().extend(self.calls.try_iter());
        self.heard.borrow().clone()
    }

    /// All that it was asked to show so far.
    pub fn shown(&self) -> Vec<Shown> {
        let shown = |call: &Call| if let Call::Show(shown) = call { Some(shown.clone()) } else { None };
        self.heard().iter().filter_map(shown).collect()
    }

    /// Waits until it is asked to show something whose first line contains this.
    #[track_caller]
    pub fn shows(&self, words: &str) -> Shown {
        eventually(&format!("the desktop shows {words:?}"), || {
            self.shown().into_iter().rev().find(|shown| shown.summary.contains(words))
        })
    }

    /// Waits until it is asked to take this away.
    #[track_caller]
    pub fn closes(&self, id: u32) {
        until("the desktop takes a notification away", || self.heard().contains(&Call::Close(id)));
    }

    /// A person presses a button.
    pub fn press(&self, id: u32, key: &'static str) {
        self.order(Order::Emit("ActionInvoked", id, Argument::Key(key)));
    }

    /// A notification goes, with a button that was pressed or without.
    pub fn dismiss(&self, id: u32) {
        self.order(Order::Emit("NotificationClosed", id, Argument::Reason(2)));
    }

    fn order(&self, order: Order) {
        self.orders.blocking_send(order).expect("a desktop that listens");
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        let _ = self.orders.blocking_send(Order::Leave);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(address: &str, service: Service, ready: SyncSender<()>, mut orders: mpsc::Receiver<Order>) {
    let builder = zbus::connection::Builder::address(address).serve_at(PATH, service).name(NAME);
    let connection = builder.build().await.unwrap();
    ready.send(()).unwrap();
    while let Some(Order::Emit(signal, id, argument)) = orders.recv().await {
        let none = None::<&str>;
        match argument {
            Argument::Key(key) => connection.emit_signal(none, PATH, NAME, signal, &(id, key)).await.unwrap(),
            Argument::Reason(reason) => connection.emit_signal(none, PATH, NAME, signal, &(id, reason)).await.unwrap(),
        }
    }
}

struct Service {
    manner: Manner,
    told: SyncSender<Call>,
    next: u32,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Service {
    async fn get_capabilities(&self) -> Vec<String> {
        let _ = self.told.send(Call::Capabilities);
        match &self.manner {
            Manner::Polite(capabilities) => capabilities.iter().map(|name| (*name).to_owned()).collect(),
            Manner::Silent => std::future::pending().await,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the specification has them")]
    fn notify(
        &mut self,
        app_name: &str,
        replaces: u32,
        app_icon: &str,
        summary: String,
        body: String,
        buttons: Vec<String>,
        mut hints: HashMap<String, OwnedVariant>,
        expires: i32,
    ) -> u32 {
        assert!(!app_name.is_empty() && !app_icon.is_empty());
        let id = if replaces == 0 { self.next } else { replaces };
        self.next += u32::from(replaces == 0);
        let urgency = hints.remove("urgency").and_then(|hint| u8::try_from(hint).ok()).expect("an urgency");
        let transient = hints.remove("transient").is_some_and(|hint| bool::try_from(hint) == Ok(true));
        let shown = Shown { id, replaces, summary, body, buttons, urgency, transient, expires };
        let _ = self.told.send(Call::Show(shown));
        id
    }

    fn close_notification(&self, id: u32) {
        let _ = self.told.send(Call::Close(id));
    }
}
