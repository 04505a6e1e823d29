//! Small files in an open directory: read with a bound, written so that they survive a power cut.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, openat2};
use rustix::io::Errno;

use crate::model::layout::{OTHER_PROBE, PROBE};
use crate::model::{Fineness, Keeping, Letters, ODD_NANOSECONDS, ODD_SECONDS, Rights};
use crate::os::causes::words;
use crate::os::clock;
use crate::os::directory::{ChangeMade, Directory, DirectoryError, Kind, Reach};

/// Why a small file was not read: the cause of an error that names the file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("{}", words(Errno::NOENT))]
    Missing,
    /// It is a directory, a symbolic link, a FIFO, a socket or a device.
    #[error("{}", words(Errno::NOTSUP))]
    NotRegular,
    /// It is larger than the bound.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The kernel refused.
    #[error("{}", words(*.0))]
    Kernel(Errno),
}

/// Opens a regular file without following links and without waiting for the writer of a FIFO. One that is made is its
/// owner's alone.
fn open(directory: &Directory, name: &OsStr, flags: OFlags) -> Result<File, Errno> {
    open_for(Readers::Owner, directory, name, flags)
}

/// Who may read a file, as far as the umask lets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Everybody.
    All,
    /// Everybody, and everybody may run it.
    AllToRun,
    /// Its owner alone.
    Owner,
}

fn open_for(readers: Readers, directory: &Directory, name: &OsStr, flags: OFlags) -> Result<File, Errno> {
    let mode = match readers {
        Readers::All => 0o644,
        Readers::AllToRun => 0o755,
        Readers::Owner => 0o600,
    };
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(mode) } else { Mode::empty() };
    let file = File::from(openat2(directory, name, flags, mode, resolve)?);
    let seen = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile {
        return Err(Errno::NOTSUP);
    }
    // By its second name it may be a file of somebody else's.
    if flags.intersects(OFlags::WRONLY | OFlags::RDWR) && seen.st_nlink > 1 {
        return Err(Errno::MLINK);
    }
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
pub fn read_small(directory: &Directory, name: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
    let file = match open(directory, OsStr::new(name), OFlags::RDONLY) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Err(ReadError::Missing),
        // A link (ELOOP), a socket (ENXIO), a directory (EISDIR), or what opens but is no regular file (see `open`).
        Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR | Errno::NOTSUP) => return Err(ReadError::NotRegular),
        Err(cause) => return Err(ReadError::Kernel(cause)),
    };
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| ReadError::Kernel(errno(&e)))?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) { Ok(bytes) } else { Err(ReadError::TooLarge(limit)) }
}

/// Reads the last `limit` bytes of a regular file; nothing if there is no such file.
pub fn read_tail(directory: &Directory, name: &str, limit: u64) -> Result<Vec<u8>, DirectoryError> {
    let fail = |cause| DirectoryError::Read(directory.path_of(name), cause);
    let mut file = match open(directory, OsStr::new(name), OFlags::RDONLY) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(cause) => return Err(fail(cause)),
    };
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::End(0)).and_then(|end| {
        file.seek(SeekFrom::Start(end.saturating_sub(limit)))?;
        file.take(limit).read_to_end(&mut bytes)
    });
    read.map_err(|e| fail(errno(&e)))?;
    Ok(bytes)
}

/// Makes the kernel forget the content of a regular file, but for what it has yet to write: it is read from the device
/// the next time.
pub fn forget_content(directory: &Directory, name: &OsStr) -> Result<(), DirectoryError> {
    let fail = |cause| DirectoryError::Read(directory.path_of(name), cause);
    let file = open(directory, name, OFlags::RDONLY).map_err(fail)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).map_err(fail)
}

/// Replaces a file at one stroke, so that a power cut leaves the old or the new content whole.
pub fn write_durably(
    directory: &Directory,
    name: &str,
    content: &[u8],
    readers: Readers,
) -> Result<(), DirectoryError> {
    let temporary = format!(".{name}.new");
    let fail = |cause| DirectoryError::Write(directory.path_of(name), cause);
    directory.remove_file(&temporary)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = open_for(readers, directory, OsStr::new(&temporary), flags).map_err(fail)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|e| fail(errno(&e)))?;
    directory.rename_over(&temporary, name)?;
    directory.flush()
}

/// Replaces a file that need not outlive the machine, at one stroke for whoever reads it or writes the same meanwhile.
pub fn write_at_once(directory: &Directory, name: &str, content: &[u8]) -> Result<(), DirectoryError> {
    replace_at_once(Readers::Owner, directory, OsStr::new(name), |file| file.write_all(content))
}

/// The same for a file that a person asked for, which survives a power cut. What cannot be written whole leaves nothing
/// behind.
pub fn hand_over(directory: &Directory, name: &str, content: &[u8], readers: Readers) -> Result<(), DirectoryError> {
    let write = |file: &mut File| file.write_all(content).and_then(|()| file.sync_all());
    replace_at_once(readers, directory, OsStr::new(name), write)?;
    directory.flush()
}

/// The same for a file that everybody may read, whatever the umask says. Its directory must be there.
pub fn publish(file: &Path, content: &[u8]) -> Result<(), DirectoryError> {
    let nameless = || DirectoryError::Write(file.to_owned(), Errno::INVAL);
    let (Some(place), Some(name)) = (file.parent(), file.file_name()) else { return Err(nameless()) };
    replace_at_once(Readers::All, &Directory::open_root(place)?, name, |file| {
        rustix::fs::fchmod(&*file, Mode::from_raw_mode(0o644))?;
        file.write_all(content)
    })
}

fn replace_at_once(
    readers: Readers,
    directory: &Directory,
    name: &OsStr,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<(), DirectoryError> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}-{number}", std::process::id()));
    let fail = |cause| DirectoryError::Write(directory.path_of(name), cause);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = open_for(readers, directory, &temporary, flags).map_err(fail)?;
    let written = write(&mut file).map_err(|e| fail(errno(&e)));
    let replaced = written.and_then(|()| directory.rename_over(&temporary, name));
    if replaced.is_err() {
        // What could not be written whole is nothing.
        let _ = directory.remove_file(&temporary);
    }
    replaced
}

/// A file that is nowhere but in memory, to be read from its beginning: what a child is given as its input.
pub fn in_memory(content: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

/// Writes a hint: a file whose loss in a power cut costs time, never safety.
pub fn write_hint(directory: &Directory, name: &str, content: &[u8]) -> Result<(), DirectoryError> {
    let fail = |cause| DirectoryError::Write(directory.path_of(name), cause);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let mut file = open(directory, OsStr::new(name), flags).map_err(fail)?;
    file.write_all(content).map_err(|e| fail(errno(&e)))
}

/// Appends a line and flushes it to the device. A torn last line, left by a power cut, is ended first. Returns the
/// size of the file.
pub fn append_durably(directory: &Directory, name: &str, line: &[u8]) -> Result<u64, DirectoryError> {
    let fail = |cause| DirectoryError::Write(directory.path_of(name), cause);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND;
    let mut file = open(directory, OsStr::new(name), flags).map_err(fail)?;
    let append = || {
        let mut text = Vec::with_capacity(line.len().saturating_add(2));
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                text.push(b'\n');
            }
        }
        text.extend_from_slice(line);
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_all()?;
        file.metadata()
    };
    let mut append = append;
    append().map(|metadata| metadata.len()).map_err(|e| fail(errno(&e)))
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// By one alone, to write; the file is created if there is none.
    Alone,
    /// Together with other readers; nothing is locked if there is no file.
    Together,
}

/// How long a lock may still be held by nobody: what another thread forks has a copy of each descriptor until it
/// becomes another program.
const FORKING: Duration = Duration::from_millis(500);

/// Takes a lock; `None` if another holds it, which takes a moment to be sure of. It is held until the descriptor and
/// all copies of it, those that children inherited included, are closed.
pub fn lock(directory: &Directory, name: &str, hold: Hold) -> Result<Option<OwnedFd>, DirectoryError> {
    let fail = |cause| DirectoryError::Lock(directory.path_of(name), cause);
    let (flags, operation) = match hold {
        Hold::Alone => (OFlags::RDWR | OFlags::CREATE, FlockOperation::NonBlockingLockExclusive),
        Hold::Together => (OFlags::RDONLY, FlockOperation::NonBlockingLockShared),
    };
    let file = open(directory, OsStr::new(name), flags).map_err(fail)?;
    let (pause, mut waited) = (Duration::from_millis(10), Duration::ZERO);
    loop {
        match rustix::fs::flock(&file, operation) {
            Ok(()) => return Ok(Some(file.into())),
            Err(Errno::WOULDBLOCK) if waited < FORKING => {
                std::thread::sleep(pause);
                waited += pause;
            }
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(cause) => return Err(fail(cause)),
        }
    }
}

/// Locks a directory itself; `None` if another holds it.
pub fn lock_directory(directory: &Directory) -> Result<Option<OwnedFd>, DirectoryError> {
    let fail = |cause| DirectoryError::Lock(directory.path().to_owned(), cause);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat2(directory, ".", flags, Mode::empty(), ResolveFlags::BENEATH).map_err(fail)?;
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(opened)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(cause) => Err(fail(cause)),
    }
}

/// Removes the locks of git (`*.lock`) that lie in the same directory as this one, below another, and were not written
/// for so long. Returns how many are gone.
pub fn remove_locks(directory: &Directory, below: &Path, age: Duration) -> Result<usize, DirectoryError> {
    let Some(parent) = below.parent() else { return Ok(0) };
    let parent = directory.open_below(parent, Reach::SameMount)?;
    let latest = clock::now().wall.as_second().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    let mut gone = 0_usize;
    for entry in parent.entries(100_000)? {
        let name = entry.name.as_os_str();
        let is_lock = Path::new(name).extension().is_some_and(|extension| extension == "lock");
        let seen = if is_lock { rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).ok() } else { None };
        let is_old =
            |seen: Stat| FileType::from_raw_mode(seen.st_mode) == FileType::RegularFile && seen.st_mtime < latest;
        if seen.is_some_and(is_old) && parent.remove_file(name)? == ChangeMade::Changed {
            gone = gone.saturating_add(1);
        }
    }
    Ok(gone)
}

/// The bit of a lock's mode that shows whether modes are kept; nobody runs a lock.
const ODD_MODE: Mode = Mode::XUSR;

/// What the filesystem of this file keeps of times and rights: it is given odd ones, which stay for [`kept`], and asked
/// what became of them.
pub fn keeps(file: &OwnedFd) -> Result<Keeping, Errno> {
    let odd = Timespec { tv_sec: ODD_SECONDS, tv_nsec: ODD_NANOSECONDS };
    rustix::fs::futimens(file, &Timestamps { last_access: odd, last_modification: odd })?;
    let seen = rustix::fs::fstat(file)?;
    let before = Mode::from_raw_mode(seen.st_mode);
    let other = before.symmetric_difference(ODD_MODE);
    // Another user's file may not be given a mode; then the filesystem is taken for a usual one.
    let is_fixed = match rustix::fs::fchmod(file, other) {
        Ok(()) => Mode::from_raw_mode(rustix::fs::fstat(file)?.st_mode) != other,
        Err(error) => matches!(error, Errno::NOSYS | Errno::OPNOTSUPP),
    };
    if before.contains(ODD_MODE) {
        let _kept = rustix::fs::fchmod(file, before);
    }
    let times = Fineness::of_kept(seen.st_mtime, nanoseconds(&seen)).unwrap_or_default();
    Ok(Keeping { times, rights: if is_fixed { Rights::Fixed } else { Rights::Kept }, ..Keeping::default() })
}

/// The same by what became of the odd times and rights that a run gave this file, without a change; as usual if none
/// did.
#[must_use]
pub fn kept(directory: &Directory, name: &str) -> Keeping {
    let Ok(file) = open(directory, name.as_ref(), OFlags::RDONLY) else { return Keeping::default() };
    let Ok(stat) = rustix::fs::fstat(&file) else { return Keeping::default() };
    let Some(times) = Fineness::of_kept(stat.st_mtime, nanoseconds(&stat)) else { return Keeping::default() };
    let all = Mode::XUSR | Mode::XGRP | Mode::XOTH;
    let is_kept = Mode::from_raw_mode(stat.st_mode).intersection(all) == ODD_MODE;
    Keeping { times, rights: if is_kept { Rights::Kept } else { Rights::Fixed }, ..Keeping::default() }
}

fn nanoseconds(stat: &Stat) -> i64 {
    i64::try_from(stat.st_mtime_nsec).unwrap_or_default()
}

/// Whether a directory that holds this name, in small letters, takes it in capitals for the same.
#[must_use]
pub fn letters(directory: &Directory, name: &str) -> Letters {
    match directory.kind_of(&name.to_uppercase()) {
        Ok(Kind::File) => Letters::Same,
        Ok(Kind::Nothing | Kind::Directory | Kind::Link | Kind::Special) | Err(_) => Letters::Apart,
    }
}

/// What a filesystem lacks for copies with history, by trying it in this directory, as words for people.
pub fn lacks_for_snapshots(directory: &Directory) -> Result<Vec<&'static str>, DirectoryError> {
    let is_made = |made: Result<(), Errno>| match made {
        Ok(()) | Err(Errno::EXIST) => Ok(true),
        // Whether there is room and right for it is another question.
        Err(cause @ (Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::ACCESS | Errno::IO)) => {
            Err(DirectoryError::Create(directory.path_of(PROBE), cause))
        }
        Err(_) => Ok(false),
    };
    directory.remove_file(PROBE)?;
    directory.remove_file(OTHER_PROBE)?;
    let file = |name: &str| open(directory, name.as_ref(), OFlags::WRONLY | OFlags::CREATE).map(drop);
    is_made(file(PROBE))?;
    let mut lacks = Vec::new();
    if !is_made(rustix::fs::linkat(directory, PROBE, directory, OTHER_PROBE, AtFlags::empty()))? {
        lacks.push("hard links");
    }
    directory.remove_file(OTHER_PROBE)?;
    if !is_made(rustix::fs::symlinkat(PROBE, directory, OTHER_PROBE))? {
        lacks.push("symbolic links");
    }
    directory.remove_file(OTHER_PROBE)?;
    directory.remove_file(PROBE)?;
    let timed = format!("{PROBE}-00:00");
    if is_made(file(&timed))? {
        directory.remove_file(&timed)?;
    } else {
        lacks.push("names with `:`");
    }
    Ok(lacks)
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Where a path leads, with all links followed.
pub fn leads_to(path: &Path) -> std::io::Result<std::path::PathBuf> {
    std::fs::canonicalize(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn place() -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open_root(place.path()).unwrap();
        (place, directory)
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let (place, directory) = place();
        std::fs::write(place.path().join("good"), "x").unwrap();
        std::fs::write(place.path().join("big"), vec![0; 4097]).unwrap();
        std::fs::create_dir(place.path().join("directory")).unwrap();
        symlink("good", place.path().join("link")).unwrap();
        rustix::fs::mkfifoat(&directory, "fifo", Mode::from_raw_mode(0o644)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(place.path().join("socket")).unwrap();
        assert_eq!(read_small(&directory, "good", 4096).unwrap(), b"x");
        assert!(matches!(read_small(&directory, "none", 4096), Err(ReadError::Missing)));
        assert!(matches!(read_small(&directory, "big", 4096), Err(ReadError::TooLarge(4096))));
        for name in ["directory", "link", "fifo", "socket"] {
            assert!(matches!(read_small(&directory, name, 4096), Err(ReadError::NotRegular)), "{name}");
        }
        assert!(write_hint(&directory, "link", b"y").is_err());
        assert!(append_durably(&directory, "link", b"y").is_err());
        assert_eq!(std::fs::read(place.path().join("good")).unwrap(), b"x");
    }

    #[test]
    fn a_torn_last_line_is_ended_before_the_next() {
        let (place, directory) = place();
        append_durably(&directory, "log", b"one").unwrap();
        assert_eq!(append_durably(&directory, "log", b"two").unwrap(), 8);
        std::fs::write(place.path().join("log"), "one\ntw").unwrap();
        append_durably(&directory, "log", b"three").unwrap();
        assert_eq!(std::fs::read(place.path().join("log")).unwrap(), b"one\ntw\nthree\n");
        assert_eq!(read_tail(&directory, "log", 6).unwrap(), b"three\n");
        assert_eq!(read_tail(&directory, "none", 6).unwrap(), b"");
    }

    #[test]
    fn a_replaced_file_leaves_nothing_behind() {
        let (place, directory) = place();
        for content in ["one", "two"] {
            write_durably(&directory, "file", content.as_bytes(), Readers::All).unwrap();
            assert_eq!(std::fs::read_to_string(place.path().join("file")).unwrap(), content);
        }
        assert_eq!(directory.entries(10).unwrap().len(), 1);
    }

    #[test]
    fn what_is_tried_for_snapshots_leaves_nothing_behind() {
        let (_place, directory) = place();
        for _ in 0..2 {
            assert_eq!(lacks_for_snapshots(&directory).unwrap(), Vec::<&str>::new());
            assert_eq!(directory.entries(10).unwrap(), []);
        }
    }

    #[test]
    fn one_lock_keeps_the_next_out_until_all_copies_are_closed() {
        let (place, directory) = place();
        let first = lock(&directory, "lock", Hold::Alone).unwrap().unwrap();
        assert!(lock(&directory, "lock", Hold::Alone).unwrap().is_none());
        assert!(lock(&directory, "lock", Hold::Together).unwrap().is_none());
        let copy = first.try_clone().unwrap();
        drop(first);
        assert!(lock(&directory, "lock", Hold::Alone).unwrap().is_none());
        drop(copy);
        let reader = lock(&directory, "lock", Hold::Together).unwrap().unwrap();
        assert!(lock(&directory, "lock", Hold::Together).unwrap().is_some());
        assert!(lock(&directory, "lock", Hold::Alone).unwrap().is_none());
        assert_eq!(kept(&directory, "lock"), Keeping::default());
        assert_eq!(keeps(&reader).unwrap(), Keeping::default());
        assert_eq!(keeps(&reader).unwrap(), kept(&directory, "lock"));
        assert_eq!(letters(&directory, "lock"), Letters::Apart);
        std::fs::write(place.path().join("LOCK"), "").unwrap();
        assert_eq!(letters(&directory, "lock"), Letters::Same);
    }
}
