//! Syncs whose hook `before` decides when it is time, or mounts the source.

use super::*;

const HOOKED: &str = r#"
    [volumes.vault]
    path = "/mnt/vault"
    [volumes.disk]
    path = "/mnt/disk"
    [defaults]
    every = "1h"
    [syncs.mail]
    source = "vault:mail"
    destination = "disk:mail"
    hooks = { before = ["mount", "/mnt/vault"] }
    [syncs.plain]
    source = "vault:plain"
    destination = "disk:plain"
"#;

fn unmounted() -> Vec<Obstacle> {
    let path = PathBuf::from("/mnt/vault/.nbkp-vol");
    vec![Obstacle::Sentinel { end: End::Source, path, fault: SentinelFault::Missing }]
}

fn looked(vault: VolumeSight) -> Story {
    let mut story = Story::new(HOOKED);
    story.see(&[("vault", vault), ("disk", present("/mnt/disk", None))]);
    story.wait(30);
    story
}

#[test]
fn a_source_that_the_hook_may_mount_is_not_waited_for() {
    let not_proven = VolumeSight::NotProven { root: "/mnt/vault".into(), fault: SentinelFault::Missing };
    let not_there = VolumeSight::Absent(Absence::NoDirectory("/mnt/vault".into()));
    for vault in [not_proven, not_there] {
        let mut story = looked(vault.clone());
        assert_eq!(story.running(), ["mail"], "{vault:?}");
        assert_eq!(story.codes("plain").len(), 1, "nothing mounts it for this one");
        // The hook did not mount it: asked again like after a failure, and not each moment.
        story.end("mail", Conclusion::Skipped(unmounted()));
        assert_eq!(story.codes("mail"), ["source-sentinel-missing"]);
        story.wait(20);
        assert_eq!(story.running(), Vec::<String>::new());
        story.wait(20);
        assert_eq!(story.running(), ["mail"]);
        story.end("mail", Conclusion::Skipped(unmounted()));
        story.wait(40);
        assert_eq!(story.running(), Vec::<String>::new());
    }
    // A mount that it makes at the root is no other source than before.
    let mut story = looked(VolumeSight::Absent(Absence::NoDirectory("/mnt/vault".into())));
    story.see(&[("vault", present("/mnt/vault", Some(7)))]);
    assert_eq!((story.running(), story.stopped.len()), (vec!["mail".to_owned()], 0));
}

#[test]
fn not_now_is_no_failure_and_gives_way_to_a_person() {
    let mut story = looked(present("/mnt/vault", None));
    let put_off = Obstacle::PutOff { program: "mount".into(), said: "the link is down".into() };
    story.end("mail", Conclusion::Skipped(vec![put_off]));
    let status = story.status_of("mail");
    assert_eq!((status.state, story.codes("mail")), (SyncState::Waiting, vec!["backing-off"]));
    assert!(status.obstacles[0].to_string().contains("not the time: the link is down"));
    story.end("plain", Conclusion::Ok);
    story.wait(15);
    assert_eq!(story.running(), Vec::<String>::new());
    story.ask_to_run("mail", Urgency::Asked);
    story.see(&[]);
    assert_eq!(story.running(), ["mail"]);
}
