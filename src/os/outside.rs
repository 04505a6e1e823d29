//! Programs of the user in a unit of their own. A service manager that took rights away from the daemon took them away
//! from all that the daemon starts, too: under its shipped units no `sudo`, no `ping`, and no program that maps code
//! works. So such a program is started by the service manager itself, beside the daemon and free of its limits
//! (`org.freedesktop.systemd1(5)`, as `systemd-run` does it). Who cannot reach one starts it as a child, and says so.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use futures_util::StreamExt;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;
use zbus::{Connection, Fd, MessageStream, OwnedObjectPath, OwnedVariant, Variant};

use super::causes::chain;
use super::environment;
use super::programs;

/// How long the service manager may take to answer.
const CALL: Duration = Duration::from_secs(10);
/// How often it is asked although it says nothing.
const LOOK: Duration = Duration::from_secs(5);

const MANAGER: (&str, &str, &str) =
    ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// A program that runs in a unit of its own.
#[derive(Debug)]
pub(super) struct Unit {
    /// Ends when the program does.
    pub(super) alive: OwnedFd,
    pub(super) output: Option<OwnedFd>,
    pub(super) errors: Option<OwnedFd>,
    orders: mpsc::Sender<i32>,
    ended: Receiver<Result<UnitEnd, String>>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitEnd {
    Code(i32),
    Signal(i32),
}

impl Unit {
    /// Sends a signal to all its processes. It never waits: what does not fit was said often enough.
    pub(super) fn signal(&self, signal: i32) {
        let _full = self.orders.try_send(signal);
    }

    /// How it ended; whoever asks before it has waits.
    pub(super) fn end(&self) -> Result<UnitEnd, String> {
        self.ended.recv().unwrap_or_else(|_| Err("nobody knows".into()))
    }
}

/// Why no program can be started outside of our limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutsideError {
    /// There is nothing to be outside of: nobody took rights away from us.
    Unlimited,
    /// The service manager cannot be reached, or does not do it, with the reason as a fragment that fits after "could
    /// not".
    Refused(String),
}

/// Starts a program in a unit of its own, if rights were taken away from us and the service manager lets us.
pub(super) fn start(
    program: &Path,
    arguments: &[OsString],
    environment: &[(String, OsString)],
) -> Result<Unit, OutsideError> {
    if !is_limited() {
        return Err(OutsideError::Unlimited);
    }
    let mut variables = vec![("PATH".to_owned(), programs::search_path())];
    variables.extend(programs::account_environment());
    variables.extend(environment.iter().cloned());
    let words = Words::new(program, arguments, &variables);
    let words = words.ok_or_else(|| OutsideError::Refused("say it to the service manager: it is no text".into()))?;
    start_there(words).map_err(OutsideError::Refused)
}

/// Whether programs of the user run free of our limits: one that does nothing is started.
pub fn try_one() -> Result<(), OutsideError> {
    let program = programs::find_program("true").ok_or_else(|| OutsideError::Refused("find `true`".into()))?;
    match start(&program, &[], &[])?.end() {
        Ok(UnitEnd::Code(0)) => Ok(()),
        Ok(UnitEnd::Code(number) | UnitEnd::Signal(number)) => {
            Err(OutsideError::Refused(format!("run `true` in a unit of its own: it ended with {number}")))
        }
        Err(why) => Err(OutsideError::Refused(why)),
    }
}

/// Whether rights were taken away from this process which the first process of the machine still has.
fn is_limited() -> bool {
    // The first thread's: those of runs confine themselves.
    let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
    // What hides other processes from us is one of those limits; then the first one is taken to have none.
    let first = fs::read_to_string("/proc/1/status").unwrap_or_default();
    is_more_limited(&own, &first)
}

fn is_more_limited(own: &str, first: &str) -> bool {
    let field = |status: &str, name: &str| {
        status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    };
    let sets = |name: &str| {
        let is_set = |status| field(status, name).is_some_and(|value| value != "0");
        is_set(own) && !is_set(first)
    };
    let bounds = |status: &str| field(status, "CapBnd").and_then(|hex| u64::from_str_radix(&hex, 16).ok());
    let lacks = match (bounds(own), bounds(first)) {
        (Some(own), Some(first)) => first & !own != 0,
        (Some(_) | None, _) => false,
    };
    sets("NoNewPrivs") || sets("Seccomp") || lacks
}

fn start_there(words: Words) -> Result<Unit, String> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|cause| format!("make a pipe: {cause}"));
    let ((alive, life), (output, said), (errors, complaints)) = (pipe()?, pipe()?, pipe()?);
    let (orders, ordered) = mpsc::channel(4);
    let (tell_begun, begun) = sync_channel(1);
    let (tell_end, ended) = sync_channel(1);
    let caller = std::thread::Builder::new().name("unit".into()).spawn(move || {
        // Dropped with all that it is given: whoever waits for its end looks up then.
        let _life = life;
        let started = Manager::reach().and_then(|manager| manager.start(&words, said, complaints));
        match started {
            Err(why) => drop(tell_begun.send(Err(why))),
            Ok(started) => {
                drop(tell_begun.send(Ok(())));
                drop(tell_end.send(started.last(ordered)));
            }
        }
    });
    caller.map_err(|cause| format!("start a thread: {cause}"))?;
    begun.recv().unwrap_or_else(|_| Err("start a thread".into()))?;
    Ok(Unit { alive, output: Some(output), errors: Some(errors), orders, ended })
}

/// The order in the words of the service manager.
struct Words {
    name: String,
    program: String,
    arguments: Vec<String>,
    environment: Vec<String>,
}

impl Words {
    /// `None` if something of it is no text.
    fn new(program: &Path, arguments: &[OsString], environment: &[(String, OsString)]) -> Option<Self> {
        let program = program.to_str()?.to_owned();
        let arguments = arguments.iter().map(|word| word.to_str()).collect::<Option<Vec<_>>>()?;
        let variable = |(name, value): &(String, OsString)| Some(format!("{name}={}", value.to_str()?));
        Some(Self {
            name: format!("nbkp-{:08x}{:08x}.service", fastrand::u32(..), fastrand::u32(..)),
            // It puts the values of variables in, as a shell would, and takes two of these for one that means itself.
            arguments: [program.as_str()].into_iter().chain(arguments).map(|word| word.replace('$', "$$")).collect(),
            program,
            environment: environment.iter().map(variable).collect::<Option<_>>()?,
        })
    }
}

/// The service manager: that of the machine for root, and else that of the user.
struct Manager {
    runtime: Runtime,
    connection: Connection,
}

/// A unit that was started, as its manager knows it.
struct Started {
    manager: Manager,
    name: String,
    path: OwnedObjectPath,
    changes: MessageStream,
}

impl Manager {
    fn reach() -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let bus = if environment::is_root() { super::bus::Bus::System } else { super::bus::Bus::Session };
        let connection = runtime.block_on(bus.connect(CALL)).map_err(|error| chain(&error))?;
        Ok(Self { runtime, connection })
    }

    async fn call<B, R>(&self, path: &str, (interface, method): (&str, &str), body: &B) -> Result<R, String>
    where
        B: zbus::export::serde::Serialize + zbus::DynamicType,
        R: for<'d> zbus::wire::DynamicDeserialize<'d>,
    {
        let asked = self.connection.call_method(Some(MANAGER.0), path, Some(interface), method, body).await;
        let reply = asked.map_err(|error| format!("ask the service manager: {}", chain(&error)))?;
        reply.body().deserialize().map_err(|error| format!("understand the service manager: {}", chain(&error)))
    }

    fn start(self, words: &Words, output: OwnedFd, errors: OwnedFd) -> Result<Started, String> {
        let Words { name, program, arguments, environment } = words;
        let command = vec![(program.as_str(), arguments.clone(), false)];
        let properties: Vec<(&str, Variant<'_>)> = vec![
            ("Description", Variant::from("A program that Nomad Backup starts for its user")),
            ("Type", Variant::from("exec")),
            ("ExecStart", Variant::from(command)),
            ("Environment", Variant::from(environment.clone())),
            ("StandardOutputFileDescriptor", Variant::from(Fd::from(output))),
            ("StandardErrorFileDescriptor", Variant::from(Fd::from(errors))),
            // As in our own unit: what it writes is for its user.
            ("UMask", Variant::from(0o077_u32)),
            // What it leaves behind is nobody's business.
            ("KillMode", Variant::from("process")),
            ("CollectMode", Variant::from("inactive-or-failed")),
            // It is not forgotten before we have seen how it ended.
            ("AddRef", Variant::from(true)),
        ];
        let none: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
        let begun = self.runtime.block_on(async {
            let manager = |method| (MANAGER.2, method);
            // Without a listener it does not tell of changes; that it has one already is no mistake.
            let _listening: Result<(), String> = self.call(MANAGER.1, manager("Subscribe"), &()).await;
            let order = (name.as_str(), "fail", properties, none);
            let _job: OwnedObjectPath = self.call(MANAGER.1, manager("StartTransientUnit"), &order).await?;
            let path: OwnedObjectPath = self.call(MANAGER.1, manager("GetUnit"), &(name.as_str(),)).await?;
            let rule = format!(
                "type='signal',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',path='{path}'"
            );
            let changes = MessageStream::for_match_rule(rule.as_str(), &self.connection, None).await;
            Ok::<_, String>((path, changes.map_err(|error| chain(&error))?))
        });
        begun.map(|(path, changes)| Started { manager: self, name: name.clone(), path, changes })
    }
}

impl Started {
    /// Until it has ended.
    fn last(self, mut orders: mpsc::Receiver<i32>) -> Result<UnitEnd, String> {
        let Self { manager, name, path, mut changes } = self;
        manager.runtime.block_on(async {
            let property = async |interface: &str, property: &str| -> Result<OwnedVariant, String> {
                let asked = (interface, property);
                manager.call(&path, ("org.freedesktop.DBus.Properties", "Get"), &asked).await
            };
            loop {
                let state = String::try_from(property(UNIT, "ActiveState").await?).unwrap_or_default();
                if matches!(state.as_str(), "inactive" | "failed") {
                    break;
                }
                tokio::select! {
                    // What it says only tells to look; that it says nothing more shows in the next look.
                    _ = timeout(LOOK, changes.next()) => {}
                    Some(signal) = orders.recv() => {
                        let order = (name.as_str(), "all", signal);
                        // It may just have ended.
                        let _gone: Result<(), String> = manager.call(MANAGER.1, (MANAGER.2, "KillUnit"), &order).await;
                    }
                }
            }
            let number = |value: OwnedVariant| i32::try_from(value).map_err(|error| error.to_string());
            let status = number(property(SERVICE, "ExecMainStatus").await?)?;
            match number(property(SERVICE, "ExecMainCode").await?)? {
                CLD_EXITED => Ok(UnitEnd::Code(status)),
                CLD_KILLED | CLD_DUMPED => Ok(UnitEnd::Signal(status)),
                _ => Err("the service manager could not start it".into()),
            }
        })
    }
}

/// What `waitid(2)` tells of an end.
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_that_the_first_process_does_not_have() {
        let status = |privileges: u8, filter: u8, bounds: &str| {
            format!("Name:\tx\nCapBnd:\t{bounds}\nNoNewPrivs:\t{privileges}\nSeccomp:\t{filter}\n")
        };
        let (free, all) = (status(0, 0, "000001ffffffffff"), "000001ffffffffff");
        assert!(!is_more_limited(&free, &free));
        assert!(is_more_limited(&status(1, 0, all), &free));
        assert!(is_more_limited(&status(0, 2, all), &free));
        assert!(is_more_limited(&status(0, 0, "000000008820001f"), &free));
        // A container lays the same limits on all.
        let container = status(0, 2, "00000000a80425fb");
        assert!(!is_more_limited(&container, &container));
        // Who is hidden is taken to have none.
        assert!(is_more_limited(&status(1, 2, all), "") && !is_more_limited(&free, ""));
    }

    #[test]
    fn words_mean_themselves() {
        let arguments = ["-c".into(), "echo $HOME $$".into()];
        let words = Words::new(Path::new("/bin/sh"), &arguments, &[("A".to_owned(), "b c".into())]).unwrap();
        assert_eq!((words.program.as_str(), words.environment), ("/bin/sh", vec!["A=b c".to_owned()]));
        assert_eq!(words.arguments, ["/bin/sh", "-c", "echo $$HOME $$$$"]);
    }
}
