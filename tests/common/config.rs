//! Configurations, put together line by line.

use std::fmt::Write;
use std::path::Path;

use super::drive::Drive;

/// A configuration file in the making.
#[derive(Clone)]
pub struct Config {
    text: String,
}

impl Config {
    /// One with the volume `laptop` and without waiting times.
    pub fn new(home: &Path) -> Self {
        let text = format!(
            "[daemon]\nsettle = \"0s\"\ngrace = \"0s\"\nnotify = \"none\"\n\n[volumes.laptop]\npath = \"{}\"\n",
            home.display()
        );
        Self { text }
    }

    /// With a drive, under its label.
    pub fn drive(self, drive: &Drive) -> Self {
        self.also(&format!("[volumes.{}]\ndrive = \"{}\"", drive.label, drive.uuid))
    }

    /// With a sync from `laptop:NAME` to `VOLUME:NAME`; `more` are further lines of it.
    pub fn sync(self, name: &str, volume: &str, snapshots: &str, more: &str) -> Self {
        self.also(&format!(
            "[syncs.{name}]\nsource = \"laptop:{name}\"\ndestination = \"{volume}:{name}\"\n\
             snapshots = \"{snapshots}\"\n{more}"
        ))
    }

    /// With further lines.
    pub fn also(mut self, lines: &str) -> Self {
        write!(self.text, "\n{lines}\n").unwrap();
        self
    }

    /// With a passage replaced.
    #[track_caller]
    pub fn with(mut self, old: &str, new: &str) -> Self {
        assert!(self.text.contains(old), "{old:?} is not in the configuration");
        self.text = self.text.replace(old, new);
        self
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }
}
