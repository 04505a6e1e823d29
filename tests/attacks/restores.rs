//! A drive of a stranger, and a target that another user swaps, while root or a user gets files back from the drive.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::ground::{Answer, Ground, OTHER, set_mode};
use crate::rounds::{MIX, all_of, put_back, rounds};

/// Whatever lies on a drive, a restore from it ends within this time.
const AT_MOST: Duration = Duration::from_mins(1);

/// Puts a link to the first path in the place of the directory at the second, and back, as fast as it can.
const FLICKER: &str = "import os, sys\n\
    target, place = sys.argv[1:]; link = place + '.link'; os.symlink(target, link)\n\
    import ctypes; c = ctypes.CDLL(None, use_errno=True)\n\
    a, b = os.fsencode(place), os.fsencode(link)\n\
    print('begun', flush=True); count = 0\n\
    while True:\n\
    \x20   c.renameat2(-100, a, -100, b, 2); count += 1\n\
    \x20   if count == 20: print('swapped', flush=True)\n";

/// What is nobody's business: of root alone, and like what the copy has, but for its content.
fn private(ground: &Ground) -> PathBuf {
    let private = ground.make("private", 0o755);
    ground.make("private/deep", 0o755);
    for name in ["file", "deep/file"] {
        fs::write(private.join(name), "of root alone").unwrap();
        set_mode(&private.join(name), 0o600);
    }
    private
}

/// A drive with a mirror that says nothing of itself but that it is one.
fn drive(ground: &Ground) -> PathBuf {
    let drive = ground.make("drive", 0o755);
    let copy = ground.make("drive/docs", 0o755);
    fs::write(copy.join(".nbkp-dst"), "").unwrap();
    fs::create_dir_all(copy.join("below/deep")).unwrap();
    for name in ["file", "below/file", "below/deep/file"] {
        fs::write(copy.join(name), "of the drive!").unwrap();
    }
    drive
}

/// What `nbkpctl restore --from DRIVE` answers to this user.
fn restored(ground: &Ground, user: u32, words: &[&str]) -> Answer {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
    command.arg(env!("CARGO_BIN_EXE_nbkpctl")).env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.args(["restore", "--from", ground.path("drive").to_str().unwrap()]).args(words);
    let began = Instant::now();
    let output = command.output().unwrap();
    assert!(began.elapsed() < AT_MOST, "{words:?}");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Answer { code: output.status.code().unwrap(), said }
}

/// Nothing below a directory has the content of what is of root alone.
#[track_caller]
fn nothing_got_out(back: &Path, said: &str) {
    for (path, told) in all_of(back) {
        assert!(!told.6.windows(13).any(|it| it == b"of root alone"), "{}: {said}", path.display());
    }
}

#[test]
fn links_on_a_drive_lead_nowhere_for_root_or_a_user() {
    let Some(ground) = Ground::new() else { return };
    let (private, drive) = (private(&ground), drive(&ground));
    let copy = drive.join("docs");
    symlink(&private, copy.join("absolute")).unwrap();
    symlink("../../private", copy.join("up")).unwrap();
    symlink("../../../private/file", copy.join("below/file link")).unwrap();
    symlink(&private, drive.join("linked")).unwrap();
    let before = all_of(&private);
    for user in [0, OTHER] {
        let back = ground.make(&format!("back-{user}"), 0o755);
        chown(&back, Some(user), Some(user)).unwrap();
        let to = ["--to", back.to_str().unwrap()];
        // A target in which a directory of the copy is a link out already.
        symlink(&private, back.join("below")).unwrap();
        for force in [&[][..], &["--force"]] {
            for path in
                ["/", "below", "below/deep", "absolute/file", "up/deep", "below/../../private", "../private", "linked"]
            {
                let answer = restored(&ground, user, &[&[path], &to[..], force].concat());
                assert_eq!(all_of(&private), before, "{user} {path}: {answer:?}");
                nothing_got_out(&back, &answer.said);
            }
        }
        assert!(back.join("absolute").is_symlink() && back.join("up").is_symlink());
        assert_eq!(fs::read(back.join("file")).unwrap(), b"of the drive!");
    }
}

#[test]
fn what_is_no_file_on_a_drive_is_not_waited_for() {
    let Some(ground) = Ground::new() else { return };
    let drive = drive(&ground);
    let copy = drive.join("docs");
    let fifo =
        |path: &Path| rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o666.into(), 0).unwrap();
    let device = rustix::fs::makedev(1, 1);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        copy.join("memory"),
        rustix::fs::FileType::CharacterDevice,
        0o666.into(),
        device,
    )
    .unwrap();
    fs::write(copy.join("program"), "#!/bin/sh").unwrap();
    set_mode(&copy.join("program"), 0o6755);
    fifo(&copy.join("pipe"));
    let own = ground.make("drive/docs/.nbkp", 0o755);
    let traps: [(&str, &dyn Fn()); 6] = [
        ("a log that is a pipe", &|| fifo(&own.join("log.jsonl"))),
        ("a log that goes on and on", &|| {
            fs::remove_file(own.join("log.jsonl")).unwrap();
            fs::File::create(own.join("log.jsonl")).unwrap().set_len(1 << 40).unwrap();
        }),
        ("a lock that is a pipe", &|| fifo(&own.join("lock"))),
        ("our directory as a pipe", &|| {
            fs::remove_dir_all(&own).unwrap();
            fifo(&own);
        }),
        ("snapshots as a pipe", &|| fifo(&copy.join("snapshots"))),
        ("a sentinel that is a pipe", &|| {
            ground.make("drive/other", 0o755);
            fifo(&drive.join("other/.nbkp-dst"));
        }),
    ];
    for (what, set) in traps {
        set();
        for user in [0, OTHER] {
            let back = ground.make(&format!("back-{user}"), 0o755);
            chown(&back, Some(user), Some(user)).unwrap();
            let listed = restored(&ground, user, &[]);
            assert!([0, 1].contains(&listed.code) && listed.said.contains("drive/docs"), "{what}: {listed:?}");
            let answer = restored(&ground, user, &["file", "below", "--to", back.to_str().unwrap()]);
            // A lock that cannot be had is no reason to give nothing back, if it is told.
            if answer.code == 0 {
                assert_eq!(fs::read(back.join("file")).unwrap(), b"of the drive!", "{what}: {answer:?}");
            } else {
                let is_told = ["not restored", "it is not a directory"].iter().any(|words| answer.said.contains(words));
                assert!(is_told && !back.join("file").exists(), "{what}: {answer:?}");
            }
            fs::remove_dir_all(back).unwrap();
        }
    }
    fs::remove_file(&own).unwrap();
    fs::remove_file(copy.join("snapshots")).unwrap();
    // Devices and programs come only where they count for nothing, or to root who trusts the drive.
    let back = ground.make_theirs("back", 0o755);
    let answer = restored(&ground, OTHER, &["/", "--to", back.to_str().unwrap()]);
    assert!(!back.join("memory").exists(), "{answer:?}");
    assert_eq!(fs::metadata(back.join("program")).unwrap().uid(), OTHER, "{answer:?}");
    assert!(fs::symlink_metadata(back.join("pipe")).is_ok(), "{answer:?}");
}

#[test]
fn a_hundred_thousand_snapshots_that_are_none_are_passed_over() {
    let Some(ground) = Ground::new() else { return };
    let drive = drive(&ground);
    let snapshots = ground.make("drive/docs/snapshots", 0o755);
    for number in 0..100_000 {
        fs::File::create(snapshots.join(format!("junk-{number}"))).unwrap();
    }
    let good = snapshots.join("2026-11-22T17:30:00.000Z");
    fs::create_dir(&good).unwrap();
    fs::write(good.join("letter"), "a letter").unwrap();
    symlink(ground.path("root"), snapshots.join("2026-11-23T17:30:00.000Z")).unwrap();
    symlink("snapshots/2026-11-23T17:30:00.000Z", drive.join("docs/latest")).unwrap();
    let back = ground.make_theirs("back", 0o755);
    let listed = restored(&ground, OTHER, &["--json"]);
    assert!(listed.code == 0 && listed.said.contains("2026-11-22T17") && !listed.said.contains("11-23"), "{listed:?}");
    let answer = restored(&ground, OTHER, &["letter", "--to", back.to_str().unwrap()]);
    assert_eq!((answer.code, fs::read(back.join("letter")).unwrap()), (0, b"a letter".to_vec()), "{answer:?}");
}

#[test]
fn a_directory_on_a_drive_that_becomes_a_link_shows_nothing_of_what_it_leads_to() {
    let Some(ground) = Ground::new() else { return };
    let (private, drive) = (private(&ground), drive(&ground));
    let copy = drive.join("docs");
    for number in 0..30 {
        fs::write(copy.join(format!("below/{number:02}")), "x").unwrap();
    }
    Command::new("chown").args(["-R", &OTHER.to_string()]).arg(&copy).status().unwrap();
    let before = all_of(&private);
    let swapped = copy.join("below");
    let arguments = ["-c", FLICKER, private.to_str().unwrap(), swapped.to_str().unwrap()];
    let flicker = ground.theirs("/usr/bin/python3", &arguments);
    let mut ends = BTreeMap::new();
    for round in 0..rounds(200) {
        let back = ground.make(&format!("back-{round}"), 0o755);
        let path = ["/", "below", "below/deep", "below/file"][round % 4];
        let answer = restored(&ground, 0, &[path, "--to", back.to_str().unwrap()]);
        *ends.entry(answer.code).or_insert(0) += 1;
        assert_eq!(all_of(&private), before, "round {round}: {answer:?}");
        nothing_got_out(&back, &answer.said);
        fs::remove_dir_all(&back).unwrap();
    }
    flicker.says("swapped");
    assert!(ends.contains_key(&0), "nothing was restored in any round: {ends:?}");
}

#[test]
fn a_target_that_another_user_swaps_gives_nothing_away_and_takes_nothing() {
    let Some(ground) = Ground::new() else { return };
    let (private, drive) = (private(&ground), drive(&ground));
    let copy = drive.join("docs");
    let time = fs::metadata(private.join("file")).unwrap().modified().unwrap();
    for name in ["file", "below/file", "below/deep/file"] {
        // Like those outside, but for what is in them and whose they are.
        fs::File::options().write(true).open(copy.join(name)).unwrap().set_modified(time).unwrap();
        chown(copy.join(name), Some(OTHER), Some(OTHER)).unwrap();
    }
    for name in ["below", "below/deep"] {
        chown(copy.join(name), Some(OTHER), Some(OTHER)).unwrap();
    }
    for number in 0..60 {
        fs::write(copy.join(format!("below/{number:02}")), "x").unwrap();
    }
    let before = all_of(&private);
    for name in ["theirs", "theirs/back"] {
        ground.make_theirs(name, 0o755);
    }
    let back = ground.path("theirs/back");
    let to = ["--to", back.to_str().unwrap()];
    let first = restored(&ground, 0, &[&["/"][..], &to].concat());
    assert_eq!(first.code, 0, "{first:?}");
    let mut good = 0;
    for round in 0..rounds(100) {
        // The target itself, or what is in it.
        let place = if round % 2 == 0 { back.clone() } else { back.join("below") };
        let arguments = ["-c", MIX, private.to_str().unwrap(), place.to_str().unwrap()];
        let mixer = ground.theirs("/usr/bin/python3", &arguments);
        for words in [&["/"][..], &["below", "--force"], &["below/deep/file", "file", "--force"]] {
            let answer = restored(&ground, 0, &[words, &to].concat());
            good += usize::from(answer.code == 0);
            assert_eq!(all_of(&private), before, "round {round}: {answer:?}");
        }
        drop(mixer);
        nothing_got_out(&ground.path("theirs"), "");
        put_back(&ground.path("theirs"));
    }
    assert!(good > 0, "nothing was restored in any round");
}
