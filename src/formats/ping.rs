//! What curl is given to report a run, and what it says about it.

use crate::model::{PingSign, PingUrl};

/// curl's options (curl(1), `--config`): quiet but for errors, patient with a poor network, and nothing written.
///
/// ```
/// use nbkp::formats::ping::curl_config;
/// use nbkp::model::{PingSign, PingUrl};
///
/// let url = PingUrl::new("https://hc.example.org/0b5e?create=1").unwrap();
/// assert!(curl_config(&url, PingSign::Failure).contains("url = \"https://hc.example.org/0b5e/fail?create=1\"\n"));
/// ```
#[must_use]
pub fn curl_config(url: &PingUrl, sign: PingSign) -> String {
    let options = "silent\nshow-error\nfail\nlocation\nproto = \"=http,https\"\nconnect-timeout = 10\nmax-time = 20\n";
    format!("{options}user-agent = \"nbkp\"\noutput = \"/dev/null\"\nurl = \"{}\"\n", address(url, sign))
}

/// The address with what healthchecks.io appends to it: a word of the path, before any parameters.
fn address(url: &PingUrl, sign: PingSign) -> String {
    let word = match sign {
        PingSign::Start => "/start",
        PingSign::Success => "",
        PingSign::Failure => "/fail",
    };
    let (path, parameters) = match url.as_str().split_once('?') {
        Some((path, parameters)) => (path, format!("?{parameters}")),
        None => (url.as_str(), String::new()),
    };
    let path = if word.is_empty() { path } else { path.trim_end_matches('/') };
    format!("{path}{word}{parameters}")
}

/// What curl said, in one line and without the address.
#[must_use]
pub fn complaint(said: &[u8], url: &PingUrl) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("curl does not say why");
    let clean: String = line.chars().filter(|c| !c.is_control()).collect();
    clean.trim_start_matches("curl: ").replace(url.as_str(), url.host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_goes_to_the_end_of_the_path() {
        for (text, start) in [
            ("https://hc.example.org/uuid", "https://hc.example.org/uuid/start"),
            ("https://hc.example.org/uuid/", "https://hc.example.org/uuid/start"),
            ("http://[::1]:8000/a?b=/c/", "http://[::1]:8000/a/start?b=/c/"),
        ] {
            let url = PingUrl::new(text).unwrap();
            assert_eq!(address(&url, PingSign::Start), start);
            assert_eq!(address(&url, PingSign::Success), text);
        }
    }

    #[test]
    fn a_complaint_is_one_line_that_does_not_tell_the_address() {
        let url = PingUrl::new("https://hc.example.org/secret").unwrap();
        let said = b"\ncurl: (6) Could not resolve https://hc.example.org/secret\x1b[0m\nmore\n";
        assert_eq!(complaint(said, &url), "(6) Could not resolve hc.example.org[0m");
        assert_eq!(complaint(b"", &url), "curl does not say why");
    }
}
