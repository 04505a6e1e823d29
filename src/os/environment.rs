//! The environment: paths and variables that name them. Nothing else reads the environment.
#![expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::model::CredentialName;

/// Paths that were given on the command line.
#[derive(Debug, Clone, Default)]
pub struct PathOptions {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The configuration file.
    pub config: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// The home directory, for `~`.
    pub home: PathBuf,
}

impl Paths {
    /// The same with a configuration file and a state directory that are known by their whole paths: others read them
    /// elsewhere. The socket stays as it is named, since its path may only be so long (`sun_path`).
    pub fn rooted(self) -> Result<Self, EnvironmentError> {
        Ok(Self { config: absolute(&self.config)?, state_dir: absolute(&self.state_dir)?, ..self })
    }

    /// Where sockets and other things lie that do not outlive the daemon: beside the control socket.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.socket.parent().map_or_else(|| "/".into(), PathBuf::from)
    }
}

/// Why a path is not known.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// `HOME` is not set.
    #[error("find your home directory: HOME is not set; set it, or name the file with {0}")]
    NoHome(&'static str),
    /// `XDG_RUNTIME_DIR` is not set, and the usual place is not there.
    #[error(
        "find the runtime directory: XDG_RUNTIME_DIR is not set, and {} is not there; log in through systemd, or use \
         --socket", usual_runtime_directory().display()
    )]
    NoRuntimeDirectory,
    /// The directory in which the command was called is gone.
    #[error("find where {} is: change to a directory that is there, or write the whole path", .0.display())]
    NoCurrentDirectory(PathBuf, #[source] std::io::Error),
}

/// Where everything is: flags first, then `NBKP_…` variables, then the places of the XDG base directories, or those of
/// the system for root.
pub fn paths(options: &PathOptions) -> Result<Paths, EnvironmentError> {
    let owner = if is_root() { Owner::System } else { Owner::User };
    resolve(options, owner, variable, found_runtime_directory)
}

/// Whether these are the paths of a daemon that is told of no others, as the service manager starts it.
#[must_use]
pub fn are_usual(paths: &Paths) -> bool {
    let owner = if is_root() { Owner::System } else { Owner::User };
    let unnamed = |name: &str| variable(name).filter(|_| !name.starts_with("NBKP_"));
    resolve(&PathOptions::default(), owner, unnamed, found_runtime_directory).is_ok_and(|usual| usual == *paths)
}

/// The options that make a program take these paths, where it would not by itself, wherever it is called. A path that
/// is empty is not known.
#[must_use]
pub fn options_for(wanted: &Paths) -> Vec<OsString> {
    let unsaid = paths(&PathOptions::default()).ok();
    let mut options: Vec<OsString> = Vec::new();
    let mut say = |option: &str, path: &Path, unsaid: Option<&Path>| {
        if unsaid != Some(path) && !path.as_os_str().is_empty() {
            options.extend([option.into(), absolute(path).unwrap_or_else(|_| path.to_owned()).into()]);
        }
    };
    say("--config", &wanted.config, unsaid.as_ref().map(|paths| paths.config.as_path()));
    say("--socket", &wanted.socket, unsaid.as_ref().map(|paths| paths.socket.as_path()));
    say("--state-dir", &wanted.state_dir, unsaid.as_ref().map(|paths| paths.state_dir.as_path()));
    options
}

/// Where units of the service manager lie that are ours to write: those of this user, or those of the machine for root.
pub fn unit_directory() -> Result<PathBuf, EnvironmentError> {
    if is_root() {
        return Ok("/etc/systemd/system".into());
    }
    let base = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")));
    base.map(|base| base.join("systemd/user")).ok_or(EnvironmentError::NoHome("--config"))
}

/// Where systemd makes the runtime directory of this user.
fn usual_runtime_directory() -> PathBuf {
    PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()))
}

/// The runtime directory that is there though nothing names it: `su`, cron and a bare ssh set no variable.
pub(super) fn found_runtime_directory() -> Option<PathBuf> {
    let usual = usual_runtime_directory();
    let found = std::fs::symlink_metadata(&usual).ok()?;
    (found.is_dir() && found.uid() == rustix::process::geteuid().as_raw()).then_some(usual)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    System,
    User,
}

fn resolve(
    options: &PathOptions,
    owner: Owner,
    variable: impl Fn(&str) -> Option<OsString>,
    found_runtime: impl Fn() -> Option<PathBuf>,
) -> Result<Paths, EnvironmentError> {
    let named = |name: &str| variable(name).map(PathBuf::from);
    // The XDG specification has relative paths ignored.
    let base = |name: &str| named(name).filter(|path| path.is_absolute());
    let home = named("HOME").or_else(|| (owner == Owner::System).then(|| "/root".into()));
    let below_home = |name: &str, default: &str, flag: &'static str| {
        base(name).or_else(|| home.as_ref().map(|home| home.join(default))).ok_or(EnvironmentError::NoHome(flag))
    };
    let config = match (options.config.clone().or_else(|| named("NBKP_CONFIG")), owner) {
        (Some(config), _) => config,
        (None, Owner::System) => "/etc/nbkp/config.toml".into(),
        (None, Owner::User) => below_home("XDG_CONFIG_HOME", ".config", "--config")?.join("nbkp/config.toml"),
    };
    let state_dir = match (options.state_dir.clone().or_else(|| named("NBKP_STATE_DIR")), owner) {
        (Some(state_dir), _) => state_dir,
        (None, Owner::System) => "/var/lib/nbkp".into(),
        (None, Owner::User) => below_home("XDG_STATE_HOME", ".local/state", "--state-dir")?.join("nbkp"),
    };
    let socket = match (options.socket.clone().or_else(|| named("NBKP_SOCKET")), owner) {
        (Some(socket), _) => socket,
        (None, Owner::System) => "/run/nbkp/nbkpd.sock".into(),
        (None, Owner::User) => {
            let runtime = base("XDG_RUNTIME_DIR").or_else(found_runtime);
            runtime.ok_or(EnvironmentError::NoRuntimeDirectory)?.join("nbkp/nbkpd.sock")
        }
    };
    // Without a home directory only `~` in the configuration has no meaning.
    Ok(Paths { config, socket, state_dir, home: home.unwrap_or_else(|| "/".into()) })
}

/// A path of the command line from the root on; its links stay as they are.
pub fn absolute(path: &Path) -> Result<PathBuf, EnvironmentError> {
    std::path::absolute(path).map_err(|cause| EnvironmentError::NoCurrentDirectory(path.to_owned(), cause))
}

/// The socket of the service manager (`sd_notify(3)`), where it is one without a file.
#[must_use]
pub(super) fn abstract_notify_socket() -> Option<Vec<u8>> {
    let socket = variable("NOTIFY_SOCKET")?;
    socket.as_bytes().strip_prefix(b"@").map(<[u8]>::to_vec)
}

/// The stream that systemd connected to the journal, as device and inode (systemd.exec(5)).
#[must_use]
pub fn journal_stream() -> Option<String> {
    env::var("JOURNAL_STREAM").ok()
}

/// How many columns a line is to have, where `COLUMNS` says so.
#[must_use]
pub fn columns() -> Option<usize> {
    env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0)
}

/// Whether a person asked for no colour (no-color.org).
#[must_use]
pub fn no_colour() -> bool {
    variable("NO_COLOR").is_some() || env::var("TERM").is_ok_and(|term| term == "dumb")
}

/// Where files with secrets are kept: one for each credential, by its name.
pub fn own_credentials() -> Result<PathBuf, EnvironmentError> {
    let owner = if is_root() { Owner::System } else { Owner::User };
    credentials_of(owner, variable)
}

fn credentials_of(owner: Owner, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, EnvironmentError> {
    if owner == Owner::System {
        return Ok("/etc/nbkp/credentials".into());
    }
    let base = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")));
    base.map(|base| base.join("nbkp/credentials")).ok_or(EnvironmentError::NoHome("--config"))
}

/// Where systemd has put what it hands over (`LoadCredential=`, systemd.exec(5)).
#[must_use]
pub fn credentials_directory() -> Option<PathBuf> {
    variable("CREDENTIALS_DIRECTORY").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The variable that holds a credential, `NBKP_CREDENTIAL_USB` for `usb`, and its value.
#[must_use]
pub fn credential(name: &CredentialName) -> (String, Option<OsString>) {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let word = format!("NBKP_CREDENTIAL_{}", name.as_str().chars().map(plain).collect::<String>());
    let value = variable(&word);
    (word, value)
}

/// What the process that unlocks needs to reach buses, secrets and servers, beside what every child gets.
#[must_use]
pub fn for_unlocking(name: &CredentialName) -> Vec<(String, OsString)> {
    let (own, value) = credential(name);
    let names = [
        "DBUS_SYSTEM_BUS_ADDRESS",
        "DBUS_SESSION_BUS_ADDRESS",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "CREDENTIALS_DIRECTORY",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "SSH_AUTH_SOCK",
        "LANG",
    ];
    let shared = names.into_iter().filter_map(|name| Some((name.to_owned(), variable(name)?)));
    shared.chain(value.map(|value| (own, value))).collect()
}

/// `PATH`, for children.
#[must_use]
pub fn search_path() -> Option<OsString> {
    variable("PATH")
}

/// Whether this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The value of a variable; an empty one is as good as none.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(options: &PathOptions, owner: Owner, set: &[(&str, &str)]) -> Result<Paths, EnvironmentError> {
        found_at(None, options, owner, set)
    }

    fn found_at(
        runtime: Option<&str>,
        options: &PathOptions,
        owner: Owner,
        set: &[(&str, &str)],
    ) -> Result<Paths, EnvironmentError> {
        let value =
            |name: &str| set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value));
        resolve(options, owner, value, || runtime.map(PathBuf::from))
    }

    const SESSION: [(&str, &str); 2] = [("HOME", "/home/a"), ("XDG_RUNTIME_DIR", "/run/user/1")];

    #[test]
    fn the_paths_are_those_of_the_contract() {
        let user = paths(&PathOptions::default(), Owner::User, &SESSION).unwrap();
        let expected = Paths {
            config: "/home/a/.config/nbkp/config.toml".into(),
            socket: "/run/user/1/nbkp/nbkpd.sock".into(),
            state_dir: "/home/a/.local/state/nbkp".into(),
            home: "/home/a".into(),
        };
        assert_eq!(user, expected);
        let system = paths(&PathOptions::default(), Owner::System, &[]).unwrap();
        let expected = Paths {
            config: "/etc/nbkp/config.toml".into(),
            socket: "/run/nbkp/nbkpd.sock".into(),
            state_dir: "/var/lib/nbkp".into(),
            home: "/root".into(),
        };
        assert_eq!(system, expected);
    }

    #[test]
    fn the_command_line_goes_before_variables_and_these_before_the_default() {
        let set = [
            SESSION.as_slice(),
            &[("NBKP_CONFIG", "config"), ("NBKP_SOCKET", "/e"), ("XDG_STATE_HOME", "/s"), ("XDG_CONFIG_HOME", "/c")],
        ];
        let options = PathOptions { socket: Some("sock".into()), ..PathOptions::default() };
        for owner in [Owner::User, Owner::System] {
            let found = paths(&options, owner, &set.concat()).unwrap();
            assert_eq!((found.config, found.socket), ("config".into(), "sock".into()), "{owner:?}");
            let state_dir = if owner == Owner::User { "/s/nbkp" } else { "/var/lib/nbkp" };
            assert_eq!(found.state_dir, PathBuf::from(state_dir));
        }
        let relative = [SESSION.as_slice(), &[("XDG_STATE_HOME", "s")]].concat();
        let found = paths(&PathOptions::default(), Owner::User, &relative).unwrap();
        assert_eq!(found.state_dir, PathBuf::from("/home/a/.local/state/nbkp"));
    }

    #[test]
    fn a_runtime_directory_that_nothing_names_is_found() {
        let home = [("HOME", "/home/a")];
        let found = |set: &[(&str, &str)]| {
            found_at(Some("/run/user/7"), &PathOptions::default(), Owner::User, set).unwrap().socket
        };
        assert_eq!(found(&home), PathBuf::from("/run/user/7/nbkp/nbkpd.sock"));
        // The XDG specification has relative paths ignored.
        assert_eq!(found(&[home[0], ("XDG_RUNTIME_DIR", "run")]), PathBuf::from("/run/user/7/nbkp/nbkpd.sock"));
        assert_eq!(found(&SESSION), PathBuf::from("/run/user/1/nbkp/nbkpd.sock"));
        let system = found_at(Some("/run/user/0"), &PathOptions::default(), Owner::System, &home).unwrap();
        assert_eq!(system.socket, PathBuf::from("/run/nbkp/nbkpd.sock"));
    }

    #[test]
    fn what_others_are_told_is_found_from_anywhere() {
        let here = std::env::current_dir().unwrap();
        let named = Paths { config: "c.toml".into(), socket: "s".into(), state_dir: "d".into(), home: "/".into() };
        let rooted = named.clone().rooted().unwrap();
        assert_eq!((&rooted.config, &rooted.state_dir), (&here.join("c.toml"), &here.join("d")));
        assert_eq!(rooted.socket, PathBuf::from("s"), "a longer one may be none");
        let said = |paths: &Paths| options_for(paths).into_iter().map(PathBuf::from).collect::<Vec<_>>();
        let whole = ["c.toml", "s", "d"].map(|name| here.join(name));
        let [config, socket, state_dir] = &whole;
        let (config, socket, state_dir) = (config.as_path(), socket.as_path(), state_dir.as_path());
        let options = ["--config", "--socket", "--state-dir"].map(Path::new);
        assert_eq!(said(&named), [options[0], config, options[1], socket, options[2], state_dir]);
        let unknown = Paths { socket: PathBuf::new(), state_dir: PathBuf::new(), ..named };
        assert_eq!(said(&unknown), [options[0], config]);
    }

    #[test]
    fn what_is_missing_is_said_with_the_way_out() {
        let error = |set| paths(&PathOptions::default(), Owner::User, set).unwrap_err().to_string();
        assert!(error(&[]).ends_with("HOME is not set; set it, or name the file with --config"));
        assert!(error(&[("HOME", "/home/a")]).ends_with("log in through systemd, or use --socket"));
        let options = PathOptions { config: Some("c".into()), socket: Some("s".into()), state_dir: Some("d".into()) };
        assert_eq!(paths(&options, Owner::User, &[]).unwrap().home, PathBuf::from("/"));
    }
}
