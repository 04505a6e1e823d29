//! Notifications on the desktop, over the session bus (Desktop Notifications Specification 1.2).

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, Variant};

const SERVICE: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// How long the service may take to answer.
const CALL: Duration = Duration::from_secs(5);

/// Why nothing was shown.
#[derive(Debug, thiserror::Error)]
#[error("show a notification: {0}")]
pub struct NotShown(zbus::Error);

/// The id by which a service knows a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoteId(u32);

/// How much a notification wants to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// It may pass unseen.
    Low,
    /// It stays until it was seen.
    Normal,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// One line.
    pub title: String,
    /// More, as plain text.
    pub body: String,
    /// How much it wants to be seen.
    pub urgency: Urgency,
    /// What can be pressed: a word for programs, and one for people.
    pub action: Option<(&'static str, &'static str)>,
}

/// The way to the desktop.
#[derive(Debug)]
pub struct Desktop {
    connection: Connection,
    pressed: MessageStream,
    abilities: Vec<String>,
}

impl Desktop {
    /// Connects to the session bus, and asks what the service there can do.
    pub async fn connect() -> Result<Self, NotShown> {
        Self::open().await.map_err(NotShown)
    }

    async fn open() -> zbus::Result<Self> {
        let connection = zbus::connection::Builder::session().method_timeout(CALL).build().await?;
        let rule = MatchRule::builder().msg_type(Type::Signal).path(PATH).interface(SERVICE).member("ActionInvoked");
        let pressed = MessageStream::for_match_rule(rule.build()?, &connection, None).await?;
        let reply = connection.call_method(Some(SERVICE), PATH, Some(SERVICE), "GetCapabilities", &()).await?;
        let abilities = reply.body().deserialize()?;
        Ok(Self { connection, pressed, abilities })
    }

    /// Shows a notification, in the place of an earlier one if there is one.
    pub async fn show(&self, note: &Note, instead_of: Option<NoteId>) -> Result<NoteId, NotShown> {
        let can = |what: &str| self.abilities.iter().any(|ability| ability == what);
        let body = if can("body-markup") { escaped(&note.body) } else { note.body.clone() };
        let action = note.action.filter(|_| can("actions"));
        let actions: Vec<&str> = action.into_iter().flat_map(|(word, label)| [word, label]).collect();
        let urgency: u8 = match note.urgency {
            Urgency::Low => 0,
            Urgency::Normal => 1,
        };
        let hints = HashMap::from([
            ("urgency", Variant::from(urgency)),
            ("desktop-entry", Variant::from("nbkp")),
            ("category", Variant::from("device")),
        ]);
        let instead_of = instead_of.map_or(0, |id| id.0);
        let arguments =
            ("Nomad Backup", instead_of, "drive-removable-media", note.title.as_str(), body, actions, hints, -1_i32);
        let reply = self.connection.call_method(Some(SERVICE), PATH, Some(SERVICE), "Notify", &arguments).await;
        reply.and_then(|reply| reply.body().deserialize()).map(NoteId).map_err(NotShown)
    }

    /// Takes a notification away.
    pub async fn close(&self, id: NoteId) -> Result<(), NotShown> {
        let asked = (id.0,);
        let reply = self.connection.call_method(Some(SERVICE), PATH, Some(SERVICE), "CloseNotification", &asked).await;
        reply.map(drop).map_err(NotShown)
    }

    /// Waits until somebody presses something: on which notification, and its word. `None` once the bus is gone.
    pub async fn pressed(&mut self) -> Option<(NoteId, String)> {
        loop {
            let signal = self.pressed.next().await?.ok()?;
            if let Ok((id, word)) = signal.body().deserialize::<(u32, String)>() {
                return Some((NoteId(id), word));
            }
        }
    }
}

/// Some services take the body for markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_no_markup() {
        assert_eq!(super::escaped("<b>R&D</b>"), "&lt;b&gt;R&amp;D&lt;/b&gt;");
    }
}
