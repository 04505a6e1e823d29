//! From what a server answered to how a run ends.

use crate::backup::failure::failure;
use crate::formats::ssh::answers::{LastWord, kind, shown};
use crate::model::{
    Absence, End, Failure, FailureKind, Interruption, NotDone, Obstacle, Place, SentinelFault, ServerRefusal, Step,
};
use crate::os::ssh::Said;

/// A failure of this machine to listen to a connection.
pub(crate) fn local(cause: &std::io::Error) -> NotDone {
    failure(Step::Prove, FailureKind::Resource, format!("could not listen to a connection: {cause}"))
}

/// A server where a run cannot do several things over its connection. It does not mend itself.
pub(crate) fn one_session(host: &str) -> NotDone {
    let mend = "set `MaxSessions 10` in its `sshd_config`";
    let what = format!("{host} admits one session a connection, and a run needs several; {mend}");
    failure(Step::Prove, FailureKind::Network, what)
}

/// What stands in the way of one end, as `look.sh` named it.
pub(crate) fn obstacle(host: &str, (end, place): (End, &Place), found: &LastWord) -> NotDone {
    let text = format!("{host}:{}", found.text);
    let sentinel = |fault| Obstacle::Sentinel { end, path: text.clone().into(), fault };
    let volume = place.volume.clone();
    let obstacle = match found.word.as_str() {
        "no-root" => Obstacle::VolumeAbsent { end, volume, absence: Absence::NoDirectory(text.into()) },
        "no-directory" => {
            let (path, reason) = found.text.split_once(": ").unwrap_or((&found.text, "it is not there"));
            Obstacle::DirectoryMissing { end, path: format!("{host}:{path}").into(), reason: reason.into() }
        }
        "missing" => sentinel(SentinelFault::Missing),
        "odd" => sentinel(SentinelFault::Unusable("it is not a regular file".into())),
        "unreadable" if found.text.contains("/.nbkp-") => {
            sentinel(SentinelFault::Unusable("it may not be read".into()))
        }
        "unreadable" => {
            let absence = Absence::Unreadable(text.into(), "it may not be entered".into());
            Obstacle::VolumeAbsent { end, volume, absence }
        }
        "read-only" => Obstacle::ReadOnly { volume, root: text.into() },
        "taken" => Obstacle::LockTaken { path: text.into() },
        _ => return ended(host, Step::Prove, found),
    };
    NotDone::Skipped(vec![obstacle])
}

/// Why a later script did not come to its end.
pub(crate) fn ended(host: &str, at: Step, found: &LastWord) -> NotDone {
    let text = format!("{host}: {}", found.text);
    match found.word.as_str() {
        "taken" => NotDone::Skipped(vec![Obstacle::LockTaken { path: format!("{host}:{}", found.text).into() }]),
        "lost" => NotDone::Interrupted(Interruption::DestinationLost(text)),
        "superseded" => NotDone::Interrupted(Interruption::DestinationLost(text)),
        "impostor" => {
            let what = format!("{host}:{} is not what it should be, which is not followed", found.text);
            failure(at, FailureKind::Hostile, what)
        }
        _ => failure(at, kind(&found.text), text),
    }
}

/// What a script says that ended by itself, without one of our words: the shell gave up.
pub(crate) fn gave_up(host: &str, at: Step, said: &Said) -> NotDone {
    let words = shown(&said.errors);
    failure(at, kind(&words), format!("{host}: the shell there gave up (exit code {}): {}", said.code, words.trim()))
}

/// What the other end refused before rsync began.
pub(crate) fn refused(host: &str, refused: &ServerRefusal, reading: End) -> NotDone {
    match refused {
        ServerRefusal::Taken(path) => {
            NotDone::Skipped(vec![Obstacle::LockTaken { path: format!("{host}:{path}").into() }])
        }
        ServerRefusal::Lost(what) | ServerRefusal::Superseded(what) => {
            let what = format!("{host}: {what}");
            NotDone::Interrupted(match reading {
                End::Source => Interruption::SourceLost(what),
                End::Destination => Interruption::DestinationLost(what),
            })
        }
        ServerRefusal::NoTool(tool) => {
            let detail = format!("the program `{tool}` is missing on {host}");
            NotDone::Failed(Failure { at: Step::Copy, kind: FailureKind::ToolMissing, detail })
        }
        ServerRefusal::Unfit(words) => {
            let what = format!("rsync cannot work with what answers on {host}, which says: {words}");
            failure(Step::Copy, FailureKind::Usage, what)
        }
        ServerRefusal::Failed(what) => failure(Step::Copy, kind(what), format!("{host}: {what}")),
    }
}
