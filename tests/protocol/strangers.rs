//! Clients that others wrote, and the built daemon: they go by the description of the interface, and by nothing else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nbkp::formats::wire::METHODS;

use super::rig::DEADLINE;

/// Python with the package `varlink`, where `tests/run.sh` puts it.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/python3");

/// A daemon with one sync that is prepared; it ends with its room.
struct Room {
    place: tempfile::TempDir,
    daemon: Child,
}

impl Room {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for directory in ["home/documents", "copies", "state"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        fs::set_permissions(at("state"), Permissions::from_mode(0o700)).unwrap();
        fs::write(at("home/documents/letter"), "text").unwrap();
        let text = format!(
            "[daemon]\nnotify = 'none'\n[volumes.laptop]\npath = '{}'\n[volumes.disk]\npath = '{}'\n\
             [syncs.documents]\nsource = 'laptop:documents'\ndestination = 'disk:documents'\n",
            at("home").display(),
            at("copies").display()
        );
        fs::write(at("config.toml"), text).unwrap();
        fs::set_permissions(at("config.toml"), Permissions::from_mode(0o600)).unwrap();
        let prepared = command(place.path(), env!("CARGO_BIN_EXE_nbkpctl")).args(["prepare", "documents"]).output();
        succeeds(&prepared.unwrap());
        let daemon = command(place.path(), env!("CARGO_BIN_EXE_nbkpd")).stderr(Stdio::null()).spawn().unwrap();
        let room = Self { place, daemon };
        let deadline = Instant::now() + DEADLINE;
        while !room.socket().exists() {
            assert!(Instant::now() < deadline, "the daemon does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        room
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("sock")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn command(root: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", root.join("home"))
        .stdin(Stdio::null());
    command.env("NBKP_SOCKET", root.join("sock")).env("NBKP_CONFIG", root.join("config.toml"));
    command.env("NBKP_STATE_DIR", root.join("state"));
    command
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Whether a test can begin; a test that must not be left out fails instead.
fn is_there(what: &str, probe: &mut Command) -> bool {
    let there = probe.output().is_ok_and(|output| output.status.success());
    assert!(there || !crate::required::all_must_run(), "it needs {what}");
    if !there {
        eprintln!("skipped: it needs {what}");
    }
    there
}

#[test]
fn the_client_of_python_calls_and_follows() {
    if !is_there(
        "the Python package `varlink`: `tests/run.sh` installs it",
        Command::new(PYTHON).args(["-c", "import varlink"]),
    ) {
        return;
    }
    let room = Room::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/protocol/strangers.py");
    succeeds(&command(room.place.path(), PYTHON).arg(script).arg(room.socket()).output().unwrap());
}

/// `varlinkctl` comes with systemd 255 and later; a machine with an older one cannot have it, whatever is demanded.
#[test]
fn varlinkctl_reads_the_description_and_calls() {
    let varlinkctl = || Command::new("varlinkctl");
    let version = Command::new("busctl").arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let number = version.split_whitespace().nth(1).and_then(|number| number.parse::<u32>().ok());
    if number.is_none_or(|number| number < 255) {
        eprintln!("skipped: varlinkctl comes with systemd 255 and later");
        return;
    }
    if !is_there("varlinkctl", varlinkctl().arg("--version")) {
        return;
    }
    let room = Room::new();
    let socket = room.socket();
    let described = succeeds(&varlinkctl().arg("introspect").arg(&socket).arg("org.nbkp.Daemon").output().unwrap());
    for method in METHODS.iter().filter(|method| method.interface == "org.nbkp.Daemon") {
        assert!(described.contains(&format!("method {}", method.name)), "{described}");
    }
    let call = |mode: &[&str], method: &str, parameters: &str| {
        let mut command = varlinkctl();
        succeeds(&command.arg("call").args(mode).arg(&socket).args([method, parameters]).output().unwrap())
    };
    assert!(call(&[], "org.nbkp.Daemon.Status", "{}").contains("documents"));
    let followed = call(&["--more"], "org.nbkp.Daemon.Run", "{\"syncs\":[\"documents\"],\"force\":true}");
    assert!(followed.contains("\"ok\""), "{followed}");
}
