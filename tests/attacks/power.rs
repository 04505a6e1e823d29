//! Programs and devices that another user, who is root at home, brings on a drive.

use crate::ground::Ground;

/// Gives a file a capability (`capabilities(7)`), as `setcap` does.
const SET: &str =
    "import os; os.setxattr(\"usb/able\", \"security.capability\", bytes([1, 0, 0, 2, 0, 32] + 14 * [0]))";

/// Whether a file has one.
const GET: &str = "import os, sys; sys.exit(\"security.capability\" not in os.listxattr(sys.argv[1]))";

/// A drive with a program that runs as root, one of a group, a memory device and capabilities, mounted with these
/// options; and a place for its copies, of this mode, on a mount that honours all. Then a run of each kind twice, and
/// what is in the copies.
fn copies(options: &str, mode: &str) -> Option<String> {
    let ground = Ground::new()?;
    let here = ground.path("");
    let here = here.display();
    let sync = |name: &str, kind: &str| {
        format!(
            "[syncs.{name}]\nsource = \"usb\"\ndestination = \"copies:{name}\"\nsnapshots = \"{kind}\"\n\
             rsync = {{ extra-options = [\"--xattrs\"] }}\n"
        )
    };
    ground.configure(&format!(
        "[volumes.usb]\npath = \"{here}/usb\"\n[volumes.copies]\npath = \"{here}/around/copies\"\n{}{}",
        sync("mirror", "none"),
        sync("links", "hard-link")
    ));
    Some(ground.script(&format!(
        "mkdir usb around; mount -t tmpfs -o {options} tmpfs usb; mount -t tmpfs -o suid,dev tmpfs around
        mkdir -m {mode} around/copies; chmod {mode} around; chmod 755 usb
        cp /usr/bin/true usb/root; chmod 4755 usb/root; cp usb/root usb/group; chmod 2755 usb/group
        cp usb/root usb/able; python3 -c '{SET}'
        mknod -m 666 usb/memory c 1 1; mkdir -m 2775 usb/shared
        nbkpctl prepare mirror links; nbkpctl run mirror links; nbkpctl run mirror links; cd around/copies
        for copy in mirror links/latest; do
            find $copy/ -maxdepth 1 \\( -perm /6000 -o -type c \\) -printf \"$copy %f %m\\n\"
            python3 -c '{GET}' $copy/able && echo $copy able
        done; true"
    )))
}

#[test]
fn what_a_mount_forbids_does_not_come_by_a_copy_to_where_it_counts() {
    let told = "gets no set-user-ID bits";
    let kept = ["root 4755", "group 2755", "memory 666", "able"];
    // From where it counts, it is a backup of it. A directory of a group is that everywhere.
    let Some(said) = copies("suid,dev", "755") else { return };
    assert!(!said.contains(told), "{said}");
    for copy in ["mirror", "links/latest"] {
        for what in kept.iter().chain(&["shared 2775"]) {
            assert!(said.contains(&format!("{copy} {what}")), "{what}: {said}");
        }
    }
    for options in ["nosuid,nodev", "nosuid,dev", "suid,nodev"] {
        let said = copies(options, "755").unwrap();
        assert!(said.contains(told), "{said}");
        for copy in ["mirror", "links/latest"] {
            assert!(said.contains(&format!("{copy} shared 2775")), "{said}");
            for what in kept {
                assert!(!said.contains(&format!("{copy} {what}")), "{options}: {what}: {said}");
            }
        }
    }
    // Nobody comes to it.
    let said = copies("nosuid,nodev", "700").unwrap();
    assert!(!said.contains(told), "{said}");
    assert!(kept.iter().all(|what| said.contains(&format!("mirror {what}"))), "{said}");
}
