//! What a person is told of entries that were not copied as they are, and what to do about it.

use crate::model::{Lack, Named, Plight};

/// Whether something that belongs in the copy is not in it.
#[must_use]
pub fn is_missing(plight: Plight) -> bool {
    match plight {
        Plight::Unreadable | Plight::Unstorable(_) | Plight::Unwritten | Plight::Undeleted => true,
        Plight::Changed | Plight::Dangling | Plight::LeftOut | Plight::Stripped => false,
    }
}

/// What became of some entries, the first of them, and what to do about it.
#[must_use]
pub fn told(plight: Plight, Named { count, examples }: &Named) -> String {
    let more = if usize::try_from(*count).is_ok_and(|count| count > examples.len()) { ", …" } else { "" };
    let (what, remedy) = words(plight);
    format!("{count} files or directories {what}: {}{more}; {remedy}", examples.join(", "))
}

fn words(plight: Plight) -> (&'static str, &'static str) {
    match plight {
        Plight::Unreadable => (
            "could not be read and are missing",
            "give the user that runs nbkpd the right to them, or leave them out with `filters`",
        ),
        Plight::Changed => ("changed or vanished while they were read", "the next run copies what is there then"),
        Plight::Dangling => ("are links that lead nowhere", "there is nothing to copy in their place"),
        Plight::LeftOut => (
            "are devices, which only root copies, and not from a drive or server to where everybody could use them",
            "leave them out with `filters`",
        ),
        Plight::Unstorable(lack) => (unstorable(lack), "rename them, or leave them out with `filters`"),
        Plight::Stripped => (
            "were copied without all of their owner, group, mode, times, ACL and attributes, which the destination \
             does not take",
            "their content is whole; `extra-options` such as `--no-group` leave out what it does not take",
        ),
        Plight::Unwritten => ("could not be written at the destination", "the copies there are old or missing"),
        Plight::Undeleted => ("could not be deleted at the destination", "at the source they are gone"),
    }
}

/// The same of entries that were to be given back.
#[must_use]
pub fn told_of_restore(plight: Plight, Named { count, examples }: &Named) -> String {
    let more = if usize::try_from(*count).is_ok_and(|count| count > examples.len()) { ", …" } else { "" };
    let (what, remedy) = match plight {
        Plight::Unreadable => ("could not be read in the copy", "ask as their owner, or as root"),
        Plight::Changed => ("changed or vanished in the copy while they were read", "try again"),
        Plight::Dangling => ("are links that lead nowhere", "there is nothing to give back in their place"),
        Plight::LeftOut => (
            "are devices, which only root makes, and not from a drive or server to where everybody could use them",
            "as root, use `--to` with a directory that only root may enter",
        ),
        Plight::Unstorable(lack) => (unstorable(lack), "use `--to` with a directory on another filesystem"),
        Plight::Stripped => (
            "came back without all of their owner, group, mode, times, ACL and attributes",
            "their content is whole; root, on a filesystem that keeps these, gets all of it",
        ),
        Plight::Unwritten => ("could not be written", "move away what is in their place, or use `--to DIR`"),
        Plight::Undeleted => ("could not be replaced", "move away what is in their place, or use `--to DIR`"),
    };
    format!("{count} files or directories {what}: {}{more}; {remedy}", examples.join(", "))
}

fn unstorable(lack: Lack) -> &'static str {
    match lack {
        Lack::Name => "have names that the filesystem of the destination does not take, and are missing",
        Lack::Length => "have names that are too long for the filesystem of the destination, and are missing",
        Lack::Case => {
            "differ from another one only in capital letters, which the filesystem of the destination does not tell \
             apart, so that only one of them is there"
        }
        Lack::Type => {
            "are links, pipes, sockets or devices, which the filesystem of the destination does not have, and are \
             missing"
        }
        Lack::HardLinks => "are hard links, which the filesystem of the destination does not have, and are missing",
        Lack::Size => "are too large for the filesystem of the destination, and are missing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_named_with_their_remedy() {
        let mut named = Named::default();
        named.add("12:30 m.txt: Invalid argument".into());
        let text = told(Plight::Unstorable(Lack::Name), &named);
        assert!(
            text.contains("1 files or directories have names that") && text.contains(": 12:30 m.txt: Inv"),
            "{text}"
        );
        assert!(text.ends_with("rename them, or leave them out with `filters`") && !text.contains('…'), "{text}");
        for number in 0..9 {
            named.add(format!("{number}"));
        }
        assert!(told(Plight::Unreadable, &named).contains("10 files or directories could not be read"));
        assert!(told(Plight::Unreadable, &named).contains(", 3, …; "));
    }
}
