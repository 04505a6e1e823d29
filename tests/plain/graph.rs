//! `graph`, as the built program draws it, read by the real Graphviz and by a strict reader of Mermaid.

use std::collections::BTreeSet;
use std::process::Command;

use crate::room::Room;

const FLOW: &str = r#"
[volumes.laptop]
path = "/home/a \"quoted\" #1 `x` <b> %%"
[volumes.blue]
drive = "2d577679-a7b6-429d-8250-3d0d80e034df"
[volumes.red]
drive = "11111111-a7b6-429d-8250-3d0d80e034df"
[volumes.spare]
path = "/srv/spare"
[ssh-endpoints.lan]
host = "nas"
[volumes.nas]
ssh = ["lan"]
path = "/srv/backups"
[groups.offsite]
volumes = ["blue", "red"]
[syncs.documents]
source = "laptop:Documents"
destination = "offsite:documents"
snapshots = "hard-link"
[syncs.relay]
source = "blue:documents"
destination = "nas:documents"
[syncs.photos]
source = "laptop:Pictures"
destination = "blue:photos"
enabled = false
after = ["documents"]
"#;

const TREE: &str = r#"laptop (directory /home/a "quoted" #1 `x` <b> %%)
├─ documents@blue: laptop:Documents -> blue:documents, hard-link snapshots
│  └─ relay: blue:documents -> nas:documents, no snapshots
├─ documents@red: laptop:Documents -> red:documents, hard-link snapshots
└─ photos: laptop:Pictures -> blue:photos, no snapshots, after `documents@blue` and `documents@red` (disabled)
in no sync:
  spare (directory /srv/spare)
"#;

#[test]
fn people_see_a_tree() {
    let room = Room::configured(FLOW);
    assert_eq!(room.said(&["graph"]), TREE);
}

#[test]
fn a_circle_of_volumes_is_no_circle_of_syncs() {
    let room = Room::configured(
        "[volumes.a]\npath = \"/a\"\n[volumes.b]\npath = \"/b\"\n[syncs.to]\nsource = \"a:x\"\ndestination = \"b:x\"\n\
         [syncs.fro]\nsource = \"b:y\"\ndestination = \"a:y\"\n[syncs.on]\nsource = \"b:x\"\ndestination = \"a:z\"\n",
    );
    let tree = room.said(&["graph", "--format", "tree"]);
    let places = tree.lines().map(|line| line.trim_start_matches(['├', '─', '└', '│', ' ']));
    let names: Vec<_> = places.filter_map(|line| line.split_once([':', ' '])).map(|(name, _)| name).collect();
    assert_eq!(names, ["b", "fro", "a", "to", "on"], "{tree}");
}

/// The real Graphviz, told to write what it understood.
#[test]
fn graphviz_reads_what_is_for_it() {
    let room = Room::configured(FLOW);
    let file = room.path("flow.dot");
    std::fs::write(&file, room.said(&["graph", "--format", "dot"])).unwrap();
    let Ok(output) = Command::new("dot").arg("-Tdot_json").arg(&file).output() else {
        assert!(!crate::required::all_must_run(), "the program `dot` is missing: apt install graphviz");
        println!("skipped: the program `dot` is missing: apt install graphviz");
        return;
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |list: &str, key: &str| -> Vec<String> {
        let entries = read[list].as_array().unwrap().iter();
        entries.filter_map(|entry| entry[key].as_str()).map(str::to_owned).collect()
    };
    let labels = of("objects", "label");
    assert!(labels.iter().any(|label| label == r#"laptop\ndirectory /home/a "quoted" #1 `x` <b> %%"#), "{labels:?}");
    assert!(labels.iter().any(|label| label == r"photos\nno snapshots\ndisabled"), "{labels:?}");
    assert_eq!(labels.len(), 5 + 4);
    // Two arrows for each sync, and the two for which `photos` waits.
    let styles = of("edges", "style");
    let count = |wanted: &str| styles.iter().filter(|style| *style == wanted).count();
    assert_eq!((count("solid"), count("dashed"), count("dotted")), (6, 2, 2));
}

#[test]
fn mermaid_gets_nothing_but_what_it_reads() {
    let room = Room::configured(FLOW);
    let text = room.said(&["graph", "--format", "mermaid"]);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("flowchart LR"));
    let (mut nodes, mut linked) = (BTreeSet::new(), BTreeSet::new());
    let mut arrows = 0;
    for line in lines {
        let line = line.strip_prefix("    ").unwrap();
        // What stands between quotes holds no sign that means something to Mermaid but `#…;` and `<br/>`.
        let quoted: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        for text in &quoted {
            let plain = text.replace("<br/>", "");
            assert!(plain.chars().all(|c| c.is_alphanumeric() || " ._-/:,#;".contains(c)), "{line}");
            assert!(
                plain.split('#').skip(1).all(|code| code.split_once(';').unwrap().0.parse::<u32>().is_ok()),
                "{line}"
            );
        }
        let bare: String = line.split('"').step_by(2).collect::<Vec<_>>().join("T");
        let words: Vec<_> = bare.split(' ').collect();
        match words.as_slice() {
            [node] if node.ends_with("[(T)]") || node.ends_with("[T]") => {
                assert!(nodes.insert(node.split('[').next().unwrap().to_owned()), "{line}");
            }
            [from, "-->" | "-.->" | "-->|T|" | "-.->|T|", to] | [from, "-.", "T", ".->", to] => {
                arrows += 1;
                linked.extend([(*from).to_owned(), (*to).to_owned()]);
            }
            ["class", node, "disabled"] => assert!(nodes.contains(*node), "{line}"),
            ["classDef", "disabled", ..] => {}
            _ => panic!("{line:?} is nothing that Mermaid reads"),
        }
    }
    assert_eq!((nodes.len(), arrows), (5 + 4, 8 + 2));
    assert!(linked.is_subset(&nodes), "{linked:?}");
    assert!(text.contains("laptop<br/>directory /home/a #34;quoted#34; #35;1 #96;x#96; #60;b#62; #37;#37;"), "{text}");
}

#[test]
fn programs_get_what_list_tells_and_the_order() {
    let room = Room::configured(FLOW);
    let drawn: serde_json::Value = serde_json::from_str(&room.said(&["graph", "--json"])).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&room.said(&["list", "--json"])).unwrap();
    for key in ["volumes", "groups", "locations"] {
        assert_eq!(drawn[key], listed[key], "{key}");
    }
    for (drawn, listed) in drawn["syncs"].as_array().unwrap().iter().zip(listed["syncs"].as_array().unwrap()) {
        let mut without = drawn.clone();
        without.as_object_mut().unwrap().remove("after").unwrap();
        assert_eq!(without, *listed);
    }
    assert_eq!(drawn["syncs"][3]["after"], serde_json::json!(["documents@blue"]));
    assert_eq!(drawn["order"], serde_json::json!(["documents@blue", "documents@red", "photos", "relay"]));
}

#[test]
fn a_wrong_configuration_is_told_and_nothing_is_drawn() {
    let room = Room::configured("[syncs.x]\nsource = \"a\"\ndestination = \"b\"\n");
    let answer = room.ask(&["graph"]);
    assert_eq!((answer.code, answer.said.as_str()), (2, ""));
    assert!(answer.complained.contains("no volume `a`") || answer.complained.contains("`a`"), "{answer:?}");
}
