//! What would be done about an event.

use std::time::Duration;

use crate::formats::text::{printable, span};
use crate::formats::wire::{ForecastEntry, ForecastReply, Term};
use crate::model::Consequence;

/// What would be done, a line for each sync.
#[must_use]
pub fn simulate(forecast: &ForecastReply) -> String {
    let mut lines: Vec<String> = forecast.assumed.iter().map(|what| format!("assumed: {}", printable(what))).collect();
    let mut place = 0;
    for entry in &forecast.syncs {
        place += usize::from(entry.fate.is(Consequence::Starts));
        lines.push(line(entry, place));
    }
    if forecast.syncs.is_empty() {
        lines.push("there is no sync in the configuration".to_owned());
    }
    let mut text = lines.join("\n");
    text.push_str("\nnothing was done\n");
    text
}

fn line(entry: &ForecastEntry, place: usize) -> String {
    let name = printable(&entry.sync);
    let why = entry.reasons.join("; ");
    let why = printable(&why);
    match &entry.fate {
        Term::Known(Consequence::Starts) => {
            let wait = entry.after_seconds.map(|seconds| format!(" in {}", span(Duration::from_secs(seconds))));
            let turn = if place > 1 { ", behind those before it" } else { "" };
            format!("`{name}` would start{}{turn}", wait.unwrap_or_default())
        }
        Term::Known(Consequence::Interrupted) => format!("`{name}` would be interrupted: {why}"),
        Term::Known(Consequence::GoesOn) => format!("`{name}` would go on"),
        Term::Known(Consequence::Stays) => format!("`{name}` would stay as it is: {why}"),
        Term::Other(word) => format!("`{name}`: {} {why}", printable(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_would() {
        let entry = |sync: &str, fate: Consequence, after_seconds, reasons: &[&str]| ForecastEntry {
            sync: sync.into(),
            fate: fate.into(),
            after_seconds,
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        };
        let forecast = ForecastReply {
            assumed: vec!["`usb` is mounted".into()],
            syncs: vec![
                entry("a", Consequence::Starts, Some(10), &[]),
                entry("b", Consequence::Starts, None, &[]),
                entry("c", Consequence::Interrupted, None, &["the machine went to sleep"]),
                entry("d", Consequence::GoesOn, None, &[]),
                entry("e", Consequence::Stays, None, &["drive `red` is not plugged in", "it is paused"]),
            ],
        };
        let expected = "\
assumed: `usb` is mounted
`a` would start in 10 s
`b` would start, behind those before it
`c` would be interrupted: the machine went to sleep
`d` would go on
`e` would stay as it is: drive `red` is not plugged in; it is paused
nothing was done
";
        assert_eq!(simulate(&forecast), expected);
        assert!(!expected.contains("starts"));
    }
}
