//! From nothing to a backup: `nbkpctl init`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use nbkp::formats::ssh::script;
use nbkp::formats::ssh::site::{self, DirectoryThere};
use nbkp::model::Vacancy;
use serde_json::Value;

use crate::common::drive::Filesystem::{Btrfs, ExFat, Ext4, Luks};
use crate::common::drive::{Drive, Filesystem};
use crate::common::folder::Folder;
use crate::common::mini_host::{Answer, MiniHost, array};
use crate::common::server::Server;
use crate::common::{run, text_of};

/// A directory without anything of ours in it.
pub fn plain_folder(host: &MiniHost, name: &str) -> Folder {
    let folder = Folder::at(host.home().join(name));
    std::fs::create_dir_all(&folder.path).unwrap();
    folder.fill(10).write("letter.txt", "dear reader");
    folder
}

/// Calls `init` without questions.
#[track_caller]
pub fn set_up(host: &MiniHost, source: &Folder, destination: &str, more: &[&str]) -> Answer {
    let source = source.path.to_str().unwrap();
    let all = [&["init", "--yes", "--source", source, "--destination", destination][..], more].concat();
    host.ctl(&all)
}

/// How a sync is listed.
#[track_caller]
pub fn kind_of(host: &MiniHost, sync: &str) -> Value {
    let listed = host.ctl(&["list", "--json"]).json();
    let found = array(&listed["syncs"]).iter().find(|entry| entry["name"] == sync).cloned();
    found.unwrap_or_else(|| panic!("no sync {sync} in {listed:#}"))
}

pub fn from_a_directory_to_drives_of_each_kind(host: &MiniHost) {
    let source = plain_folder(host, "My Documents");
    source.write("node_modules/x/index.js", "made again by itself");
    let kept = plain_folder(host, "kept");
    for (label, filesystem, kind) in [("USB one", Btrfs, "btrfs"), ("two", Ext4, "hard-link"), ("three", ExFat, "none")]
    {
        let mut usb: Drive = host.drive(label, filesystem);
        usb.plug();
        let destination = usb.point().join("backups");
        let (volume, name) = match label {
            "two" => ("two", "my-documents-two"),
            "three" => ("three", "my-documents-three"),
            _ => ("usb-one", "my-documents"),
        };
        let told = set_up(host, &source, destination.to_str().unwrap(), &["--json"]).exits(0).json();
        assert_eq!((&told["changed"], &told["syncs"][0]["name"]), (&true.into(), &name.into()), "{told:#}");
        assert!(array(&told["prepared"][0]["problems"]).is_empty(), "{told:#}");
        let listed = kind_of(host, name);
        assert_eq!(listed["snapshots"], kind);
        assert_eq!(listed["destination"], format!("{volume}:backups/{name}"));
        host.ctl(&["run", name, "--wait"]).exits(0);
        let copy = usb.destination("backups").root.join(name);
        let latest = if kind == "none" { copy } else { copy.join("latest") };
        assert_eq!(text_of(latest.join("letter.txt")), "dear reader");
        assert!(!latest.join("node_modules").exists(), "what is proposed is left out");

        let before = text_of(host.config_file());
        let again = set_up(host, &source, destination.to_str().unwrap(), &[]).exits(0);
        again.says("is set up already").says("nothing was changed");
        assert_eq!(text_of(host.config_file()), before);
        // By its UUID it is the same place, without the directory.
        set_up(host, &kept, &usb.uuid, &["--snapshots", "none", "--name", &format!("kept-{kind}")]).exits(0);
        host.ctl(&["run", &format!("kept-{kind}"), "--wait"]).exits(0);
        assert!(usb.point().join(format!("kept-{kind}/letter.txt")).exists());
        usb.unplug();
    }
    assert_eq!(host.config_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

pub fn what_is_there_is_extended_and_taken_in_at_once(host: &MiniHost) {
    let documents = host.source("documents");
    documents.fill(3);
    let mut usb = host.drive("usb", Ext4).prepared_for("documents");
    let config = host.config().drive(&usb).sync("documents", "usb", "hard-link", "every = \"1d\" # often enough");
    host.configure_with(&format!("# mine\n{}# the end\n", config.text()));
    let before = text_of(host.config_file());
    let _daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    let pictures = plain_folder(host, "pictures");
    // What has this name on the drive is somebody else's.
    Folder::at(usb.point().join("pictures")).write("theirs", "stays");
    set_up(host, &pictures, usb.point().to_str().unwrap(), &[]).exits(0).says("nbkpctl status");
    let after = text_of(host.config_file());
    let mut lines = after.lines();
    for line in before.lines() {
        assert!(lines.any(|found| found == line), "{line:?} is not in its place in\n{after}");
    }
    assert_eq!(after.matches("[volumes.").count(), 2, "the volumes are used again\n{after}");
    host.run_ends("pictures-usb", 1, "ok");
    usb.destination("pictures-usb").latest().is_like(&pictures);
    assert_eq!(text_of(usb.point().join("pictures/theirs")), "stays");
    host.ctl(&["init", "--yes", "--source", pictures.path.to_str().unwrap(), "--destination", &usb.uuid, "--json"])
        .exits(0);
}

/// Lets root's own ssh know a server by its name.
pub fn ssh_knows(nas: &Server) {
    // ssh asks the user database where its files are, and not the environment.
    run("mount", &[&"-t", &"tmpfs", &"-o", &"mode=700", &"tmpfs", &"/root"]);
    std::fs::create_dir("/root/.ssh").unwrap();
    let config = format!(
        "Host nas\n  HostName {}\n  User root\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
        nas.address(),
        nas.file("user").display(),
        nas.file("known").display()
    );
    std::fs::write("/root/.ssh/config", config).unwrap();
}

pub fn to_a_server_that_only_ssh_knows(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let nas = host.server("nas");
    nas.join();
    ssh_knows(&nas);
    set_up(host, &documents, "nas:/no/such/place", &[]).exits(2).says("ssh nas mkdir -p /no/such/place");
    assert!(!host.config_file().exists());
    set_up(host, &documents, "nas:backups", &[]).exits(0).says("[ssh-endpoints.nas]");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let copy = Folder::at(nas.file("backups/documents/latest"));
    assert_eq!(text_of(copy.path.join("letter.txt")), "dear reader");
    set_up(host, &documents, "nas:backups", &[]).exits(0).says("is set up already");
    let more = plain_folder(host, "more");
    set_up(host, &more, "nas:~/backups", &[]).exits(0);
    let text = text_of(host.config_file());
    assert_eq!((text.matches("[ssh-endpoints.").count(), text.matches("[volumes.").count()), (1, 2), "{text}");
    nas.switch_off();
    set_up(host, &plain_folder(host, "third"), "nas:backups", &[]).exits(1).says("nas");
    assert_eq!(text_of(host.config_file()), text);
}

pub fn what_is_wrong_is_told_and_nothing_is_written(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let copies = host.root.join("copies");
    std::fs::create_dir(&copies).unwrap();
    let copies = copies.to_str().unwrap();
    let home = host.home().to_str().unwrap().to_owned();
    for (arguments, words) in [
        (&["init", "--yes"][..], "--source"),
        (&["init", "--yes", "--source", &home], "--destination"),
        (&["init", "--source", &home, "--destination", copies], "--yes"),
        (&["init", "--json", "--source", &home, "--destination", copies], "--yes"),
        (&["init", "--yes", "--source", "/no/such", "--destination", copies], "/no/such"),
        (&["init", "--yes", "--source", &home, "--destination", "/no/such/place"], "mkdir -p /no/such/place"),
        (&["init", "--yes", "--source", &home, "--destination", &home], "lies in the source"),
        (&["init", "--yes", "--source", &home, &home, "--name", "x", "--destination", copies], "--name"),
        (&["init", "--yes", "--source", &home, "--destination=-oProxyCommand=x:y"], "is no host"),
    ] {
        host.ctl(arguments).exits(2).says(words);
        assert!(!host.config_file().exists(), "{arguments:?}");
    }
    let unknown = ["init", "--yes", "--source", &home, "--destination", "5E3F-1A2B"];
    host.ctl(&unknown).exits(1).says("plugged in");
    for broken in ["[volumes.laptop\npath = 1\n", "[volumes.laptop]\npth = \"~\"\n", "\u{feff}[syncs]\nx = 1\n"] {
        host.configure_with(broken);
        set_up(host, &documents, copies, &[]).exits(2).says("config.toml");
        assert_eq!(text_of(host.config_file()), broken);
    }
    assert_eq!(std::fs::read_dir(copies).unwrap().count(), 0);
    assert!(!documents.path.join(".nbkp-src").exists());
    // A container that is closed tells nothing of what it can hold.
    std::fs::remove_file(host.config_file()).unwrap();
    let mut locked = host.drive("locked", Luks);
    locked.attach();
    set_up(host, &documents, &locked.uuid, &[]).exits(2).says("--snapshots");
    assert!(!host.config_file().exists());
    let told = set_up(host, &documents, &locked.uuid, &["--snapshots", "hard-link"]).exits(1);
    told.says("secret-tool store").says("passphrase = \"drive\"");
    host.ctl(&["config", "check"]).exits(0);
}

pub fn killed_at_any_moment_it_leaves_nothing_half_made(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let mut usb = host.drive("usb", Btrfs);
    usb.plug();
    let destination = usb.point().to_str().unwrap().to_owned();
    let source = documents.path.to_str().unwrap();
    let copies = usb.point().join("documents");
    // What it makes, in this order; it is killed as soon as each is there.
    let facts = [
        host.config_file(),
        documents.path.join(".nbkp-src"),
        usb.point().join(".nbkp-vol"),
        copies.clone(),
        copies.join("staging"),
        copies.join("snapshots"),
        copies.join("latest"),
        copies.join(".nbkp-dst"),
    ];
    for (number, fact) in facts.iter().enumerate() {
        let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd");
        command.args(["init", "--yes", "--source", source, "--destination", &destination]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !fact.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(fact.exists(), "it ended without {}", fact.display());
        if host.config_file().exists() {
            host.ctl(&["config", "check"]).exits(0).says("1 sync");
        }
        // Each time something else is half made as well.
        let left = [copies.join(".latest-new"), copies.join("..nbkp-dst.new")];
        if copies.exists() && !copies.join(".nbkp-dst").exists() && number % 2 == 0 {
            let _ = std::os::unix::fs::symlink("/dev/null", &left[0]);
            std::fs::write(&left[1], "").unwrap();
        }
    }
    set_up(host, &documents, &destination, &[]).exits(0);
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("documents").latest().is_like(&documents);
    let beside = std::fs::read_dir(&host.root)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("config.toml"));
    assert_eq!(beside.count(), 1, "nothing lies beside the file");
}

/// Types an answer each time one of these words is shown, and prints what was shown. The end is that of the program.
const TYPIST: &str = r"
import os, pty, select, sys
program, talk = sys.argv[1].split('\n'), [pair.split('=>', 1) for pair in sys.argv[2:]]
child, terminal = pty.fork()
if child == 0:
    os.execvp(program[0], program)
shown, seen = b'', 0
while True:
    ready, _, _ = select.select([terminal], [], [], 60)
    try:
        new = os.read(terminal, 4096) if ready else b''
    except OSError:
        new = b''
    if not new:
        break
    shown += new
    if talk and talk[0][0].encode() in shown[seen:]:
        seen = len(shown)
        os.write(terminal, talk.pop(0)[1].encode() + b'\n')
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
print('\nexit', os.waitstatus_to_exitcode(status), 'unasked', len(talk))
";

fn typed(host: &MiniHost, words: &[&str], talk: &[&str]) -> String {
    let mut command = host.command("python3", "nbkpd");
    let program = [&[env!("CARGO_BIN_EXE_nbkpctl")][..], words].concat().join("\n");
    command.args(["-c", TYPIST, &program]).args(talk).env("COLUMNS", "80").env("NO_COLOR", "1");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

pub fn asks_on_a_terminal_and_nowhere_else(host: &MiniHost) {
    let documents = plain_folder(host, "Documents");
    let mut usb: Drive = host.drive("usb", Filesystem::Btrfs);
    usb.plug();
    std::fs::create_dir(host.home().join(".ssh")).unwrap();
    let dead = "Host dead1.invalid dead2.invalid dead3.invalid\nHost dead4.invalid\nHost dead5.invalid\n";
    std::fs::write(host.home().join(".ssh/config"), dead).unwrap();
    // Whoever ends the input has answered nothing.
    let text = typed(host, &["init"], &["want to keep?=>\u{4}"]);
    assert!(text.contains("nothing was changed") && text.contains("exit 1"), "{text}");
    let text = typed(
        host,
        &["init"],
        &["want to keep?=>2", "copies go?=>nowhere", "is not there=>", "versions kept?=>", "[Y/n]=>", "[Y/n]=>n"],
    );
    assert!(text.contains("nothing was changed") && text.contains("exit 0 unasked 0"), "{text}");
    assert!(!host.config_file().exists());

    let talk = ["want to keep?=>2", "copies go?=>", "versions kept?=>", "[Y/n]=>", "[Y/n]=>y"];
    let text = typed(host, &["init", "--no-enable"], &talk);
    assert!(text.contains("exit 0 unasked 0"), "{text}");
    assert!(text.contains("usb  256 MiB") && text.contains("dead1.invalid:backups"), "{text}");
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:?}");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("documents").latest().is_like(&documents);
    assert_eq!(kind_of(host, "documents")["snapshots"], "btrfs");
    // Servers are asked while a person reads, and waited for only as long as one reads: the first question is there,
    // and the second is, though none of them will ever answer.
    let ssh = host.root.join("bin/ssh");
    std::fs::create_dir(ssh.parent().unwrap()).unwrap();
    std::fs::write(&ssh, "#!/bin/sh\nexec sleep infinity\n").unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = typed(host, &["init"], &["want to keep?=>2", "copies go?=>\u{4}"]);
    assert!(
        text.contains("dead1.invalid:backups  has not answered yet") && text.contains("exit 1 unasked 0"),
        "{text}"
    );
    std::fs::remove_file(&ssh).unwrap();
    // A server that is configured is offered like one of ssh's own, and once.
    let known = "\n[ssh-endpoints.attic]\nhost = \"dead1.invalid\"\n";
    std::fs::write(host.config_file(), text_of(host.config_file()) + known).unwrap();
    let text = typed(host, &["init"], &["want to keep?=>", "copies go?=>\u{4}"]);
    assert!(text.contains("attic:backups") && !text.contains("dead1.invalid:"), "{text}");
    // Without a terminal nobody is asked.
    host.ctl(&["init"]).exits(2).says("--yes --source DIR");
}

pub fn puts_the_service_there_and_enables_it(host: &MiniHost) {
    let systemctl = host.root.join("bin/systemctl");
    std::fs::create_dir(systemctl.parent().unwrap()).unwrap();
    let said = host.root.join("home/said");
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {0}\ncase $* in *' cat '*|*is-enabled*|*is-active*) exit 1 ;; esac\n",
        said.display()
    );
    std::fs::write(&systemctl, script).unwrap();
    std::fs::set_permissions(&systemctl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let host = host.used_by(1000);
    let documents = host.source("documents");
    std::fs::create_dir(host.home().join("copies")).unwrap();
    for place in [host.home().join("copies"), host.home(), documents.path.clone()] {
        std::os::unix::fs::chown(place, Some(1000), Some(1000)).unwrap();
    }
    let set_up = |more: &[&str]| {
        let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd");
        for name in ["NBKP_CONFIG", "NBKP_STATE_DIR", "NBKP_SOCKET"] {
            command.env_remove(name);
        }
        command.args(["init", "--yes", "--source"]).arg(&documents.path);
        command.arg("--destination").arg(host.home().join("copies")).args(more);
        command.stdin(Stdio::null()).output().unwrap()
    };
    let theirs = host.root.join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    let documents_are = documents.path.to_str().unwrap();
    let denied = host.ctl(&["init", "--yes", "--source", documents_are, "--destination", theirs.to_str().unwrap()]);
    denied.exits(2).says("sudo chown");
    let output = set_up(&["--no-enable"]);
    assert!(output.status.success() && !said.exists(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("lies on the same disk"), "as it is");
    let output = set_up(&["--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&told["service"], &told["changed"]), (&"enabled".into(), &false.into()), "{told:#}");
    let unit = text_of(host.home().join(".config/systemd/user/nbkpd.service"));
    let daemon = Path::new(env!("CARGO_BIN_EXE_nbkpd"));
    assert!(unit.contains(&format!("ExecStart={}\n", daemon.display())), "{unit}");
    let said = text_of(said);
    assert!(said.contains("--user daemon-reload\n") && said.ends_with("--user enable --now nbkpd.service\n"), "{said}");
}

pub fn each_shell_tells_of_a_place(host: &MiniHost) {
    let home = host.home();
    host.source("there");
    std::fs::write(home.join("file"), "").unwrap();
    for name in ["empty", "copies"] {
        std::fs::create_dir(home.join(name)).unwrap();
    }
    std::fs::write(home.join("copies/.nbkp-dst"), "").unwrap();
    std::os::unix::fs::symlink("empty", home.join("link")).unwrap();
    for shell in ["dash", "bash", "busybox"] {
        let told = |directory: &str| {
            let call = site::call(Path::new(directory));
            let program = host.root.join("site.sh");
            std::fs::write(&program, script::text(call.script, &call.words)).unwrap();
            let mut command = host.command(shell, "nbkpd");
            command.args(if shell == "busybox" { &["sh", "-s"][..] } else { &["-s"] });
            let output = command.stdin(std::fs::File::open(program).unwrap()).output().unwrap();
            let script::Answer::Whole(0, answer) = script::answer(&output.stdout) else { panic!("{output:?}") };
            site::site(&answer).unwrap_or_else(|| panic!("{output:?}"))
        };
        let there = told("there");
        assert_eq!((there.directory, there.is_writable), (DirectoryThere::Open, true), "{shell}");
        assert!(there.free.is_some_and(|free| free > 0) && there.fs_type.is_some(), "{shell}: {there:?}");
        assert_eq!(there.home.as_deref(), Some(home.canonicalize().unwrap().as_path()));
        assert_eq!(told("").directory, DirectoryThere::Open);
        assert_eq!(told("it's \"missing\" $(x)").directory, DirectoryThere::Missing, "{shell}");
        assert_eq!(told("/missing").fs_type, None, "{shell}");
        assert_eq!(told("file").directory, DirectoryThere::Closed, "{shell}");
        let vacancy = |directory: &str| told(directory).vacancy;
        assert_eq!((vacancy("there"), vacancy("missing")), (Vacancy::Taken, Vacancy::Free), "{shell}");
        assert_eq!((vacancy("empty"), vacancy("link")), (Vacancy::Free, Vacancy::Taken), "{shell}");
        assert_eq!(vacancy("copies"), Vacancy::Copies, "{shell}");
    }
}
