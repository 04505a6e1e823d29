//! One connection: frames in, replies out, each under a limit and a deadline.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::formats::wire::{CallError, Deframer, Flow, MAX_REQUEST, Mode, Parameters, reply_frame};
use crate::model::RestoreKey;
use crate::os::socket::is_abandoned;

/// How long a message may take from its first byte to its last.
const A_FRAME: Duration = Duration::from_secs(5);

/// How long a client may say nothing while others wait for its place.
const A_SILENCE: Duration = Duration::from_secs(5);

/// How long a client may take to read a reply.
const A_REPLY: Duration = Duration::from_secs(10);

/// How often a client that said that it sends no more is looked at, whether it still listens.
const A_LOOK: Duration = Duration::from_secs(1);

/// Whether there is room for another client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// There is.
    Room,
    /// One was turned away: who has nothing to say makes room.
    Full,
}

/// The client is not there any more, or does not read: the conversation ends.
#[derive(Debug)]
pub(crate) struct Gone;

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) incoming: Incoming,
    pub(crate) replies: Replies,
    /// Where the client itself restores to, while syncs wait for it.
    pub(crate) restoring: Vec<RestoreKey>,
}

/// What comes in.
#[derive(Debug)]
pub(crate) struct Incoming {
    half: OwnedReadHalf,
    deframer: Deframer,
    crowd: watch::Receiver<Crowd>,
    /// Whether the client has said that it sends no more. It may still read.
    said_goodbye: bool,
}

impl Incoming {
    pub(crate) fn new(half: OwnedReadHalf, crowd: watch::Receiver<Crowd>) -> Self {
        Self { half, deframer: Deframer::new(MAX_REQUEST), crowd, said_goodbye: false }
    }

    /// The next frame; `None` once the client has left, or was silent while others waited for its place.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let silent_since = Instant::now();
        let mut complete_until = None;
        loop {
            if let Some(frame) = self.deframer.next_frame().map_err(|error| error.to_string())? {
                return Ok(Some(frame));
            }
            if self.said_goodbye {
                return Ok(None);
            }
            let mut crowd = self.crowd.clone();
            let read = if self.deframer.is_amid_a_frame() {
                let deadline = *complete_until.get_or_insert_with(|| Instant::now() + A_FRAME);
                let read = timeout_at(deadline, self.read()).await;
                read.map_err(|_| format!("it did not end within {} s", A_FRAME.as_secs()))?
            } else {
                tokio::select! {
                    read = self.read() => read,
                    () = is_in_the_way(&mut crowd, silent_since) => Err(Gone),
                }
            };
            if read.is_err() {
                return Ok(None);
            }
        }
    }

    /// Returns once the client has left. What it sends meanwhile waits for its turn, up to one message.
    pub(crate) async fn left(&mut self) {
        while !self.said_goodbye && !self.deframer.is_full() {
            if self.read().await.is_err() {
                return;
            }
        }
        // `printf … | socat` closes its sending side at once and still wants the replies.
        while !is_abandoned(self.half.as_ref()) {
            sleep(A_LOOK).await;
        }
    }

    /// Reads what is there. It may be dropped while it waits.
    async fn read(&mut self) -> Result<(), Gone> {
        let mut buffer = [0; 8192];
        let count = self.half.read(&mut buffer).await.map_err(|_| Gone)?;
        self.said_goodbye = count == 0;
        self.deframer.push(buffer.get(..count).unwrap_or_default());
        Ok(())
    }
}

/// Returns once a client that says nothing has to make room.
async fn is_in_the_way(crowd: &mut watch::Receiver<Crowd>, silent_since: Instant) {
    loop {
        if crowd.wait_for(|crowd| *crowd == Crowd::Full).await.is_err() {
            // Nobody else can come.
            return std::future::pending().await;
        }
        sleep_until(silent_since + A_SILENCE).await;
        if *crowd.borrow() == Crowd::Full {
            return;
        }
    }
}

/// What goes out.
#[derive(Debug)]
pub(crate) struct Replies {
    half: OwnedWriteHalf,
    /// What the caller of the call under way wants back.
    pub(crate) mode: Mode,
}

impl Replies {
    pub(crate) fn new(half: OwnedWriteHalf) -> Self {
        Self { half, mode: Mode::Once }
    }

    /// Sends the last reply to a call.
    pub(crate) async fn end<T: Parameters>(&mut self, parameters: &T) -> Result<(), Gone> {
        self.send(&reply_frame(parameters, Flow::Ends)).await
    }

    /// Sends a reply that others follow.
    pub(crate) async fn go_on<T: Parameters>(&mut self, parameters: &T) -> Result<(), Gone> {
        self.send(&reply_frame(parameters, Flow::Continues)).await
    }

    /// Sends an error, which is the last reply to a call.
    pub(crate) async fn fail(&mut self, error: &CallError) -> Result<(), Gone> {
        self.send(&error.frame()).await
    }

    /// Sends the last reply to a call, which may be an error.
    pub(crate) async fn conclude<T: Parameters>(&mut self, answer: Result<T, CallError>) -> Result<(), Gone> {
        match answer {
            Ok(answer) => self.end(&answer).await,
            Err(error) => self.fail(&error).await,
        }
    }

    /// Sends a frame, if the caller wants any.
    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<(), Gone> {
        if self.mode == Mode::Oneway {
            return Ok(());
        }
        match timeout(A_REPLY, self.half.write_all(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}
