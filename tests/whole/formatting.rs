//! The page of `nbkpctl drives format`: its commands, typed one after the other.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::bus::{bus, system_bus};
use crate::common::drive::Drive;
use crate::common::drive::Filesystem::Ext4;
use crate::common::mini_host::MiniHost;
use crate::common::{attempt, run, text_of};
use crate::keyring::keyring;
use crate::scenarios::init::plain_folder;
use crate::storage::udisks;

/// Puts a program in front of that of the machine.
fn stands_in(host: &MiniHost, name: &str, script: &str) {
    let program = host.root.join("bin").join(name);
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Our client by its name; as root nobody needs `sudo`; and what is to be installed is there.
fn ground(host: &MiniHost) {
    stands_in(host, "sudo", "exec \"$@\"");
    stands_in(host, "apt", "echo \"$*\" >>\"$HOME/installed\"");
    stands_in(host, "nbkpctl", &format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_nbkpctl")));
}

/// Types the whole page, and whatever is asked for on the way; the exit code.
fn pasted(host: &MiniHost, page: &str, answers: &str) -> (Option<i32>, String) {
    let mut command = host.command("sh", "nbkpd");
    command.args(["-ec", page]).env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={SESSION}"));
    let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

const SESSION: &str = "/run/bus";

fn points(drive: &Drive) -> String {
    let listed = attempt("findmnt", &[&"--noheadings", &"--output", &"TARGET", &"--source", &drive.device()]);
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

fn blkid(drive: &Drive, tag: &str) -> String {
    run("blkid", &[&"-p", &"-s", &tag, &"-o", &"value", &drive.device()])
}

pub fn the_printed_commands_make_a_drive(host: &MiniHost) {
    let (_bus, _udisks) = (system_bus(), udisks());
    ground(host);
    plain_folder(host, "Documents");
    for words in [&["drives", "format", "/etc/hostname", "--print"], &["drives", "format", "/dev/none", "--print"]] {
        host.ctl(words).exits(2);
    }
    let mut usb = host.drive("old", Ext4);
    usb.plug();
    let device = usb.device().display().to_string();
    let plain = ["drives", "format", &device, "--print", "--plain", "--label", "fresh"];
    host.ctl(&plain).exits(2).says("is mounted at /run/media/old");
    usb.unmount();
    host.ctl(&["drives", "format", &device]).exits(2).says("--print");
    host.ctl(&["drives", "format", &device, "--print"]).exits(0).says("cryptsetup luksFormat").says("crypttab");
    let told = host.ctl(&[&plain[..], &["--json"]].concat()).exits(0).json();
    assert_eq!(told["holds"][0], "ext4 `old`");
    // What is named from here is found from anywhere; what the next command knows by itself is not said.
    let elsewhere = host.ctl(&[&["--config", "other.toml"][..], &plain].concat()).exits(0).said;
    assert!(elsewhere.contains("nbkpctl --config /other.toml init --yes"), "{elsewhere}");
    let own = host.config_file();
    let known = host.ctl(&[&["--config", own.to_str().unwrap()][..], &plain].concat()).exits(0).said;
    assert!(known.contains("nbkpctl init --yes"), "{known}");
    assert_eq!(blkid(&usb, "LABEL"), "old", "nothing was run");
    let page = host.ctl(&plain).exits(0).says("IT HOLDS ext4 `old`: ALL OF THAT WILL BE LOST.").said;
    let (code, said) = pasted(host, &page, "");
    assert_eq!(code, Some(0), "{page}\n{said}");
    assert_eq!((blkid(&usb, "LABEL"), blkid(&usb, "TYPE")), ("fresh".to_owned(), "btrfs".to_owned()));
    assert!(text_of(host.home().join("installed")).contains("udisks2-btrfs"));
    assert!(text_of(host.config_file()).contains("[volumes.fresh]"), "{said}");
    // It says how it leaves the drive.
    assert!(said.contains("`fresh` was opened for this, and stays open"), "{said}");
    assert!(!points(&usb).is_empty(), "{said}");
    host.ctl(&["run", "documents", "--wait"]).exits(0);
    host.ctl(&["snapshots", "documents"]).exits(0);
}

pub fn the_printed_commands_make_an_encrypted_drive(host: &MiniHost) {
    let (_bus, _udisks, _session) = (system_bus(), udisks(), bus("session", SESSION));
    let _keyring = keyring("the password of the login", SESSION);
    ground(host);
    // This kernel has no device-mapper: what is in the container is another device, which nobody gets a name for
    // without the passphrase.
    let mut inside = host.drive("inside", Ext4);
    inside.attach();
    run("mount", &[&"-t", &"tmpfs", &"tmpfs", &"/dev/mapper"]);
    let clear = inside.device();
    let cryptsetup = format!(
        "case $1 in\n\
         luksFormat) IFS= read -r key; shift\n\
         printf %s \"$key\" >\"$HOME/key\"\n\
         set -- --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \"$@\" \"$HOME/key\"\n\
         exec /usr/sbin/cryptsetup luksFormat \"$@\" ;;\n\
         open) /usr/sbin/cryptsetup open --test-passphrase --key-file \"$HOME/key\" \"$2\" || exit\n\
         wipefs -qa {0}; ln -s {0} \"/dev/mapper/$3\" ;;\n\
         close) rm \"/dev/mapper/$2\" ;;\n\
         *) exec /usr/sbin/cryptsetup \"$@\" ;;\nesac",
        clear.display()
    );
    stands_in(host, "cryptsetup", &cryptsetup);
    let mut usb = host.drive("old", Ext4);
    usb.attach();
    // The name is taken, so that the drive gets another one.
    host.configure_with("[volumes.backup]\npath = \"/srv/backup\"\n");
    let device = usb.device().display().to_string();
    let page = host.ctl(&["drives", "format", &device, "--print"]).exits(0).says("id backup-2").said;
    let (code, said) = pasted(host, &page, "the passphrase\nthe passphrase");
    // Whoever has no device-mapper unlocks nothing; but udisks was handed what is in the keyring.
    assert_eq!(code, Some(1), "{page}\n{said}");
    assert!(said.contains("could not unlock it"), "{page}\n{said}");
    assert_eq!((blkid(&usb, "LABEL"), blkid(&usb, "TYPE")), ("backup".to_owned(), "crypto_LUKS".to_owned()));
    assert_eq!((blkid(&inside, "LABEL"), blkid(&inside, "TYPE")), ("backup".to_owned(), "btrfs".to_owned()));
    let file = text_of(host.config_file());
    assert!(file.contains(&format!("[volumes.backup-2]\ndrive = \"{}\"", blkid(&usb, "UUID"))), "{file}");
    assert!(file.contains("passphrase = \"backup-2\"") && file.contains("[syncs.home]"), "{file}");
    assert!(text_of(host.home().join("installed")).contains("libsecret-tools"));
}
