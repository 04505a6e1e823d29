//! What rsync said, in names that a person knows.

use std::path::Path;

/// What rsync said, with another name for a directory, where one that it puts in quotes begins with that.
pub(crate) fn renamed(text: &str, name: &str, real: &Path) -> String {
    let real = real.display().to_string();
    // What lies in the root of all has one slash before it, and everything begins like that.
    let above = real.trim_end_matches('/');
    // There it has its real name, which begins alike.
    if !above.is_empty() && text.contains(&format!("\"{above}")) {
        return text.to_owned();
    }
    let below = text.replace(&format!("\"{name}/"), &format!("\"{above}/"));
    below.replace(&format!("\"{name}\""), &format!("\"{real}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_as_people_know_them_and_nothing_within_them_is_changed() {
        let real = Path::new("/home/a/destination");
        for (said, told) in [
            (
                r#"write failed on "/destination/film": No space"#,
                r#"write failed on "/home/a/destination/film": No space"#,
            ),
            (r#"mkdir "/destination" failed"#, r#"mkdir "/home/a/destination" failed"#),
            (r#"on "/destination/x/destination/y""#, r#"on "/home/a/destination/x/destination/y""#),
            (r#"on "/destination-2/y""#, r#"on "/destination-2/y""#),
            (r#"on "/home/a/destination/y""#, r#"on "/home/a/destination/y""#),
            ("the directory /destination of a person", "the directory /destination of a person"),
        ] {
            assert_eq!(renamed(said, "/destination", real), told);
        }
        for (said, told) in
            [(r#"on "/destination/film""#, r#"on "/film""#), (r#"mkdir "/destination" failed"#, r#"mkdir "/" failed"#)]
        {
            assert_eq!(renamed(said, "/destination", Path::new("/")), told);
        }
        let same = r#"on "/destination/in/y""#;
        assert_eq!(renamed(same, "/destination", Path::new("/destination/in")), same);
    }
}
