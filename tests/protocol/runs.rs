//! What goes on while a client listens: the state, runs and errands.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::description::Description;
use super::rig::{Client, DEADLINE, Rig, absent, documents, record, satisfy};
use nbkp::daemon::messages::ask::{Accepted, Ask, RequestEnd, Urgency};
use nbkp::daemon::messages::errand::{Errand, ErrandNews, ErrandResult};
use nbkp::formats::wire::{DESCRIPTION, PreviewEnd, PreviewLine, PreviewLineKind};

/// Asks for a run of `documents`, which the daemon queues.
async fn run(rig: &mut Rig, client: &mut Client) -> mpsc::Sender<RequestEnd> {
    client.follow("org.nbkp.Daemon.Run", json!({ "syncs": ["documents"], "force": true })).await;
    let Ask::Run { syncs, urgency, answer, ends } = rig.asked().await else { panic!("another question") };
    assert_eq!((syncs, urgency), (vec![documents()], Urgency::Forced));
    answer.send(Ok(vec![Accepted { sync: documents(), obstacles: vec![] }])).unwrap();
    let first = client.reply().await.unwrap();
    assert_eq!(first["continues"], true);
    let accepted = json!([{ "sync": "documents", "queued": true, "obstacles": [] }]);
    assert_eq!(first["parameters"]["accepted"], accepted);
    ends
}

/// All replies up to the last one, each as it is described.
async fn rest(client: &mut Client, method: &str) -> Vec<Value> {
    let described = Description::read(&[DESCRIPTION]);
    let mut replies = Vec::new();
    loop {
        let reply = client.reply().await.expect("a last reply");
        assert!(reply.get("error").is_none(), "{reply}");
        described.check(&described.replies[method], &reply["parameters"], method);
        let is_last = reply.get("continues").is_none();
        replies.push(reply["parameters"].clone());
        if is_last {
            return replies;
        }
    }
}

#[tokio::test]
async fn a_status_is_told_again_only_when_it_changed() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    client.follow("org.nbkp.Daemon.Status", json!({ "syncs": ["photos"] })).await;
    let described = Description::read(&[DESCRIPTION]);
    let first = client.reply().await.unwrap();
    assert_eq!(first["parameters"]["syncs"].as_array().unwrap().len(), 1);
    rig.progress(1);
    let second = client.reply().await.unwrap();
    assert_eq!((&second["parameters"]["daemon"]["state"], &second["continues"]), (&json!("running"), &json!(true)));
    described.check(&described.replies["Status"], &second["parameters"], "Status");
    rig.progress(1);
    assert!(timeout(Duration::from_secs(1), client.reply()).await.is_err(), "nothing in it has changed");
    rig.progress(2);
    assert_eq!(client.reply().await.unwrap()["parameters"]["running"][0]["bytes"], 2);
}

#[tokio::test]
async fn a_run_is_told_from_acceptance_to_end() {
    let mut rig = Rig::new();
    let mut client = rig.client().await;
    let ends = run(&mut rig, &mut client).await;
    rig.progress(7);
    assert_eq!(client.reply().await.unwrap()["parameters"]["running"][0]["bytes"], 7);
    ends.send(RequestEnd::Ran(Box::new(record()))).await.unwrap();
    let replies = rest(&mut client, "Run").await;
    assert!(replies.iter().any(|reply| reply["ended"][0]["outcome"] == "ok"), "{replies:?}");
    let last = replies.last().unwrap();
    assert_eq!((&last["runs"][0]["files_transferred"], &last["dropped"]), (&json!(3), &json!([])));
    assert_eq!(last["accepted"][0]["sync"], "documents");
}

#[tokio::test]
async fn a_run_that_could_not_start_after_all_says_why() {
    let mut rig = Rig::new();
    let mut client = rig.client().await;
    let ends = run(&mut rig, &mut client).await;
    ends.send(RequestEnd::Dropped { sync: documents(), obstacles: vec![absent()] }).await.unwrap();
    let last = rest(&mut client, "Run").await.pop().unwrap();
    assert_eq!(last["dropped"][0]["message"], "drive `usb` is not plugged in (plug it in)");
    // One that nobody can tell the end of is no success.
    let ends = run(&mut rig, &mut client).await;
    drop(ends);
    assert_eq!(client.reply().await.unwrap()["error"], "org.nbkp.Daemon.Stopping");
}

#[tokio::test]
async fn a_run_outlives_the_client_that_asked_for_it() {
    let mut rig = Rig::new();
    let mut client = rig.client().await;
    let ends = run(&mut rig, &mut client).await;
    drop(client);
    timeout(DEADLINE, ends.closed()).await.expect("the server lets go of the request");
    assert!(rig.asks.try_recv().is_err(), "and asks for nothing more");
}

#[tokio::test]
async fn a_client_that_only_sends_no_more_is_told_the_end_all_the_same() {
    let mut rig = Rig::new();
    let mut client = rig.client().await;
    let ends = run(&mut rig, &mut client).await;
    client.stream.shutdown().await.unwrap();
    assert!(timeout(Duration::from_secs(2), ends.closed()).await.is_err(), "it still listens");
    ends.send(RequestEnd::Ran(Box::new(record()))).await.unwrap();
    assert_eq!(rest(&mut client, "Run").await.pop().unwrap()["runs"][0]["outcome"], "ok");
    // And one that leaves in two steps is noticed.
    let mut client = rig.client().await;
    let ends = run(&mut rig, &mut client).await;
    client.stream.shutdown().await.unwrap();
    drop(client);
    timeout(DEADLINE, ends.closed()).await.expect("it is gone");
}

#[tokio::test]
async fn what_cannot_run_ends_at_once() {
    let mut rig = Rig::new();
    let mut client = rig.client().await;
    client.follow("org.nbkp.Daemon.Run", json!({})).await;
    satisfy(rig.asked().await);
    let replies = rest(&mut client, "Run").await;
    assert_eq!(replies[0]["accepted"][0]["obstacles"][0]["code"], "destination-volume-absent");
    assert_eq!((replies.len(), &replies[1]["runs"]), (2, &json!([])));
}

#[tokio::test]
async fn an_errand_tells_lines_on_the_way_to_who_wants_more() {
    let mut rig = Rig::new();
    let mut client = rig.client().await;
    for wants_more in [true, false] {
        let parameters = json!({ "sync": "documents" });
        client.send(&json!({ "method": "org.nbkp.Daemon.Diff", "parameters": parameters, "more": wants_more })).await;
        let order = rig.ordered().await;
        assert_eq!(order.errand, Errand::Preview(vec![documents()]));
        let text = ">f+++++++++ a\\#012b".to_owned();
        let line = PreviewLine { sync: "documents".into(), kind: PreviewLineKind::Change.into(), text };
        order.news.send(ErrandNews::Line(line)).await.unwrap();
        let end = PreviewEnd { syncs: vec![], problems: vec![] };
        order.news.send(ErrandNews::Done(ErrandResult::Previewed(end))).await.unwrap();
        let replies = rest(&mut client, "Diff").await;
        assert_eq!(replies.len(), if wants_more { 2 } else { 1 });
        assert_eq!(replies.last().unwrap(), &json!({ "syncs": [], "problems": [] }));
        if wants_more {
            let line = json!({ "sync": "documents", "kind": "change", "text": ">f+++++++++ a\\#012b" });
            assert_eq!(replies[0], line);
        }
    }
}

#[tokio::test]
async fn an_errand_whose_client_left_is_finished_and_counted_until_then() {
    let mut rig = Rig::new();
    let mut orders = Vec::new();
    for _ in 0..8 {
        let mut client = rig.client().await;
        client.follow("org.nbkp.Daemon.Snapshots", json!({})).await;
        orders.push(rig.ordered().await);
        drop(client);
    }
    for order in &orders {
        timeout(DEADLINE, order.news.closed()).await.expect("nobody listens any more");
    }
    let mut client = rig.client().await;
    let reply = client.call("org.nbkp.Daemon.Snapshots", json!({})).await;
    assert_eq!(reply["error"], "org.nbkp.Daemon.Failed");
    assert!(reply["parameters"]["message"].as_str().unwrap().contains("try again"), "{reply}");
    assert_eq!(client.call("org.nbkp.Daemon.Ping", json!({})).await, json!({ "parameters": {} }));
    orders.pop();
    client.follow("org.nbkp.Daemon.Snapshots", json!({})).await;
    rig.ordered().await;
}
