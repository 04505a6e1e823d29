//! `Simulate`: what is supposed, and the reply.

use serde::{Deserialize, Serialize};

use super::{CallError, Term};
use crate::model::{Consequence, Forecast, Foreseen, Supposition};

/// `Simulate`: what the daemon would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastReply {
    /// What had to be assumed, as sentences.
    pub assumed: Vec<String>,
    /// Each sync: first those that would start, in their order.
    pub syncs: Vec<ForecastEntry>,
}

/// What would become of one sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastEntry {
    /// The sync.
    pub sync: String,
    /// What would become of it.
    pub fate: Term<Consequence>,
    /// How long it would wait before it starts, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after_seconds: Option<u64>,
    /// Why, as sentences.
    pub reasons: Vec<String>,
}

impl From<Forecast> for ForecastReply {
    fn from(forecast: Forecast) -> Self {
        let entry = |foreseen: Foreseen| ForecastEntry {
            sync: foreseen.sync.to_string(),
            fate: foreseen.fate.into(),
            // A part of a second is waited for, too.
            after_seconds: foreseen.after.map(|after| after.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
            reasons: foreseen.reasons,
        };
        Self { assumed: forecast.assumed, syncs: forecast.syncs.into_iter().map(entry).collect() }
    }
}

/// What a call supposes: its event, with the volume or the location that the event is about.
pub fn supposition(event: &str, volume: Option<&str>, location: Option<&str>) -> Result<Supposition, CallError> {
    let wrong = |parameter: &str| CallError::InvalidParameter { parameter: parameter.into() };
    let volume = || volume.and_then(|name| name.parse().ok()).ok_or_else(|| wrong("volume"));
    let location = || location.and_then(|name| name.parse().ok()).ok_or_else(|| wrong("location"));
    Ok(match event {
        "plug" => Supposition::Plug(volume()?),
        "unplug" => Supposition::Unplug(volume()?),
        "join" => Supposition::Join(location()?),
        "leave" => Supposition::Leave,
        "sleep" => Supposition::Sleep,
        "metered" => Supposition::Metered,
        "unmetered" => Supposition::Unmetered,
        _ => return Err(wrong("event")),
    })
}

/// The same the other way round.
#[must_use]
pub fn supposed(what: &Supposition) -> (&'static str, Option<String>, Option<String>) {
    match what {
        Supposition::Plug(volume) => ("plug", Some(volume.to_string()), None),
        Supposition::Unplug(volume) => ("unplug", Some(volume.to_string()), None),
        Supposition::Join(location) => ("join", None, Some(location.to_string())),
        Supposition::Leave => ("leave", None, None),
        Supposition::Sleep => ("sleep", None, None),
        Supposition::Metered => ("metered", None, None),
        Supposition::Unmetered => ("unmetered", None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_supposed_goes_over_the_wire_and_back() {
        let (usb, home) = ("usb".parse().unwrap(), "home".parse().unwrap());
        let all = [
            Supposition::Plug(usb),
            Supposition::Unplug("red".parse().unwrap()),
            Supposition::Join(home),
            Supposition::Leave,
            Supposition::Sleep,
            Supposition::Metered,
            Supposition::Unmetered,
        ];
        for what in all {
            let (event, volume, location) = supposed(&what);
            assert_eq!(supposition(event, volume.as_deref(), location.as_deref()), Ok(what));
        }
        let wrong = |parameter: &str| Err(CallError::InvalidParameter { parameter: parameter.into() });
        assert_eq!(supposition("fly", None, None), wrong("event"));
        assert_eq!(supposition("plug", None, Some("home")), wrong("volume"));
        assert_eq!(supposition("join", Some("usb"), Some("-x")), wrong("location"));
    }
}
