//! Rules for polkit (polkit(8), "Authorization rules"): a program in JavaScript that root's polkitd runs.
//!
//! Nothing gets into it but names and UUIDs whose grammar leaves no quote, no backslash and no line break.

use std::fmt::Write as _;

use serde::Serialize;

use crate::formats::json;
use crate::model::{AccountName, DriveUuid, Permission, VolumeName};

/// The rule that gives this permission to an account, and nothing else to anybody.
///
/// Each file of rules shares its names with all others, so this one declares none. udisks2 writes the UUIDs of FAT and
/// NTFS in capitals.
#[must_use]
pub fn rule(user: &AccountName, permission: &Permission) -> String {
    let volumes: Vec<_> = permission.volumes.iter().map(VolumeName::as_str).collect();
    let mut text = format!(
        "// Lets {user} mount and unlock these drives while no session of theirs is active: {}.\n\
         // Made by `nbkpctl drives polkit`. It belongs into /etc/polkit-1/rules.d/60-nbkp-{user}.rules, owned by \
         root and\n\
         // readable for all; polkitd reads it at once. Make it again when a drive is added or formatted.\n",
        volumes.join(", ")
    );
    for gap in &permission.gaps {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "// Note: {}.", gap.to_string().escape_default());
    }
    let _ = write!(
        text,
        "polkit.addRule(function (action, subject) {{\n\
         \x20   var actions = [\n{}    ];\n\
         \x20   var uuids = [\n{}    ];\n\
         \x20   var uuid = String(action.lookup(\"id.uuid\") || \"\").toLowerCase();\n\
         \x20   if (subject.user === \"{user}\" && actions.indexOf(action.id) >= 0 && uuids.indexOf(uuid) >= 0) {{\n\
         \x20       return polkit.Result.YES;\n\
         \x20   }}\n\
         }});\n",
        lines(permission.actions.iter().map(|action| action.id())),
        lines(permission.uuids.iter().map(DriveUuid::as_str)),
    );
    text
}

fn lines<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("        \"{word}\"")).collect::<Vec<_>>().join(",\n") + "\n"
}

/// The rule and what it is made of, as JSON. Where nothing has to be allowed, the rule is empty.
#[must_use]
pub fn json(user: &str, permission: &Permission, rule: &str) -> String {
    let answer = Answer {
        user,
        uuids: permission.uuids.iter().map(DriveUuid::as_str).collect(),
        actions: permission.actions.iter().map(|action| action.id()).collect(),
        rule,
        notes: permission.gaps.iter().map(ToString::to_string).collect(),
    };
    json::text(&answer)
}

#[derive(Serialize)]
struct Answer<'a> {
    user: &'a str,
    uuids: Vec<&'a str>,
    actions: Vec<&'static str>,
    rule: &'a str,
    notes: Vec<String>,
}
