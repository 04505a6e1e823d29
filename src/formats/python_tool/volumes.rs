//! Volumes, and where passphrases come from.

use toml::Value;

use crate::formats::config::quoted;
use crate::formats::python_tool::endpoints::{Endpoints, strangers};
use crate::formats::python_tool::page::Leaf;
use crate::formats::python_tool::reading::{Section, Written, YamlMistakes, in_short};

const KEYS: [&str; 6] = ["type", "path", "mount", "ssh-endpoint", "ssh-endpoints", "slug"];

/// What earlier versions of the Python tool asked about a mount, which udisks knows by itself.
const NOT_NEEDED: [&str; 2] = ["strategy", "mapper-name"];

/// The table of one volume.
pub(super) fn leaf(findings: &mut YamlMistakes, name: &str, volume: &Section<'_>, endpoints: &Endpoints<'_>) -> Leaf {
    let mut leaf = Leaf::new(format!("volumes.{name}"));
    let whose = format!("the volume `{name}`");
    let is_remote = match volume.needed(findings, "type", &whose) {
        Some(Written { text: "remote", .. }) => true,
        Some(Written { text: "local", .. }) | None => false,
        Some(Written { text, at }) => {
            findings.note(&at, format!("{} is no type of a volume", quoted(text)), "it is `local` or `remote`");
            return leaf;
        }
    };
    if is_remote {
        leaf.key("ssh", ways(findings, &whose, volume, endpoints));
    }
    let path = volume.text(findings, "path");
    if volume.get("mount").is_some() {
        let mount = volume.section(findings, "mount");
        drive(findings, &whose, &mount, &mut leaf);
        if let Some(path) = path {
            let reason =
                "the drive is known by its UUID and used where it is mounted: by fstab, if it has a line there";
            leaf.leave_out(format!("path: {}", quoted(path.text).trim_matches('`')), reason);
        }
    } else if let Some(path) = path {
        leaf.key("path", path.text);
    } else if volume.get("path").is_none() {
        let help = "write `path: …`; a `~` alone is nothing in YAML, and needs quotes";
        findings.note(&volume.at, format!("{whose} has no `path`"), help);
    }
    strangers(volume, &KEYS, &mut leaf);
    leaf
}

/// The ways to a server, best first. The primary one is what the Python tool falls back to.
fn ways(findings: &mut YamlMistakes, whose: &str, volume: &Section<'_>, endpoints: &Endpoints<'_>) -> Value {
    let primary = volume.needed(findings, "ssh-endpoint", whose);
    let mut ways: Vec<&str> = Vec::new();
    for way in volume.texts(findings, "ssh-endpoints").unwrap_or_default().into_iter().chain(primary) {
        if findings.known(&way, "ssh endpoint", endpoints.keys().copied()) && !ways.contains(&way.text) {
            ways.push(way.text);
        }
    }
    Value::Array(ways.into_iter().map(Value::from).collect())
}

fn drive(findings: &mut YamlMistakes, whose: &str, mount: &Section<'_>, leaf: &mut Leaf) {
    if let Some(uuid) = mount.needed(findings, "device-uuid", whose) {
        leaf.key("drive", uuid.text);
    }
    leaf.key("mount", true);
    let is_encrypted = mount.get("encryption").is_some();
    if is_encrypted {
        let encryption = mount.section(findings, "encryption");
        if let Some(Written { text, at }) = encryption.text(findings, "type").filter(|kind| kind.text != "luks") {
            findings.note(&at, format!("{} is no encryption", quoted(text)), "it is `luks`");
        }
        if let Some(id) = encryption.needed(findings, "passphrase-id", "`encryption`") {
            leaf.key("passphrase", id.text);
        }
        not_needed(&encryption, leaf);
        strangers(&encryption, &["type", "passphrase-id", NOT_NEEDED[0], NOT_NEEDED[1]], leaf);
    }
    // As the Python tool does behind each run.
    leaf.key("when-done", if is_encrypted { "lock" } else { "unmount" });
    not_needed(mount, leaf);
    strangers(mount, &["device-uuid", "encryption", NOT_NEEDED[0], NOT_NEEDED[1]], leaf);
}

fn not_needed(section: &Section<'_>, leaf: &mut Leaf) {
    for key in NOT_NEEDED {
        if let Some(node) = section.get(key) {
            leaf.leave_out(format!("{key}: {}", in_short(&node.value)), "udisks knows it by itself");
        }
    }
}

/// Where passphrases come from, if the file says so or needs any.
pub(super) fn credentials(findings: &mut YamlMistakes, file: &Section<'_>, passphrases: &[String]) -> Option<Leaf> {
    let mut leaf = Leaf::new("credentials");
    let provider = file.text(findings, "credential-provider");
    let command = file.texts(findings, "credential-command");
    if provider.is_none() && command.is_none() && passphrases.is_empty() {
        return None;
    }
    match provider.as_ref().map_or("keyring", |provider| provider.text) {
        "keyring" => {
            leaf.key("provider", "secret-service");
            if !passphrases.is_empty() {
                leaf.remark(
                    "The Python tool's entries in the keyring have other attributes. This copies one to where nbkp \
                     looks, without showing it:",
                );
            }
            for id in passphrases {
                leaf.remark(format!("secret-tool lookup service nbkp username {id} \\"));
                leaf.remark(format!("| secret-tool store --label=nbkp service nbkp id {id}"));
            }
        }
        "prompt" => {
            leaf.key("provider", "secret-service");
            leaf.leave_out("credential-provider: prompt", "nbkpd never asks; store each passphrase in the keyring");
            for id in passphrases {
                leaf.remark(format!("secret-tool store --label=nbkp service nbkp id {id}"));
            }
        }
        "env" => {
            leaf.key("provider", "env");
            leaf.remark("The variables are called NBKP_CREDENTIAL_ID here, not NBKP_PASSPHRASE_ID.");
        }
        "command" => {
            leaf.key("provider", "command");
            if command.is_none() {
                let help = "write credential-command: [\"pass\", \"show\", \"nbkp/{id}\"]";
                findings.note(&file.at, "the credential provider `command` has no `credential-command`", help);
            }
        }
        other => {
            let at = provider.as_ref().map_or_else(|| file.at.clone(), |provider| provider.at.clone());
            let message = format!("{} is no credential provider", quoted(other));
            findings.note(&at, message, "it is `keyring`, `prompt`, `env` or `command`");
        }
    }
    if let Some(command) = command {
        leaf.key("command", Value::Array(command.iter().map(|word| word.text.into()).collect()));
    }
    Some(leaf)
}
