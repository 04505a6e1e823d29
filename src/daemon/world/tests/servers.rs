//! Stories of servers: when they are asked, and what is believed of them.

use crate::daemon::messages::probe::{ProbeNeed, ProbeReport};
use crate::daemon::world::tests::*;

/// A laptop that is copied to a server at home, or from anywhere over another way; and a drive.
pub(super) const TRAVELLER: &str = r#"
    [daemon]
    settle = "2s"
    grace = "10s"
    [locations.home]
    subnets = ["192.168.7.0/24"]
    [ssh-endpoints.lan]
    host = "nas.local"
    locations = ["home"]
    [ssh-endpoints.wan]
    host = "nas.example.org"
    [volumes.laptop]
    path = "/home/a"
    [volumes.usb]
    drive = "2d577679-a7b6-429d-8250-3d0d80e034df"
    [volumes.nas]
    ssh = ["lan", "wan"]
    path = "/srv"
    [volumes.attic]
    ssh = ["lan"]
    path = "/attic"
    [syncs.photos]
    source = "laptop:Photos"
    destination = "nas:photos"
    [syncs.documents]
    source = "laptop:Documents"
    destination = "usb:documents"
    [syncs.attic]
    source = "laptop:Documents"
    destination = "attic:documents"
"#;

pub(super) fn network(address: Option<&str>) -> NetworkSight {
    let link = |address: &str| Link {
        addresses: [(address.parse().unwrap(), 24)].into(),
        kind: LinkKind::Direct,
        metered: Metered::No,
    };
    NetworkSight {
        links: address.map(|address| ("eth0".into(), link(address))).into_iter().collect(),
        ..Default::default()
    }
}

pub(super) fn at_home() -> NetworkSight {
    network(Some("192.168.7.20"))
}

pub(super) fn elsewhere() -> NetworkSight {
    network(Some("10.1.1.5"))
}

pub(super) fn metered() -> NetworkSight {
    let mut network = at_home();
    network.links.values_mut().for_each(|link| link.metered = Metered::Yes);
    network
}

pub(super) fn fault(trouble: HostTrouble) -> HostFault {
    HostFault { host: "nas.local".into(), port: None, user: None, trouble }
}

impl Story {
    /// A machine whose directories are there and whose drive is not, in this network.
    pub(super) fn travelling(network: NetworkSight) -> Self {
        let mut story = Self::new(TRAVELLER);
        story.see(&[("laptop", present("/home/a", None)), ("usb", absent())]);
        story.join(network);
        story
    }

    pub(super) fn join(&mut self, network: NetworkSight) {
        self.tell(Event::Network(Box::new(network), ChangeExtent::Outside));
    }

    /// The servers that were asked and have not answered, each by its first way.
    pub(super) fn questions(&self) -> Vec<String> {
        self.asked.iter().map(|order| order.probe.routes[0].endpoint.name.to_string()).collect()
    }

    pub(super) fn take_question(&mut self, volume: &str) -> ProbeOrder {
        let of = |order: &ProbeOrder| order.probe.volumes.iter().any(|probe| probe.volume.as_str() == volume);
        let place = self.asked.iter().position(of).expect("the server was asked");
        self.asked.remove(place)
    }

    pub(super) fn answer(&mut self, volume: &str, sight: impl Fn(&ProbeOrder) -> ServerSight) {
        let order = self.take_question(volume);
        let sight = sight(&order);
        let ProbeOrder { configuration, probe, .. } = order;
        self.tell(Event::Probed(Box::new(ProbeReport { configuration, probe, ways: Ways::default(), sight })));
    }

    /// The server of this volume answers, and all that is asked for is there.
    pub(super) fn reaches(&mut self, volume: &str) {
        self.answer(volume, |order| {
            let reached = ReachedVolume {
                endpoint: order.probe.routes[0].endpoint.name.clone(),
                interface: Some("eth0".into()),
                root: "/srv".into(),
                access: Access::ReadWrite,
                fs_type: "btrfs".into(),
                id: None,
                medium: None,
            };
            let volumes = order.probe.volumes.iter();
            ServerSight::Reached(volumes.map(|volume| seen(volume, VolumeSight::Reached(reached.clone()))).collect())
        });
    }

    pub(super) fn fails_to_reach(&mut self, volume: &str, trouble: &HostTrouble) {
        self.answer(volume, |_| ServerSight::OutOfReach(vec![fault(trouble.clone())]));
    }

    pub(super) fn host_faults(&self) -> usize {
        self.notices.iter().filter(|notice| matches!(notice, Notice::HostFault(_))).count()
    }
}

/// A volume that stands so, with all its ends ready.
pub(super) fn seen(volume: &RemoteProbe, sight: VolumeSight) -> RemoteSight {
    let ends = volume.ends.iter().map(|_| EndSight::Ready { id: None }).collect();
    let medium = if let VolumeSight::Reached(reached) = &sight { reached.medium } else { None };
    RemoteSight { sight, medium, container: None, ends }
}

pub(super) fn lost() -> Conclusion {
    Conclusion::Interrupted(Interruption::Network("the server does not answer any more".into()))
}

#[test]
fn nobody_is_asked_before_the_network_is_known_and_then_each_server_once() {
    let mut story = Story::new(TRAVELLER);
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent())]);
    assert!(story.asked.is_empty());
    assert_eq!(story.codes("photos"), ["destination-volume-absent"]);
    story.wait(1);
    story.join(at_home());
    assert_eq!(story.questions(), ["lan", "lan"]);
    story.reaches("nas");
    assert_eq!(story.status_of("photos").state, SyncState::Queued);
    story.wait(2);
    assert_eq!(story.running(), ["photos"]);
    assert_eq!(story.started[0].trigger, Trigger::Network);
}

#[test]
fn a_sync_that_leads_to_another_server_has_no_copy_yet() {
    let mut story = Story::travelling(at_home());
    story.reaches("nas");
    story.wait(2);
    story.end("photos", Conclusion::Ok);
    let mut ledger = story.world.decisions.ledger().clone();
    ledger.approvals.insert(name("photos"), paths(60));
    let past = LastRuns { last_success: Some(now_at(2).wall), ..LastRuns::default() };
    let begin = |text: &str, ledger: &Ledger| {
        let beginnings = Beginnings {
            initiative: Initiative::Own,
            config_file: "/config.toml".into(),
            configuration: configuration(text),
            ledger: ledger.clone(),
            held: Vec::new(),
            past: [(name("photos"), past.clone())].into(),
            seed: 7,
        };
        World::new(beginnings, &now_at(20))
    };
    let hidden = format!(
        "{}[ssh-endpoints.gate]\nhost = \"gate\"\n",
        TRAVELLER.replace("nas.local\"", "nas.local\"\nproxy-jump = [\"gate\"]")
    );
    for (text, freshness, approved) in [
        (TRAVELLER.to_owned(), Freshness::Fresh, Some(60)),
        // Another way to it, one way less, other names: the server is the same.
        (TRAVELLER.replace("nas.local", "nas.lan"), Freshness::Fresh, Some(60)),
        (TRAVELLER.replace("[\"lan\", \"wan\"]", "[\"wan\"]"), Freshness::Fresh, Some(60)),
        (TRAVELLER.replace("wan", "far").replace("lan", "near"), Freshness::Fresh, Some(60)),
        // None of the ways leads where it led.
        (TRAVELLER.replace("nas.", "other."), Freshness::Never, None),
        (
            TRAVELLER.replace("[\"lan\", \"wan\"]", "[\"lan\"]").replace("nas.local\"", "nas.local\"\nport = 23"),
            Freshness::Never,
            None,
        ),
        (hidden.replace("[\"lan\", \"wan\"]", "[\"lan\"]"), Freshness::Never, None),
    ] {
        story.world = begin(&text, &ledger);
        let told = (
            story.status_of("photos").freshness,
            story.world.decisions.ledger().approvals.get(&name("photos")).map(PathSet::count),
        );
        assert_eq!(told, (freshness, approved), "after a restart: {text}");
        story.world = begin(TRAVELLER, &ledger);
        story.tell(Event::Configured(Ok(configuration(&text))));
        let told = (
            story.status_of("photos").freshness,
            story.world.decisions.ledger().approvals.get(&name("photos")).map(PathSet::count),
        );
        assert_eq!(told, (freshness, approved), "while it runs: {text}");
    }
    // A ledger from before servers were written down: the copy is believed once, the word of a person is not.
    ledger.copied.values_mut().for_each(|places| places.servers.clear());
    story.world = begin(TRAVELLER, &ledger);
    assert_eq!(story.status_of("photos").freshness, Freshness::Fresh);
    assert!(story.world.decisions.ledger().approvals.is_empty());
    story.tell(Event::Configured(Ok(configuration(&TRAVELLER.replace("nas.", "other.")))));
    assert_eq!(story.status_of("photos").freshness, Freshness::Never);
}

#[test]
fn a_way_that_is_not_meant_for_here_is_not_tried() {
    let mut story = Story::travelling(elsewhere());
    assert_eq!(story.questions(), ["wan"]);
    assert_eq!(story.codes("attic"), ["wrong-location"]);
    assert!(story.world.status(&now_at(0)).locations.is_empty());
    story.reaches("nas");
    story.join(at_home());
    assert_eq!(story.questions(), ["lan", "lan"]);
    assert_eq!(story.world.status(&now_at(0)).locations.len(), 1);
}

#[test]
fn changes_while_a_question_is_under_way_make_one_more() {
    let mut story = Story::travelling(at_home());
    for _ in 0..100 {
        story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    }
    assert_eq!(story.asked.len(), 2, "one for each server");
    story.reaches("nas");
    assert_eq!(story.asked.len(), 2, "the one that is owed");
    assert!(story.running().is_empty());
    story.wait(5);
    assert!(story.running().is_empty(), "what is known is old, and the answer is on its way");
    story.reaches("nas");
    assert_eq!(story.asked.len(), 1);
    story.wait(2);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn an_answer_to_an_old_configuration_counts_for_nothing() {
    let mut story = Story::travelling(at_home());
    let text = TRAVELLER.replace("nas:photos", "nas:pictures");
    story.tell(Event::Configured(Ok(configuration(&text))));
    story.reaches("nas");
    story.wait(5);
    assert!(story.running().is_empty());
    assert_eq!(story.asked.len(), 2);
    story.reaches("nas");
    story.wait(2);
    assert_eq!(story.started[0].sync.destination.subdir.as_path(), std::path::Path::new("pictures"));
}

#[test]
fn a_server_that_is_off_is_asked_again_ever_more_seldom_until_the_network_changes() {
    let mut story = Story::travelling(elsewhere());
    story.fails_to_reach("nas", &HostTrouble::Silent);
    assert_eq!(story.codes("photos"), ["host-unreachable"]);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let before = story.second;
        while story.asked.is_empty() {
            story.wait(1);
        }
        waits.push(story.second - before);
        story.fails_to_reach("nas", &HostTrouble::Silent);
    }
    assert!((11..=15).contains(&waits[0]), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 1800) && waits[11] > 1300, "{waits:?}");
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    assert_eq!(story.asked.len(), 1, "at once");
    story.reaches("nas");
    story.wait(2);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn what_leaves_the_ways_as_they_were_starts_nothing_and_shortens_no_wait() {
    let mut story = Story::travelling(elsewhere());
    let until_asked = |story: &mut Story| {
        let before = story.second;
        while story.asked.is_empty() {
            story.wait(1);
        }
        story.second - before
    };
    for _ in 0..6 {
        story.fails_to_reach("nas", &HostTrouble::Silent);
        until_asked(&mut story);
    }
    story.fails_to_reach("nas", &HostTrouble::Silent);
    for extent in [ChangeExtent::Inside, ChangeExtent::Outside, ChangeExtent::Inside] {
        story.wait(60);
        story.tell(Event::RoutesChanged(extent));
        assert_eq!(story.asked[0].need, ProbeNeed::Doubt(extent));
        story.answer("nas", |_| ServerSight::AsBefore);
        assert_eq!(story.codes("photos"), ["host-unreachable"], "what was known still is");
    }
    let rest = until_asked(&mut story);
    assert!(rest > 300, "asked again after {rest} s more");
    assert_eq!(story.asked[0].need, ProbeNeed::Question, "its time has come, whatever leads there");

    // What somebody asks is no doubt, also where one comes first and later.
    story.fails_to_reach("nas", &HostTrouble::Silent);
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    for _ in 0..2 {
        story.tell(Event::RoutesChanged(ChangeExtent::Outside));
        let (answer, _answered) = oneshot::channel();
        story.tell(Event::Asked(Ask::Scan { answer }));
        story.tell(Event::RoutesChanged(ChangeExtent::Inside));
    }
    story.answer("nas", |_| ServerSight::AsBefore);
    assert_eq!(story.asked[0].need, ProbeNeed::Question);
}

#[test]
fn another_host_at_the_same_address_is_not_home_and_said_once() {
    let mut story = Story::travelling(at_home());
    story.fails_to_reach("nas", &HostTrouble::OtherKey);
    assert_eq!(story.codes("photos"), ["host-key-mismatch"]);
    assert_eq!(story.host_faults(), 1);
    for _ in 0..5 {
        story.tell(Event::RoutesChanged(ChangeExtent::Outside));
        story.fails_to_reach("nas", &HostTrouble::OtherKey);
    }
    assert_eq!(story.host_faults(), 1);
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.reaches("nas");
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.fails_to_reach("nas", &HostTrouble::OtherKey);
    assert_eq!(story.host_faults(), 2, "it was home in between");
}
