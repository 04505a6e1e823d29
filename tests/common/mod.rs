//! The test ground: a machine of its own for each scenario, with real udev, real drives and real filesystems.

pub mod config;
pub mod daemon;
pub mod desktop;
pub mod drive;
pub mod folder;
pub mod harness;
pub mod journal;
pub mod mini_host;
pub mod required;
pub mod server;
pub mod service_manager;
pub mod system_bus;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a scenario waits for something that should happen soon; long, since a loaded machine is slow.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until there is an answer; fails, naming what was waited for, once patience ends.
#[track_caller]
pub fn eventually<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}

/// Watches that a condition holds for a while: for what must *not* happen. It cannot pass too late, only too early.
#[track_caller]
pub fn throughout(what: &str, length: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + length;
    while Instant::now() < end {
        assert!(condition(), "it did not hold that {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a program of the machine to its end; its output is shown if it fails.
#[track_caller]
pub fn run(program: &str, arguments: &[&dyn AsArgument]) -> String {
    let output = attempt(program, arguments);
    assert!(
        output.status.success(),
        "{program} {:?}: {}\n{}{}",
        arguments.iter().map(|a| a.text()).collect::<Vec<_>>(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs a program of the machine to its end, whatever it says.
#[track_caller]
pub fn attempt(program: &str, arguments: &[&dyn AsArgument]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|argument| argument.os())).stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// What may stand in an argument vector of [`run`].
pub trait AsArgument {
    /// The argument as the program gets it.
    fn os(&self) -> &std::ffi::OsStr;
    /// The argument as a person reads it.
    fn text(&self) -> String {
        self.os().to_string_lossy().into_owned()
    }
}

impl<T: AsRef<std::ffi::OsStr>> AsArgument for T {
    fn os(&self) -> &std::ffi::OsStr {
        self.as_ref()
    }
}

/// Words as arguments.
pub fn arguments<'a>(words: &'a [&'a str]) -> Vec<&'a dyn AsArgument> {
    let mut arguments: Vec<&dyn AsArgument> = Vec::with_capacity(words.len());
    for word in words {
        arguments.push(word);
    }
    arguments
}

/// A file as text; empty if there is none.
pub fn text_of(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
