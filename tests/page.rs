//! The page that `nbkpctl report` writes, of a machine with a past and names that nobody would like: read by the
//! letter, and looked at in a real browser. `NBKP_PAGE=DIR` keeps it there with its pictures, for a person to look at.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs and reads the clock, and fails by panicking"
)]

#[path = "common/required.rs"]
mod required;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use nbkp::model::{Figures, Outcome, RunRecord, SnapshotName, Trigger};
use nbkp::os::history::{Entry, HistoryStore};

/// A name that would be markup if anybody let it.
const BAD: &str = "<script>alert(1)<|script>\"&'";

const HOUR: Duration = Duration::from_hours(1);

/// A machine with a past.
struct Machine {
    directory: TempDir,
    now: Timestamp,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap(), now: Timestamp::now() };
        let config = format!(
            r#"
            [ssh-endpoints.nas]
            host = "127.0.0.1"
            port = 9
            [volumes]
            laptop = {{ path = "{0}/home" }}
            disk = {{ path = "{0}/disk" }}
            usb = {{ drive = "2d577679-a7b6-429d-8250-3d0d80e034df" }}
            nas = {{ ssh = ["nas"], path = "/srv/backups" }}
            [syncs.documents]
            source = "laptop:Documents"
            destination = "disk:documents"
            snapshots = "hard-link"
            keep = {{ last = 3, hourly = 24, daily = 7, weekly = 4, monthly = 12, yearly = 5 }}
            every = "1h"
            max-age = "7d"
            [syncs.pictures-of-a-long-journey-with-friends]
            source = 'laptop:{1}'
            destination = "usb:pictures"
            max-age = "4w"
            [syncs.mail]
            source = "laptop:Mail"
            destination = "nas:mail"
            max-age = "2d"
            [syncs.second]
            source = "disk:documents"
            destination = "nas:documents"
            [syncs.music]
            source = "laptop:Music"
            destination = "usb:music"
            enabled = false
            "#,
            machine.at("").display(),
            BAD.replace('\'', "_"),
        );
        machine.write("config.toml", &config);
        fs::set_permissions(machine.at("config.toml"), fs::Permissions::from_mode(0o600)).unwrap();
        for path in ["home/.nbkp-vol", "home/Documents/.nbkp-src", "disk/.nbkp-vol", "disk/documents/.nbkp-dst"] {
            machine.write(path, "");
        }
        machine.write("home/Documents/letter", "dear");
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), text).unwrap();
    }

    /// Snapshots as two years of rules leave them, one of which is still to go.
    fn snapshots(&self) {
        let hours = (1..26).chain((1..9).map(|days| days * 24)).chain((1..6).map(|weeks| weeks * 168));
        for hours in hours.chain((1..24).map(|months| months * 730)) {
            let name = SnapshotName::next(self.now - HOUR * hours, None).to_string();
            fs::create_dir_all(self.at("disk/documents/snapshots").join(&name)).unwrap();
        }
    }

    /// Four runs a day of the documents for more than a year, one of which fails now and then; fewer of the others.
    fn past(&self) {
        fs::create_dir_all(self.at("state")).unwrap();
        fs::set_permissions(self.at("state"), fs::Permissions::from_mode(0o700)).unwrap();
        let mut history = HistoryStore::open(&self.at("state"), self.now).unwrap();
        let mut entries = Vec::new();
        for number in (0..1_640_u32).rev() {
            let day = number / 4;
            let outcome = match (day % 23, number % 4) {
                (5, _) | (6, 1) => Outcome::Failed,
                (9, _) => Outcome::Interrupted,
                (14, _) if day > 40 => Outcome::Held,
                _ => Outcome::Ok,
            };
            if day % 37 > 33 {
                continue;
            }
            let mut run = self.run(number, "documents", number * 6 + 1, outcome);
            run.figures.size = 41_000_000_000 - u64::from(number) * 9_000_000;
            if day % 11 == 3 {
                run.figures.files_transferred = 0;
            }
            run.figures.unreadable = u64::from(day % 29 == 12);
            entries.push(Entry::Ended(Box::new(run)));
        }
        for number in (0..300_u32).rev() {
            let outcome = if number == 0 { Outcome::Failed } else { Outcome::Ok };
            entries.push(Entry::Ended(Box::new(self.run(number, "mail", number * 24 + 2, outcome))));
        }
        for number in (0..9_u32).rev() {
            let run = self.run(number, "pictures-of-a-long-journey-with-friends", number * 900 + 800, Outcome::Ok);
            entries.push(Entry::Ended(Box::new(run)));
        }
        entries.push(Entry::Ended(Box::new(self.run(1, "gone", 9_000, Outcome::Ok))));
        history.write(&entries).unwrap();
    }

    fn run(&self, number: u32, sync: &str, hours: u32, outcome: Outcome) -> RunRecord {
        let started = self.now - HOUR * hours;
        RunRecord {
            run: format!("{}-{number}", sync.chars().take(2).collect::<String>()).parse().unwrap(),
            sync: sync.parse().unwrap(),
            trigger: Trigger::Schedule,
            started,
            finished: started + Duration::from_secs(5 + u64::from(number * 7919 % 190)),
            outcome,
            figures: Figures {
                files_transferred: 30,
                bytes_transferred: 40_000_000,
                size: 7 << 30,
                ..Figures::default()
            },
            heaviest: Vec::new(),
            snapshot: None,
            error: (outcome != Outcome::Ok).then(|| format!("could not write {BAD}: No space left on device")),
            warnings: Vec::new(),
        }
    }

    fn report(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nbkpctl"));
        command.env_clear().env("HOME", self.at("home"));
        command.env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.at("bin").display()));
        command.env("NBKP_SOCKET", self.at("run/sock")).env("NBKP_CONFIG", self.at("config.toml"));
        command.env("NBKP_STATE_DIR", self.at("state")).current_dir(self.at("")).arg("report").args(arguments);
        command.output().unwrap()
    }

    /// The page, written to a file.
    fn page(&self) -> (PathBuf, String) {
        let done = self.report(&["-o", "page.html"]);
        assert!(done.status.success(), "{done:?}");
        let page = self.at("page.html");
        let text = fs::read_to_string(&page).unwrap();
        (page, text)
    }
}

#[test]
fn a_page_of_bad_names_and_bad_news_is_sound_and_says_so_first() {
    let machine = Machine::new();
    machine.past();
    machine.snapshots();
    let (page, text) = machine.page();
    assert!(!text.contains("<script") && text.contains("&lt;script&gt;alert(1)&lt;|script&gt;&quot;&amp;&#39;"));
    assert!(text.len() < 2_000_000, "{}", text.len());
    let said = text.find("No daemon runs: no copies are made, and ").unwrap();
    let failed = text.find("the last run failed").unwrap();
    assert!(said < failed && failed < text.find("<nav").unwrap(), "the news come before all else");
    assert!(!text.contains("sign-good\"/></svg>"), "nothing is proven to be well");
    for word in ["These left the configuration: <code>gone</code>", "What goes when"] {
        assert!(text.contains(word), "{word}");
    }
    if let Some(kept) = std::env::var_os("NBKP_PAGE") {
        fs::create_dir_all(&kept).unwrap();
        fs::copy(&page, Path::new(&kept).join("page.html")).unwrap();
        look(&page, Some(&PathBuf::from(kept)));
    }
    is_read_by_the_letter(&page);
    look(&page, None);
}

#[test]
fn a_page_of_nothing_is_sound() {
    let machine = Machine::new();
    machine.write("config.toml", "[volumes.laptop]\npath = \"/home/a\"\n");
    let (page, text) = machine.page();
    assert!(text.contains("No daemon runs") && text.contains("The configuration has no sync."));
    is_read_by_the_letter(&page);
    look(&page, None);
}

#[test]
fn a_browser_is_given_a_page_that_goes_with_the_session() {
    let machine = Machine::new();
    machine.write("bin/xdg-open", "#!/bin/sh\nprintf %s \"$1\" >\"$HOME/opened\"\n");
    fs::set_permissions(machine.at("bin/xdg-open"), fs::Permissions::from_mode(0o755)).unwrap();
    let done = machine.report(&["--open"]);
    assert!(done.status.success(), "{done:?}");
    let shown = PathBuf::from(fs::read_to_string(machine.at("home/opened")).unwrap());
    assert_eq!(shown, fs::canonicalize(machine.at("run/report.html")).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&shown), mode(shown.parent().unwrap())), (0o600, 0o700));
    machine.write("bin/xdg-open", "#!/bin/sh\nexit 3\n");
    let told = machine.report(&["--open", "-o", "page.html"]);
    let told = (told.status.code(), String::from_utf8(told.stderr).unwrap());
    assert!(told.0 == Some(1) && told.1.contains("is written, but could not show the page"), "{told:?}");
}

#[test]
fn it_is_written_at_one_stroke_for_its_owner_and_through_no_link() {
    let machine = Machine::new();
    machine.write("theirs", "theirs");
    symlink(machine.at("theirs"), machine.at("page.html")).unwrap();
    let (page, text) = machine.page();
    let found = fs::symlink_metadata(&page).unwrap();
    assert!(found.is_file() && found.mode() & 0o777 == 0o600, "{found:?}");
    assert_eq!(fs::read_to_string(machine.at("theirs")).unwrap(), "theirs");
    let printed = String::from_utf8(machine.report(&[]).stdout).unwrap();
    assert!(printed.starts_with("<!DOCTYPE html>") && printed.trim_end().ends_with("</html>"));
    assert!(text.ends_with("</html>\n"));
    let json = machine.report(&["--json", "--days", "30"]);
    let facts: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((facts["days"].as_u64(), facts["list"]["syncs"].as_array().unwrap().len()), (Some(30), 5));
    assert!(facts["dead"].as_str().unwrap().contains("nbkpd is not running"));

    // What cannot be written leaves nothing. A link to a stream, such as `/dev/stdout`, is one that others use.
    symlink("home", machine.at("to-home")).unwrap();
    for (arguments, code, why) in [
        (&["-o", "none/page.html"][..], 1, "none"),
        (&["-o", "home"], 2, "home is no file"),
        (&["-o", "/proc/self/fd/1"], 2, "/proc/self/fd/1 is no file"),
        (&["-o", "to-home"], 2, "to-home is no file"),
        (&["--open", "--json"], 2, "leave out --open or --json"),
        (&["--open", "-o", "-"], 2, "name one with -o"),
    ] {
        let done = machine.report(arguments);
        let told = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(code) && told.contains(why) && done.stdout.is_empty(), "{told}");
    }
    // Neither does a configuration that cannot be used: the page before stays.
    machine.write("config.toml", "[volumes]\nx = 1\n");
    let done = machine.report(&["-o", "page.html"]);
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    assert_eq!(fs::read_to_string(&page).unwrap(), text);
    let names = fs::read_dir(machine.at("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with(".page")));
}

/// Runs a script of `tests/page` that says nothing of a page that is well; passes it over where what it needs is
/// missing.
fn well(script: &str, needs: &str, is_there: bool, arguments: &[&Path]) {
    if !is_there {
        assert!(!required::all_must_run(), "this test needs {needs}");
        eprintln!("skipped: this test needs {needs}");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page").join(script);
    let done = Command::new("/usr/bin/python3").arg(script).args(arguments).output().unwrap();
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

fn is_read_by_the_letter(page: &Path) {
    let is_there = Command::new("/usr/bin/python3")
        .args(["-c", "import html5lib"])
        .output()
        .is_ok_and(|done| done.status.success());
    well("valid.py", "python3-html5lib", is_there, &[page]);
}

fn look(page: &Path, pictures: Option<&Path>) {
    let is_there = Command::new("chromium").arg("--version").output().is_ok_and(|done| done.status.success());
    let keep = pictures.map(|pictures| [Path::new("--keep"), pictures]);
    let arguments: Vec<&Path> = [page].into_iter().chain(keep.into_iter().flatten()).collect();
    well("look.py", "chromium", is_there, &arguments);
}
