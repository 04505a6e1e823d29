//! How ssh is called.
//!
//! ssh takes the first value that it finds for an option: the user's own come first, ours behind them, and what stands
//! in `~/.ssh/config` last, which ssh reads by itself.

use std::ffi::OsString;
use std::path::Path;

use super::option::{seconds, with_path};
use super::quote::word_for_rsync;
use crate::formats::text::shell_words;
use crate::model::{Endpoint, Route};

/// What our connections never do, whatever a configuration of ssh says, and how they notice that the other end is gone:
/// three times six seconds without a word from there. That has to be less than the pause after which an rsync there
/// says that it is still alive (half of its `--timeout`): where only our packets vanish, its word would hide that no
/// question of ssh is answered, and the run would hang for as long as TCP tries.
const OURS: [&str; 16] = [
    "BatchMode=yes",
    "NumberOfPasswordPrompts=0",
    "StrictHostKeyChecking=yes",
    "ServerAliveInterval=6",
    "ServerAliveCountMax=2",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "Tunnel=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "EscapeChar=none",
    // What a server shows at login is no complaint.
    "LogLevel=ERROR",
    "ControlPersist=no",
    "ControlMaster=no",
];

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// One command.
    Alone,
    /// To be shared through this socket.
    Shared(&'a Path),
}

/// The arguments of a fresh connection, up to and with the host: what is to be run there comes behind them as one word.
/// `hops` is the file that [`super::hops::configuration`] told, for a route that has any.
#[must_use]
pub fn connection(route: &Route, hops: Option<&Path>, purpose: Purpose<'_>) -> Vec<OsString> {
    let Endpoint { host, port, user, key, connect_timeout, known_hosts, options, .. } = &route.endpoint;
    let mut arguments: Vec<OsString> = Vec::with_capacity(64);
    if let Some(file) = hops {
        arguments.extend(["-F".into(), file.as_os_str().to_owned()]);
    }
    let mut option = |text: OsString| arguments.extend(["-o".into(), text]);
    for own in options {
        option(own.into());
    }
    option(format!("ConnectTimeout={}", seconds(*connect_timeout)).into());
    for ours in OURS {
        option(ours.into());
    }
    if let Some(key) = key {
        option(with_path("IdentityFile=", key));
        option("IdentitiesOnly=yes".into());
    }
    if let Some(known_hosts) = known_hosts {
        option(with_path("UserKnownHostsFile=", known_hosts));
    }
    match purpose {
        Purpose::Alone => option("ControlPath=none".into()),
        Purpose::Shared(socket) => {
            option(with_path("ControlPath=", socket));
            arguments.push("-M".into());
        }
    }
    arguments.push("-T".into());
    if let Some(port) = port {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = user {
        arguments.extend(["-l".into(), user.into()]);
    }
    if let Some(jumps) = super::hops::jumps(route) {
        arguments.extend(["-J".into(), jumps.into()]);
    }
    arguments.extend(["--".into(), host.into()]);
    arguments
}

/// A command at a server, as a person types it: quoted for the shell here and for the one there.
#[must_use]
pub fn typed(route: &Route, command: &[OsString]) -> String {
    let mut words = typed_way(&route.endpoint, &route.hops);
    words.push(host_of(&route.endpoint).into());
    words.extend(command.iter().map(|word| shell_words(std::slice::from_ref(word)).into()));
    shell_words(&words)
}

/// `ssh` and the options that lead to an endpoint through these hops.
fn typed_way(endpoint: &Endpoint, hops: &[Endpoint]) -> Vec<OsString> {
    let Endpoint { port, key, known_hosts, options, .. } = endpoint;
    let mut words: Vec<OsString> = vec!["ssh".into()];
    words.extend(options.iter().flat_map(|option| ["-o".into(), option.into()]));
    if let Some(port) = port {
        words.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(key) = key {
        words.extend(["-i".into(), key.into()]);
    }
    if let Some(known_hosts) = known_hosts {
        words.extend(["-o".into(), with_path("UserKnownHostsFile=", known_hosts)]);
    }
    // `-J` carries a user, a host and a port, and nothing else.
    let is_plain = |hop: &Endpoint| hop.key.is_none() && hop.known_hosts.is_none() && hop.options.is_empty();
    match hops.split_last() {
        Some((last, before)) if !hops.iter().all(is_plain) => {
            let mut command = typed_way(last, before);
            command.push(host_of(last).into());
            // ssh expands the percent signs of what it is told, also of a command that is for another ssh.
            let command = shell_words(&command).replace('%', "%%");
            let through = command.replacen("ssh ", "ssh -W '[%h]:%p' ", 1);
            words.extend(["-o".into(), format!("ProxyCommand={through}").into()]);
        }
        Some(_) => {
            let hops: Vec<_> = hops.iter().map(ToString::to_string).collect();
            words.extend(["-J".into(), hops.join(",").into()]);
        }
        None => {}
    }
    words
}

fn host_of(endpoint: &Endpoint) -> String {
    let user = endpoint.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    format!("{user}{}", endpoint.host)
}

/// The arguments by which a command goes through a shared connection: constant words and the socket. Without the
/// connection it fails at once instead of opening another.
#[must_use]
pub fn through(socket: &Path) -> Vec<OsString> {
    let options = ["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ProxyCommand=false"];
    let mut arguments: Vec<OsString> = options.iter().map(OsString::from).collect();
    arguments.extend(["-o".into(), "LogLevel=ERROR".into(), "-o".into(), with_path("ControlPath=", socket)]);
    arguments
}

/// The name that stands for the server where its connection is shared; it leads nowhere by itself.
pub const SHARED_HOST: &str = "nbkp";

/// What rsync is given as `-e`, so that it goes through a shared connection.
#[must_use]
pub fn remote_shell(ssh: &Path, socket: &Path) -> OsString {
    let mut command = word_for_rsync(ssh.as_os_str());
    for argument in through(socket) {
        command.push(" ");
        command.push(word_for_rsync(&argument));
    }
    command
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn endpoint(host: &str) -> Endpoint {
        Endpoint {
            name: "nas".parse().unwrap(),
            host: host.into(),
            port: None,
            user: None,
            key: None,
            locations: Vec::new(),
            proxy_jump: Vec::new(),
            connect_timeout: Duration::from_millis(2500),
            known_hosts: None,
            options: Vec::new(),
        }
    }

    /// What the real ssh makes of a call: its options, one a line.
    #[expect(clippy::disallowed_methods, reason = "the test asks the real ssh")]
    fn understood(arguments: &[OsString]) -> String {
        let output = std::process::Command::new("ssh").arg("-G").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn says(understood: &str, line: &str) -> bool {
        understood.lines().any(|other| other == line)
    }

    #[test]
    fn ssh_understands_what_is_meant() {
        let server = Endpoint {
            port: Some(2222),
            user: Some("backup".into()),
            key: Some("/home/a b/the \"key\" \\ 5%".into()),
            known_hosts: Some("/home/a b/known".into()),
            options: vec!["ServerAliveInterval 15".into(), "stricthostkeychecking=accept-new".into()],
            ..endpoint("nas.local")
        };
        let route = Route { endpoint: server, hops: Vec::new() };
        let understood = understood(&connection(&route, None, Purpose::Alone));
        for line in [
            "hostname nas.local",
            "port 2222",
            "user backup",
            "identityfile /home/a b/the \"key\" \\ 5%%",
            "identitiesonly yes",
            "userknownhostsfile /home/a b/known",
            "serveraliveinterval 15",
            "serveralivecountmax 2",
            "stricthostkeychecking accept-new",
            "batchmode yes",
            "connecttimeout 3",
            "clearallforwardings yes",
            "forwardagent no",
            "permitlocalcommand no",
            "requesttty false",
            "escapechar none",
            "controlmaster false",
            "controlpersist no",
        ] {
            assert!(says(&understood, line), "{line} in\n{understood}");
        }
        assert!(!understood.contains("controlpath"), "{understood}");
    }

    #[test]
    fn the_host_is_last_and_never_an_option() {
        let route = Route { endpoint: endpoint("nas"), hops: Vec::new() };
        let alone = connection(&route, None, Purpose::Alone);
        assert_eq!(alone.iter().rev().take(2).collect::<Vec<_>>(), ["nas", "--"]);
        assert!(says(&understood(&alone), "stricthostkeychecking true"));
        let shared = connection(&route, None, Purpose::Shared(Path::new("/run/user/1/50% x")));
        assert_eq!(shared.iter().rev().take(2).collect::<Vec<_>>(), ["nas", "--"]);
        let understood = understood(&shared);
        assert!(says(&understood, "controlmaster true"), "{understood}");
        assert!(says(&understood, "controlpath /run/user/1/50% x"), "{understood}");
    }

    #[test]
    fn hops_are_told_to_ssh_with_all_that_is_theirs() {
        let gate = Endpoint {
            port: Some(2202),
            user: Some("jump".into()),
            key: Some("/keys/gate of a%b".into()),
            known_hosts: Some("/keys/known hosts".into()),
            options: vec!["Compression yes".into()],
            ..endpoint("gate.example.org")
        };
        let route = Route { endpoint: endpoint("nas"), hops: vec![gate, endpoint("fe80::1%lo")] };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), super::super::hops::configuration(&route).unwrap()).unwrap();
        let call = connection(&route, Some(file.path()), Purpose::Alone);
        let target = understood(&call);
        assert!(says(&target, "proxyjump jump@gate.example.org:2202,nbkp-hop-2"), "{target}");
        assert!(says(&target, "compression no"), "{target}");
        // As ssh calls itself for its hops.
        let hop = |name: &str| understood(&["-F".into(), file.path().into(), name.into()]);
        let gate = hop("gate.example.org");
        for line in [
            "identityfile /keys/gate of a%%b",
            "identitiesonly yes",
            "userknownhostsfile /keys/known hosts",
            "compression yes",
            "batchmode yes",
            "connecttimeout 3",
            "stricthostkeychecking true",
        ] {
            assert!(says(&gate, line), "{line} in\n{gate}");
        }
        assert!(says(&hop("nbkp-hop-2"), "hostname fe80::1%lo"));
        assert_eq!(super::super::hops::configuration(&Route { endpoint: endpoint("nas"), hops: Vec::new() }), None);
    }

    #[test]
    fn what_rsync_gets_is_constant_words_and_two_paths() {
        let shell = remote_shell(&PathBuf::from("/usr/bin/ssh"), &PathBuf::from("/run/user/1/a'b/m-1"));
        let shell = shell.into_string().unwrap();
        assert!(shell.starts_with("/usr/bin/ssh -F none -T -o 'BatchMode=yes'"), "{shell}");
        assert!(shell.ends_with("-o 'ControlPath=\"/run/user/1/a''b/m-1\"'"), "{shell}");
    }
}
