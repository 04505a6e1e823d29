//! What ssh makes of a host: the output of `ssh -G` (ssh(1)), in which `~/.ssh/config` has had its say.

/// Where ssh would connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connects {
    /// To this host.
    To(String),
    /// To something that another program or host connects it with.
    Otherwise,
}

/// What the output says; `None` if it says nothing of the kind.
#[must_use]
pub fn connects(output: &[u8]) -> Option<Connects> {
    let text = String::from_utf8_lossy(output);
    let value = |wanted| value(&text, wanted);
    let used = |key| value(key).is_some_and(|value| value != "none");
    if used("proxycommand") || used("proxyjump") {
        return Some(Connects::Otherwise);
    }
    value("hostname").map(|host| Connects::To(host.to_owned()))
}

/// The account that ssh would enter.
#[must_use]
pub fn account(output: &[u8]) -> Option<String> {
    value(&String::from_utf8_lossy(output), "user").map(str::to_owned)
}

fn value<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == wanted).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of OpenSSH 9.2.
    const PLAIN: &str = "user root\nhostname 192.168.7.2\nport 2222\naddressfamily any\nproxyusefdpass no\n";

    #[test]
    fn the_host_and_the_ways_around_it_are_read() {
        let read = |text: &str| connects(text.as_bytes());
        assert_eq!(read(PLAIN), Some(Connects::To("192.168.7.2".into())));
        assert_eq!(read(&format!("{PLAIN}proxyjump bastion\n")), Some(Connects::Otherwise));
        assert_eq!(read(&format!("{PLAIN}proxycommand nc %h %p\n")), Some(Connects::Otherwise));
        assert_eq!(read(&format!("{PLAIN}proxycommand none\n")), Some(Connects::To("192.168.7.2".into())));
        assert_eq!(read(""), None);
        assert_eq!(account(PLAIN.as_bytes()).as_deref(), Some("root"));
        assert_eq!(account(b""), None);
    }
}
