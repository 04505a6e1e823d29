//! Names for what is new in a configuration.

use std::path::Path;
use std::str::FromStr;

use crate::model::NameError;

/// The longest that a proposed name gets, before a number is added.
const LONGEST: usize = 40;

/// What a text makes as a name: `My Drive` gives `my-drive`; nothing, if no letter or digit of ASCII is in it.
pub(super) fn simple(text: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words: String = text.chars().map(plain).collect();
    let name = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let name: String = name.chars().take(LONGEST).collect();
    let name = name.trim_end_matches('-').to_owned();
    (!name.is_empty()).then_some(name)
}

/// What a directory is called; a home directory is `home`, and the root of the machine `machine`.
pub(super) fn of_directory(directory: &Path, home: &Path) -> String {
    if directory == home {
        return "home".to_owned();
    }
    let last = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    match last {
        None => "machine".to_owned(),
        Some(last) => simple(&last).unwrap_or_else(|| "files".to_owned()),
    }
}

/// The first of these that is free; else the last with a number.
pub(super) fn free<T>(candidates: &[String], is_taken: impl Fn(&T) -> bool) -> Result<T, NameError>
where
    T: FromStr<Err = NameError>,
{
    let last = candidates.last().map_or("files", String::as_str);
    let numbered = (2_u32..).map(|number| format!("{last}-{number}"));
    let mut broken = NameError::Empty;
    for candidate in candidates.iter().cloned().chain(numbered.take(10_000)) {
        match candidate.parse() {
            Ok(name) if !is_taken(&name) => return Ok(name),
            Ok(_) => {}
            Err(error) => broken = error,
        }
    }
    Err(broken)
}
