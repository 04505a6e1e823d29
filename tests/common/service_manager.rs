//! Somebody in the place of systemd on the system bus, who starts programs in "units": one for tests is not PID 1. What
//! the real one does is played in `tests/vm`.
#![expect(clippy::disallowed_types, reason = "what a bus serves is shared by its objects")]

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use zbus::fdo::Error;
use zbus::{ObjectServer, OwnedObjectPath, OwnedVariant};

const SOCKET: &str = "unix:path=/run/dbus/system_bus_socket";
const PATH: &str = "/org/freedesktop/systemd1";

/// It, with the words of all that it was asked to start.
pub struct ServiceManager(Arc<Mutex<Vec<Vec<String>>>>);

impl ServiceManager {
    /// Takes its place, until the test ends.
    pub fn start() -> Self {
        let started = Arc::new(Mutex::new(Vec::new()));
        let manager = Manager { started: Arc::clone(&started), child: None, tells: false };
        let (ready, is_ready) = sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let builder = zbus::connection::Builder::address(SOCKET).serve_at(PATH, manager);
                let _connection = builder.name("org.freedesktop.systemd1").build().await.unwrap();
                ready.send(()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        is_ready.recv().unwrap();
        Self(started)
    }

    /// The words of all that it was asked to start.
    pub fn started(&self) -> Vec<Vec<String>> {
        self.0.lock().unwrap().clone()
    }
}

type Shared = Arc<Mutex<Child>>;
type Properties = Vec<(String, OwnedVariant)>;

struct Manager {
    started: Arc<Mutex<Vec<Vec<String>>>>,
    child: Option<Shared>,
    tells: bool,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    /// The real one tells of no change before.
    fn subscribe(&mut self) {
        self.tells = true;
    }

    async fn start_transient_unit(
        &mut self,
        name: String,
        mode: String,
        properties: Properties,
        others: Vec<(String, Properties)>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<OwnedObjectPath, Error> {
        assert!(name.ends_with(".service") && mode == "fail" && others.is_empty(), "{name} {mode}");
        assert!(self.tells, "nobody would hear of its end");
        let mut command = None;
        let (mut output, mut errors, mut variables) = (Stdio::null(), Stdio::null(), Vec::new());
        for (property, value) in properties {
            let pipe = |value: OwnedVariant| {
                let zbus::Variant::Fd(pipe) = &*value else { panic!("{value:?}") };
                Stdio::from(std::os::fd::AsFd::as_fd(pipe).try_clone_to_owned().unwrap())
            };
            match property.as_str() {
                "ExecStart" => {
                    let commands = Vec::<(String, Vec<String>, bool)>::try_from(value).unwrap();
                    command = commands.into_iter().next();
                }
                "Environment" => variables = Vec::<String>::try_from(value).unwrap(),
                "StandardOutputFileDescriptor" => output = pipe(value),
                "StandardErrorFileDescriptor" => errors = pipe(value),
                _ => {}
            }
        }
        let (program, words, _) = command.expect("ExecStart");
        // As systemd reads them: two of these are one.
        let words: Vec<String> = words.iter().map(|word| word.replace("$$", "$")).collect();
        let mut child = Command::new(&program);
        child.args(&words[1..]).env_clear().process_group(0).stdin(Stdio::null()).stdout(output).stderr(errors);
        child.envs(variables.iter().filter_map(|variable| variable.split_once('=')));
        let child = Arc::new(Mutex::new(child.spawn().map_err(|error| Error::Failed(error.to_string()))?));
        self.started.lock().unwrap().push(words);
        self.child = Some(Arc::clone(&child));
        let path = format!("{PATH}/unit/u{}", self.started.lock().unwrap().len());
        server.at(path.as_str(), Unit(Arc::clone(&child))).await?;
        server.at(path.as_str(), Service(child)).await?;
        Ok(OwnedObjectPath::try_from(format!("{PATH}/job/1")).unwrap())
    }

    fn get_unit(&self, name: &str) -> OwnedObjectPath {
        assert!(name.starts_with("nbkp-"), "{name}");
        let count = self.started.lock().unwrap().len();
        OwnedObjectPath::try_from(format!("{PATH}/unit/u{count}")).unwrap()
    }

    fn kill_unit(&self, name: &str, whom: &str, signal: i32) {
        assert!(name.starts_with("nbkp-") && whom == "all", "{name} {whom}");
        let child = rustix::process::Pid::from_child(&self.child.as_ref().unwrap().lock().unwrap());
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        let _ = rustix::process::kill_process_group(child, signal);
    }
}

struct Unit(Shared);

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property(emits_changed_signal = "false"))]
    fn active_state(&self) -> &str {
        if self.0.lock().unwrap().try_wait().unwrap().is_some() { "inactive" } else { "active" }
    }
}

struct Service(Shared);

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property(emits_changed_signal = "false"))]
    fn exec_main_code(&self) -> i32 {
        let ended = self.0.lock().unwrap().try_wait().unwrap().unwrap();
        if ended.code().is_some() { 1 } else { 2 }
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn exec_main_status(&self) -> i32 {
        let ended = self.0.lock().unwrap().try_wait().unwrap().unwrap();
        ended.code().or(ended.signal()).unwrap()
    }
}
