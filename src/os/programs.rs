//! Programs: where they are found, and what they inherit of the environment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{environment, guards};

/// Where programs are looked for if the environment does not tell.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program of this name in the `PATH`, or the path itself if it is absolute.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name)).filter(|path| is_executable(path));
    }
    let path = search_path();
    std::env::split_paths(&path)
        .filter(|place| place.is_absolute())
        .map(|place| place.join(name))
        .find(|path| is_executable(path))
}

/// A program of ours: the one that runs, its neighbour in the same directory, or the one in the `PATH`.
#[must_use]
pub fn own_program(name: &str) -> Option<PathBuf> {
    let running = std::env::current_exe().ok();
    if running.as_ref().is_some_and(|path| path.file_name() == Some(OsStr::new(name))) {
        // A new one may have been put in its place meanwhile, which would not know what we say: this is the one that
        // runs. Once it was deleted, or is called otherwise, this has another name, and the next rule holds.
        return Some("/proc/self/exe".into());
    }
    let beside = running.map(|path| path.with_file_name(name)).filter(|path| is_executable(path));
    beside.or_else(|| find_program(name))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Where we and our children look for programs: the `PATH`, without what is relative and what others may write to.
#[must_use]
pub(super) fn search_path() -> OsString {
    safe(&variable("PATH").unwrap_or_default())
}

/// Where nothing is left it is the usual one: an empty path would be the directory where one stands.
fn safe(path: &OsStr) -> OsString {
    let safe = std::env::split_paths(path).filter(|place| place.is_absolute() && !guards::is_open_to_users(place));
    // Each was split off at the separator, so that none holds it.
    let joined = std::env::join_paths(safe).unwrap_or_default();
    if joined.is_empty() { PATH.into() } else { joined }
}

/// The variables that say whose child it is.
#[must_use]
pub(super) fn account_environment() -> Vec<(String, OsString)> {
    inherited(&["HOME", "USER", "LOGNAME"])
}

/// The variables that a command of the user needs to reach the desktop.
#[must_use]
pub fn session_environment() -> Vec<(String, OsString)> {
    const RUNTIME: &str = "XDG_RUNTIME_DIR";
    let mut session = inherited(&[RUNTIME, "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "LANG", "SHELL"]);
    if session.iter().all(|(name, _)| name != RUNTIME) {
        let found = environment::found_runtime_directory();
        session.extend(found.map(|found| (RUNTIME.to_owned(), found.into())));
    }
    session
}

/// The variables that a program of the person's own desktop needs beside these.
#[must_use]
pub(super) fn desktop_environment() -> Vec<(String, OsString)> {
    inherited(&["XAUTHORITY", "XDG_CURRENT_DESKTOP", "DESKTOP_SESSION", "XDG_DATA_DIRS", "XDG_CONFIG_DIRS", "BROWSER"])
}

/// The variables that ssh needs: the agent of the user, no window that asks for a passphrase, and messages in no
/// language, here and at the other end.
#[must_use]
pub fn ssh_environment() -> Vec<(String, OsString)> {
    let agent = inherited(&["SSH_AUTH_SOCK"]);
    let fixed = [("SSH_ASKPASS_REQUIRE", "never"), ("LC_ALL", "C")];
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value.into())).chain(agent).collect()
}

/// The variables that say through whom the web is reached (curl(1)).
#[must_use]
pub fn proxy_environment() -> Vec<(String, OsString)> {
    inherited(&["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"])
}

fn inherited(names: &[&str]) -> Vec<(String, OsString)> {
    names.iter().filter_map(|name| variable(name).map(|value| ((*name).to_owned(), value))).collect()
}

#[expect(clippy::disallowed_methods, reason = "what children inherit of the environment is decided in this file")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_path() {
        assert!(find_program("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find_program("/bin/sh"), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find_program("no-such-program"), None);
        assert_eq!((safe(OsStr::new("")), safe(OsStr::new("bin:."))), (PATH.into(), PATH.into()));
        assert_eq!(safe(OsStr::new("bin:/usr/bin:")), "/usr/bin");
        assert!(search_path().to_str().is_some_and(|path| path.contains("/usr/bin")));
    }
}
