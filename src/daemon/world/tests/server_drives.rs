//! Stories of drives that are plugged into servers, and opened there for runs.

use crate::daemon::messages::probe::ProbeReport;
use crate::daemon::world::tests::servers::{at_home, fault, seen};
use crate::daemon::world::tests::*;

pub(super) const ATTIC: &str = r#"
    [daemon]
    settle = "2s"
    grace = "10s"
    [locations.home]
    subnets = ["192.168.7.0/24"]
    [ssh-endpoints.lan]
    host = "nas.local"
    locations = ["home"]
    [volumes.laptop]
    path = "/home/a"
    [volumes.attic]
    ssh = ["lan"]
    drive = "2d577679-a7b6-429d-8250-3d0d80e034df"
    mount = true
    passphrase = "attic"
    when-done = "power-off"
    path = "backups"
    [defaults]
    every = "1h"
    [syncs.documents]
    source = "laptop:Documents"
    destination = "attic:documents"
    [syncs.photos]
    source = "laptop:Photos"
    destination = "attic:photos"
"#;

pub(super) fn node() -> Node {
    Node { path: "/dev/sdb1".into(), host: Some("nas.local".into()) }
}

pub(super) fn locked_there(medium: u64) -> VolumeSight {
    VolumeSight::Locked { device: node(), disk_seq: Some(medium) }
}

pub(super) fn open_there(medium: u64) -> VolumeSight {
    VolumeSight::Reached(ReachedVolume {
        endpoint: "lan".parse().unwrap(),
        interface: None,
        root: "/media/attic/backups".into(),
        access: Access::ReadWrite,
        fs_type: "ext4".into(),
        id: None,
        medium: Some(medium),
    })
}

fn unseen(volume: &RemoteProbe, sight: VolumeSight, medium: u64) -> RemoteSight {
    let ends = volume.ends.iter().map(|_| EndSight::Unseen).collect();
    RemoteSight { sight, medium: Some(medium), container: None, ends }
}

impl Story {
    /// At home, with the drive plugged into the server and locked.
    pub(super) fn with_attic(text: &str) -> Self {
        let mut story = Self::new(text);
        story.see(&[("laptop", present("/home/a", None))]);
        story.tell(Event::Network(Box::new(at_home()), ChangeExtent::Outside));
        story.server_tells(&locked_there(1));
        story
    }

    /// The one question that is under way is answered.
    pub(super) fn server_tells(&mut self, sight: &VolumeSight) {
        self.server_tells_of(sight, None);
    }

    /// The same, with the container in which the filesystem lies that the drive is named by.
    pub(super) fn server_tells_of(&mut self, sight: &VolumeSight, container: Option<&str>) {
        assert_eq!(self.asked.len(), 1, "the server was asked");
        let ProbeOrder { configuration, probe, .. } = self.asked.remove(0);
        let each = |volume: &RemoteProbe| match sight {
            VolumeSight::Reached(_) => seen(volume, sight.clone()),
            VolumeSight::Locked { disk_seq, .. } => unseen(volume, sight.clone(), disk_seq.unwrap_or_default()),
            VolumeSight::Absent(Absence::NoDirectory(_)) => unseen(volume, sight.clone(), 1),
            VolumeSight::Absent(_)
            | VolumeSight::Ambiguous { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::NotEncrypted { .. }
            | VolumeSight::NotProven { .. }
            | VolumeSight::Present(_) => RemoteSight { medium: None, ..unseen(volume, sight.clone(), 0) },
        };
        let container = container.map(|uuid| uuid.parse::<DriveUuid>().unwrap());
        let each = |volume| RemoteSight { container: container.clone(), ..each(volume) };
        let sight = ServerSight::Reached(probe.volumes.iter().map(each).collect());
        self.tell(Event::Probed(Box::new(ProbeReport { configuration, probe, ways: Ways::default(), sight })));
    }

    pub(super) fn server_is_silent(&mut self) {
        let ProbeOrder { configuration, probe, .. } = self.asked.remove(0);
        let sight = ServerSight::OutOfReach(vec![fault(HostTrouble::Silent)]);
        self.tell(Event::Probed(Box::new(ProbeReport { configuration, probe, ways: Ways::default(), sight })));
    }

    pub(super) fn attic_opened(&mut self) {
        self.tell(Event::Drive(DriveNews::Opened("attic".parse().unwrap(), Ok(()))));
    }

    pub(super) fn attic_closed(&mut self, left: Left, closer: Closer) {
        self.tell(Event::Drive(DriveNews::Closed("attic".parse().unwrap(), left, closer)));
    }

    /// What was told of how drives were left.
    pub(super) fn told_of_drives(&self) -> Vec<String> {
        let left = |notice: &Notice| if let Notice::Left(drive, left) = notice { left.sentence(drive) } else { None };
        self.notices.iter().filter_map(left).collect()
    }

    /// Copies have been made, and the drive is being closed.
    pub(super) fn with_attic_used() -> Self {
        let mut story = Self::with_attic(ATTIC);
        story.wait(10);
        story.attic_opened();
        story.server_tells(&open_there(1));
        story.end("documents", Conclusion::Ok);
        story.end("photos", Conclusion::Ok);
        assert_eq!(story.orders(), ["open attic for Runs", "close attic: PowerOff"]);
        story
    }
}

#[test]
fn it_is_opened_for_all_its_runs_and_closed_behind_the_last() {
    let mut story = Story::with_attic(ATTIC);
    assert_eq!(story.codes("documents"), [""; 0]);
    story.wait(9);
    assert_eq!(story.orders(), [""; 0], "the grace of a drive that was plugged in");
    story.wait(1);
    let by_one_way = |site: &Site| matches!(site, Site::There { routes, .. } if routes.len() == 1);
    assert!(
        matches!(&story.drives[..], [DriveOrder::Open(opening)] if by_one_way(&opening.site)),
        "{:?}",
        story.drives
    );
    assert_eq!(story.orders(), ["open attic for Runs"]);
    story.attic_opened();
    assert!(story.running().is_empty(), "the server is asked whether it is so");
    story.server_tells(&open_there(1));
    assert_eq!(story.running(), ["documents"]);
    story.end("documents", Conclusion::Ok);
    assert_eq!((story.running(), story.orders()), (vec!["photos".to_owned()], vec![]));
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.orders(), ["close attic: PowerOff"]);
    story.attic_closed(Left::Safe(Closed::PluggedIn), Closer::Us);
    story.server_tells(&locked_there(1));
    // What we closed was let go by nobody: it is opened again when it is due.
    assert_eq!(story.codes("photos"), [""; 0]);
    story.wait(3600);
    assert_eq!(story.orders(), ["open attic for Runs"]);
}

#[test]
fn a_server_in_which_it_is_missing_is_asked_again_by_itself() {
    let mut story = Story::with_attic(ATTIC);
    let absent = VolumeSight::Absent(Absence::NotPluggedThere("nas.local".into()));
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.server_tells(&absent);
    assert_eq!(story.codes("documents"), ["destination-volume-absent"]);
    story.wait(15);
    story.server_tells(&absent);
    story.wait(15);
    assert!(story.asked.is_empty(), "less often each time");
    story.wait(15);
    story.server_tells(&locked_there(2));
    story.wait(10);
    assert_eq!(story.orders(), ["open attic for Runs"]);
    assert!(story.asked.is_empty());
}

#[test]
fn what_was_seen_before_it_was_opened_says_nothing_of_it() {
    let mut story = Story::with_attic(ATTIC);
    story.wait(10);
    story.orders();
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.attic_opened();
    story.see(&[("laptop", present("/home/a", None))]);
    story.server_tells(&locked_there(1));
    assert_eq!((story.running(), story.orders()), (vec![], vec![]));
    assert_eq!(story.codes("documents"), [""; 0]);
    story.server_tells(&open_there(1));
    assert_eq!(story.running(), ["documents"]);
}

#[test]
fn what_is_told_names_the_server() {
    let mut story = Story::with_attic_used();
    story.attic_closed(Left::Safe(Closed::PluggedIn), Closer::Us);
    assert_eq!(story.told_of_drives(), ["drive `attic` on `nas.local` is closed; it is safe to remove"]);
}

#[test]
fn what_another_machine_opens_and_closes_is_let_go_by_nobody() {
    let mut story = Story::with_attic(ATTIC);
    for sight in [open_there(1), locked_there(1)] {
        story.tell(Event::RoutesChanged(ChangeExtent::Outside));
        story.server_tells(&sight);
    }
    assert_eq!(story.codes("photos"), [""; 0]);
    story.wait(10);
    assert_eq!(story.orders(), ["open attic for Runs"]);
}

#[test]
fn one_that_is_ejected_is_let_go_until_another_medium_comes() {
    let mut story = Story::with_attic_used();
    story.attic_closed(Left::Safe(Closed::PluggedIn), Closer::Us);
    story.server_tells(&locked_there(1));
    assert_eq!(story.codes("photos"), [""; 0], "what another machine may have closed is let go by nobody");
    let (answer, mut ejected) = oneshot::channel();
    let volume = "attic".parse().unwrap();
    story.tell(Event::Asked(Ask::Unmount { volume, then: WhenDone::PowerOff, answer }));
    story.server_tells(&locked_there(1));
    assert_eq!(story.orders(), ["close attic: PowerOff"]);
    story.attic_closed(Left::Safe(Closed::PluggedIn), Closer::Us);
    assert!(ejected.try_recv().unwrap().is_ok());
    story.server_tells(&locked_there(1));
    assert_eq!(story.codes("photos"), ["destination-not-mounted"]);
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.server_is_silent();
    assert_eq!(story.codes("photos"), ["host-unreachable"]);
    story.wait(15);
    story.server_tells(&locked_there(1));
    assert_eq!(story.codes("photos"), ["destination-not-mounted"], "that the server was away changes nothing");
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.server_tells(&locked_there(2));
    assert_eq!(story.codes("photos"), [""; 0]);
}

#[test]
fn a_person_mounts_and_ejects_it() {
    let mut story = Story::with_attic(ATTIC);
    let volume: VolumeName = "attic".parse().unwrap();
    let (answer, mut mounted) = oneshot::channel();
    story.tell(Event::Asked(Ask::Mount { volume: volume.clone(), answer }));
    story.server_tells(&locked_there(1));
    assert_eq!(story.orders(), ["open attic for Person"]);
    story.attic_opened();
    story.server_tells(&open_there(1));
    assert_eq!(mounted.try_recv().unwrap(), Ok("nas.local:/media/attic/backups".into()));
    let (answer, mut ejected) = oneshot::channel();
    story.tell(Event::Asked(Ask::Unmount { volume, then: WhenDone::PowerOff, answer }));
    story.server_tells(&open_there(1));
    assert_eq!(story.orders(), ["close attic: PowerOff"]);
    story.attic_closed(Left::Safe(Closed::PoweredOff), Closer::Us);
    let (drive, left) = ejected.try_recv().unwrap().unwrap();
    assert_eq!(left.sentence(&drive).unwrap(), "drive `attic` on `nas.local` is powered off; it is safe to remove");
}

#[test]
fn one_without_the_directory_stays_open_for_a_person_and_not_for_runs() {
    let missing = VolumeSight::Absent(Absence::NoDirectory("/media/attic/backups".into()));
    let mut story = Story::with_attic(ATTIC);
    let (answer, mut mounted) = oneshot::channel();
    story.tell(Event::Asked(Ask::Mount { volume: "attic".parse().unwrap(), answer }));
    story.server_tells(&locked_there(1));
    assert_eq!(story.orders(), ["open attic for Person"]);
    story.attic_opened();
    story.server_tells(&missing);
    let why = "drive `attic` on `nas.local` is mounted, but the directory of volume `attic` does not exist: \
               /media/attic/backups (create it, or correct `path` of volume `attic`: /media/attic/backups)";
    assert_eq!(mounted.try_recv().unwrap(), Err(Refusal::Failed(why.into())));
    assert_eq!(story.orders(), [""; 0]);

    let mut story = Story::with_attic(ATTIC);
    story.wait(10);
    story.attic_opened();
    story.server_tells(&missing);
    assert_eq!(story.orders(), ["open attic for Runs", "close attic: Leave"]);
    story.attic_closed(Left::Safe(Closed::PluggedIn), Closer::Us);
    story.server_tells(&locked_there(1));
    assert_eq!(story.codes("photos"), ["destination-not-mounted"], "it is tried at the pace of failures");
    assert_eq!(story.orders(), [""; 0]);
}

#[test]
fn two_directories_of_one_drive_are_opened_and_let_go_together() {
    let second = ATTIC.replace("attic", "loft");
    let second = second.split_once("[volumes.loft]").unwrap().1.split_once("[defaults]").unwrap().0;
    let text = format!("{}\n[volumes.loft]{second}", ATTIC.replace("attic:photos", "loft:photos"));
    let mut story = Story::with_attic(&text.replace("path = \"backups\"\n    \n", "path = \"more\"\n"));
    story.wait(10);
    assert_eq!(story.orders(), ["open attic for Runs"]);
    story.attic_opened();
    story.server_tells(&open_there(1));
    assert_eq!(story.running(), ["documents"]);
    story.end("documents", Conclusion::Ok);
    assert_eq!((story.running(), story.orders()), (vec!["photos".to_owned()], vec![]));
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.orders(), ["close attic: PowerOff"]);
    story.attic_closed(Left::Safe(Closed::PluggedIn), Closer::Us);
    story.server_tells(&locked_there(1));
    assert_eq!(story.codes("photos"), [""; 0], "it was let go by nobody");
    story.wait(3600);
    assert_eq!(story.orders().len(), 1);
}

#[test]
fn a_directory_of_a_server_is_no_drive() {
    let mut story = Story::with_attic(
        &ATTIC
            .replace("drive = \"2d", "# \"2d")
            .replace("mount = true", "")
            .replace("passphrase", "#")
            .replace("when-done", "#"),
    );
    let (answer, mut mounted) = oneshot::channel();
    story.tell(Event::Asked(Ask::Mount { volume: "attic".parse().unwrap(), answer }));
    story.server_tells(&open_there(1));
    assert_eq!(mounted.try_recv().unwrap(), Err(Refusal::NoDrive("attic".parse().unwrap(), Vec::new())));
}

#[test]
fn one_named_by_what_is_in_its_container_is_known_by_the_container_once_it_was_open() {
    let absent = VolumeSight::Absent(Absence::NotPluggedThere("nas.local".into()));
    let sought = |story: &Story| story.asked[0].probe.volumes[0].drive.clone().unwrap().container;
    let mut story = Story::new(ATTIC);
    story.see(&[("laptop", present("/home/a", None))]);
    story.tell(Event::Network(Box::new(at_home()), ChangeExtent::Outside));
    story.server_tells(&absent);
    assert_eq!(story.codes("documents"), ["destination-volume-absent"], "nobody knows yet what is in it");
    // What is not proven to be the drive teaches nothing.
    let not_proven = VolumeSight::NotProven { root: "/media/attic".into(), fault: SentinelFault::Missing };
    let closed = VolumeSight::NotMounted { device: node(), disk_seq: Some(1), automount: None, blocked_at: Vec::new() };
    for sight in [not_proven, closed] {
        story.tell(Event::RoutesChanged(ChangeExtent::Outside));
        story.server_tells_of(&sight, Some(OTHER));
        assert!(story.world.decisions.ledger().containers.is_empty(), "{sight:?}");
    }
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    assert_eq!(sought(&story), None);
    story.server_tells_of(&open_there(1), Some(OTHER));
    story.wait(10);
    for sync in ["documents", "photos"] {
        assert_eq!(story.running(), [sync]);
        story.end(sync, Conclusion::Ok);
    }
    let Some(DriveOrder::Close(closing)) = story.drives.pop() else { panic!("{:?}", story.drives) };
    let knows = |container: &Option<DriveUuid>| container.as_ref().is_some_and(|uuid| uuid.as_str() == OTHER);
    assert!(matches!(&closing.site, ClosingSite::There { container, .. } if knows(container)), "{closing:?}");
    story.attic_closed(Left::Safe(Closed::PluggedIn), Closer::Us);
    assert!(knows(&sought(&story)), "each question tells it");
    story.server_tells(&locked_there(1));
    assert_eq!(story.codes("photos"), [""; 0]);
    story.wait(3600);
    let Some(DriveOrder::Open(opening)) = story.drives.pop() else { panic!("{:?}", story.drives) };
    assert!(matches!(&opening.site, Site::There { container, .. } if knows(container)), "{opening:?}");
}
