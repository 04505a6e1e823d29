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
    let allowed = (word.len() / 3).max(1);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = folded(candidate);
            let near = other.len() <= LONGEST && word.len().abs_diff(other.len()) <= allowed;
            let distance = if near { distance(&word, &other) } else { usize::MAX };
            // Words of one or two characters have nothing in common once every character differs.
            (distance <= allowed && distance < other.len()).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean `usb`?`, if there is a near candidate.
#[must_use]
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

fn folded(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The number of single-character edits and swaps of neighbours between two words (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut left_of_a = None;
    for (line, &from) in a.iter().enumerate() {
        let mut row = vec![line + 1];
        let mut left_of_b = None;
        for (column, &to) in b.iter().enumerate() {
            let replaced = at(&last, column).saturating_add(usize::from(from != to));
            let removed = at(&last, column + 1).saturating_add(1);
            let added = at(&row, column).saturating_add(1);
            let swapped = if left_of_b == Some(from) && left_of_a == Some(to) {
                column.checked_sub(1).map_or(usize::MAX, |left| at(&before_last, left).saturating_add(1))
            } else {
                usize::MAX
            };
            row.push(replaced.min(removed).min(added).min(swapped));
            left_of_b = Some(to);
        }
        left_of_a = Some(from);
        before_last = std::mem::replace(&mut last, row);
    }
    at(&last, b.len())
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
    fn the_distance_counts_edits_and_swaps() {
        let count = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(count(a, b), edits, "{a} {b}");
            assert_eq!(count(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn very_long_words_are_not_compared() {
        let long = "x".repeat(100_000);
        assert_eq!(closest(&long, ["x"]), None);
        assert_eq!(closest("x", [long.as_str()]), None);
    }
}
