//! The service manager: `sd_notify(3)`. Without one, every word goes nowhere, and that is fine.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with};
use sd_notify::NotifyState;

use super::environment;

/// Something to tell the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'a> {
    /// Start-up is complete.
    Ready,
    /// The configuration is read anew; `Ready` follows.
    Reloading,
    /// The daemon is ending.
    Stopping,
    /// What it does at the moment, as a sentence.
    Status(&'a str),
    /// It is alive.
    Alive,
}

/// Tells the service manager. It may have gone away or never have been there; backups do not depend on it.
pub fn notify(word: Word<'_>) {
    let states = match word {
        Word::Ready => vec![NotifyState::Ready],
        Word::Reloading => {
            let mut states = vec![NotifyState::Reloading];
            states.extend(NotifyState::monotonic_usec_now());
            states
        }
        Word::Stopping => vec![NotifyState::Stopping],
        Word::Status(sentence) => vec![NotifyState::Status(sentence)],
        Word::Alive => vec![NotifyState::Watchdog],
    };
    // The library takes the name of a socket without a file for that of a file.
    let _ = match environment::abstract_notify_socket() {
        Some(name) => notify_without_file(&name, &states),
        None => sd_notify::notify(&states),
    };
}

/// Tells a service manager whose socket has a name and no file: `NOTIFY_SOCKET=@…`.
fn notify_without_file(name: &[u8], states: &[NotifyState<'_>]) -> io::Result<()> {
    let mut words = String::new();
    for state in states {
        let _ = writeln!(words, "{state}");
    }
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sendto(&socket, words.as_bytes(), SendFlags::NOSIGNAL, &SocketAddrUnix::new_abstract_name(name)?)?;
    Ok(())
}

/// The number of this process, by which the service manager and people know it.
#[must_use]
pub fn process_id() -> u32 {
    std::process::id()
}

/// How often the service manager wants a sign of life: half of its `WATCHDOG_USEC`.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// What a person says to the service manager about the daemon of this user: `systemctl --user restart nbkpd`.
#[must_use]
pub fn command(verb: &str) -> String {
    let whose = if super::environment::is_root() { "" } else { "--user " };
    format!("systemctl {whose}{verb} nbkpd")
}

/// Whether a service manager of a user has started this process, as a service: by its control group
/// (`user@1000.service/app.slice/nbkpd.service`). What is started in a terminal is in one of another kind.
#[must_use]
pub fn is_of_a_user() -> bool {
    std::fs::read_to_string("/proc/self/cgroup").is_ok_and(|groups| groups.lines().any(is_user_service))
}

fn is_user_service(group: &str) -> bool {
    let unit = group.rsplit('/').next().unwrap_or_default();
    group.contains("/user@") && unit.ends_with(".service") && !unit.starts_with("user@")
}

#[cfg(test)]
mod tests {
    use rustix::net::{RecvFlags, bind, recv};

    use super::*;

    #[test]
    fn a_service_manager_without_a_file_is_told() {
        let name = format!("nbkp-test-{}", process_id());
        let ear = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
        bind(&ear, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
        notify_without_file(name.as_bytes(), &[NotifyState::Ready, NotifyState::Status("nothing to do")]).unwrap();
        let mut heard = [0; 256];
        let (_, length) = recv(&ear, &mut heard[..], RecvFlags::DONTWAIT).unwrap();
        assert_eq!(heard.get(..length), Some(&b"READY=1\nSTATUS=nothing to do\n"[..]));
        let nobody = notify_without_file(b"nbkp-test-nobody", &[NotifyState::Ready]);
        assert!(nobody.is_err(), "nobody listens there");
    }

    #[test]
    fn a_service_of_a_user_is_told_by_its_group() {
        let user = "0::/user.slice/user-1000.slice/user@1000.service";
        assert!(is_user_service(&format!("{user}/app.slice/nbkpd.service")));
        assert!(!is_user_service(&format!("{user}/app.slice/vte-spawn-1.scope")));
        assert!(!is_user_service("0::/user.slice/user-1000.slice/session-2.scope"));
        assert!(!is_user_service("0::/system.slice/nbkpd.service") && !is_user_service(user));
    }
}
