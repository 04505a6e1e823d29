//! The real polkitd and udisksd on the system bus of a mini host.

use std::process::Command;

use super::bus::{Neighbour, until};

#[expect(clippy::disallowed_methods, reason = "the tests start real programs")]
fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Waits until somebody owns a name on the system bus.
pub fn owned(name: &str) {
    let call = "busctl --system --timeout=2 call org.freedesktop.DBus / org.freedesktop.DBus NameHasOwner s";
    until(name, || sh(&format!("{call} {name} || true")) == "b true");
}

/// The real polkitd, with these rules.
pub fn polkit(rules: &str) -> Neighbour {
    sh("mount -t tmpfs -o mode=755 tmpfs /etc/polkit-1/rules.d && mkdir -p /usr/share/polkit-1/rules.d");
    std::fs::write("/etc/polkit-1/rules.d/50-nbkp.rules", rules).unwrap();
    polkit_again()
}

/// Starts it again after it was killed.
pub fn polkit_again() -> Neighbour {
    let started = Neighbour::start("/usr/lib/polkit-1/polkitd", &["--no-debug"], &[]);
    owned("org.freedesktop.PolicyKit1");
    started
}

/// The real udisksd. Mounts go below `/media`, which is private, too.
pub fn udisks() -> Neighbour {
    sh("mount -t tmpfs tmpfs /media; mkdir -p /var/lib/udisks2; mount -t tmpfs -o mode=700 tmpfs /var/lib/udisks2");
    udisks_again()
}

/// Starts it again after it was killed.
pub fn udisks_again() -> Neighbour {
    let started = Neighbour::start("/usr/libexec/udisks2/udisksd", &["--no-debug"], &[]);
    owned("org.freedesktop.UDisks2");
    started
}
