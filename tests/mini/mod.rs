//! A mini host, and loop devices as drives.

mod host;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use host::{eventually, host, sh};

/// The UUID of the drive of this process. Loop devices are seen by all hosts of a machine, so each has its own.
pub fn uuid() -> &'static str {
    static UUID: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| sh("cat /proc/sys/kernel/random/uuid"));
    &UUID
}

/// A drive: a file with a filesystem that can be plugged in as a loop device, and is pulled out at the end.
pub struct Stick {
    pub image: PathBuf,
    pub node: Option<PathBuf>,
}

impl Stick {
    /// A new drive, of some 120 MB; `mkfs` is the command that makes its filesystem.
    pub fn new(image: &Path, mkfs: &str) -> Self {
        sh(&format!("truncate -s 120M {0} && {mkfs} {0}", image.display()));
        Self { image: image.to_owned(), node: None }
    }

    /// Plugs it in, and gives its node.
    pub fn plug(&mut self) -> PathBuf {
        let node = PathBuf::from(sh(&format!("losetup --find --show {}", self.image.display())));
        self.node = Some(node.clone());
        node
    }

    /// Pulls it out.
    pub fn pull(&mut self) {
        if let Some(node) = self.node.take() {
            sh(&format!("losetup --detach {}", node.display()));
        }
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            let _ = Command::new("umount").arg("--all-targets").arg(&node).output();
            let _ = Command::new("losetup").arg(OsStr::new("--detach")).arg(&node).output();
        }
    }
}
