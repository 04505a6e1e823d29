//! Stories of runs to servers.

use std::fmt::Write as _;

use crate::backup::job::JobEnd;
use crate::daemon::world::tests::servers::{TRAVELLER, at_home, elsewhere, lost, metered, network, seen};
use crate::daemon::world::tests::*;

#[test]
fn a_run_takes_first_the_way_by_which_the_server_was_reached() {
    let mut story = Story::travelling(at_home());
    story.answer("nas", |order| {
        let wan = &order.probe.routes[1].endpoint.name;
        let root = "/srv".into();
        let reached = ReachedVolume {
            endpoint: wan.clone(),
            interface: None,
            root,
            access: Access::ReadWrite,
            fs_type: "ext4".into(),
            id: None,
            medium: None,
        };
        ServerSight::Reached(vec![seen(&order.probe.volumes[0], VolumeSight::Reached(reached))])
    });
    story.wait(2);
    let JobEnd::There(end) = &story.started[0].destination else { panic!("{:?}", story.started[0].destination) };
    let ways: Vec<_> = end.routes.iter().map(|route| route.endpoint.name.as_str()).collect();
    assert_eq!(ways, ["wan", "lan"]);
}

#[test]
fn a_metered_way_is_not_taken_unless_somebody_insists() {
    let mut story = Story::travelling(metered());
    story.reaches("nas");
    story.wait(5);
    assert_eq!(story.codes("photos"), ["metered"]);
    assert!(story.running().is_empty());
    // A metered connection is nothing to a drive.
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.running(), ["documents"]);
    story.end("documents", Conclusion::Ok);
    let (answer, _answered) = oneshot::channel();
    let (ends, _ended) = mpsc::channel(16);
    let syncs = vec![name("photos")];
    story.tell(Event::Asked(Ask::Run { syncs, urgency: Urgency::Forced, answer, ends }));
    story.reaches("nas");
    assert_eq!(story.running(), ["photos"]);
    story.end("photos", Conclusion::Ok);
    story.join(at_home());
    assert!(story.codes("photos").is_empty());
}

#[test]
fn a_broken_connection_is_tried_again_soon_and_is_no_failure_right_after_a_join() {
    let mut story = Story::travelling(at_home());
    story.reaches("nas");
    story.wait(2);
    for _ in 0..4 {
        assert_eq!(story.running(), ["photos"]);
        story.end("photos", lost());
        assert_eq!(story.world.histories.get(&name("photos")).unwrap().interruptions, 0);
        assert_eq!(story.codes("photos"), ["backing-off"]);
        story.reaches("nas");
        story.wait(40);
    }
    assert_eq!(story.running(), ["photos"]);
    story.wait(400);
    story.end("photos", lost());
    assert_eq!(story.world.histories.get(&name("photos")).unwrap().interruptions, 1, "the network has long been up");
}

#[test]
fn a_run_without_a_way_to_its_server_is_stopped_and_goes_on_when_the_way_is_back() {
    let mut story = Story::travelling(at_home());
    story.reaches("nas");
    story.wait(2);
    story.join(network(None));
    story.fails_to_reach("nas", &HostTrouble::Silent);
    assert!(story.stopped.is_empty(), "it may answer a connection that is up");
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.fails_to_reach("nas", &HostTrouble::NoRoute);
    assert!(matches!(&story.stopped[..], [(_, Interruption::Network(_))]), "{:?}", story.stopped);
    story.end("photos", lost());
    story.fails_to_reach("nas", &HostTrouble::NoRoute);
    assert_eq!(story.codes("photos")[0], "host-unreachable");
    story.join(at_home());
    story.reaches("nas");
    story.wait(2);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn servers_out_of_reach_never_delay_a_local_copy() {
    let mut text = TRAVELLER.to_owned();
    for number in 0..100 {
        write!(
            text,
            "[ssh-endpoints.e{number}]\nhost = \"h{number}\"\n\
             [volumes.v{number}]\nssh = [\"e{number}\"]\npath = \"/x\"\n\
             [syncs.s{number}]\nsource = \"laptop:d{number}\"\ndestination = \"v{number}:d\"\n"
        )
        .unwrap();
    }
    let mut story = Story::new(&text);
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent())]);
    story.join(elsewhere());
    assert_eq!(story.asked.len(), 101);
    // None of them ever answers.
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.running(), ["documents"]);
}

#[test]
fn whoever_asks_for_a_sync_is_answered_once_its_server_was_asked() {
    let mut story = Story::travelling(elsewhere());
    story.fails_to_reach("nas", &HostTrouble::Silent);
    let (answer, mut answered) = oneshot::channel();
    let (ends, mut ended) = mpsc::channel(16);
    let syncs = vec![name("photos")];
    story.tell(Event::Asked(Ask::Run { syncs, urgency: Urgency::Asked, answer, ends }));
    assert!(answered.try_recv().is_err(), "the server was switched on meanwhile, for all that is known");
    story.reaches("nas");
    assert!(answered.try_recv().unwrap().unwrap()[0].obstacles.is_empty());
    assert_eq!(story.running(), ["photos"]);
    assert_eq!(story.started[0].trigger, Trigger::Request);
    story.end("photos", Conclusion::Ok);
    assert!(matches!(ended.try_recv(), Ok(RequestEnd::Ran(_))));
}
