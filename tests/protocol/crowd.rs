//! Many clients, silent ones, and such that do not read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nbkp::os::socket::is_abandoned;
use serde_json::json;
use tokio::time::timeout;

use super::rig::{DEADLINE, Rig, large_status};

#[tokio::test]
async fn silent_clients_make_room_once_all_places_are_taken() {
    let rig = Rig::new();
    let mut silent = Vec::new();
    for number in 0..64 {
        let mut client = rig.client().await;
        // To have said something once makes nobody less silent.
        if number % 2 == 0 {
            client.call("org.nbkp.Daemon.Ping", json!({})).await;
        }
        silent.push(client);
    }
    let mut surplus = rig.client().await;
    let refused = json!({ "error": "org.nbkp.Daemon.TooManyConnections", "parameters": { "limit": 64 } });
    assert_eq!(surplus.reply().await.unwrap(), refused);
    assert_eq!(surplus.reply().await, None);
    let took = rig.is_served().await;
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(15), "{took:?}");
    // From now on there is room.
    assert!(rig.is_served().await < Duration::from_secs(1));
}

#[tokio::test]
async fn who_listens_is_not_silent() {
    let rig = Rig::new();
    let mut watching = Vec::new();
    for _ in 0..64 {
        let mut client = rig.client().await;
        client.follow("org.nbkp.Daemon.Status", json!({})).await;
        client.reply().await.unwrap();
        watching.push(client);
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        let mut surplus = rig.client().await;
        assert_eq!(surplus.reply().await.unwrap()["error"], "org.nbkp.Daemon.TooManyConnections");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    rig.progress(1);
    for client in &mut watching {
        assert_eq!(client.reply().await.unwrap()["parameters"]["running"][0]["bytes"], 1);
    }
    watching.pop();
    rig.is_served().await;
}

#[tokio::test]
async fn silent_clients_may_stay_while_there_is_room() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    assert!(timeout(Duration::from_secs(6), client.reply()).await.is_err(), "neither a reply nor an end");
    assert_eq!(client.call("org.nbkp.Daemon.Status", json!({})).await["parameters"]["version"], 1);
}

#[tokio::test]
async fn a_thousand_clients_that_come_and_go_are_all_served() {
    let rig = Rig::new();
    for _ in 0..1_000 {
        let mut client = rig.client().await;
        assert_eq!(client.call("org.nbkp.Daemon.Ping", json!({})).await, json!({ "parameters": {} }));
    }
    // Vanished before an answer, and even before a question.
    for number in 0..500 {
        let mut client = rig.client().await;
        if number % 2 == 0 {
            client.follow("org.nbkp.Daemon.Status", json!({})).await;
        }
    }
    rig.is_served().await;
}

#[tokio::test]
async fn a_client_that_reads_late_gets_the_newest() {
    let rig = Rig::new();
    let mut lazy = rig.client().await;
    lazy.follow("org.nbkp.Daemon.Status", json!({})).await;
    assert_eq!(lazy.reply().await.unwrap()["continues"], true);
    let mut other = rig.client().await;
    for bytes in 1..=5_000 {
        rig.progress(bytes);
        if bytes % 50 == 0 {
            other.call("org.nbkp.Daemon.Status", json!({})).await;
        }
    }
    let mut replies = 0;
    loop {
        let reply = lazy.reply().await.unwrap();
        replies += 1;
        if reply["parameters"]["running"][0]["bytes"] == 5_000 {
            break;
        }
    }
    assert!(replies < 50, "{replies} replies for 5000 changes");
}

#[tokio::test]
async fn a_client_that_stops_reading_a_large_status_is_dropped_and_slows_nobody() {
    let rig = Rig::new();
    rig.status.send_replace(Arc::new(large_status(1_000)));
    let mut stuck = rig.client().await;
    stuck.follow("org.nbkp.Daemon.Status", json!({})).await;
    let mut watching = rig.client().await;
    watching.follow("org.nbkp.Daemon.Status", json!({})).await;
    assert_eq!(watching.reply().await.unwrap()["parameters"]["syncs"].as_array().unwrap().len(), 1_000);
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut syncs = 1_000_u32;
    while !is_abandoned(&stuck.stream) {
        assert!(start.elapsed() < DEADLINE, "it is never dropped");
        syncs += 1;
        rig.status.send_replace(Arc::new(large_status(syncs)));
        // Whoever reads is told of each change, a few times a second.
        let asked = Instant::now();
        let newest = format!("sync-{}", syncs - 1);
        while watching.reply().await.unwrap()["parameters"]["syncs"].as_array().unwrap().last().unwrap()["name"]
            != newest
        {}
        slowest = slowest.max(asked.elapsed());
    }
    let took = start.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(20), "{took:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}
