//! What rsync's end means for the copy: its exit code alone is not enough.

use crate::model::{Complaint, Complaints, FailureKind, ServerRefusal, Side, TransferEnd, Trouble};

/// What a copy is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyVerdict {
    /// All that was asked for was copied. What a person may want to know all the same.
    Good(Vec<String>),
    /// Some files could not be read; the rest is there. What is missing.
    Partial(Vec<String>),
    /// The source went away under the copy.
    SourceLost(String),
    /// rsync was asked to stop.
    Stopped,
    /// The connection or the other end was lost.
    Disconnected(String),
    /// The other end did not let it begin.
    Refused(ServerRefusal),
    /// It is not a copy.
    Failed(FailureKind, String),
}

/// Between which machines a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// On this one.
    Here,
    /// Between this one and a server, or on a server.
    Server,
}

/// So many directories may vanish in a live home directory. A source that is taken away loses more: rsync counts each
/// directory that it had not read yet as vanished, ends with 24 and deletes all the same.
const FEW: u64 = 3;

/// Judges the end of a copy. What the limit of deletions withheld is not judged here: that is the guard's.
#[must_use]
pub fn verdict(end: TransferEnd, complaints: &Complaints, distance: Distance) -> CopyVerdict {
    if let Some(refused) = &complaints.refused {
        return CopyVerdict::Refused(refused.clone());
    }
    if complaints.vanished_directories > FEW {
        let count = complaints.vanished_directories;
        return CopyVerdict::SourceLost(format!("{count} directories vanished while they were read"));
    }
    match end {
        TransferEnd::Complete | TransferEnd::Vanished | TransferEnd::DeletionLimit => complete(complaints),
        TransferEnd::Partial => partial(complaints),
        TransferEnd::Stopped if distance == Distance::Server => {
            CopyVerdict::Disconnected("rsync was stopped at the other end".into())
        }
        TransferEnd::Stopped => CopyVerdict::Stopped,
        TransferEnd::FileError => grave(complaints, FailureKind::Io, "rsync could not read or write a file"),
        TransferEnd::Connection(code) if distance == Distance::Server => disconnected(code, complaints),
        TransferEnd::Connection(code) => {
            let what = format!("rsync lost one of its processes or the connection (exit code {code})");
            grave(complaints, FailureKind::Resource, &what)
        }
        TransferEnd::Exhausted(code) => {
            let what = format!("rsync ran out of memory or processes (exit code {code})");
            grave(complaints, FailureKind::Resource, &what)
        }
        TransferEnd::Usage(code) => {
            let what = format!("rsync refused what it was asked to do (exit code {code})");
            grave(complaints, FailureKind::Usage, &what)
        }
        TransferEnd::Missing => CopyVerdict::Failed(FailureKind::ToolMissing, "rsync could not be run".into()),
        TransferEnd::Killed(signal) => {
            CopyVerdict::Failed(FailureKind::Resource, format!("rsync was killed by signal {signal}"))
        }
        TransferEnd::Unknown(code) => {
            grave(complaints, FailureKind::Other, &format!("rsync ended with the unknown exit code {code}"))
        }
    }
}

/// A server that went away is no failure, unless it said before what was wrong with its disk: a cause without a row,
/// such as a connection that was reset, is the connection's own.
fn disconnected(code: i32, complaints: &Complaints) -> CopyVerdict {
    let cause = complaints.gravest.as_ref().filter(|gravest| match gravest.trouble {
        Trouble::NoSpace | Trouble::ReadOnly | Trouble::Io | Trouble::TooManyLinks => true,
        Trouble::Permission | Trouble::Other | Trouble::Gone => false,
    });
    match (cause, &complaints.unknown) {
        (Some(cause), _) => because(cause),
        (None, _) if code == 30 || code == 35 => {
            CopyVerdict::Disconnected("the other end did not answer any more".into())
        }
        (None, Some(line)) => CopyVerdict::Disconnected(line.clone()),
        (None, None) => CopyVerdict::Disconnected(format!("rsync's exit code is {code}")),
    }
}

fn complete(complaints: &Complaints) -> CopyVerdict {
    match complaints.vanished_files.saturating_add(complaints.vanished_directories) {
        0 => CopyVerdict::Good(Vec::new()),
        count => CopyVerdict::Good(vec![format!("{count} files vanished while they were read")]),
    }
}

/// Exit code 23: good for what could be read only if permission is all that was wanting.
fn partial(complaints: &Complaints) -> CopyVerdict {
    if let Some(gravest) = &complaints.gravest {
        return because(gravest);
    }
    let denied = complaints.unreadable.saturating_add(complaints.forbidden);
    if denied > 0 {
        let mut missing = Vec::new();
        if complaints.unreadable > 0 {
            missing.push(format!("{} files or directories could not be read and are missing", complaints.unreadable));
        }
        if complaints.forbidden > 0 {
            missing.push(format!("{} attributes or files were not permitted at the destination", complaints.forbidden));
        }
        missing.extend(complaints.examples.iter().cloned());
        return CopyVerdict::Partial(missing);
    }
    if complaints.withheld > 0 || complaints.in_the_way > 0 {
        // Something is replaced by something of another kind, which is a deletion and the guard's to judge.
        return complete(complaints);
    }
    grave(complaints, FailureKind::Other, "rsync did not copy everything and does not tell why")
}

/// Where rsync named a file and a cause, these say more than its exit code.
fn grave(complaints: &Complaints, kind: FailureKind, what: &str) -> CopyVerdict {
    match (&complaints.gravest, &complaints.unknown, complaints.examples.first()) {
        (Some(gravest), _, _) => because(gravest),
        (None, Some(line), _) => CopyVerdict::Failed(kind, format!("{what}: {line}")),
        (None, None, Some(denied)) => CopyVerdict::Failed(FailureKind::Permission, format!("{what}: {denied}")),
        (None, None, None) => CopyVerdict::Failed(kind, what.to_owned()),
    }
}

fn because(complaint: &Complaint) -> CopyVerdict {
    let kind = match complaint.trouble {
        Trouble::NoSpace => FailureKind::NoSpace,
        Trouble::ReadOnly => FailureKind::ReadOnly,
        Trouble::Io => FailureKind::Io,
        Trouble::TooManyLinks => FailureKind::Unsupported,
        Trouble::Permission => FailureKind::Permission,
        // rsync says so of the directory itself that it was told to copy; single files are "vanished".
        Trouble::Gone if complaint.side == Side::Source => return CopyVerdict::SourceLost(complaint.text.clone()),
        Trouble::Gone | Trouble::Other => FailureKind::Other,
    };
    CopyVerdict::Failed(kind, complaint.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(end: TransferEnd, complaints: &Complaints) -> CopyVerdict {
        super::verdict(end, complaints, Distance::Here)
    }

    fn complaint(side: Side, trouble: Trouble) -> Complaints {
        Complaints { gravest: Some(Complaint { side, trouble, text: "/the/file".into() }), ..Complaints::default() }
    }

    fn kind(end: TransferEnd, complaints: &Complaints) -> FailureKind {
        let CopyVerdict::Failed(kind, detail) = verdict(end, complaints) else {
            panic!("{end:?}: {:?}", verdict(end, complaints));
        };
        assert!(complaints.gravest.is_none() || detail.contains("/the/file"), "{detail}");
        kind
    }

    #[test]
    fn vanished_files_are_good_and_vanished_directories_are_not() {
        let files = Complaints { vanished_files: 2000, vanished_directories: 3, ..Complaints::default() };
        assert!(matches!(verdict(TransferEnd::Vanished, &files), CopyVerdict::Good(warnings) if warnings.len() == 1));
        let directories = Complaints { vanished_directories: 4, ..Complaints::default() };
        for end in [TransferEnd::Vanished, TransferEnd::Complete, TransferEnd::Partial] {
            assert!(matches!(verdict(end, &directories), CopyVerdict::SourceLost(_)), "{end:?}");
        }
    }

    #[test]
    fn only_want_of_permission_makes_a_partial_copy() {
        let denied = Complaints { unreadable: 2, examples: vec!["/s/x".into()], ..Complaints::default() };
        assert!(matches!(verdict(TransferEnd::Partial, &denied), CopyVerdict::Partial(missing) if missing.len() == 2));
        let mut worse = complaint(Side::Source, Trouble::Io);
        worse.unreadable = 2;
        assert_eq!(kind(TransferEnd::Partial, &worse), FailureKind::Io);
        assert_eq!(kind(TransferEnd::Partial, &Complaints::default()), FailureKind::Other);
    }

    #[test]
    fn the_cause_that_rsync_names_counts_more_than_its_code() {
        for (trouble, expected) in [
            (Trouble::NoSpace, FailureKind::NoSpace),
            (Trouble::ReadOnly, FailureKind::ReadOnly),
            (Trouble::Io, FailureKind::Io),
            (Trouble::TooManyLinks, FailureKind::Unsupported),
        ] {
            for end in [TransferEnd::FileError, TransferEnd::Partial, TransferEnd::Connection(12)] {
                assert_eq!(kind(end, &complaint(Side::Destination, trouble)), expected);
            }
        }
        let gone = complaint(Side::Source, Trouble::Gone);
        assert!(matches!(verdict(TransferEnd::Partial, &gone), CopyVerdict::SourceLost(_)));
    }

    #[test]
    fn each_end_without_complaints_has_its_remedy() {
        let none = Complaints::default();
        assert_eq!(kind(TransferEnd::Usage(1), &none), FailureKind::Usage);
        assert_eq!(kind(TransferEnd::Missing, &none), FailureKind::ToolMissing);
        assert_eq!(kind(TransferEnd::Killed(9), &none), FailureKind::Resource);
        assert_eq!(kind(TransferEnd::FileError, &none), FailureKind::Io);
        assert_eq!(verdict(TransferEnd::Stopped, &none), CopyVerdict::Stopped);
        assert_eq!(verdict(TransferEnd::Complete, &none), CopyVerdict::Good(Vec::new()));
        assert_eq!(verdict(TransferEnd::DeletionLimit, &none), CopyVerdict::Good(Vec::new()));
    }

    #[test]
    fn a_server_that_goes_away_is_no_failure_unless_its_disk_is_to_blame() {
        let far =
            |code, complaints: &Complaints| super::verdict(TransferEnd::Connection(code), complaints, Distance::Server);
        for code in [10, 12, 30, 35, 255] {
            assert!(matches!(far(code, &Complaints::default()), CopyVerdict::Disconnected(_)), "{code}");
            let reset = complaint(Side::Destination, Trouble::Other);
            assert!(matches!(far(code, &reset), CopyVerdict::Disconnected(_)), "{code}");
            for trouble in [Trouble::NoSpace, Trouble::ReadOnly, Trouble::Io] {
                let full = complaint(Side::Destination, trouble);
                assert!(matches!(far(code, &full), CopyVerdict::Failed(..)), "{code} {trouble:?}");
            }
        }
    }

    #[test]
    fn what_the_other_end_refused_counts_before_all_else() {
        let mut complaints = complaint(Side::Destination, Trouble::NoSpace);
        complaints.refused = Some(ServerRefusal::Taken("/lock".into()));
        let found = super::verdict(TransferEnd::Connection(12), &complaints, Distance::Server);
        assert_eq!(found, CopyVerdict::Refused(ServerRefusal::Taken("/lock".into())));
    }
}
