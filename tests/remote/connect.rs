//! Connections: what an answer is, why there is none, and that none is left behind.

use std::ffi::OsString;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nbkp::formats::ssh::arguments::typed;
use nbkp::formats::ssh::script::Marks;
use nbkp::model::{HostFault, HostTrouble, Route};
use nbkp::os::process::{Bell, Wanted};
use nbkp::os::ssh::shared::Shared;
use nbkp::os::ssh::{NoAnswer, Said, SshPlace, ask};

use super::needs_root;
use super::shell::{eventually, sh};
use super::sshd::Sshd;

const SECONDS: Duration = Duration::from_secs(20);

fn asked(route: &Route, place: &SshPlace, script: &str, arguments: &[OsString]) -> Result<Said, HostFault> {
    ask(route, place, (script, arguments), SECONDS, &Bell::new().unwrap(), || Wanted::GoOn)
}

fn trouble(server: &Sshd, route: &Route) -> HostTrouble {
    let fault = asked(route, &server.ssh_place(), "true", &[]).unwrap_err();
    assert_eq!((fault.host.as_str(), fault.port), ("127.0.0.1", route.endpoint.port));
    fault.trouble
}

fn shared(server: &Sshd, route: &Route) -> Result<Shared, HostFault> {
    Shared::open(route, &server.ssh_place(), &Bell::new().unwrap(), || Wanted::GoOn)
}

#[test]
fn a_script_is_answered() {
    if !needs_root() {
        return;
    }
    let server = Sshd::new();
    let arguments: Vec<OsString> = ["$(touch pwned)", "a\nb", "'\\"].map(OsString::from).to_vec();
    let said = asked(&server.route(), &server.ssh_place(), "printf '%s|' \"$@\"; echo x >&2; exit 3", &arguments);
    let expected = Said { code: 3, output: b"$(touch pwned)|a\nb|'\\|".to_vec(), errors: b"x\n".to_vec() };
    assert_eq!(said.unwrap(), expected);
}

#[test]
fn each_way_to_be_refused_is_told() {
    if !needs_root() {
        return;
    }
    let server = Sshd::new();
    let with = |change: &dyn Fn(&mut Route)| {
        let mut route = server.route();
        change(&mut route);
        trouble(&server, &route)
    };
    server.knows("another", "stranger");
    assert_eq!(with(&|route| route.endpoint.known_hosts = Some(server.file("another"))), HostTrouble::OtherKey);
    assert_eq!(with(&|route| route.endpoint.known_hosts = Some(server.file("none"))), HostTrouble::UnknownKey);
    assert_eq!(with(&|route| route.endpoint.key = Some(server.file("stranger"))), HostTrouble::NotAdmitted);
    assert_eq!(with(&|route| route.endpoint.port = Some(1)), HostTrouble::Refused);
    let nowhere = |route: &mut Route| route.endpoint.host = "nosuch.invalid".into();
    let mut route = server.route();
    nowhere(&mut route);
    let fault = asked(&route, &server.ssh_place(), "true", &[]).unwrap_err();
    assert_eq!((fault.trouble, fault.host.as_str()), (HostTrouble::NoName, "nosuch.invalid"));
    let accepts = |route: &mut Route| {
        route.endpoint.known_hosts = Some(server.file("new"));
        route.endpoint.options = vec!["StrictHostKeyChecking=accept-new".into()];
    };
    let mut route = server.route();
    accepts(&mut route);
    assert_eq!(asked(&route, &server.ssh_place(), "true", &[]).unwrap().code, 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test watches the clock")]
fn a_server_that_accepts_and_says_nothing_is_given_up() {
    if !needs_root() {
        return;
    }
    let (server, mute) = (Sshd::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let mut route = server.route();
    route.endpoint.port = Some(mute.local_addr().unwrap().port());
    route.endpoint.connect_timeout = Duration::from_secs(1);
    let begun = Instant::now();
    assert_eq!(trouble(&server, &route), HostTrouble::Silent);
    assert!(matches!(shared(&server, &route), Err(HostFault { trouble: HostTrouble::Silent, .. })));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(server.sockets(), Vec::<String>::new());
}

#[test]
fn a_login_shell_that_talks_or_runs_nothing_is_told_of() {
    if !needs_root() {
        return;
    }
    for (shell, said) in
        [("sh -c 'echo Welcome home; eval \"$SSH_ORIGINAL_COMMAND\"'", "Welcome home"), ("/bin/false", "nothing")]
    {
        let server = Sshd::with(&format!("ForceCommand {shell}"));
        for fault in [
            asked(&server.route(), &server.ssh_place(), "true", &[]).unwrap_err(),
            shared(&server, &server.route()).unwrap_err(),
        ] {
            assert!(matches!(&fault.trouble, HostTrouble::NoShell(what) if what.contains(said)), "{fault}");
        }
    }
}

#[test]
fn what_takes_too_long_or_is_called_off_is_killed() {
    if !needs_root() {
        return;
    }
    let server = Sshd::new();
    let bell = Bell::new().unwrap();
    let script = ("echo x; sleep 60", &[][..]);
    let late = ask(&server.route(), &server.ssh_place(), script, Duration::from_secs(2), &bell, || Wanted::GoOn);
    assert_eq!(late.unwrap_err().trouble, HostTrouble::Silent);
    let off = ask(&server.route(), &server.ssh_place(), script, SECONDS, &bell, || Wanted::End);
    assert!(matches!(off.unwrap_err().trouble, HostTrouble::Broken(_)));
}

#[test]
fn one_connection_serves_many_scripts_and_leaves_nothing_behind() {
    if !needs_root() {
        return;
    }
    let server = Sshd::new();
    let (bell, marks) = (Bell::new().unwrap(), Marks::new("here/documents", "1"));
    let connection = shared(&server, &server.route()).unwrap();
    let ask = |script: &str| connection.ask((script, &[]), &marks, SECONDS, &bell, || Wanted::GoOn);
    let first = ask("echo $SSH_CONNECTION $NBKP_CLIENT $NBKP_RUN").unwrap().output;
    assert_eq!(first, ask("echo $SSH_CONNECTION $NBKP_CLIENT $NBKP_RUN").unwrap().output);
    assert!(String::from_utf8_lossy(&first).ends_with(" here_documents: 1:\n"));
    assert_eq!(server.sockets().len(), 1);
    server.signal_sessions("KILL");
    // The next fails, and opens no connection of its own.
    assert!(matches!(ask("echo x"), Err(NoAnswer::Ssh(_) | NoAnswer::Broken(_))));
    drop(connection);
    assert_eq!(server.sockets(), Vec::<String>::new());

    let connection = shared(&server, &server.route()).unwrap();
    assert!(!server.sessions().is_empty());
    drop(connection);
    eventually("the server has no session", || server.sessions().is_empty().then_some(()));
    assert_eq!(server.sockets(), Vec::<String>::new());
}

#[test]
fn a_hop_has_its_own_key_and_is_blamed_for_its_own_faults() {
    if !needs_root() {
        return;
    }
    let (server, gate) = (Sshd::new(), Sshd::new());
    let mut hop = gate.endpoint();
    hop.name = "gate".parse().unwrap();
    let mut route = Route { endpoint: server.endpoint(), hops: vec![hop] };
    let said = asked(&route, &server.ssh_place(), "echo through", &[]).unwrap();
    assert_eq!(said.output, b"through\n");
    let connection = shared(&server, &route).unwrap();
    assert_eq!(connection.route().hops.len(), 1);
    drop(connection);
    // So does a person who types what is shown.
    let chain = vec![gate.endpoint(), server.endpoint()];
    for (name, hops) in [("typed it's 100%", route.hops.clone()), ("through two", chain)] {
        let made = gate.file(name);
        let typed = typed(&Route { hops, ..route.clone() }, &["touch".into(), made.clone().into()]);
        sh(&format!("SHELL=/bin/sh {typed} </dev/null"));
        assert!(made.exists(), "{typed}");
    }
    route.hops[0].key = Some(gate.file("stranger"));
    route.endpoint.key = Some(server.file("user"));
    let fault = asked(&route, &server.ssh_place(), "true", &[]).unwrap_err();
    assert_eq!(fault.trouble, HostTrouble::NotAdmitted);
    gate.knows("another", "stranger");
    route.hops[0].known_hosts = Some(gate.file("another"));
    let fault = asked(&route, &server.ssh_place(), "true", &[]).unwrap_err();
    assert_eq!((fault.trouble, fault.port), (HostTrouble::OtherKey, Some(gate.port)));
    route.hops[0] = gate.endpoint();
    route.endpoint.port = Some(1);
    let fault = asked(&route, &server.ssh_place(), "true", &[]).unwrap_err();
    assert_eq!((fault.trouble, fault.port), (HostTrouble::Refused, Some(1)));
}
