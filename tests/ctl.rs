//! `nbkpctl` as a process: what it prints where, and its exit codes, where there is no daemon or only half of one.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "all of this is a test: it fails by panicking, and starts what a person would"
)]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, thread};

use rustix::process::Uid;
use tempfile::TempDir;

use nbkp::model::Flaw;

#[path = "common/required.rs"]
mod required;

/// A place with nothing but what a test puts there.
struct Room {
    directory: TempDir,
}

/// What `nbkpctl` answered.
#[derive(Debug)]
struct Answer {
    code: i32,
    said: String,
    complained: String,
}

impl Room {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nbkpctl"));
        command.env_clear().env("HOME", self.directory.path()).stdin(Stdio::null()).args(arguments);
        command.env("NBKP_SOCKET", self.path("sock")).env("NBKP_CONFIG", self.path("config.toml"));
        command.env("NBKP_STATE_DIR", self.path("state"));
        command
    }

    fn ask(&self, arguments: &[&str]) -> Answer {
        let output = self.command(arguments).output().unwrap();
        Answer {
            code: output.status.code().unwrap(),
            said: String::from_utf8(output.stdout).unwrap(),
            complained: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn configure(&self, text: &str) {
        write_private(&self.path("config.toml"), text);
    }

    /// Answers the one call of one client with these bytes, and hangs up.
    fn answer_once(&self, bytes: Vec<u8>) -> thread::JoinHandle<Vec<u8>> {
        self.answer_once_as(rustix::process::geteuid(), bytes)
    }

    /// The same as another user, to whom the directory of the socket belongs. Each thread has a user of its own.
    fn answer_once_as(&self, user: Uid, bytes: Vec<u8>) -> thread::JoinHandle<Vec<u8>> {
        std::os::unix::fs::chown(self.directory.path(), Some(user.as_raw()), None).unwrap();
        let listen = |socket| {
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
            UnixListener::bind(socket).unwrap()
        };
        let listener = thread::scope(|scope| scope.spawn(|| listen(self.path("sock"))).join().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut call = Vec::new();
            let mut byte = [0];
            while stream.read(&mut byte).unwrap() == 1 && byte != [0] {
                call.extend(byte);
            }
            if !call.is_empty() {
                stream.write_all(&bytes).unwrap();
            }
            call
        })
    }
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

const GOOD: &str = "[volumes.laptop]\npath = \"/srv/a\"\n[volumes.shelf]\npath = \"/srv/b\"\n\
                    [syncs.documents]\nsource = \"laptop:documents\"\ndestination = \"shelf:documents\"\n";

#[test]
fn without_a_daemon_it_says_how_to_start_one() {
    let room = Room::new();
    for arguments in
        [&["status"][..], &["status", "--json"], &["why", "a"], &["scan"], &["cancel"], &["pause"], &["hold", "usb"]]
    {
        let answer = room.ask(arguments);
        assert_eq!(answer.code, 3, "{answer:?}");
        assert!(answer.complained.starts_with("nbkpctl: nbkpd is not running"), "{answer:?}");
        assert!(answer.complained.contains("start nbkpd`"), "{answer:?}");
        assert_eq!(answer.said, "");
    }
}

#[test]
fn a_wrong_command_line_is_told_with_the_reason() {
    let room = Room::new();
    for (arguments, reason) in [
        (&["fly"][..], "fly"),
        (&["why"], "SYNC"),
        (&["why", "a/b"], "a name holds letters, digits"),
        (&["hold", "-x"], "-x"),
        (&["pause", "--for", "soon"], "write it like 2h"),
    ] {
        let answer = room.ask(arguments);
        assert_eq!(answer.code, 2, "{answer:?}");
        assert!(answer.complained.contains(reason), "{answer:?}");
        assert_eq!(answer.said, "");
    }
}

#[test]
fn the_configuration_is_checked_and_shown_without_a_daemon() {
    let room = Room::new();
    let answer = room.ask(&["config", "check"]);
    assert_eq!(answer.code, 2);
    assert!(answer.complained.contains("could not find the configuration file"), "{answer:?}");

    room.configure(GOOD);
    let answer = room.ask(&["config", "check"]);
    assert_eq!((answer.code, answer.complained.as_str()), (0, ""));
    assert!(answer.said.ends_with("has no mistakes: 1 sync, 2 volumes\n"), "{answer:?}");
    assert_eq!(room.ask(&["config", "check", "-q"]).said, "");
    assert!(room.ask(&["config", "show"]).said.contains("[syncs.documents]"));
    assert!(room.ask(&["config", "show", "--json"]).said.contains(r#""source":"laptop:documents""#));
    assert!(room.ask(&["config", "schema"]).said.contains("json-schema.org"));

    let other = room.path("other.toml");
    write_private(&other, &GOOD.replace("laptop:", "latpop:").replace("source", "sauce ="));
    let answer = room.ask(&["config", "check", other.to_str().unwrap()]);
    assert_eq!((answer.code, answer.said.as_str()), (2, ""));
    assert!(answer.complained.contains("other.toml:6"), "{answer:?}");
    assert!(!answer.complained.contains('\u{1b}'), "no colour outside of a terminal: {answer:?}");
    let answer = room.ask(&["config", "check", "--json", other.to_str().unwrap()]);
    assert_eq!((answer.code, answer.complained.as_str()), (2, ""));
    assert!(answer.said.contains(r#""mistakes":[{"#), "{answer:?}");
}

#[test]
fn completions_are_scripts_that_their_shell_understands() {
    let room = Room::new();
    for shell in ["bash", "zsh", "fish"] {
        let answer = room.ask(&["completions", shell]);
        assert_eq!(answer.code, 0);
        assert!(answer.said.contains("snapshots"), "{shell}: {answer:?}");
    }
    let script = room.path("completions.bash");
    fs::write(&script, room.ask(&["completions", "bash"]).said).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&script).status().unwrap().success());
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let room = Room::new();
    let page = room.ask(&["man"]).said;
    assert!(page.contains(".TH nbkpctl 1"), "{page}");
    for command in ["status", "run", "history", "prepare", "doctor", "config"] {
        assert!(page.contains(&format!("nbkpctl\\-{command}(1)")), "{command}: {page}");
        let answer = room.ask(&["man", command]);
        assert!(answer.code == 0 && answer.said.contains(&format!(".TH nbkpctl-{command} 1")), "{answer:?}");
    }
    assert_eq!(room.ask(&["man", "fly"]).code, 2);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure_but_a_full_disk_is() {
    let room = Room::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = room.command(&["completions", "bash"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));

    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = room.command(&["completions", "bash"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("could not write to standard output"));
}

#[test]
fn a_daemon_that_goes_away_or_turns_the_client_away_is_told() {
    for (bytes, code, sentence) in [
        (&b""[..], 3, "nbkpd went away before it answered"),
        (b"{\"parameters\":{\"ver", 3, "nbkpd went away in the middle of its answer"),
        (b"nonsense\0", 3, "may be of different versions"),
        (
            b"{\"error\":\"org.nbkp.Daemon.UnknownSync\",\"parameters\":{\"sync\":\"a\",\"similar\":[\"b\"]}}\0",
            2,
            "no sync is named `a`; did you mean `b`?",
        ),
        (
            b"{\"error\":\"org.nbkp.Daemon.Failed\",\"parameters\":{\"message\":\"bad \\u001b[2J\"}}\0",
            1,
            "bad \\u{1b}[2J",
        ),
    ] {
        let room = Room::new();
        let daemon = room.answer_once(bytes.to_vec());
        let answer = room.ask(&["why", "a", "--json"]);
        assert_eq!(answer.code, code, "{answer:?}");
        assert!(answer.complained.contains(sentence), "{answer:?}");
        assert_eq!(answer.said, "");
        let call = String::from_utf8(daemon.join().unwrap()).unwrap();
        assert_eq!(call, r#"{"method":"org.nbkp.Daemon.Why","parameters":{"sync":"a"}}"#);
    }
}

#[test]
fn json_is_the_reply_and_nothing_else() {
    let room = Room::new();
    let reply = r#"{"syncs":[],"volumes":[],"groups":[],"locations":["home"],"added":"later"}"#;
    let daemon = room.answer_once(format!("{{\"parameters\":{reply}}}\0").into_bytes());
    let answer = room.ask(&["list", "--json"]);
    assert_eq!((answer.code, answer.said), (0, format!("{reply}\n")));
    daemon.join().unwrap();
}

#[test]
fn the_end_of_runs_decides_the_exit_code() {
    let run = |outcome: &str| {
        format!(
            r#"{{"parameters":{{"accepted":[],"dropped":[],"runs":[{{"sync":"a","id":"r","outcome":"{outcome}",
            "started":"2026-11-22T17:30:00.000Z","finished":"2026-11-22T17:30:01.000Z","trigger":"request",
            "files_transferred":0,"bytes_transferred":0,"error":null}}]}}}}"#
        )
    };
    let nothing = r#"{"parameters":{"accepted":[],"dropped":[],"runs":[]}}"#;
    for (reply, strict, code) in [
        (run("ok"), "--strict", 0),
        (run("failed"), "-q", 1),
        (run("held"), "-q", 1),
        (run("interrupted"), "--strict", 1),
        // What a newer daemon calls otherwise is no success.
        (run("evaporated"), "-q", 1),
        (run("skipped"), "-q", 0),
        (run("skipped"), "--strict", 4),
        (nothing.to_owned(), "-q", 0),
        (nothing.to_owned(), "--strict", 4),
        // `run a --wait && echo saved` must not lie.
        (run("ok"), "a", 0),
        (run("ok"), "b", 4),
        (run("skipped"), "a", 4),
        (run("failed"), "a", 1),
        (nothing.to_owned(), "a", 4),
        // The copy to one member of a group is what one has.
        (run("ok").replace("\"a\"", "\"a@blue\""), "a", 0),
        (run("ok").replace("\"a\"", "\"a@blue\""), "a@red", 4),
    ] {
        let room = Room::new();
        let daemon = room.answer_once(format!("{reply}\0").into_bytes());
        let answer = room.ask(&["run", "--wait", strict]);
        assert_eq!(answer.code, code, "{reply} {strict}: {answer:?}");
        daemon.join().unwrap();
    }
}

#[test]
fn every_code_of_doctor_is_in_its_table() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.md")).unwrap();
    let table = page.split("## Codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let documented: Vec<&str> = rows.map(|(code, _)| code).collect();
    let codes: Vec<&str> = Flaw::WORDS.iter().map(|(code, _)| *code).collect();
    assert_eq!(documented, codes);
}

#[test]
fn doctor_needs_no_daemon_and_tells_that_none_runs() {
    let room = Room::new();
    room.configure(GOOD);
    let answer = room.ask(&["doctor"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.said.starts_with("daemon\n  ✗ nbkpd "), "{answer:?}");
    assert!(answer.said.contains("enable --now nbkpd`") && answer.said.contains(" things were tested; "), "{answer:?}");
    assert!(!answer.said.contains('\u{1b}'), "{answer:?}");
    let answer = room.ask(&["troubleshoot", "--json"]);
    assert_eq!((answer.code, answer.complained.as_str()), (1, ""));
    assert!(answer.said.contains(r#""code":"daemon-not-running","severity":"error","subject":"nbkpd""#), "{answer:?}");

    room.configure("[daemon]\nsettle = 1\n");
    let answer = room.ask(&["doctor"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.said.contains("✗ configuration") && answer.complained.contains("config.toml:2"), "{answer:?}");
    let answer = room.ask(&["doctor", "--json"]);
    assert_eq!((answer.code, answer.complained.as_str()), (2, ""));
    assert!(answer.said.contains(r#""code":"configuration-refused""#), "{answer:?}");
}

/// What a daemon answers that has found that this file is open to others.
fn exposed(file: &Path) -> Vec<u8> {
    let file = file.display();
    let finding = format!(
        r#"{{"code":"key-exposed","severity":"warning","subject":"s","message":"m","fix":"f",
        "mend":{{"path":"{file}","takes":"go-rwx"}}}}"#
    );
    let reply = format!(r#"{{"parameters":{{"version":"9","findings":[{finding}],"tested":[]}}}}"#);
    format!("{reply}\0").into_bytes()
}

#[test]
fn root_mends_nothing_at_the_word_of_a_user() {
    if !rustix::process::geteuid().is_root() {
        assert!(!required::all_must_run(), "becoming another user needs root");
        eprintln!("skipped: becoming another user needs root");
        return;
    }
    let room = Room::new();
    let file = room.path("file");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = room.answer_once_as(Uid::from_raw(65_534), exposed(&file));
    let answer = room.ask(&["doctor", "--fix"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644, "{answer:?}");
    assert_eq!((answer.code, answer.said.as_str()), (2, ""), "{answer:?}");
    for words in ["user 65534", &room.path("sock").display().to_string(), "as that user"] {
        assert!(answer.complained.contains(words), "{words} in {answer:?}");
    }
    assert!(daemon.join().unwrap().is_empty(), "it is not even asked");
}

#[test]
fn what_could_not_be_mended_is_told_as_that() {
    let room = Room::new();
    let [file, link] = ["file", "link"].map(|name| room.path(name));
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for (path, why) in
        [(&link, "it is a symbolic link, which is not followed"), (&room.path("none"), "it does not exist")]
    {
        let daemon = room.answer_once(exposed(path));
        let answer = room.ask(&["doctor", "--fix"]);
        assert_eq!(answer.code, 1, "{answer:?}");
        let path = path.display();
        let told = format!("nbkpctl: could not mend {path}: {why}\n");
        assert_eq!(answer.complained, told);
        assert!(answer.said.starts_with("nothing was mended: each attempt failed\n"), "{answer:?}");
        daemon.join().unwrap();
        fs::remove_file(room.path("sock")).unwrap();
        let daemon = room.answer_once(exposed(Path::new(&path.to_string())));
        let answer = room.ask(&["doctor", "--fix", "--json"]);
        assert_eq!((answer.code, answer.complained), (1, told), "{}", answer.said);
        assert!(answer.said.starts_with(&format!(r#"{{"mended":[],"not_mended":["could not mend {path}: "#)));
        daemon.join().unwrap();
        fs::remove_file(room.path("sock")).unwrap();
    }
}

#[test]
fn a_daemon_of_another_version_is_a_finding_and_errors_decide_the_exit_code() {
    let reply = |severity: &str| {
        format!(
            r#"{{"parameters":{{"version":"9.9.9","added":"later","findings":[{{"code":"x","severity":"{severity}",
            "subject":"s","message":"m","fix":"f"}}],
            "tested":[{{"area":"tools","subject":"s","message":"","codes":["x"]}}]}}}}"#
        )
    };
    for (severity, code) in [("error", 1), ("warning", 0), ("note", 0)] {
        let room = Room::new();
        let daemon = room.answer_once(format!("{}\0", reply(severity)).into_bytes());
        let answer = room.ask(&["doctor"]);
        assert_eq!(answer.code, code, "{answer:?}");
        assert!(answer.said.contains("! nbkpd  version 9.9.9 runs, and this is nbkpctl"), "{answer:?}");
        let call = String::from_utf8(daemon.join().unwrap()).unwrap();
        assert_eq!(call, r#"{"method":"org.nbkp.Daemon.Doctor","parameters":{}}"#);
    }
}
