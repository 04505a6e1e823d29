//! Message buses (D-Bus): a service on one is watched by a task that comes back when the bus or the service does.
//!
//! What zbus does where one would expect otherwise: a stream that nobody polls stops its whole connection, replies
//! included, once 64 messages wait; a connection that ended stays so; a call waits for ever. So each service has a
//! connection of its own, its signals are always taken and thrown away if nobody wants them, and each call has a
//! deadline.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use zbus::connection::Builder;
use zbus::names::OwnedUniqueName;
use zbus::{Connection, Message, MessageStream};

use crate::os::causes::chain;

/// How long a bus may take to let us in.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long until a bus that is gone is tried again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Signals that may wait to be read. Those that come while it is full are thrown away: a signal says "look again", and
/// that is said already.
const SIGNALS: usize = 64;

/// Where the bus itself answers.
const DRIVER: (&str, &str) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");

/// Which bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// The machine's.
    System,
    /// The user's session's.
    Session,
    /// The one at this address, in the notation of the D-Bus specification.
    At(String),
}

/// Why a bus could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It is not there, or does not let us in.
    #[error("reach the {0}")]
    Connect(&'static str, #[source] zbus::Error),
    /// It does not answer in time.
    #[error("reach the {0}: it does not answer")]
    Silent(&'static str),
    /// It does not let us listen.
    #[error("listen on the {0}")]
    Listen(&'static str, #[source] zbus::Error),
}

impl Bus {
    /// Connects to it. A call over this connection is given up after `deadline`.
    pub async fn connect(&self, deadline: Duration) -> Result<Connection, BusError> {
        let builder = match self {
            Self::System => Builder::system(),
            Self::Session => Builder::session(),
            Self::At(address) => Builder::address(address.as_str()),
        };
        match timeout(PATIENCE, builder.method_timeout(deadline).build()).await {
            Ok(connected) => connected.map_err(|error| BusError::Connect(self.name(), error)),
            Err(_) => Err(BusError::Silent(self.name())),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::System => "system bus",
            Self::Session => "session bus",
            Self::At(_) => "message bus",
        }
    }
}

/// How a service stands.
#[derive(Debug, Clone)]
pub enum Presence {
    /// It was not found out yet.
    Unknown,
    /// It is there.
    Here(Peer),
    /// The bus is there, the service is not.
    Absent(NotRunning),
    /// The bus is not there, with the reason as a fragment that fits after "could not".
    NoBus(String),
}

/// A running service. Calls go to the process that it is now, by its unique name: they never start one, and never reach
/// its successor.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The connection to its bus.
    pub connection: Connection,
    /// Its unique name.
    pub owner: OwnedUniqueName,
}

/// What a service is that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRunning {
    /// Nobody can start it: most likely it is not installed.
    Unknown,
    /// The bus would start it for whoever calls it, which we do not.
    Startable,
}

/// A service that is watched. Dropping it ends the watch and its connection.
#[derive(Debug)]
pub struct Service {
    /// How it stands; each process that takes its name is a change.
    pub standing: watch::Receiver<Presence>,
    /// Its signals, those that were asked for. If they come faster than they are read, some are left out.
    pub signals: mpsc::Receiver<Message>,
    _task: AbortOnDropHandle<()>,
}

/// How a service stands at this moment. It is not started.
pub async fn standing(bus: Bus, name: &'static str, deadline: Duration) -> Presence {
    let mut service = Watched { bus, name, signals: &[], deadline }.watch();
    let known = |standing: &Presence| !matches!(standing, Presence::Unknown);
    match timeout(PATIENCE.saturating_mul(2), service.standing.wait_for(known)).await {
        Ok(Ok(standing)) => standing.clone(),
        Ok(Err(_)) | Err(_) => Presence::NoBus("reach the bus: it does not answer".into()),
    }
}

/// What is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The bus that the service is on.
    pub bus: Bus,
    /// Its well-known name.
    pub name: &'static str,
    /// The signals that are wanted, each as a match rule of the D-Bus specification, without `type` and `sender`:
    /// `"interface='org.example.Thing',member='Happened'"`.
    pub signals: &'static [&'static str],
    /// How long a call to it may take.
    pub deadline: Duration,
}

impl Watched {
    /// Begins to watch.
    #[must_use]
    pub fn watch(self) -> Service {
        let (to_standing, standing) = watch::channel(Presence::Unknown);
        let (to_signals, signals) = mpsc::channel(SIGNALS);
        let task = tokio::spawn(async move {
            let mut pause = PAUSES.0;
            loop {
                // Only a bus that is gone ends it. One that let us in is tried anew soon.
                let error = match Session::begin(&self).await {
                    Ok(session) => {
                        pause = PAUSES.0;
                        session.last(&self, &to_standing, &to_signals).await
                    }
                    Err(error) => error,
                };
                to_standing.send_replace(Presence::NoBus(chain(&error)));
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(PAUSES.1);
            }
        });
        Service { standing, signals, _task: AbortOnDropHandle::new(task) }
    }
}

/// One connection's time.
struct Session {
    connection: Connection,
    owners: MessageStream,
    signals: SelectAll<MessageStream>,
    /// How the service stood at the beginning.
    first: Presence,
}

impl Session {
    /// Connects, and listens before anything is asked, so that nothing falls in between.
    async fn begin(watched: &Watched) -> Result<Self, BusError> {
        let connection = watched.bus.connect(watched.deadline).await?;
        let listen = |error| BusError::Listen(watched.bus.name(), error);
        let driver = DRIVER.0;
        let rule = format!("type='signal',sender='{driver}',member='NameOwnerChanged',arg0='{}'", watched.name);
        let owners = MessageStream::for_match_rule(rule.as_str(), &connection, None).await.map_err(listen)?;
        let mut session = Self { connection, owners, signals: SelectAll::new(), first: Presence::Unknown };
        let owner = session.owner(watched.name).await.map_err(listen)?;
        session.first = session.standing(watched.name, owner).await;
        // Last, since from here on somebody has to take them.
        for rule in watched.signals {
            let rule = format!("type='signal',sender='{}',{rule}", watched.name);
            let stream = MessageStream::for_match_rule(rule.as_str(), &session.connection, None).await;
            session.signals.push(stream.map_err(listen)?);
        }
        Ok(session)
    }

    /// Tells what happens until the connection ends, and why it did.
    async fn last(
        mut self,
        watched: &Watched,
        standing: &watch::Sender<Presence>,
        signals: &mpsc::Sender<Message>,
    ) -> BusError {
        let lost = |error| BusError::Connect(watched.bus.name(), error);
        standing.send_replace(self.first.clone());
        loop {
            tokio::select! {
                // A change of owner goes first: signals of the new one make no sense before it.
                biased;
                changed = self.owners.next() => match changed.unwrap_or_else(|| Err(ended())) {
                    Ok(message) => match new_owner(&message) {
                        Ok(owner) => {
                            standing.send_replace(self.standing(watched.name, owner).await);
                        }
                        Err(error) => return lost(error),
                    },
                    Err(error) => return lost(error),
                },
                Some(signal) = self.signals.next() => match signal {
                    Ok(message) => {
                        // Full, or nobody reads them: see SIGNALS.
                        let _ = signals.try_send(message);
                    }
                    Err(error) => return lost(error),
                },
                () = self.connection.closed() => return lost(ended()),
            }
        }
    }

    async fn standing(&self, name: &str, owner: Option<OwnedUniqueName>) -> Presence {
        match owner {
            Some(owner) => Presence::Here(Peer { connection: self.connection.clone(), owner }),
            None => Presence::Absent(self.absence(name).await),
        }
    }

    async fn owner(&self, name: &str) -> zbus::Result<Option<OwnedUniqueName>> {
        let (driver, path) = DRIVER;
        let asked = self.connection.call_method(Some(driver), path, Some(driver), "GetNameOwner", &name).await;
        match asked {
            Ok(reply) => reply.body().deserialize().map(Some),
            Err(zbus::Error::FDO(error)) if matches!(*error, zbus::fdo::Error::NameHasNoOwner(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn absence(&self, name: &str) -> NotRunning {
        let (driver, path) = DRIVER;
        let asked = self.connection.call_method(Some(driver), path, Some(driver), "ListActivatableNames", &()).await;
        let startable = asked.is_ok_and(|reply| {
            reply.body().deserialize::<Vec<String>>().is_ok_and(|names| names.iter().any(|known| known == name))
        });
        if startable { NotRunning::Startable } else { NotRunning::Unknown }
    }
}

/// Who has the name now.
fn new_owner(message: &Message) -> zbus::Result<Option<OwnedUniqueName>> {
    let (_name, _before, owner): (String, String, String) = message.body().deserialize()?;
    if owner.is_empty() { Ok(None) } else { Ok(Some(OwnedUniqueName::try_from(owner)?)) }
}

fn ended() -> zbus::Error {
    zbus::Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
}
