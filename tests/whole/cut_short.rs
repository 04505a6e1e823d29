//! Restores that are cut short by a person, a kill, a full target or a copy that goes away: what is there is whole or
//! known for a part, it is said, and the same command goes on.

use std::ffi::OsString;
use std::io::BufRead as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::daemon::Daemon;
use crate::common::drive::Drive;
use crate::common::drive::Filesystem::Ext4;
use crate::common::folder::{Content, Folder, Sentinels, noise};
use crate::common::mini_host::{Answer, MiniHost};
use crate::common::{run, text_of, until};

/// So many MiB has the file in which restores are cut short.
const FILM: usize = 96;

/// Every rsync of this machine, which has no other processes than those of its scenario.
fn each_rsync() -> Vec<Pid> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let is_rsync = |id: &String| {
        let told = text_if_there(&format!("/proc/{id}/stat"));
        // One that has ended stays known where nobody waits for it.
        told.contains(" (rsync) ") && !told.contains(" (rsync) Z ")
    };
    processes.filter(is_rsync).filter_map(|id| id.parse().ok().and_then(Pid::from_raw)).collect()
}

fn text_if_there(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The rsync of a restore, which stands still until this is dropped: however busy the machine is, nothing of it ends
/// meanwhile.
struct Standing(Vec<Pid>);

impl Standing {
    /// All there are now.
    fn all() -> Self {
        let all = each_rsync();
        signal_all(&all, Signal::STOP);
        let stands = |one: &Pid| {
            let told = text_if_there(&format!("/proc/{}/stat", one.as_raw_nonzero()));
            told.is_empty() || told.contains(") T ") || told.contains(") Z ")
        };
        until("rsync stands still", || all.iter().all(stands));
        Self(all)
    }

    /// Waits until it is told to end, which it hears before all else once it moves again.
    fn is_told_to_end(&self) {
        let ends = 1 << (Signal::TERM.as_raw() - 1) | 1 << (Signal::KILL.as_raw() - 1);
        let is_told = |one: &Pid| {
            let told = text_if_there(&format!("/proc/{}/status", one.as_raw_nonzero()));
            let mut pending =
                told.lines().filter_map(|line| line.strip_prefix("SigPnd:").or(line.strip_prefix("ShdPnd:")));
            pending.any(|set| u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & ends != 0))
        };
        until("rsync is told to end", || each_rsync().is_empty() || self.0.iter().any(is_told));
    }

    /// It is gone at once, like all else on a machine without power.
    fn dies(self) {
        signal_all(&self.0, Signal::KILL);
        drop(self);
        until("rsync ends", || each_rsync().is_empty());
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        signal_all(&self.0, Signal::CONT);
    }
}

fn signal_all(all: &[Pid], signal: Signal) {
    for one in all {
        let _gone = kill_process(*one, signal);
    }
}

/// rsync on a machine that hardly gets anything done: it stands still each time that this looks, and for good once it
/// has come so far.
fn crawls(mut has_come_so_far: impl FnMut() -> bool) -> Standing {
    let mut standing = Standing::all();
    until("rsync has come so far", || {
        let is_there = has_come_so_far();
        if !is_there {
            standing = Standing(Vec::new());
            std::thread::sleep(Duration::from_millis(2));
            standing = Standing::all();
        }
        is_there
    });
    standing
}

/// A person's restore that is still under way.
fn begun(host: &MiniHost, arguments: &[&str]) -> Child {
    let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A person's restore that has come half way with the film, which no whole file of that name is yet, and stands still
/// there. Where it was over before anybody looked, it is begun again.
fn half_way(host: &MiniHost, arguments: &[&str], to: &Path) -> (Standing, Child) {
    let film = to.join("film");
    let is_half_there = |entry: PathBuf| {
        let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
        name.starts_with(".film.") && entry.metadata().is_ok_and(|seen| seen.len() > 6 << 20)
    };
    for _ in 0..20 {
        assert!(!film.exists());
        let client = begun(host, arguments);
        let standing = crawls(|| {
            film.exists()
                || std::fs::read_dir(to).is_ok_and(|all| all.flatten().any(|entry| is_half_there(entry.path())))
        });
        if !film.exists() {
            return (standing, client);
        }
        drop(standing);
        ends(client).exits(0);
        std::fs::remove_file(&film).unwrap();
    }
    panic!("rsync is too fast to be seen half-way");
}

fn ends(child: Child) -> Answer {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (said, complained) = (text(output.stdout), text(output.stderr));
    Answer { question: "restore".into(), code: output.status.code(), said, complained }
}

/// A source with a film, and a drive with its copy.
fn copied(host: &MiniHost) -> (Folder, Drive) {
    let source = host.source("documents");
    source.fill(40).write_big("film", FILM, 7).write("letter", "first");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "hard-link", "every = \"7d\""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    drop(daemon);
    (source, usb)
}

/// What lies at a target is whole, but for what says of itself that it is not.
#[track_caller]
fn is_a_part_of(to: &Path, wanted: &Content) {
    for (name, entry) in Folder::at(to).content() {
        let shown = name.to_string_lossy();
        if !shown.contains(".rsync-partial") && !shown.starts_with(".film.") {
            assert!(
                wanted.get(&name) == Some(&entry) || Path::new(&name).is_dir() || to.join(&name).is_dir(),
                "{shown}"
            );
        }
    }
}

/// Says it again, without hindrance, and has all.
#[track_caller]
fn goes_on(host: &MiniHost, arguments: &[&str], to: &Path, wanted: &Content) {
    host.ctl(arguments).exits(0);
    Folder::at(to).holds(wanted);
}

pub fn by_a_person_or_a_kill_they_go_on(host: &MiniHost) {
    let (source, usb) = copied(host);
    let wanted = source.content();
    let from = usb.point().join("documents").into_os_string().into_string().unwrap();
    for (at, signal) in [Signal::INT, Signal::TERM, Signal::KILL].into_iter().enumerate() {
        for alone in [true, false] {
            let daemon = (!alone).then(|| host.start());
            let to = host.root.join(format!("to-{at}-{alone}"));
            let target = to.to_str().unwrap();
            let bare = ["restore", "--from", &from, "/", "--to", target];
            let asked = ["restore", "laptop:documents", "--to", target];
            let arguments = if alone { &bare[..] } else { &asked[..] };
            let (standing, client) = half_way(host, arguments, &to);
            kill_process(Pid::from_child(&client), signal).unwrap();
            // Nobody is left to tell it where that was its own process.
            if !alone || signal != Signal::KILL {
                standing.is_told_to_end();
            }
            drop(standing);
            let answer = ends(client);
            // Nobody works on for who is gone.
            until("rsync ends", || each_rsync().is_empty());
            if alone && signal != Signal::KILL {
                assert_eq!(answer.code, Some(1), "{answer}");
                assert!(format!("{answer}").contains("the same command goes on from there"), "{answer}");
            } else if !alone {
                assert_ne!(answer.code, Some(0), "{answer}");
            }
            is_a_part_of(&to, &wanted);
            // Where nobody is left to stop it, rsync may end that one file.
            if !alone || signal != Signal::KILL {
                assert!(!to.join("film").exists(), "{signal:?} {alone}: it was not cut short");
                assert!(to.join(".rsync-partial/film").metadata().unwrap().len() > 6 << 20, "{signal:?} {alone}");
            }
            goes_on(host, arguments, &to, &wanted);
            drop(daemon);
        }
    }
}

pub fn by_the_death_of_the_daemon_they_go_on(host: &MiniHost) {
    let (source, _usb) = copied(host);
    let wanted = source.content();
    let to = host.root.join("to");
    let arguments = ["restore", "laptop:documents", "--to", to.to_str().unwrap()];
    let daemon = host.start();
    let (standing, client) = half_way(host, &arguments, &to);
    daemon.kill();
    let answer = ends(client).exits(3);
    assert!(!answer.said.contains("restored to"), "{answer}");
    drop(standing);
    until("rsync ends", || each_rsync().is_empty());
    is_a_part_of(&to, &wanted);
    let _daemon = host.start();
    goes_on(host, &arguments, &to, &wanted);
}

/// Cuts a restore into the source short in this way; a daemon runs behind that.
fn cut_in_its_place(host: &MiniHost, how: &str, arguments: &[&str], film_in: &Path) -> Daemon {
    let mut daemon = (how != "alone").then(|| host.start());
    let (standing, client) = half_way(host, arguments, film_in);
    if daemon.is_some() {
        assert_eq!(host.obstacles("documents"), ["held"], "{how} {arguments:?}");
    }
    if let Some(daemon) = daemon.take_if(|_| how == "daemon" || how == "power") {
        daemon.kill();
    }
    if how != "daemon" {
        kill_process(Pid::from_child(&client), Signal::KILL).unwrap();
    }
    if how == "client" && !arguments.contains(&"--from") {
        standing.is_told_to_end();
        drop(standing);
    } else {
        standing.dies();
    }
    let answer = ends(client);
    assert_ne!(answer.code, Some(0), "{answer}");
    daemon.unwrap_or_else(|| host.start())
}

/// What is there of a source is not all there is: a run would delete the rest where it is the only copy.
pub fn in_their_place_they_keep_the_copy_as_it_is(host: &MiniHost) {
    let source = host.source("documents");
    source.fill(40).write_big("zz/film", FILM, 7).write("zz/letter", "the last");
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let syncs = host.config().drive(&usb).sync("documents", "usb", "none", "every = \"7d\"");
    let other = "[syncs.other]\nsource = \"laptop:other\"\ndestination = \"usb:other\"\nsnapshots = \"none\"\n";
    host.configure(&syncs.also(&format!("{other}every = \"7d\"")));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    daemon.stop();
    let (wanted, copy) = (source.content(), Folder::at(usb.point().join("documents")));
    let (place, zz) = (source.path.to_str().unwrap().to_owned(), source.path.join("zz"));
    let from = copy.path.to_str().unwrap().to_owned();
    let asked = ["restore", "laptop:documents"];
    let bare = ["restore", "--from", &from, "/", "--to", &place];
    for (how, arguments) in [
        ("daemon", &asked[..]),
        ("client", &asked[..]),
        ("power", &asked[..]),
        ("alone", &asked[..]),
        ("daemon", &bare[..]),
        ("client", &bare[..]),
        ("alone", &bare[..]),
    ] {
        source.empty(Sentinels::Stay);
        let _daemon = cut_in_its_place(host, how, arguments, &zz);
        // Most is there, so that the guard would let the rest go.
        assert!(!zz.join("film").exists() && !zz.join("letter").exists(), "{how} {arguments:?}");
        let stands = host.stands("documents", "held");
        let why = stands["obstacles"][0].to_string();
        assert!(why.contains(&format!("the restore to {place} of")) && why.contains(arguments[1]), "{why}");
        for force in [&[][..], &["--force"]] {
            let run = host.ctl(&[&["run", "documents", "--wait"], force].concat()).exits(4);
            assert!(format!("{run}").contains("did not bring all back"), "{run}");
        }
        copy.holds(&wanted);
        assert!(!host.obstacles("other").contains(&"held".to_owned()));
        host.ctl(arguments).exits(0);
        // rsync that dies at once leaves the beginning of a file under a name of its own.
        for entry in std::fs::read_dir(&zz).unwrap().map(Result::unwrap) {
            if entry.file_name().as_bytes().starts_with(b".film.") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        source.holds(&wanted);
        host.ctl(&["run", "documents", "--wait"]).exits(0);
        copy.holds(&wanted);
    }
    // It may be meant to stay as it is.
    source.empty(Sentinels::Stay);
    let _daemon = cut_in_its_place(host, "power", &asked, &zz);
    host.ctl(&["diff", "documents"]).exits(0).says("zz/letter");
    host.ctl(&["approve", "documents"]).exits(0).says("counts as it is");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    assert!(!copy.path.join("zz/film").exists());
}

/// Between two of them nothing is copied that has not come back yet, and who goes on goes on with all.
pub fn of_several_places_each_waits_until_the_last_has_come(host: &MiniHost) {
    let (documents, pictures) = (host.source("documents"), host.source("pictures"));
    documents.fill(5).write_big("film", FILM, 7);
    pictures.fill(40);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents").prepared_plainly_for("pictures");
    let syncs = host.config().drive(&usb).sync("documents", "usb", "none", "every = \"7d\"");
    host.configure(&syncs.sync("pictures", "usb", "none", "every = \"7d\""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    host.run_ends("pictures", 1, "ok");
    let (wanted, copy) = (pictures.content(), Folder::at(usb.point().join("pictures")));
    let arguments = ["restore", "laptop:documents", "laptop:pictures"];
    documents.empty(Sentinels::Stay);
    pictures.remove("folder-02/file-2");
    let (standing, client) = half_way(host, &arguments, &documents.path);
    assert_eq!([host.obstacles("documents"), host.obstacles("pictures")], [["held"], ["held"]]);
    host.ctl(&["run", "pictures", "--wait"]).exits(4);
    daemon.kill();
    standing.dies();
    assert_ne!(ends(client).code, Some(0));
    let daemon = host.start();
    for sync in ["documents", "pictures"] {
        let why = host.stands(sync, "held")["obstacles"][0].to_string();
        assert!(why.contains("nbkpctl restore laptop:documents laptop:pictures"), "{why}");
    }
    host.ctl(&["run", "pictures", "--wait"]).exits(4);
    copy.holds(&wanted);
    // A person who stops it wants back what it has not come to.
    for entry in std::fs::read_dir(&documents.path).unwrap().map(Result::unwrap) {
        if entry.file_name().as_bytes().starts_with(b".film.") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let (standing, client) = half_way(host, &arguments, &documents.path);
    kill_process(Pid::from_child(&client), Signal::INT).unwrap();
    standing.is_told_to_end();
    drop(standing);
    ends(client);
    until("rsync ends", || each_rsync().is_empty());
    host.stands("pictures", "held");
    host.ctl(&arguments).exits(0);
    pictures.holds(&wanted);
    assert!(host.obstacles("documents").is_empty() && host.obstacles("pictures").is_empty());
    // Without a daemon that could be told, a person is, and before it comes to anything.
    host.configure_with("nothing of a configuration");
    daemon.stop();
    let from = usb.point().join("documents").into_os_string().into_string().unwrap();
    let to = host.root.join("beside");
    let alone = ["restore", "--from", &from, "film", "folder-01/file-1", "--to", to.to_str().unwrap()];
    let (standing, mut client) = half_way(host, &alone, &to);
    let errors = client.stderr.take().unwrap();
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _broken = std::io::BufReader::new(errors).read_line(&mut line);
        said.send(line)
    });
    let told = heard.recv_timeout(Duration::from_secs(20)).unwrap_or_default();
    assert!(told.contains("could be told to wait") && told.contains("nbkpctl pause"), "{told}");
    drop(standing);
    ends(client).exits(0);
}

pub fn in_their_place_they_do_not_begin_unless_that_is_written_down(host: &MiniHost) {
    let state = host.state();
    run("mount", &[&"-t", &"tmpfs", &"-o", &"size=256k,mode=700", &"tmpfs", &state]);
    let source = host.source("documents");
    source.fill(40);
    let wanted = source.content();
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    host.configure(&host.config().drive(&usb).sync("documents", "usb", "none", "every = \"7d\""));
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    source.empty(Sentinels::Stay);
    let filling = std::fs::write(state.join("filler"), vec![b'x'; 1 << 20]);
    assert!(filling.is_err());
    let copy = usb.point().join("documents").into_os_string().into_string().unwrap();
    let place = source.path.to_str().unwrap();
    let (asked, bare) = (["restore", "laptop:documents"], ["restore", "--from", &copy, "/", "--to", place]);
    for arguments in [&asked[..], &bare[..]] {
        let refused = host.ctl(arguments).exits(1);
        assert!(format!("{refused}").contains("nothing is restored there yet"), "{refused}");
        assert!(source.content().is_empty() && host.obstacles("documents").is_empty(), "{refused}");
        let beside = host.root.join(format!("beside-{}", arguments.len()));
        host.ctl(&[&arguments[..arguments.len().min(4)], &["--to", beside.to_str().unwrap()]].concat()).exits(0);
        Folder::at(&beside).holds(&wanted);
    }
    std::fs::remove_file(state.join("filler")).unwrap();
    host.ctl(&asked).exits(0);
    source.holds(&wanted);
    assert!(host.obstacles("documents").is_empty());
}

pub fn by_a_full_target_they_go_on_once_there_is_room(host: &MiniHost) {
    let (source, usb) = copied(host);
    let wanted = source.content();
    let from = usb.point().join("documents").into_os_string().into_string().unwrap();
    let _daemon = host.start();
    for (place, first) in [("small-a", "restore"), ("small-b", "--from")] {
        let to = host.root.join(place);
        std::fs::create_dir(&to).unwrap();
        run("mount", &[&"-t", &"tmpfs", &"-o", &"size=20m", &"tmpfs", &to]);
        Folder::at(&to).write("mine", "here before");
        let target = to.to_str().unwrap();
        let bare = ["restore", "--from", &from, "/", "--to", target];
        let asked = ["restore", "laptop:documents", "--to", target];
        let arguments = if first == "--from" { &bare[..] } else { &asked[..] };
        let full = host.ctl(arguments).exits(1);
        let words = format!("{target} has no room left (rsync: [receiver] write failed on \"{target}/film\": No space");
        assert!(format!("{full}").contains(&words), "{full}");
        assert!(!full.said.contains("restored to"), "{full}");
        assert_eq!(text_of(to.join("mine")), "here before");
        assert!(!to.join("film").exists(), "{full}");
        run("mount", &[&"-o", &"remount,size=120m", &to]);
        std::fs::remove_file(to.join("mine")).unwrap();
        goes_on(host, arguments, &to, &wanted);
    }
}

pub fn by_a_drive_or_a_server_that_goes_away_they_say_so_and_go_on(host: &MiniHost) {
    let (source, mut usb) = copied(host);
    let wanted = source.content();
    let nas = host.server("nas").prepared_for("away");
    nas.join();
    let to = host.root.join("to");
    let arguments = ["restore", "laptop:documents", "--to", to.to_str().unwrap()];
    // What was read once would come from memory.
    usb.unplug();
    usb.plug();
    let daemon = host.start();
    let (standing, client) = half_way(host, &arguments, &to);
    usb.yank();
    drop(standing);
    let answer = ends(client).exits(1);
    assert!(!answer.said.contains("restored to"), "{answer}");
    is_a_part_of(&to, &wanted);
    assert!(!to.join("film").exists(), "{answer}");
    usb.clear_away();
    usb.plug();
    until("the drive is there", || host.sync("documents")["state"] == "idle");
    goes_on(host, &arguments, &to, &wanted);
    drop(daemon);
    let away = "[syncs.away]\nsource = \"laptop:documents\"\ndestination = \"nas:away\"\nsnapshots = \"hard-link\"\n";
    host.configure(&host.config().server(&nas).also(away));
    let _daemon = host.start();
    host.ctl(&["run", "away", "--wait"]).exits(0);
    for how in ["switched off", "left"] {
        let to = host.root.join(how);
        let arguments = ["restore", "laptop:documents", "--to", to.to_str().unwrap()];
        let (standing, client) = half_way(host, &arguments, &to);
        if how == "left" {
            nas.leave();
        } else {
            nas.switch_off();
        }
        drop(standing);
        let answer = ends(client).exits(1);
        assert!(!answer.said.contains("restored to"), "{answer}");
        assert!(format!("{answer}").contains("the same command goes on from there"), "{answer}");
        is_a_part_of(&to, &wanted);
        assert!(!to.join("film").exists(), "{answer}");
        if how == "left" {
            nas.join();
        } else {
            nas.switch_on();
        }
        until("the server is there", || host.sync("away")["obstacles"].as_array().is_some_and(Vec::is_empty));
        goes_on(host, &arguments, &to, &wanted);
    }
}

pub fn what_is_there_stays_or_is_replaced_in_one_step(host: &MiniHost) {
    let (source, _usb) = copied(host);
    let _daemon = host.start();
    let film = source.path.join("film");
    let (copied, mine) = (std::fs::read(&film).unwrap(), noise(FILM << 20, 9));
    source.write("film", &mine).write("letter", "mine");
    let all = source.path.to_str().unwrap();
    let kept = host.ctl(&["restore", all, "--json"]).exits(1).json();
    let mut names: Vec<_> = kept["restored"][0]["kept"].as_array().unwrap().iter().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, [Some("film"), Some("letter")], "{kept}");
    assert!(std::fs::read(&film).unwrap() == mine);
    // Whoever opens it meanwhile has the one or the other.
    let before = film.metadata().unwrap().ino();
    let client = begun(host, &["restore", film.to_str().unwrap(), "--force"]);
    let standing = crawls(|| {
        let read = std::fs::read(&film).unwrap();
        assert!(read == mine || read == copied, "half a film");
        film.metadata().unwrap().ino() != before
    });
    drop(standing);
    ends(client).exits(0);
    assert!(std::fs::read(&film).unwrap() == copied);
    // A file where a directory was, and what a link leads to.
    let (folder, elsewhere) = (source.path.join("folder-02"), host.root.join("elsewhere"));
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("file-2"), "not ours").unwrap();
    for is_link in [false, true] {
        std::fs::remove_dir_all(&folder).unwrap();
        let made = if is_link { symlink(&elsewhere, &folder) } else { std::fs::write(&folder, "a file") };
        made.unwrap();
        let stays = host.ctl(&["restore", folder.to_str().unwrap()]).exits(1);
        assert_eq!(folder.is_symlink(), is_link, "{stays}");
        assert!(is_link || text_of(&folder) == "a file", "{stays}");
        host.ctl(&["restore", folder.to_str().unwrap(), "--force"]).exits(0);
        assert!(folder.is_dir() && !folder.is_symlink());
        assert_eq!(text_of(folder.join("file-2")), "content of file 2\n");
        assert_eq!(text_of(elsewhere.join("file-2")), "not ours");
    }
}

pub fn what_is_restored_is_neither_pruned_nor_copied_over(host: &MiniHost) {
    let nas = host.server("nas").prepared_for("c");
    nas.join();
    let mut plain = host.drive("plain", Ext4).prepared_plainly_for("a");
    let mut linked = host.drive("linked", Ext4).prepared_for("b");
    plain.plug();
    linked.plug();
    for (sync, volume, kind) in [("a", "plain", "none"), ("b", "linked", "hard-link"), ("c", "nas", "hard-link")] {
        let source = host.source("documents");
        source.fill(40).write_big("film", FILM, 7).write("zz/last", "what rsync comes to in the end");
        let syncs = |keep: u32| {
            let ends =
                format!("source = \"laptop:documents\"\ndestination = \"{volume}:{sync}\"\nsnapshots = \"{kind}\"\n");
            let keep = if kind == "none" { String::new() } else { format!("keep = {{ last = {keep} }}\n") };
            host.config()
                .drive(&plain)
                .drive(&linked)
                .server(&nas)
                .also(&format!("[syncs.{sync}]\n{ends}{keep}every = \"7d\"\n"))
        };
        host.configure(&syncs(9));
        let daemon = host.start();
        host.run_ends(sync, 1, "ok");
        let wanted = source.content();
        source.remove("film").remove("zz/last");
        if kind != "none" {
            host.ctl(&["run", sync, "--wait"]).exits(0);
            host.run_ends(sync, 2, "ok");
        }
        daemon.stop();
        // Only the newest is to be kept from now on, which has neither.
        host.configure(&syncs(1));
        let _daemon = host.start();
        let runs = host.history(sync).len();
        let to = host.root.join(format!("to-{sync}"));
        let both = ["laptop:documents/film", "laptop:documents/zz/last"];
        let arguments = ["restore", both[0], both[1], "--to", to.to_str().unwrap()];
        let (standing, client) = half_way(host, &arguments, &to);
        // A server is asked for a while whether its lock is free.
        let prune = begun(host, &["prune", sync]);
        let run = host.ctl(&["run", sync, "--wait"]);
        let prune = ends(prune);
        assert!(!to.join("film").exists(), "{sync}: too late: {run}{prune}");
        assert_ne!(run.code, Some(0), "{sync}: {run}");
        assert!(format!("{run}").contains("lock"), "{sync}: {run}");
        assert!(!host.history(sync).iter().take(1).any(|run| run["outcome"] == "ok"), "{sync}: {run}");
        if kind != "none" {
            assert_ne!(prune.code, Some(0), "{sync}: {prune}");
        }
        drop(standing);
        ends(client).exits(0);
        for name in ["film", "zz/last"] {
            let there = to.join(Path::new(name).file_name().unwrap());
            assert!(wanted[&OsString::from(name)] == Folder::at(&to).content()[there.file_name().unwrap()], "{name}");
        }
        // Then it is the turn of the others.
        host.ctl(&["run", sync, "--wait"]).exits(0);
        assert!(host.history(sync).len() > runs);
    }
}
