//! The configuration file, as bytes.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// No configuration is larger, in bytes.
const LARGEST: u64 = 4 << 20;

/// Why the configuration file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// There is none.
    #[error("find the configuration file {}: write one (README.md has a first one), or name it with \
             --config", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("read the configuration file {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is larger than any configuration.
    #[error("read the configuration file {}: it is larger than {LARGEST} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It is a directory, a device or a FIFO.
    #[error("read the configuration file {}: it is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// Root would run what another user wrote into it.
    #[error("trust the configuration file {}: {}; as root, `chown root:root` and `chmod go-w` it", .0.display(), .1)]
    Untrusted(PathBuf, &'static str),
}

/// Reads the configuration file. Root only trusts a file that nobody else can change, since it names commands to run.
pub fn read(path: &Path) -> Result<Vec<u8>, ConfigFileError> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            ConfigFileError::Missing(path.into())
        } else {
            ConfigFileError::Read(path.into(), error)
        }
    })?;
    let metadata = file.metadata().map_err(|error| ConfigFileError::Read(path.into(), error))?;
    if !metadata.is_file() {
        return Err(ConfigFileError::NotRegular(path.into()));
    }
    if super::environment::is_root() {
        if metadata.uid() != 0 {
            return Err(ConfigFileError::Untrusted(path.into(), "it belongs to another user"));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(ConfigFileError::Untrusted(path.into(), "others may write to it"));
        }
    }
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| ConfigFileError::Read(path.into(), error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        Err(ConfigFileError::TooLarge(path.into()))
    } else {
        Ok(bytes)
    }
}
