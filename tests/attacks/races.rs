//! What the other user swaps while root's rsync is under way, here and at a server that root enters.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use crate::ground::{Ground, OTHER, set_mode};
use crate::sshd::Sshd;

/// How often each race is run here.
const ROUNDS: usize = 10;
/// And where a server is part of it: each round is made certain.
const ROUNDS_THERE: usize = 3;

/// Waits until somebody opens the third path, behind `rsync` until a process of that name is there that is the server
/// of another if the next word says so; then puts a link to the first in the place of the second at once.
const SWAP: &str = "import ctypes, os, sys\n\
    target, place, watched = sys.argv[1:4]; c = ctypes.CDLL(None); fd = c.inotify_init()\n\
    def runs(process):\n\
    \x20   try:\n\
    \x20       words = process.isdigit() and open('/proc/' + process + '/cmdline', 'rb').read().split(b'\\0')\n\
    \x20       if not words or open('/proc/' + process + '/comm').read() != 'rsync\\n': return False\n\
    \x20       return b'--version' not in words and (len(sys.argv) < 6 or b'--server' in words)\n\
    \x20   except OSError: return False\n\
    running = lambda: set(filter(runs, os.listdir('/proc')))\n\
    if sys.argv[4:]:\n\
    \x20   before = running(); print('watching', flush=True)\n\
    \x20   while running() <= before: pass\n\
    \x20   c.inotify_add_watch(fd, os.fsencode(watched), 0x20)\n\
    else: c.inotify_add_watch(fd, os.fsencode(watched), 0x20); print('watching', flush=True)\n\
    os.read(fd, 4096)\n\
    os.rename(place, place + '.was'); os.symlink(target, place)\n\
    print('swapped', flush=True)\n";

#[test]
fn a_source_that_becomes_a_link_shows_nothing_of_what_it_leads_to() {
    let Some(ground) = Ground::new() else { return };
    source_is_swapped(&ground, (None, None), ROUNDS);
}

#[test]
fn a_source_at_a_server_that_becomes_a_link_shows_nothing_of_what_it_leads_to() {
    let (Some(ground), Some(server)) = (Ground::new(), Ground::server()) else { return };
    source_is_swapped(&ground, (Some(&server), None), ROUNDS_THERE);
}

#[test]
fn a_source_that_is_copied_within_a_server_shows_nothing_of_what_it_leads_to() {
    let (Some(ground), Some(server)) = (Ground::new(), Ground::server()) else { return };
    source_is_swapped(&ground, (Some(&server), Some(&server)), ROUNDS_THERE);
}

fn source_is_swapped(ground: &Ground, servers: (Option<&Sshd>, Option<&Sshd>), rounds: usize) {
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
    let sync = "[syncs.docs]\nsource = \"theirs\"\ndestination = \"copies\"\nsnapshots = \"hard-link\"\n";
    ground.configure(&(ground.volumes(servers) + sync));
    let socket = ground.path("root/sock");
    own(&first, b"");
    assert_eq!(ground.ask(&socket, &["prepare", "docs"]).code, 0);
    for round in 0..rounds {
        own(&first, &vec![u8::try_from(round).unwrap(); 30 << 20]);
        own(&below.join("file"), format!("of the user {round}").as_bytes());
        let paths = [&private, &below, &first].map(|path| path.to_str().unwrap().to_owned());
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

#[test]
fn a_destination_that_becomes_a_link_gives_nothing_of_what_it_leads_to_away() {
    let Some(ground) = Ground::new() else { return };
    destination_is_swapped(&ground, (None, None));
}

#[test]
fn a_destination_at_a_server_that_becomes_a_link_gives_nothing_away_and_takes_nothing() {
    let (Some(ground), Some(server)) = (Ground::new(), Ground::server()) else { return };
    destination_is_swapped(&ground, (None, Some(&server)));
}

#[test]
fn a_destination_of_a_copy_within_a_server_that_becomes_a_link_gives_nothing_away_and_takes_nothing() {
    let (Some(ground), Some(server)) = (Ground::new(), Ground::server()) else { return };
    destination_is_swapped(&ground, (Some(&server), Some(&server)));
}

fn destination_is_swapped(ground: &Ground, servers: (Option<&Sshd>, Option<&Sshd>)) {
    let private = ground.make("root/private", 0o755);
    let around = ground.make("copies", 0o755);
    ground.make_theirs("theirs", 0o755);
    let below = ground.make_theirs("theirs/below", 0o755);
    let own = |path: &Path| {
        fs::write(path, "12345").unwrap();
        chown(path, Some(OTHER), Some(OTHER)).unwrap();
        set_mode(path, 0o644);
    };
    // rsync is in the directory for a while before it comes to the last of these.
    (0..1500).for_each(|number| own(&below.join(format!("a{number:05}"))));
    own(&below.join("zz"));
    let kept = private.join("zz");
    fs::write(&kept, "54321").unwrap();
    set_mode(&kept, 0o600);
    // It passes for unchanged, but for its owner and mode.
    let time = fs::metadata(below.join("zz")).unwrap().modified().unwrap();
    fs::File::options().write(true).open(&kept).unwrap().set_modified(time).unwrap();
    let sync = "[syncs.docs]\nsource = \"theirs\"\ndestination = \"copies:theirs\"\nguard = \"off\"\n";
    ground.configure(&(ground.volumes(servers) + sync));
    let socket = ground.path("root/sock");
    assert_eq!(ground.ask(&socket, &["prepare", "docs"]).code, 0);
    assert_eq!(ground.ask(&socket, &["run", "docs"]).code, 0);
    let copy = around.join("theirs/below");
    assert_eq!(fs::metadata(&copy).unwrap().uid(), OTHER, "the copy is not theirs to swap");
    for round in 0..ROUNDS_THERE {
        (0..500).for_each(|number| own(&below.join(format!("new-{round}-{number:05}"))));
        // rsync lists it, and goes through its files by name.
        let [target, place] = [&private, &copy].map(|path| path.to_str().unwrap());
        let arguments = ["-c", SWAP, target, place, place, "rsync", "--server"];
        // Within one machine none is the server of the other.
        let is_one = servers.0.is_some() == servers.1.is_some();
        let swapper = ground.theirs("/usr/bin/python3", if is_one { &arguments[..6] } else { &arguments });
        let answer = ground.ask(&socket, &["run", "docs"]);
        swapper.says("swapped");
        assert_eq!(fs::read_dir(&private).unwrap().count(), 1, "round {round}: {answer:?}");
        let found = fs::metadata(&kept).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o600), "round {round}: {answer:?}");
        assert_eq!(fs::read(&kept).unwrap(), b"54321");
        let was = around.join("theirs/below.was");
        let _gone = fs::remove_file(&copy).or_else(|_| fs::remove_dir_all(&copy));
        // A mirror deletes what the source does not hold.
        let _gone_already = fs::rename(&was, &copy);
        let answer = ground.ask(&socket, &["run", "docs"]);
        assert_eq!(answer.code, 0, "round {round}: {answer:?}");
        assert_eq!(fs::metadata(copy.join("zz")).unwrap().uid(), OTHER);
    }
}
