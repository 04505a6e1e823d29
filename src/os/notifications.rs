//! Desktop notifications (Desktop Notifications Specification 1.2), over the session bus.
//!
//! Calls go to the process that shows notifications now, by its unique name: ids mean nothing to its successor, which
//! may have given the same ones to others. A signal stream that nobody polls stops its whole connection, so what is
//! heard goes through a task that always polls, and throws away what does not fit.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::select;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::proxy::CacheProperties;

use zbus::{Connection, MatchRule, Message, MessageStream, Variant};

use crate::formats::announcement::{Buttons, without_markup};
use crate::model::{Button, Notification, Weight};

/// How long the bus, and each answer of the service, may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Reactions that may wait to be read.
const REACTIONS: usize = 64;

/// How long until it is looked for a session bus again that was not there.
const UNTIL_A_BUS: Duration = Duration::from_mins(1);

const NAME: &str = "org.freedesktop.Notifications";

/// The key of the one button.
const HOLD: &str = "hold";

/// Why a notification was not shown.
#[derive(Debug, thiserror::Error)]
pub enum NotificationsError {
    /// There is no session bus, or it does not let us in.
    #[error("reach the session bus")]
    Bus(#[source] zbus::Error),
    /// The session bus does not answer.
    #[error("reach the session bus: it does not answer")]
    Silent,
    /// Nobody shows notifications, or does not answer.
    #[error("show a notification")]
    Service(#[from] zbus::Error),
}

impl NotificationsError {
    /// Whether the service, or the bus, has gone; what does not answer has not.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Service(zbus::Error::InputOutput(error)) => error.kind() != io::ErrorKind::TimedOut,
            Self::Service(_) | Self::Bus(_) => true,
            Self::Silent => false,
        }
    }
}

#[zbus::proxy(interface = "org.freedesktop.Notifications", default_path = "/org/freedesktop/Notifications")]
trait Notifications {
    fn get_capabilities(&self) -> zbus::Result<Vec<String>>;

    #[expect(clippy::too_many_arguments, reason = "the specification has them")]
    fn notify(
        &self,
        app_name: &str,
        replaces_id: u32,
        app_icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Variant<'_>>,
        expire_timeout: i32,
    ) -> zbus::Result<u32>;

    fn close_notification(&self, id: u32) -> zbus::Result<()>;
}

/// A notification that is shown, on one desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotificationId(u32);

/// What a person, or time, does with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// They press its button.
    Pressed(NotificationId, Button),
    /// It is shown no longer.
    Closed(NotificationId),
}

/// The service that shows notifications, for as long as the process that it is now lives.
#[derive(Debug)]
pub struct Desk {
    service: NotificationsProxy<'static>,
    buttons: Buttons,
    markup: Markup,
    reactions: mpsc::Receiver<Reaction>,
    _listener: AbortOnDropHandle<()>,
}

/// What the service makes of `<b>` and `&amp;` in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Markup {
    Obeyed,
    Shown,
}

impl Desk {
    /// Looks for the service; where the bus can start it, it is started. Nothing is tried twice.
    pub async fn find() -> Result<Self, NotificationsError> {
        let connecting = Builder::session().method_timeout(DEADLINE).build();
        let connection = timeout(DEADLINE, connecting).await.map_err(|_| NotificationsError::Silent)?;
        let connection = connection.map_err(NotificationsError::Bus)?;
        let capabilities = proxy(&connection, NAME).await?.get_capabilities().await?;
        let has = |name: &str| capabilities.iter().any(|capability| capability == name);
        let bus = DBusProxy::new(&connection).await?;
        let owner = bus.get_name_owner(NAME.try_into()?).await.map_err(zbus::Error::from)?;
        let service = proxy(&connection, owner.clone()).await?;
        let (reactions, listener) = listen(&connection, &owner).await?;
        Ok(Self {
            service,
            buttons: if has("actions") { Buttons::Shown } else { Buttons::Left },
            markup: if has("body-markup") { Markup::Obeyed } else { Markup::Shown },
            reactions,
            _listener: listener,
        })
    }

    /// Whether it can show buttons.
    #[must_use]
    pub fn buttons(&self) -> Buttons {
        self.buttons
    }

    /// Shows a notification, in the place of an older one if there is one.
    pub async fn show(
        &self,
        notification: &Notification,
        replaced: Option<NotificationId>,
    ) -> Result<NotificationId, NotificationsError> {
        let Notification { summary, body, weight, button } = notification;
        let body = if self.markup == Markup::Obeyed { without_markup(body) } else { body.into() };
        let actions: &[&str] = match button {
            Some(Button::Hold) => &[HOLD, "Hold"],
            None => &[],
        };
        let (urgency, expires) = match weight {
            Weight::Passing(within) => (0_u8, within.map_or(-1, milliseconds)),
            Weight::Standing => (1, -1),
            Weight::Pressing => (2, -1),
        };
        let mut hints = HashMap::from([("urgency", Variant::from(urgency))]);
        if matches!(weight, Weight::Passing(_)) {
            hints.insert("transient", Variant::from(true));
        }
        let replaced = replaced.map_or(0, |id| id.0);
        let icon = "drive-removable-media";
        let shown = self.service.notify("Nomad Backup", replaced, icon, summary, &body, actions, hints, expires);
        Ok(NotificationId(shown.await?))
    }

    /// Takes a notification away. One that is shown no longer is none to take away.
    pub async fn close(&self, id: NotificationId) -> Result<(), NotificationsError> {
        match self.service.close_notification(id.0).await {
            // The specification has an empty error for it, and services differ.
            Ok(()) | Err(zbus::Error::MethodError(..)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for what happens to the notifications of this and all other programs; `None` once the service is gone.
    pub async fn reaction(&mut self) -> Option<Reaction> {
        self.reactions.recv().await
    }
}

/// Shows one notification for a program that does not stay, if anybody shows notifications.
pub fn show_alone(notification: &Notification) -> Result<(), NotificationsError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| NotificationsError::Bus(error.into()))?;
    runtime.block_on(async { Desk::find().await?.show(notification, None).await.map(|_| ()) })
}

/// Waits until somebody shows notifications on the session bus.
pub async fn somebody_is_there() {
    while appears().await.is_err() {
        // There may be no bus before somebody logs in, and nothing tells of that.
        tokio::time::sleep(UNTIL_A_BUS).await;
    }
}

async fn appears() -> Result<(), NotificationsError> {
    let connecting = Builder::session().method_timeout(DEADLINE).build();
    let connection = timeout(DEADLINE, connecting).await.map_err(|_| NotificationsError::Silent)?;
    let connection = connection.map_err(NotificationsError::Bus)?;
    let mut changes = MessageStream::for_match_rule(changes_of_owner(NAME)?, &connection, None).await?;
    let bus = DBusProxy::new(&connection).await?;
    if bus.name_has_owner(NAME.try_into()?).await.map_err(zbus::Error::from)? {
        return Ok(());
    }
    while let Some(message) = changes.next().await {
        let body = message?.body();
        let (_, _, owner): (&str, &str, &str) = body.deserialize()?;
        if !owner.is_empty() {
            return Ok(());
        }
    }
    Err(NotificationsError::Silent)
}

fn changes_of_owner(name: &str) -> zbus::Result<MatchRule<'static>> {
    let bus = MatchRule::builder().msg_type(Type::Signal).sender("org.freedesktop.DBus");
    bus.member("NameOwnerChanged").arg(0, name.to_owned()).build()
}

async fn proxy<'a, T>(connection: &Connection, name: T) -> zbus::Result<NotificationsProxy<'a>>
where
    T: TryInto<BusName<'a>>,
    T::Error: Into<zbus::Error>,
{
    let builder = NotificationsProxy::builder(connection).destination(name);
    builder.cache_properties(CacheProperties::No).build().await
}

fn milliseconds(length: Duration) -> i32 {
    i32::try_from(length.as_millis()).unwrap_or(i32::MAX)
}

async fn listen(
    connection: &Connection,
    owner: &OwnedUniqueName,
) -> zbus::Result<(mpsc::Receiver<Reaction>, AbortOnDropHandle<()>)> {
    let reactions = MatchRule::builder().msg_type(Type::Signal).sender(owner.to_string()).interface(NAME).build()?;
    let farewell = changes_of_owner(owner.as_str())?;
    let reactions = MessageStream::for_match_rule(reactions, connection, None).await?;
    let farewell = MessageStream::for_match_rule(farewell, connection, None).await?;
    let (to_reader, reader) = mpsc::channel(REACTIONS);
    let task = tokio::spawn(async move {
        let farewell = farewell.map(|_| None);
        let mut heard = select(reactions.map(Some), farewell);
        while let Some(Some(Ok(message))) = heard.next().await {
            if let Some(reaction) = reaction(&message) {
                // Full means that a program of this session floods it: then a reaction may be lost.
                let _ = to_reader.try_send(reaction);
            }
        }
    });
    Ok((reader, AbortOnDropHandle::new(task)))
}

fn reaction(message: &Message) -> Option<Reaction> {
    let header = message.header();
    let body = message.body();
    match header.member()?.as_str() {
        "ActionInvoked" => {
            let (id, key): (u32, &str) = body.deserialize().ok()?;
            (key == HOLD).then_some(Reaction::Pressed(NotificationId(id), Button::Hold))
        }
        "NotificationClosed" => {
            let (id, _reason): (u32, u32) = body.deserialize().ok()?;
            Some(Reaction::Closed(NotificationId(id)))
        }
        _ => None,
    }
}
