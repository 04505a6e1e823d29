//! Where root and another user meet.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::sshd::Sshd;

/// The other user; the number of `nobody`.
pub const OTHER: u32 = 65_534;

/// A directory that everybody may enter, with root's own below it.
pub struct Ground {
    directory: TempDir,
}

/// What `nbkpctl` answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub said: String,
}

impl Ground {
    /// `None` where nobody can become another user, which is said.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("NBKP_REQUIRE_ALL").is_none(), "becoming another user needs root");
            eprintln!("skipped: becoming another user needs root");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        set_mode(directory.path(), 0o755);
        let ground = Self { directory };
        ground.make("root", 0o700);
        Some(ground)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a directory of root's.
    pub fn make(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        set_mode(&path, mode);
        path
    }

    /// Makes a directory of the other user's.
    pub fn make_theirs(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.make(name, mode);
        chown(&path, Some(OTHER), Some(OTHER)).unwrap();
        path
    }

    /// A server that root enters by ssh; `None` where there is no sshd, which is said.
    pub fn server() -> Option<Sshd> {
        if Path::new("/usr/sbin/sshd").exists() {
            return Some(Sshd::new());
        }
        assert!(std::env::var_os("NBKP_REQUIRE_ALL").is_none(), "this test needs sshd");
        eprintln!("skipped: this test needs sshd (`apt install openssh-server`)");
        None
    }

    /// The volumes of the user and of the copies, each here or at a server, as the configuration has them.
    pub fn volumes(&self, (theirs, copies): (Option<&Sshd>, Option<&Sshd>)) -> String {
        let volume = |name: &str, server: Option<&Sshd>| {
            let ssh = if server.is_some() { "ssh = [\"nas\"]\n" } else { "" };
            format!("[volumes.{name}]\n{ssh}path = \"{}\"\n", self.path(name).display())
        };
        let endpoint = theirs.or(copies).map(|server| {
            let [key, known] = ["user", "known"].map(|name| server.file(name).display().to_string());
            format!(
                "[ssh-endpoints.nas]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"root\"\nkey = \"{key}\"\n\
                 known-hosts = \"{known}\"\n",
                server.port
            )
        });
        endpoint.unwrap_or_default() + &volume("theirs", theirs) + &volume("copies", copies)
    }

    pub fn configure(&self, text: &str) {
        let path = self.path("root/config.toml");
        fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
    }

    /// What a script of root's says, in a namespace of its own for mounts, where `nbkpctl` is the one under test.
    pub fn script(&self, text: &str) -> String {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", text]).current_dir(self.directory.path()).stdin(Stdio::null());
        let ours = Path::new(env!("CARGO_BIN_EXE_nbkpctl")).parent().unwrap();
        command
            .env_clear()
            .env("HOME", self.path("root"))
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", ours.display()));
        command.env("NBKP_SOCKET", self.path("root/sock")).env("NBKP_CONFIG", self.path("root/config.toml"));
        command.env("NBKP_STATE_DIR", self.path("root/state"));
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        said
    }

    /// What root's `nbkpctl` answers; its socket is meant to be here.
    pub fn ask(&self, socket: &Path, arguments: &[&str]) -> Answer {
        self.ask_with(socket, arguments, &[])
    }

    /// The same, with these variables.
    pub fn ask_with(&self, socket: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nbkpctl"));
        command.env_clear().env("HOME", self.path("root")).stdin(Stdio::null()).args(arguments);
        command.env("NBKP_SOCKET", socket).env("NBKP_CONFIG", self.path("root/config.toml"));
        command.env("NBKP_STATE_DIR", self.path("root/state"));
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        Answer { code: output.status.code().unwrap(), said: String::from_utf8(said).unwrap() }
    }

    /// Starts a program of the other user's, and waits until it has written its first line.
    pub fn theirs(&self, program: &str, arguments: &[&str]) -> Theirs {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={OTHER}"), &format!("--regid={OTHER}"), "--clear-groups", program]);
        command.args(arguments).current_dir(self.directory.path()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        Theirs { child, first, said }
    }
}

/// A program of the other user's; it ends when this is dropped.
pub struct Theirs {
    child: Child,
    /// Its first line.
    pub first: String,
    said: Lines<BufReader<ChildStdout>>,
}

impl Theirs {
    /// Waits until it has said its next line, which must be this.
    pub fn says(mut self, line: &str) {
        assert_eq!(self.said.next().unwrap().unwrap(), line);
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
