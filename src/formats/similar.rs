//! Near misses: the word that someone who wrote another one most likely meant.

/// Longer words are not compared: names and keys are short, and the cost grows with the product of the lengths.
const LONGEST: usize = 64;

/// The candidate nearest to `word`, if one is so near that `word` is probably a misspelling of it.
///
/// Case and the choice between `-` and `_` count nothing; a character that is missing, too much, wrong or swapped with
/// its neighbour counts one, and a third of the word may be wrong.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    let length = word.chars().count();
    let allowed = (length / 3).max(1);
    if word.is_empty() || length > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = folded(candidate);
            let other_length = other.chars().count();
            let near = other_length <= LONGEST && length.abs_diff(other_length) <= allowed;
            let distance = if near { strsim::osa_distance(&word, &other) } else { usize::MAX };
            // Words of one or two characters have nothing in common once every character differs.
            (distance <= allowed && distance < other_length).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean `usb`?`, if there is a near candidate.
#[must_use]
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

fn folded(word: &str) -> String {
    word.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word() {
        let volumes = ["usb", "laptop", "nas", "max-age"];
        for (word, meant) in [
            ("ubs", Some("usb")),
            ("lapto", Some("laptop")),
            ("labtob", Some("laptop")),
            ("max_age", Some("max-age")),
            ("MAX-AGE", Some("max-age")),
            ("nsa", Some("nas")),
            ("camera", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(closest(word, volumes), meant, "{word}");
        }
    }

    #[test]
    fn edits_and_swaps_count_one_each() {
        for (word, other, is_near) in [
            ("abc", "acb", true),
            ("abcdef", "bacedf", true),
            ("abcdef", "badcfe", false),
            ("kitten", "sitting", false),
            ("sitting", "kitten", false),
            ("kittens", "sitten", true),
        ] {
            assert_eq!(closest(word, [other]).is_some(), is_near, "{word} {other}");
        }
    }

    #[test]
    fn very_long_words_are_not_compared() {
        let long = "x".repeat(100_000);
        assert_eq!(closest(&long, ["x"]), None);
        assert_eq!(closest("x", [long.as_str()]), None);
    }
}
