//! What other programs learn of how backups stand: metrics, reports of runs, hooks for what is overdue.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::common::desktop::SessionBus;
use crate::common::drive::Filesystem::Ext4;
use crate::common::mini_host::{MiniHost, array};
use crate::common::{required, run, until};

/// Where `tests/run.sh` puts it.
const PROMTOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/promtool");

/// A server on loopback that tells what is asked of it, and answers that all is well.
fn listener() -> (String, Receiver<String>) {
    run("ip", &[&"link", &"set", &"lo", &"up"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/ping", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let lines: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let _nobody_listens = tell.send(lines[0].clone());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
        }
    });
    (address, told)
}

fn is_sound(metrics: &Path) {
    if !Path::new(PROMTOOL).exists() {
        assert!(!required::all_must_run(), "{PROMTOOL} is missing: tests/run.sh fetches it");
        println!("{PROMTOOL} is missing: the metrics are not checked with it");
        return;
    }
    let checked = Command::new(PROMTOOL)
        .args(["check", "metrics"])
        .stdin(Stdio::from(fs::File::open(metrics).unwrap()))
        .output()
        .unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
}

pub fn metrics_tell_what_status_tells(host: &MiniHost) {
    let collected = host.root.join("collected");
    fs::create_dir(&collected).unwrap();
    let file = collected.join("nbkp.prom");
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let config = host.config().drive(&usb).sync("documents", "usb", "none", "max-age = \"7d\"");
    host.configure(&config.also(&format!("[monitoring]\ntextfile = \"{}\"", file.display())));
    let daemon = host.start();
    let says = |line: &str| {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().any(|told| told == line)
    };
    until("the metrics are written", || says("nbkp_sync_state{sync=\"documents\",state=\"waiting\"} 1"));
    assert!(says("nbkp_sync_obstacle{sync=\"documents\",code=\"destination-volume-absent\"} 1"));
    assert!(says("nbkp_volume_present{volume=\"usb\",kind=\"drive\"} 0"));
    is_sound(&file);

    usb.plug();
    host.run_ends("documents", 1, "ok");
    until("the copy is told", || says("nbkp_sync_last_run_transferred_files{sync=\"documents\"} 10"));
    assert!(says("nbkp_sync_state{sync=\"documents\",state=\"idle\"} 1"));
    assert!(says("nbkp_sync_last_run_outcome{sync=\"documents\",outcome=\"ok\"} 1"));
    assert!(says("nbkp_sync_overdue{sync=\"documents\"} 0"));
    let text = fs::read_to_string(&file).unwrap();
    let success = text
        .lines()
        .find_map(|line| line.strip_prefix("nbkp_sync_last_success_timestamp_seconds{sync=\"documents\"} "));
    let told: jiff::Timestamp = host.sync("documents")["last_success"].as_str().unwrap().parse().unwrap();
    assert_eq!(success.unwrap().parse::<i64>().unwrap(), told.as_second());
    is_sound(&file);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644, "another user collects it");
    assert_eq!(fs::read_dir(&collected).unwrap().count(), 1, "nothing half-written is left");

    // Where it cannot be written, `status` says so, and the backups go on.
    fs::remove_dir_all(&collected).unwrap();
    usb.unplug();
    let degraded = || array(&host.status()["daemon"]["degraded"]).iter().map(ToString::to_string).collect::<String>();
    until("the want of a directory is told", || degraded().contains("could not write the metrics to"));
    usb.plug();
    fs::create_dir(&collected).unwrap();
    until("it is written again", || says("nbkp_volume_present{volume=\"usb\",kind=\"drive\"} 1"));
    until("nothing is missing", || !degraded().contains("metrics"));
    daemon.stop();
}

pub fn runs_are_reported_to_an_address_that_no_list_of_processes_shows(host: &MiniHost) {
    let (address, asked) = listener();
    let next = || asked.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| "nothing".into());
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let refuse = host.root.join("refuse");
    let hook = format!("hooks = {{ before = [\"sh\", \"-c\", \"! test -e {}\"] }}", refuse.display());
    let config = host.config().drive(&usb).sync("documents", "usb", "none", &hook);
    host.configure(&config.also(&format!("[monitoring]\nping = \"{address}/s3cret\"")));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let told = ["GET /ping/s3cret/start HTTP/1.1", "GET /ping/s3cret HTTP/1.1"];
    assert_eq!([next(), next()], told);
    fs::write(&refuse, "").unwrap();
    host.ctl(&["run", "documents", "--wait"]).exits(1);
    assert_eq!([next(), next()], [told[0], "GET /ping/s3cret/fail HTTP/1.1"]);
    fs::remove_file(&refuse).unwrap();
    assert!(!daemon.log().contains("s3cret"), "{}", daemon.log());
    daemon.stop();

    // Without a daemon it is reported, too, before the process ends.
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert_eq!([next(), next()], told);
}

pub fn an_address_that_does_not_answer_is_told_and_delays_no_copy(host: &MiniHost) {
    run("ip", &[&"link", &"set", &"lo", &"up"]);
    host.source("documents").fill(10);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let ping = "ping = \"http://127.0.0.1:9/s3cret\"";
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", ping));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    until("that it does not answer is told", || {
        let degraded = host.status()["daemon"]["degraded"].to_string();
        degraded.contains("could not report a run to 127.0.0.1:9") && !degraded.contains("s3cret")
    });
    assert!(!daemon.log().contains("s3cret"), "{}", daemon.log());
}

pub fn the_hook_of_an_overdue_copy_is_told_which_and_why(host: &MiniHost) {
    host.source("documents").fill(10);
    let usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let (told, half) = (host.root.join("told"), host.root.join("half"));
    let script = format!("env | grep ^NBKP_ | sort >{0}; mv {0} {1}", half.display(), told.display());
    let more = format!("max-age = \"2s\"\nhooks = {{ overdue = [\"sh\", \"-c\", \"{script}\"] }}");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", &more));
    let _daemon = host.start();
    until("the hook has run", || told.exists());
    let text = fs::read_to_string(&told).unwrap();
    for line in ["NBKP_HOOK=overdue", "NBKP_SYNC=documents", "NBKP_DESTINATION=usb:documents", "NBKP_OUTCOME="] {
        assert!(text.lines().any(|told| told == line), "{line} in\n{text}");
    }
    assert!(text.contains("NBKP_ERROR=overdue since ") && text.contains("drive `usb` is not plugged in"), "{text}");
}

pub fn a_dead_daemon_and_what_is_overdue_are_told_once_a_day(host: &MiniHost) {
    let bus = SessionBus::start(Path::new("/run"));
    let desktop = bus.desktop(&["body"], 1);
    host.source("documents").fill(10);
    let mut blue = host.drive("blue", Ext4).prepared_plainly_for("documents");
    let red = host.drive("red", Ext4).prepared_plainly_for("documents");
    let config = host.config().drive(&blue).drive(&red).also("[groups.offsite]\nvolumes = [\"blue\", \"red\"]");
    let config =
        config.sync("documents", "offsite", "none", "max-age = \"4w\"").with("notify = \"none\"", "notify = \"all\"");
    host.configure(&config);
    let daemon = host.start();
    blue.plug();
    host.run_ends("documents@blue", 1, "ok");
    host.ctl(&["overdue"]).exits(0).says("nothing is overdue");
    host.configure(&config.clone().with("max-age = \"4w\"", "max-age = \"1s\""));
    until("both are overdue", || host.ctl(&["status", "--check"]).said.matches("overdue").count() == 2);
    let told = host.ctl(&["overdue", "--json"]).exits(1).json();
    assert_eq!((told["daemon"].as_str(), array(&told["reminders"]).len()), (Some("running"), 2), "{told:#}");
    assert!(array(&told["reminders"]).iter().all(|reminder| reminder["told"] == true), "{told:#}");
    let again = host.ctl(&["overdue", "--json"]).exits(1).json();
    assert!(array(&again["reminders"]).iter().all(|reminder| reminder["told"] == false), "{again:#}");

    // The daemon told it on the desktop; that it is dead is told by the timer's program alone.
    daemon.kill();
    let before = desktop.shown().len();
    host.ctl(&["overdue"]).exits(3).says("nbkpd is not running").says("documents@red is overdue: never copied");
    let shown = desktop.shows("Backups are not made");
    assert!(shown.body.contains("start it with `systemctl"), "{shown:?}");
    host.ctl(&["overdue"]).exits(3);
    assert_eq!(desktop.shown().len(), before + 1, "once a day");

    // While another volume of the group has a fresh copy, it is this one's turn, and nothing is lost.
    fs::remove_file(host.state().join("reminded.json")).unwrap();
    host.configure(&config.with("max-age = \"4w\"", "max-age = \"20s\""));
    let daemon = host.start();
    host.ctl(&["run", "documents@blue", "--wait"]).exits(0);
    until("red is overdue again", || host.sync("documents@red")["freshness"] == "overdue");
    host.ctl(&["run", "documents@blue", "--wait"]).exits(0);
    host.ctl(&["overdue"]).exits(1).says("red is due to rotate in: documents@red was never copied");
    daemon.stop();
}
