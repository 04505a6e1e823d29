//! Landlock: what a run may write, and what its copy may read.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetStatus,
};

/// How far a thread is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// The thread and all that it starts come to nothing else.
    Full,
    /// The kernel cannot confine (it has no Landlock, or it is switched off).
    None,
}

/// Why a run could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The kernel has Landlock and refused.
    #[error("confine a run to its source and destination")]
    Refused(#[from] landlock::RulesetError),
}

/// Confines the calling thread, and whatever it starts from now on, to writing beneath the directory `root` and to
/// `/dev/null`. Reading and executing stay as they are: a backup reads everything. It cannot be undone.
///
/// The process sees it for this thread only, so each run has a thread of its own. It also sets `no_new_privs`.
pub fn confine_writes(root: BorrowedFd<'_>) -> Result<Confinement, ConfineError> {
    confine(Some(root))
}

/// The same for who writes nowhere on this machine: only `/dev/null` is left.
pub fn confine_to_nothing() -> Result<Confinement, ConfineError> {
    confine(None)
}

/// What rsync and ssh read beside the files that they copy: programs and libraries, who the users are, and chance. None
/// of it is secret.
pub(super) const NEEDED: [&str; 33] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/etc/alternatives",
    "/etc/crypto-policies",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki/tls/openssl.cnf",
    "/etc/resolv.conf",
    "/etc/ssl/openssl.cnf",
    "/etc/userdb",
    "/run/nscd",
    "/run/systemd/userdb",
    "/run/userdb",
    "/var/lib/sss/mc",
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];

/// What a copy may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhatIsRead {
    /// What is copied, where it is copied to, and what every program reads.
    TheseAlone,
    /// All: a person has links followed, wherever they lead.
    Everything,
}

/// Confines the calling thread, and whatever it starts from now on: to reading beneath the source and the destination,
/// these programs, which may be scripts, and what every program reads; to writing beneath the destination and the
/// `scratch`. What a path leads to counts: a link that is put in the place of a directory leads nowhere. It cannot be
/// undone.
pub(super) fn confine_copy(
    (source, destination, scratch): (Option<BorrowedFd<'_>>, Option<BorrowedFd<'_>>, Option<BorrowedFd<'_>>),
    programs: &[PathBuf],
    reading: WhatIsRead,
) -> Result<Confinement, ConfineError> {
    let (read, write) = (AccessFs::ReadFile | AccessFs::ReadDir, writing());
    let (read, handled) = match reading {
        WhatIsRead::TheseAlone => (Some(read), read | write),
        WhatIsRead::Everything => (None, write),
    };
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(handled)?.create()?;
    for written in [destination, scratch].into_iter().flatten() {
        rules = rules.add_rule(PathBeneath::new(written, handled))?;
    }
    if let (Some(source), Some(read)) = (source, read) {
        rules = rules.add_rule(PathBeneath::new(source, read))?;
    }
    if let Ok(null) = PathFd::new("/dev/null") {
        rules = rules.add_rule(PathBeneath::new(null, AccessFs::WriteFile | AccessFs::Truncate))?;
    }
    if let Some(read) = read {
        for path in NEEDED.map(Path::new).into_iter().chain(programs.iter().map(PathBuf::as_path)) {
            // Not every machine has all of them.
            let Ok(file) = PathFd::new(path) else { continue };
            let rights = if path.is_dir() { read } else { AccessFs::ReadFile.into() };
            rules = rules.add_rule(PathBeneath::new(file, rights))?;
        }
    }
    enforce(rules)
}

fn confine(root: Option<BorrowedFd<'_>>) -> Result<Confinement, ConfineError> {
    let writing = writing();
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(writing)?.create()?;
    if let Some(root) = root {
        rules = rules.add_rule(PathBeneath::new(root, writing))?;
    }
    if let Ok(null) = PathFd::new("/dev/null") {
        rules = rules.add_rule(PathBeneath::new(null, AccessFs::WriteFile | AccessFs::Truncate))?;
    }
    enforce(rules)
}

fn enforce(rules: RulesetCreated) -> Result<Confinement, ConfineError> {
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Confinement::Full,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

/// All rights to write, but not that to use the ioctls of devices: those of terminals and the like harm nothing.
fn writing() -> BitFlags<AccessFs> {
    let mut rights = AccessFs::from_write(ABI::V5);
    rights.remove(AccessFs::IoctlDev);
    rights
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_confined_thread_writes_only_beneath_its_root() {
        let inside = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("file");
        std::fs::write(&secret, "kept").unwrap();
        let (within, without) = (inside.path().to_owned(), secret.clone());
        std::thread::spawn(move || {
            let root = std::fs::File::open(&within).unwrap();
            if confine_writes(root.as_fd()).unwrap() == Confinement::None {
                eprintln!("skipped: this kernel has no Landlock");
                return;
            }
            std::fs::write(within.join("file"), "x").unwrap();
            std::fs::write("/dev/null", "x").unwrap();
            assert_eq!(std::fs::read(&without).unwrap(), b"kept");
            for refused in [
                std::fs::write(&without, "x"),
                std::fs::remove_file(&without),
                std::fs::rename(within.join("file"), without.with_file_name("moved")),
            ] {
                assert!(refused.is_err());
            }
        })
        .join()
        .unwrap();
        // The rest of the process is as free as before.
        std::fs::write(&secret, "changed").unwrap();
    }

    #[test]
    fn a_confined_thread_reads_only_beneath_its_roots_whatever_leads_elsewhere() {
        let [inside, outside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for place in [&inside, &outside] {
            std::fs::write(place.path().join("file"), "text").unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        let (within, without) = (inside.path().to_owned(), outside.path().to_owned());
        std::thread::spawn(move || {
            let root = std::fs::File::open(&within).unwrap();
            let ends = (None, Some(root.as_fd()), None);
            if confine_copy(ends, &["/bin/sh".into()], WhatIsRead::TheseAlone).unwrap() == Confinement::None {
                eprintln!("skipped: this kernel has no Landlock");
                return;
            }
            assert_eq!(std::fs::read(within.join("file")).unwrap(), b"text");
            assert!(std::fs::read_dir(&within).is_ok() && std::fs::read("/etc/passwd").is_ok());
            std::fs::create_dir(within.join("below")).unwrap();
            std::fs::hard_link(within.join("file"), within.join("below/linked")).unwrap();
            for refused in [within.join("link/file"), without.join("file"), "/etc/fstab".into(), "/etc/hostname".into()]
            {
                let refused = std::fs::read(refused).map(drop).map_err(|error| error.kind());
                assert!(matches!(refused, Err(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::NotFound)));
            }
            assert!(std::fs::read_dir(within.join("link")).is_err() && std::fs::read_dir(&without).is_err());
        })
        .join()
        .unwrap();
        assert!(std::fs::read(inside.path().join("link/file")).is_ok());
    }
}
