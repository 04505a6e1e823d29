//! All that a tree can hold, copied and brought back: compared by the programs of the system, with what was there then.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::Value;

use crate::common::config::Config;
use crate::common::drive::Drive;
use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::{Folder, Sentinels, noise};
use crate::common::mini_host::{MiniHost, array};
use crate::common::server::Server;
use crate::common::{attempt, run, until};

/// The number of `nobody`: ssh wants a user that has a name.
const USER: u32 = 65_534;

/// How a sync is told to keep all that there is.
const ALL: &str = "rsync = { hard-links = true, sparse = true, extra-options = [\"--xattrs\", \"--acls\"] }\n\
                   every = \"7d\"\n";

/// A tree as the programs of the system tell it: each entry with its kind, mode, owner, time to the nanosecond, size
/// and target; the content of files; attributes, among which are the lists of access; and the names that are one file.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    contents: BTreeMap<Vec<u8>, Vec<u8>>,
    attributes: Vec<String>,
    same_files: Vec<Vec<Vec<u8>>>,
}

impl Picture {
    fn of(top: &Path) -> Self {
        let listed = attempt("find", &[&top, &"-printf", &"%P\\0%y %#m %U:%G %T@ %s %l\\0%i\\0"]);
        assert!(listed.status.success(), "{listed:?}");
        let mut fields = listed.stdout.split(|byte| *byte == 0);
        let (mut entries, mut contents, mut inodes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        while let (Some(name), Some(state), Some(inode)) = (fields.next(), fields.next(), fields.next()) {
            if name.starts_with(b".nbkp") {
                continue;
            }
            let mut state = state.to_vec();
            if state.starts_with(b"d") {
                // What a directory takes up is the filesystem's own affair, and we write into that of all ourselves.
                let told = if name.is_empty() { 3 } else { 4 };
                let words: Vec<_> = state.split(|byte| *byte == b' ').take(told).collect();
                state = words.join(&b' ');
            } else {
                inodes.entry(inode.to_vec()).or_insert_with(Vec::new).push(name.to_vec());
            }
            if state.starts_with(b"f") {
                let content = std::fs::read(top.join(OsStr::from_bytes(name))).unwrap();
                contents.insert(name.to_vec(), content);
            }
            entries.insert(name.to_vec(), state);
        }
        let script = "cd \"$1\" && getfattr --recursive --physical --no-dereference --dump --match=- --encoding=hex .";
        let told = run("sh", &[&"-ec", &script, &"sh", &top]);
        let mut attributes: Vec<String> = told.split("\n\n").map(str::to_owned).collect();
        attributes.sort();
        let mut same_files: Vec<_> = inodes.into_values().filter(|names| names.len() > 1).collect();
        for names in &mut same_files {
            names.sort();
        }
        same_files.sort();
        Self { entries, contents, attributes, same_files }
    }

    /// The same without what a directory is newer by, since something was put back into it.
    #[track_caller]
    fn is(&self, then: &Self, what: &str) {
        let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        for (name, state) in &then.entries {
            let now = self.entries.get(name).map(|state| shown(state));
            assert_eq!(now, Some(shown(state)), "{what}: {}", shown(name));
        }
        let more: Vec<_> = self.entries.keys().filter(|name| !then.entries.contains_key(*name)).collect();
        assert!(more.is_empty(), "{what}: {:?} came from nowhere", more.iter().map(|n| shown(n)).collect::<Vec<_>>());
        assert_eq!(self.attributes, then.attributes, "{what}");
        assert_eq!(self.same_files, then.same_files, "{what}");
        assert!(self.contents == then.contents, "{what}: the content of files");
    }
}

/// Whose tree it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Root,
    User,
}

/// Everything that this user can make.
fn everything(source: &Folder, owner: Owner) {
    let at = |name: &[u8]| source.path.join(OsStr::from_bytes(name));
    source.fill(40).write("letter", "first").write("empty", "").write("deep/er/and/deeper/note", "a note");
    odd_names(source);
    source.write("long/".to_owned() + &"\u{e4}".repeat(127), "long").write("snapshots/staging/latest", "of a user");
    std::fs::create_dir_all(at(b"bare/directories/only")).unwrap();
    for (target, name) in [("/etc/passwd", "out"), ("../..", "up"), ("letter", "link"), ("nowhere at all", "lost")] {
        symlink(target, source.path.join(name)).unwrap();
    }
    symlink(OsStr::from_bytes(b"\xff\n"), at(b"odd link")).unwrap();
    run("mkfifo", &[&at(b"pipe")]);
    drop(UnixListener::bind(at(b"socket")).unwrap());
    std::fs::hard_link(at(b"letter"), at(b"deep/same letter")).unwrap();
    std::fs::hard_link(at(b"letter"), at(b"third letter")).unwrap();
    let sparse = std::fs::File::create(at(b"sparse")).unwrap();
    sparse.set_len(24 << 20).unwrap();
    sparse.write_all_at(&noise(64 << 10, 5), 9 << 20).unwrap();
    let mode = |name: &str, mode| {
        std::fs::set_permissions(source.path.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, bits) in [("program", 0o4755), ("group program", 0o2755), ("read only", 0o400), ("open", 0o666)] {
        source.write(name, name);
        mode(name, bits);
    }
    source
        .write("locked/file", "in a directory that takes nothing")
        .write("shared/file", "x")
        .write("sticky/file", "x");
    run("setfattr", &[&"-n", &"user.colour", &"-v", &"blue", &at(b"letter")]);
    source.write("able", "a program that may open raw sockets");
    run("setfattr", &[&"-n", &"user.colour", &"-v", &"red", &at(b"able")]);
    run("setfattr", &[&"-n", &"user.empty", &at(b"deep")]);
    run("setfacl", &[&"-m", &"u:4242:r-x,g:4343:---", &at(b"program"), &at(b"deep")]);
    run("setfacl", &[&"-d", &"-m", &"u:4242:rwx", &at(b"deep")]);
    match owner {
        Owner::Root => {
            for (name, user, group) in [("open", 1234, 4321), ("sticky", 99, 100), ("link", 5, 6), ("pipe", 7, 8)] {
                run("chown", &[&"-h", &format!("{user}:{group}"), &source.path.join(name)]);
            }
            let rights = "0x0100000200200000000000000000000000000000";
            run("setfattr", &[&"-n", &"security.capability", &"-v", &rights, &at(b"able")]);
            source.write("no mode", "may be read by root alone").write("no mode either/file", "x");
            mode("no mode", 0);
            mode("no mode either", 0);
        }
        Owner::User => {
            run("chown", &[&"-R", &"-h", &format!("{USER}:{USER}"), &source.path]);
            // A change of owners takes these away.
            mode("program", 0o4755);
            mode("group program", 0o2755);
        }
    }
    for (name, bits) in [("locked", 0o555), ("shared", 0o2775), ("sticky", 0o1777)] {
        mode(name, bits);
    }
    let times =
        [("letter", "2001-02-03 04:05:06.123456789"), ("open", "1960-01-01 00:00:00.5"), ("lost", "2030-01-01")];
    for (name, time) in times.into_iter().chain([("deep", "1999-12-31 23:59:59.999999999"), ("pipe", "2002-02-02")]) {
        run("touch", &[&"-h", &"-d", &time, &source.path.join(name)]);
    }
}

/// Directories and files of all names that make trouble somewhere.
fn odd_names(source: &Folder) {
    for name in [
        &b"a\nb"[..],
        b"-rf",
        b"--delete",
        b"\xff\xfe not utf-8",
        b"..x",
        b"...",
        b" in front",
        b"behind ",
        b"tab\t",
        b"'quotes\" $(touch pwned) `x`",
        b"*?[a-z]",
        b"back\\slash",
        b"#1",
        b"~",
        b"\x1b[31m",
        b"latest",
        b"a:b",
    ] {
        std::fs::create_dir_all(source.path.join("odd").join(OsStr::from_bytes(name))).unwrap();
        std::fs::write(source.path.join("odd").join(OsStr::from_bytes(name)).join(OsStr::from_bytes(name)), name)
            .unwrap();
        std::fs::write(source.path.join(OsStr::from_bytes(&[b"plain ", name].concat())), name).unwrap();
    }
}

/// The kinds of copies, each with the volume that it lies on.
const KINDS: [(&str, &str, &str); 5] = [
    ("a", "plain", "none"),
    ("b", "linked", "hard-link"),
    ("c", "usb", "btrfs"),
    ("d", "nas", "hard-link"),
    ("e", "nas", "none"),
];

fn room_taken(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().blocks() * 512
}

/// Makes a directory one that this user alone may enter.
fn private(directory: &Path, owner: Owner) {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).unwrap();
    if owner == Owner::User {
        chown(directory, Some(USER), Some(USER)).unwrap();
    }
}

/// A configuration with a sync of each kind, and their drives.
fn all_kinds(host: &MiniHost, nas: &Server, owner: Owner) -> (Config, [Drive; 3]) {
    nas.folder("e").write(".nbkp-dst", "");
    let mut plain = host.drive("plain", Ext4).prepared_plainly_for("a");
    let mut linked = host.drive("linked", Ext4).prepared_for("b");
    let mut usb = host.drive("usb", Btrfs).prepared_for("c");
    if owner == Owner::User {
        run("chown", &[&"-R", &USER.to_string(), &nas.root]);
    }
    for drive in [&mut plain, &mut linked, &mut usb] {
        drive.plug();
        if owner == Owner::User {
            run("chown", &[&"-R", &USER.to_string(), &drive.point()]);
        }
    }
    let mut config = host.config().drive(&plain).drive(&linked).drive(&usb).server(nas);
    for (sync, volume, kind) in KINDS {
        let ends =
            format!("source = \"laptop:documents\"\ndestination = \"{volume}:{sync}\"\nsnapshots = \"{kind}\"\n");
        config = config.also(&format!("[syncs.{sync}]\n{ends}{ALL}"));
    }
    (config, [plain, linked, usb])
}

fn come_back(host: &MiniHost, nas: &Server, owner: Owner) {
    let source = host.source("documents");
    let (config, _drives) = all_kinds(host, nas, owner);
    everything(&source, owner);
    // What nobody else may enter gets programs with the rights of others back, wherever they come from.
    private(&host.home(), owner);
    host.configure(&config);
    let _daemon = host.start();
    nas.join();
    let first = Picture::of(&source.path);
    for (sync, _, _) in KINDS {
        host.ctl(&["run", sync, "--wait"]).exits(0);
    }
    source.write("letter", "second one").write("new/one", "x").remove("empty");
    std::fs::remove_dir_all(source.path.join("odd")).unwrap();
    if owner == Owner::User {
        chown(source.path.join("new"), Some(USER), Some(USER)).unwrap();
        chown(source.path.join("new/one"), Some(USER), Some(USER)).unwrap();
    }
    let second = Picture::of(&source.path);
    for (sync, _, _) in KINDS {
        host.ctl(&["run", sync, "--wait"]).exits(0);
    }
    for (sync, _, kind) in KINDS {
        let of_sync = config.clone().text().to_owned();
        // The other syncs would have the same.
        let alone = of_sync.split("[syncs.").enumerate().filter(|(at, part)| *at == 0 || part.starts_with(sync));
        host.configure_with(&alone.map(|(_, part)| part).collect::<Vec<_>>().join("[syncs."));
        until("the others are forgotten", || {
            let status = host.status();
            array(&status["syncs"]).iter().map(|found| &found["name"]).eq([&Value::from(sync)])
        });
        let to = host.root.join(format!("back/{sync}"));
        let all = to.join("now");
        std::fs::create_dir_all(&to).unwrap();
        private(&to, owner);
        let told = host.ctl(&["restore", "laptop:documents", "--to", all.to_str().unwrap(), "--json"]).exits(0).json();
        assert_eq!(told["restored"][0]["sync"], sync, "{told}");
        Picture::of(&all).is(&second, &format!("{sync}, all"));
        let sparse = room_taken(&all.join("sparse"));
        assert!(sparse <= room_taken(&source.path.join("sparse")) + (64 << 10), "{sync}: {sparse} bytes");
        if kind != "none" {
            let listed = host.ctl(&["snapshots", sync, "--json"]).exits(0).json();
            let oldest = listed["snapshots"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap());
            let then = to.join("then");
            let (oldest, then_text) = (oldest.min().unwrap().to_owned(), then.to_str().unwrap());
            host.ctl(&["restore", "laptop:documents", "--at", &oldest, "--to", then_text]).exits(0);
            Picture::of(&then).is(&first, &format!("{sync}, then"));
        }
        // All is lost but what says that this is the source, and comes back to where it was.
        source.empty(Sentinels::Stay);
        host.ctl(&["restore", source.path.to_str().unwrap()]).exits(0);
        Picture::of(&source.path).is(&second, &format!("{sync}, in its place"));
        // Once more there is nothing to do.
        let told = host.ctl(&["restore", source.path.to_str().unwrap(), "--json"]).exits(0).json();
        assert_eq!(told["restored"][0]["files"], 0, "{sync}: {told}");
        Picture::of(&source.path).is(&second, &format!("{sync}, once more"));
    }
    assert!(!Path::new("/pwned").exists());
}

pub fn of_root_come_back_from_each_kind_of_copy(host: &MiniHost) {
    let nas = host.server("nas").prepared_for("d");
    come_back(host, &nas, Owner::Root);
    // Where others may enter, what a server has gives nobody the rights of another.
    let open = host.root.join("open");
    let program = ["restore", "laptop:documents/program", "--to", open.to_str().unwrap()];
    let told = host.ctl(&program).exits(0);
    assert!(told.said.contains("set-user-ID") && told.said.contains("mode 700"), "{told}");
    assert_eq!(open.join("program").metadata().unwrap().mode() & 0o7777, 0o755);
    host.ctl(&["restore", "laptop:documents/able", "--to", open.to_str().unwrap()]).exits(0);
    let told = run("getfattr", &[&"-d", &"-m", &"-", &open.join("able")]);
    assert!(told.contains("user.colour") && !told.contains("security"), "{told}");
}

pub fn of_a_user_come_back_from_each_kind_of_copy(host: &MiniHost) {
    let nas = host.server("nas").prepared_for("d");
    nas.admits_as(USER);
    come_back(&host.used_by(USER), &nas, Owner::User);
}
