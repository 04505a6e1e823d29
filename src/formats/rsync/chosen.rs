//! What the options say that a person chose.

use crate::model::{RsyncOptions, RsyncSettings};

/// The options that a person chose.
pub(super) fn own_options(settings: &RsyncSettings) -> impl Iterator<Item = &String> {
    let chosen = match &settings.options {
        RsyncOptions::Default => &[],
        RsyncOptions::Replaced(options) => options.as_slice(),
    };
    chosen.iter().chain(&settings.extra_options)
}

/// Whether links of the source may be copied as the directories that they lead to.
#[must_use]
pub fn follows_links(settings: &RsyncSettings) -> bool {
    let long = ["--copy-links", "--copy-unsafe-links", "--copy-dirlinks"];
    own_options(settings)
        .any(|option| long.contains(&option.as_str()) || is_short(option, 'L') || is_short(option, 'k'))
}

/// Whether a look at a copy tells all in which another copy would differ, made anew by the same options: some leave
/// what is there as it is, and others than ours need not delete what is left out.
#[must_use]
pub fn looks_tell_all(settings: &RsyncSettings) -> bool {
    let long = ["--update", "--existing", "--ignore-non-existing", "--ignore-existing", "--one-file-system"];
    let with_size = ["--max-size", "--min-size"];
    settings.options == RsyncOptions::Default
        && !own_options(settings).any(|option| {
            long.contains(&option.as_str())
                || with_size.iter().any(|size| option.starts_with(size))
                || is_short(option, 'u')
                || is_short(option, 'x')
        })
}

/// Whether an option such as `-avc` holds this letter.
pub(super) fn is_short(option: &str, letter: char) -> bool {
    option.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains(letter))
}

/// Whether names of one file at the source are to be names of one file at the destination; the last word counts.
pub(super) fn keeps_hard_links(settings: &RsyncSettings) -> bool {
    let said = |option: &String| match option.as_str() {
        "--hard-links" => Some(true),
        "--no-hard-links" | "--no-H" => Some(false),
        option => is_short(option, 'H').then_some(true),
    };
    settings.kept.hard_links || own_options(settings).filter_map(said).last().unwrap_or(false)
}

/// rsync refuses a directory for partial files together with changing files in place.
pub(super) fn in_place(settings: &RsyncSettings) -> bool {
    settings.extra_options.iter().any(|option| option == "--inplace" || option.starts_with("--append"))
}
