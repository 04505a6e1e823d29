//! All real neighbours at once: `NetworkManager`, logind, UPower and the kernel; and that their silence costs nothing.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::Duration;

use nbkp::model::{Locks, PowerSight};
use nbkp::os::bus::{Bus, Presence};
use nbkp::os::logind::{self, HeldOff};

use crate::ground::{BUS, CURIOUS, PrivateBus, Rig, block_on, host_with, other_machine, plug_cable, soon};
use crate::mini::{eventually, sh};
use crate::network_manager::{Manager, add_dock, nmcli};

const PROGRAMS: &[&str] = &["dbus-daemon", "dbus-send", "NetworkManager", "nmcli", "systemd-logind", "upowerd"];

/// A program that serves something on the private bus.
struct Daemon(Child);

impl Daemon {
    fn start(program: &str, name: &str) -> Self {
        let child = Command::new(program).env("DBUS_SYSTEM_BUS_ADDRESS", BUS).spawn().unwrap();
        let ask = format!(
            "dbus-send --bus={BUS} --print-reply=literal --dest=org.freedesktop.DBus / \
             org.freedesktop.DBus.GetNameOwner string:{name}"
        );
        eventually(name, || Command::new("sh").args(["-c", &ask]).output().unwrap().status.success().then_some(()));
        Self(child)
    }

    fn logind() -> Self {
        sh("mkdir -p /run/systemd/system /run/systemd/inhibit /run/user");
        Self::start("/usr/lib/systemd/systemd-logind", "org.freedesktop.login1")
    }

    fn upower() -> Self {
        Self::start("/usr/libexec/upowerd", "org.freedesktop.UPower")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_real_logind_gives_its_locks() {
    host_with(PROGRAMS, "idle::the_real_logind_gives_its_locks", || {
        let bus = PrivateBus::start();
        let login = Daemon::logind();
        block_on(async {
            let mut service = logind::service(Bus::At(BUS.into()));
            let here = service.standing.wait_for(|standing| matches!(standing, Presence::Here(_)));
            let Presence::Here(peer) = soon("it is there", here).await.unwrap().clone() else { panic!() };
            assert_eq!(logind::last_turn(&peer).await.unwrap(), logind::Turn::ToWake);
            let permit = logind::inhibit(&peer, HeldOff::Sleep).await.unwrap();
            let vigil = logind::inhibit(&peer, HeldOff::Idleness).await.unwrap();
            let list = format!(
                "dbus-send --bus={BUS} --print-reply --dest=org.freedesktop.login1 /org/freedesktop/login1 \
                 org.freedesktop.login1.Manager.ListInhibitors"
            );
            let listed = sh(&list);
            for word in ["\"sleep\"", "\"Nomad Backup\"", "\"delay\"", "\"idle\"", "\"block\""] {
                assert!(listed.contains(word), "{listed}");
            }
            drop(vigil);
            eventually("it may be idle", || (!sh(&list).contains("\"idle\"")).then_some(()));
            assert!(sh(&list).contains("\"sleep\""), "the one lock is not the other");
            drop(permit);
            eventually("it is given back", || (!sh(&list).contains("Nomad Backup")).then_some(()));
            assert_eq!(logind::try_locks(&peer).await, Locks { sleep: Ok(()), idle: Ok(()) });
            eventually("both are given back", || (!sh(&list).contains("Nomad Backup")).then_some(()));
        });
        drop((login, bus));
    });
}

#[test]
fn silence_costs_nothing() {
    host_with(PROGRAMS, "idle::silence_costs_nothing", || {
        other_machine();
        plug_cable("v0");
        let bus = PrivateBus::start();
        let manager = Manager::start();
        let (login, upower) = (Daemon::logind(), Daemon::upower());
        add_dock();
        nmcli("connection up Dock");
        let (connected, wait) = mpsc::sync_channel(1);
        let (enough, end) = tokio::sync::oneshot::channel();
        let listener = std::thread::Builder::new().name("nbkp-senses".into());
        let listener = listener.spawn(move || {
            // Without a deadline of its own: a timer that is far away wakes a few times on the way.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut rig = Rig::start(CURIOUS, Path::new("/does/not/exist"));
                rig.until("NetworkManager", |rig| rig.connections() == ["Dock"]).await;
                rig.until("UPower", |rig| rig.power == Some(PowerSight::Mains)).await;
                eventually("logind", || sh("ls /run/systemd/inhibit").contains(".ref").then_some(()));
                rig.listen(Duration::from_secs(3)).await;
                connected.send(()).unwrap();
                tokio::select! {
                    () = rig.hear_nothing() => {}
                    _ = end => {}
                }
            });
        });
        wait.recv().unwrap();
        eventually("it sleeps", || status("State").starts_with('S').then_some(()));
        let before = wake_ups();
        // Not to wait for anything: this is the time in which nothing must happen.
        std::thread::sleep(Duration::from_secs(10));
        let woken = wake_ups() - before;
        enough.send(()).unwrap();
        println!("{woken} wake-ups in 10 s");
        assert_eq!(woken, 0);
        listener.unwrap().join().unwrap();
        drop((manager, login, upower, bus));
    });
}

/// How often the thread of the senses went to sleep.
fn wake_ups() -> u64 {
    status("voluntary_ctxt_switches").parse().unwrap()
}

/// What the kernel tells of the thread of the senses.
fn status(fact: &str) -> String {
    let named = |task: &Path| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "nbkp-senses");
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let task = tasks.filter(|task| named(task)).last().unwrap();
    let status = std::fs::read_to_string(task.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(fact)?.strip_prefix(':')).unwrap();
    line.trim().to_owned()
}
