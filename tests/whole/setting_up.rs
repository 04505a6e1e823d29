//! What `nbkpctl init` takes a place for, and what it says of what it did.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use crate::common::daemon::{Daemon, Wrapping};
use crate::common::drive::Drive;
use crate::common::drive::Filesystem::{Btrfs, ExFat, Ext4};
use crate::common::folder::Folder;
use crate::common::mini_host::MiniHost;
use crate::common::{run, text_of};
use crate::scenarios::init::{kind_of, plain_folder, set_up, ssh_knows};

pub fn what_is_somebody_elses_is_never_taken(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let mut usb = host.drive("usb", Ext4);
    usb.plug();
    let theirs = Folder::at(usb.point().join("theirs"));
    theirs.write("letter.txt", "their own");
    let point = usb.point().to_str().unwrap().to_owned();
    let named = ["--name", "theirs", "--snapshots", "none"];
    set_up(host, &documents, &point, &named).exits(2).says("`theirs`").says("--name");
    assert!(!host.config_file().exists());
    // What is empty is nobody's.
    std::fs::create_dir(usb.point().join("documents")).unwrap();
    set_up(host, &documents, &point, &[]).exits(0);
    assert_eq!(kind_of(host, "documents")["destination"], "usb:documents");
    std::fs::remove_file(host.config_file()).unwrap();

    // What lies on a drive that nobody mounted is not seen; it is not taken either.
    usb.unmount();
    set_up(host, &documents, &usb.uuid, &named).exits(1).says("cannot be seen");
    usb.mount();
    set_up(host, &documents, &usb.uuid, &named).exits(1).says("is set up already").says("holds 1 entry");
    host.ctl(&["run", "theirs", "--wait"]).exits(4);
    assert_eq!(names(&theirs.path), ["letter.txt"], "nothing of ours is there");
    assert_eq!(text_of(theirs.path.join("letter.txt")), "their own");
    // A person's word is enough.
    host.ctl(&["prepare", "theirs"]).exits(0).says("makes it equal to the source");
}

pub fn what_is_somebody_elses_at_a_server_is_never_taken(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let nas = host.server("nas");
    nas.join();
    ssh_knows(&nas);
    Folder::at(nas.file("backups/documents")).write("letter.txt", "their own");
    set_up(host, &documents, "nas:backups", &["--name", "documents"]).exits(2).says("`documents`");
    assert!(!host.config_file().exists());
    set_up(host, &documents, "nas:backups", &[]).exits(0);
    assert_eq!(kind_of(host, "documents-nas")["destination"], "nas:documents-nas");
    // Whoever comes in between is not overrun either.
    std::fs::write(host.config_file(), text_of(host.config_file()).replace("documents-nas", "documents")).unwrap();
    set_up(host, &documents, "nas:backups", &[]).exits(1).says("holds 1 entry");
    assert!(!nas.file("backups/documents/.nbkp-dst").exists());
}

pub fn a_part_of_a_drive_is_found_again(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let mut usb = host.drive("usb", Ext4);
    usb.plug();
    std::fs::create_dir_all(usb.point().join("data/inner")).unwrap();
    bind(&usb.point().join("data"), "/run/part");
    set_up(host, &documents, "/run/part/inner", &[]).exits(0);
    assert_eq!(kind_of(host, "documents")["destination"], "usb:data/inner/documents");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("data/inner/documents").latest().is_like(&documents);
    let photos = Folder::at(usb.point().join("data/photos"));
    photos.write("one.jpg", "a picture");
    let copies = host.root.join("copies");
    std::fs::create_dir(&copies).unwrap();
    let part = Folder::at("/run/part/photos");
    set_up(host, &part, copies.to_str().unwrap(), &[]).exits(0);
    assert_eq!(kind_of(host, "photos")["source"], "usb:data/photos");
    host.ctl(&["run", "photos", "--wait"]).exits(0);
    assert_eq!(text_of(copies.join("photos/latest/one.jpg")), "a picture");

    // A part of the disk that the system runs from is a directory.
    Folder::at(host.root.join("elsewhere/letters")).write("letter.txt", "dear reader");
    bind(&host.root.join("elsewhere"), "/run/elsewhere");
    let before = text_of(host.config_file()).matches("drive = ").count();
    set_up(host, &Folder::at("/run/elsewhere/letters"), copies.to_str().unwrap(), &[]).exits(0);
    assert_eq!(text_of(host.config_file()).matches("drive = ").count(), before);
    host.ctl(&["run", "letters", "--wait"]).exits(0);
    assert_eq!(text_of(copies.join("letters/latest/letter.txt")), "dear reader");
}

pub fn a_subvolume_of_a_drive_is_found_again(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let mut usb = host.drive("usb", Btrfs);
    usb.plug();
    run("btrfs", &[&"subvolume", &"create", &usb.point().join("@data")]);
    usb.unmount();
    usb.mount_with("subvol=@data");
    let point = usb.point().to_str().unwrap().to_owned();
    let is_known_by_its_path = || !text_of(host.config_file()).contains("drive = ");
    // The daemon mounts the whole of a drive, and would not find it there.
    for destination in [&point, &usb.uuid] {
        set_up(host, &documents, destination, &[]).exits(0);
        assert!(is_known_by_its_path(), "{}", text_of(host.config_file()));
    }
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    usb.destination("documents").latest().is_like(&documents);
    // With the whole beside it, the daemon takes the part that was prepared.
    std::fs::create_dir("/run/whole").unwrap();
    run("mount", &[&usb.device(), &"/run/whole", &"-o", &"subvol=/"]);
    let more = plain_folder(host, "more");
    set_up(host, &more, &point, &[]).exits(0);
    assert!(is_known_by_its_path(), "{}", text_of(host.config_file()));
    host.ctl(&["run", "more", "--wait"]).exits(0);
    usb.destination("more").latest().is_like(&more);
    // Where none was, it is a directory of the whole.
    std::fs::remove_file(host.config_file()).unwrap();
    std::fs::remove_file(usb.point().join(".nbkp-vol")).unwrap();
    let third = plain_folder(host, "third");
    set_up(host, &third, &point, &[]).exits(0);
    assert_eq!(kind_of(host, "third")["destination"], "usb:@data/third");
    host.ctl(&["run", "third", "--wait"]).exits(0);
    usb.destination("third").latest().is_like(&third);
}

fn bind(what: &Path, to: &str) {
    std::fs::create_dir_all(to).unwrap();
    run("mount", &[&"--bind", &what, &to]);
}

pub fn a_kind_that_cannot_be_held_is_refused_before_anything_is_written(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    for (label, filesystem, kind) in [("one", Ext4, "btrfs"), ("two", ExFat, "hard-link"), ("three", ExFat, "btrfs")] {
        let mut usb: Drive = host.drive(label, filesystem);
        usb.plug();
        let point = usb.point().to_str().unwrap().to_owned();
        set_up(host, &documents, &point, &["--snapshots", kind]).exits(2).says(kind).says("--snapshots");
        assert!(!host.config_file().exists() && !documents.path.join(".nbkp-src").exists());
        usb.unplug();
    }
}

pub fn what_is_said_is_what_was_done(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let copies = host.root.join("copies and more");
    let shown = copies.to_str().unwrap().to_owned();
    set_up(host, &documents, &shown, &[]).exits(2).says(&format!("mkdir -p '{shown}'"));
    std::fs::create_dir(&copies).unwrap();
    set_up(host, &documents, &shown, &[]).exits(0);
    set_up(host, &documents, &shown, &[]).exits(0).says("nothing was changed");
    std::fs::remove_file(documents.path.join(".nbkp-src")).unwrap();
    let again = set_up(host, &documents, &shown, &[]).exits(0);
    assert!(!again.said.contains("nothing was changed"), "{again}");
    // What is disabled copies nothing.
    let text = text_of(host.config_file()).replace("[syncs.documents]\n", "[syncs.documents]\nenabled = false\n");
    host.configure_with(&text);
    let disabled = set_up(host, &documents, &shown, &[]).exits(0).says("enabled = false");
    assert!(!disabled.said.contains("nbkpctl run documents"), "{disabled}");
    // What is shown is what comes into the file, also where the home directory is a link.
    std::fs::remove_file(host.config_file()).unwrap();
    let home = host.root.join("link");
    std::os::unix::fs::symlink(host.home(), &home).unwrap();
    let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd");
    command.env("HOME", &home).args(["init", "--yes", "--source"]).arg(&documents.path).args(["--destination", &shown]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let file = text_of(host.config_file());
    assert!(lines.len() > 5 && lines.iter().all(|line| file.lines().any(|found| found == *line)), "{said}\n{file}");
}

pub fn what_is_to_be_typed_at_a_server_can_be_typed(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let nas = host.server("nas");
    nas.join();
    ssh_knows(&nas);
    // An endpoint's name is no host of ssh, and a path may have blanks.
    let endpoint = format!(
        "[ssh-endpoints.attic]\nhost = \"nas\"\nuser = \"root\"\n[volumes.attic]\nssh = [\"attic\"]\npath = \"{}\"\n",
        nas.file("volume").display()
    );
    host.configure_with(&endpoint);
    let place = nas.file("no such/it's there");
    let destination = format!("attic:{}", place.display());
    let told = set_up(host, &documents, &destination, &[]).exits(2).complained;
    let typed = told.split('`').nth(1).unwrap();
    run("sh", &[&"-ec", &typed]);
    assert!(place.is_dir(), "{typed}");
}

/// A `systemctl` of which each call that holds this word fails with these words.
fn failing_systemctl(host: &MiniHost, call: &str, words: &str) {
    let systemctl = host.root.join("bin/systemctl");
    std::fs::create_dir_all(systemctl.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\ncase $* in\n\
         *' {call} '*) echo '{words}' >&2; exit 1 ;;\n\
         *is-enabled*|*is-active*) exit 1 ;;\nesac\n"
    );
    std::fs::write(&systemctl, script).unwrap();
    std::fs::set_permissions(&systemctl, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn a_service_that_does_not_start_is_told_in_its_own_words(root: &MiniHost) {
    let host = root.used_by(1000);
    let documents = host.source("documents");
    std::fs::create_dir(host.home().join("copies")).unwrap();
    for place in [host.home().join("copies"), host.home(), documents.path.clone()] {
        std::os::unix::fs::chown(place, Some(1000), Some(1000)).unwrap();
    }
    let set_up = || {
        let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd");
        for name in ["NBKP_CONFIG", "NBKP_STATE_DIR", "NBKP_SOCKET"] {
            command.env_remove(name);
        }
        command.args(["init", "--yes", "--source"]).arg(&documents.path);
        command.arg("--destination").arg(host.home().join("copies"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    failing_systemctl(&host, "enable", "Unit nbkpd.service is masked.");
    let (code, said) = set_up();
    assert!(code == Some(1) && said.contains("Unit nbkpd.service is masked."), "{code:?} {said}");
    assert!(!said.contains("starts by itself") && said.contains("call the same command again"), "{said}");
    failing_systemctl(&host, "show", "Failed to connect to bus: No medium found");
    let (code, said) = set_up();
    assert!(code == Some(1) && said.contains("No medium found"), "{code:?} {said}");
    assert!(said.contains("`nbkpd`") && !said.contains("enable-linger"), "there is no systemd here: {said}");
    std::fs::create_dir_all("/run/systemd/system").unwrap();
    let (code, said) = set_up();
    assert!(code == Some(1) && said.contains("loginctl enable-linger"), "{code:?} {said}");
}

pub fn a_daemon_with_another_configuration_prepares_nothing(host: &MiniHost) {
    let documents = plain_folder(host, "documents");
    let (ours, theirs) = (host.root.join("ours"), host.root.join("theirs"));
    for place in [&ours, &theirs] {
        std::fs::create_dir(place).unwrap();
    }
    let text = format!("[volumes.theirs]\npath = \"{}\"\n", theirs.display());
    host.configure(&host.config().also(&text).sync("documents", "theirs", "none", ""));
    // It is called by a path that leads there from where it is started, and from nowhere else.
    let daemon =
        Daemon::launch(&host.root.join("relative.log"), Path::new("/run/notify"), &Wrapping::Plain, |program| {
            let mut command = host.command(program, "nbkpd");
            command.current_dir(&host.root).args(["--config", "config.toml"]);
            command
        });
    daemon.wait_until_ready();
    assert_eq!(host.status()["daemon"]["config"], host.config_file().to_str().unwrap());
    let other = host.root.join("other.toml");
    let [other, copies] = [&other, &ours].map(|path| path.to_str().unwrap());
    let source = documents.path.to_str().unwrap();
    let words = ["--config", other, "init", "--yes", "--source", source, "--destination", copies, "--no-enable"];
    let refused = host.ctl(&words).exits(1).says("config.toml").says("--socket").says("the same command does the rest");
    // What would be said to the other one is not for it: there it means something else.
    for command in ["prepare documents", "run documents", "`nbkpctl", "`nbkpd"] {
        assert!(!refused.said.contains(command) && !refused.complained.contains(command), "{refused}");
    }
    assert!(!theirs.join("documents").exists() && !ours.join("documents").exists());
    assert!(text_of(other).contains("[syncs.documents]"));
    let told = host.ctl(&[&words[..], &["--json"]].concat()).exits(1).json();
    assert!(!told["next"].to_string().contains("`nbkp"), "{told:#}");
    // What it says is to be called by the paths that it was called by itself.
    let socket = host.root.join("other.sock");
    let apart = ["--socket", socket.to_str().unwrap(), "--state-dir", ours.to_str().unwrap()];
    let again = host.ctl(&[&apart[..], &words].concat()).exits(0);
    again.says(&format!("nbkpctl --config {other} --socket {}", socket.display())).says("nbkpd --config");
    assert!(ours.join("documents/.nbkp-dst").exists() && !theirs.join("documents").exists());
    // The same one is it by whatever path it is called.
    let more = plain_folder(host, "more");
    let mut command = host.command(env!("CARGO_BIN_EXE_nbkpctl"), "nbkpd");
    command.current_dir(host.home()).args(["--config", "../config.toml", "init", "--yes", "--no-enable", "--source"]);
    let output = command.arg(&more.path).args(["--destination", copies]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("starts by itself"), "{said}");
    let called = format!("`nbkpctl --config {} status`", host.home().join("../config.toml").display());
    assert!(said.contains(&called), "it is found from anywhere: {said}");
}

pub fn a_part_of_a_filesystem_in_use_is_not_formatted(host: &MiniHost) {
    let (mut one, mut two) = (host.drive("one", Ext4), host.drive("two", Ext4));
    one.attach();
    two.attach();
    run("mkfs.btrfs", &[&"-q", &"-f", &"-L", &"pool", &one.device(), &two.device()]);
    std::fs::create_dir("/run/pool").unwrap();
    run("mount", &[&one.device(), &"/run/pool"]);
    for drive in [&one, &two] {
        let device = drive.device();
        let words = ["drives", "format", device.to_str().unwrap(), "--print"];
        host.ctl(&words).exits(2).says("in use").says("/run/pool");
    }
    run("umount", &[&"/run/pool"]);
    // Whoever else holds it is not seen by name.
    let held = "import os, sys; os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL); print(flush=True); sys.stdin.read()";
    let mut command = host.command("python3", "nbkpd");
    command.args(["-c", held]).arg(one.device()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    std::io::Read::read_exact(&mut holder.stdout.take().unwrap(), &mut [0]).unwrap();
    host.ctl(&["drives", "format", one.device().to_str().unwrap(), "--print"]).exits(2).says("for somebody");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    host.ctl(&["drives", "format", one.device().to_str().unwrap(), "--print"]).exits(0);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
