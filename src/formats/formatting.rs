//! The commands that make a drive ready for backups, for a person to run. None of them is run here.

use std::fmt::Write as _;

use serde::Serialize;

use super::json;
use super::text::{printable, shell_words, size};
use crate::model::{Cipher, DiskContent, FormatWish, NewFilesystem, Storing};

/// What udisks2 lets be mounted with by itself, and what deletes old snapshots at once.
const UDISKS: &str = "\
[defaults]
btrfs_defaults=user_subvol_rm_allowed
btrfs_allow=compress,compress-force,datacow,nodatacow,datasum,nodatasum,autodefrag,noautodefrag,degraded,device,\
discard,nodiscard,subvol,subvolid,space_cache,user_subvol_rm_allowed
";

/// How many columns a comment has.
const WIDTH: usize = 79;

/// One step, with why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FormatStep {
    /// What it is for.
    pub what: String,
    /// The commands of a shell.
    pub commands: Vec<String>,
    /// Lines for files.
    pub files: Vec<StepFile>,
}

/// Lines for a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepFile {
    /// The file.
    pub path: String,
    /// The lines.
    pub lines: String,
}

/// The steps, in their order.
#[must_use]
pub fn format_steps(disk: &DiskContent, wish: &FormatWish) -> Vec<FormatStep> {
    let device = word(&disk.stable.display().to_string());
    let label = &wish.label;
    let mut steps = vec![packages(wish)];
    if !disk.holds.is_empty() {
        steps.push(step("Forget what is on it. From here on it is lost.", &[format!("sudo wipefs --all {device}")]));
    }
    let (opened, close) = match wish.cipher {
        Cipher::Plain => (device.clone(), None),
        Cipher::Luks => {
            let commands = [
                format!("sudo cryptsetup luksFormat --type luks2 --label {label} {device}"),
                format!("sudo cryptsetup open {device} {label}"),
            ];
            steps.push(step("Encrypt it, and open it. You choose the passphrase.", &commands));
            (format!("/dev/mapper/{label}"), Some(format!("sudo cryptsetup close {label}")))
        }
    };
    let make = match wish.filesystem {
        NewFilesystem::Btrfs => format!("sudo mkfs.btrfs --label {label} {opened}"),
        NewFilesystem::Ext4 => format!("sudo mkfs.ext4 -m 0 -L {label} {opened}"),
    };
    let mut commands = vec![
        make,
        format!("sudo mount {opened} /mnt"),
        "sudo chown \"$(id -u):$(id -g)\" /mnt".to_owned(),
        "sudo umount /mnt".to_owned(),
    ];
    commands.extend(close);
    // Whoever asks next is told of what was just made.
    commands.push("sudo udevadm settle".to_owned());
    steps.push(step("Make the filesystem. It belongs to you.", &commands));
    let first = steps.len() + 1;
    steps.extend(comes_and_goes(wish, &device));
    steps.push(stays(wish, &device, first));
    steps
}

fn packages(wish: &FormatWish) -> FormatStep {
    let mut packages = vec!["udisks2"];
    match wish.filesystem {
        NewFilesystem::Btrfs => packages.extend(["btrfs-progs", "udisks2-btrfs"]),
        NewFilesystem::Ext4 => packages.push("e2fsprogs"),
    }
    if wish.cipher == Cipher::Luks {
        packages.extend(["cryptsetup", "libblockdev-crypto2"]);
        match wish.storing {
            Storing::Command(_) => packages.push("libsecret-tools"),
            Storing::Words(_) => {}
        }
    }
    step(
        "Install what it takes (the packages are called so on Debian 12): nbkp opens the drive by udisks2.",
        &[format!("sudo apt install {}", packages.join(" "))],
    )
}

/// For a drive that is plugged in and out. The passphrase comes first: `init` opens the drive with it.
fn comes_and_goes(wish: &FormatWish, device: &str) -> Vec<FormatStep> {
    let (volume, client) = (&wish.volume, &wish.client);
    let mut steps = Vec::new();
    if wish.filesystem == NewFilesystem::Btrfs {
        steps.push(FormatStep {
            what: "Old snapshots are deleted at once with this; without it they are emptied file by file.".to_owned(),
            commands: Vec::new(),
            files: vec![StepFile { path: "/etc/udisks2/mount_options.conf".to_owned(), lines: UDISKS.to_owned() }],
        });
    }
    let uuid = match wish.cipher {
        Cipher::Luks => format!("\"$(sudo cryptsetup luksUUID {device})\""),
        Cipher::Plain => format!("\"$(sudo blkid -s UUID -o value {device})\""),
    };
    if wish.cipher == Cipher::Luks {
        let what = format!("Store the passphrase under the name that the drive gets in the next step, `{volume}`.");
        steps.push(match &wish.storing {
            Storing::Command(command) => step(&what, std::slice::from_ref(command)),
            Storing::Words(words) => step(&format!("{what} That is: {words}."), &[]),
        });
    }
    let kind = match wish.filesystem {
        NewFilesystem::Btrfs => "btrfs",
        NewFilesystem::Ext4 => "hard-link",
    };
    let what = "Give nbkp the drive; name what it is to keep in place of the directory here.";
    let source = &wish.source;
    let init = format!("{client} init --yes --source {source} --destination {uuid} --snapshots {kind}");
    steps.push(step(what, &[init]));
    let rule = format!("{client} drives polkit");
    steps.push(step("See the rule by which nbkpd may open it while nobody is logged in.", &[rule]));
    steps
}

/// For a drive that is always in, in place of the steps from this one on.
fn stays(wish: &FormatWish, device: &str, first: usize) -> FormatStep {
    let (label, client, source) = (&wish.label, &wish.client, &wish.source);
    let (kind, more) = match wish.filesystem {
        NewFilesystem::Btrfs => ("btrfs", "user_subvol_rm_allowed,"),
        NewFilesystem::Ext4 => ("ext4", ""),
    };
    let options = format!("{more}noatime,nofail,x-systemd.device-timeout=10s");
    let file = |path: &str, lines: String| StepFile { path: path.to_owned(), lines };
    let mut files = Vec::new();
    let (spec, open, passphrase) = match wish.cipher {
        Cipher::Plain => (format!("LABEL={label}"), String::new(), String::new()),
        Cipher::Luks => {
            files.push(file("/etc/crypttab", format!("{label} LABEL={label} - luks,nofail\n")));
            // systemd-escape(1): these are all that a label can have of what is to be escaped.
            let unit = format!("systemd-cryptsetup@{}.service", label.replace('-', r"\x2d"));
            let passphrase = format!(
                " {unit} opens it: with `-` it asks for the passphrase at each start; in place of that the third word \
                 names a file with it (mode 600), or stands `tpm2-device=auto` among the options after `sudo \
                 systemd-cryptenroll --tpm2-device=auto {device}`."
            );
            (format!("/dev/mapper/{label}"), format!("`sudo systemctl start '{unit}'`, "), passphrase)
        }
    };
    let what = format!(
        "Or, if it stays in, in place of all from step {first} on: the system mounts it at each start, and starts \
         without it, too (`nofail`). First `sudo mkdir -p /srv/{label}`, and these lines; then `sudo systemctl \
         daemon-reload`, {open}`sudo mount /srv/{label}`, and `{client} init --yes --source {source} --destination \
         /srv/{label}`.{passphrase}"
    );
    files.push(file("/etc/fstab", format!("{spec} /srv/{label} {kind} {options} 0 0\n")));
    FormatStep { what, commands: Vec::new(), files }
}

/// All as a page of a shell, in which what is no command is a comment.
#[must_use]
pub fn format_page(disk: &DiskContent, steps: &[FormatStep]) -> String {
    let mut page = String::from("# Nothing was run: these commands are for you, one step after the other.\n");
    let hardware = disk.hardware.as_deref().map(|text| format!(", {}", printable(text))).unwrap_or_default();
    let _ = writeln!(page, "# {}: {}{hardware}", disk.node.display(), size(disk.size));
    for held in &disk.holds {
        let _ = writeln!(page, "# IT HOLDS {}: ALL OF THAT WILL BE LOST.", printable(held));
    }
    for (number, step) in (1..).zip(steps) {
        let _ = writeln!(page, "\n{}", commented(&format!("{number}. {}", step.what)));
        // Joined, a step that is pasted as a whole ends where a command fails, and none reads the next one as an
        // answer.
        if !step.commands.is_empty() {
            let _ = writeln!(page, "{}", step.commands.join(" &&\n"));
        }
        for file in &step.files {
            let _ = writeln!(page, "# Into {}:", file.path);
            for line in file.lines.lines() {
                let _ = writeln!(page, "#     {line}");
            }
        }
    }
    page
}

/// A sentence as lines of a comment that fit on a screen.
fn commented(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line == "#" || line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n")
}

/// The same for programs.
#[must_use]
pub fn format_json(disk: &DiskContent, steps: &[FormatStep]) -> String {
    json::text(&FormatPlan {
        device: disk.node.display().to_string(),
        stable: disk.stable.display().to_string(),
        size: disk.size,
        holds: &disk.holds,
        steps,
    })
}

#[derive(Serialize)]
struct FormatPlan<'a> {
    device: String,
    stable: String,
    size: u64,
    holds: &'a [String],
    steps: &'a [FormatStep],
}

fn step(what: &str, commands: &[String]) -> FormatStep {
    FormatStep { what: what.to_owned(), commands: commands.to_vec(), files: Vec::new() }
}

fn word(text: &str) -> String {
    shell_words(&[text.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(holds: &[&str]) -> DiskContent {
        DiskContent {
            node: "/dev/sdb1".into(),
            stable: "/dev/disk/by-id/usb-A B-part1".into(),
            size: 1 << 40,
            hardware: Some("A\u{1b}B".into()),
            holds: holds.iter().map(|held| (*held).to_owned()).collect(),
            uses: Vec::new(),
        }
    }

    fn page(holds: &[&str], filesystem: NewFilesystem, cipher: Cipher) -> String {
        let disk = disk(holds);
        let wish = FormatWish {
            filesystem,
            label: "backup".into(),
            cipher,
            volume: "backup-2".into(),
            storing: Storing::Command("secret-tool store service nbkp id backup-2".into()),
            source: "~".into(),
            client: "nbkpctl".into(),
        };
        format_page(&disk, &format_steps(&disk, &wish))
    }

    #[test]
    fn an_encrypted_drive_is_made_from_the_outside_in() {
        let page = page(&[], NewFilesystem::Btrfs, Cipher::Luks);
        let at = |words: &str| page.find(words).unwrap_or_else(|| panic!("no {words} in\n{page}"));
        assert!(at("luksFormat --type luks2 --label backup '/dev/disk/by-id/usb-A B-part1'") < at("cryptsetup open"));
        assert!(at("cryptsetup open") < at("mkfs.btrfs --label backup /dev/mapper/backup"));
        assert!(at("umount /mnt") < at("cryptsetup close backup"));
        at("/dev/mapper/backup /srv/backup btrfs user_subvol_rm_allowed,noatime,nofail");
        at("backup LABEL=backup - luks,nofail");
        at("udisks2-btrfs");
        assert!(at("apt install") < at("luksFormat") && at("cryptsetup close") < at("secret-tool store"));
        assert!(at("`backup-2`") < at("id backup-2") && at("id backup-2") < at("nbkpctl init --yes"));
        assert!(at("nbkpctl init --yes") < at("nbkpctl drives polkit"));
        assert!(!page.contains("wipefs") && !page.contains("HOLDS") && !page.contains('\u{1b}'), "{page}");
    }

    #[test]
    fn what_is_on_it_is_told_before_anything_else() {
        let page = page(&["ext4 `old`"], NewFilesystem::Ext4, Cipher::Plain);
        let at = |words: &str| page.find(words).unwrap_or_else(|| panic!("no {words} in\n{page}"));
        assert!(at("IT HOLDS ext4 `old`: ALL OF THAT WILL BE LOST") < at("sudo wipefs --all"), "{page}");
        assert!(at("wipefs") < at("mkfs.ext4 -m 0 -L backup"));
        assert!(!page.contains("cryptsetup") && !page.contains("crypttab") && !page.contains("btrfs"), "{page}");
        at("LABEL=backup /srv/backup ext4 noatime,nofail");
    }

    #[test]
    fn what_is_no_command_is_a_comment() {
        let page = page(&["x"], NewFilesystem::Btrfs, Cipher::Luks);
        for line in page.lines().filter(|line| !line.is_empty()) {
            let is_command = ["sudo ", "nbkpctl ", "secret-tool "].iter().any(|word| line.starts_with(word));
            assert!(is_command || line.starts_with('#'), "{line}");
        }
    }
}
