//! What happens in the demonstration, and how it is told.

use std::fs;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::ctl::demo::drive::{DemoDrive, become_a_machine};
use crate::ctl::demo::error::DemoError;
use crate::ctl::demo::sandbox::Sandbox;
use crate::formats::text;
use crate::formats::wire::{RunEntry, RunningEntry};
use crate::model::{BootTime, Outcome, layout};
use crate::os::causes::chain;
use crate::os::clock;

const LETTER: &str = "home/Documents/letter.txt";
const ARCHIVE: &str = "home/Documents/archive.bin";
const ARCHIVE_LENGTH: usize = 8 << 20;
const PHOTOS: u64 = 12;
const PHOTO_LENGTH: usize = 2 << 20;

/// Where the piece is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Stage {
    /// In namespaces of its own, with a real udev and a loop device as the drive.
    Machine,
    /// In a directory, another directory being the drive.
    Directory,
}

/// Plays the piece and says how it went.
pub(super) fn play(stage: Stage) -> ExitCode {
    let narrator = Narrator { began: clock::boot() };
    match piece(stage, &narrator) {
        Ok(summary) => {
            narrator.tell(&format!("All of it worked: {summary}. Nothing is left behind."));
            ExitCode::SUCCESS
        }
        Err(error) => {
            narrator.tell(&format!("The demonstration did not come to its end: {}", chain(&error)));
            narrator.tell("What it had set up is gone.");
            ExitCode::FAILURE
        }
    }
}

fn piece(stage: Stage, narrator: &Narrator) -> Result<String, DemoError> {
    if stage == Stage::Machine {
        become_a_machine()?;
        narrator.tell("A machine of its own: private mounts, network and processes, and a real udev");
    }
    let base = match stage {
        Stage::Machine => "/run/nbkp-demo".into(),
        Stage::Directory => std::env::temp_dir().join(format!("nbkp-demo-{}", std::process::id())),
    };
    let mut sandbox = Sandbox::new(base)?;
    let files = sample_data(&sandbox)?;
    narrator.tell(&format!(
        "Sample data: {} in {}",
        text::count(files, "file"),
        sandbox.path("home/Documents").display()
    ));
    let mut drive = match stage {
        Stage::Machine => DemoDrive::with_btrfs(&sandbox.path(""))?,
        Stage::Directory => DemoDrive::in_a_drawer(&sandbox.path(""))?,
    };
    let played = acts(&mut sandbox, &mut drive, narrator);
    // In this order: nobody reads the drive any more, nothing of it is in the sandbox, the sandbox goes.
    sandbox.stop_daemon();
    let unplugged = take_out(&sandbox, &mut drive);
    let torn_down = sandbox.tear_down();
    let summary = played?;
    unplugged?;
    torn_down?;
    Ok(summary)
}

fn acts(sandbox: &mut Sandbox, drive: &mut DemoDrive, narrator: &Narrator) -> Result<String, DemoError> {
    let configuration = configuration(sandbox, drive);
    sandbox.write("config.toml", configuration.as_bytes())?;
    narrator.tell("The configuration:");
    quote(&configuration);

    let starting = clock::boot();
    sandbox.start_daemon()?;
    narrator.tell(&format!("nbkpd runs; it took {} ms to start", clock::boot().since(starting).as_millis()));
    show(sandbox, &["status"])?;

    narrator.tell("You plug in the drive for the first time, and say that this is the one:");
    plug(sandbox, drive)?;
    show(sandbox, &["prepare", "documents"])?;
    let first = watch_run(sandbox, None)?;
    narrator.tell(&format!("Copied by itself: {}", told(&first)));
    show(sandbox, &["snapshots"])?;

    narrator.tell("You take the drive out, and work on:");
    take_out(sandbox, drive)?;
    look_again(sandbox, drive)?;
    quote(&work(sandbox, drive)?);
    narrator.tell("You plug it in again, and do nothing else:");
    plug(sandbox, drive)?;
    let second = watch_run(sandbox, Some(&first.id))?;
    narrator.tell(&format!("Copied by itself: {}", told(&second)));
    show(sandbox, &["history"])?;

    narrator.tell("Both states of the letter are on the drive, as plain files:");
    for run in [&first, &second] {
        quote(&letter_in(drive, run)?);
    }
    let (before, after) = (text::size(first.bytes_transferred), text::size(second.bytes_transferred));
    Ok(format!("2 plugs, 2 snapshots, {before} the first time and {after} the second"))
}

fn configuration(sandbox: &Sandbox, drive: &DemoDrive) -> String {
    format!(
        r#"[daemon]
settle = "0s"
grace  = "1s"                        # time to say `nbkpctl hold usb`; 10 s unless set

[volumes.laptop]
path = "{}"

[volumes.usb]
{}

[syncs.documents]
source      = "laptop:Documents"
destination = "usb:documents"
snapshots   = "{}"
keep        = {{ last = 5, daily = 7, monthly = 12 }}
every       = "0s"                   # whenever both are within reach
rsync       = {{ bandwidth = "16M" }}  # slowly, so that there is something to watch
"#,
        sandbox.path("home").display(),
        drive.volume(),
        drive.snapshots()
    )
}

/// Makes the documents, and says how many files they are.
fn sample_data(sandbox: &Sandbox) -> Result<u64, DemoError> {
    let notes = 240_u32;
    for number in 0..notes {
        let name = format!("home/Documents/notes/{:02}/note-{number}.txt", number % 12);
        sandbox.write(&name, format!("Note {number}: remember the milk.\n").repeat(20).as_bytes())?;
    }
    sandbox.write(LETTER, b"Dear reader, this is the first version.\n")?;
    sandbox.write(ARCHIVE, &noise(ARCHIVE_LENGTH, 0))?;
    for number in 1..=PHOTOS {
        sandbox.write(&format!("home/Documents/photos/{number:02}.jpg"), &noise(PHOTO_LENGTH, number))?;
    }
    Ok(u64::from(notes) + PHOTOS + 2)
}

/// Changes a little of everything, and says what.
fn work(sandbox: &Sandbox, drive: &DemoDrive) -> Result<String, DemoError> {
    sandbox.write(LETTER, b"Dear reader, this is the second version, and better.\n")?;
    sandbox.write("home/Documents/photos/holiday.jpg", &noise(200 << 10, PHOTOS + 1))?;
    let said = "a letter rewritten, a photo of 200 KiB added";
    match drive {
        DemoDrive::Loop { .. } => {
            let mut archive = noise(ARCHIVE_LENGTH, 0);
            let middle = archive.iter_mut().skip(ARCHIVE_LENGTH / 2).take(4096);
            middle.for_each(|byte| *byte = !*byte);
            sandbox.write(ARCHIVE, &archive)?;
            Ok(format!("{said}, 4 KiB changed in the middle of a file of 8 MiB"))
        }
        // With hard links, a changed file is copied whole; so the archive stays as it is.
        DemoDrive::Directory { .. } => Ok(said.to_owned()),
    }
}

fn plug(sandbox: &Sandbox, drive: &mut DemoDrive) -> Result<(), DemoError> {
    drive.plug()?;
    look_again(sandbox, drive)
}

/// No event tells that a plain directory came or went.
fn look_again(sandbox: &Sandbox, drive: &DemoDrive) -> Result<(), DemoError> {
    match drive {
        DemoDrive::Loop { .. } => Ok(()),
        DemoDrive::Directory { .. } => sandbox.client(&["scan"]).map(drop),
    }
}

fn take_out(sandbox: &Sandbox, drive: &mut DemoDrive) -> Result<(), DemoError> {
    if !drive.root().exists() {
        return Ok(());
    }
    for _ in 0..200 {
        if drive.unplug()? {
            return Ok(());
        }
        sandbox.pause(Duration::from_millis(50))?;
    }
    Err(DemoError::TooLate("the drive is not busy any more"))
}

/// Shows a run while it goes on, and gives its record; `before` is the run that was the last one until now.
fn watch_run(sandbox: &mut Sandbox, before: Option<&str>) -> Result<RunEntry, DemoError> {
    let mut shown = None;
    for _ in 0..1200 {
        let status = sandbox.status()?;
        if let Some(running) = status.iter().flat_map(|status| &status.running).next() {
            shown = show_progress(running, shown);
        }
        let sync = status.and_then(|status| status.syncs.into_iter().next());
        if let Some(run) = sync.and_then(|sync| sync.last_run)
            && before != Some(run.id.as_str())
        {
            end_progress();
            return if run.outcome.is(Outcome::Ok) { Ok(run) } else { Err(ended_badly(&run)) };
        }
        sandbox.pause(Duration::from_millis(100))?;
    }
    Err(DemoError::TooLate("the run ends"))
}

fn ended_badly(run: &RunEntry) -> DemoError {
    let why = run.error.as_deref().unwrap_or("without a reason");
    DemoError::Unexpected(format!("the run ended with `{}`: {why}", run.outcome))
}

fn progress(running: &RunningEntry) -> String {
    let percent = usize::from(running.percent.unwrap_or_default().min(100));
    let bar = format!("{:<25}", "#".repeat(percent / 4));
    format!("[{bar}] {percent:>3} %  {}  {}/s  ({})", text::size(running.bytes), text::size(running.rate), running.step)
}

/// A run that ended well, in words.
fn told(run: &RunEntry) -> String {
    let length = run.finished.0.duration_since(run.started.0).unsigned_abs();
    format!(
        "{}, {}, in {}; the snapshot {} is complete",
        text::count(run.files_transferred, "file"),
        text::size(run.bytes_transferred),
        text::stopwatch(length),
        run.snapshot.as_deref().unwrap_or("(none)")
    )
}

fn letter_in(drive: &DemoDrive, run: &RunEntry) -> Result<String, DemoError> {
    let name = run.snapshot.as_deref().unwrap_or_default();
    let path = drive.root().join("documents").join(layout::in_snapshots(name)).join("letter.txt");
    let letter = fs::read_to_string(&path).map_err(|error| DemoError::File(path, error))?;
    Ok(format!("{}/letter.txt: {}", layout::in_snapshots(name).display(), letter.trim_end()))
}

/// Bytes that do not compress (xorshift), the same for the same seed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length.saturating_add(8));
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Tells what happens, with the time since the beginning.
struct Narrator {
    began: BootTime,
}

impl Narrator {
    /// A sentence.
    fn tell(&self, sentence: &str) {
        let passed = clock::boot().since(self.began);
        say(&format!("[{:>4.1} s] {sentence}\n", passed.as_secs_f64()));
    }
}

/// A command of the client, and what it prints.
fn show(sandbox: &Sandbox, arguments: &[&str]) -> Result<(), DemoError> {
    let printed = sandbox.client(arguments)?;
    quote(&format!("$ nbkpctl {}\n{printed}", arguments.join(" ")));
    Ok(())
}

/// How far a run is: one line that is written over on a terminal; otherwise a line for every fifth of it, `shown` being
/// the last one.
fn show_progress(running: &RunningEntry, shown: Option<u8>) -> Option<u8> {
    let line = progress(running);
    let fifth = running.percent.map(|percent| percent / 20).filter(|fifth| *fifth > 0);
    if std::io::stdout().is_terminal() {
        say(&format!("\r           {line}\x1b[K"));
    } else if fifth > shown {
        quote(&line);
    }
    fifth.max(shown)
}

/// Removes the line of progress.
fn end_progress() {
    if std::io::stdout().is_terminal() {
        say("\r\x1b[K");
    }
}

/// What somebody else says or writes.
fn quote(lines: &str) {
    for line in lines.lines() {
        say(&format!("           {line}\n"));
    }
}

/// Nobody may be there to read it any more; the piece is played to its end, or until the watcher is missed.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _nobody_listens = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
