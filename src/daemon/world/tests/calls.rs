//! Stories of what programs outside are told.

use crate::daemon::world::tests::*;

/// What was told so far, in short.
fn told(story: &mut Story) -> Vec<String> {
    let calls = std::mem::take(&mut story.called).into_iter();
    calls
        .map(|call| match call {
            Call::Ping(url, sign) => format!("{} {sign:?}", url.as_str().rsplit('/').next().unwrap()),
            Call::Overdue(call) => format!("{} {:?}: {}", call.sync, call.outcome, call.reason),
        })
        .collect()
}

#[test]
fn an_address_is_told_of_each_run_but_of_none_that_goes_on_by_itself() {
    let monitored =
        format!("{HOUSE}ping = \"https://hc.example.org/onward\"\n[monitoring]\nping = \"https://a.b/all\"\n");
    let mut story = Story::at_home(&monitored);
    story.plug("usb");
    story.plug("red");
    story.wait(10);
    assert_eq!(told(&mut story), ["all Start"]);
    story.end("documents", Conclusion::Ok);
    assert_eq!(told(&mut story), ["all Success", "all Start"]);
    story.end("photos", failed());
    assert_eq!(told(&mut story), ["all Failure"]);
    story.wait(60);
    assert_eq!(told(&mut story), ["all Start"]);
    story.end("photos", Conclusion::Ok);
    assert_eq!(told(&mut story), ["all Success", "onward Start"]);
    story.end("onward", Conclusion::Interrupted(Interruption::Cancelled));
    assert_eq!(told(&mut story), [""; 0]);
    story.wait(2 * 3600);
    story.end("documents", held());
    assert_eq!(told(&mut story)[..2], ["all Start", "all Failure"]);
}

#[test]
fn the_hook_of_a_copy_that_is_overdue_runs_at_once_and_once_a_day() {
    let hooked = HOUSE.replace("[defaults]", "[defaults]\nmax-age = \"2d\"\nhooks = { overdue = [\"tell\", \"me\"] }");
    let mut story = Story::at_home(&hooked.replace("[syncs.onward]", "[syncs.onward]\nenabled = false"));
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    story.unplug("usb");
    story.wait(2 * 86400 - 5);
    let first = told(&mut story);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].starts_with("documents None: overdue since 2026-11-24 12:00"), "never copied: {first:?}");
    story.wait(5);
    let second = told(&mut story);
    assert_eq!(second.len(), 1, "{second:?}");
    assert!(second[0].starts_with("photos Some(Ok): overdue since 2026-11-24 12:00:11"), "{second:?}");
    assert!(second[0].contains("drive `usb` is not plugged in"), "{second:?}");
    story.wait(86300);
    assert_eq!(told(&mut story), [""; 0]);
    story.wait(200);
    assert_eq!(told(&mut story).len(), 2);
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    story.wait(86400);
    assert_eq!(told(&mut story).len(), 1, "only `documents` still is");
}
