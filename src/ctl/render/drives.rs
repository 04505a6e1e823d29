//! What is plugged in.

use super::page::Tone;
use super::table::{Column, Row, table};
use crate::ctl::output::Detail;
use crate::formats::text::size;
use crate::formats::wire::{DriveEntry, Drives};

/// The drives as a table; in full with their hardware.
#[must_use]
pub fn drives(drives: &Drives, detail: Detail, room: Option<usize>) -> String {
    if drives.drives.is_empty() {
        return "no drive with a UUID is plugged in\n".to_owned();
    }
    let mut columns = vec![
        Column::Words("DEVICE"),
        Column::Names("LABEL"),
        Column::Numbers("SIZE"),
        Column::Words("FILESYSTEM"),
        Column::Names("VOLUME"),
        Column::Notes("UUID"),
    ];
    if detail == Detail::Full {
        columns.push(Column::Notes("HARDWARE"));
    }
    table(&columns, &drives.drives.iter().map(|drive| row(drive, detail)).collect::<Vec<_>>(), room)
}

fn row(drive: &DriveEntry, detail: Detail) -> Row {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut cells = vec![
        drive.device.clone(),
        or_dash(&drive.label),
        size(drive.size),
        drive.filesystem.clone(),
        or_dash(&drive.volume),
        drive.uuid.clone(),
    ];
    if detail == Detail::Full {
        cells.push(or_dash(&drive.hardware));
    }
    Row { cells, tone: if drive.volume.is_some() { Tone::Plain } else { Tone::Faint } }
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;

    #[test]
    fn a_drive_shows_what_the_configuration_needs() {
        let drive = DriveEntry {
            device: "/dev/sdb1".into(),
            uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".into(),
            filesystem: "btrfs".into(),
            label: Some("back\u{1b}up".into()),
            size: 1 << 40,
            hardware: None,
            volume: None,
        };
        let text = plain(&drives(&Drives { drives: vec![drive] }, Detail::Usual, None));
        let expected = "\
DEVICE     LABEL            SIZE  FILESYSTEM  VOLUME  UUID
/dev/sdb1  back\\u{1b}up  1.0 TiB  btrfs       -       2d577679-a7b6-429d-8250-3d0d80e034df
";
        assert_eq!(text, expected);
        assert!(drives(&Drives { drives: vec![] }, Detail::Usual, None).contains("no drive"));
    }
}
