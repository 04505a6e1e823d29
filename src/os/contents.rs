//! The contents of files, read to be compared: from the medium, in pieces, and as if nobody had read them.

use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroU64;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use rustix::fs::{Advice, AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fadvise, openat2, statx};
use sha2::{Digest as _, Sha256};

use super::directory::{Directory, DirectoryError, Errno};
use crate::model::{Digest, FileFacts, Unread};

const BELOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// So much is read at once.
const PIECE: usize = 1 << 20;
/// So many bytes stay in the memory of the kernel before it is told that they are not wanted.
const REMEMBERED: u64 = 32 << 20;

/// Whatever else wants the processor goes before this thread and those that it starts; and so does what wants the disk,
/// where its scheduler asks for priorities. There is no way back.
pub fn give_way() {
    // Who may not even do that reads on as before.
    let _refused = rustix::process::setpriority_process(None, 19);
}

/// How a regular file below a directory is; `None` if there is none, or if a link leads there.
pub fn file_facts(directory: &Directory, below: &Path) -> Result<Option<FileFacts>, DirectoryError> {
    let fail = |cause| DirectoryError::Look(directory.path_of(below), cause);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = match openat2(directory.as_fd(), below, flags, Mode::empty(), BELOW) {
        Ok(entry) => entry,
        Err(
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::XDEV | Errno::ACCESS
            // Whose directory is damaged has no file there; who lists it is told.
            | Errno::IO | Errno::UCLEAN,
        ) => return Ok(None),
        Err(cause) => return Err(fail(cause)),
    };
    let seen = statx(&entry, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(fail)?;
    if FileType::from_raw_mode(seen.stx_mode.into()) != FileType::RegularFile {
        return Ok(None);
    }
    let nanoseconds = i32::try_from(seen.stx_mtime.tv_nsec).unwrap_or_default();
    let modified = Timestamp::new(seen.stx_mtime.tv_sec, nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let changed = i128::from(seen.stx_ctime.tv_sec) * 1_000_000_000 + i128::from(seen.stx_ctime.tv_nsec);
    let device = (u64::from(seen.stx_dev_major) << 32) | u64::from(seen.stx_dev_minor);
    Ok(Some(FileFacts { size: seen.stx_size, modified, changed, inode: (device, seen.stx_ino) }))
}

/// The digest of a regular file below a directory, as the medium gives it back. It leaves no trace in the time of its
/// last reading, where that is ours to say, and none of it in the memory of the kernel. Once `told`, it is read no
/// further, and passes for one that is not there.
pub fn digest(directory: &Directory, below: &Path, told: &AtomicBool) -> Result<Digest, Unread> {
    let file = open(directory, below).map_err(unread)?;
    // What was written a moment ago is in memory still, whatever became of it on the medium.
    let _advice = fadvise(&file, 0, None, Advice::DontNeed);
    let _advice = fadvise(&file, 0, None, Advice::Sequential);
    let (mut file, mut hash) = (File::from(file), Sha256::new());
    let mut piece = vec![0_u8; PIECE];
    let (mut read, mut forgotten) = (0_u64, 0_u64);
    loop {
        if told.load(Ordering::Relaxed) {
            return Err(Unread::Gone);
        }
        let length = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unread(Errno::from_io_error(&error).unwrap_or(Errno::IO))),
        };
        hash.update(piece.get(..length).unwrap_or_default());
        read = read.saturating_add(u64::try_from(length).unwrap_or_default());
        if read - forgotten >= REMEMBERED {
            let _advice = fadvise(&file, forgotten, NonZeroU64::new(read - forgotten), Advice::DontNeed);
            forgotten = read;
        }
    }
    let _advice = fadvise(&file, 0, None, Advice::DontNeed);
    Ok(Digest(hash.finalize().into()))
}

fn open(directory: &Directory, below: &Path) -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat2(directory.as_fd(), below, flags | OFlags::NOATIME, Mode::empty(), BELOW) {
        Err(Errno::PERM) => openat2(directory.as_fd(), below, flags, Mode::empty(), BELOW),
        opened => opened,
    }
}

fn unread(cause: Errno) -> Unread {
    match cause {
        Errno::ACCESS | Errno::PERM => Unread::Forbidden,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE => Unread::Gone,
        cause => Unread::Broken(super::causes::words(cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_known_by_its_digest_and_a_link_has_none() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("abc"), "abc").unwrap();
        std::os::unix::fs::symlink("abc", place.path().join("link")).unwrap();
        let directory = Directory::open_root(place.path()).unwrap();
        let told = AtomicBool::new(false);
        let digest = |name| digest(&directory, Path::new(name), &told);
        let Digest(bytes) = digest("abc").unwrap();
        // As FIPS 180-2 has it.
        assert_eq!(bytes[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(digest("link"), Err(Unread::Gone));
        assert_eq!(digest("nothing"), Err(Unread::Gone));
        told.store(true, Ordering::Relaxed);
        assert_eq!(digest("abc"), Err(Unread::Gone), "nobody wants it any more");
        assert!(file_facts(&directory, Path::new("link")).unwrap().is_none());
        assert_eq!(file_facts(&directory, Path::new("abc")).unwrap().unwrap().size, 3);
    }
}
