//! Stories of drives that a dead daemon left open.

use crate::daemon::world::tests::*;

#[test]
fn what_a_dead_daemon_left_open_is_closed() {
    let held = |volume: &str, uuid: &str| Held {
        volume: volume.parse().unwrap(),
        uuid: uuid.parse().unwrap(),
        at: HeldAt::Here { device: (8, 17), disk_seq: Some(1), boot: None },
        undo: Undo::Unmount,
    };
    let beginnings = Beginnings {
        initiative: Initiative::Own,
        config_file: "/config.toml".into(),
        configuration: configuration(OPENED),
        ledger: Ledger::default(),
        // One as it is configured, one that goes by another UUID now, one that is configured no longer.
        held: vec![held("usb", USB), held("red", OTHER), held("old", OTHER)],
        past: BTreeMap::new(),
        seed: 7,
    };
    let mut story = Story::new(OPENED);
    story.world = World::new(beginnings, &now_at(0));
    assert_eq!(story.orders(), [""; 0]);
    story.see(&[("laptop", absent()), ("usb", present("/media/usb", Some(1))), ("red", absent())]);
    assert_eq!(story.orders(), ["close usb: Leave", "close red: Leave", "close old: Leave"]);
}

#[test]
fn which_of_two_drives_with_one_uuid_is_closed_is_not_guessed() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    assert_eq!(story.running(), ["documents"]);
    story.orders();
    story.devices.insert(0, block_device("/dev/sda1", USB, 1, 2, DeviceRole::Filesystem("ext4".into())));
    story.see(&[("usb", VolumeSight::Ambiguous { devices: vec!["/dev/sda1".into(), "/dev/sdb1".into()] })]);
    story.end("documents", Conclusion::Interrupted(Interruption::DestinationLost("a second one came".into())));
    let Some(DriveOrder::Close(closing)) = story.drives.pop() else { panic!("it is closed") };
    assert!(matches!(closing.site, ClosingSite::Here(None)), "what was written down tells");
}
