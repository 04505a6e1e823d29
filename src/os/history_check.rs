//! Whether the history database is sound, by SQLite's own check. It is neither made, mended nor put aside for that.

use std::path::Path;

use crate::model::HistorySight;
use crate::os::history_file::{MIGRATIONS, is_none_yet, read_only};

/// Has SQLite check the history in a state directory.
#[must_use]
pub fn quick_check(state_dir: &Path) -> HistorySight {
    let file = state_dir.join("history.db");
    if is_none_yet(&file) {
        return HistorySight::NoneYet;
    }
    let checked = read_only(&file, MIGRATIONS, &|transaction| {
        transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    });
    match checked {
        Ok(answer) if answer == "ok" => HistorySight::Sound,
        Ok(answer) => HistorySight::Broken(answer),
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            HistorySight::Broken("a part of it is missing, or a newer version of nbkpd wrote it".into())
        }
        Err(error) if is_cut_off(&error) => HistorySight::CutOff,
        Err(error) => HistorySight::Broken(error.to_string()),
    }
}

fn is_cut_off(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::os::clock;
    use crate::os::history::HistoryStore;

    #[test]
    fn a_sound_history_passes_and_a_broken_one_does_not() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(quick_check(root.path()), HistorySight::NoneYet);
        drop(HistoryStore::open(root.path(), clock::now().wall).unwrap());
        assert_eq!(quick_check(root.path()), HistorySight::Sound);
        let file = root.path().join("history.db");
        let sound = std::fs::read(&file).unwrap();
        let mut bytes = sound.clone();
        // Behind the header of the first page, which SQLite still takes for its own.
        for byte in bytes.iter_mut().skip(100).take(2_000) {
            *byte = 0xff;
        }
        std::fs::write(&file, &bytes).unwrap();
        assert!(matches!(quick_check(root.path()), HistorySight::Broken(_)), "{:?}", quick_check(root.path()));
        std::fs::write(&file, &sound[..sound.len() - 100]).unwrap();
        assert!(matches!(quick_check(root.path()), HistorySight::Broken(_)), "a part is missing");
        std::fs::write(&file, "no database").unwrap();
        assert!(matches!(quick_check(root.path()), HistorySight::Broken(_)));
        assert_eq!(std::fs::read(&file).unwrap(), b"no database", "it is left as it is");
    }

    #[test]
    fn one_that_was_cut_off_while_it_was_written_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        drop(HistoryStore::open(root.path(), clock::now().wall).unwrap());
        let file = root.path().join("history.db");
        let (beside, journal) = (root.path().join("copy"), root.path().join("history.db-journal"));
        let connection = Connection::open(&file).unwrap();
        // Pages that no longer fit into memory are written before their transaction is done.
        connection.execute_batch("PRAGMA cache_size = 1; PRAGMA synchronous = FULL; BEGIN IMMEDIATE").unwrap();
        for number in 0..200 {
            let values = rusqlite::params![format!("run-{number}"), "x".repeat(2_000)];
            connection
                .execute("INSERT INTO runs (id, sync, cause, started) VALUES (?1, ?2, 'drive', 0)", values)
                .unwrap();
        }
        std::fs::create_dir(&beside).unwrap();
        for path in [&file, &journal] {
            std::fs::copy(path, beside.join(path.file_name().unwrap())).unwrap();
        }
        drop(connection);
        let bytes = |name: &str| std::fs::read(beside.join(name)).unwrap();
        let before = (bytes("history.db"), bytes("history.db-journal"));
        assert_eq!(quick_check(&beside), HistorySight::CutOff);
        assert!(HistoryStore::look(&beside).unwrap().past().is_err());
        assert_eq!((bytes("history.db"), bytes("history.db-journal")), before);
        assert!(HistoryStore::open(&beside, clock::now().wall).unwrap().put_aside.is_none());
        assert_eq!(quick_check(&beside), HistorySight::Sound);
    }
}
