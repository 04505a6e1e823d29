//! Who comes: one task a connection, so that a slow, hostile or vanished client only ever stops itself.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::answers::answer;
use super::asking::Doors;
use super::errands::ERRANDS;
use super::wire::{Crowd, Incoming, Line, Replies};
use super::witness::restore_ended;
use crate::formats::wire::{CallError, MethodCall, Mode, Request};
use crate::model::RestoreEnding;
use crate::os::socket::is_admitted;

/// How many clients are served at once.
const CONNECTIONS: usize = 64;

/// How long to wait when the process has no descriptor left for another client.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Serves every client that comes, until it is aborted.
pub async fn serve(listener: UnixListener, doors: Doors) {
    let mut conversations = JoinSet::new();
    let crowd = watch::Sender::new(Crowd::Room);
    let errands = Arc::new(Semaphore::new(ERRANDS));
    loop {
        tokio::select! {
            // Who has ended holds no place any more when the next one is counted.
            biased;
            Some(_) = conversations.join_next() => {
                crowd.send_if_modified(|crowd| mem::replace(crowd, Crowd::Room) != Crowd::Room);
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if !is_admitted(&stream) => drop(stream),
                Ok((stream, _)) if conversations.len() >= CONNECTIONS => {
                    refuse(&stream);
                    crowd.send_replace(Crowd::Full);
                }
                Ok((stream, _)) => {
                    conversations.spawn(hold(stream, doors.clone(), crowd.subscribe(), Arc::clone(&errands)));
                }
                Err(_) => tokio::time::sleep(EXHAUSTED).await,
            },
        }
    }
}

/// A client that is one too many learns so, if it takes the message at once.
fn refuse(stream: &UnixStream) {
    let limit = u64::try_from(CONNECTIONS).unwrap_or(u64::MAX);
    let _ = stream.try_write(&CallError::TooManyConnections { limit }.frame());
}

/// Answers the calls of one client of the same process, until it leaves or breaks the rules.
pub async fn converse(stream: UnixStream, doors: Doors) {
    let crowd = watch::Sender::new(Crowd::Room);
    hold(stream, doors, crowd.subscribe(), Arc::new(Semaphore::new(ERRANDS))).await;
}

async fn hold(stream: UnixStream, doors: Doors, crowd: watch::Receiver<Crowd>, errands: Arc<Semaphore>) {
    let (read, write) = stream.into_split();
    let (incoming, replies) = (Incoming::new(read, crowd), Replies::new(write));
    let mut line = Line { incoming, replies, restoring: Vec::new() };
    answer_calls(&mut line, &doors, &errands).await;
    for key in line.restoring {
        restore_ended((key, None), RestoreEnding::Cut, &doors.asks).await;
    }
}

async fn answer_calls(line: &mut Line, doors: &Doors, errands: &Arc<Semaphore>) {
    loop {
        let frame = match line.incoming.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(reason) => {
                let _ = line.replies.fail(&CallError::BadMessage { reason }).await;
                return;
            }
        };
        let call = match MethodCall::read(&frame) {
            Ok(call) => call,
            Err(bad) => {
                let _ = line.replies.fail(&CallError::BadMessage { reason: bad.to_string() }).await;
                return;
            }
        };
        line.replies.mode = call.mode();
        let answered = match Request::read(&call) {
            Ok(request) => answer(request, doors, errands, line).await,
            Err(error) => line.replies.fail(&error).await,
        };
        if answered.is_err() {
            return;
        }
        line.replies.mode = Mode::Once;
    }
}
