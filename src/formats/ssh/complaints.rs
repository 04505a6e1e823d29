//! What ssh says when it cannot connect, or when a connection broke: its exit code is 255 for all of it.
//!
//! The words are those of OpenSSH 9.2, each seen there; they are the same since 7.x.

use crate::model::{Endpoint, HostFault, HostTrouble, Route};

/// Which words tell which trouble. The first row that fits counts: what comes first names the cause, what comes later
/// follows from it.
const ROWS: [(&str, HostTrouble); 16] = [
    // A host that shows another key is told of at length, and this is always part of it.
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", HostTrouble::OtherKey),
    ("has changed and you have requested strict checking", HostTrouble::OtherKey),
    ("REVOKED HOST KEY DETECTED", HostTrouble::OtherKey),
    ("host key is known for", HostTrouble::UnknownKey),
    ("Host key verification failed", HostTrouble::UnknownKey),
    ("Could not resolve hostname", HostTrouble::NoName),
    ("Name or service not known", HostTrouble::NoName),
    ("Temporary failure in name resolution", HostTrouble::NoName),
    ("No route to host", HostTrouble::NoRoute),
    ("Network is unreachable", HostTrouble::NoRoute),
    ("Connection refused", HostTrouble::Refused),
    ("timed out", HostTrouble::Silent),
    ("not responding", HostTrouble::Silent),
    ("Permission denied (", HostTrouble::NotAdmitted),
    ("Too many authentication failures", HostTrouble::NotAdmitted),
    ("no mutual signature algorithm", HostTrouble::NotAdmitted),
];

/// How the line begins that tells why the kernel did not connect. Of such a line only the end counts, and what is not
/// in the table is a way that is closed: a route of the type `prohibit` gives `Permission denied`, `blackhole` gives
/// `Invalid argument`, a firewall of this machine `Operation not permitted`.
const NOT_CONNECTED: &str = "ssh: connect to host ";

/// What is wrong with the server, or with a hop on the way to it, as far as ssh's words tell.
#[must_use]
pub fn fault(route: &Route, errors: &[u8]) -> HostFault {
    let text = String::from_utf8_lossy(errors);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !is_decoration(line)).collect();
    let row = ROWS.iter().find_map(|(words, trouble)| {
        lines.iter().find(|line| line.contains(words)).map(|line| (trouble.clone(), *line))
    });
    let closed = || lines.iter().find(|line| line.starts_with(NOT_CONNECTED));
    let known = row.or_else(|| closed().map(|line| (HostTrouble::NoRoute, *line)));
    let (trouble, line) = known.unwrap_or_else(|| (HostTrouble::Broken(last_words(&lines)), ""));
    // Of a key that changed the line with the host comes after the one that says so.
    let naming = match trouble {
        HostTrouble::OtherKey => lines.iter().find(|line| line.starts_with("Host key for ")).copied().unwrap_or(line),
        HostTrouble::NoName
        | HostTrouble::NoRoute
        | HostTrouble::Portal
        | HostTrouble::Refused
        | HostTrouble::Silent
        | HostTrouble::UnknownKey
        | HostTrouble::NotAdmitted
        | HostTrouble::NoShell(_)
        | HostTrouble::Broken(_) => line,
    };
    at(culprit(route, naming), trouble)
}

/// Whether the server refused one more session on a connection that has one: `MaxSessions` of `sshd_config(5)`, or
/// a server that knows no more, such as `TinySSH`.
#[must_use]
pub fn refuses_a_session(errors: &[u8]) -> bool {
    String::from_utf8_lossy(errors).contains("Session open refused by peer")
}

/// This trouble with this host.
#[must_use]
pub fn at(endpoint: &Endpoint, trouble: HostTrouble) -> HostFault {
    HostFault { host: endpoint.host.clone(), port: endpoint.port, user: endpoint.user.clone(), trouble }
}

/// Whose trouble it is: a hop's, if the words name it and not the server. What a hop says of the server behind it
/// (`channel 0: open failed: …`) is about the server.
fn culprit<'a>(route: &'a Route, line: &str) -> &'a Endpoint {
    let server = &route.endpoint;
    if line.starts_with("channel ") || names(line, server) {
        return server;
    }
    route.hops.iter().find(|hop| names(line, hop)).unwrap_or(server)
}

/// Whether a line names a host. Where it tells a port, that must be the host's.
fn names(line: &str, endpoint: &Endpoint) -> bool {
    let port = endpoint.port.unwrap_or(22);
    let host = endpoint.host.as_str();
    let told = |pattern: &str| line.contains(pattern);
    if told(" port ") {
        return told(&format!(" {host} port {port}:")) || told(&format!(" {host} port {port} "));
    }
    if told(&format!("[{host}]:")) {
        return told(&format!("[{host}]:{port}"));
    }
    let boundary = |c: char| !(c.is_ascii_alphanumeric() || "._-%".contains(c));
    let user = endpoint.user.as_deref();
    let mut words = line.split(|c| boundary(c) && c != '@');
    words.any(|word| match word.rsplit_once('@') {
        Some((by, at)) => at.trim_end_matches([':', '.']) == host && user.is_none_or(|user| user == by),
        None => word.trim_end_matches('.') == host,
    })
}

/// The frame around the warning of a changed key, and ssh's remarks that say nothing.
fn is_decoration(line: &str) -> bool {
    line.is_empty() || line.chars().all(|c| c == '@')
}

/// ssh's own last words, made safe to show.
fn last_words(lines: &[&str]) -> String {
    let last = lines.iter().rev().find(|line| !line.starts_with("Connection closed by UNKNOWN"));
    let words: String = last.unwrap_or(&"it ended without a word").chars().take(300).collect();
    words.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn endpoint(host: &str, port: Option<u16>) -> Endpoint {
        Endpoint {
            name: "nas".parse().unwrap(),
            host: host.into(),
            port,
            user: None,
            key: None,
            locations: Vec::new(),
            proxy_jump: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            known_hosts: None,
            options: Vec::new(),
        }
    }

    /// Each as OpenSSH 9.2p1 wrote it.
    #[test]
    fn each_way_to_fail_is_told_from_the_others() {
        let route = Route { endpoint: endpoint("127.0.0.1", Some(2201)), hops: Vec::new() };
        let changed = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n\
            @    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n\
            @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n\
            IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n\
            Offending ED25519 key in khbad:1\n\
            Host key for [127.0.0.1]:2201 has changed and you have requested strict checking.\n\
            Host key verification failed.\n";
        for (words, expected) in [
            (changed, HostTrouble::OtherKey),
            (
                "No ED25519 host key is known for [127.0.0.1]:2201 and you have requested strict checking.\r\n\
                 Host key verification failed.\r\n",
                HostTrouble::UnknownKey,
            ),
            ("root@127.0.0.1: Permission denied (publickey).", HostTrouble::NotAdmitted),
            (
                "Warning: Identity file /nope not accessible: No such file or directory.\n\
                 root@127.0.0.1: Permission denied (publickey,password).",
                HostTrouble::NotAdmitted,
            ),
            (
                "Received disconnect from 127.0.0.1 port 2201:2: Too many authentication failures\n\
                 Disconnected from 127.0.0.1 port 2201",
                HostTrouble::NotAdmitted,
            ),
            ("ssh: connect to host 127.0.0.1 port 2201: Connection refused", HostTrouble::Refused),
            ("ssh: Could not resolve hostname nosuch.invalid: Name or service not known", HostTrouble::NoName),
            ("ssh: Could not resolve hostname nas: Temporary failure in name resolution", HostTrouble::NoName),
            ("ssh: connect to host 10.1.1.1 port 22: No route to host", HostTrouble::NoRoute),
            ("ssh: connect to host 10.1.1.1 port 22: Network is unreachable", HostTrouble::NoRoute),
            ("ssh: connect to host 10.9.0.1 port 22: Invalid argument", HostTrouble::NoRoute),
            ("ssh: connect to host 10.8.0.1 port 22: Permission denied", HostTrouble::NoRoute),
            ("ssh: connect to host 10.1.1.1 port 22: Connection timed out", HostTrouble::Silent),
            (
                "Connection timed out during banner exchange\nConnection to 127.0.0.1 port 2201 timed out",
                HostTrouble::Silent,
            ),
            ("Timeout, server 127.0.0.1 not responding.", HostTrouble::Silent),
            (
                "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n\
                 kex_exchange_identification: Connection closed by remote host\n\
                 Connection closed by UNKNOWN port 65535",
                HostTrouble::Refused,
            ),
        ] {
            assert_eq!(fault(&route, words.as_bytes()), at(&route.endpoint, expected), "{words}");
        }
    }

    #[test]
    fn what_has_no_row_is_told_in_its_own_words_without_escapes() {
        let route = Route { endpoint: endpoint("nas", None), hops: Vec::new() };
        let broken = |words: &str| {
            let HostTrouble::Broken(words) = fault(&route, words.as_bytes()).trouble else { panic!("{words}") };
            words
        };
        assert_eq!(
            broken(
                "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 1"
            ),
            "kex_exchange_identification: Connection closed by remote host"
        );
        assert_eq!(
            broken("Connection to 127.0.0.1 closed by remote host."),
            "Connection to 127.0.0.1 closed by remote host."
        );
        assert_eq!(
            broken("client_loop: send disconnect: Broken pipe\r\n"),
            "client_loop: send disconnect: Broken pipe"
        );
        assert_eq!(
            broken("kex_exchange_identification: read: Connection reset by peer"),
            "kex_exchange_identification: read: Connection reset by peer"
        );
        assert!(!broken("\u{1b}[2J wiped").contains('\u{1b}'));
        assert_eq!(broken(""), "it ended without a word");
    }

    #[test]
    fn a_hop_is_blamed_where_the_words_name_it() {
        let route = Route {
            endpoint: endpoint("127.0.0.1", Some(2201)),
            hops: vec![endpoint("gate", None), endpoint("127.0.0.1", Some(2202))],
        };
        let behind = "\nkex_exchange_identification: Connection closed by remote host\n\
            Connection closed by UNKNOWN port 65535";
        for (words, place) in [
            ("No ED25519 host key is known for [127.0.0.1]:2202 and you have requested strict checking.", 1),
            ("ssh: connect to host 127.0.0.1 port 2202: Connection refused", 1),
            ("ssh: connect to host gate port 22: Connection refused", 0),
            ("ssh: Could not resolve hostname gate: Name or service not known", 0),
            ("backup@gate: Permission denied (publickey).", 0),
            ("Host key for gate has changed and you have requested strict checking.", 0),
        ] {
            let found = fault(&route, format!("{words}{behind}").as_bytes());
            assert_eq!(found, at(&route.hops[place], found.trouble.clone()), "{words}");
        }
        for words in [
            "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed",
            "No ED25519 host key is known for [127.0.0.1]:2201 and you have requested strict checking.",
            "ssh: connect to host elsewhere port 22: Connection refused",
        ] {
            let found = fault(&route, words.as_bytes());
            assert_eq!(found, at(&route.endpoint, found.trouble.clone()), "{words}");
        }
    }
}
