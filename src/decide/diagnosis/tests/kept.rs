//! What is found of what the daemon keeps: its state, and what it left open.

use super::*;

#[test]
fn the_state_is_private_writable_and_has_room() {
    let roomy = Room { bytes: 1 << 30, inodes: Some(1_000) };
    let check = |sight: &FileSight, written: &Result<(), String>, room| {
        found(&state::directory(Path::new("/s"), sight, written, room))
    };
    let private = directory(0o700);
    assert!(check(&private, &Ok(()), Some(roomy)).is_empty());
    assert!(check(&private, &Ok(()), Some(Room { inodes: None, ..roomy })).is_empty(), "btrfs counts no inodes");
    assert_eq!(check(&directory(0o777), &Ok(()), Some(roomy)), ["error state-exposed"]);
    assert_eq!(check(&directory(0o755), &Ok(()), Some(roomy)), ["warning state-exposed"]);
    assert_eq!(check(&private, &Ok(()), Some(Room { bytes: 1 << 20, ..roomy })), ["warning state-full"]);
    assert_eq!(check(&private, &Ok(()), Some(Room { inodes: Some(3), ..roomy })), ["warning state-full"]);
    let full = Err("No space left on device".to_owned());
    assert_eq!(check(&private, &full, Some(Room { bytes: 0, ..roomy })), ["error state-unusable"], "once, not twice");
}

#[test]
fn a_damaged_history_and_a_clock_that_is_behind_are_told() {
    let path = Path::new("/s/history.db");
    assert!(found(&state::history_file(path, &HistorySight::NoneYet)).is_empty());
    assert!(found(&state::history_file(path, &HistorySight::Sound)).is_empty());
    assert!(found(&state::history_file(path, &HistorySight::CutOff)).is_empty());
    let broken = state::history_file(path, &HistorySight::Broken("malformed".into()));
    assert_eq!(found(&broken), ["warning history-broken"]);
    assert!(words(&broken).contains("`mv /s/history.db /s/history.db.old`"), "{}", words(&broken));

    let with = |finished: &str| {
        let last_run = Some(Arc::new(run(Outcome::Ok, finished)));
        let sync = SyncStatus { last_run, ..sync_status(Vec::new(), Freshness::Fresh) };
        found(&state::clock(&status(Vec::new(), vec![sync]), NOW.parse().unwrap()))
    };
    assert!(with("2026-11-22T17:29:00Z").is_empty() && with("2026-11-22T17:31:00Z").is_empty());
    assert_eq!(with("2026-11-22T17:33:00Z"), ["warning clock-behind"]);
    assert!(found(&state::clock(&status(Vec::new(), Vec::new()), NOW.parse().unwrap())).is_empty());
}

#[test]
fn what_people_decided_is_read_or_given_again() {
    assert!(found(&state::ledger(&Ok(()))).is_empty());
    let broken = state::ledger(&Err("understand /s/ledger.json: it is damaged".into()));
    assert_eq!(found(&broken), ["warning ledger-broken"]);
    assert!(words(&broken).contains("could not understand /s/ledger.json"), "{broken:?}");
}

#[test]
fn a_state_directory_that_is_yet_to_be_made_is_well_where_it_can_be() {
    assert!(found(&state::directory_to_come(Path::new("/s"), &Ok(()))).is_empty());
    let nowhere = state::directory_to_come(Path::new("/s"), &Err("Permission denied".into()));
    assert_eq!(found(&nowhere), ["error state-unusable"]);
}

#[test]
fn what_a_killed_daemon_left_open_is_told_with_who_closes_it() {
    let uuid: crate::model::DriveUuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
    let at = HeldAt::Here { device: (8, 1), disk_seq: None, boot: None };
    let left = |undo| drives::left_open(&Held { volume: name("usb"), uuid: uuid.clone(), at: at.clone(), undo }, "go");
    assert!(found(&left(Undo::Nothing)).is_empty());
    assert_eq!(found(&left(Undo::Unmount)), ["warning left-open"]);
    assert!(words(&left(Undo::Lock)).contains("unlocked and mounted"));
    assert!(words(&left(Undo::Lock)).contains("closes it: `go`"));
    assert_eq!(found(&drives::left_unknown("read it")), ["warning left-open"]);
}
