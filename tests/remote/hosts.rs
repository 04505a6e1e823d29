//! Servers that are not like this machine: other login shells, start files that do as they like, other programs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::ground::{At, Ground, remote};
use crate::needs_root;
use crate::shell::sh;
use crate::sshd::Sshd;
use nbkp::model::{Conclusion, FailureKind, Obstacle, SnapshotKind};

const KINDS: [SnapshotKind; 2] = [SnapshotKind::None, SnapshotKind::HardLink];

fn ground(server: Sshd, ways: (At, At), kind: SnapshotKind) -> Ground {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("it-is_the root!");
    fs::create_dir(&root).unwrap();
    Ground::onto(server, place, ways, &root, kind)
}

/// A start file of the account at the server.
fn start_file(ground: &Ground, name: &str, text: &str) {
    fs::write(ground.server.file("home").join(name), text).unwrap();
}

/// A program that the account at the server finds first.
fn program(ground: &Ground, name: &str, text: &str) {
    let programs = ground.server.file("programs");
    fs::create_dir_all(&programs).unwrap();
    let path = programs.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    start_file(ground, ".bashrc", &format!("PATH={}:$PATH\n", programs.display()));
}

/// rsync of this version, which refuses what that version refused.
fn rsync_of(ground: &Ground, version: &str) {
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in\n\
         *' -@'*) echo 'rsync: on remote machine: -@-1: unknown option' >&2; exit 1 ;;\n\
         *' --version '*) echo 'rsync  version {version}  protocol version 31'; exit 0 ;;\n\
         esac\nexec {} \"$@\"\n",
        sh("command -v rsync")
    );
    program(ground, "rsync", &text);
}

#[track_caller]
fn copies(ground: &mut Ground) {
    const NAME: &str = "it's a file!\n$x";
    for content in ["one", "and two"] {
        ground.write(NAME, content);
        let report = ground.run();
        assert_eq!(report.conclusion, Conclusion::Ok, "{report:?}");
    }
    assert_eq!(fs::read_to_string(ground.newest().join(NAME)).unwrap(), "and two");
}

#[test]
fn any_login_shell_will_do() {
    if !needs_root() {
        return;
    }
    for kind in KINDS {
        for ways in [(At::Here, At::Server), (At::Server, At::Here), (At::Server, At::Server)] {
            copies(&mut ground(Sshd::of_shell("tcsh"), ways, kind));
        }
    }
}

#[test]
fn the_timeout_of_busybox_does_not_keep_the_lock() {
    if !needs_root() {
        return;
    }
    for kind in KINDS {
        let mut ground = ground(Sshd::of_shell("bash"), (At::Here, At::Server), kind);
        program(&ground, "timeout", "#!/bin/sh\nexec busybox timeout \"$@\"\n");
        copies(&mut ground);
    }
}

#[test]
fn what_a_step_leaves_behind_for_a_moment_is_waited_for() {
    if !needs_root() {
        return;
    }
    let mut ground = ground(Sshd::of_shell("bash"), (At::Here, At::Server), SnapshotKind::None);
    let real = sh("command -v rsync");
    program(&ground, "rsync", &format!("#!/bin/sh\nsleep 2 </dev/null >/dev/null 2>&1 &\nexec {real} \"$@\"\n"));
    copies(&mut ground);
}

#[test]
fn rsync_of_an_older_system_is_told_what_it_understands() {
    if !needs_root() {
        return;
    }
    for kind in KINDS {
        let mut ground = ground(Sshd::of_shell("bash"), (At::Here, At::Server), kind);
        rsync_of(&ground, "3.1.2");
        copies(&mut ground);
    }
}

#[test]
fn rsync_that_is_too_old_is_named_with_its_server() {
    if !needs_root() {
        return;
    }
    for (ways, volume) in [((At::Here, At::Server), "nas"), ((At::Server, At::Here), "laptop")] {
        let mut ground = ground(Sshd::of_shell("bash"), ways, SnapshotKind::None);
        rsync_of(&ground, "3.0.9");
        ground.write("file", "x");
        let Conclusion::Skipped(obstacles) = ground.run().conclusion else { panic!("it was used") };
        assert_eq!(obstacles[0].code().as_str(), "tool-outdated");
        assert!(matches!(&obstacles[..], [Obstacle::ToolOutdated { server, .. }] if server.as_str() == volume));
    }
}

#[test]
fn what_answers_instead_of_rsync_is_a_failure_and_no_lost_connection() {
    if !needs_root() {
        return;
    }
    let mut ground = ground(Sshd::of_shell("bash"), (At::Here, At::Server), SnapshotKind::None);
    ground.write("file", "x");
    let version = "case \" $* \" in *' --version '*) echo 'rsync  version 3.2.7  protocol version 31'; exit 0 ;; esac";
    for (instead, expected) in [
        ("echo 'This account is not available.' >&2; exit 1", "not available"),
        ("echo Welcome, all of you", "print nothing"),
    ] {
        program(&ground, "rsync", &format!("#!/bin/sh\n{version}\n{instead}\n"));
        match ground.run().conclusion {
            Conclusion::Failed(failure) => {
                assert_eq!(failure.kind, FailureKind::Usage, "{failure:?}");
                assert!(failure.detail.contains(expected), "{failure:?}");
            }
            other => panic!("{instead}: {other:?}"),
        }
    }
}

#[test]
fn start_files_change_nothing_about_what_is_meant() {
    if !needs_root() {
        return;
    }
    // Each of these ends rsync if it gets there.
    for (shell, file, variable) in [
        ("bash", ".bashrc", "export RSYNC_CHECKSUM_LIST=nonesuch"),
        ("bash", ".bashrc", "export RSYNC_MAX_ALLOC=1"),
        ("tcsh", ".cshrc", "setenv RSYNC_CHECKSUM_LIST nonesuch"),
    ] {
        let mut ground = ground(Sshd::of_shell(shell), (At::Here, At::Server), SnapshotKind::None);
        start_file(&ground, file, &format!("cd /tmp\n{variable}\n"));
        start_file(&ground, ".popt", "rsync alias --server --server --dry-run\n");
        let root = ground.destination.parent().unwrap().to_owned();
        let home = ground.server.file("home");
        std::os::unix::fs::symlink(&root, home.join("place")).unwrap();
        remote(&mut ground.job.destination).root = Path::new("place").into();
        copies(&mut ground);
    }
}

#[test]
fn start_files_that_print_are_told_with_what_mends_it() {
    if !needs_root() {
        return;
    }
    for (shell, file, noise) in [
        ("bash", ".bashrc", "echo Welcome to this host"),
        ("bash", ".bashrc", "printf 'nbkp'"),
        ("tcsh", ".cshrc", "echo Welcome to this host"),
    ] {
        let mut ground = ground(Sshd::of_shell(shell), (At::Here, At::Server), SnapshotKind::None);
        ground.write("file", "x");
        start_file(&ground, file, noise);
        let Conclusion::Skipped(obstacles) = ground.run().conclusion else { panic!("{noise}: it was used") };
        let hint = obstacles[0].hint(&"documents".parse().unwrap());
        assert!(hint.contains("ssh"), "{noise}: {} ({hint})", obstacles[0]);
        assert_eq!(obstacles[0].code().as_str(), "tool-missing");
        // What it says on standard error is nobody's answer.
        start_file(&ground, file, "sh -c 'echo Welcome >&2'\n");
        copies(&mut ground);
    }
}

#[test]
fn one_session_a_connection_is_a_failure_with_its_remedy() {
    if !needs_root() {
        return;
    }
    let mut ground = ground(Sshd::with("MaxSessions 1"), (At::Here, At::Server), SnapshotKind::None);
    ground.write("file", "x");
    match ground.run().conclusion {
        Conclusion::Failed(failure) => assert!(failure.detail.contains("MaxSessions"), "{failure:?}"),
        other => panic!("{other:?}"),
    }
}
