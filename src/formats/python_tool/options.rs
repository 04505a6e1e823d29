//! The options of rsync: those that change nothing about a copy, or that the daemon gives itself, are left out.

/// Options that change what rsync tells, which the daemon reads itself.
const TALK: [&str; 14] = [
    "--progress",
    "--verbose",
    "--quiet",
    "--stats",
    "--human-readable",
    "--itemize-changes",
    "-v",
    "-vv",
    "-q",
    "-h",
    "-i",
    "--info",
    "--out-format",
    "--log-file",
];

/// Options whose work is done without them.
const DONE_ANYWAY: [(&str, &str); 6] = [
    ("--partial-dir", "unfinished files are kept and go on by themselves"),
    ("--delete-before", "files are deleted behind the copy, so that an interrupted file can go on"),
    ("--delete-during", "files are deleted behind the copy, so that an interrupted file can go on"),
    ("--del", "files are deleted behind the copy, so that an interrupted file can go on"),
    ("--delete-after", "files are deleted behind the copy, so that an interrupted file can go on"),
    ("--secluded-args", "it is used where it is needed"),
];

/// Options that carry a value, which may be the next word.
const WITH_VALUE: [&str; 12] = [
    "--bwlimit",
    "--max-size",
    "--min-size",
    "--timeout",
    "--chmod",
    "--chown",
    "--usermap",
    "--groupmap",
    "--modify-window",
    "--compress-level",
    "--compress-choice",
    "--partial-dir",
];

/// The options that are taken over, and those that are not, with the reason. Whether one is allowed at all is for the
/// reader of the configuration to say.
pub(super) fn translated(words: &[&str]) -> (Vec<String>, Vec<(String, &'static str)>) {
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let mut option = (*word).to_owned();
        if WITH_VALUE.contains(word)
            && let Some(value) = words.next_if(|next| !next.starts_with('-'))
        {
            option = format!("{word}={value}");
        }
        let name = option.split_once('=').map_or(option.as_str(), |(name, _)| name);
        if TALK.contains(&name) {
            left_out.push((option, "the daemon reads itself what rsync tells"));
        } else if let Some((_, reason)) = DONE_ANYWAY.iter().find(|(known, _)| *known == name) {
            let deletes = name.starts_with("--del");
            left_out.push((option, *reason));
            if deletes {
                taken.push("--delete".to_owned());
            }
        } else {
            taken.push(option);
        }
    }
    (taken, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_over_as_one_word_each() {
        let words = ["-a", "--delete-during", "--progress", "--max-size", "1G", "--partial-dir=.p", "--bwlimit", "-x"];
        let (taken, left_out) = translated(&words);
        assert_eq!(taken, ["-a", "--delete", "--max-size=1G", "--bwlimit", "-x"]);
        let names: Vec<_> = left_out.iter().map(|(option, _)| option.as_str()).collect();
        assert_eq!(names, ["--delete-during", "--progress", "--partial-dir=.p"]);
    }
}
