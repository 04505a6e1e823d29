//! Stories of drives in servers that were left open: by a lost connection, or by a daemon that died.

use crate::daemon::world::tests::server_drives::{ATTIC, locked_there, open_there};
use crate::daemon::world::tests::servers::{at_home, elsewhere, fault};
use crate::daemon::world::tests::*;

#[test]
fn a_lost_connection_leaves_it_open_until_the_server_is_reached_again() {
    let mut story = Story::with_attic(ATTIC);
    story.wait(10);
    story.attic_opened();
    story.server_tells(&open_there(1));
    story.orders();
    let lost = Interruption::Network("the server does not answer any more".into());
    story.end("documents", Conclusion::Interrupted(lost));
    // What is seen of it is old: the server is asked, and does not answer.
    story.server_is_silent();
    assert_eq!(story.codes("documents")[0], "host-unreachable");
    story.wait(5);
    assert_eq!(story.orders(), [""; 0], "nobody tries to close what is out of reach");
    assert_eq!(story.told_of_drives(), [""; 0]);
    story.wait(20);
    story.server_tells(&open_there(1));
    story.wait(40);
    assert!(!story.running().is_empty(), "it goes on where it is open");
    while let Some(sync) = story.running().first().cloned() {
        story.end(&sync, Conclusion::Ok);
    }
    assert_eq!(story.orders(), ["close attic: PowerOff"]);
}

#[test]
fn a_connection_that_breaks_while_it_is_closed_is_no_end_of_it() {
    let mut story = Story::with_attic_used();
    story.attic_closed(Left::OutOfReach(fault(HostTrouble::Silent)), Closer::Us);
    assert_eq!(
        story.told_of_drives(),
        ["drive `attic` on `nas.local` may still be open: `nas.local` does not answer; do not pull it out"]
    );
    story.server_is_silent();
    story.wait(15);
    assert_eq!(story.orders(), [""; 0]);
    story.server_tells(&open_there(1));
    assert_eq!(story.orders(), ["close attic: PowerOff"], "at once, not when its turn would come");
}

#[test]
fn what_could_not_be_opened_for_want_of_the_server_is_tried_when_it_is_back() {
    let mut story = Story::with_attic(ATTIC);
    story.wait(10);
    story.orders();
    story.not_opened("attic", OpeningTrouble::OutOfReach(Box::new(fault(HostTrouble::Silent))));
    story.server_is_silent();
    assert_eq!(story.orders(), [""; 0]);
    story.wait(15);
    story.server_tells(&locked_there(1));
    // Part of it may have been done, which is undone first.
    assert_eq!(story.orders(), ["close attic: Leave"]);
    story.attic_closed(Left::AsFound, Closer::Us);
    story.server_tells(&locked_there(1));
    story.wait(2);
    assert_eq!(story.orders(), ["open attic for Runs"]);
}

fn held(undo: Undo) -> Held {
    let server = ServerKey(vec!["lan".parse().unwrap()]);
    let at = HeldAt::There { server, node: "/dev/sdb1".into(), disk_seq: "9".into(), boot: "b".into() };
    Held { volume: "attic".parse().unwrap(), uuid: USB.parse().unwrap(), at, undo }
}

fn after_a_dead_daemon(text: &str) -> Story {
    let mut story = Story::new(text);
    story.world.take_over(held(Undo::Lock));
    story.see(&[("laptop", present("/home/a", None))]);
    story
}

#[test]
fn what_a_dead_daemon_left_open_is_closed_when_its_server_is_reached() {
    let mut story = after_a_dead_daemon(&ATTIC.replace("every = \"1h\"", "enabled = false"));
    assert_eq!(story.orders(), [""; 0], "nobody knows the network yet");
    story.tell(Event::Network(Box::new(elsewhere()), ChangeExtent::Outside));
    assert_eq!(story.orders(), [""; 0]);
    story.tell(Event::Network(Box::new(at_home()), ChangeExtent::Outside));
    assert_eq!(story.orders(), [""; 0]);
    story.server_tells(&open_there(1));
    assert_eq!(story.orders(), ["close attic: Leave"]);
}

#[test]
fn what_is_left_over_at_a_server_is_closed_by_the_ways_to_it() {
    let other =
        ATTIC.replace("[volumes.attic]", "[volumes.loft]").replace("attic:", "loft:").replace("2d577679", "aaaaaaaa");
    let mut story = after_a_dead_daemon(&other);
    assert_eq!(story.orders(), [""; 0]);
    story.tell(Event::Network(Box::new(at_home()), ChangeExtent::Outside));
    let by_one_way = |site: &ClosingSite| match site {
        ClosingSite::There { uuid, routes, .. } => uuid.as_str() == USB && routes.len() == 1,
        ClosingSite::Here(_) => false,
    };
    assert!(
        matches!(&story.drives[..], [DriveOrder::Close(closing)] if by_one_way(&closing.site)),
        "{:?}",
        story.drives
    );
    assert_eq!(story.orders(), ["close attic: Leave"]);
}

#[test]
fn what_is_left_over_at_a_server_that_nobody_names_waits_for_a_way() {
    let mut story = after_a_dead_daemon(HOUSE);
    story.tell(Event::Network(Box::new(at_home()), ChangeExtent::Outside));
    assert_eq!(story.orders(), ["close attic: Leave"]);
    story.attic_closed(Left::OutOfReach(fault(HostTrouble::Silent)), Closer::Us);
    assert_eq!(story.told_of_drives().len(), 1);
    story.wait(100_000);
    assert_eq!(story.orders(), [""; 0], "there is no way, however long one tries");
    let named = ATTIC.replace("[volumes.attic]", "[volumes.loft]").replace("attic:", "loft:").replace("2d57", "aaaa");
    story.tell(Event::Configured(Ok(configuration(&named))));
    assert_eq!(story.orders(), ["close attic: Leave"]);
    story.attic_closed(Left::OutOfReach(fault(HostTrouble::Silent)), Closer::Us);
    story.wait(100);
    assert_eq!(story.orders(), ["close attic: Leave"], "it is tried again while there is a way");
}

#[test]
fn an_end_waits_for_what_can_be_closed_and_for_nothing_else() {
    let mut story = Story::with_attic(ATTIC);
    story.wait(10);
    story.attic_opened();
    story.server_tells(&open_there(1));
    story.orders();
    story.tell(Event::Stop);
    story.end("documents", Conclusion::Interrupted(Interruption::Stopping));
    assert_eq!(story.orders(), ["close attic: Leave"]);
    assert!(!story.finished);
    story.attic_closed(Left::Safe(Closed::PluggedIn), Closer::Us);
    assert!(story.finished);

    let mut story = Story::with_attic(ATTIC);
    story.wait(10);
    story.attic_opened();
    story.server_tells(&open_there(1));
    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.server_is_silent();
    story.tell(Event::Stop);
    story.end("documents", Conclusion::Interrupted(Interruption::Stopping));
    assert!(story.finished, "the next daemon closes what is out of reach");
}
