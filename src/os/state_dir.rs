//! The state directory: the ledger, and the lock that keeps a second daemon out.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, FlockOperation, OFlags};

use crate::formats::ledger::{self, LedgerError};
use crate::formats::reminded::Reminded;
use crate::model::{Ledger, Room};
use crate::os::directory::{Directory, DirectoryError};
use crate::os::files::{self, ReadError, Readers};
use crate::os::guards::{self, Exposure};

const LEDGER: &str = "ledger.json";
const REMINDED: &str = "reminded.json";
const LOCK: &str = "lock";

/// No ledger is larger, in bytes.
const LARGEST_LEDGER: u64 = 4 << 20;

/// How often a lock is tried that another process holds, and how long after each time.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// What can go wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// It cannot be made.
    #[error("create the state directory {} (--state-dir names another)", .0.display())]
    Create(PathBuf, #[source] io::Error),
    /// It is not ours alone.
    #[error("use the state directory {}: {}; or name another with --state-dir", .0.display(), .1)]
    Unsafe(PathBuf, Exposure),
    /// Its lock cannot be opened.
    #[error("lock the state directory {} (--state-dir names another)", .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// Another daemon works with it.
    #[error("lock the state directory {}: another nbkpd works with it{}", .0.display(), .1)]
    Taken(PathBuf, String),
    /// The ledger cannot be read.
    #[error("use {}", .0.display())]
    ReadLedger(PathBuf, #[source] ReadError),
    /// The ledger makes no sense.
    #[error("understand {}", .0.display())]
    BadLedger(PathBuf, #[source] LedgerError),
    /// The ledger makes no sense, and was given another name.
    #[error("understand {}, which was put aside", .0.display())]
    PutAside(PathBuf, #[source] LedgerError),
    /// The ledger cannot be written.
    #[error("keep what was decided")]
    WriteLedger(#[source] DirectoryError),
}

/// The state directory, locked for as long as this lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if there is none, for its owner alone, and takes its lock. One that belongs to somebody
    /// else, or to which somebody else may write, is refused: what lies in it lets drives in and lifts holds.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
        let found = created.and_then(|()| std::fs::metadata(path));
        let found = found.map_err(|error| StateDirError::Create(path.into(), error))?;
        prove_ours(path, &found)?;
        let lock_error = |error| StateDirError::Lock(path.into(), error);
        // A FIFO in place of the lock is not waited for, a link not followed.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
            .open(path.join(LOCK))
            .map_err(lock_error)?;
        match take(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StateDirError::Taken(path.into(), holder(&lock))),
            Err(error) => return Err(lock_error(error.into())),
        }
        let written =
            lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        written.map_err(lock_error)?;
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the ledger; an empty one if there is none. One that makes no sense is put aside, so that it is not lost.
    pub fn ledger(&self) -> Result<Ledger, StateDirError> {
        let read = read_ledger(&self.path);
        if let Err(StateDirError::BadLedger(file, error)) = read {
            // Should this fail too, the next write replaces it; what it held can be asked again.
            let _ = std::fs::rename(&file, file.with_extension("json.broken"));
            return Err(StateDirError::PutAside(file, error));
        }
        read
    }
}

/// Fails if no daemon would start with this directory: it is not ours alone, or one works with it. Nothing is made or
/// kept locked for that. One that is not there would be made.
pub fn check(path: &Path) -> Result<(), StateDirError> {
    match std::fs::metadata(path) {
        Ok(found) => prove_ours(path, &found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StateDirError::Create(path.into(), error)),
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let lock = match OpenOptions::new().read(true).custom_flags(flags).open(path.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StateDirError::Lock(path.into(), error)),
    };
    match take(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StateDirError::Taken(path.into(), holder(&lock))),
        Err(error) => Err(StateDirError::Lock(path.into(), error.into())),
    }
}

/// Reads the ledger of a state directory and leaves it as it is; an empty one if there is none.
pub fn read_ledger(path: &Path) -> Result<Ledger, StateDirError> {
    let file = path.join(LEDGER);
    let directory = match Directory::open_root(path) {
        Ok(directory) => directory,
        Err(error) if error.cause() == rustix::io::Errno::NOENT => return Ok(Ledger::default()),
        Err(error) => return Err(StateDirError::ReadLedger(file, ReadError::Kernel(error.cause()))),
    };
    let bytes = match files::read_small(&directory, LEDGER, LARGEST_LEDGER) {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => return Ok(Ledger::default()),
        Err(error) => return Err(StateDirError::ReadLedger(file, error)),
    };
    ledger::from_bytes(&bytes).map_err(|error| StateDirError::BadLedger(file, error))
}

/// Whether a directory that is not there could be made, as far as the one tells in which it, or what leads to it, would
/// be made.
pub fn prove_makeable(state_dir: &Path) -> io::Result<()> {
    let around = state_dir.ancestors().skip(1).find(|around| std::fs::symlink_metadata(around).is_ok());
    let around = around.filter(|around| !around.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !std::fs::metadata(around)?.is_dir() {
        return Err(rustix::io::Errno::NOTDIR.into());
    }
    Ok(rustix::fs::access(around, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn prove_ours(path: &Path, found: &Metadata) -> Result<(), StateDirError> {
    let proven = guards::prove_own(found).and_then(|()| guards::prove_way(path));
    proven.map_err(|exposure| StateDirError::Unsafe(path.into(), exposure))
}

/// Who holds a lock, as a courtesy: that it is held is the answer.
fn holder(lock: &File) -> String {
    let mut holder = String::new();
    let _ = lock.take(32).read_to_string(&mut holder);
    match holder.trim().parse::<u32>() {
        Ok(pid) => format!(" (process {pid})"),
        Err(_) => String::new(),
    }
}

/// Takes the lock. A daemon that was just killed may hold it until the last of its threads has come back from a slow
/// disk: it is waited for a little.
fn take(lock: &File, how: FlockOperation) -> Result<(), rustix::io::Errno> {
    for _ in 0..TRIES {
        match rustix::fs::flock(lock, how) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN_TRIES),
            taken => return taken,
        }
    }
    Err(rustix::io::Errno::WOULDBLOCK)
}

/// Replaces the ledger in one step, so that a kill leaves the old one or the new one.
pub fn write_ledger(state_dir: &Path, ledger: &Ledger) -> Result<(), StateDirError> {
    let directory = Directory::open_root(state_dir).map_err(StateDirError::WriteLedger)?;
    files::write_durably(&directory, LEDGER, &ledger::to_bytes(ledger), Readers::Owner)
        .map_err(StateDirError::WriteLedger)
}

/// Reads when a person was reminded of what; of nothing, where that cannot be read.
#[must_use]
pub fn read_reminded(path: &Path) -> Reminded {
    let read = Directory::open_root(path).ok().and_then(|it| files::read_small(&it, REMINDED, LARGEST_LEDGER).ok());
    read.map(|bytes| Reminded::from_bytes(&bytes)).unwrap_or_default()
}

/// Replaces that. A daemon may work with the directory meanwhile: it does not use this file.
pub fn write_reminded(path: &Path, reminded: &Reminded) -> Result<(), DirectoryError> {
    files::write_at_once(&Directory::open_root(path)?, REMINDED, &reminded.to_bytes())
}

/// How much is written to see whether it can be, in bytes: as much as a ledger and a few pages of history take.
const SAMPLE: usize = 64 << 10;

/// Writes a file without a name into the directory and flushes it; nothing is left of it.
pub fn prove_writable(state_dir: &Path) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let opened = match rustix::fs::open(state_dir, flags | OFlags::TMPFILE, mode) {
        // Not every filesystem has files without a name: there it loses it at once.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
            let name = state_dir.join(format!(".doctor-{}", std::process::id()));
            let opened = rustix::fs::open(&name, flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, mode)?;
            std::fs::remove_file(&name)?;
            opened
        }
        opened => opened?,
    };
    let mut file = File::from(opened);
    file.write_all(&vec![b'x'; SAMPLE])?;
    file.sync_all()
}

/// The room on its filesystem; `None` if that does not tell.
#[must_use]
pub fn room(state_dir: &Path) -> Option<Room> {
    let found = rustix::fs::statvfs(state_dir).ok()?;
    let inodes = (found.f_files > 0).then_some(found.f_favail);
    Some(Room { bytes: found.f_bavail.saturating_mul(found.f_frsize), inodes })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::model::VolumeName;

    #[test]
    fn it_is_made_for_this_user_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/nbkp");
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.path(), path);
        let mode = |name: &str| fs::metadata(path.join(name)).unwrap().mode() & 0o777;
        assert_eq!((mode("."), mode("lock")), (0o700, 0o600));
    }

    #[test]
    fn one_that_others_control_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o770)).unwrap();
        let error = StateDir::open(root.path()).unwrap_err();
        assert!(error.to_string().contains("chmod go-w"), "{error}");
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        drop(StateDir::open(root.path()).unwrap());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(root.path(), Some(65_534), None).unwrap();
            let error = StateDir::open(root.path()).unwrap_err();
            assert!(error.to_string().contains("belongs to another user"), "{error}");
        }
    }

    #[test]
    fn it_is_proven_by_writing_and_nothing_is_left() {
        let root = tempfile::tempdir().unwrap();
        prove_writable(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert!(prove_writable(&root.path().join("none")).is_err());
        assert!(room(root.path()).is_some_and(|room| room.bytes > 0));
        assert_eq!(room(&root.path().join("none")), None);
    }

    #[test]
    fn a_second_daemon_learns_who_is_first() {
        let root = tempfile::tempdir().unwrap();
        // What an earlier one left is longer than any process id.
        fs::write(root.path().join("lock"), "123456789012345678901234567890").unwrap();
        let first = StateDir::open(root.path()).unwrap();
        let error = StateDir::open(root.path()).unwrap_err();
        assert!(matches!(error, StateDirError::Taken(..)), "{error}");
        assert!(error.to_string().ends_with(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        StateDir::open(root.path()).unwrap();
    }

    #[test]
    fn a_look_makes_nothing_and_tells_what_keeps_a_daemon_out() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/nbkp");
        check(&path).unwrap();
        prove_makeable(&path).unwrap();
        assert_eq!(read_ledger(&path).unwrap(), Ledger::default());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        fs::write(root.path().join("a"), "").unwrap();
        assert_eq!(prove_makeable(&path).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        fs::remove_file(root.path().join("a")).unwrap();
        let state = StateDir::open(&path).unwrap();
        let taken = check(&path).unwrap_err().to_string();
        assert!(taken.ends_with(&format!("(process {})", std::process::id())), "{taken}");
        drop(state);
        check(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("chmod go-w"));
    }

    #[test]
    fn the_ledger_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::open(root.path()).unwrap();
        assert_eq!(state.ledger().unwrap(), Ledger::default());
        let usb: VolumeName = "usb".parse().unwrap();
        let kept = Ledger { holds: [(usb, crate::model::Pause::UntilResumed)].into(), ..Ledger::default() };
        // What a killed predecessor left does not stand in the way.
        fs::write(root.path().join(".ledger.json.new"), "half of something longer").unwrap();
        write_ledger(root.path(), &kept).unwrap();
        assert_eq!(state.ledger().unwrap(), kept);
    }

    #[test]
    fn a_ledger_that_makes_no_sense_is_put_aside() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::open(root.path()).unwrap();
        fs::write(root.path().join("ledger.json"), "{ nonsense").unwrap();
        assert!(matches!(read_ledger(root.path()), Err(StateDirError::BadLedger(..))), "and stays where it is");
        assert!(matches!(state.ledger(), Err(StateDirError::PutAside(..))));
        assert_eq!(fs::read(root.path().join("ledger.json.broken")).unwrap(), b"{ nonsense");
        assert_eq!(state.ledger().unwrap(), Ledger::default());
    }

    #[test]
    fn a_link_in_place_of_the_ledger_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::open(root.path()).unwrap();
        symlink("/etc/hostname", root.path().join("ledger.json")).unwrap();
        assert!(matches!(state.ledger(), Err(StateDirError::ReadLedger(_, ReadError::NotRegular))));
    }
}
