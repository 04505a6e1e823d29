//! A server: a real sshd on the loopback, with keys of its own, and the way to it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nbkp::model::{Endpoint, Route};
use nbkp::os::ssh::SshPlace;

use crate::shell::{eventually, sh};

/// A real sshd; it ends with all its sessions when it is dropped.
pub struct Sshd {
    place: tempfile::TempDir,
    pub port: u16,
    child: Child,
}

impl Sshd {
    pub fn new() -> Self {
        Self::with("")
    }

    /// With these lines at the end of its configuration.
    pub fn with(lines: &str) -> Self {
        Self::of("bash", lines)
    }

    /// Where this is the login shell of root.
    pub fn of_shell(shell: &str) -> Self {
        Self::of(shell, "")
    }

    fn of(shell: &str, lines: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let here = place.path().display();
        for key in ["host", "user", "stranger"] {
            sh(&format!("ssh-keygen -q -t ed25519 -N '' -f {here}/{key}"));
        }
        sh(&format!("mkdir -p /run/sshd {here}/home; cp {here}/user.pub {here}/admitted"));
        // A port that is free now may be taken in the next moment.
        let (port, child) = (0..10).find_map(|_| Self::start(place.path(), shell, lines)).expect("a port");
        let server = Self { place, port, child };
        server.knows("known", "host");
        server
    }

    /// Starts it on a port that was free; `None` if somebody else has taken that meanwhile.
    #[expect(clippy::disallowed_methods, reason = "the rig starts a real server")]
    fn start(place: &Path, shell: &str, lines: &str) -> Option<(u16, Child)> {
        let here = place.display();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The first value counts.
        let limit = if lines.contains("MaxSessions") { "" } else { "MaxSessions 20" };
        fs::write(
            place.join("config"),
            format!(
                "{limit}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {here}/host\n\
                 AuthorizedKeysFile {here}/admitted\nPidFile none\nStrictModes no\n\
                 UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitRootLogin yes\nMaxStartups 100\nSetEnv HOME={here}/home\n{lines}\n"
            ),
        )
        .unwrap();
        // The server alone sees another file of accounts.
        let accounts = format!(
            "sed \"s|^\\(root:.*\\):[^:]*$|\\1:$(command -v {shell})|\" /etc/passwd >{here}/passwd
             mount --bind {here}/passwd /etc/passwd; exec /usr/sbin/sshd -D -e -f {here}/config"
        );
        let mut child = Command::new("unshare")
            .args(["--mount", "sh", "-ec", &accounts])
            .stdin(Stdio::null())
            .stderr(fs::File::create(place.join("log")).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let listens = eventually("sshd listens or says that it cannot", || {
            let told = fs::read_to_string(place.join("log")).unwrap_or_default();
            if told.contains("Address already in use") {
                Some(false)
            } else {
                told.contains("listening").then_some(true)
            }
        });
        if listens {
            return Some((port, child));
        }
        child.wait().unwrap();
        None
    }

    /// Does something where the server alone sees what is mounted.
    pub fn inside(&self, script: &str) {
        sh(&format!("nsenter --target {} --mount sh -ec \"{script}\"", self.child.id()));
    }

    /// Makes a file of known hosts that has this key for the server.
    pub fn knows(&self, file: &str, key: &str) {
        let key = fs::read_to_string(self.file(&format!("{key}.pub"))).unwrap();
        fs::write(self.file(file), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn endpoint(&self) -> Endpoint {
        endpoint(self.port, self.file("user"), self.file("known"))
    }

    pub fn route(&self) -> Route {
        Route { endpoint: self.endpoint(), hops: Vec::new() }
    }

    /// Where connections of tests with this server lie.
    pub fn ssh_place(&self) -> SshPlace {
        SshPlace::new(self.file("run"))
    }

    /// What lies in the directory of sockets.
    pub fn sockets(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.file("run/ssh")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with("to-")).collect()
    }

    /// The processes that serve connections, those of the sessions and all that these started.
    pub fn sessions(&self) -> Vec<i32> {
        descendants(i32::try_from(self.child.id()).unwrap())
    }

    /// Breaks all connections; what runs at the server notices by itself.
    pub fn break_connections(&self) {
        for pid in self.sessions() {
            if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sshd") {
                signal_one(pid, "KILL");
            }
        }
    }

    pub fn signal_sessions(&self, signal: &str) {
        for pid in self.sessions() {
            signal_one(pid, signal);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal_sessions("KILL");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An endpoint on the loopback.
pub fn endpoint(port: u16, key: PathBuf, known_hosts: PathBuf) -> Endpoint {
    Endpoint {
        name: "nas".parse().unwrap(),
        host: "127.0.0.1".into(),
        port: Some(port),
        user: Some("root".into()),
        key: Some(key),
        locations: Vec::new(),
        proxy_jump: Vec::new(),
        connect_timeout: Duration::from_secs(5),
        known_hosts: Some(known_hosts),
        options: Vec::new(),
    }
}

/// The children of a process, and theirs.
pub fn descendants(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let mut all: Vec<i32> = children.split_whitespace().filter_map(|child| child.parse().ok()).collect();
    for child in all.clone() {
        all.extend(descendants(child));
    }
    all
}

/// Sends a signal to a process; one that is gone needs none.
#[expect(clippy::disallowed_methods, reason = "the rig ends what it started")]
pub fn signal_one(pid: i32, signal: &str) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}
