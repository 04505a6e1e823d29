//! Runs each scenario in a process of its own, inside namespaces of its own, and cleans up whatever it left.

use std::fmt::Write;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

use super::attempt;
use super::mini_host::MiniHost;
use super::required;

/// A scenario: its name, and what happens in it.
pub type Scenario = (&'static str, fn(&MiniHost));

const SCENARIO: &str = "NBKP_TEST_SCENARIO";
const ROOT: &str = "NBKP_TEST_ROOT";
/// Asks for figures instead of tests: `full` or `quick`.
pub const FIGURES: &str = "NBKP_FIGURES";

/// The file in the directory of a scenario with the loop devices that it attached, one a line.
pub const ATTACHED: &str = "attached";

/// No scenario takes this long, even on a machine busy with others.
const LONGEST: Duration = Duration::from_mins(5);

/// The door of a test program: the harness itself, or (when it was started by itself) one scenario. `figures` is what
/// `tests/bench/run.sh` asks for.
pub fn main(scenarios: &'static [Scenario], figures: fn(&MiniHost)) -> ExitCode {
    if let (Ok(name), Some(root)) = (std::env::var(SCENARIO), std::env::var_os(ROOT)) {
        if name == FIGURES {
            figures(&MiniHost::boot(PathBuf::from(root)));
            return ExitCode::SUCCESS;
        }
        let (_, scenario) = scenarios.iter().find(|(known, _)| *known == name).expect("a scenario of this name");
        scenario(&MiniHost::boot(PathBuf::from(root)));
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(FIGURES).is_some() {
        return match missing().map_or_else(|| inside(FIGURES), |why| Err(Failed::from(why))) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failed) => {
                eprintln!("{}", failed.message().unwrap_or("no figures"));
                ExitCode::FAILURE
            }
        };
    }
    let mut arguments = Arguments::from_args();
    // Scenarios mostly wait for rsync, which is told to be slow, and for drives.
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    arguments.test_threads = arguments.test_threads.or(Some(cores * 2));
    let missing = missing();
    if let Some(why) = &missing {
        eprintln!("these tests need a mini host, which cannot be had here: {why}");
    }
    let trials = scenarios.iter().map(|(name, _)| {
        let skipped = missing.is_some() && !required::all_must_run();
        let missing = missing.clone();
        Trial::test(*name, move || missing.map_or_else(|| inside(name), |why| Err(Failed::from(why))))
            .with_ignored_flag(skipped)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS }
}

/// Why no mini host can be had; `None` if all is there.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it takes root (namespaces, loop devices, mounts)".into());
    }
    let tools = [
        "unshare",
        "losetup",
        "mkfs.btrfs",
        "mkfs.ext4",
        "btrfs",
        "udevadm",
        "rsync",
        "ip",
        "python3",
        "strace",
        "/usr/sbin/sshd",
    ];
    for tool in tools {
        if !attempt("sh", &[&"-c", &"command -v \"$0\"", &tool]).status.success() {
            return Some(format!("the program `{tool}` is missing (`tests/run.sh` installs it)"));
        }
    }
    if !Path::new("/usr/lib/systemd/systemd-udevd").exists() {
        return Some("systemd-udevd is missing (`tests/run.sh` installs it)".into());
    }
    if !Path::new("/dev/loop-control").exists() {
        return Some("there are no loop devices: /dev/loop-control is missing".into());
    }
    let unshare = attempt("unshare", &[&"--mount", &"--net", &"--pid", &"--fork", &"--mount-proc", &"true"]);
    (!unshare.status.success()).then(|| format!("no namespaces: {}", String::from_utf8_lossy(&unshare.stderr).trim()))
}

/// Starts one scenario on a machine of its own and waits for its end.
fn inside(name: &str) -> Result<(), Failed> {
    let root =
        tempfile::Builder::new().prefix("nbkp-").tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
    let said = Said(root.path().join("output.log"));
    // Figures are read while they come.
    let figures = name == FIGURES;
    let stream = || if figures { Ok(Stdio::inherit()) } else { said.open() };
    // Whoever was started in the background ignores Ctrl-C, and would hand that down.
    let mut child = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "--"])
        .args(["env", "--default-signal=INT,QUIT"])
        .arg(std::env::current_exe().map_err(|e| e.to_string())?)
        .env(SCENARIO, name)
        .env(ROOT, root.path())
        .stdin(Stdio::null())
        .stdout(stream()?)
        .stderr(stream()?)
        .spawn()
        .map_err(|e| format!("unshare: {e}"))?;
    let deadline = Instant::now() + if figures { LONGEST * 6 } else { LONGEST };
    let ended = loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => break Ok(status),
            None if Instant::now() > deadline => break Err(format!("it took longer than {LONGEST:?}")),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    if ended.is_err() {
        // The whole process namespace goes with it.
        let _ = child.kill();
        let _ = child.wait();
    }
    let logs = logs(root.path());
    release_loop_devices(root.path());
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failed::from(format!("{status}\n{logs}"))),
        Err(why) => Err(Failed::from(format!("{why}\n{logs}"))),
    }
}

/// The file for what a scenario says.
struct Said(PathBuf);

impl Said {
    fn open(&self) -> Result<Stdio, String> {
        let file = OpenOptions::new().create(true).append(true).open(&self.0);
        file.map(Stdio::from).map_err(|error| error.to_string())
    }
}

/// What the scenario and its daemons said, the end of each log.
fn logs(root: &Path) -> String {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    let mut all = String::new();
    for file in files {
        let text = super::text_of(&file);
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(150)..].join("\n");
        let _ = writeln!(all, "---- {}\n{end}", file.file_name().unwrap_or_default().display());
    }
    all
}

/// Detaches the loop devices that this scenario attached, and no others. Its mounts went with its namespace.
///
/// Known by the list that [`super::drive::Drive`] keeps: the path of an image is not seen outside of the namespace. The
/// sequence number tells whether it is still the same medium.
fn release_loop_devices(root: &Path) {
    let attached = super::text_of(root.join(ATTACHED));
    let deadline = Instant::now() + Duration::from_secs(10);
    for (device, sequence) in attached.lines().filter_map(|line| line.split_once(' ')) {
        while super::drive::disk_sequence(Path::new(device)) == sequence && Instant::now() < deadline {
            attempt("losetup", &[&"--detach", &device]);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
