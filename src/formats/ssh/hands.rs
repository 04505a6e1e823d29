//! In whose hands an end at a server is, and what holds rsync there: what the script is told, and what it answers.

use std::ffi::OsStr;

use super::answers::{lines, shown};
use super::calls::{ProvenEnd, ScriptCall};
use super::script;
use crate::formats::rsync::version;
use crate::model::{End, Hands, layout};

/// The call of `hands.sh`.
#[must_use]
pub fn hands_call(end: &ProvenEnd, which: End) -> ScriptCall {
    let [root, volume, directory, text] = end.words();
    let usage = match which {
        End::Source => "source",
        End::Destination => "destination",
    };
    let (sentinel, usage) = (OsStr::new(layout::sentinel(which)), OsStr::new(usage));
    ScriptCall::new(script::HANDS, [root, volume, directory, sentinel, text, usage, OsStr::new(script::APART)])
}

/// What it answers; `None` where it does not tell whose account and whose end that is.
#[must_use]
pub fn hands(answer: &[u8]) -> Option<Hands> {
    let (mut account, mut owner, mut rsync, mut walls) = (None, None, None, None);
    for (word, text) in lines(answer) {
        let text = shown(text);
        match word {
            "account" => account = text.parse().ok(),
            "owner" => owner = text.parse().ok(),
            "rsync" => rsync = version::of(&text),
            "apart" => walls = Some(Ok(())),
            "without" => walls = Some(Err(text)),
            _ => {}
        }
    }
    Some(Hands { account: account?, owner: owner?, rsync, walls })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProgramVersion;

    #[test]
    fn what_a_server_tells_of_hands_is_read() {
        let told = hands(b"account 0\nowner 1000\nrsync rsync  version 3.2.7  protocol version 31\napart apart\n");
        let rsync = Some(ProgramVersion(3, 2, 7));
        assert_eq!(told, Some(Hands { account: 0, owner: 1000, rsync, walls: Some(Ok(())) }));
        let told = hands(b"account 0\nowner 0\nrsync \nwithout mount: permission denied\n").unwrap();
        assert_eq!((told.rsync, told.walls), (None, Some(Err("mount: permission denied".into()))));
        assert_eq!(hands(b"account 1000\nowner 1000\nrsync x\n").unwrap().walls, None);
        for broken in [&b""[..], b"account 0\n", b"account x\nowner 0\n"] {
            assert_eq!(hands(broken), None);
        }
    }
}
