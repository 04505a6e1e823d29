//! What is found of drives, volumes and syncs.

use super::*;

/// polkit that allows the actions whose ids end so.
fn polkit(ends: &[&str]) -> PolkitSight {
    PolkitSight::Allows(drives::actions().map(|id| (id, ends.iter().any(|end| id.ends_with(end)))).collect())
}

fn seen(trial: Trial, place: Option<DrivePlace>) -> DriveSight {
    DriveSight { trial, place, container: None }
}

#[test]
fn udisks_knows_best_whether_a_drive_may_be_mounted() {
    let usb = name("usb");
    let check = |polkit: &PolkitSight, sight: &DriveSight| found(&drives::mounting(&usb, polkit, sight));
    let (nothing, all) = (polkit(&[]), polkit(&["filesystem-mount", "filesystem-mount-other-seat"]));
    assert!(check(&nothing, &seen(Trial::Allowed, None)).is_empty());
    let refused = seen(Trial::Refused("Not authorized".into()), Some(DrivePlace::Removable));
    assert_eq!(check(&all, &refused), ["error not-authorized"], "whatever polkit says of other drives");
    let told = drives::mounting(&usb, &nothing, &refused);
    assert!(words(&told).contains("nbkpctl drives polkit | sudo tee /etc/polkit-1/rules.d/"));
    assert!(!words(&told).contains("-system"));
    let system = seen(Trial::Refused("Not authorized".into()), Some(DrivePlace::System));
    assert!(words(&drives::mounting(&usb, &nothing, &system)).contains("add `-system`"));

    for trial in
        [Trial::NotPlugged, Trial::Ambiguous, Trial::Mounted, Trial::Locked, Trial::InFstab, Trial::Unclear("x".into())]
    {
        let sight = seen(trial, None);
        assert_eq!(check(&nothing, &sight), ["note permission-untested"], "{sight:?}");
        assert!(check(&all, &sight).is_empty(), "{sight:?}");
        // While its user sits there, udisks2 asks for the plain action.
        assert!(check(&polkit(&["filesystem-mount"]), &sight).is_empty(), "{sight:?}");
    }
    let in_machine = seen(Trial::Mounted, Some(DrivePlace::System));
    assert_eq!(check(&all, &in_machine), ["note permission-untested"], "it is asked for the variant with -system");
    assert!(check(&polkit(&["filesystem-mount-system"]), &in_machine).is_empty());
    assert_eq!(check(&PolkitSight::Absent("x".into()), &seen(Trial::Mounted, None)), ["note permission-untested"]);
}

#[test]
fn what_cannot_be_asked_without_doing_it_is_said() {
    let usb = name("usb");
    let allowed = seen(Trial::Allowed, None);
    assert_eq!(found(&drives::unlocking(&usb, &polkit(&["mount"]), &allowed)), ["note permission-untested"]);
    assert!(found(&drives::unlocking(&usb, &polkit(&["unlock", "unlock-other-seat"]), &allowed)).is_empty());
    assert_eq!(found(&drives::powering_off(&usb, &polkit(&[]), &allowed)), ["note permission-untested"]);
    assert!(found(&drives::powering_off(&usb, &polkit(&["drive", "drive-other-seat"]), &allowed)).is_empty());
    assert!(drives::container(&usb, &allowed).is_none());
    let container = |container| DriveSight { container: Some(container), ..seen(Trial::Locked, None) };
    assert!(found(&drives::container(&usb, &container(ContainerSight::Read)).unwrap()).is_empty());
    let unread = drives::container(&usb, &container(ContainerSight::Unread)).unwrap();
    assert_eq!(found(&unread), ["error luks-unsupported"]);
}

#[test]
fn a_line_of_fstab_may_name_a_device_in_many_ways() {
    let links: Vec<PathBuf> = ["/dev/disk/by-uuid/5E3F-1A2B", "/dev/disk/by-partuuid/ab-1"].map(PathBuf::from).into();
    let is = |spec| drives::names(spec, (Path::new("/dev/sdb1"), &links), "5e3f-1a2b", Some("my disk"));
    for spec in [
        "/dev/sdb1",
        "/dev/disk/by-uuid/5E3F-1A2B",
        "UUID=5E3F-1A2B",
        "UUID=\"5e3f-1a2b\"",
        "LABEL=my disk",
        "PARTUUID=ab-1",
    ] {
        assert!(is(spec), "{spec}");
    }
    for spec in ["/dev/sdb", "UUID=5e3f-1a2c", "LABEL=disk", "PARTUUID=ab-2", "PARTLABEL=ab-1", "tmpfs", "LABEL="] {
        assert!(!is(spec), "{spec}");
    }
}

// --- volumes and syncs
// ------------------------------------------------------------------------------------------------

#[test]
fn absence_is_no_finding_and_what_a_person_can_mend_is() {
    let missing =
        || Obstacle::Sentinel { end: End::Source, path: "/a/.nbkp-src".into(), fault: SentinelFault::Missing };
    let not_opened = |trouble| Obstacle::NotOpened { end: End::Source, drive: name("usb").into(), trouble };
    let usb: crate::model::CredentialName = "usb".parse().unwrap();
    for (obstacle, expected) in [
        (absent(Absence::NotPlugged), None),
        (absent(Absence::Elsewhere), None),
        (Obstacle::Disabled, None),
        (Obstacle::UpstreamFailed { upstream: sync_name("a") }, None),
        (host(HostTrouble::NoRoute), Some("note host-unreachable")),
        (host(HostTrouble::Refused), Some("warning host-unreachable")),
        (host(HostTrouble::OtherKey), Some("warning host-key-mismatch")),
        (host(HostTrouble::UnknownKey), Some("error host-key-mismatch")),
        (host(HostTrouble::NotAdmitted), Some("error host-auth-failed")),
        (absent(Absence::NoDirectory("/a".into())), Some("error destination-volume-absent")),
        (Obstacle::VolumeHeld { volume: name("usb"), until: None }, Some("note held")),
        (Obstacle::ReadOnly { volume: name("usb"), root: "/m".into() }, Some("error read-only")),
        (not_opened(OpeningTrouble::KeyringLocked(usb)), Some("warning credential-locked")),
        (not_opened(OpeningTrouble::NotAuthorized("x".into())), Some("error not-authorized")),
        (missing(), Some("error source-sentinel-missing")),
    ] {
        let found = syncs::finding(&obstacle, &sync_name("mail"));
        let found = found.map(|finding| {
            assert_eq!(finding.fix, obstacle.hint(&sync_name("mail")));
            format!("{} {}", finding.severity, finding.code.word())
        });
        assert_eq!(found.as_deref(), expected, "{obstacle:?}");
    }
}

#[test]
fn what_is_said_of_a_volume_is_not_said_again_of_its_syncs() {
    let refused = host(HostTrouble::NotAdmitted);
    let held = Obstacle::ReadOnly { volume: name("usb"), root: "/m".into() };
    let volume = volume_status(vec![refused.clone()]);
    let sync_of = |freshness| sync_status(vec![refused.clone(), held.clone()], freshness);
    let both = status(vec![volume.clone()], vec![sync_of(Freshness::Fresh)]);
    let enabled = configuration(&[sync("mail", true)]);
    assert_eq!(found(&volumes::volume(&volume, &enabled)), ["error host-auth-failed"]);
    assert_eq!(syncs::syncs(&both, &[]).iter().flat_map(found).collect::<Vec<_>>(), ["error read-only"]);
    // Nobody waits for what only a disabled sync uses.
    assert!(found(&volumes::volume(&volume, &configuration(&[sync("mail", false)]))).is_empty());
    let disabled = SyncStatus { state: SyncState::Disabled, ..sync_of(Freshness::Overdue) };
    assert!(syncs::syncs(&status(vec![], vec![disabled]), &[]).is_empty());
}

#[test]
fn syncs_that_are_overdue_or_fail_are_told() {
    let check = |freshness, recent: &[Outcome]| -> Vec<String> {
        let recent: Vec<_> = recent.iter().map(|outcome| run(*outcome, NOW)).collect();
        let told =
            syncs::syncs(&status(vec![], vec![sync_status(vec![absent(Absence::NotPlugged)], freshness)]), &recent);
        told.iter().flat_map(found).collect()
    };
    let (ok, failed, skipped, cut) = (Outcome::Ok, Outcome::Failed, Outcome::Skipped, Outcome::Interrupted);
    assert!(check(Freshness::Fresh, &[ok, failed]).is_empty());
    assert_eq!(check(Freshness::Overdue, &[]), ["warning overdue"]);
    assert_eq!(check(Freshness::Fresh, &[failed, ok, failed, failed]), ["warning run-failed"]);
    assert_eq!(check(Freshness::Fresh, &[failed, skipped, failed, failed, ok]), ["error run-failed"]);
    assert!(check(Freshness::Fresh, &[cut, failed, failed, failed]).is_empty(), "it goes on by itself");
    let told = syncs::syncs(&status(vec![], vec![sync_status(vec![], Freshness::Fresh)]), &[run(failed, NOW)]);
    assert!(words(&told[0]).contains("no space is left (make room)") && words(&told[0]).contains("`nbkpctl run mail`"));
}

#[test]
fn a_bare_mount_point_is_told_with_what_keeps_it_empty() {
    let told = volumes::bare_point("shelf", Path::new("/mnt/b"), BarePoint::Open);
    assert_eq!(found(&told), ["warning mount-point-bare"]);
    assert!(words(&told).contains("`mount /mnt/b`") && words(&told).contains("`chattr +i /mnt/b`"));
    assert_eq!(
        found(&volumes::bare_point("shelf", Path::new("/mnt/b"), BarePoint::Immutable)),
        ["note mount-point-bare"]
    );
}
