//! What people see on the desktop, with a served notification service on a private session bus.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nbkp::daemon::ask::Ask;
use nbkp::daemon::notifier;
use nbkp::daemon::world::Notice;
use nbkp::formats::config::{Context, parse};
use nbkp::model::{
    Closed, Configuration, DaemonState, Figures, Freshness, HeldBy, Holder, Left, Outcome, RunRecord, Status, SyncName,
    SyncState, SyncStatus, Trigger,
};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedVariant, interface};

use crate::bus::{Neighbour, bus, until};
use crate::mini::{host, sh, uuid};

const PATH: &str = "/org/freedesktop/Notifications";

/// What the service was asked.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Show { id: u32, instead_of: u32, title: String, body: String, actions: Vec<String> },
    Close(u32),
}

struct Service {
    asked: mpsc::Sender<Asked>,
    last: u32,
    abilities: &'static [&'static str],
}

#[interface(name = "org.freedesktop.Notifications")]
impl Service {
    fn get_capabilities(&self) -> Vec<String> {
        self.abilities.iter().map(|it| (*it).to_owned()).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "so the specification has it")]
    async fn notify(
        &mut self,
        app: String,
        instead_of: u32,
        icon: String,
        title: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedVariant>,
        patience: i32,
    ) -> u32 {
        assert_eq!((app.as_str(), icon.is_empty(), patience), ("Nomad Backup", false, -1));
        assert!(hints.contains_key("urgency"));
        let id = if instead_of == 0 { self.last + 1 } else { instead_of };
        self.last = self.last.max(id);
        self.asked.send(Asked::Show { id, instead_of, title, body, actions }).await.unwrap();
        id
    }

    async fn close_notification(&mut self, id: u32) {
        self.asked.send(Asked::Close(id)).await.unwrap();
    }

    #[zbus(signal)]
    async fn action_invoked(emitter: &SignalEmitter<'_>, id: u32, action: &str) -> zbus::Result<()>;
}

async fn serve(abilities: &'static [&'static str]) -> (Connection, mpsc::Receiver<Asked>) {
    let (asked, told) = mpsc::channel(64);
    let builder = zbus::connection::Builder::session().name("org.freedesktop.Notifications");
    let served = builder.serve_at(PATH, Service { asked, last: 0, abilities }).build().await.unwrap();
    (served, told)
}

fn configuration(notify: &str) -> Arc<Configuration> {
    let text = format!(
        "[daemon]\nnotify = '{notify}'\n[volumes.laptop]\npath = '/home/a'\n[volumes.usb]\ndrive = '{}'\n\
         [syncs.photos]\nsource = 'laptop:photos'\ndestination = 'usb:photos'\n",
        uuid()
    );
    Arc::new(parse(&text, &Context { file: "c.toml".into(), home: "/home/a".into() }).unwrap())
}

fn status(starts_in: Option<i64>) -> Arc<Status> {
    let now = Timestamp::now();
    let photos = SyncStatus {
        name: "photos".parse().unwrap(),
        state: SyncState::Queued,
        freshness: Freshness::Never,
        obstacles: vec![],
        last_success: None,
        last_run: None,
        next_due: None,
        overdue_at: None,
        starts_at: starts_in.map(|seconds| now + SignedDuration::from_millis(seconds * 1000 + 900)),
    };
    Arc::new(Status {
        state: DaemonState::Idle,
        started: now,
        config: "c.toml".into(),
        config_error: None,
        degraded: vec![],
        volumes: vec![],
        syncs: vec![photos],
        queue: vec![],
        running: vec![],
    })
}

fn ended(outcome: Outcome, error: &str) -> Notice {
    let now = Timestamp::now();
    let sync: SyncName = "photos".parse().unwrap();
    Notice::RunEnded(Box::new(RunRecord {
        run: "20261122T173000.123Z-9f3a".parse().unwrap(),
        sync,
        trigger: Trigger::Drive,
        started: now,
        finished: now,
        outcome,
        figures: Figures { files_transferred: 3, ..Figures::default() },
        snapshot: None,
        error: (!error.is_empty()).then(|| error.to_owned()),
        hold: None,
        warnings: vec![],
    }))
}

/// The notifier, and the ends of its channels.
struct Rig {
    notices: mpsc::Sender<Notice>,
    status: watch::Sender<Arc<Status>>,
    asks: mpsc::Receiver<Ask>,
    _configuration: watch::Sender<Arc<Configuration>>,
}

fn start(notify: &str) -> Rig {
    let (notices, heard) = mpsc::channel(64);
    let (status, shown) = watch::channel(status(None));
    let (configuration, in_force) = watch::channel(configuration(notify));
    let (to_asks, asks) = mpsc::channel(4);
    tokio::spawn(notifier::run(heard, shown, in_force, to_asks));
    Rig { notices, status, asks, _configuration: configuration }
}

async fn next(told: &mut mpsc::Receiver<Asked>) -> Asked {
    timeout(Duration::from_secs(10), told.recv()).await.expect("a notification in time").unwrap()
}

fn on_a_desktop(story: impl Future<Output = ()>) {
    let _bus = bus("session", "/run/user-bus");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}

fn safe() -> Notice {
    Notice::Left("usb".parse().unwrap(), Left::Safe(Closed::PluggedIn))
}

#[test]
fn a_run_is_announced_held_done_and_safe_in_one_place() {
    host("notifications::a_run_is_announced_held_done_and_safe_in_one_place", || {
        on_a_desktop(async {
            let (served, mut told) = serve(&["actions", "body", "body-markup"]).await;
            let mut rig = start("all");
            rig.status.send(status(Some(10))).unwrap();
            // Time goes on, and it is said once.
            rig.status.send(status(Some(9))).unwrap();
            let Asked::Show { id, instead_of: 0, title, actions, .. } = next(&mut told).await else { panic!("new") };
            assert!(title.starts_with("Backup starts in ") && actions == ["hold", "Hold"], "{title} {actions:?}");

            let emitter = SignalEmitter::new(&served, PATH).unwrap();
            Service::action_invoked(&emitter, id + 1, "hold").await.unwrap();
            Service::action_invoked(&emitter, id, "hold").await.unwrap();
            let asked = timeout(Duration::from_secs(10), rig.asks.recv()).await.unwrap();
            let Some(Ask::Hold { volume, answer }) = asked else { panic!("a hold") };
            assert_eq!(volume.as_str(), "usb");
            answer.send(Ok(())).unwrap();
            let Asked::Show { instead_of, body, .. } = next(&mut told).await else { panic!("held") };
            assert_eq!((instead_of, body.as_str()), (id, "`nbkpctl release usb` ends it."));

            rig.notices.send(ended(Outcome::Ok, "")).await.unwrap();
            let Asked::Show { instead_of, title, .. } = next(&mut told).await else { panic!("done") };
            assert_eq!((instead_of, title.as_str()), (id, "“photos” is backed up"));
            rig.notices.send(safe()).await.unwrap();
            let Asked::Show { instead_of, title, .. } = next(&mut told).await else { panic!("safe") };
            assert_eq!((instead_of, title.as_str()), (id, "Drive “usb” is safe to remove"));
            assert!(rig.asks.try_recv().is_err());
        });
    });
}

#[test]
fn problems_are_told_once_and_taken_away_when_they_are_over() {
    host("notifications::problems_are_told_once_and_taken_away_when_they_are_over", || {
        on_a_desktop(async {
            let (_served, mut told) = serve(&["body", "body-markup"]).await;
            let rig = start("problems");
            rig.notices.send(safe()).await.unwrap();
            rig.status.send(status(Some(10))).unwrap();
            let why = "could not write /media/<usb>/a: no space (make room)";
            for _ in 0..20 {
                rig.notices.send(ended(Outcome::Failed, why)).await.unwrap();
            }
            let Asked::Show { id, title, body, actions, .. } = next(&mut told).await else { panic!("failed") };
            assert_eq!((title.as_str(), actions.len()), ("Backup “photos” failed", 0));
            assert_eq!(body, "could not write /media/&lt;usb&gt;/a: no space (make room)");
            // Another problem of the same sync takes its place.
            rig.notices.send(ended(Outcome::Failed, "something else")).await.unwrap();
            let Asked::Show { instead_of, .. } = next(&mut told).await else { panic!("failed otherwise") };
            assert_eq!(instead_of, id);
            rig.notices.send(ended(Outcome::Ok, "")).await.unwrap();
            assert_eq!(next(&mut told).await, Asked::Close(id));

            let holder = Holder { pid: 7, name: "sleep".into(), by: HeldBy::Path("/media/usb/x".into()) };
            rig.notices.send(Notice::Left("usb".parse().unwrap(), Left::InUse(vec![holder]))).await.unwrap();
            let Asked::Show { title, body, .. } = next(&mut told).await else { panic!("in use") };
            assert_eq!(title, "Do not pull out drive “usb”");
            assert!(body.contains("sleep (process 7) uses /media/usb/x"), "{body}");
        });
    });
}

#[test]
fn without_a_desktop_nothing_happens_and_a_new_one_is_found() {
    host("notifications::without_a_desktop_nothing_happens_and_a_new_one_is_found", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = start("all");
            for _ in 0..50 {
                rig.notices.send(ended(Outcome::Failed, "first")).await.unwrap();
            }
            // All are taken: none waits for anybody.
            timeout(Duration::from_secs(10), rig.notices.reserve_many(64)).await.unwrap().unwrap().count();

            for round in ["one", "two"] {
                let _bus: Neighbour = bus("session", "/run/user-bus");
                let (_served, mut told) = serve(&["body"]).await;
                // What broke on the way is lost; the next is not.
                let shown = async {
                    loop {
                        rig.notices.send(ended(Outcome::Failed, round)).await.unwrap();
                        if let Ok(shown) = timeout(Duration::from_millis(200), told.recv()).await {
                            return shown;
                        }
                    }
                };
                let shown = timeout(Duration::from_secs(10), shown).await.unwrap();
                assert!(matches!(shown, Some(Asked::Show { body, .. }) if body == round), "{round}");
                std::fs::remove_file("/run/user-bus").unwrap();
                until("the bus is gone", || sh("ls /run").contains("session.conf"));
            }
        });
    });
}
