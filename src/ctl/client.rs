//! The wire as the client uses it: one connection, blocking, one call after the other.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::ctl::command_error::CommandError;
use crate::formats::wire::{Deframer, Effort, MAX_REPLY, Mode, Reply, Request};
use crate::os::socket;

/// How long an answer may take that is no effort.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a daemon.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    deframer: Deframer,
}

impl Connection {
    /// Connects to the daemon that listens at a socket.
    pub fn open(socket: &Path) -> Result<Self, CommandError> {
        if socket::is_too_long(socket) {
            let why = "its path is longer than that of a socket can be; name a shorter one with --socket";
            return Err(CommandError::Usage(format!("could not reach nbkpd at {}: {why}", socket.display())));
        }
        let stream = UnixStream::connect(socket).map_err(|error| {
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
                CommandError::NotRunning(socket.into())
            } else {
                CommandError::Connect(socket.into(), error)
            }
        })?;
        match socket::stranger(&stream, socket) {
            Ok(None) => Ok(Self::over(stream)),
            Ok(Some(user)) => Err(CommandError::Stranger(socket.into(), user)),
            Err(error) => Err(CommandError::Connect(socket.into(), error)),
        }
    }

    /// Talks over a stream that is connected.
    #[must_use]
    pub fn over(stream: UnixStream) -> Self {
        Self { stream, deframer: Deframer::new(MAX_REPLY) }
    }

    /// The user that answers, unless it is the one that asks.
    pub fn other_user(&self) -> Result<Option<u32>, CommandError> {
        socket::other_user(&self.stream).map_err(CommandError::Broken)
    }

    /// Sends a request; replies are read with [`Connection::next`].
    pub fn send(&mut self, request: &Request, mode: Mode) -> Result<(), CommandError> {
        let sent = self.stream.write_all(&request.call(mode).frame());
        match sent {
            // A daemon that turns clients away tells why and hangs up; what it told is still there to be read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent.map_err(CommandError::Broken),
        }
    }

    /// Sends a request and reads its one reply.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, CommandError> {
        self.send(request, Mode::Once)?;
        match request.method().effort {
            Effort::Light => self.next_within(PATIENCE)?.ok_or(CommandError::Silent(PATIENCE.as_secs())),
            Effort::Heavy => self.next(),
        }
    }

    /// Reads the next reply, however long it takes; an error reply becomes a problem.
    pub fn next(&mut self) -> Result<Reply, CommandError> {
        self.stream.set_read_timeout(None).map_err(CommandError::Broken)?;
        // Without a time limit there is always a reply or a problem.
        self.read()?.ok_or(CommandError::Vanished)
    }

    /// Reads the next reply; `None` if nothing comes for this long.
    pub fn next_within(&mut self, limit: Duration) -> Result<Option<Reply>, CommandError> {
        self.stream.set_read_timeout(Some(limit)).map_err(CommandError::Broken)?;
        self.read()
    }

    fn read(&mut self) -> Result<Option<Reply>, CommandError> {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(frame) = self.deframer.next_frame()? {
                return Ok(Some(Reply::read(&frame)??));
            }
            let count = match self.stream.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                Err(error) => return Err(CommandError::Broken(error)),
            };
            if count == 0 {
                return Err(if self.deframer.is_amid_a_frame() {
                    CommandError::VanishedAmid
                } else {
                    CommandError::Vanished
                });
            }
            self.deframer.push(buffer.get(..count).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::formats::wire::{CallError, DoneReply, Flow, reply_frame};

    fn pair() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Connection::over(ours), theirs)
    }

    #[test]
    fn replies_are_read_in_their_order_however_they_arrive() {
        let (mut connection, mut daemon) = pair();
        let mut frames = reply_frame(&DoneReply {}, Flow::Continues);
        frames.extend(reply_frame(&DoneReply {}, Flow::Ends));
        let (first, second) = frames.split_at(5);
        daemon.write_all(first).unwrap();
        assert!(connection.next_within(Duration::from_millis(1)).unwrap().is_none());
        daemon.write_all(second).unwrap();
        assert_eq!(connection.next().unwrap().flow, Flow::Continues);
        assert_eq!(connection.next().unwrap().flow, Flow::Ends);
    }

    #[test]
    fn what_is_sent_is_what_was_asked() {
        let (mut connection, mut daemon) = pair();
        daemon.write_all(&reply_frame(&DoneReply {}, Flow::Ends)).unwrap();
        connection.ask(&Request::Ping).unwrap();
        let mut sent = [0; 512];
        let length = daemon.read(&mut sent).unwrap();
        assert_eq!(sent[..length], Request::Ping.call(Mode::Once).frame());
    }

    #[test]
    fn a_daemon_that_vanishes_is_told_apart_from_one_that_says_no() {
        let (mut connection, daemon) = pair();
        drop(daemon);
        assert!(matches!(connection.ask(&Request::Ping), Err(CommandError::Vanished)));

        let (mut connection, mut daemon) = pair();
        daemon.write_all(b"{\"param").unwrap();
        drop(daemon);
        assert!(matches!(connection.next(), Err(CommandError::VanishedAmid)));

        let (mut connection, mut daemon) = pair();
        daemon.write_all(&CallError::TooManyConnections { limit: 64 }.frame()).unwrap();
        drop(daemon);
        let refused = CommandError::Refused(CallError::TooManyConnections { limit: 64 }).to_string();
        assert_eq!(connection.ask(&Request::Ping).unwrap_err().to_string(), refused);

        let (mut connection, mut daemon) = pair();
        daemon.write_all(b"hello\0").unwrap();
        assert!(matches!(connection.next(), Err(CommandError::Unreadable(_))));
    }

    #[test]
    fn a_socket_without_a_listener_means_that_no_daemon_runs() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("sock");
        assert!(matches!(Connection::open(&socket), Err(CommandError::NotRunning(_))));
        let listener = UnixListener::bind(&socket).unwrap();
        assert!(Connection::open(&socket).is_ok());
        drop(listener);
        assert!(matches!(Connection::open(&socket), Err(CommandError::NotRunning(_))));
    }
}
