//! When a possible and due sync may start: `when = { … }`.

use std::fmt;

use jiff::civil::Time;

/// All conditions of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// Whether it may run over a metered connection.
    pub metered: MeteredRule,
    /// What it asks of the battery.
    pub battery: BatteryRule,
    /// The hours of the day in which it may start; `None` for all.
    pub hours: Option<Hours>,
}

/// Whether a sync may run over a metered connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeteredRule {
    /// It waits for a connection that is not metered.
    Avoid,
    /// It runs anyway.
    Allow,
}

/// What a sync asks of the battery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatteryRule {
    /// Nothing.
    Any,
    /// Mains power.
    Mains,
    /// Mains power, or at least this charge in percent, 0 to 100.
    AtLeast(u8),
}

impl BatteryRule {
    /// What is told of a battery that holds so much, or nobody knows how much, and that is too little.
    #[must_use]
    pub fn shortfall(self, left: Option<u8>) -> String {
        match (self, left) {
            (Self::AtLeast(wanted), Some(left)) => format!("the battery holds {left} %, and it wants {wanted} %"),
            (Self::AtLeast(wanted), None) => format!("the machine runs on battery, and it wants {wanted} % of it"),
            (Self::Mains | Self::Any, _) => "the machine runs on battery".into(),
        }
    }
}

/// A span of local time, from the first minute on, up to but without the last; it may pass midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// The first minute in which a run may start.
    pub from: Time,
    /// The minute from which on no run starts.
    pub to: Time,
}

impl Hours {
    /// Whether a run may start at this local time. A span whose ends are equal is the whole day.
    #[must_use]
    pub fn contain(&self, time: Time) -> bool {
        if self.from < self.to { self.from <= time && time < self.to } else { time >= self.from || time < self.to }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from.hour(), self.from.minute(), self.to.hour(), self.to.minute())
    }
}
