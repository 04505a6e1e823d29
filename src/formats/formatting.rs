//! The commands that make a drive ready for backups, for a person to run. None of them is run here.

use std::fmt::Write as _;

use serde::Serialize;

use super::json;
use super::text::{printable, shell_words, size};
use crate::model::{Cipher, DiskContent, FormatWish, NewFilesystem};

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
    let mut steps = Vec::new();
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
    steps.push(step("Make the filesystem. It belongs to you.", &commands));
    steps.extend(comes_and_goes(wish, &device));
    steps.push(stays(wish, &device));
    steps
}

/// For a drive that is plugged in and out.
fn comes_and_goes(wish: &FormatWish, device: &str) -> Vec<FormatStep> {
    let label = &wish.label;
    let mut packages = vec!["udisks2"];
    if wish.cipher == Cipher::Luks {
        packages.push("libblockdev-crypto2");
    }
    if wish.filesystem == NewFilesystem::Btrfs {
        packages.push("udisks2-btrfs");
    }
    let install = format!("sudo apt install {}", packages.join(" "));
    let what = "If it comes and goes, nbkp opens it by udisks2 (the packages are called so on Debian 12).";
    let mut steps = vec![step(what, &[install])];
    if wish.filesystem == NewFilesystem::Btrfs {
        steps.push(FormatStep {
            what: "Old snapshots are then deleted at once; without it they are emptied file by file.".to_owned(),
            commands: Vec::new(),
            files: vec![StepFile { path: "/etc/udisks2/mount_options.conf".to_owned(), lines: UDISKS.to_owned() }],
        });
    }
    let uuid = match wish.cipher {
        Cipher::Luks => format!("$(sudo cryptsetup luksUUID {device})"),
        Cipher::Plain => format!("$(sudo blkid -s UUID -o value {device})"),
    };
    let mut commands = Vec::new();
    if wish.cipher == Cipher::Luks {
        commands.push(format!("secret-tool store --label='Backup drive {label}' service nbkp id {label}"));
    }
    let kind = match wish.filesystem {
        NewFilesystem::Btrfs => "btrfs",
        NewFilesystem::Ext4 => "hard-link",
    };
    commands.push(format!("nbkpctl init --yes --source ~/Documents --destination {uuid} --snapshots {kind}"));
    commands.push("nbkpctl drives polkit     # the rule for times when nobody is logged in".to_owned());
    steps.push(step("Give nbkp the passphrase and the drive.", &commands));
    if wish.cipher == Cipher::Plain
        && let Some(last) = steps.last_mut()
    {
        "Give nbkp the drive.".clone_into(&mut last.what);
    }
    steps
}

/// For a drive that is always in.
fn stays(wish: &FormatWish, device: &str) -> FormatStep {
    let label = &wish.label;
    let (kind, more) = match wish.filesystem {
        NewFilesystem::Btrfs => ("btrfs", "user_subvol_rm_allowed,"),
        NewFilesystem::Ext4 => ("ext4", ""),
    };
    let options = format!("{more}noatime,nofail,x-systemd.device-timeout=10s");
    let file = |path: &str, lines: String| StepFile { path: path.to_owned(), lines };
    let mut files = Vec::new();
    let mut what = format!(
        "Or, if it stays in, the system mounts it at each start, and starts without it, too (`nofail`): \
         `sudo mkdir -p /srv/{label}`, and `--destination /srv/{label}`."
    );
    let spec = match wish.cipher {
        Cipher::Plain => format!("LABEL={label}"),
        Cipher::Luks => {
            let _ = write!(
                what,
                " systemd-cryptsetup@{label}.service opens it: with `-` it asks for the passphrase at each start; in \
                 place of that the third word names a file with it (mode 600), or stands `tpm2-device=auto` among the \
                 options after `sudo systemd-cryptenroll --tpm2-device=auto {device}`."
            );
            files.push(file("/etc/crypttab", format!("{label} LABEL={label} - luks,nofail\n")));
            format!("/dev/mapper/{label}")
        }
    };
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
        for command in &step.commands {
            let _ = writeln!(page, "{command}");
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
        let wish = FormatWish { filesystem, label: "backup".into(), cipher };
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
