//! Landlock: what a run may write.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus,
};

/// How far writing is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// The thread and all that it starts write nowhere else.
    Full,
    /// The kernel cannot confine (it has no Landlock, or it is switched off).
    None,
}

/// Why writing could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The kernel has Landlock and refused.
    #[error("confine writing to the destination")]
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

fn confine(root: Option<BorrowedFd<'_>>) -> Result<Confinement, ConfineError> {
    let writing = writing();
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(writing)?.create()?;
    if let Some(root) = root {
        rules = rules.add_rule(PathBeneath::new(root, writing))?;
    }
    if let Ok(null) = PathFd::new("/dev/null") {
        rules = rules.add_rule(PathBeneath::new(null, AccessFs::WriteFile | AccessFs::Truncate))?;
    }
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
}
