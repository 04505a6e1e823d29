//! A real gnome-keyring on the session bus of a mini host.

use std::io::Write;
use std::process::{Command, Stdio};

use super::bus::{Neighbour, until};

/// Starts it, with a keyring that this password opens, on the bus at this path.
#[expect(clippy::disallowed_methods, reason = "the tests start real neighbours")]
pub fn keyring(password: &str, bus: &str) -> Neighbour {
    std::fs::create_dir_all("/run/home").unwrap();
    let address = format!("unix:path={bus}");
    let variables = [
        ("HOME", "/run/home"),
        ("XDG_DATA_HOME", "/run/home/data"),
        ("XDG_RUNTIME_DIR", "/run/home"),
        ("DBUS_SESSION_BUS_ADDRESS", &address),
    ];
    let mut command = Command::new("/usr/bin/gnome-keyring-daemon");
    command.args(["--foreground", "--components=secrets", "--unlock"]).envs(variables);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let arguments = ["call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner", "s"];
    until("the keyring is there", || {
        let mut asking = Command::new("busctl");
        asking.arg(format!("--address={address}")).args(arguments).arg("org.freedesktop.secrets");
        asking.output().unwrap().stdout == b"b true\n"
    });
    Neighbour(child)
}
