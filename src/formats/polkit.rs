//! A rule for polkit, in its JavaScript (polkit(8)): the smallest that lets a user open certain drives.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::model::DriveUuid;

/// Which drives a rule is for, as udisks tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drives {
    /// Those that can be plugged in.
    Removable,
    /// Those that are built in, too.
    AllKinds,
}

/// Why a name is not put into a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of a user: letters, digits, `_`, `-` and `.`, at most 32, and a letter or `_` at the beginning"
)]
pub struct NoUser(String);

/// The actions of udisks: what a session at the machine may do anyway, and what one elsewhere (a service, ssh) may do
/// only by a rule. What undoes an opening of one's own needs none.
const ACTIONS: [&str; 4] = [
    "org.freedesktop.udisks2.filesystem-mount",
    "org.freedesktop.udisks2.filesystem-mount-other-seat",
    "org.freedesktop.udisks2.encrypted-unlock",
    "org.freedesktop.udisks2.encrypted-unlock-other-seat",
];

/// The same for what is built in.
const BUILT_IN: [&str; 2] =
    ["org.freedesktop.udisks2.filesystem-mount-system", "org.freedesktop.udisks2.encrypted-unlock-system"];

/// The rule. Nothing in it can end a text of JavaScript: UUIDs have digits and hyphens, and a name that has more than
/// letters, digits, `_`, `-` and `.` is refused.
pub fn rule(user: &str, uuids: &BTreeSet<DriveUuid>, drives: Drives) -> Result<String, NoUser> {
    if !is_name(user) {
        return Err(NoUser(user.to_owned()));
    }
    let mut actions = ACTIONS.to_vec();
    if drives == Drives::AllKinds {
        actions.extend(BUILT_IN);
    }
    let mut text = String::from("// Lets one user open these drives for backups, and no others.\n");
    list(&mut text, "drives", uuids.iter().map(DriveUuid::as_str));
    list(&mut text, "actions", actions.into_iter());
    let _ = write!(
        text,
        "polkit.addRule(function(action, subject) {{\n    \
             if (subject.user === \"{user}\" && actions.indexOf(action.id) >= 0\n            \
                 && drives.indexOf(action.lookup(\"id.uuid\")) >= 0) {{\n        \
                 return polkit.Result.YES;\n    \
             }}\n    \
             return polkit.Result.NOT_HANDLED;\n\
         }});\n"
    );
    Ok(format!("(function() {{\n{text}}})();\n"))
}

fn list<'a>(text: &mut String, name: &str, words: impl Iterator<Item = &'a str>) {
    let words: Vec<_> = words.map(|word| format!("    \"{word}\"")).collect();
    let _ = writeln!(text, "var {name} = [\n{}\n];", words.join(",\n"));
}

fn is_name(user: &str) -> bool {
    let beginning = user.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = user.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    beginning && rest && user.len() <= 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All texts of a rule in double quotes: there are no others.
    fn texts(rule: &str) -> Vec<&str> {
        rule.split('"').skip(1).step_by(2).collect()
    }

    #[test]
    fn a_rule_names_one_user_and_these_drives() {
        let uuids = ["2d577679-a7b6-429d-8250-3d0d80e034df", "5e3f-1a2b"].map(|uuid| uuid.parse().unwrap()).into();
        let rule = rule("ada", &uuids, Drives::Removable).unwrap();
        let mut expected = vec!["2d577679-a7b6-429d-8250-3d0d80e034df", "5e3f-1a2b"];
        expected.extend(ACTIONS);
        expected.extend(["ada", "id.uuid"]);
        assert_eq!(texts(&rule), expected);
    }

    #[test]
    fn without_drives_nothing_is_allowed() {
        assert_eq!(texts(&rule("ada", &BTreeSet::new(), Drives::AllKinds).unwrap()).len(), 8);
    }

    proptest! {
        #[test]
        fn whatever_is_put_in_stays_what_it_is(user in ".{0,40}", uuids in proptest::collection::btree_set("[0-9a-fA-F-]{1,36}", 0..9)) {
            let uuids: BTreeSet<DriveUuid> = uuids.iter().filter_map(|uuid| uuid.parse().ok()).collect();
            if let Ok(rule) = rule(&user, &uuids, Drives::Removable) {
                let texts = texts(&rule);
                prop_assert_eq!(texts.len(), uuids.len() + ACTIONS.len() + 2);
                let named: BTreeSet<&str> = texts[..uuids.len()].iter().copied().collect();
                prop_assert_eq!(named, uuids.iter().map(DriveUuid::as_str).collect());
                prop_assert_eq!(texts[texts.len() - 2], user);
                prop_assert!(!rule.contains('\\') && !rule.contains('\''));
            } else {
                prop_assert!(!is_name(&user));
            }
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        for user in ["", "a\"b", "-a", "a b", "a\n", "ä", "0day", &"x".repeat(33)] {
            assert!(rule(user, &BTreeSet::new(), Drives::Removable).is_err(), "{user:?}");
        }
    }
}
