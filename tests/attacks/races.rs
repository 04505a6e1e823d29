//! What the other user swaps while root's rsync is under way.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use crate::ground::{Ground, OTHER};

/// How often each race is run.
const ROUNDS: usize = 10;

/// Waits until somebody opens the first path, and then puts a link to the second in the place of the third at once.
const SWAP: &str = "import ctypes, os, sys\n\
    watched, target, place = sys.argv[1:]\n\
    c = ctypes.CDLL(None); fd = c.inotify_init(); c.inotify_add_watch(fd, os.fsencode(watched), 0x20)\n\
    print('watching', flush=True); os.read(fd, 4096)\n\
    os.rename(place, place + '.was'); os.symlink(target, place)\n\
    print('swapped', flush=True)\n";

#[test]
fn a_source_that_becomes_a_link_shows_nothing_of_what_it_leads_to() {
    let Some(ground) = Ground::new() else { return };
    let private = ground.make("root/private", 0o700);
    fs::write(private.join("file"), "of root alone").unwrap();
    let copies = ground.make("copies", 0o755);
    let source = ground.make_theirs("theirs", 0o755);
    let below = ground.make_theirs("theirs/below", 0o755);
    let first = source.join("a-first");
    let own = |path: &Path, content: &[u8]| {
        fs::write(path, content).unwrap();
        chown(path, Some(OTHER), Some(OTHER)).unwrap();
    };
    ground.configure(&format!(
        "[volumes.theirs]\npath = \"{}\"\n[volumes.copies]\npath = \"{}\"\n\
         [syncs.docs]\nsource = \"theirs\"\ndestination = \"copies\"\nsnapshots = \"hard-link\"\n",
        source.display(),
        copies.display()
    ));
    let socket = ground.path("root/sock");
    own(&first, b"");
    assert_eq!(ground.ask(&socket, &["prepare", "docs"]).code, 0);
    for round in 0..ROUNDS {
        own(&first, &vec![u8::try_from(round).unwrap(); 30 << 20]);
        own(&below.join("file"), format!("of the user {round}").as_bytes());
        let paths = [&first, &private, &below].map(|path| path.to_str().unwrap().to_owned());
        let arguments = [&["-c".to_owned(), SWAP.to_owned()][..], &paths].concat();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let swapper = ground.theirs("/usr/bin/python3", &arguments);
        let answer = ground.ask(&socket, &["run", "docs"]);
        swapper.says("swapped");
        for copy in fs::read_dir(copies.join("snapshots")).unwrap() {
            let read = copy.unwrap().path().join("below/file");
            let text = fs::read_to_string(&read).unwrap_or_default();
            assert!(!text.contains("root"), "round {round}: {answer:?}");
        }
        fs::remove_file(&below).unwrap();
        fs::rename(ground.path("theirs/below.was"), &below).unwrap();
    }
}
