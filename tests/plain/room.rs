//! A place with a configuration and nothing else, and the built `nbkpctl` in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use tempfile::TempDir;

/// The place.
pub struct Room {
    directory: TempDir,
}

/// What `nbkpctl` answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub said: String,
    pub complained: String,
}

impl Room {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn configured(text: &str) -> Self {
        let room = Self::new();
        room.configure(text);
        room
    }

    pub fn configure(&self, text: &str) {
        let file = self.path("config.toml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn ask(&self, arguments: &[&str]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nbkpctl"));
        command.env_clear().env("HOME", self.root()).env("PATH", env::var_os("PATH").unwrap()).stdin(Stdio::null());
        command.env("NBKP_SOCKET", self.path("sock")).env("NBKP_CONFIG", self.path("config.toml"));
        command.env("NBKP_STATE_DIR", self.path("state"));
        let output = command.args(arguments).output().unwrap();
        Answer {
            code: output.status.code().unwrap(),
            said: String::from_utf8(output.stdout).unwrap(),
            complained: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it says where all is well.
    pub fn said(&self, arguments: &[&str]) -> String {
        let answer = self.ask(arguments);
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.said
    }
}
