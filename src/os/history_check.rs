//! Whether the history database is sound, by SQLite's own check. It is neither made nor put aside for that.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How long another process that writes is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has SQLite check the history in a state directory; `None` if there is none.
#[must_use]
pub fn quick_check(state_dir: &Path) -> Option<Result<(), String>> {
    let file = state_dir.join("history.db");
    if !file.exists() {
        return None;
    }
    // A journal that a killed process left is rolled back first, which takes the right to write.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let checked = Connection::open_with_flags(&file, flags).and_then(|connection| {
        connection.busy_timeout(PATIENCE)?;
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    });
    Some(match checked {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(answer),
        Err(error) => Err(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock;
    use crate::os::history::History;

    #[test]
    fn a_sound_history_passes_and_a_broken_one_does_not() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(quick_check(root.path()), None);
        drop(History::open(root.path(), clock::now().wall).unwrap());
        assert_eq!(quick_check(root.path()), Some(Ok(())));
        let file = root.path().join("history.db");
        let mut bytes = std::fs::read(&file).unwrap();
        // Behind the header of the first page, which SQLite still takes for its own.
        for byte in bytes.iter_mut().skip(100).take(2_000) {
            *byte = 0xff;
        }
        std::fs::write(&file, &bytes).unwrap();
        assert!(matches!(quick_check(root.path()), Some(Err(_))), "{:?}", quick_check(root.path()));
        std::fs::write(&file, "no database").unwrap();
        assert!(matches!(quick_check(root.path()), Some(Err(_))));
        assert_eq!(std::fs::read(&file).unwrap(), b"no database", "it is left as it is");
    }
}
