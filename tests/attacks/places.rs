//! Directories and programs that lie where another user put them.

use std::fs;

use crate::ground::{Ground, OTHER, set_mode};

/// A server behind a jump host, for which ssh gets a file.
const BEHIND_A_HOST: &str = r#"
    [ssh-endpoints.hop]
    host = "127.0.0.1"
    port = 1
    [ssh-endpoints.server]
    host = "127.0.0.1"
    port = 2
    proxy-jump = ["hop"]
    [volumes.laptop]
    path = "/usr"
    [volumes.attic]
    ssh = ["server"]
    path = "/srv"
    [syncs.docs]
    source = "laptop:share"
    destination = "attic:docs"
"#;

#[test]
fn ssh_reads_nothing_that_another_user_can_write() {
    let Some(ground) = Ground::new() else { return };
    ground.configure(BEHIND_A_HOST);
    // Where everybody makes files, where somebody else is the owner, and where what lies around is theirs.
    ground.make("open", 0o1777);
    ground.make_theirs("open/ssh", 0o777);
    ground.make_theirs("theirs", 0o755);
    ground.make_theirs("around", 0o755);
    ground.make("around/own", 0o700);
    ground.make("wide", 0o777);
    for (place, why) in [
        ("open", "belongs to another user"),
        ("theirs", "belongs to another user"),
        ("around/own", "may put another directory in its place"),
        ("wide", "may put another directory in its place"),
    ] {
        let answer = ground.ask(&ground.path(place).join("sock"), &["prepare", "docs"]);
        assert!(answer.code != 0 && answer.said.contains(why), "{place}: {answer:?}");
        let ssh = ground.path(place).join("ssh");
        assert!(fs::read_dir(&ssh).is_ok_and(|mut files| files.next().is_none()), "{place}: a file for ssh lies there");
    }
    // Root's own directory serves: then it is the server that does not answer.
    let answer = ground.ask(&ground.path("root/sock"), &["prepare", "docs"]);
    assert!(answer.said.contains("takes no connection"), "{answer:?}");
}

/// Answers whoever connects, for as long as it runs.
const LISTENER: &str = "import socket, sys\n\
    s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print('ready', flush=True)\n\
    while True:\n    c, _ = s.accept(); c.sendall(b'{\"parameters\":{}}\\0')\n";

#[test]
fn nobody_else_answers_in_the_daemons_place() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("");
    ground.make("open", 0o1777);
    ground.make_theirs("run", 0o700);
    let [planted, own] = ["open/sock", "run/sock"].map(|name| ground.path(name));
    let listen =
        |socket: &std::path::Path| ground.theirs("/usr/bin/python3", &["-c", LISTENER, socket.to_str().unwrap()]);
    let _planted = listen(&planted);
    let answer = ground.ask(&planted, &["status"]);
    assert!(answer.code == 3 && answer.said.contains(&format!("user {OTHER} answers there")), "{answer:?}");
    // Root may ask a daemon of that user where only that user can have put it.
    let _own = listen(&own);
    assert!(!ground.ask(&own, &["status"]).said.contains("answers there"));
}

#[test]
fn no_program_is_taken_from_where_another_user_could_put_it() {
    let Some(ground) = Ground::new() else { return };
    let marker = ground.make("open", 0o1777).join("caught");
    let planted = ground.make_theirs("bin", 0o755);
    // What a run confines can leave no mark: it says so, and the run fails.
    for name in ["rsync", "mine"] {
        let program = planted.join(name);
        fs::write(&program, "#!/bin/sh\necho caught >&2\nexit 9\n").unwrap();
        set_mode(&program, 0o755);
    }
    fs::create_dir_all(ground.path("root/source")).unwrap();
    fs::create_dir_all(ground.path("root/copies")).unwrap();
    fs::write(ground.path("root/source/file"), "text").unwrap();
    let root = ground.path("root");
    ground.configure(&format!(
        "[volumes.root]\npath = \"{}\"\n[syncs.docs]\nsource = \"root:source\"\ndestination = \"root:copies\"\n\
         hooks = {{ after = [\"sh\", \"-c\", \"! command -v mine || : >{}\"] }}\n",
        root.display(),
        marker.display()
    ));
    let socket = ground.path("root/sock");
    let path = format!("{}:/usr/bin:/bin", planted.display());
    let ask = |arguments: &[&str]| ground.ask_with(&socket, arguments, &[("PATH", &path)]);
    assert_eq!(ask(&["prepare", "docs"]).code, 0);
    let answer = ask(&["run", "docs"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(fs::read(ground.path("root/copies/file")).unwrap(), b"text");
    assert!(!marker.exists(), "a hook finds it");
}
