//! The parameters of a call: what each type looks like on the wire, and how they are taken out.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{CallError, Moment};
use crate::model::{
    Among, Earnest, Existing, Intruding, Pruning, RestoreEnding, SampleShare, SnapshotName, SyncName, VolumeName,
    Weighing, Worded as _,
};

/// A type that a parameter can have.
pub(super) trait Parameter: Sized {
    /// The type as the description of the interface writes it; one that begins with `?` may be left out, or null.
    const KIND: &'static str;

    /// What it is where it is left out; `None` if it may not be.
    fn absent() -> Option<Self> {
        None
    }

    /// Reads a value that is not null.
    fn read(value: &Value) -> Option<Self>;

    /// Writes it.
    fn write(&self) -> Value;
}

impl Parameter for String {
    const KIND: &'static str = "string";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(ToOwned::to_owned)
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

impl Parameter for Option<String> {
    const KIND: &'static str = "?string";

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn read(value: &Value) -> Option<Self> {
        String::read(value).map(Some)
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

impl Parameter for Vec<String> {
    const KIND: &'static str = "[]string";

    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::read).collect()
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

/// A moment of the past.
impl Parameter for Option<Moment> {
    const KIND: &'static str = "?string";

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok().map(Moment).map(Some)
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

/// Whether what is there is overwritten.
impl Parameter for Existing {
    const KIND: &'static str = "?bool";

    fn absent() -> Option<Self> {
        Some(Self::Stays)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_bool().map(|force| if force { Self::Replaced } else { Self::Stays })
    }

    fn write(&self) -> Value {
        json!(*self == Self::Replaced)
    }
}

/// Whether only a destination is prepared in which nothing else lies.
impl Parameter for Intruding {
    const KIND: &'static str = "?bool";

    fn absent() -> Option<Self> {
        Some(Self::Allowed)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_bool().map(|only_free| if only_free { Self::Refused } else { Self::Allowed })
    }

    fn write(&self) -> Value {
        json!(*self == Self::Refused)
    }
}

/// Whether only what is deleted is looked for.
impl Parameter for Among {
    const KIND: &'static str = "?bool";

    fn absent() -> Option<Self> {
        Some(Self::All)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_bool().map(|deleted| if deleted { Self::Deleted } else { Self::All })
    }

    fn write(&self) -> Value {
        json!(*self == Self::Deleted)
    }
}

/// Whether it is a dry run.
impl Parameter for Earnest {
    const KIND: &'static str = "?bool";

    fn absent() -> Option<Self> {
        Some(Self::Real)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_bool().map(|dry_run| if dry_run { Self::Pretended } else { Self::Real })
    }

    fn write(&self) -> Value {
        json!(*self == Self::Pretended)
    }
}

/// How a restore ended, by its word.
impl Parameter for RestoreEnding {
    const KIND: &'static str = "string";

    fn read(value: &Value) -> Option<Self> {
        Self::of_word(value.as_str()?)
    }

    fn write(&self) -> Value {
        json!(self.as_str())
    }
}

/// How much of a copy is read, in percent; all of it if it is not said.
impl Parameter for SampleShare {
    const KIND: &'static str = "?int";

    fn absent() -> Option<Self> {
        Some(Self::ALL)
    }

    fn read(value: &Value) -> Option<Self> {
        Self::percent(u8::try_from(value.as_u64()?).ok()?)
    }

    fn write(&self) -> Value {
        json!(self.as_percent())
    }
}

/// A snapshot.
impl Parameter for Option<SnapshotName> {
    const KIND: &'static str = "?string";

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok().map(Some)
    }

    fn write(&self) -> Value {
        json!(self.map(|name| name.to_string()))
    }
}

impl Parameter for SyncName {
    const KIND: &'static str = "string";

    fn read(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn write(&self) -> Value {
        json!(self.as_str())
    }
}

impl Parameter for VolumeName {
    const KIND: &'static str = "string";

    fn read(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn write(&self) -> Value {
        json!(self.as_str())
    }
}

impl Parameter for Option<SyncName> {
    const KIND: &'static str = "?string";

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn read(value: &Value) -> Option<Self> {
        SyncName::read(value).map(Some)
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, SyncName::write)
    }
}

/// Names, each once: a message has room for a hundred thousand, and each is looked up.
impl Parameter for Vec<SyncName> {
    const KIND: &'static str = "?[]string";

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn read(value: &Value) -> Option<Self> {
        let (mut names, mut seen) = (Self::new(), BTreeSet::new());
        for value in value.as_array()? {
            let name = SyncName::read(value)?;
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Some(names)
    }

    fn write(&self) -> Value {
        self.iter().map(SyncName::write).collect()
    }
}

impl Parameter for bool {
    const KIND: &'static str = "?bool";

    fn absent() -> Option<Self> {
        Some(false)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

/// Whether it is a dry run.
impl Parameter for Pruning {
    const KIND: &'static str = "?bool";

    fn absent() -> Option<Self> {
        Some(Self::Real)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_bool().map(|dry_run| if dry_run { Self::Pretended } else { Self::Real })
    }

    fn write(&self) -> Value {
        json!(*self == Self::Pretended)
    }
}

/// Whether weights are wanted. A daemon that does not know of them is not told that they are not.
impl Parameter for Weighing {
    const KIND: &'static str = "?bool";

    fn absent() -> Option<Self> {
        Some(Self::Unwanted)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_bool().map(|wanted| if wanted { Self::Wanted } else { Self::Unwanted })
    }

    fn write(&self) -> Value {
        match self {
            Self::Wanted => Value::Bool(true),
            Self::Unwanted => Value::Null,
        }
    }
}

/// A length of time, in whole seconds.
impl Parameter for Option<Duration> {
    const KIND: &'static str = "?int";

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_u64().map(|seconds| Some(Duration::from_secs(seconds)))
    }

    fn write(&self) -> Value {
        json!(self.map(|length| length.as_secs()))
    }
}

/// How many runs are told; 50 if it is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimit(pub u32);

impl Parameter for HistoryLimit {
    const KIND: &'static str = "?int";

    fn absent() -> Option<Self> {
        Some(Self(50))
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_u64().map(|limit| Self(u32::try_from(limit).unwrap_or(u32::MAX)))
    }

    fn write(&self) -> Value {
        json!(self.0)
    }
}

/// The parameters of a call; each is taken once, and none may be left.
pub(super) struct Given(pub(super) Map<String, Value>);

impl Given {
    pub(super) fn take<T: Parameter>(&mut self, key: &str) -> Result<T, CallError> {
        let value = self.0.remove(key).filter(|value| !value.is_null());
        value.map_or_else(T::absent, |value| T::read(&value)).ok_or_else(|| invalid(key))
    }

    /// A parameter that we do not know may forbid something (`dry_run` did once): it is refused, never passed over.
    pub(super) fn done(self) -> Result<(), CallError> {
        self.0.keys().next().map_or(Ok(()), |key| Err(invalid(key)))
    }
}

fn invalid(parameter: &str) -> CallError {
    CallError::InvalidParameter { parameter: parameter.to_owned() }
}
