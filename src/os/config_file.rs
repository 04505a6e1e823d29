//! The configuration file, as bytes.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::directory::{Directory, DirectoryError};
use super::entry;
use super::files::{self, Readers};

/// No configuration is larger, in bytes.
const LARGEST: u64 = 4 << 20;

/// Why the configuration file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// There is none.
    #[error("find the configuration file {}: `nbkpctl init` makes one, or name it with --config", .0.display())]
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
    /// Its daemon would run what another user wrote into it.
    #[error("trust the configuration file {}: {}", .0.display(), .1)]
    Untrusted(PathBuf, Distrust),
}

/// Why nothing that a file names is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It belongs to somebody who is neither root nor us.
    #[error("it belongs to another user; name one of your own with --config (`cp` makes one of it)")]
    OfAnother,
    /// Others may write to it.
    #[error("others may write to it, and it names what is run; `chmod go-w` mends that")]
    OpenToOthers,
}

/// The configuration file, as it is.
#[derive(Debug)]
pub struct ConfigFile {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Why nothing that it names is run, if so.
    pub distrust: Option<Distrust>,
}

/// Reads the configuration file. Root only trusts a file that nobody else can change; others may take one that names
/// nothing to run.
pub fn read(path: &Path) -> Result<ConfigFile, ConfigFileError> {
    let file = inspect(path)?;
    match file.distrust {
        Some(distrust) if super::environment::is_root() => Err(ConfigFileError::Untrusted(path.into(), distrust)),
        Some(_) | None => Ok(file),
    }
}

/// Reads a configuration from standard input.
pub fn read_input() -> Result<Vec<u8>, ConfigFileError> {
    let path = || PathBuf::from("on standard input");
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| ConfigFileError::Read(path(), error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(ConfigFileError::TooLarge(path()));
    }
    Ok(bytes)
}

/// Reads a configuration file of whomever, to tell what is in it.
pub fn inspect(path: &Path) -> Result<ConfigFile, ConfigFileError> {
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
    let is_ours = metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw();
    let distrust = match metadata.mode() & 0o022 {
        _ if !is_ours => Some(Distrust::OfAnother),
        0 => None,
        _ => Some(Distrust::OpenToOthers),
    };
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| ConfigFileError::Read(path.into(), error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        Err(ConfigFileError::TooLarge(path.into()))
    } else {
        Ok(ConfigFile { bytes, distrust })
    }
}

/// Why the configuration file was not replaced. The old one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Somebody changed it since it was read.
    #[error("{} was changed meanwhile", .0.display())]
    Changed(PathBuf),
    /// It is no name of a file.
    #[error("{} is no name of a file", .0.display())]
    Nameless(PathBuf),
    /// Its directory could not be made or opened, or the file not be written.
    #[error("could not write the configuration file")]
    Write(#[from] DirectoryError),
}

/// Replaces the configuration file at one stroke, for this user alone; its directory is made if it is missing. `seen`
/// is what was read of it before, or nothing if there was none. A link stays one: what it leads to is replaced.
pub fn replace(path: &Path, seen: Option<&[u8]>, text: &[u8]) -> Result<(), ReplaceError> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let target = files::leads_to(&absolute).unwrap_or(absolute);
    let (Some(place), Some(name)) = (target.parent(), target.file_name().and_then(|name| name.to_str())) else {
        return Err(ReplaceError::Nameless(target));
    };
    let now = match inspect(&target) {
        Ok(file) => Some(file.bytes),
        Err(ConfigFileError::Missing(_)) => None,
        Err(_) => return Err(ReplaceError::Changed(target)),
    };
    if now.as_deref() != seen {
        return Err(ReplaceError::Changed(target));
    }
    entry::make_directories(place)?;
    Ok(files::write_durably(&Directory::open_root(place)?, name, text, Readers::Owner)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_replaced_as_it_was_read_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/config.toml");
        replace(&path, None, b"one").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(replace(&path, None, b"two"), Err(ReplaceError::Changed(_))));
        assert!(matches!(replace(&path, Some(b"other"), b"two"), Err(ReplaceError::Changed(_))));
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, Some(b"one"), b"two").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_may_change_is_told_from_one_of_ours() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("config.toml");
        std::fs::write(&path, "[volumes]\n").unwrap();
        for (mode, distrust) in
            [(0o600, None), (0o644, None), (0o664, Some(Distrust::OpenToOthers)), (0o646, Some(Distrust::OpenToOthers))]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let file = inspect(&path).unwrap();
            assert_eq!((file.bytes.as_slice(), file.distrust), (&b"[volumes]\n"[..], distrust), "{mode:o}");
        }
        if rustix::process::geteuid().is_root() {
            assert!(matches!(read(&path), Err(ConfigFileError::Untrusted(..))));
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert_eq!(inspect(&path).unwrap().distrust, Some(Distrust::OfAnother));
            let told = read(&path).unwrap_err().to_string();
            // The owner keeps the file.
            assert!(told.contains("another user") && !told.contains("chown"), "{told}");
        }
    }
}
