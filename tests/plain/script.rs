//! The plain script, run by real shells with the real rsync, btrfs and sshd, in turn with nbkp.

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use proptest::prelude::*;

use crate::room::{Answer, Room};
use crate::shell::{eventually, sh};
use crate::sshd::Sshd;

const SHELLS: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "sh"]];

/// Two directories that are prepared, and their configuration: `plain` and `linked` copy `from` to `to`.
fn prepared(more: &str) -> Room {
    let room = Room::new();
    for directory in ["from/files/a b", "to/plain", "to/linked"] {
        fs::create_dir_all(room.path(directory)).unwrap();
    }
    for number in 0..30 {
        fs::write(room.path(&format!("from/files/a b/{number}")), format!("file {number}")).unwrap();
    }
    let top = room.root().display();
    room.configure(&format!(
        "[volumes.from]\npath = \"{top}/from\"\n[volumes.to]\npath = \"{top}/to\"\n\
         [syncs.plain]\nsource = \"from:files\"\ndestination = \"to:plain\"\n\
         filters = [{{ exclude = \"it's *.tmp\" }}]\n\
         [syncs.linked]\nsource = \"from:files\"\ndestination = \"to:linked\"\nsnapshots = \"hard-link\"\n{more}"
    ));
    room.said(&["prepare", "plain", "linked"]);
    room
}

impl Room {
    fn script(&self, arguments: &[&str]) -> String {
        let file = self.path("backup.sh").display().to_string();
        self.said(&[&["script", "-o", &file], arguments].concat());
        file
    }
}

fn started(shell: &[&str], file: &str, arguments: &[&str], path: Option<&Path>) -> Answer {
    let (program, rest) = shell.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(rest).arg(file).args(arguments);
    if let Some(path) = path {
        command.env("PATH", format!("{}:{}", path.display(), env::var("PATH").unwrap()));
    }
    let output = command.output().unwrap();
    Answer {
        code: output.status.code().unwrap(),
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
        complained: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn fine(file: &str, arguments: &[&str]) -> String {
    let answer = started(&["sh"], file, arguments, None);
    assert_eq!((answer.code, answer.complained.as_str()), (0, ""), "{answer:?}");
    answer.said
}

fn checked(file: &str) {
    let output = Command::new("shellcheck").args(["--shell=sh", file]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn snapshots(at: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(at.join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn same(one: &Path, other: &Path) {
    sh(&format!(
        "diff -r --no-dereference -x .nbkp -x '.nbkp-*' -x snapshots -x latest '{}/' '{}/.'",
        one.display(),
        other.display()
    ));
}

#[test]
fn every_shell_makes_what_nbkp_goes_on_with_and_back() {
    let room = prepared("keep = { last = 3 }\n");
    let file = room.script(&[]);
    checked(&file);
    let linked = room.path("to/linked");
    for (number, shell) in SHELLS.iter().enumerate() {
        fs::write(room.path("from/files/new"), "x".repeat(number + 1)).unwrap();
        let answer = started(shell, &file, &[], None);
        assert_eq!((answer.code, answer.complained.as_str()), (0, ""), "{shell:?}: {answer:?}");
        same(&room.path("from/files"), &room.path("to/plain"));
        same(&room.path("from/files"), &linked.join("latest"));
        assert_eq!(
            fs::read_link(linked.join("latest")).unwrap(),
            Path::new("snapshots").join(snapshots(&linked).last().unwrap())
        );
    }
    let first = fs::metadata(linked.join("latest/a b/1")).unwrap().ino();
    // nbkp goes on: it knows the runs, and copies nothing anew.
    fs::write(room.path("from/files/new"), "by nbkp").unwrap();
    room.said(&["run", "plain", "linked", "--wait"]);
    let history: serde_json::Value = serde_json::from_str(&room.said(&["history", "linked", "--json"])).unwrap();
    let runs = history["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4, "the log of the script is read: {runs:?}");
    assert!(runs.iter().all(|run| run["outcome"] == "ok"), "{runs:?}");
    assert_eq!(runs[0]["files_transferred"], 1, "{runs:?}");
    assert_eq!(fs::metadata(linked.join("latest/a b/1")).unwrap().ino(), first);
    // And back.
    fs::write(room.path("from/files/new"), "by the script again").unwrap();
    let said = fine(&file, &[]);
    assert!(said.contains("1 files, 19 bytes sent, 0 deleted"), "{said}");
    assert_eq!(fs::metadata(linked.join("latest/a b/1")).unwrap().ino(), first);
    assert_eq!(snapshots(&linked).len(), 3, "{:?}", snapshots(&linked));
    same(&room.path("from/files"), &room.path("to/plain"));
}

#[test]
fn an_emptied_source_and_many_deletions_are_held() {
    let room = prepared("");
    let file = room.script(&[]);
    fine(&file, &[]);
    let before = snapshots(&room.path("to/linked"));
    fs::rename(room.path("from/files/a b"), room.path("aside")).unwrap();
    let answer = started(&["sh"], &file, &[], None);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert_eq!(answer.complained.matches("held, this is no backup").count(), 2, "{answer:?}");
    assert!(!answer.said.contains("copied"), "{answer:?}");
    assert_eq!(fs::read_dir(room.path("to/plain/a b")).unwrap().count(), 30);
    let finished = snapshots(&room.path("to/linked"));
    assert_eq!(
        finished.iter().filter(|name| !name.starts_with('.')).collect::<Vec<_>>(),
        before.iter().collect::<Vec<_>>()
    );
    let dry = started(&["sh"], &file, &["--dry-run", "plain"], None);
    assert!(dry.said.contains("it would be held: 31 entries would be deleted"), "{dry:?}");
    // Some may go, most may not, and what a person lets go goes.
    fs::rename(room.path("aside"), room.path("from/files/a b")).unwrap();
    for number in 0..5 {
        fs::remove_file(room.path(&format!("from/files/a b/{number}"))).unwrap();
    }
    fine(&file, &[]);
    assert_eq!(fs::read_dir(room.path("to/plain/a b")).unwrap().count(), 25);
    for number in 5..25 {
        fs::remove_file(room.path(&format!("from/files/a b/{number}"))).unwrap();
    }
    assert_eq!(started(&["sh"], &file, &["plain"], None).code, 1);
    assert_eq!(fs::read_dir(room.path("to/plain/a b")).unwrap().count(), 25);
    fine(&file, &["--approve", "plain", "plain"]);
    assert_eq!(fs::read_dir(room.path("to/plain/a b")).unwrap().count(), 5);
}

#[test]
fn nothing_is_touched_where_a_sentinel_or_the_lock_says_no() {
    let room = prepared("");
    let file = room.script(&[]);
    for sentinel in ["from/.nbkp-vol", "from/files/.nbkp-src", "to/.nbkp-vol", "to/plain/.nbkp-dst"] {
        fs::rename(room.path(sentinel), room.path("aside")).unwrap();
        let answer = started(&["sh"], &file, &["plain"], None);
        assert_eq!(answer.code, 4, "{sentinel}: {answer:?}");
        assert!(answer.said.starts_with("plain: skipped: ") && answer.said.contains("is missing"), "{answer:?}");
        assert!(!room.path("to/plain/a b").exists() && !room.path("to/plain/.nbkp").exists(), "{sentinel}");
        fs::rename(room.path("aside"), room.path(sentinel)).unwrap();
    }
    fs::create_dir(room.path("to/plain/.nbkp")).unwrap();
    let lock = room.path("to/plain/.nbkp/lock").display().to_string();
    let mut other = Command::new("flock").args([&lock, "sleep", "30"]).spawn().unwrap();
    eventually("the lock is taken", || {
        (!Command::new("flock").args(["-n", &lock, "true"]).status().unwrap().success()).then_some(())
    });
    let answer = started(&["sh"], &file, &["plain"], None);
    assert_eq!(answer.code, 4, "{answer:?}");
    assert!(answer.said.contains("is in use by another run") && !room.path("to/plain/a b").exists(), "{answer:?}");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_dry_run_changes_nothing_and_a_stopped_one_is_gone_on_with() {
    let room = prepared("");
    let file = room.script(&[]);
    let told = fine(&file, &["--dry-run"]);
    assert!(told.contains("a b/7") && told.contains("would copy"), "{told}");
    assert_eq!(sh(&format!("find {}/to -newer {file} | wc -l", room.root().display())), "0");
    fs::write(room.path("from/files/big"), vec![7; 20 << 20]).unwrap();
    let slow = room.path("slow.sh");
    let text =
        fs::read_to_string(&file).unwrap().replace("    backup \\\n", "    backup \\\n        --bwlimit=4000 \\\n");
    fs::write(&slow, text).unwrap();
    for name in ["plain", "linked"] {
        let mut run = Command::new("sh").arg(&slow).arg(name).spawn().unwrap();
        let place = room.path(&format!("to/{name}"));
        eventually("it is under way", || {
            let found = sh(&format!("find {} -size +1000k | head -n 1", place.display()));
            (!found.is_empty()).then_some(())
        });
        sh(&format!(
            "pkill -TERM -P {} rsync || pkill -TERM -s 0 -P {} || true; kill -TERM {}",
            run.id(),
            run.id(),
            run.id()
        ));
        assert!(!run.wait().unwrap().success());
        assert!(!room.path(&format!("to/{name}/latest/big")).exists());
        fine(&file, &[name]);
    }
    same(&room.path("from/files"), &room.path("to/plain"));
    same(&room.path("from/files"), &room.path("to/linked/latest"));
    assert_eq!(snapshots(&room.path("to/linked")).len(), 1);
}

/// A filesystem on a loop device, in the one place where its UUID leads to it: a namespace of its own.
#[test]
fn btrfs_snapshots_on_a_drive_by_its_uuid() {
    let room = Room::new();
    let top = room.root().display().to_string();
    let uuid = "2d577679-a7b6-429d-8250-3d0d80e034df";
    room.configure(&format!(
        "[volumes.from]\npath = \"{top}/from\"\n[volumes.usb]\ndrive = \"{uuid}\"\n[syncs.photos]\n\
         source = \"from:files\"\ndestination = \"usb:photos\"\nsnapshots = \"btrfs\"\nkeep = {{ last = 2 }}\n"
    ));
    let file = room.script(&[]);
    checked(&file);
    let alone = started(&["sh"], &file, &[], None);
    assert_eq!(alone.code, 4, "{alone:?}");
    let drive = room.path("a drive");
    let play = format!(
        "mkdir -p '{top}/from/files' '{d}'; truncate -s 200M '{top}/image'; mkfs.btrfs -q -U {uuid} '{top}/image'
         loop=$(losetup --find --show '{top}/image'); trap 'umount \"{d}\"; losetup -d $loop' EXIT
         mount $loop '{d}'
         mkdir -p /dev/disk; mount -t tmpfs tmpfs /dev/disk; mkdir /dev/disk/by-uuid
         ln -s $loop /dev/disk/by-uuid/{uuid}
         mkdir '{d}/photos' '{d}/photos/snapshots'; btrfs -q subvolume create '{d}/photos/staging' >/dev/null
         ln -s /dev/null '{d}/photos/latest'
         touch '{top}/from/.nbkp-vol' '{top}/from/files/.nbkp-src' '{d}/.nbkp-vol' '{d}/photos/.nbkp-dst'
         seq 100000 >'{top}/from/files/numbers'
         sh '{file}'; sleep 1; echo more >>'{top}/from/files/numbers'; sh '{file}'; sleep 1; sh '{file}' -v
         cmp '{top}/from/files/numbers' '{d}/photos/latest/numbers'
         for each in '{d}'/photos/snapshots/2*; do btrfs property get -ts \"$each\" ro; done
         btrfs subvolume list '{d}' | wc -l; ls -A '{d}/photos/.nbkp'",
        d = drive.display()
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-ec", &play]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("photos: copied as").count(), 3, "{said}");
    assert!(
        said.contains("photos: pruned") && said.ends_with("ro=true\nro=true\n3\nlock\nlog.jsonl\nwriter\n"),
        "{said}"
    );
}

#[test]
fn servers_are_reached_as_a_run_reaches_them() {
    let (room, server) = (Room::new(), Sshd::new());
    let top = room.root().display().to_string();
    for directory in ["from/files", "there's one/copies", "there's one/linked", "back/files"] {
        fs::create_dir_all(room.path(directory)).unwrap();
    }
    fs::write(room.path("from/files/it's $(new)"), "content").unwrap();
    let (key, known) = (server.file("user").display().to_string(), server.file("known").display().to_string());
    let way = |name: &str, (host, port): (&str, u16), more: &str| {
        format!(
            "[ssh-endpoints.{name}]\nhost = \"{host}\"\nport = {port}\nuser = \"root\"\nkey = \"{key}\"\n\
             known-hosts = \"{known}\"\n{more}"
        )
    };
    let alias = format!("HostKeyAlias=[127.0.0.1]:{}", server.port);
    let jumped = format!("proxy-jump = [\"gate\"]\noptions = [\"{alias}\", \"Compression=yes\"]\n");
    room.configure(&format!(
        "{}{}{}[volumes.from]\npath = \"{top}/from\"\n[volumes.back]\npath = \"{top}/back\"\n\
         [volumes.nas]\nssh = [\"dead\", \"jumped\"]\npath = \"{top}/there's one\"\n\
         [syncs.push]\nsource = \"from:files\"\ndestination = \"nas:copies\"\n\
         [syncs.across]\nsource = \"nas:copies\"\ndestination = \"nas:linked\"\nsnapshots = \"hard-link\"\n\
         [syncs.pull]\nsource = \"nas:linked\"\ndestination = \"back:files\"\n",
        way("dead", ("127.0.0.1", 1), ""),
        way("gate", ("127.0.0.1", server.port), ""),
        way("jumped", ("localhost", server.port), &jumped),
    ));
    for sentinel in ["from/.nbkp-vol", "from/files/.nbkp-src", "there's one/.nbkp-vol", "there's one/copies/.nbkp-dst"]
    {
        fs::write(room.path(sentinel), "").unwrap();
    }
    for sentinel in ["copies/.nbkp-src", "linked/.nbkp-src", "linked/.nbkp-dst"] {
        fs::write(room.path("there's one").join(sentinel), "").unwrap();
    }
    for sentinel in ["back/.nbkp-vol", "back/files/.nbkp-dst"] {
        fs::write(room.path(sentinel), "").unwrap();
    }
    let file = room.script(&[]);
    checked(&file);
    let said = fine(&file, &[]);
    let order: Vec<_> = said.lines().filter_map(|line| line.split_once(": copied")).map(|(name, _)| name).collect();
    assert_eq!(order, ["push", "across", "pull"], "{said}");
    for copy in ["there's one/copies", "there's one/linked/latest", "back/files"] {
        assert_eq!(fs::read_to_string(room.path(copy).join("it's $(new)")).unwrap(), "content");
    }
    // And nbkp goes on.
    fs::write(room.path("from/files/second"), "by nbkp").unwrap();
    room.said(&["run", "push", "--wait"]);
    assert!(room.path("there's one/copies/second").exists());
    // What is not copied holds up what reads it.
    fs::remove_file(room.path("from/files/.nbkp-src")).unwrap();
    let answer = started(&["sh"], &file, &[], None);
    assert_eq!(answer.said.matches("skipped").count(), 3, "{answer:?}");
}

#[test]
fn a_script_goes_with_its_drive() {
    let room = prepared("");
    let file = room.path("to/backup.sh").display().to_string();
    room.said(&["script", "-o", &file, "--relative-destination", "--relative-source"]);
    let elsewhere = room.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for part in ["from", "to"] {
        fs::rename(room.path(part), elsewhere.join(part)).unwrap();
    }
    fine(&elsewhere.join("to/backup.sh").display().to_string(), &[]);
    same(&elsewhere.join("from/files"), &elsewhere.join("to/plain"));
    let answer = room.ask(&["script", "-o", "-", "--relative-source"]);
    assert_eq!((answer.code, answer.said.as_str()), (2, ""), "{answer:?}");
    assert!(answer.complained.contains("name a file with -o"), "{answer:?}");
}

#[test]
fn a_script_on_a_drive_finds_the_root_above_it_and_serves_one_drive() {
    let room = Room::new();
    let text = "[volumes.from]\npath = \"/srv/from\"\n[volumes.red]\ndrive = \"1111-aaaa\"\n\
                [volumes.blue]\ndrive = \"2222-bbbb\"\n\
                [groups.offsite]\nvolumes = [\"red\", \"blue\"]\n\
                [syncs.docs]\nsource = \"from:x\"\ndestination = \"offsite:x\"\n";
    room.configure(text);
    let file = room.path("b.sh").display().to_string();
    let answer = room.ask(&["script", "-o", &file, "--relative-destination"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.complained.contains("`blue` and `red`; name the syncs of one of them"), "{answer:?}");
    room.said(&["script", "docs@red", "-o", &file, "--relative-destination"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("to_where=above to_root=\"$here\"") && !text.contains("docs@blue"), "{text}");
}

#[test]
fn what_is_disabled_is_a_comment_and_the_file_is_whole() {
    let room = prepared("[syncs.later]\nsource = \"from:files\"\ndestination = \"to:later\"\nenabled = false\n");
    let file = room.script(&[]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o755);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("# `later` is disabled:\n# # later: from:files -> to:later\n# sync_later() {"), "{text}");
    assert!(text.contains("syncs='linked plain'"), "{text}");
    assert_eq!(room.said(&["script", "-o", "-"]), text);
    assert_eq!(
        sh(&format!("sh {file} --help | head -n 1")),
        format!("usage: {file} [-n|--dry-run] [-v|--verbose] [-q|--quiet] [--approve SYNC] [SYNC...]")
    );
    let answer = started(&["sh"], &file, &["later"], None);
    assert_eq!(answer.code, 2, "{answer:?}");
}

/// Programs that stand for those of macOS, found before the real ones.
fn stand_ins(room: &Room, programs: &[(&str, &str)]) -> std::path::PathBuf {
    let place = room.path("programs");
    fs::create_dir(&place).unwrap();
    for (name, text) in programs {
        fs::write(place.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    place
}

#[test]
fn other_rsyncs_are_refused() {
    let room = prepared("");
    let file = room.script(&[]);
    let place =
        stand_ins(&room, &[("rsync", "echo 'openrsync: protocol version 29'; echo 'rsync version 2.6.9 compatible'")]);
    let answer = started(&["sh"], &file, &[], Some(&place));
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.complained.contains("rsync 3.1 or later is needed"), "{answer:?}");
    fs::write(place.join("rsync"), "#!/bin/sh\necho 'rsync  version 3.0.9  protocol version 30'\n").unwrap();
    assert_eq!(started(&["sh"], &file, &[], Some(&place)).code, 2);
}

#[test]
fn on_macos_the_source_is_read_from_a_snapshot_of_one_instant() {
    let room = prepared("");
    let file = room.script(&[]);
    let log = room.path("log").display().to_string();
    // The real ones are not here: these take the options of theirs, and refuse what only GNU has.
    let gnu = |program: &str, real: &str, refused: &str| {
        format!(
            "for word; do case $word in {refused}) echo \"{program}: illegal option $word\" >&2; exit 64;; esac; done
             exec {real} \"$@\""
        )
    };
    let place = stand_ins(
        &room,
        &[
            ("uname", "[ $# -eq 0 ] && echo Darwin || exec /bin/uname \"$@\""),
            (
                "tmutil",
                &format!(
                    "echo tmutil \"$@\" >>'{log}'; [ \"$1\" != localsnapshot ] \
                     || echo 'Created local snapshot with date: 2026-11-30-061607'"
                ),
            ),
            ("mount_apfs", &format!("echo mount_apfs \"$1 $2 $3 $4\" >>'{log}'; exec mount --bind \"$5\" \"$6\"")),
            ("flock", "exit 0"),
            ("mv", &gnu("mv", "/bin/mv", "-*T*")),
            ("date", &gnu("date", "/bin/date", "-d | --date*")),
            ("readlink", &gnu("readlink", "/bin/readlink", "-*")),
            ("stat", &gnu("stat", "/usr/bin/stat", "-c | -*c")),
            ("sync", &gnu("sync", "/bin/sync", "-f")),
        ],
    );
    let answer = started(&["sh"], &file, &["linked", "-v"], Some(&place));
    assert_eq!(answer.code, 0, "{answer:?}");
    same(&room.path("from/files"), &room.path("to/linked/latest"));
    let told = fs::read_to_string(&log).unwrap();
    assert_eq!(
        told,
        "tmutil localsnapshot\nmount_apfs -o nobrowse,ro -s com.apple.TimeMachine.2026-11-30-061607.local\n\
         tmutil deletelocalsnapshots 2026-11-30-061607\n"
    );
    assert_eq!(sh("grep -c nbkp.*frozen /proc/self/mounts || true"), "0");
    let again = started(&["sh"], &file, &["linked"], Some(&place));
    assert!(again.code == 0 && again.said.contains("0 files"), "{again:?}");
}

#[test]
fn links_in_the_way_are_not_followed() {
    let room = prepared("");
    let file = room.script(&[]);
    let outside = room.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::rename(room.path("to/plain"), room.path("to/real")).unwrap();
    symlink(room.path("to/real"), room.path("to/plain")).unwrap();
    assert_eq!(started(&["sh"], &file, &["plain"], None).code, 4);
    fs::remove_dir_all(room.path("to/linked/snapshots")).unwrap();
    symlink(&outside, room.path("to/linked/snapshots")).unwrap();
    let answer = started(&["sh"], &file, &["linked"], None);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// A text as TOML has it.
fn toml(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            plain => write!(quoted, "{plain}"),
        };
    }
    quoted + "\""
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn every_name_is_quoted(
        volume in "[a-z $`'\"\\\\!&;|<>(){}*?~#%=é-]{1,12}x",
        subdir in "[a-z $`'\"\\\\!&;|<>()#%=é]{1,12}y",
        excluded in "[a-z $`'\"\\\\!&;|<>()#%=é]{1,12}z",
    ) {
        let room = Room::new();
        let (from, to) = (room.path("f").join(&volume), room.path("t").join(&volume));
        let source = from.join(&subdir);
        fs::create_dir_all(&source).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(source.join("kept"), "1").unwrap();
        for sentinel in [from.join(".nbkp-vol"), source.join(".nbkp-src"), to.join(".nbkp-vol"), to.join(".nbkp-dst")] {
            fs::write(sentinel, "").unwrap();
        }
        room.configure(&format!(
            "[volumes.from]\npath = {}\n[volumes.to]\npath = {}\n[syncs.s]\nsource = {}\ndestination = \"to\"\n\
             filters = [{{ exclude = {} }}]\n",
            toml(from.to_str().unwrap()), toml(to.to_str().unwrap()), toml(&format!("from:{subdir}")), toml(&excluded)
        ));
        let file = room.script(&[]);
        let answer = started(&["sh"], &file, &[], None);
        prop_assert_eq!(answer.code, 0, "{:?}", answer);
        prop_assert!(to.join("kept").exists());
        checked(&file);
    }
}
