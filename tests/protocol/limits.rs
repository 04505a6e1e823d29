//! Clients that do not keep the rules harm themselves only.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::rig::{DEADLINE, Rig};

#[tokio::test]
async fn a_message_over_a_mebibyte_is_refused_before_it_ends() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    client.stream.write_all(&vec![b' '; (1 << 20) + 1]).await.unwrap();
    assert_eq!(client.reply().await.unwrap()["error"], "org.nbkp.Daemon.BadMessage");
    assert_eq!(client.reply().await, None);
    // The longest that is allowed is read.
    let mut client = rig.client().await;
    let call = "{\"method\":\"org.nbkp.Daemon.Ping\"}";
    let padded = format!("{}{call}\0", " ".repeat((1 << 20) - call.len()));
    client.stream.write_all(padded.as_bytes()).await.unwrap();
    assert_eq!(client.reply().await.unwrap(), json!({ "parameters": {} }));
    rig.is_served().await;
}

#[tokio::test]
async fn garbage_ends_a_conversation_and_nothing_else() {
    let rig = Rig::new();
    let deep = format!("{{\"method\":\"a.B\",\"parameters\":{{\"a\":{}\0", "[".repeat(100_000));
    for garbage in ["\0", "{}\0", "[]\0", "\u{fffd}\0", "{\"method\":1}\0", "{\"method\":\"a\"", &deep] {
        let mut client = rig.client().await;
        client.stream.write_all(garbage.as_bytes()).await.unwrap();
        client.stream.shutdown().await.unwrap();
        let mut told = Vec::new();
        while let Some(reply) = client.reply().await {
            told.push(reply["error"].as_str().unwrap().to_owned());
        }
        let expected: &[&str] = if garbage.ends_with('\0') { &["org.nbkp.Daemon.BadMessage"] } else { &[] };
        assert_eq!(told, expected, "{garbage:.40}");
    }
    let mut client = rig.client().await;
    client.stream.write_all(b"{\"method\":\"\xff\xfe\"}\0").await.unwrap();
    assert_eq!(client.reply().await.unwrap()["error"], "org.nbkp.Daemon.BadMessage");
    rig.is_served().await;
}

#[tokio::test]
async fn depth_is_limited_by_count_and_not_by_the_stack() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{\"method\":\"org.nbkp.Daemon.Status\",\"parameters\":{{\"syncs\":{open}{close}}}}}\0")
    };
    client.stream.write_all(nested(14).as_bytes()).await.unwrap();
    assert_eq!(client.reply().await.unwrap()["error"], "org.varlink.service.InvalidParameter");
    client.stream.write_all(nested(15).as_bytes()).await.unwrap();
    let reply = client.reply().await.unwrap();
    assert_eq!(reply["parameters"]["reason"], "the message nests deeper than 16 levels");
    assert_eq!(client.reply().await, None);
}

#[tokio::test]
async fn a_message_that_does_not_end_is_not_waited_for() {
    let rig = Rig::new();
    let client = rig.client().await;
    let start = Instant::now();
    let (mut reading, mut writing) = client.stream.into_split();
    // A byte a tenth of a second: each one alone would look like life.
    let dripping = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut told = Vec::new();
    let closed = async { while reading.read_buf(&mut told).await.is_ok_and(|count| count > 0) {} };
    timeout(DEADLINE, closed).await.unwrap();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(4_900) && took < Duration::from_secs(15), "{took:?}");
    assert!(String::from_utf8_lossy(&told).contains("did not end within 5 s"));
    dripping.abort();
    rig.is_served().await;
}

#[tokio::test]
async fn a_hundred_thousand_calls_sent_ahead_stop_nobody_else() {
    let rig = Rig::new();
    let eager = rig.client().await;
    let (mut reading, mut writing) = eager.stream.into_split();
    let calls = "{\"method\":\"org.nbkp.Daemon.Ping\"}\0".repeat(100_000);
    let sending = tokio::spawn(async move { writing.write_all(calls.as_bytes()).await });
    let counting = tokio::spawn(async move {
        let mut replies = vec![0; 100_000 * "{\"parameters\":{}}\0".len()];
        reading.read_exact(&mut replies).await.unwrap();
        assert!(replies.ends_with(b"{\"parameters\":{}}\0"));
    });
    while !counting.is_finished() {
        let took = rig.is_served().await;
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    timeout(DEADLINE, counting).await.unwrap().unwrap();
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn many_names_in_one_message_cost_little() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let names: Vec<&str> = ["documents", "photos"].into_iter().cycle().take(80_000).collect();
    let start = Instant::now();
    let reply = client.call("org.nbkp.Daemon.Status", json!({ "syncs": names })).await;
    assert_eq!(reply["parameters"]["syncs"].as_array().unwrap().len(), 2);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn another_user_is_turned_away_even_where_the_rights_would_let_it_in() {
    let tools = ["/usr/bin/setpriv", "/usr/bin/python3"];
    if !rustix::process::geteuid().is_root() || !tools.iter().all(|tool| Path::new(tool).exists()) {
        assert!(!crate::required::all_must_run(), "becoming another user needs root, setpriv and python3");
        eprintln!("skipped: becoming another user needs root, setpriv and python3");
        return;
    }
    let rig = Rig::new();
    fs::set_permissions(rig.root.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(rig.socket(), Permissions::from_mode(0o666)).unwrap();
    assert_eq!(bytes_received_by("65534", &rig.socket()).await, "0");
    assert_eq!(bytes_received_by("0", &rig.socket()).await, "100");
}

/// How many of the first hundred bytes of a status another user gets.
async fn bytes_received_by(user: &str, socket: &Path) -> String {
    let script = "import socket, sys\n\
        s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n\
        try:\n    s.sendall(b'{\"method\":\"org.nbkp.Daemon.Status\"}\\0'); print(len(s.recv(100)))\n\
        except OSError: print(0)\n";
    let mut command = tokio::process::Command::new("/usr/bin/setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups", "/usr/bin/python3", "-c", script]).arg(socket);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
