//! JSON texts that programs read on standard output.

use serde::Serialize;
use serde_json::json;

use super::config::Mistake;
use super::python_tool::LeftOut;

/// A value as one line of JSON.
#[must_use]
pub fn text<T: Serialize + ?Sized>(value: &T) -> String {
    // Our own types always have a JSON text.
    serde_json::to_string(value).unwrap_or_default()
}

/// The result of a check of a configuration file, which has these mistakes and warnings or none.
#[must_use]
pub fn checked(file: &str, mistakes: &[Mistake], warnings: &[Mistake]) -> String {
    json!({ "file": file, "mistakes": mistakes, "warnings": warnings }).to_string()
}

/// What became of a configuration of the Python tool, and what is not in it.
#[must_use]
pub fn imported(text: &str, left_out: &[LeftOut]) -> String {
    json!({ "configuration": text, "left_out": left_out }).to_string()
}

/// A text in TOML as JSON; `None` if it is no TOML.
#[must_use]
pub fn of_toml(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    serde_json::to_string(&table).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_keeps_its_keys_and_their_order() {
        let shown = of_toml("[b]\nz = 1\na = [\"x\"]\n[a]\n").unwrap();
        assert_eq!(shown, r#"{"b":{"z":1,"a":["x"]},"a":{}}"#);
        assert_eq!(of_toml("="), None);
    }

    #[test]
    fn a_file_without_mistakes_has_an_empty_list() {
        assert_eq!(checked("a\"b", &[], &[]), r#"{"file":"a\"b","mistakes":[],"warnings":[]}"#);
    }
}
