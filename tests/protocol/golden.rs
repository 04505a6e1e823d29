//! Replies of the first version, as it sent them: they are read, and written again byte for byte.

use std::fmt::Debug;

use nbkp::formats::wire::{
    Diagnosis, Flow, HistoryReply, Listing, PreviewLine, PreviewLineKind, Reply, RunEnd, Snapshots, StatusReply, Term,
    Why, reply_frame,
};
use nbkp::model::{
    Area, DaemonState, FindingCode, Flaw, Freshness, KeepReason, ObstacleCode, Outcome, Severity, SnapshotKind,
    Standing, Step, SyncState, Trigger, VolumeKind, Worded,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

const REPLIES: &str = include_str!("../golden/wire-0.1.0.txt");

fn reply(parameters: &str) -> Reply {
    Reply::read(format!("{{\"parameters\":{parameters}}}").as_bytes()).unwrap().unwrap()
}

fn same<T: Debug + Serialize + DeserializeOwned>(parameters: &str) -> Vec<u8> {
    let read: T = reply(parameters).decode().unwrap();
    assert!(!format!("{read:?}").contains("Other("), "a word has lost its meaning: {read:?}");
    reply_frame(&read, Flow::Ends)
}

fn known<T: Worded>(words: &str) {
    for word in words.split_whitespace() {
        assert!(T::of_word(word).is_some_and(|known| known.word() == word), "{word}");
    }
}

#[test]
fn old_replies_are_read_and_written_as_they_were() {
    for line in REPLIES.lines() {
        let (method, parameters) = line.split_once(' ').unwrap();
        let written = match method {
            "Status" => same::<StatusReply>(parameters),
            "History" => same::<HistoryReply>(parameters),
            "Snapshots" => same::<Snapshots>(parameters),
            "List" => same::<Listing>(parameters),
            "Why" => same::<Why>(parameters),
            "Doctor" => same::<Diagnosis>(parameters),
            "Run" => same::<RunEnd>(parameters),
            "Preview" => same::<PreviewLine>(parameters),
            other => panic!("{other}"),
        };
        assert_eq!(String::from_utf8(written).unwrap(), format!("{{\"parameters\":{parameters}}}\0"));
    }
}

/// Words are added and never renamed: history, logs and other programs hold them.
#[test]
fn every_word_of_the_first_version_still_means_something() {
    known::<Area>("daemon state tools neighbours credentials drives volumes syncs");
    known::<DaemonState>("idle running paused");
    known::<Freshness>("never fresh overdue");
    known::<KeepReason>("last hourly daily weekly monthly yearly newest nothing-better all future");
    known::<ObstacleCode>(
        "disabled source-volume-absent destination-volume-absent source-not-mounted destination-not-mounted
         source-sentinel-missing destination-sentinel-missing sentinel-mismatch duplicate-uuid device-unknown
         not-encrypted host-unreachable host-key-mismatch host-auth-failed wrong-location metered battery outside-hours
         credential-locked not-authorized read-only not-btrfs no-space upstream-failed held paused backing-off
         lock-taken tool-missing source-is-empty source-incomplete foreign-writer",
    );
    known::<Outcome>("ok skipped interrupted failed held");
    known::<PreviewLineKind>("command change action");
    known::<Severity>("error warning note");
    known::<SnapshotKind>("none btrfs hard-link");
    known::<Standing>("good partial suspect");
    known::<Step>("prove lock recover before copy judge flush commit record prune undo");
    known::<SyncState>("disabled waiting idle queued running held failing");
    known::<Trigger>("start drive mount network schedule request configuration retry");
    known::<VolumeKind>("directory drive server");
}

#[test]
fn their_words_are_known_and_those_of_a_newer_daemon_are_kept() {
    let of = |method: &str| REPLIES.lines().find_map(|line| line.strip_prefix(method)).unwrap();
    let status: StatusReply = reply(of("Status ")).decode().unwrap();
    assert!(status.syncs[0].state.is(SyncState::Running) && status.running[0].step.is(Step::Copy));
    assert!(status.syncs[1].obstacles[0].code.is(ObstacleCode::DestinationVolumeAbsent));
    assert!(status.syncs[0].last_run.as_ref().unwrap().outcome.is(Outcome::Ok));
    let diagnosis: Diagnosis = reply(of("Doctor ")).decode().unwrap();
    assert!(diagnosis.findings[0].code.is(FindingCode::Flaw(Flaw::Degraded)));

    let newer = of("Status ").replace("\"outcome\":\"ok\"", "\"outcome\":\"verified\"");
    let status: StatusReply = reply(&newer).decode().unwrap();
    assert_eq!(status.syncs[0].last_run.as_ref().unwrap().outcome, Term::Other("verified".into()));
}

/// The daemon of an earlier day left out what was added later.
#[test]
fn what_an_older_daemon_leaves_out_may_be_missing() {
    let snapshots = r#"{"snapshots":[{"sync":"a","name":"n","path":"/p","keep":["all"]}]}"#;
    assert!(reply(snapshots).decode::<Snapshots>().unwrap().snapshots[0].standing.is_none());
}
