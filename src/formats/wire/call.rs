//! Calls and replies: the envelopes of Varlink.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{CallError, MAX_DEPTH, nests_within};

/// Why a frame is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// It nests too deep.
    #[error("the message nests deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// It is no JSON, or not of the shape of a message.
    #[error("the message is not a Varlink message: {0}")]
    Malformed(String),
}

/// What a caller wants back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One reply.
    Once,
    /// Replies as things change, until the last one.
    More,
    /// Nothing, not even an error.
    Oneway,
}

/// A call as it stands in a frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodCall {
    /// The method with its interface: `org.nbkp.Daemon.Status`.
    pub method: String,
    /// The parameters by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
    /// Whether several replies are welcome.
    #[serde(default, skip_serializing_if = "is_false")]
    more: bool,
    /// Whether no reply is wanted.
    #[serde(default, skip_serializing_if = "is_false")]
    oneway: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl MethodCall {
    /// A call of a method with parameters.
    #[must_use]
    pub fn new(method: &str, parameters: Map<String, Value>, mode: Mode) -> Self {
        Self {
            method: method.to_owned(),
            parameters: Some(parameters),
            more: mode == Mode::More,
            oneway: mode == Mode::Oneway,
        }
    }

    /// Reads a frame that anyone may have sent.
    pub fn read(frame: &[u8]) -> Result<Self, BadMessage> {
        if !nests_within(frame, MAX_DEPTH) {
            return Err(BadMessage::TooDeep { limit: MAX_DEPTH });
        }
        serde_json::from_slice(frame).map_err(|error| BadMessage::Malformed(error.to_string()))
    }

    /// What the caller wants back.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match (self.oneway, self.more) {
            (true, _) => Mode::Oneway,
            (false, true) => Mode::More,
            (false, false) => Mode::Once,
        }
    }

    /// The frame, with its NUL.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        terminated(serde_json::to_vec(self))
    }
}

/// Whether more replies follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// More replies follow.
    Continues,
    /// This is the last one.
    Ends,
}

/// What can be the parameters of a reply.
pub trait Parameters: Serialize {}

impl<T: Serialize> Parameters for T {}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    parameters: &'a T,
    #[serde(skip_serializing_if = "is_false")]
    continues: bool,
}

/// The frame of a reply, with its NUL.
#[must_use]
pub fn reply_frame<T: Parameters>(parameters: &T, flow: Flow) -> Vec<u8> {
    terminated(serde_json::to_vec(&Outgoing { parameters, continues: flow == Flow::Continues }))
}

#[derive(Serialize)]
struct OutgoingError<'a> {
    error: &'a str,
    parameters: Map<String, Value>,
}

impl CallError {
    /// The frame of this error, with its NUL.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        terminated(serde_json::to_vec(&OutgoingError { error: self.name(), parameters: self.parameters() }))
    }
}

/// Our own types always have a JSON text; if one ever had not, the caller learns that rather than nothing.
fn terminated(text: serde_json::Result<Vec<u8>>) -> Vec<u8> {
    let mut frame = text.unwrap_or_else(|_| {
        br#"{"error":"org.nbkp.Daemon.Failed","parameters":{"message":"the reply cannot be written as JSON"}}"#.to_vec()
    });
    frame.push(0);
    frame
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    continues: bool,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
}

/// A reply as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The parameters as JSON text.
    pub parameters: String,
    /// Whether more replies follow.
    pub flow: Flow,
}

impl Reply {
    /// Reads a frame of the daemon; an error reply becomes an error.
    pub fn read(frame: &[u8]) -> Result<Result<Self, CallError>, BadMessage> {
        let malformed = |error: serde_json::Error| BadMessage::Malformed(error.to_string());
        let incoming: Incoming<'_> = serde_json::from_slice(frame).map_err(malformed)?;
        let parameters = incoming.parameters.map_or("{}", RawValue::get);
        if let Some(error) = incoming.error {
            return Ok(Err(CallError::read(&error, parameters)));
        }
        let flow = if incoming.continues { Flow::Continues } else { Flow::Ends };
        Ok(Ok(Self { parameters: parameters.to_owned(), flow }))
    }

    /// The parameters as nouns.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, BadMessage> {
        serde_json::from_str(&self.parameters).map_err(|error| BadMessage::Malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_says_what_it_wants_back() {
        for (text, mode) in [
            (r#"{"method":"a.B"}"#, Mode::Once),
            (r#"{"method":"a.B","more":true}"#, Mode::More),
            (r#"{"method":"a.B","parameters":{},"oneway":true,"more":true}"#, Mode::Oneway),
            (r#"{"method":"a.B","upgrade":false,"parameters":null}"#, Mode::Once),
        ] {
            assert_eq!(MethodCall::read(text.as_bytes()).unwrap().mode(), mode, "{text}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_reason() {
        let deep = format!("{{\"method\":\"a.B\",\"parameters\":{}1{}}}", "[".repeat(40), "]".repeat(40));
        assert_eq!(MethodCall::read(deep.as_bytes()), Err(BadMessage::TooDeep { limit: 16 }));
        for bad in ["", "{", "[]", "{}", r#"{"method":1}"#, r#"{"method":"a.B","parameters":[1]}"#, "\u{1}"] {
            assert!(matches!(MethodCall::read(bad.as_bytes()), Err(BadMessage::Malformed(_))), "{bad}");
        }
        assert!(MethodCall::read(b"{\"method\":\"\xff\"}").is_err());
    }

    #[test]
    fn replies_and_errors_go_there_and_back() {
        let mut frame = reply_frame(&Map::new(), Flow::Continues);
        assert_eq!(frame.pop(), Some(0));
        assert_eq!(frame, br#"{"parameters":{},"continues":true}"#);
        assert_eq!(Reply::read(&frame), Ok(Ok(Reply { parameters: "{}".into(), flow: Flow::Continues })));
        let error = CallError::MethodNotFound { method: "a.B".into() };
        let mut frame = error.frame();
        frame.pop();
        assert_eq!(Reply::read(&frame), Ok(Err(error)));
    }

    proptest! {
        #[test]
        fn no_bytes_at_all_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = MethodCall::read(&bytes);
            let _ = Reply::read(&bytes);
        }

        #[test]
        fn no_json_like_text_makes_the_reader_panic(text in r#"[\[\]{}",:a-z0-9\\ .-]{0,200}"#) {
            if let Ok(call) = MethodCall::read(text.as_bytes()) {
                let _ = super::super::Request::read(&call);
            }
        }
    }
}
