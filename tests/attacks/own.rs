//! What lies in a destination and is ours: nobody else reads it, holds it or puts something in its place.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use crate::ground::{Answer, Ground, OTHER, set_mode};

/// A source that only root may enter, and a destination that everybody may.
fn prepared(ground: &Ground) -> (PathBuf, PathBuf) {
    let (source, copies) = (ground.make("source", 0o700), ground.make("copies", 0o755));
    fs::write(source.join("file"), "of root alone").unwrap();
    ground.configure(&format!(
        "[volumes.source]\npath = \"{}\"\n[volumes.copies]\npath = \"{}\"\n\
         [syncs.docs]\nsource = \"source\"\ndestination = \"copies\"\nsnapshots = \"hard-link\"\n",
        source.display(),
        copies.display()
    ));
    assert_eq!(ground.ask(&ground.path("root/sock"), &["prepare", "docs"]).code, 0);
    (source, copies)
}

fn run(ground: &Ground) -> Answer {
    ground.ask(&ground.path("root/sock"), &["run", "docs"])
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// Tries to hold a lock together with others, as whoever may read it can.
const HOLD: &str = "import fcntl, sys\n\
    try: fcntl.flock(open(sys.argv[1]), fcntl.LOCK_SH); print('held', flush=True)\n\
    except OSError as e: print(e.strerror, flush=True)\n\
    sys.stdin.read()\n";

#[test]
fn who_may_read_a_destination_holds_no_lock_and_sees_no_more_than_the_source_shows() {
    let Some(ground) = Ground::new() else { return };
    let (_, copies) = prepared(&ground);
    assert_eq!(mode(&copies.join(".nbkp-dst")), 0o600);
    assert_eq!(run(&ground).code, 0);
    let [own, lock] = [".nbkp", ".nbkp/lock"].map(|name| copies.join(name));
    let is_owners = |path: &Path| mode(path) & !0o700 == 0;
    let is_private = || mode(&own) == 0o700 && is_owners(&lock) && is_owners(&own.join("log.jsonl"));
    assert!(is_private());
    // As an earlier version made them.
    for (path, mode) in [(&own, 0o755), (&lock, 0o644), (&own.join("log.jsonl"), 0o644)] {
        set_mode(path, mode);
    }
    assert_eq!(run(&ground).code, 0);
    assert!(is_private());
    for snapshot in fs::read_dir(copies.join("snapshots")).unwrap() {
        assert_eq!(mode(&snapshot.unwrap().path()), 0o700, "a copy shows more than its source");
    }
    let holder = ground.theirs("/usr/bin/python3", &["-c", HOLD, lock.to_str().unwrap()]);
    assert_eq!(holder.first, "Permission denied");
    assert_eq!(run(&ground).code, 0);
}

#[test]
fn what_another_user_could_have_put_there_is_not_ours() {
    let Some(ground) = Ground::new() else { return };
    let (_, copies) = prepared(&ground);
    assert_eq!(run(&ground).code, 0);
    let own = copies.join(".nbkp");
    let elsewhere = ground.path("root/elsewhere");
    fs::write(&elsewhere, "kept").unwrap();
    for name in ["lock", "log.jsonl"] {
        let file = own.join(name);
        let before = fs::read(&file).unwrap();
        let refused = |why: &str| {
            let answer = run(&ground);
            assert!(answer.code != 0 && answer.said.contains(why), "{name}: {why}: {answer:?}");
            assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
            let _gone = fs::remove_file(&file);
            fs::write(&file, &before).unwrap();
            assert_eq!(run(&ground).code, 0);
        };
        fs::remove_file(&file).unwrap();
        fs::hard_link(&elsewhere, &file).unwrap();
        refused("a second name");
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        refused("not a regular file");
        fs::remove_file(&file).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        refused("not a regular file");
        chown(&file, Some(OTHER), None).unwrap();
        refused("not as we make it");
    }
    chown(&own, Some(OTHER), None).unwrap();
    assert!(run(&ground).said.contains("not as we make it"));
}
