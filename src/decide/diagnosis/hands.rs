//! What holds rsync to its two trees where others have their hands in them.

use crate::model::{Area, End, Examined, Flaw, Hands, ProgramVersion, Sync, Verdict};

/// The first rsync that does not follow what is swapped for a link while it looks.
const HOLDS_ITSELF: ProgramVersion = ProgramVersion(3, 5, 0);

/// The end of a sync at a server.
#[must_use]
pub fn at_a_server(sync: &Sync, which: End, host: &str, hands: &Hands) -> Examined {
    let subject = format!("{} at {host}", sync.place(which));
    let Hands { account, owner, rsync, walls } = hands;
    // Whom the machine belongs to needs no rsync to do what they like.
    let is_foreign = owner != account && *owner != 0;
    let is_held = *rsync >= Some(HOLDS_ITSELF);
    let version = rsync.map_or("the rsync there".to_owned(), |version| format!("rsync {version} there"));
    let verdict = match (walls, is_foreign) {
        (Some(Ok(())), _) => Verdict::Well("rsync has a root of its own there: both ends and the programs".into()),
        (Some(Err(why)), true) if !is_held => Flaw::Unconfined
            .warning(
                format!(
                    "{version} runs as root with nothing that holds it ({why}), and the {which} belongs to user \
                     {owner}, who can have it follow a link to anywhere"
                ),
                "install util-linux there, or let an account of its own, which owns the directory, do the backups \
                 (`user` in [ssh-endpoints])",
            )
            .into(),
        (None, true) if !is_held => Flaw::ForeignTree
            .warning(
                format!(
                    "the {which} belongs to user {owner}, and rsync runs as user {account} there: {version} follows \
                     what {owner} swaps for a link meanwhile, to whatever {account} may read or write"
                ),
                "let an account of its own, which owns the directory, do the backups, or install rsync 3.5 or later \
                 there",
            )
            .into(),
        (Some(Err(why)), false) => Verdict::Well(format!("it belongs to root; nothing else holds rsync ({why})")),
        (Some(Err(_)) | None, true) => Verdict::Well(format!("{version} follows nothing that is swapped for a link")),
        (None, false) => Verdict::Well("it belongs to the account that rsync runs as, or to root".into()),
    };
    Area::Volumes.examined(subject, verdict)
}

/// A sync that has links followed: whoever owns its source has read what the daemon may read.
#[must_use]
pub fn links_followed(sync: &Sync, is_root: bool) -> Examined {
    let message = format!(
        "links in the source are followed wherever they lead, so that whoever may write there has everything copied \
         that {} may read",
        if is_root { "root" } else { "nbkpd" }
    );
    let fix = format!("leave `--copy-links` and its like out of `rsync` in [syncs.{}]", sync.name.base());
    let finding =
        if is_root { Flaw::LinksFollowed.warning(message, fix) } else { Flaw::LinksFollowed.note(message, fix) };
    Area::Syncs.examined(format!("links of {}", sync.name), finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Place, Worded as _};

    fn sync() -> Sync {
        let place = |volume: &str| Place { volume: volume.parse().unwrap(), subdir: "documents".parse().unwrap() };
        Sync::new("mail".parse().unwrap(), place("laptop"), place("nas"))
    }

    fn told((account, owner): (u32, u32), rsync: ProgramVersion, walls: Option<Result<(), &str>>) -> Vec<&'static str> {
        let walls = walls.map(|walls| walls.map_err(ToOwned::to_owned));
        let hands = Hands { account, owner, rsync: Some(rsync), walls };
        let examined = at_a_server(&sync(), End::Destination, "nas.local", &hands);
        assert_eq!(examined.subject, "nas:documents at nas.local");
        match examined.verdict {
            Verdict::Well(_) => Vec::new(),
            Verdict::Found(findings) => findings.iter().map(|finding| finding.code.word()).collect(),
        }
    }

    #[test]
    fn what_others_own_and_nothing_holds_is_told() {
        let (old, new) = (ProgramVersion(3, 2, 7), ProgramVersion(3, 5, 1));
        let nothing: [&str; 0] = [];
        for owner in [0, 1000] {
            assert_eq!(told((0, owner), old, Some(Ok(()))), nothing, "a root of its own");
        }
        assert_eq!(told((0, 1000), old, Some(Err("no mount"))), ["unconfined"]);
        assert_eq!(told((0, 1000), new, Some(Err("no mount"))), nothing);
        assert_eq!(told((0, 0), old, Some(Err("no mount"))), nothing);
        assert_eq!(told((1001, 1001), old, None), nothing);
        assert_eq!(told((1001, 0), old, None), nothing, "root needs no rsync");
        assert_eq!(told((1001, 1000), old, None), ["foreign-tree"]);
        assert_eq!(told((1001, 1000), new, None), nothing);
    }
}
