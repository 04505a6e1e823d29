//! Any rule is a program that polkit's engine (Duktape) takes, and says yes to exactly what it names.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use nbkp::formats::polkit;
use nbkp::model::{AccountName, Action, DriveUuid, Gap, Permission};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Stands for polkitd: keeps the rules that a file adds, and asks them one after another.
const POLKITD: &str = r#"
var rules = [];
var polkit = { addRule: function (rule) { rules.push(rule); }, Result: { YES: "yes" } };
function decide(id, user, uuid) {
    var action = { id: id, lookup: function (key) { return key === "id.uuid" ? uuid : undefined; } };
    var answers = rules.map(function (rule) { return rule(action, { user: user }); });
    return answers.filter(function (answer) { return answer === polkit.Result.YES; }).length;
}
"#;

const ACTIONS: [Action; 4] = [Action::Mount, Action::MountOtherSeat, Action::Unlock, Action::UnlockOtherSeat];

/// Actions that no rule of ours may ever allow.
const OTHERS: [&str; 5] = [
    "org.freedesktop.udisks2.filesystem-mount-system",
    "org.freedesktop.udisks2.filesystem-unmount-others",
    "org.freedesktop.udisks2.encrypted-lock-others",
    "org.freedesktop.udisks2.modify-device",
    "org.freedesktop.udisks2.power-off-drive",
];

/// The UUIDs that drives are asked about; a rule names some of them.
const UUIDS: [&str; 6] = [
    "2d577679-a7b6-429d-8250-3d0d80e034df",
    "2d577679-a7b6-429d-8250-3d0d80e034de",
    "5e3f-1a2b",
    "01d9abcd01d9abcd",
    "00000000-0000-0000-0000-000000000000",
    "5e3f-1a2c",
];

fn any_permission() -> impl Strategy<Value = Permission> {
    let device = any::<String>().prop_map(|name| Gap::Locked("usb".parse().unwrap(), format!("/dev/{name}").into()));
    (
        proptest::sample::subsequence(UUIDS.to_vec(), 1..UUIDS.len()),
        proptest::sample::subsequence(ACTIONS.to_vec(), 1..=ACTIONS.len()),
        proptest::collection::vec(device, 0..2),
    )
        .prop_map(|(uuids, actions, gaps)| Permission {
            volumes: ["usb".parse().unwrap()].into(),
            uuids: uuids.iter().map(|uuid| uuid.parse().unwrap()).collect(),
            actions: actions.into_iter().collect(),
            gaps,
        })
}

#[test]
fn a_rule_says_yes_to_exactly_what_it_names() {
    if !Command::new("duk")
        .arg("-h")
        .output()
        .is_ok_and(|output| !output.stderr.is_empty() || !output.stdout.is_empty())
    {
        let why = "the rules were not run: there is no `duk` (Debian's package `duktape`)";
        assert!(!crate::required::all_must_run(), "{why}");
        println!("{why}");
        return;
    }
    let mut runner = TestRunner::default();
    let strategy = (any_permission(), "[A-Za-z0-9_][A-Za-z0-9._@-]{0,12}");
    let mut script = POLKITD.to_owned();
    let mut expected = Vec::new();
    for _ in 0..200 {
        let (permission, name) = strategy.new_tree(&mut runner).unwrap().current();
        let user: AccountName = name.parse().unwrap();
        let _ = writeln!(script, "rules = [];\n{}", polkit::rule(&user, &permission));
        let ids: BTreeSet<&str> = ACTIONS.iter().map(|action| action.id()).chain(OTHERS).collect();
        let allowed: BTreeSet<&str> = permission.actions.iter().map(|action| action.id()).collect();
        let named: BTreeSet<&str> = permission.uuids.iter().map(DriveUuid::as_str).collect();
        let mut yes = 0;
        let mut questions = String::new();
        for asking in [name.clone(), format!("{name}x"), "root".to_owned()] {
            for id in &ids {
                for uuid in UUIDS {
                    let question = format!("decide(\"{id}\", \"{asking}\", \"{}\")", uuid.to_uppercase());
                    let right = asking == name && allowed.contains(id) && named.contains(uuid);
                    yes += u32::from(right);
                    let _ = write!(questions, "if ({question} !== {}) wrong.push('{question}');", u8::from(right));
                }
                let _ = write!(questions, "if (decide(\"{id}\", \"{asking}\", undefined)) wrong.push('no uuid');");
            }
        }
        let _ =
            writeln!(script, "var wrong = []; {questions} print(rules.length + ' ' + wrong.length + ' ' + wrong[0]);");
        assert!(yes > 0);
        expected.push("1 0 undefined");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.js");
    std::fs::write(&file, script).unwrap();
    let output = Command::new("duk").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

proptest! {
    #[test]
    fn no_name_breaks_out_of_a_rule(name in prop_oneof![any::<String>(), "[a-z\"'\\\\\n/*@.-]{1,12}"]) {
        if let Ok(user) = name.parse::<AccountName>() {
            prop_assert!(!user.as_str().contains(|c: char| !c.is_ascii_alphanumeric() && !"._-@".contains(c)));
        }
    }
}
