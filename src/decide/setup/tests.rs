//! Set-ups, one sentence each.

use std::path::{Path, PathBuf};

use super::*;
use crate::model::{
    Access, Additions, BlockDevice, Cipher, Configuration, CredentialProvider, DaemonSettings, DeviceRole,
    FilesystemFamily, Filter, FoundDrive, FoundPlace, FoundServer, Monitoring, Mount, MountId, Mounter, Mounting,
    Notify, Place, ServerWay, SnapshotKind, Sync, SyncName, Vacancy, Volume, VolumeRoot,
};

const HOME: &str = "/home/ada";

fn nothing() -> Configuration {
    let settings = DaemonSettings {
        max_parallel: 1,
        settle: std::time::Duration::ZERO,
        grace: std::time::Duration::ZERO,
        notify: Notify::None,
    };
    Configuration {
        daemon: settings,
        locations: [].into(),
        endpoints: [].into(),
        volumes: [].into(),
        groups: [].into(),
        credentials: CredentialProvider::SecretService,
        monitoring: Monitoring::default(),
        syncs: [].into(),
    }
}

fn with(additions: &Additions) -> Configuration {
    let mut configuration = nothing();
    configuration.endpoints.extend(additions.endpoints.iter().map(|e| (e.name.clone(), e.clone())));
    configuration.volumes.extend(additions.volumes.iter().map(|v| (v.name.clone(), v.clone())));
    configuration.syncs.extend(additions.syncs.iter().map(|s| (s.name.clone(), s.clone())));
    configuration
}

fn drive(label: Option<&str>, encryption: Cipher) -> FoundPlace {
    let drive = FoundDrive {
        uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap(),
        inside: None,
        label: label.map(str::to_owned),
        encryption,
        mounter: if encryption == Cipher::Luks { Mounter::Daemon } else { Mounter::Others },
    };
    FoundPlace::OnDrive(drive, "backups".parse().unwrap())
}

fn server(root: &str) -> FoundPlace {
    let way = ServerWay::New { user: None, host: "nas.local".into() };
    FoundPlace::OnServer(FoundServer { way, root: root.into() }, "".parse().unwrap())
}

fn wish(
    planner: &mut Planner,
    source: &str,
    destination: &FoundPlace,
    name: Option<&str>,
) -> Result<Drafted, Unplanned> {
    planner.take_in(SyncWish {
        source: &FoundPlace::Directory(source.into()),
        path: Path::new(source),
        destination,
        snapshots: SnapshotKind::HardLink,
        filters: Vec::new(),
        name: name.map(|name| name.parse().unwrap()),
        vacancy: &|_| Vacancy::Unseen,
    })
}

fn planned(
    configuration: Configuration,
    source: &str,
    destination: &FoundPlace,
) -> (Result<Drafted, Unplanned>, Additions) {
    let mut planner = Planner::new(configuration, Path::new(HOME));
    let drafted = wish(&mut planner, source, destination, None);
    (drafted, planner.additions())
}

fn sync(name: &str) -> SyncName {
    name.parse().unwrap()
}

#[test]
fn a_first_set_up_names_the_home_the_drive_and_the_sync() {
    let (drafted, additions) = planned(nothing(), "/home/ada/My Documents", &drive(Some("USB Drive"), Cipher::Plain));
    assert_eq!(drafted, Ok(Drafted::New(sync("my-documents"))));
    let names: Vec<_> = additions.volumes.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, ["home", "usb-drive"]);
    let shown = |place: &Place| place.to_string();
    let new: &Sync = &additions.syncs[0];
    assert_eq!(shown(&new.source), "home:My Documents");
    assert_eq!(shown(&new.destination), "usb-drive:backups/my-documents");
}

#[test]
fn the_same_answers_change_nothing() {
    let (_, first) = planned(nothing(), HOME, &server("/srv"));
    let (drafted, second) = planned(with(&first), HOME, &server("/srv"));
    assert_eq!((drafted, second), (Ok(Drafted::Already(sync("home"))), Additions::default()));
}

#[test]
fn what_is_there_is_used_again() {
    let (_, first) = planned(nothing(), "/home/ada/a", &server("/srv"));
    let (drafted, second) = planned(with(&first), "/home/ada/b", &server("/srv/more"));
    assert_eq!(drafted, Ok(Drafted::New(sync("b"))));
    assert!(second.endpoints.is_empty() && second.volumes.is_empty());
    assert_eq!(second.syncs[0].destination.to_string(), "nas-local:more/b");
    let (_, relative) = planned(with(&first), "/home/ada/b", &server("copies"));
    assert_eq!(relative.volumes[0].name.as_str(), "copies", "below the home there is elsewhere");
}

#[test]
fn names_never_collide() {
    let (_, first) = planned(nothing(), "/data/x", &drive(Some("x"), Cipher::Plain));
    assert_eq!(first.volumes.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), ["x", "x-2"]);
    let (second, additions) = planned(with(&first), "/other/x", &drive(Some("x"), Cipher::Plain));
    assert_eq!(second, Ok(Drafted::New(sync("x-x-2"))));
    assert_eq!(additions.volumes[0].name.as_str(), "x-3");
    let mut planner = Planner::new(with(&first), Path::new(HOME));
    let taken = wish(&mut planner, "/third/x", &drive(None, Cipher::Plain), Some("x"));
    assert_eq!(taken, Err(Unplanned::NameTaken(sync("x"))));
}

#[test]
fn what_lies_at_the_destination_under_a_name_keeps_it() {
    let mut planner = Planner::new(nothing(), Path::new(HOME));
    let taken = |name: &SyncName| if name.as_str() == "a" { Vacancy::Taken } else { Vacancy::Free };
    let drafted = planner.take_in(SyncWish {
        source: &FoundPlace::Directory("/home/ada/a".into()),
        path: Path::new("/home/ada/a"),
        destination: &drive(Some("usb"), Cipher::Plain),
        snapshots: SnapshotKind::None,
        filters: Vec::new(),
        name: None,
        vacancy: &taken,
    });
    assert_eq!(drafted, Ok(Drafted::New(sync("a-usb"))));
    // Who gave it the name is asked for another one.
    let named = planner.take_in(SyncWish {
        source: &FoundPlace::Directory("/home/ada/b".into()),
        path: Path::new("/home/ada/b"),
        destination: &drive(Some("usb"), Cipher::Plain),
        snapshots: SnapshotKind::None,
        filters: Vec::new(),
        name: Some(sync("a")),
        vacancy: &taken,
    });
    assert_eq!(named, Err(Unplanned::PlaceTaken(sync("a"))));
}

#[test]
fn an_encrypted_drive_is_opened_with_a_passphrase_of_its_name() {
    let (_, additions) = planned(nothing(), HOME, &drive(None, Cipher::Luks));
    let Volume { root: VolumeRoot::Drive(found), .. } = &additions.volumes[1] else { panic!("no drive") };
    assert_eq!(found.mounting, Mounting::ForTheRun { passphrase: Some("drive".parse().unwrap()) });
}

#[test]
fn copies_are_not_copied() {
    let inside = FoundPlace::Directory("/home/ada/copies".into());
    let (drafted, additions) = planned(nothing(), HOME, &inside);
    assert_eq!(drafted, Err(Unplanned::Inside("/home/ada/copies".into(), PathBuf::from(HOME))));
    assert!(additions.is_empty());
    let (drafted, _) = planned(nothing(), "/home/ada/a", &inside);
    assert_eq!(drafted, Ok(Drafted::New(sync("a"))));
}

#[test]
fn another_kind_in_the_same_place_is_told() {
    let (_, first) = planned(nothing(), HOME, &server("/srv"));
    let mut configuration = with(&first);
    for known in configuration.syncs.values_mut() {
        known.snapshots = SnapshotKind::Btrfs;
    }
    let (drafted, _) = planned(configuration, HOME, &server("/srv"));
    assert_eq!(drafted, Err(Unplanned::OtherKind(sync("home"), SnapshotKind::Btrfs)));
}

#[test]
fn a_path_that_no_text_holds_is_refused() {
    let (drafted, additions) = planned(nothing(), "/home/ada/a\nb", &server("/srv"));
    assert!(matches!(drafted, Err(Unplanned::Unwritable(..))), "{drafted:?}");
    assert!(additions.syncs.is_empty());
}

#[test]
fn the_kind_follows_the_filesystem() {
    for (fs_type, kind) in [
        ("btrfs", SnapshotKind::Btrfs),
        ("ext2/ext3", SnapshotKind::HardLink),
        ("xfs", SnapshotKind::HardLink),
        ("vfat", SnapshotKind::None),
        ("exfat", SnapshotKind::None),
        ("fuseblk", SnapshotKind::None),
        ("cifs", SnapshotKind::None),
    ] {
        assert_eq!(kind_for(family(fs_type)), kind, "{fs_type}");
    }
    for (fs_type, btrfs, hard_link) in [
        ("btrfs", false, false),
        ("ext2/ext3", true, false),
        ("nfs", true, false),
        ("exfat", true, true),
        ("vfat", true, true),
        ("cifs", true, false),
        ("UNKNOWN (0x1234)", false, false),
    ] {
        let misfits = [SnapshotKind::Btrfs, SnapshotKind::HardLink].map(|kind| is_misfit(fs_type, kind));
        assert_eq!(misfits, [btrfs, hard_link], "{fs_type}");
        assert!(!is_misfit(fs_type, SnapshotKind::None));
    }
    let lost = losses(FilesystemFamily::Fat, SnapshotKind::None);
    assert!(lost.iter().any(|loss| loss.contains("4 GiB")) && lost[0].contains("earlier versions"));
    assert!(losses(FilesystemFamily::Btrfs, SnapshotKind::Btrfs).is_empty());
}

#[test]
fn caches_are_left_out_where_they_are() {
    let patterns = |source: &str, mounted: Option<&str>| -> Vec<String> {
        let proposals = left_out(Path::new(source), Path::new(HOME), mounted.map(Path::new));
        proposals.into_iter().map(|proposal| proposal.pattern).collect()
    };
    assert!(patterns(HOME, None).contains(&"/.cache/".to_owned()));
    assert!(patterns("/home", None).contains(&"/ada/.local/share/Trash/".to_owned()));
    let documents = patterns("/home/ada/Documents", None);
    assert!(documents.contains(&"node_modules/".to_owned()) && !documents.iter().any(|p| p.contains(".cache")));
    assert_eq!(patterns(HOME, Some("/home/ada/mnt/usb"))[0], "/mnt/usb/");
    assert_eq!(patterns("/", None)[0], "/proc/*");
    let proposal = &left_out(Path::new(HOME), Path::new(HOME), None)[0];
    assert_eq!(proposal.filter(), Filter::Exclude("/.cache/".into()));
}

fn device(node: &str, number: (u32, u32), role: DeviceRole) -> BlockDevice {
    BlockDevice {
        node: node.into(),
        links: Vec::new(),
        number,
        uuid: format!("2d577679-a7b6-429d-8250-3d0d80e0{:04x}", number.1).parse().unwrap(),
        member: None,
        role,
        disk_seq: None,
        hardware: None,
        label: None,
        size: 0,
    }
}

/// A mount on that of the root, known by the length of its point.
fn mount(point: &str, source: &str, device: (u32, u32), root: &str) -> Mount {
    Mount {
        id: MountId(point.len().try_into().unwrap()),
        parent: MountId(u64::from(point != "/")),
        device,
        root: root.into(),
        point: point.into(),
        fs_type: "ext4".into(),
        source: source.into(),
        access: Access::ReadWrite,
    }
}

#[test]
fn a_drive_is_what_the_system_does_not_run_from() {
    let fs = || DeviceRole::Filesystem("ext4".into());
    let devices = [
        device("/dev/sda1", (8, 1), fs()),
        device("/dev/sdb1", (8, 17), fs()),
        device("/dev/sdc1", (8, 33), fs()),
        device("/dev/sdd1", (8, 49), fs()),
    ];
    let mounts = [
        mount("/", "/dev/sda1", (8, 1), "/"),
        mount("/run/media/ada/usb", "/dev/sdb1", (8, 17), "/part"),
        mount("/mnt/usb", "/dev/sdb1", (8, 17), "/"),
        mount("/srv", "/dev/sdd1", (8, 49), "/"),
        mount("/data", "/dev/sda1", (8, 1), "/home/ada/data"),
    ];
    let home = Path::new(HOME);
    let around = MachineSeen { devices: &devices, mounts: &mounts, home };
    let at = |path: &str| drive_at(mount_of(Path::new(path), &mounts).unwrap(), &around).map(|d| d.node.clone());
    assert_eq!(at("/run/media/ada/usb/x"), Some("/dev/sdb1".into()));
    assert_eq!((at("/run/media/ada/usbx"), at("/home/ada/x"), at("/srv/x")), (None, None, None));
    assert_eq!(at("/data/x"), None, "a directory of the system's disk that is mounted once more");
    let eligible = devices.each_ref().map(|device| is_eligible(device, &around));
    assert_eq!(eligible, [false, true, true, false]);
    let whole_home = [mount("/home/ada", "/dev/sdc1", (8, 33), "/")];
    assert!(!is_eligible(&devices[2], &MachineSeen { mounts: &whole_home, ..around }));
}

#[test]
fn a_place_on_a_drive_is_told_from_the_mount_that_the_daemon_takes() {
    let devices = [device("/dev/sdb1", (8, 17), DeviceRole::Filesystem("ext4".into()))];
    let root = mount("/", "/dev/sda1", (8, 1), "/");
    let (whole, part) = (mount("/mnt/usb", "x", (8, 17), "/"), mount("/media/part", "x", (8, 17), "/data"));
    let found = |path: &str, mounts: &[&Mount], marked: &str| {
        let mounts: Vec<Mount> = mounts.iter().copied().cloned().collect();
        let around = MachineSeen { devices: &devices, mounts: &mounts, home: Path::new(HOME) };
        let place = place_on_drive(Path::new(path), &around, &|mount| mount.point == Path::new(marked));
        place.map(|place| (place.mount.point.display().to_string(), place.below.display().to_string()))
    };
    let at = |point: &str, below: &str| Some((point.to_owned(), below.to_owned()));
    assert_eq!(found("/mnt/usb/a/b", &[&root, &whole], ""), at("/mnt/usb", "a/b"));
    assert_eq!(found("/mnt/usb", &[&root, &whole], ""), at("/mnt/usb", ""));
    assert_eq!(found("/media/part/b", &[&root, &part, &whole], ""), at("/mnt/usb", "data/b"));
    assert_eq!(found("/media/part", &[&root, &part, &whole], ""), at("/mnt/usb", "data"));
    assert_eq!(found("/media/part/b", &[&root, &part], ""), None, "the next time the whole may be mounted");
    assert_eq!(found("/mnt/usb/b", &[&root, &part, &whole], "/media/part"), None, "the part was prepared");
    let over = Mount { id: MountId(99), parent: whole.id, ..mount("/mnt/usb/data", "y", (8, 99), "/") };
    assert_eq!(found("/media/part/b", &[&root, &part, &whole, &over], ""), None, "something lies over it");
    let again = Mount { id: MountId(77), ..mount("/media/again", "x", (8, 17), "/") };
    assert_eq!(found("/mnt/usb/b", &[&root, &whole, &again], "/media/again"), at("/media/again", "b"));
}

#[test]
fn an_open_container_is_what_is_in_it() {
    let container = device("/dev/sdb1", (8, 17), DeviceRole::Container);
    let inside = DeviceRole::Unlocked { container: container.uuid.clone(), filesystem: "btrfs".into() };
    let devices = [container.clone(), device("/dev/dm-0", (253, 0), inside)];
    assert_eq!(with_uuid(&container.uuid, &devices).unwrap().node, Path::new("/dev/dm-0"));
    assert_eq!(with_uuid(&container.uuid, &devices[..1]).unwrap().node, Path::new("/dev/sdb1"));
    let around = MachineSeen { devices: &devices, mounts: &[], home: Path::new(HOME) };
    let eligible = devices.each_ref().map(|device| is_eligible(device, &around));
    assert_eq!(eligible, [false, true]);
}
