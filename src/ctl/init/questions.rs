//! The questions, five at most, each with an answer that Enter gives.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::answers::{self, Answers, LeavesOut};
use super::places::{CopyTarget, Source, Vicinity};
use super::start::Start;
use super::survey::{self, Offer, Survey};
use super::{places, tell};
use crate::ctl::command_error::CommandError;
use crate::ctl::options::InitOptions;
use crate::ctl::output::Output;
use crate::decide::setup::left_out;
use crate::formats::text::printable;
use crate::model::{FilesystemFamily, SnapshotKind};
use crate::os::directory::{Directory, Kind};
use crate::os::terminal;

/// So many directories of a home are shown.
const SHOWN: usize = 8;

/// An answer to a question that is answered by yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// Asks for what the options do not say.
pub(super) fn asked(
    options: &InitOptions,
    start: &Start<'_>,
    looks: &Vicinity,
    output: &mut Output,
) -> Result<Answers, CommandError> {
    let mut survey = options.destination.is_none().then(|| Survey::begin(start));
    let sources = if options.source.is_empty() {
        which_sources(start, looks, output)?
    } else {
        answers::sources(options, start, looks)?
    };
    let name = options.name.clone().filter(|_| sources.len() == 1);
    let target = match (&options.destination, &mut survey) {
        (Some(text), _) => places::target(text, start, looks)?,
        (None, Some(survey)) => which_target(start, looks, survey, output)?,
        (None, None) => return Err(CommandError::Usage("name where the copies go with --destination".to_owned())),
    };
    let snapshots = match options.snapshots {
        Some(kind) => kind.into(),
        None => which_kind(&target, output)?,
    };
    target.must_hold(snapshots)?;
    let leaves_out = whether_left_out(&sources, &target, looks, output)?;
    Ok(Answers { sources, target, snapshots, name, leaves_out })
}

/// Whether what was shown is to be done.
pub(super) fn go_ahead(output: &mut Output) -> Result<Consent, CommandError> {
    yes_or_no("Write this, and get both ends ready?", output)
}

fn which_sources(start: &Start<'_>, looks: &Vicinity, output: &mut Output) -> Result<Vec<Source>, CommandError> {
    let mut choices = vec![looks.home.clone()];
    choices.extend(directories(looks));
    let mut text = "What do you want to keep?\n".to_owned();
    for (number, path) in (1..).zip(&choices) {
        let shown = path.display().to_string();
        let what = if number == 1 { "all of your home directory, " } else { "" };
        let _ = writeln!(text, "{number:>4}  {what}{}", printable(&shown));
    }
    output.print(&text)?;
    loop {
        let line = answer("Numbers, or a path; Enter for 1: ", output)?;
        let picked: Vec<PathBuf> = match picks(&line, choices.len()) {
            Some(picked) => picked.iter().filter_map(|number| choices.get(number - 1)).cloned().collect(),
            None => vec![PathBuf::from(line.trim())],
        };
        match picked.iter().map(|path| places::source(path, start, looks)).collect() {
            Ok(sources) => return Ok(sources),
            Err(problem) => again(&problem, output)?,
        }
    }
}

/// The directories of a home that people see.
fn directories(looks: &Vicinity) -> Vec<PathBuf> {
    let entries = Directory::open_root(&looks.home).and_then(|home| {
        let entries = home.entries(1000)?;
        let is_shown = |name: &std::ffi::OsStr| {
            !name.as_encoded_bytes().starts_with(b".") && home.kind_of(name).is_ok_and(|kind| kind == Kind::Directory)
        };
        Ok(entries.into_iter().map(|entry| entry.name).filter(|name| is_shown(name)).collect::<Vec<_>>())
    });
    let mut names = entries.unwrap_or_default();
    names.sort();
    names.truncate(SHOWN);
    names.into_iter().map(|name| looks.home.join(name)).collect()
}

fn which_target(
    start: &Start<'_>,
    looks: &Vicinity,
    survey: &mut Survey,
    output: &mut Output,
) -> Result<CopyTarget, CommandError> {
    let mut offers: Vec<Offer> = survey::eligible_drives(looks);
    offers.extend(survey.offers());
    let mut text = "\nWhere do the copies go?\n".to_owned();
    for (number, offer) in (1..).zip(&offers) {
        let _ = writeln!(text, "{number:>4}  {}", offer.shown);
    }
    if offers.is_empty() {
        text.push_str("      no drive is plugged in, and ~/.ssh/config names no server");
    }
    output.print(&text)?;
    let default = offers.iter().position(|offer| offer.is_ready).map(|index| index + 1);
    let prompt = match default {
        Some(number) => format!("A number, a path, HOST:DIR or a UUID; Enter for {number}: "),
        None => "A number, a path, HOST:DIR or a UUID: ".to_owned(),
    };
    loop {
        let line = answer(&prompt, output)?;
        let number = if line.trim().is_empty() { default } else { line.trim().parse::<usize>().ok() };
        let chosen = number.and_then(|number| offers.get(number.checked_sub(1)?)).map(|offer| offer.text.clone());
        let text = chosen.unwrap_or_else(|| line.trim().to_owned());
        if text.is_empty() {
            continue;
        }
        match places::target(&text, start, looks) {
            Ok(target) => return Ok(target),
            Err(problem) => again(&problem, output)?,
        }
    }
}

fn which_kind(target: &CopyTarget, output: &mut Output) -> Result<SnapshotKind, CommandError> {
    let kinds: &[SnapshotKind] = match target.family {
        Some(FilesystemFamily::Btrfs) => &[SnapshotKind::Btrfs, SnapshotKind::HardLink, SnapshotKind::None],
        Some(FilesystemFamily::Posix) => &[SnapshotKind::HardLink, SnapshotKind::None],
        // The best one comes first.
        Some(FilesystemFamily::Ntfs) => &[SnapshotKind::None, SnapshotKind::HardLink],
        Some(FilesystemFamily::Fat | FilesystemFamily::ExFat | FilesystemFamily::Share) => {
            return Ok(SnapshotKind::None);
        }
        None => &[SnapshotKind::HardLink, SnapshotKind::Btrfs, SnapshotKind::None],
    };
    let mut text = "\nHow are earlier versions kept?\n".to_owned();
    for (number, kind) in (1..).zip(kinds) {
        let _ = writeln!(text, "{number:>4}  {kind}: {}", tell::kind_in_words(*kind));
    }
    output.print(&text)?;
    loop {
        let line = answer("A number; Enter for 1: ", output)?;
        let word = line.trim();
        let number = if word.is_empty() { Some(1) } else { word.parse::<usize>().ok() };
        let chosen = number.and_then(|number| kinds.get(number.checked_sub(1)?));
        if let Some(kind) = chosen.or_else(|| kinds.iter().find(|kind| kind.to_string() == word)) {
            return Ok(*kind);
        }
    }
}

fn whether_left_out(
    sources: &[Source],
    target: &CopyTarget,
    looks: &Vicinity,
    output: &mut Output,
) -> Result<LeavesOut, CommandError> {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for proposal in sources.iter().flat_map(|source| left_out(&source.path, &looks.home, target.at.as_deref())) {
        match groups.iter_mut().find(|(what, _)| *what == proposal.what) {
            Some((_, patterns)) if patterns.contains(&proposal.pattern) => {}
            Some((_, patterns)) => patterns.push(proposal.pattern),
            None => groups.push((proposal.what, vec![proposal.pattern])),
        }
    }
    let mut text = "\nThis does not belong in a backup, as a rule:\n".to_owned();
    for (what, patterns) in groups {
        let _ = writeln!(text, "  - {what}: {}", patterns.join("  "));
    }
    output.print(&text)?;
    Ok(match yes_or_no("Leave it out? The list stands in the file, to be changed.", output)? {
        Consent::Yes => LeavesOut::Proposed,
        Consent::No => LeavesOut::Nothing,
    })
}

fn yes_or_no(question: &str, output: &mut Output) -> Result<Consent, CommandError> {
    loop {
        match answer(&format!("{question} [Y/n] "), output)?.trim().to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => return Ok(Consent::Yes),
            "n" | "no" => return Ok(Consent::No),
            _ => {}
        }
    }
}

/// Numbers of a list, as a person types them; nothing if something else was typed. Enter is the first.
fn picks(line: &str, most: usize) -> Option<Vec<usize>> {
    let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Some(vec![1]);
    }
    let numbers = words.iter().map(|word| word.parse::<usize>().ok().filter(|number| (1..=most).contains(number)));
    let mut numbers: Vec<usize> = numbers.collect::<Option<_>>()?;
    numbers.dedup();
    Some(numbers)
}

fn answer(prompt: &str, output: &mut Output) -> Result<String, CommandError> {
    output.print_as_it_is(prompt)?;
    match terminal::typed() {
        Ok(Some(line)) => Ok(line),
        Ok(None) => Err(CommandError::Failed("the questions were not answered; nothing was changed".to_owned())),
        Err(error) => Err(CommandError::Failed(format!("could not read the answer: {error}; nothing was changed"))),
    }
}

fn again(problem: &CommandError, output: &mut Output) -> Result<(), CommandError> {
    output.print(&format!("  {}\n", printable(&problem.sentence())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_paths() {
        assert_eq!(picks("", 3), Some(vec![1]));
        assert_eq!(picks(" 2, 3 ", 3), Some(vec![2, 3]));
        for path in ["4", "0", "Documents", "/srv", "1 x"] {
            assert_eq!(picks(path, 3), None, "{path}");
        }
    }
}
