//! What rsync writes on its standard error, line by line, and what follows from it.

use std::collections::VecDeque;

use crate::model::{Complaint, Complaints, ServerRefusal, Side, Trouble};

/// How many lines are kept for people.
const KEPT: usize = 200;
/// How many paths are shown as examples.
const EXAMPLES: usize = 5;

/// Listens to standard error: counts every line, keeps the last 200.
#[derive(Debug, Default)]
pub struct Listener {
    complaints: Complaints,
    last: VecDeque<String>,
}

impl Listener {
    /// Takes one line.
    pub fn hear(&mut self, line: &[u8]) {
        let text = shown(line);
        self.count(&text);
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back(text);
    }

    /// Adds what standard output told of directories that stay.
    pub fn kept_directories(&mut self, count: u64) {
        self.complaints.kept_directories = count;
    }

    /// What was heard, counted.
    #[must_use]
    pub fn complaints(&self) -> &Complaints {
        &self.complaints
    }

    /// The last lines.
    pub fn last_lines(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    fn count(&mut self, text: &str) {
        let complaints = &mut self.complaints;
        if let Some(refused) = text.strip_prefix("nbkp: ").and_then(refused) {
            complaints.refused.get_or_insert(refused);
        } else if text.starts_with("file has vanished: ") {
            complaints.vanished_files = complaints.vanished_files.saturating_add(1);
        } else if text.starts_with("directory has vanished: ") {
            complaints.vanished_directories = complaints.vanished_directories.saturating_add(1);
        } else if let Some(count) = withheld(text) {
            complaints.withheld = complaints.withheld.saturating_add(count);
        } else if text.starts_with("could not make way for ") {
            complaints.in_the_way = complaints.in_the_way.saturating_add(1);
        } else if text.starts_with("cannot delete non-empty directory: ") {
            complaints.kept_directories = complaints.kept_directories.saturating_add(1);
        } else if has_not_begun(text) {
            // That the connection ended is no more than what follows from it.
            let instead = complaints.unknown.take().filter(|words| !is_of_a_connection(words));
            if let Some(words) = instead {
                complaints.refused.get_or_insert(ServerRefusal::Unfit(words));
            }
        } else if text.starts_with("protocol version mismatch") {
            let noise = "its login shell may print something: make `ssh HOST true` print nothing";
            complaints.refused.get_or_insert(ServerRefusal::Unfit(format!("{text} ({noise})")));
        } else if is_comment(text) {
            // It adds nothing to the lines before it.
        } else if let Some((side, number)) = errno(text) {
            self.trouble(side, trouble(number), text);
        } else if complaints.unknown.is_none() {
            complaints.unknown = Some(text.to_owned());
        }
    }

    fn trouble(&mut self, side: Side, trouble: Trouble, text: &str) {
        let complaints = &mut self.complaints;
        if trouble == Trouble::Permission {
            match side {
                Side::Source => complaints.unreadable = complaints.unreadable.saturating_add(1),
                Side::Destination => complaints.forbidden = complaints.forbidden.saturating_add(1),
            }
            if complaints.examples.len() < EXAMPLES {
                complaints.examples.push(text.to_owned());
            }
        } else if complaints.gravest.as_ref().is_none_or(|gravest| gravest.trouble < trouble) {
            complaints.gravest = Some(Complaint { side, trouble, text: text.to_owned() });
        }
    }
}

/// What our own words at the other end say: `transfer.sh` writes them before it becomes rsync.
fn refused(text: &str) -> Option<ServerRefusal> {
    let (word, what) = text.split_once(' ')?;
    let what = what.to_owned();
    Some(match word {
        "taken" => ServerRefusal::Taken(what),
        "lost" => ServerRefusal::Lost(what),
        "superseded" => ServerRefusal::Superseded(what),
        "tool" => ServerRefusal::NoTool(what),
        "failed" => ServerRefusal::Failed(what),
        _ => return None,
    })
}

/// Whether the other end closed before rsync said a word there.
fn has_not_begun(text: &str) -> bool {
    text.starts_with("rsync: connection unexpectedly closed (0 bytes received so far)")
}

/// Whether these are words of ssh about a connection that broke, or of a shell about a process that was ended: both go
/// on by themselves. Whatever else is said where rsync should begin is said again the next time.
fn is_of_a_connection(words: &str) -> bool {
    const OF_SSH: [&str; 14] = [
        "onnection ",
        "mux_client",
        "ontrol socket",
        "kex_exchange_identification",
        "client_loop",
        "packet_write",
        "roken pipe",
        "imeout",
        "ssh: ",
        "ssh_",
        "channel ",
        "Terminated",
        "Killed",
        "Hangup",
    ];
    OF_SSH.iter().any(|of_ssh| words.contains(of_ssh))
}

/// The line for people: control characters of hostile names are shown, not obeyed.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.chars().take(4096).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `Deletions stopped due to --max-delete limit (5 skipped)`.
fn withheld(text: &str) -> Option<u64> {
    let rest = text.strip_prefix("Deletions stopped due to --max-delete limit (")?;
    rest.strip_suffix(" skipped)")?.parse().ok()
}

/// Summaries of rsync that repeat what single lines said, and remarks.
fn is_comment(text: &str) -> bool {
    text.trim().is_empty()
        || ["rsync error: ", "rsync warning: ", "*** Skipping", "IO error encountered"]
            .iter()
            .any(|start| text.starts_with(start))
        // What the sender says when the receiver has ended: the receiver's own words come too.
        || (text.contains("[sender] write error") && text.ends_with("(32)"))
}

/// `rsync: [sender] send_files failed to open "/x": Permission denied (13)`.
fn errno(text: &str) -> Option<(Side, i32)> {
    let number = text.trim_end().strip_suffix(')')?.rsplit_once(" (")?.1.parse().ok()?;
    let side = if text.contains("[sender]") { Side::Source } else { Side::Destination };
    Some((side, number))
}

/// The numbers are those of Linux (`errno(3)`).
fn trouble(number: i32) -> Trouble {
    match number {
        // EPERM, EACCES
        1 | 13 => Trouble::Permission,
        // ENOENT
        2 => Trouble::Gone,
        // EMLINK
        31 => Trouble::TooManyLinks,
        // EIO, ENXIO, ENODEV, ENOTCONN, ESHUTDOWN, ESTALE, EREMOTEIO, EUCLEAN
        5 | 6 | 19 | 107 | 108 | 116 | 117 | 121 => Trouble::Io,
        // EROFS
        30 => Trouble::ReadOnly,
        // ENOSPC, EDQUOT
        28 | 122 => Trouble::NoSpace,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Complaints {
        let mut listener = Listener::default();
        for line in lines {
            listener.hear(line.as_bytes());
        }
        listener.complaints().clone()
    }

    #[test]
    fn unreadable_files_are_told_from_what_the_destination_forbids() {
        let complaints = heard(&[
            "rsync: [sender] opendir \"/s/nope\" failed: Permission denied (13)",
            "rsync: [generator] failed to set permissions on \"/d/.\": Operation not permitted (1)",
            "rsync: [sender] send_files failed to open \"/s/dd/2\": Permission denied (13)",
            "IO error encountered -- skipping file deletion",
            "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1394)",
            "",
        ]);
        assert_eq!((complaints.unreadable, complaints.forbidden), (2, 1));
        assert_eq!(complaints.examples.len(), 3);
        assert_eq!((complaints.gravest, complaints.unknown), (None, None));
    }

    #[test]
    fn the_gravest_complaint_is_remembered_with_its_file() {
        let complaints = heard(&[
            "rsync: [receiver] mkstemp \"/m/.f\" failed: File name too long (36)",
            "rsync: [receiver] write failed on \"/m/big\": No space left on device (28)",
            "rsync: [sender] read errors mapping \"/s/x\": Input/output error (5)",
            "rsync error: error in file IO (code 11) at receiver.c(657) [receiver=3.5.0]",
            "rsync: [sender] write error: Broken pipe (32)",
        ]);
        let gravest = complaints.gravest.unwrap();
        assert_eq!((gravest.side, gravest.trouble), (Side::Destination, Trouble::NoSpace));
        assert!(gravest.text.contains("/m/big"));
    }

    #[test]
    fn vanished_and_withheld_entries_are_counted() {
        let complaints = heard(&[
            "file has vanished: \"/s/a\"",
            "directory has vanished: \"/s/b\"",
            "file has vanished: \"/s/c (13)\"",
            "Deletions stopped due to --max-delete limit (5 skipped)",
            "could not make way for new regular file: x",
            "rsync warning: some files vanished before they could be transferred (code 24) at main.c(1394)",
        ]);
        assert_eq!((complaints.vanished_files, complaints.vanished_directories), (2, 1));
        assert_eq!((complaints.withheld, complaints.in_the_way), (5, 1));
        assert_eq!(heard(&["rsync: --nosuch: unknown option"]).unknown.unwrap(), "rsync: --nosuch: unknown option");
    }

    #[test]
    fn what_the_other_end_refuses_is_told_by_its_first_word() {
        let complaints = heard(&[
            "nbkp: taken /srv/documents/.nbkp/lock",
            "rsync: connection unexpectedly closed (0 bytes received so far) [sender]",
            "rsync error: error in rsync protocol data stream (code 12) at io.c(232) [sender=3.2.7]",
        ]);
        assert_eq!(complaints.refused, Some(ServerRefusal::Taken("/srv/documents/.nbkp/lock".into())));
        let lost = heard(&["nbkp: lost /srv/.nbkp-vol is missing", "nbkp: taken x"]);
        assert_eq!(lost.refused, Some(ServerRefusal::Lost("/srv/.nbkp-vol is missing".into())));
        assert_eq!(heard(&["nbkp: nonsense x", "nbkp:"]).refused, None);
    }

    #[test]
    fn what_answers_instead_of_rsync_is_told_from_a_connection_that_broke() {
        let closed = "rsync: connection unexpectedly closed (0 bytes received so far) [sender]";
        let error = "rsync error: error in rsync protocol data stream (code 12) at io.c(231) [sender=3.2.7]";
        let unfit = |words: &str| heard(&[words, closed, error]).refused == Some(ServerRefusal::Unfit(words.into()));
        for words in [
            "rsync: on remote machine: -@-1: unknown option",
            "Unmatched '\''.",
            "This account is currently not available.",
            "sh: Illegal option -c",
        ] {
            assert!(unfit(words), "{words}");
        }
        for words in [
            "Connection to nas closed by remote host.",
            "Shared connection to nbkp closed.",
            "client_loop: send disconnect: Broken pipe",
            "mux_client_request_session: read from master failed: Broken pipe",
            "Timeout, server nas not responding.",
            "Terminated",
            "sh: line 1: 4711 Killed rsync --server",
        ] {
            assert!(!unfit(words), "{words}");
        }
        assert_eq!(heard(&[closed, error]).refused, None);
        let began = "rsync: connection unexpectedly closed (4711 bytes received so far) [sender]";
        assert_eq!(heard(&["it is odd", began, error]).refused, None);
        let noisy = heard(&["protocol version mismatch -- is your shell clean?"]).refused;
        assert!(matches!(noisy, Some(ServerRefusal::Unfit(words)) if words.contains("print nothing")));
    }

    #[test]
    fn ten_thousand_lines_and_hostile_names_cost_bounded_memory_and_no_escape() {
        let mut listener = Listener::default();
        for number in 0..10_000 {
            listener.hear(format!("rsync: [sender] open \"/\x1b[2J{number}\": Permission denied (13)").as_bytes());
        }
        assert_eq!(listener.last_lines().count(), KEPT);
        assert_eq!(listener.complaints().unreadable, 10_000);
        assert!(!listener.complaints().examples.concat().contains('\x1b'));
    }
}
