//! The page about getting files back, followed to the letter: its commands are read out of it.

use std::process::Stdio;

use crate::common::drive::Filesystem::Ext4;
use crate::common::folder::Folder;
use crate::common::mini_host::{Answer, MiniHost};
use crate::common::text_of;

const PAGE: &str = include_str!("../../docs/restore.md");

/// The commands below a heading of the page.
fn commands(heading: &str) -> Vec<String> {
    let (_, rest) = PAGE.split_once(&format!("\n## {heading}\n")).expect("the page has this heading");
    let section = rest.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("\n```").next().unwrap());
    let commands: Vec<String> = blocks.flat_map(str::lines).map(str::to_owned).collect();
    assert!(!commands.is_empty(), "{heading} tells nothing to do");
    commands
}

/// Does what the page says below a heading, where its places are those of this machine; everything succeeds.
#[track_caller]
fn followed(host: &MiniHost, heading: &str, drive: &str) -> Vec<Answer> {
    let follow = |command: String| {
        let mnt = host.root.join("mnt");
        let here = command.replace("/run/media/ada/usb", drive).replace("/mnt/", &format!("{}/", mnt.display()));
        // Everybody is root here.
        let here = here.strip_prefix("sudo ").unwrap_or(&here).to_owned();
        let mut shell = host.command("sh", "nbkpd");
        let output = shell.args(["-c", &here]).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (said, complained) = (text(output.stdout), text(output.stderr));
        Answer { question: here, code: output.status.code(), said, complained }.exits(0)
    };
    commands(heading).into_iter().map(follow).collect()
}

pub fn about_getting_files_back_is_true(host: &MiniHost) {
    let (documents, pictures) = (host.source("Documents"), host.source("Pictures"));
    documents.fill(30).write("letter.odt", "of two days ago").write("letter 2.odt", "another");
    pictures.fill(10).write("deep/er/cat.jpg", "a cat");
    let mut usb = host.drive("usb", Ext4).prepared_for("documents").prepared_for("pictures");
    let sync = |name: &str, source: &str| {
        let ends = format!("source = \"laptop:{source}\"\ndestination = \"usb:{name}\"\nsnapshots = \"hard-link\"\n");
        format!("[syncs.{name}]\n{ends}every = \"7d\"\n")
    };
    let config = host.config().drive(&usb).also(&sync("documents", "Documents")).also(&sync("pictures", "Pictures"));
    host.configure(&config);
    let bin = host.root.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_nbkpctl"), bin.join("nbkpctl")).unwrap();
    let daemon = host.start();
    usb.plug();
    host.run_ends("documents", 1, "ok");
    host.run_ends("pictures", 1, "ok");
    drop(daemon);
    // The first copy was made two days ago.
    let copies = usb.destination("documents");
    let made: jiff::Timestamp = copies.latest_name().parse().unwrap();
    let before = made - jiff::SignedDuration::from_hours(48);
    let before = format!("snapshots/{}", before.strftime("%Y-%m-%dT%H:%M:%S.000Z"));
    std::fs::rename(copies.latest().path, copies.root.join(&before)).unwrap();
    std::fs::remove_file(copies.root.join("latest")).unwrap();
    std::os::unix::fs::symlink(&before, copies.root.join("latest")).unwrap();
    let daemon = host.start();
    documents.write("letter.odt", "of today");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    let (all, seen) = (documents.content(), pictures.content());
    let drive = usb.point().to_str().unwrap().to_owned();

    documents.remove("letter.odt").remove("letter 2.odt").remove("folder-03/file-3");
    let told = followed(host, "A file", &drive);
    assert!(told[0].said.matches("documents").count() == 2, "both versions are shown: {}", told[0]);
    assert!(told[1].said.contains("letter 2.odt"), "{}", told[1]);
    assert_eq!(text_of(host.home().join("back/letter.odt")), "of two days ago");
    assert!(told[4].said.contains("would be restored") && told[4].said.contains("file-3"), "{}", told[4]);
    documents.holds(&all);

    std::fs::remove_dir_all(&documents.path).unwrap();
    std::fs::remove_dir_all(&pictures.path).unwrap();
    followed(host, "Everything, onto a new disk", &drive);
    let new = host.root.join("mnt/new");
    Folder::at(new.join("Documents")).holds(&all);
    Folder::at(new.join("Pictures")).holds(&seen);

    // Neither configuration nor state nor daemon.
    drop(daemon);
    let config = host.config_file();
    let (kept, state) = (host.root.join("kept"), host.root.join("kept-state"));
    std::fs::rename(&config, &kept).unwrap();
    std::fs::rename(host.state(), &state).unwrap();
    let told = followed(host, "Everything, from the drive alone", &drive);
    assert!(told[0].said.contains("documents") && told[0].said.contains("pictures"), "{}", told[0]);
    Folder::at(host.root.join("mnt/alone/Documents")).holds(&all);
    Folder::at(host.root.join("mnt/alone/Pictures")).holds(&seen);

    std::fs::rename(&kept, &config).unwrap();
    let told = followed(host, "What to check afterwards", &drive);
    assert!(!told[0].said.contains(">f"), "{}", told[0]);

    // The new disk becomes the home.
    let moved = text_of(&config).replace(&host.home().display().to_string(), new.to_str().unwrap());
    std::fs::write(&config, moved).unwrap();
    followed(host, "Going on from the new place", &drive);
    assert_eq!(copies.snapshots().len(), 3);
    copies.latest().is_like(&Folder::at(new.join("Documents")));
}
