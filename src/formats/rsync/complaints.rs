//! What rsync writes on its standard error, line by line, and what follows from it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::formats::rsync::grievance::{About, Grievance, own_name, path_of, relative};
use crate::formats::rsync::output::Tally;
use crate::model::{Complaint, Complaints, Keeping, Lack, Plight, ServerRefusal, Side, Trouble};

/// How many lines are kept for people.
const KEPT: usize = 200;
/// How many entries of the source that could not be looked at are remembered.
const OBSCURED: usize = 500;

/// Listens to standard error: counts every line, keeps the last 200.
#[derive(Debug, Default)]
pub struct Listener {
    complaints: Complaints,
    last: VecDeque<String>,
    /// The directories that are copied from and to, as rsync names them.
    roots: Vec<PathBuf>,
}

impl Listener {
    /// One that names entries relative to these directories.
    #[must_use]
    pub fn below(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { roots: roots.into_iter().collect(), ..Self::default() }
    }

    /// Takes one line.
    pub fn hear(&mut self, line: &[u8]) {
        // Read as it came: what is replaced or cut for people would be another name.
        let text = without_rule(String::from_utf8_lossy(line).into_owned());
        self.count(&text);
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back(shown(text.as_bytes()));
    }

    /// Adds what standard output told of a copy to where this is kept.
    pub fn add(&mut self, tally: &Tally, keeping: Keeping) {
        self.complaints.kept_directories = tally.kept_directories;
        self.complaints.deleting = tally.deleting;
        let left_out = if keeping.holds_specials() { Plight::LeftOut } else { Plight::Unstorable(Lack::Type) };
        let told = [(left_out, tally.left_out.clone()), (Plight::Unstorable(Lack::Case), tally.same_names())];
        for (plight, named) in told.into_iter().filter(|(_, named)| named.count > 0) {
            self.complaints.entries.entry(plight).or_default().absorb(named);
        }
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
        } else if let Some((plight, name)) = named(text) {
            self.named(plight, name);
        } else if let Some(name) = unverified(text) {
            self.unverified(name);
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
            let text = shown(text.as_bytes());
            complaints.refused.get_or_insert(ServerRefusal::Unfit(format!("{text} ({noise})")));
        } else if is_comment(text) {
            // It adds nothing to the lines before it.
        } else if let Some(grievance) = Grievance::read(text) {
            self.grievance(&grievance, text);
        } else if complaints.unknown.as_ref().is_none_or(|before| weight(before) < weight(text)) {
            complaints.unknown = Some(shown(text.as_bytes()));
        }
    }

    fn grievance(&mut self, grievance: &Grievance<'_>, text: &str) {
        match grievance.about(&self.roots) {
            About::Nothing => {}
            About::All(side, trouble) => self.all(side, trouble, text),
            About::Entry(plight) => {
                let entry = grievance.entry(&self.roots).unwrap_or_default();
                match grievance.side() {
                    Side::Source => self.obscured(&entry),
                    Side::Destination if plight == Plight::Unstorable(Lack::Size) && entry.is_relative() => {
                        self.complaints.too_large.insert(entry.clone());
                    }
                    Side::Destination => {}
                }
                let own = match grievance.side() {
                    Side::Source => entry,
                    Side::Destination => own_name(&entry),
                };
                self.entry(plight, &own.to_string_lossy(), grievance.reason());
            }
        }
    }

    fn named(&mut self, plight: Plight, name: &str) {
        let path = path_of(name);
        let entry = relative(&path, &self.roots).unwrap_or(path);
        if plight == Plight::Dangling {
            self.obscured(&entry);
        }
        self.entry(plight, &entry.to_string_lossy(), "");
    }

    /// A file that became shorter while it was read is told so by who read it.
    fn unverified(&mut self, name: &str) {
        if !self.complaints.obscured.paths.contains(&path_of(name)) {
            self.entry(Plight::Unwritten, name, "what was written is not what was read");
        }
    }

    fn entry(&mut self, plight: Plight, name: &str, reason: &str) {
        let text = if reason.is_empty() { name.to_owned() } else { format!("{name}: {reason}") };
        self.complaints.entries.entry(plight).or_default().add(shown(text.as_bytes()));
    }

    /// Only what lies below the source can be passed over by its name.
    fn obscured(&mut self, entry: &Path) {
        let obscured = &mut self.complaints.obscured;
        if entry.is_relative() && (obscured.paths.len() < OBSCURED || obscured.paths.contains(entry)) {
            obscured.paths.insert(entry.to_owned());
        } else {
            obscured.more = obscured.more.saturating_add(1);
        }
    }

    fn all(&mut self, side: Side, trouble: Trouble, text: &str) {
        let gravest = &mut self.complaints.gravest;
        if gravest.as_ref().is_none_or(|gravest| gravest.trouble < trouble) {
            *gravest = Some(Complaint { side, trouble, text: shown(text.as_bytes()) });
        }
    }
}

/// What our own words at the other end say: `transfer.sh` writes them before it becomes rsync.
fn refused(text: &str) -> Option<ServerRefusal> {
    let (word, what) = text.split_once(' ')?;
    let what = shown(what.as_bytes());
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

/// Which of two lines without a row says more: what a shell remarks when it starts comes before all else.
fn weight(text: &str) -> u8 {
    match text {
        text if is_of_a_connection(text) => 2,
        text if Complaints::is_of_rsync(text) => 1,
        _ => 0,
    }
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
        || ["rsync error: ", "rsync warning: ", "*** Skipping"]
            .iter()
            .any(|start| text.starts_with(start))
        // It is tried again, and told as an error if it fails again.
        || (text.starts_with("WARNING: ") && text.contains(" failed verification -- "))
        // What the sender says when the receiver has ended: the receiver's own words come too.
        || (text.contains("[sender] write error") && text.ends_with("(32)"))
}

/// Lines that name an entry and no number.
fn named(text: &str) -> Option<(Plight, &str)> {
    // The path is longer than any system call takes: `filename overflows max-path len by 103: a/b`.
    if let Some(long) = text.trim_end().strip_prefix("filename overflows max-path len by ") {
        return long.split_once(": ").map(|(_, name)| (Plight::Unreadable, name));
    }
    let (what, name) = text.split_once(": \"")?;
    let plight = match what {
        "file has vanished" | "directory has vanished" => Plight::Changed,
        "symlink has no referent" => Plight::Dangling,
        _ => return None,
    };
    Some((plight, name.trim_end().strip_suffix('"')?))
}

/// `ERROR: log failed verification -- update discarded.`: what was written is not what was read.
fn unverified(text: &str) -> Option<&str> {
    text.strip_prefix("ERROR: ")?.split_once(" failed verification -- ").map(|(name, _)| name)
}

/// A complaint about a filter rule, without the rule: with `dir-merge` rsync reads files of the source as rules, and
/// one that is a link to something else would have its first line told to whoever reads our logs.
fn without_rule(text: String) -> String {
    for (complaint, kept) in [
        ("unknown filter rule: ", "a line of a `dir-merge` file is no filter rule"),
        (" in filter rule: ", "a line of a `dir-merge` file has a modifier that rsync does not know"),
        ("unexpected end of filter rule: ", "a line of a `dir-merge` file ends too soon"),
    ] {
        if text.to_ascii_lowercase().contains(complaint) {
            return kept.to_owned();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Letters, Rights};

    fn heard(lines: &[&str]) -> Complaints {
        heard_below("/m", lines)
    }

    fn heard_below(root: &str, lines: &[&str]) -> Complaints {
        let mut listener = Listener::below([root.into()]);
        for line in lines {
            listener.hear(line.as_bytes());
        }
        listener.complaints().clone()
    }

    #[test]
    fn what_stands_in_files_of_the_source_is_not_told() {
        for line in [
            "Unknown filter rule: `root-password-is-hunter2'",
            "invalid modifier 'u' at position 1 in filter rule: .hunter2",
            "unexpected end of filter rule: - hunter2",
        ] {
            let mut listener = Listener::default();
            listener.hear(line.as_bytes());
            let told: Vec<_> = listener.last_lines().collect();
            assert!(!told.concat().contains("hunter2") && told.concat().contains("`dir-merge`"), "{told:?}");
        }
    }

    #[test]
    fn unreadable_files_are_told_from_what_the_destination_forbids() {
        let complaints = heard_below(
            "/s",
            &[
                "rsync: [sender] opendir \"/s/nope\" failed: Permission denied (13)",
                "rsync: [generator] failed to set permissions on \"/d/.\": Operation not permitted (1)",
                "rsync: [sender] send_files failed to open \"/s/dd/2\": Permission denied (13)",
                "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1394)",
                "",
            ],
        );
        let examples = &complaints.entries[&Plight::Unreadable].examples;
        assert_eq!(examples, &["nope: Permission denied", "dd/2: Permission denied"]);
        assert_eq!((complaints.count(Plight::Unreadable), complaints.count(Plight::Stripped)), (2, 1));
        assert_eq!(complaints.obscured.paths, ["dd/2".into(), "nope".into()].into());
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
        let gravest = complaints.gravest.clone().unwrap();
        assert_eq!((gravest.side, gravest.trouble), (Side::Destination, Trouble::NoSpace));
        assert!(gravest.text.contains("/m/big"));
        assert_eq!(complaints.count(Plight::Unstorable(Lack::Length)), 1);
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
        assert_eq!(complaints.count(Plight::Changed), 3);
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
    fn names_are_read_as_they_came_however_long_they_are() {
        let long = "\\#346\\#227\\#245".repeat(1000);
        let line = format!("rsync: [sender] opendir \"/m/{long}/a\tb\" failed: Permission denied (13)");
        let complaints = heard(&[&line]);
        assert_eq!(complaints.obscured.paths, [format!("{}/a\tb", "日".repeat(1000)).into()].into());
        assert_eq!((&complaints.unknown, complaints.count(Plight::Unreadable)), (&None, 1));
        let told = &complaints.entries[&Plight::Unreadable].examples;
        assert!(!told.concat().contains('\t'), "{told:?}");
        let deep = heard(&["filename overflows max-path len by 103: deep/down"]);
        assert_eq!((&deep.unknown, deep.count(Plight::Unreadable)), (&None, 1));
    }

    #[test]
    fn what_a_shell_remarks_first_hides_nothing() {
        let remark = "bash: warning: setlocale: LC_ALL: cannot change locale (en_US.UTF-8)";
        let broken = "Connection to nas closed by remote host.";
        let closed = "rsync: connection unexpectedly closed (0 bytes received so far) [sender]";
        assert_eq!(heard(&[remark, "odd"]).unknown.as_deref(), Some(remark));
        assert_eq!(heard(&[remark, "rsync: odd", "rsync: more"]).unknown.as_deref(), Some("rsync: odd"));
        assert_eq!(heard(&[remark, broken, "rsync: odd"]).unknown.as_deref(), Some(broken));
        assert_eq!(heard(&[remark, broken, closed]).refused, None);
    }

    #[test]
    fn ten_thousand_lines_and_hostile_names_cost_bounded_memory_and_no_escape() {
        let mut listener = Listener::default();
        for number in 0..10_000 {
            listener.hear(
                format!("rsync: [sender] send_files failed to open \"/\x1b[2J{number}\": Permission denied (13)")
                    .as_bytes(),
            );
        }
        assert_eq!(listener.last_lines().count(), KEPT);
        let named = &listener.complaints().entries[&Plight::Unreadable];
        assert_eq!((named.count, named.examples.len()), (10_000, 5));
        assert!(!named.examples.concat().contains('\x1b'));
        assert_eq!((listener.complaints().obscured.paths.len(), listener.complaints().obscured.more), (0, 10_000));
    }

    #[test]
    fn a_file_that_shrinks_is_no_mistake_at_the_destination() {
        let complaints = heard(&[
            "rsync: [sender] read errors mapping \"/m/log\": No data available (61)",
            "WARNING: log failed verification -- update discarded (will try again).",
            "rsync: [sender] read errors mapping \"/m/log\": No data available (61)",
            "ERROR: log failed verification -- update discarded.",
        ]);
        assert_eq!((complaints.count(Plight::Changed), complaints.count(Plight::Unwritten)), (2, 0));
        assert_eq!(complaints.unknown, None);
        let torn = heard(&["ERROR: a/b failed verification -- update put into partial-dir."]);
        assert_eq!(torn.count(Plight::Unwritten), 1);
    }

    #[test]
    fn a_file_that_is_too_large_is_known_by_its_name() {
        let complaints = heard(&[
            "rsync: [receiver] write failed on \"/m/films/long\": File too large (27)",
            "rsync error: error in file IO (code 11) at receiver.c(401) [receiver=3.2.7]",
            "rsync: [sender] write error: Broken pipe (32)",
        ]);
        assert_eq!(complaints.too_large, ["films/long".into()].into());
        assert_eq!((complaints.gravest, complaints.unknown), (None, None));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told_and_passed_over() {
        let complaints = heard(&["symlink has no referent: \"/proc/self/fd/9/browser/lock\""]);
        assert_eq!(complaints.entries[&Plight::Dangling].examples, ["browser/lock"]);
        assert_eq!(complaints.obscured.paths, ["browser/lock".into()].into());
    }

    #[test]
    fn what_standard_output_tells_belongs_to_it() {
        let mut tally = Tally::of_names();
        for line in ["skipping non-regular file \"null\"", "send|>f+++++++++|1|1|A", "send|>f+++++++++|1|1|a"] {
            tally.add(&super::super::output::said(line.as_bytes()));
        }
        let mut listener = Listener::default();
        listener.add(&tally, Keeping::default());
        let complaints = listener.complaints();
        assert_eq!(complaints.entries[&Plight::Unstorable(Lack::Case)].examples, ["a"]);
        assert_eq!(complaints.count(Plight::LeftOut), 1);
        let (rights, names) = (Rights::Fixed, Letters::Same);
        listener.add(&tally, Keeping { rights, names, ..Keeping::default() });
        assert_eq!(listener.complaints().entries[&Plight::Unstorable(Lack::Type)].examples, ["null"]);
    }
}
