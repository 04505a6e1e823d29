//! The machine of one scenario: own mounts, own network, own processes, own udevd; it goes with its first process.
//!
//! `/dev` is shared with the real machine, so a scenario touches only the loop devices that it attached itself.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::config::Config;
use super::daemon::{Daemon, Wrapping};
use super::drive::{Drive, Filesystem};
use super::folder::{Folder, noise};
use super::server::Server;
use super::{attempt, eventually, run, until};

/// The machine of one scenario.
pub struct MiniHost {
    /// Where everything of this scenario lies; the only directory that is not private to the namespace.
    pub root: PathBuf,
    /// Who runs the daemon and the client.
    user: Option<u32>,
    serial: AtomicU32,
}

impl MiniHost {
    /// Makes the namespaces that this process was started in a machine.
    pub fn boot(root: PathBuf) -> Self {
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
        run("mount", &[&"--make-rprivate", &"/"]);
        run("mount", &[&"-t", &"tmpfs", &"-o", &"mode=755", &"tmpfs", &"/run"]);
        run("mount", &[&"-t", &"sysfs", &"sysfs", &"/sys"]);
        // Links to devices of other scenarios would be shared with them, since /dev is.
        std::fs::create_dir_all("/dev/disk").unwrap();
        run("mount", &[&"-t", &"tmpfs", &"tmpfs", &"/dev/disk"]);
        run("ip", &[&"link", &"set", &"lo", &"up"]);
        run("/usr/lib/systemd/systemd-udevd", &[&"--daemon"]);
        run("udevadm", &[&"trigger", &"--subsystem-match=block"]);
        run("udevadm", &[&"settle", &"--timeout=60"]);
        let host = Self { root, user: None, serial: AtomicU32::new(0) };
        std::fs::create_dir(host.home()).unwrap();
        host.touch(&host.home().join(".nbkp-vol"));
        host
    }

    /// The same machine, used by this ordinary user from now on; what is made hereafter is owned by them.
    pub fn used_by(&self, user: u32) -> Self {
        let host = Self { root: self.root.clone(), user: Some(user), serial: AtomicU32::new(100) };
        for path in ["/run/user", &format!("/run/user/{user}")] {
            std::fs::create_dir_all(path).unwrap();
        }
        std::fs::set_permissions(format!("/run/user/{user}"), std::fs::Permissions::from_mode(0o700)).unwrap();
        host.give(Path::new(&format!("/run/user/{user}")));
        host.give(&host.home());
        host
    }

    /// The state directory of the daemon.
    pub fn state(&self) -> PathBuf {
        self.state_of("nbkpd")
    }

    /// The root of the volume `laptop`, and the home directory of whoever uses the machine.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// A directory that may be the source of a sync, with its sentinel.
    pub fn source(&self, name: &str) -> Folder {
        let path = self.home().join(name);
        std::fs::create_dir_all(&path).unwrap();
        self.touch(&path.join(".nbkp-src"));
        self.give(&path);
        Folder::at(path)
    }

    /// A new, blank drive that nobody plugged in yet.
    pub fn drive(&self, label: &str, filesystem: Filesystem) -> Drive {
        self.drive_of(label, filesystem, 256)
    }

    /// A new, blank drive of this many MiB.
    pub fn drive_of(&self, label: &str, filesystem: Filesystem, mebibytes: u64) -> Drive {
        let image = self.root.join(format!("{label}-{}.img", self.next()));
        Drive::make(&self.root, &image, label, filesystem, mebibytes, self.user)
    }

    /// A new server behind a cable of its own, switched on; this machine has no address there yet.
    pub fn server(&self, name: &str) -> Server {
        Server::new(&self.root, name, u8::try_from(self.next() + 1).unwrap())
    }

    /// A drive of which half the free space is rotten: it takes data and loses it later, without a word to who wrote
    /// it. What keeps the filesystem itself alive (journal, inodes, directories) lies on firm ground.
    pub fn drive_with_rot(&self, label: &str) -> Drive {
        let ground = self.root.join("ground");
        std::fs::create_dir(&ground).unwrap();
        run("mount", &[&"-t", &"tmpfs", &"-o", &"size=80m", &"tmpfs", &ground]);
        let image = ground.join("rotten.img");
        let drive = Drive::make(&self.root, &image, label, Filesystem::Ext4, 64, self.user);
        run("fallocate", &[&"--length", &"64MiB", &image]);
        let rotten = drive.edit(|root| {
            // The first one keeps the space that is given away first.
            std::fs::write(root.join("firm"), noise(8 << 20, 1)).unwrap();
            std::fs::write(root.join("rotten"), noise(32 << 20, 2)).unwrap();
            run("sync", &[&"-f", &root]);
            run("filefrag", &[&"-b1", &"-v", &root.join("rotten")])
        });
        drive.edit(|root| ["firm", "rotten"].map(|name| std::fs::remove_file(root.join(name)).unwrap()));
        for (offset, length) in extents(&rotten) {
            run("fallocate", &[&"--punch-hole", &"--offset", &offset, &"--length", &length, &image]);
        }
        // With the ground full, nothing can be written to the holes any more.
        attempt(
            "dd",
            &[&"if=/dev/zero", &format!("of={}", ground.join("ballast").display()), &"bs=64k", &"status=none"],
        );
        drive
    }

    /// A configuration with the volume `laptop` and without waiting times.
    pub fn config(&self) -> Config {
        Config::new(&self.home())
    }

    /// Writes the configuration file, whole and in one step.
    pub fn configure(&self, config: &Config) {
        self.configure_with(config.text());
    }

    /// Writes the configuration file from a text.
    pub fn configure_with(&self, text: &str) {
        let beside = self.root.join("config.toml.new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, self.config_file()).unwrap();
    }

    /// The path of the configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub fn start(&self) -> Daemon {
        self.start_as("nbkpd", &Wrapping::Plain)
    }

    /// Starts a daemon with a state directory and a socket of its own; `name` is part of both.
    pub fn start_as(&self, name: &str, wrapping: &Wrapping) -> Daemon {
        let daemon = self.launch(name, wrapping);
        daemon.wait_until_ready();
        daemon
    }

    /// Starts a daemon and does not wait for it.
    pub fn launch(&self, name: &str, wrapping: &Wrapping) -> Daemon {
        let log = self.root.join(format!("{name}-{:02}.log", self.next()));
        let notify = format!("/run/notify-{}", self.next());
        Daemon::launch(&log, Path::new(&notify), wrapping, |program| self.command(program, name))
    }

    /// Calls the client.
    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> Answer {
        self.ctl_of("nbkpd", arguments)
    }

    /// Calls the client of the daemon that was started under this name.
    #[track_caller]
    pub fn ctl_of(&self, name: &str, arguments: &[&str]) -> Answer {
        let mut command = self.command(env!("CARGO_BIN_EXE_nbkpctl"), name);
        let output = command.args(arguments).stdin(Stdio::null()).output().expect("nbkpctl");
        Answer {
            question: arguments.join(" "),
            code: output.status.code(),
            said: String::from_utf8_lossy(&output.stdout).into_owned(),
            complained: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The whole status.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.ctl(&["status", "--json"]).json()
    }

    /// How a sync stands.
    #[track_caller]
    pub fn sync(&self, name: &str) -> Value {
        let status = self.status();
        let found = array(&status["syncs"]).iter().find(|sync| sync["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("no sync {name} in {status:#}"))
    }

    /// The codes of what stands in the way of a sync.
    #[track_caller]
    pub fn obstacles(&self, name: &str) -> Vec<String> {
        array(&self.sync(name)["obstacles"]).iter().map(|o| o["code"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The runs of a sync, newest first.
    #[track_caller]
    pub fn history(&self, name: &str) -> Vec<Value> {
        array(&self.ctl(&["history", name, "--json"]).json()["runs"]).clone()
    }

    /// Waits until a sync has this many finished runs, the newest with this outcome, and none is under way.
    #[track_caller]
    pub fn run_ends(&self, name: &str, count: usize, outcome: &str) -> Value {
        let what = format!("run {count} of `{name}` ended with `{outcome}`");
        let mut last = Vec::new();
        let deadline = std::time::Instant::now() + super::PATIENCE;
        loop {
            let busy = array(&self.status()["running"]).iter().any(|running| running["sync"] == name);
            last = if busy { last } else { self.history(name) };
            if !busy && last.len() >= count && last[0]["outcome"] == outcome {
                same_count(&what, &last, count);
                return last[0].clone();
            }
            assert!(
                std::time::Instant::now() < deadline,
                "waited in vain until {what}\nhistory: {last:#?}\nstatus: {:#}",
                self.status()
            );
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
    }

    /// Waits until a sync stands in this state.
    #[track_caller]
    pub fn stands(&self, name: &str, state: &str) -> Value {
        eventually(&format!("`{name}` is `{state}`"), || {
            let status = self.status();
            array(&status["syncs"]).iter().find(|sync| sync["name"] == name && sync["state"] == state).cloned()
        })
    }

    /// Waits until this stands in the way of a sync.
    #[track_caller]
    pub fn stopped_by(&self, name: &str, code: &str) {
        until(&format!("`{code}` stands in the way of `{name}`"), || self.obstacles(name).iter().any(|o| o == code));
    }

    /// Waits until a sync copies and this many bytes of it are done.
    #[track_caller]
    pub fn copies(&self, name: &str, bytes: u64) {
        until(&format!("`{name}` has copied {bytes} bytes"), || {
            array(&self.status()["running"]).iter().any(|running| {
                running["sync"] == name && running["step"] == "copy" && running["bytes"].as_u64() >= Some(bytes)
            })
        });
    }

    /// A program as the user of this machine would start it.
    pub fn command(&self, program: &str, name: &str) -> Command {
        let mut command = match self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", &user.to_string(), "--regid", &user.to_string(), "--clear-groups", program]);
                command
            }
        };
        let runtime = self.user.map_or_else(|| "/run".to_owned(), |user| format!("/run/user/{user}"));
        let state = self.state_of(name);
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
        self.give(&state);
        command.current_dir("/").env_clear();
        // A scenario may put programs of its own in front of those of the machine.
        let own = self.root.join("bin");
        let path = format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", own.display());
        command.env("PATH", path);
        command.env("HOME", self.home()).env("XDG_RUNTIME_DIR", &runtime).env("RUST_BACKTRACE", "1");
        command.env("NBKP_CONFIG", self.config_file()).env("NBKP_STATE_DIR", state);
        command.env("NBKP_SOCKET", format!("{runtime}/{name}/nbkpd.sock"));
        command
    }

    fn state_of(&self, name: &str) -> PathBuf {
        let state = self.root.join(format!("state-{name}"));
        std::fs::create_dir_all(&state).unwrap();
        state
    }

    fn touch(&self, path: &Path) {
        std::fs::write(path, "").unwrap();
        self.give(path);
    }

    fn give(&self, path: &Path) {
        if let Some(user) = self.user {
            std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
        }
    }

    fn next(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

/// Offset and length of each extent in the output of `filefrag -b1 -v`.
fn extents(listing: &str) -> Vec<(String, String)> {
    let lines = listing.lines().map(|line| line.split(':').map(str::trim).collect::<Vec<_>>());
    let extents: Vec<_> = lines
        .filter(|fields| fields.len() > 4 && fields[0].parse::<u32>().is_ok())
        .map(|fields| (fields[2].split("..").next().unwrap_or_default().to_owned(), fields[3].to_owned()))
        .collect();
    assert!(!extents.is_empty(), "no extents in {listing}");
    extents
}

#[track_caller]
fn same_count(what: &str, runs: &[Value], count: usize) {
    assert!(runs.len() == count, "{what}, but there are {} runs: {runs:#?}", runs.len());
}

/// The elements of a JSON array; none if it is no array.
pub fn array(value: &Value) -> &Vec<Value> {
    static NONE: Vec<Value> = Vec::new();
    value.as_array().unwrap_or(&NONE)
}

/// What the client answered.
pub struct Answer {
    /// What it was asked.
    pub question: String,
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub said: String,
    /// Its standard error.
    pub complained: String,
}

impl Answer {
    /// The answer as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.said).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// Fails unless the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code} of {self}");
        self
    }

    /// Fails unless it says this, on either stream.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.said.contains(text) || self.complained.contains(text), "expected {text:?} in {self}");
        self
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nbkpctl {} -> {:?}\n{}{}", self.question, self.code, self.said, self.complained)
    }
}
