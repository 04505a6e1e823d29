//! Both ends and what lies in them, swapped at random by the other user while root prepares, copies and prunes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use crate::ground::{Ground, OTHER};
use crate::sshd::Sshd;

/// How many rounds there are, unless `NBKP_ROUNDS` says so: on this machine, and with a server, which takes longer.
const ROUNDS: usize = 15;
const ROUNDS_THERE: usize = 4;

/// Puts links to the first path in the place of what lies below the others, one after the other, and puts it back.
pub const MIX: &str = "import os, random, sys, time\n\
    target, *roots = sys.argv[1:]; count = 0\n\
    def below(path):\n\
    \x20   yield path\n\
    \x20   try: names = os.listdir(path) if not os.path.islink(path) else []\n\
    \x20   except OSError: return\n\
    \x20   for name in random.sample(names, min(len(names), 8)):\n\
    \x20       if not name.endswith('.was'): yield from below(path + '/' + name)\n\
    print('begun', flush=True)\n\
    while True:\n\
    \x20   place = random.choice(list(below(random.choice(roots))))\n\
    \x20   try:\n\
    \x20       os.rename(place, place + '.was')\n\
    \x20       os.symlink(random.choice([target, target + '/file']), place)\n\
    \x20       time.sleep(random.random() * 0.004)\n\
    \x20       os.unlink(place)\n\
    \x20   except OSError: pass\n\
    \x20   try: os.rename(place + '.was', place); count += 1\n\
    \x20   except OSError: pass\n\
    \x20   if count == 50: print('swapped', flush=True); count += 1\n";

/// How many rounds there are: so many, or as `NBKP_ROUNDS` says.
pub fn rounds(usual: usize) -> usize {
    std::env::var("NBKP_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// Inode, mode, owner, names, time of the last change of any of it, and content.
pub type Told = (u64, u32, u32, u64, i64, i64, Vec<u8>);

/// All that can be told of what lies below a directory: names, files, owners, modes, times, content.
pub fn all_of(root: &Path) -> BTreeMap<PathBuf, Told> {
    let mut found = BTreeMap::new();
    let mut next = vec![root.to_owned()];
    while let Some(path) = next.pop() {
        let seen = fs::symlink_metadata(&path).unwrap();
        let content = if seen.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if seen.is_dir() {
            next.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let told = (seen.ino(), seen.mode(), seen.uid(), seen.nlink(), seen.ctime(), seen.ctime_nsec(), content);
        found.insert(path, told);
    }
    found
}

/// Puts back what was being swapped when the other user was stopped.
pub fn put_back(root: &Path) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if let Some(place) = path.to_str().and_then(|path| path.strip_suffix(".was")) {
            let _gone = fs::remove_file(place).or_else(|_| fs::remove_dir_all(place));
            fs::rename(&path, place).unwrap();
        } else if path.is_dir() && !path.is_symlink() {
            put_back(&path);
        }
    }
}

#[test]
fn whatever_is_swapped_nothing_outside_is_read_written_or_given_away() {
    let Some(ground) = Ground::new() else { return };
    everything_is_swapped(&ground, (None, None), ROUNDS);
}

#[test]
fn whatever_is_swapped_at_a_server_that_takes_copies_nothing_outside_is_read_written_or_given_away() {
    let (Some(ground), Some(server)) = (Ground::new(), Ground::server()) else { return };
    everything_is_swapped(&ground, (None, Some(&server)), ROUNDS_THERE);
}

#[test]
fn whatever_is_swapped_at_a_server_that_is_copied_nothing_outside_is_read_written_or_given_away() {
    let (Some(ground), Some(server)) = (Ground::new(), Ground::server()) else { return };
    everything_is_swapped(&ground, (Some(&server), None), ROUNDS_THERE);
}

#[test]
fn whatever_is_swapped_within_a_server_nothing_outside_is_read_written_or_given_away() {
    let (Some(ground), Some(server)) = (Ground::new(), Ground::server()) else { return };
    everything_is_swapped(&ground, (Some(&server), Some(&server)), ROUNDS_THERE);
}

fn everything_is_swapped(ground: &Ground, servers: (Option<&Sshd>, Option<&Sshd>), usual: usize) {
    let private = ground.make("private", 0o755);
    ground.make("private/deep", 0o755);
    for name in ["file", "deep/file"] {
        fs::write(private.join(name), "of root alone").unwrap();
        crate::ground::set_mode(&private.join(name), 0o600);
    }
    for name in ["theirs", "theirs/source", "theirs/source/below", "theirs/source/below/deep", "copies"] {
        ground.make_theirs(name, 0o755);
    }
    let source = ground.path("theirs/source");
    let write = |name: &str, text: &str| {
        fs::write(source.join(name), text).unwrap();
        chown(source.join(name), Some(OTHER), Some(OTHER)).unwrap();
    };
    // Some are like those outside, but for what is in them.
    let time = fs::metadata(private.join("file")).unwrap().modified().unwrap();
    for name in ["file", "below/file", "below/deep/file"] {
        write(name, "of user other");
        fs::File::options().write(true).open(source.join(name)).unwrap().set_modified(time).unwrap();
    }
    for number in 0..200 {
        write(&format!("below/{number}"), "x");
    }
    let syncs = "[syncs.mirror]\nsource = \"theirs:source\"\ndestination = \"copies:mirror\"\nguard = \"off\"\n\
         [syncs.links]\nsource = \"theirs:source\"\ndestination = \"copies:links\"\nguard = \"off\"\n\
         snapshots = \"hard-link\"\nkeep = { last = 2 }\n";
    ground.configure(&(ground.volumes(servers) + syncs));
    let socket = ground.path("root/sock");
    let ask = |words: &[&str]| ground.ask(&socket, words);
    assert_eq!(ask(&["prepare", "mirror", "links"]).code, 0);
    assert_eq!(ask(&["run", "mirror", "links"]).code, 0);
    // What root made is theirs to rename, too.
    for name in ["mirror", "links", "links/snapshots"] {
        chown(ground.path("copies").join(name), Some(OTHER), Some(OTHER)).unwrap();
    }
    let before = all_of(&private);
    let rounds = rounds(usual);
    let roots = ["theirs/source", "copies/mirror", "copies/links"].map(|name| ground.path(name));
    let paths = [&private, &roots[0], &roots[1], &roots[2]].map(|path| path.to_str().unwrap().to_owned());
    let mut good = 0;
    for round in 0..rounds {
        write("below/changed", &round.to_string());
        let arguments = [&["-c".to_owned(), MIX.to_owned()][..], &paths].concat();
        let mixer = ground.theirs("/usr/bin/python3", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let mut said = Vec::new();
        for words in [&["run", "mirror", "links"][..], &["prepare", "links"], &["prune", "links"]] {
            let answer = ask(words);
            good += usize::from(answer.code == 0);
            said.push(answer.said);
        }
        mixer.says("swapped");
        assert_eq!(all_of(&private), before, "round {round}: {said:?}");
        for (path, told) in all_of(&ground.path("copies")) {
            assert!(
                !told.6.windows(13).any(|it| it == b"of root alone"),
                "round {round}: {}: {said:?}",
                path.display()
            );
        }
        for root in ["theirs", "copies"] {
            put_back(&ground.path(root));
        }
    }
    assert!(good > 0, "nothing was done in any round");
}
