//! What is asked is answered as it is described.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::description::{Description, Kind};
use super::rig::{Rig, record, satisfy};
use nbkp::daemon::messages::ask::{Ask, Refusal};
use nbkp::daemon::messages::event::Record;
use nbkp::formats::wire::{CallError, DESCRIPTION, METHODS, SERVICE_DESCRIPTION};
use nbkp::os::history::Entry;

fn name(method: &str) -> &str {
    method.rsplit_once('.').unwrap().1
}

/// A value of this kind that means something to the rig.
fn sample(parameter: &str, kind: &Kind) -> Value {
    match (parameter, kind) {
        (_, Kind::Maybe(kind)) => sample(parameter, kind),
        ("syncs", _) => json!(["documents"]),
        ("sync", _) => json!("documents"),
        ("volume", _) => json!("usb"),
        ("path" | "to" | "origin", _) => json!("/x"),
        ("paths", _) => json!(["/x"]),
        ("at" | "snapshot" | "older" | "newer", _) => json!("2026-11-22T17:30:00.000Z"),
        ("pattern", _) => json!("x"),
        ("event", _) => json!("sleep"),
        ("location", _) => json!("home"),
        ("command", _) => json!("nbkpctl restore x"),
        ("ending", _) => json!("whole"),
        ("interface", _) => json!("org.nbkp.Daemon"),
        (_, Kind::Bool) => json!(true),
        (_, Kind::Int) => json!(7),
        (_, kind) => panic!("no sample of {parameter}, {kind:?}"),
    }
}

#[tokio::test]
async fn every_described_method_is_served_with_its_parameters_and_its_reply_fits() {
    let mut rig = Rig::new();
    rig.keeper.send(Record::Run(Entry::Ended(Box::new(record())))).await.unwrap();
    let described = Description::read(&[DESCRIPTION, SERVICE_DESCRIPTION]);
    let mut served: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
    served.sort_unstable();
    assert_eq!(described.replies.keys().collect::<Vec<_>>(), served, "described and served methods");

    let mut client = rig.client().await;
    for method in METHODS {
        let ours: BTreeMap<_, _> =
            method.parameters.iter().map(|(key, kind)| ((*key).to_owned(), (*kind).to_owned())).collect();
        let theirs = described.parameters[method.name].iter().map(|(key, kind)| (key.clone(), kind.to_string()));
        assert_eq!(ours, theirs.collect(), "{}", method.name);
        let (name, method) = (method.name, method.full_name());
        let parameters = &described.parameters[name];
        let all: Value = parameters.iter().map(|(name, kind)| (name.clone(), sample(name, kind))).collect();
        let needed = parameters.iter().filter(|(_, kind)| !matches!(kind, Kind::Maybe(_)));
        let needed: Value = needed.map(|(name, kind)| (name.clone(), sample(name, kind))).collect();
        for parameters in [all, needed] {
            let reply = rig.call(&mut client, &json!({ "method": method, "parameters": parameters })).await;
            assert!(reply.get("error").is_none(), "{name}: {reply}");
            assert_eq!(reply.as_object().unwrap().len(), 1, "{name}: {reply}");
            described.check(&described.replies[name], &reply["parameters"], name);
        }
        let unknown = json!({ "method": method, "parameters": { "dry-run": true } });
        let reply = rig.call(&mut client, &unknown).await;
        assert_eq!(reply["error"], "org.varlink.service.InvalidParameter", "{name}: {reply}");
        for (missing, _) in parameters.iter().filter(|(_, kind)| !matches!(kind, Kind::Maybe(_))) {
            let others = parameters.iter().filter(|(name, _)| *name != missing);
            let others: Value = others.map(|(name, kind)| (name.clone(), sample(name, kind))).collect();
            let reply = rig.call(&mut client, &json!({ "method": method, "parameters": others })).await;
            assert_eq!(reply["parameters"]["parameter"], *missing, "{name}: {reply}");
        }
    }
    // A reply that holds nothing would fit whatever is said of its members.
    let told = client.call("org.nbkp.Daemon.History", json!({ "stats": true })).await;
    assert_eq!(told["parameters"]["runs"][0]["files_transferred"], 3);
    assert_eq!(told["parameters"]["stats"][0]["ok"], 1);
    let told = rig.call(&mut client, &json!({ "method": "org.nbkp.Daemon.Doctor" })).await;
    let expected = json!({ "code": "tool-missing", "severity": "error", "subject": "rsync",
        "message": "the program `rsync` is missing", "fix": "install it: `apt install rsync`" });
    assert_eq!(told["parameters"]["findings"], json!([expected]));
    assert_eq!(told["parameters"]["tested"][1]["codes"], json!(["tool-missing"]));
    assert_eq!(told["parameters"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_error_is_described_with_its_parameters() {
    let described = Description::read(&[DESCRIPTION, SERVICE_DESCRIPTION]);
    let errors = [
        CallError::InterfaceNotFound { interface: "a.b".into() },
        CallError::MethodNotFound { method: "a.b.C".into() },
        CallError::MethodNotImplemented { method: "a.b.C".into() },
        CallError::InvalidParameter { parameter: "syncs".into() },
        CallError::UnknownSync { sync: "a".into(), similar: vec!["b".into()] },
        CallError::UnknownVolume { volume: "a".into(), similar: vec!["b".into()] },
        CallError::NoDrive { volume: "a".into(), drives: vec!["b".into()] },
        CallError::UnknownLocation { location: "a".into(), known: vec!["b".into()] },
        CallError::Stopping,
        CallError::TooManyConnections { limit: 64 },
        CallError::BadMessage { reason: "r".into() },
        CallError::Failed { message: "m".into() },
    ];
    assert_eq!(described.errors.len(), errors.len());
    for error in errors {
        let members = &described.errors[name(error.name())];
        described.check(members, &Value::Object(error.parameters()), error.name());
    }
}

#[tokio::test]
async fn the_service_describes_itself() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let info = client.call("org.varlink.service.GetInfo", json!({})).await;
    assert_eq!(info["parameters"]["version"], env!("CARGO_PKG_VERSION"));
    for (interface, text) in [("org.varlink.service", SERVICE_DESCRIPTION), ("org.nbkp.Daemon", DESCRIPTION)] {
        assert!(info["parameters"]["interfaces"].as_array().unwrap().contains(&json!(interface)));
        let described =
            client.call("org.varlink.service.GetInterfaceDescription", json!({ "interface": interface })).await;
        assert_eq!(described["parameters"]["description"], text);
    }
    let unknown = client.call("org.varlink.service.GetInterfaceDescription", json!({ "interface": "org.example" }));
    assert_eq!(unknown.await["error"], "org.varlink.service.InterfaceNotFound");
    let reply = client.call("org.example.Fly", json!({})).await;
    assert_eq!(
        reply,
        json!({ "error": "org.varlink.service.InterfaceNotFound",
                              "parameters": { "interface": "org.example" } })
    );
    let reply = client.call("org.nbkp.Daemon.Fly", json!({})).await;
    assert_eq!(
        reply,
        json!({ "error": "org.varlink.service.MethodNotFound",
                              "parameters": { "method": "org.nbkp.Daemon.Fly" } })
    );
    assert_eq!(client.call("org.nbkp.Daemon.Ping", json!({})).await, json!({ "parameters": {} }), "it goes on");
}

#[tokio::test]
async fn names_that_do_not_exist_come_back_with_those_that_do() {
    let mut rig = Rig::new();
    let mut client = rig.client().await;
    for method in ["Status", "Why", "History"] {
        let parameters =
            if method == "Status" { json!({ "syncs": ["photos", "document"] }) } else { json!({ "sync": "document" }) };
        let reply = client.call(&format!("org.nbkp.Daemon.{method}"), parameters).await;
        assert_eq!(reply["error"], "org.nbkp.Daemon.UnknownSync", "{method}");
        assert_eq!(reply["parameters"], json!({ "sync": "document", "similar": ["documents"] }), "{method}");
    }
    client.send(&json!({ "method": "org.nbkp.Daemon.Hold", "parameters": { "volume": "ubs", "seconds": 90 } })).await;
    let Ask::Hold { answer, volume, length } = rig.asked().await else { panic!("another question") };
    assert_eq!(length, Some(Duration::from_secs(90)));
    answer.send(Err(Refusal::UnknownVolume(volume, vec!["usb".parse().unwrap()]))).unwrap();
    let reply = client.reply().await.unwrap();
    assert_eq!(reply["error"], "org.nbkp.Daemon.UnknownVolume");
    assert_eq!(reply["parameters"], json!({ "volume": "ubs", "similar": ["usb"] }));
}

#[tokio::test]
async fn calls_may_be_sent_ahead_without_reply_or_with_the_sending_side_closed() {
    let mut rig = Rig::new();
    let mut client = rig.client().await;
    client.send(&json!({ "method": "org.nbkp.Daemon.Resume", "oneway": true })).await;
    client.send(&json!({ "method": "org.nbkp.Daemon.Fly", "oneway": true })).await;
    client.send(&json!({ "method": "org.nbkp.Daemon.List" })).await;
    client.send(&json!({ "method": "org.nbkp.Daemon.Scan" })).await;
    client.stream.shutdown().await.unwrap();
    let resume = rig.asked().await;
    assert!(matches!(resume, Ask::Resume { .. }));
    satisfy(resume);
    assert_eq!(client.reply().await.unwrap()["parameters"]["syncs"][0]["name"], "documents");
    satisfy(rig.asked().await);
    assert_eq!(client.reply().await.unwrap(), json!({ "parameters": {} }));
    assert_eq!(client.reply().await, None);
}

#[tokio::test]
async fn a_daemon_that_stops_says_so() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let mut watching = rig.client().await;
    watching.follow("org.nbkp.Daemon.Status", json!({})).await;
    watching.reply().await.unwrap();
    let Rig { asks, errands, status, root: _root, .. } = rig;
    drop((asks, errands, status));
    for method in ["Scan", "Run", "Snapshots"] {
        let reply = client.call(&format!("org.nbkp.Daemon.{method}"), json!({})).await;
        assert_eq!(reply["error"], "org.nbkp.Daemon.Stopping", "{method}");
    }
    assert_eq!(watching.reply().await.unwrap()["error"], "org.nbkp.Daemon.Stopping");
}
