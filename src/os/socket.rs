//! The control socket: made where nobody else can reach it, or taken from systemd.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::account;
use super::guards::{Exposure, prove_ours};

/// How long the path of a socket may be (`unix(7)`), without the zero byte behind it.
const LONGEST: usize = 107;

/// How many clients may wait to be let in.
const WAITING: i32 = 128;

/// What can go wrong with the socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Its directory cannot be made or looked at.
    #[error("use the directory of the socket {} (--socket names another)", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// Its directory is not ours alone.
    #[error("use the directory of the socket {}: {}; name another with --socket", .0.display(), .1)]
    Unsafe(PathBuf, Exposure),
    /// Something lies there that is no socket of a daemon that has ended.
    #[error("listen on {}: {}, or name another with --socket", .0.display(), .1)]
    Taken(PathBuf, &'static str),
    /// Its path is longer than the kernel takes.
    #[error(
        "listen on {}: its path has {} bytes, and {LONGEST} are the most; name a shorter one with --socket",
        .0.display(), .0.as_os_str().len()
    )]
    TooLong(PathBuf),
    /// It cannot be made.
    #[error("listen on {}", .0.display())]
    Bind(PathBuf, #[source] io::Error),
    /// What systemd passed is no socket.
    #[error("take the socket from systemd")]
    Inherit(#[source] io::Error),
}

/// A socket that listens. One that was made here is removed again when this is dropped.
#[derive(Debug)]
pub struct Door {
    /// The socket, set not to block.
    pub listener: UnixListener,
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// Device and inode of the socket file.
    file: (u64, u64),
    _lock: File,
}

impl Drop for Door {
    fn drop(&mut self) {
        // What a person put in its place stays. What is left of ours is taken for stale by the next start.
        if let Some(made) = &self.made
            && fs::symlink_metadata(&made.path).is_ok_and(|found| (found.dev(), found.ino()) == made.file)
        {
            let _ = fs::remove_file(&made.path);
        }
    }
}

/// Takes the socket from systemd if it passes one, and makes it otherwise.
pub fn open(path: &Path) -> Result<Door, SocketError> {
    match ListenFd::from_env().take_unix_listener(0).map_err(SocketError::Inherit)? {
        Some(listener) => {
            listener.set_nonblocking(true).map_err(SocketError::Inherit)?;
            Ok(Door { listener, made: None })
        }
        None => make(path),
    }
}

fn make(path: &Path) -> Result<Door, SocketError> {
    let bind_error = |error| SocketError::Bind(path.into(), error);
    if is_too_long(path) {
        return Err(SocketError::TooLong(path.into()));
    }
    prove_directory(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    let lock = lock(path)?;
    remove_stale(path)?;
    let listener = bind(path).map_err(|errno| bind_error(errno.into()))?;
    let found = fs::symlink_metadata(path).map_err(bind_error)?;
    let file = (found.dev(), found.ino());
    Ok(Door { listener, made: Some(Made { path: path.into(), file, _lock: lock }) })
}

/// Whether a path is longer than that of a socket can be.
#[must_use]
pub fn is_too_long(path: &Path) -> bool {
    path.as_os_str().len() > LONGEST
}

/// Makes the directory of the socket. It must be a real one, ours, and nobody else may put or swap anything in it.
pub fn prove_directory(directory: &Path) -> Result<(), SocketError> {
    let directory_error = |error| SocketError::Directory(directory.into(), error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(directory_error)?;
    prove_ours(directory).map_err(|exposure| SocketError::Unsafe(directory.into(), exposure))
}

/// Without a lock, of two daemons that find a stale socket at the same moment one would remove the other's new one. The
/// lock of the state directory does not help where the two have different ones.
fn lock(path: &Path) -> Result<File, SocketError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    let lock = options.open(PathBuf::from(name)).map_err(|error| SocketError::Bind(path.into(), error))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(SocketError::Taken(path.into(), ANSWERED)),
        Err(errno) => Err(SocketError::Bind(path.into(), errno.into())),
    }
}

const ANSWERED: &str = "another process answers there; stop it";

/// Removes a socket on which nobody listens any more, and nothing else.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let bind_error = |error| SocketError::Bind(path.into(), error);
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        // Connecting to what is no socket is refused as well (seen), so that a file would be taken for stale.
        Ok(_) => return Err(SocketError::Taken(path.into(), "something that is no socket lies there; move it away")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(bind_error(error)),
    }
    match connect_at_once(path) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(bind_error),
        // A stopped process whose queue is full is there all the same.
        Ok(()) | Err(Errno::WOULDBLOCK) => Err(SocketError::Taken(path.into(), ANSWERED)),
        Err(errno) => Err(bind_error(errno.into())),
    }
}

fn connect_at_once(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

/// The users whose own daemons answer, by name. Root sees all of them.
#[must_use]
pub fn answering_users() -> Vec<String> {
    let Ok(found) = fs::read_dir("/run/user") else { return Vec::new() };
    let users = found.flatten().filter_map(|entry| {
        let user = entry.file_name().to_str()?.parse().ok()?;
        connect_at_once(&entry.path().join("nbkp/nbkpd.sock")).ok()?;
        Some(account::name_of(user).unwrap_or_else(|_| user.to_string()))
    });
    users.collect()
}

/// The mode is set before the name exists, so that there is no moment in which another user could connect.
fn bind(path: &Path) -> Result<UnixListener, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, WAITING)?;
    Ok(UnixListener::from(socket))
}

/// Whether the process at the other end may speak to us: one of the same user, or of root. The mode of the socket says
/// the same; this holds also where somebody changed that.
#[must_use]
pub fn is_admitted(connection: impl AsFd) -> bool {
    let own = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(connection).is_ok_and(|peer| peer.uid == own || peer.uid.is_root())
}

/// The user whose process listens at the other end of a connection, if it is one who may not answer in our daemon's
/// place. That is one of the same user or of root; and, if root asks, of whom the directory of the socket belongs to
/// alone.
pub fn stranger(connection: impl AsFd, socket: &Path) -> io::Result<Option<u32>> {
    let peer = rustix::net::sockopt::socket_peercred(&connection)?.uid;
    if is_admitted(connection) {
        return Ok(None);
    }
    if !rustix::process::geteuid().is_root() {
        return Ok(Some(peer.as_raw()));
    }
    let around = fs::symlink_metadata(socket.parent().unwrap_or(Path::new("/")))?;
    let is_theirs = around.uid() == peer.as_raw() && around.mode() & 0o022 == 0;
    Ok((!is_theirs).then_some(peer.as_raw()))
}

/// The user whose process listens at the other end of a connection, unless that is the one that asks.
pub fn other_user(connection: impl AsFd) -> io::Result<Option<u32>> {
    let peer = rustix::net::sockopt::socket_peercred(connection)?.uid;
    Ok((peer != rustix::process::geteuid()).then_some(peer.as_raw()))
}

/// Whether the other side has closed its end altogether, rather than only said that it sends no more (`unix(7)`: then
/// the end hangs up).
#[must_use]
pub fn is_abandoned(connection: impl AsFd) -> bool {
    let mut watched = [PollFd::new(&connection, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let polled = poll(&mut watched, Some(&at_once));
    polled.is_ok() && watched.iter().any(|end| end.revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::net::Shutdown;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn it_is_for_this_user_alone_and_gone_with_the_daemon() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run/nbkpd.sock");
        let door = make(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        UnixStream::connect(&path).unwrap();
        drop(door);
        assert!(!path.exists());
        make(&path).unwrap();
    }

    #[test]
    fn a_socket_is_removed_only_when_nobody_answers() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("nbkpd.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead socket lies there");
        let door = make(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        let error = make(&path).unwrap_err();
        assert!(error.to_string().contains("another process answers there"), "{error}");
        UnixStream::connect(&path).expect("the first one is not disturbed");
        drop(door);
        // One of a program that knows nothing of our lock.
        let foreign = UnixListener::bind(&path).unwrap();
        assert!(matches!(make(&path), Err(SocketError::Taken(..))));
        // It accepts nothing, and the look before fills its queue: the next one does not hang.
        rustix::net::listen(&foreign, 0).unwrap();
        assert_eq!(connect_at_once(&path), Err(Errno::WOULDBLOCK));
        assert!(matches!(make(&path), Err(SocketError::Taken(..))));
    }

    #[test]
    fn what_was_put_in_its_place_is_not_removed_at_the_end() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("nbkpd.sock");
        let door = make(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(door);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn places_that_others_control_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir(root.join("open")).unwrap();
        fs::set_permissions(root.join("open"), Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(make(&root.join("open/s")), Err(SocketError::Unsafe(..))));
        fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("link")).unwrap();
        assert!(matches!(make(&root.join("link/s")), Err(SocketError::Unsafe(..))));
        if rustix::process::geteuid().is_root() {
            fs::create_dir(root.join("theirs")).unwrap();
            std::os::unix::fs::chown(root.join("theirs"), Some(65_534), None).unwrap();
            let error = make(&root.join("theirs/s")).unwrap_err();
            assert!(error.to_string().contains("belongs to another user"), "{error}");
        }
        let long = root.join("x".repeat(120));
        let error = make(&long.join("s")).unwrap_err().to_string();
        assert!(error.contains(" bytes, and 107 are the most; name a shorter one with --socket"), "{error}");
        assert!(!long.exists(), "nothing is made for it");
        // One that is as long as it can be.
        let most = "y".repeat(LONGEST - root.as_os_str().len() - "//s".len());
        make(&root.join(most).join("s")).unwrap();
    }

    #[test]
    fn what_is_no_socket_stays() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "precious").unwrap();
        symlink("file", root.path().join("link")).unwrap();
        for name in ["file", "link"] {
            assert!(matches!(make(&root.path().join(name)), Err(SocketError::Taken(..))), "{name}");
        }
        assert_eq!(fs::read(file).unwrap(), b"precious");
    }

    #[test]
    fn half_a_goodbye_is_told_from_a_whole_one() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert!(is_admitted(&ours));
        assert!(!is_abandoned(&ours));
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(!is_abandoned(&ours));
        drop(theirs);
        assert!(is_abandoned(&ours));
    }
}
