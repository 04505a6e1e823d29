//! What rsync's end means for the copy: its exit code alone is not enough.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::decide::plights;
use crate::model::{Complaint, Complaints, Deleting, FailureKind, Plight, ServerRefusal, Side, TransferEnd, Trouble};

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

/// Judges the end of a copy. What the limit of deletions withheld is not judged here: that is the guard's.
#[must_use]
pub fn verdict(end: TransferEnd, complaints: &Complaints, distance: Distance) -> CopyVerdict {
    if let Some(refused) = &complaints.refused {
        return CopyVerdict::Refused(refused.clone());
    }
    match end {
        TransferEnd::Complete | TransferEnd::Vanished | TransferEnd::DeletionLimit => copied(complaints),
        TransferEnd::Partial => partial(complaints, distance),
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
            let what = format!("rsync ran out of memory, or one of its processes was killed (exit code {code})");
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
        Trouble::NoSpace | Trouble::ReadOnly | Trouble::Io => true,
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

/// What was not to be read, and what the destination cannot hold, is missing from a copy that is good otherwise. What
/// could not be written or deleted there makes it none.
fn copied(complaints: &Complaints) -> CopyVerdict {
    for plight in [Plight::Unwritten, Plight::Undeleted] {
        if let Some(named) = complaints.entries.get(&plight) {
            return CopyVerdict::Failed(FailureKind::Permission, plights::told(plight, named));
        }
    }
    let (mut missing, mut remarks) = (Vec::new(), Vec::new());
    for (plight, named) in &complaints.entries {
        let to = if plights::is_missing(*plight) { &mut missing } else { &mut remarks };
        to.push(plights::told(*plight, named));
    }
    if missing.is_empty() {
        return CopyVerdict::Good(remarks);
    }
    missing.append(&mut remarks);
    CopyVerdict::Partial(missing)
}

/// Exit code 23: good for what could be copied if single entries are all that was wanting.
fn partial(complaints: &Complaints, distance: Distance) -> CopyVerdict {
    if let Some(gravest) = &complaints.gravest {
        return because(gravest);
    }
    // At a server a shell may have remarked it.
    let of_rsync = |line: &&String| distance == Distance::Here || Complaints::is_of_rsync(line);
    let unexplained = complaints.unknown.as_ref().filter(of_rsync);
    if !complaints.entries.is_empty() || complaints.withheld > 0 || complaints.in_the_way > 0 {
        // Something is replaced by something of another kind, which is a deletion and the guard's to judge.
        return match (copied(complaints), unexplained) {
            (CopyVerdict::Good(told) | CopyVerdict::Partial(told), Some(line)) => {
                let wanting = format!("rsync did not copy everything: {line}");
                CopyVerdict::Partial([vec![wanting], told].concat())
            }
            (verdict, _) => verdict,
        };
    }
    grave(complaints, FailureKind::Other, "rsync did not copy everything and does not tell why")
}

/// What is to be done about deletions that rsync gave up because it could not look at all of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletionVerdict {
    /// Nothing: it gave up none.
    Done,
    /// It is called again and passes over these entries, at both ends, so that it can delete what else is to go.
    Again(BTreeSet<PathBuf>),
    /// They stay undone, since not all that it could not look at has a name.
    Undone,
}

/// What rsync left undone because of something else.
#[must_use]
pub fn deletions(complaints: &Complaints) -> DeletionVerdict {
    match complaints.deleting {
        Deleting::Done => DeletionVerdict::Done,
        Deleting::GivenUp if complaints.obscured.more == 0 && !complaints.obscured.paths.is_empty() => {
            DeletionVerdict::Again(complaints.obscured.paths.clone())
        }
        Deleting::GivenUp => DeletionVerdict::Undone,
    }
}

/// What is told of deletions that stay undone.
pub const UNDONE: &str = "nothing was deleted at the destination, because not all of the source could be looked at: \
    what is gone at the source is still in the copy";

/// Where rsync named a file and a cause, these say more than its exit code.
fn grave(complaints: &Complaints, kind: FailureKind, what: &str) -> CopyVerdict {
    match (&complaints.gravest, &complaints.unknown, complaints.entries.last_key_value()) {
        (Some(gravest), _, _) => because(gravest),
        (None, Some(line), _) => CopyVerdict::Failed(kind, format!("{what}: {line}")),
        (None, None, Some((plight, named))) => {
            let kind = match plight {
                Plight::Unstorable(_) => FailureKind::Unsupported,
                Plight::Unreadable | Plight::Unwritten | Plight::Undeleted => FailureKind::Permission,
                Plight::Changed | Plight::Dangling | Plight::LeftOut | Plight::Stripped => kind,
            };
            CopyVerdict::Failed(kind, format!("{what}: {}", plights::told(*plight, named)))
        }
        (None, None, None) => CopyVerdict::Failed(kind, what.to_owned()),
    }
}

fn because(complaint: &Complaint) -> CopyVerdict {
    let kind = match complaint.trouble {
        Trouble::NoSpace => FailureKind::NoSpace,
        Trouble::ReadOnly => FailureKind::ReadOnly,
        Trouble::Io => FailureKind::Io,
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
    use crate::model::Lack;

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

    fn of(plights: &[Plight]) -> Complaints {
        let mut complaints = Complaints::default();
        for plight in plights {
            complaints.entries.entry(*plight).or_default().add("dir/name".into());
        }
        complaints
    }

    #[test]
    fn a_busy_home_is_good_however_much_of_it_vanishes() {
        let mut busy = Complaints::default();
        for number in 0..2000 {
            busy.entries.entry(Plight::Changed).or_default().add(format!("cache/{number}"));
        }
        for end in [TransferEnd::Vanished, TransferEnd::Complete, TransferEnd::Partial] {
            let CopyVerdict::Good(remarks) = verdict(end, &busy) else { panic!("{end:?}") };
            assert!(remarks.concat().contains("2000 files") && remarks.concat().contains("cache/0"), "{remarks:?}");
        }
    }

    #[test]
    fn single_entries_make_a_partial_copy_or_a_good_one_and_are_named() {
        for plight in [Plight::Unreadable, Plight::Unstorable(Lack::Name), Plight::Unstorable(Lack::Case)] {
            for end in [TransferEnd::Partial, TransferEnd::Complete] {
                let CopyVerdict::Partial(missing) = verdict(end, &of(&[plight, Plight::Changed])) else {
                    panic!("{plight:?}")
                };
                assert!(missing.len() == 2 && missing[0].contains("dir/name"), "{missing:?}");
            }
        }
        let whole = [Plight::Stripped, Plight::LeftOut, Plight::Dangling];
        assert!(matches!(verdict(TransferEnd::Partial, &of(&whole)), CopyVerdict::Good(remarks) if remarks.len() == 3));
        let mut worse = complaint(Side::Source, Trouble::Io);
        worse.entries = of(&[Plight::Unreadable]).entries;
        assert_eq!(kind(TransferEnd::Partial, &worse), FailureKind::Io);
        assert_eq!(kind(TransferEnd::Partial, &Complaints::default()), FailureKind::Other);
    }

    #[test]
    fn what_nobody_explains_is_a_gap_whatever_else_was_told() {
        for (distance, line, is_partial) in [
            (Distance::Here, "odd words", true),
            (Distance::Server, "rsync: odd words", true),
            (Distance::Server, "[sender] odd words", true),
            (Distance::Server, "bash: warning: setlocale", false),
        ] {
            let mut complaints = of(&[Plight::Changed]);
            complaints.unknown = Some(line.into());
            let found = super::verdict(TransferEnd::Partial, &complaints, distance);
            if let CopyVerdict::Partial(missing) = &found {
                assert!(is_partial && missing[0].ends_with(line), "{missing:?}");
            } else {
                assert!(!is_partial && matches!(found, CopyVerdict::Good(_)), "{found:?}");
            }
        }
        let mut complaints = of(&[Plight::Unwritten]);
        complaints.unknown = Some("odd words".into());
        assert_eq!(kind(TransferEnd::Partial, &complaints), FailureKind::Permission);
    }

    #[test]
    fn what_could_not_be_written_is_never_a_copy() {
        for plight in [Plight::Unwritten, Plight::Undeleted] {
            let both = of(&[Plight::Unreadable, plight, Plight::Stripped]);
            assert_eq!(kind(TransferEnd::Partial, &both), FailureKind::Permission);
        }
    }

    #[test]
    fn deletions_that_were_given_up_are_made_past_what_could_not_be_looked_at() {
        let mut complaints = of(&[Plight::Unreadable]);
        assert_eq!(deletions(&complaints), DeletionVerdict::Done);
        complaints.deleting = Deleting::GivenUp;
        assert_eq!(deletions(&complaints), DeletionVerdict::Undone);
        complaints.obscured.paths.insert("private".into());
        assert_eq!(deletions(&complaints), DeletionVerdict::Again(["private".into()].into()));
        complaints.obscured.more = 1;
        assert_eq!(deletions(&complaints), DeletionVerdict::Undone);
    }

    #[test]
    fn the_cause_that_rsync_names_counts_more_than_its_code() {
        for (trouble, expected) in [
            (Trouble::NoSpace, FailureKind::NoSpace),
            (Trouble::ReadOnly, FailureKind::ReadOnly),
            (Trouble::Io, FailureKind::Io),
            (Trouble::Permission, FailureKind::Permission),
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
        assert_eq!(kind(TransferEnd::FileError, &of(&[Plight::Unstorable(Lack::Size)])), FailureKind::Unsupported);
        assert_eq!(verdict(TransferEnd::Stopped, &none), CopyVerdict::Stopped);
        assert_eq!(verdict(TransferEnd::Complete, &none), CopyVerdict::Good(Vec::new()));
        assert_eq!(verdict(TransferEnd::DeletionLimit, &none), CopyVerdict::Good(Vec::new()));
    }

    #[test]
    fn rsync_that_is_ended_at_a_server_goes_on_by_itself() {
        let found = super::verdict(TransferEnd::Stopped, &Complaints::default(), Distance::Server);
        assert!(matches!(found, CopyVerdict::Disconnected(_)), "{found:?}");
        assert_eq!(kind(TransferEnd::Exhausted(22), &Complaints::default()), FailureKind::Resource);
        assert_eq!(kind(TransferEnd::Unknown(99), &Complaints::default()), FailureKind::Other);
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
