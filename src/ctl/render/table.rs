//! Tables: columns without lines, so that they can be cut and searched.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, presets};

use super::page::{Page, Tone, paint};
use crate::ctl::fold::{elided, width};
use crate::formats::text::printable;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Of words that stay whole: times, identifiers.
    Words(&'static str),
    /// Of numbers.
    Numbers(&'static str),
    /// Of names, which lose their middle where there is no room.
    Names(&'static str),
    /// Of words that are left out where there is no room.
    Asides(&'static str),
    /// Of what stands below its row where there is no room beside it.
    Notes(&'static str),
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Words(name) | Self::Numbers(name) | Self::Names(name) | Self::Asides(name) | Self::Notes(name) => {
                name
            }
        }
    }
}

/// A row: its cells, and the tone of the whole.
#[derive(Debug, Clone)]
pub struct Row {
    /// One text for each column.
    pub cells: Vec<String>,
    /// Its tone.
    pub tone: Tone,
}

/// So many columns of the screen a name keeps at least.
const LEAST: usize = 8;

/// The text of a table that is no wider than this, if it can be; control characters in cells are escaped.
#[must_use]
pub fn table(columns: &[Column], rows: &[Row], room: Option<usize>) -> String {
    let whole = laid_out(columns, rows);
    let room = room.unwrap_or(usize::MAX);
    if widest(&whole) <= room {
        return painted(&whole, rows, |_| Vec::new());
    }
    let beside = |column: &Column| !matches!(column, Column::Asides(_) | Column::Notes(_));
    let only = |cells: &[String]| -> Vec<String> {
        columns.iter().zip(cells).filter(|(column, _)| beside(column)).map(|(_, cell)| cell.clone()).collect()
    };
    let narrow: Vec<Column> = columns.iter().copied().filter(beside).collect();
    let mut short: Vec<Row> = rows.iter().map(|row| Row { cells: only(&row.cells), tone: row.tone }).collect();
    let mut lines = laid_out(&narrow, &short);
    while widest(&lines) > room && elide_one(&narrow, &mut short, widest(&lines).saturating_sub(room)) {
        lines = laid_out(&narrow, &short);
    }
    let notes = |row: &Row| {
        let noted = columns
            .iter()
            .zip(&row.cells)
            .filter(|(column, cell)| matches!(column, Column::Notes(_)) && !matches!(cell.as_str(), "" | "0"));
        noted.map(|(column, cell)| format!("    {}: {}", column.heading().to_lowercase(), printable(cell))).collect()
    };
    painted(&lines, rows, notes)
}

/// Takes so much as is too much out of the widest column of names. Whether there was one that could give it.
fn elide_one(columns: &[Column], rows: &mut [Row], excess: usize) -> bool {
    let wide = |at: usize, rows: &[Row]| {
        let cells = rows.iter().filter_map(|row| row.cells.get(at));
        cells.map(|cell| width(&printable(cell))).max().unwrap_or_default()
    };
    let names = columns.iter().enumerate().filter(|(_, column)| matches!(column, Column::Names(_)));
    let widest = names.map(|(at, column)| (wide(at, rows), at, column.heading().len())).max();
    let Some((now, at, heading)) = widest else { return false };
    let least = LEAST.max(heading);
    // By and by, so that several names give alike.
    let wanted = now.saturating_sub(excess.min(4)).max(least);
    for cell in rows.iter_mut().filter_map(|row| row.cells.get_mut(at)) {
        *cell = elided(&printable(cell), wanted);
    }
    wanted < now
}

fn laid_out(columns: &[Column], rows: &[Row]) -> Vec<String> {
    let mut table = bare();
    table.set_header(columns.iter().map(|column| column.heading()));
    for row in rows {
        table.add_row(row.cells.iter().map(|cell| printable(cell).into_owned()));
    }
    for (at, (column, kind)) in table.column_iter_mut().zip(columns).enumerate() {
        column.set_padding((0, 2)).set_constraint(ColumnConstraint::ContentWidth);
        if matches!(kind, Column::Numbers(_)) || (matches!(kind, Column::Notes(_)) && is_counted(at, rows)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Whether a column holds counts and nothing else.
fn is_counted(at: usize, rows: &[Row]) -> bool {
    rows.iter().filter_map(|row| row.cells.get(at)).all(|cell| cell.chars().all(|c| c.is_ascii_digit() || c == ','))
}

fn widest(lines: &[String]) -> usize {
    lines.iter().map(|line| width(line)).max().unwrap_or_default()
}

/// The lines in their tones, each with what stands below it.
fn painted(lines: &[String], rows: &[Row], below: impl Fn(&Row) -> Vec<String>) -> String {
    let mut page = Page::default();
    let mut lines = lines.iter();
    page.line(paint(Tone::Title, lines.next().map_or("", String::as_str)));
    for (line, row) in lines.zip(rows) {
        page.line(paint(row.tone, line));
        for note in below(row) {
            page.line(paint(row.tone, note));
        }
    }
    page.finish()
}

/// These words with spaces behind them, so that what is written behind each stands below what is behind the others,
/// also where something else stands between the lines. Control characters are escaped.
#[must_use]
pub fn column<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut table = bare();
    table.add_rows(words.into_iter().map(|word| [printable(word)]));
    for column in table.column_iter_mut() {
        column.set_padding((0, 0)).set_constraint(ColumnConstraint::ContentWidth);
    }
    table.lines().collect()
}

fn bare() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;

    #[test]
    fn words_get_the_same_width_on_the_screen_as_they_are_shown() {
        assert_eq!(column(["usb", "", "a\nb", "写真"]), ["usb ", "    ", "a\\nb", "写真"]);
        assert!(column([]).is_empty());
    }

    #[test]
    fn columns_stand_below_each_other_and_every_row_is_one_line() {
        let row = |cells: [&str; 3], tone| Row { cells: cells.map(str::to_owned).to_vec(), tone };
        let rows = vec![row(["documents", "7", ""], Tone::Plain), row(["a\nb", "1,204", "x  y"], Tone::Bad)];
        let text = table(&[Column::Words("SYNC"), Column::Numbers("FILES"), Column::Notes("NOTE")], &rows, Some(80));
        assert_eq!(plain(&text), "SYNC       FILES  NOTE\ndocuments      7\na\\nb       1,204  x  y\n");
        assert!(text.contains("\u{1b}[31ma\\nb"), "{text:?}");
    }

    #[test]
    fn a_table_fits_without_breaking_what_must_stay_whole() {
        let columns = [
            Column::Words("STARTED"),
            Column::Names("SYNC"),
            Column::Asides("TRIGGER"),
            Column::Numbers("BYTES"),
            Column::Notes("NOTE"),
        ];
        let cells =
            ["2026-11-22 17:30:00", "documents-of-the-whole-family", "schedule", "1.9 GiB", "the server is away"];
        let rows = vec![Row { cells: cells.map(str::to_owned).to_vec(), tone: Tone::Plain }];
        let shown = |room| plain(&table(&columns, &rows, room));
        assert_eq!(shown(None).lines().count(), 2);
        let narrow = shown(Some(44));
        assert!(narrow.lines().all(|line| line.chars().count() <= 44), "{narrow}");
        assert_eq!(narrow.lines().count(), 3, "{narrow}");
        assert!(narrow.contains("2026-11-22 17:30:00  docum") && narrow.contains("…"), "{narrow}");
        assert!(narrow.contains("1.9 GiB") && narrow.contains("\n    note: the server is away\n"), "{narrow}");
        assert!(!narrow.contains("schedule"), "{narrow}");
    }

    #[test]
    fn names_whose_signs_take_two_columns_fit_too() {
        let columns = [Column::Names("SYNC"), Column::Names("PATH")];
        let cells = ["家族の写真と書類の控え", "/media/外付けドライブ/家族/控え"].map(str::to_owned).to_vec();
        let shown = plain(&table(&columns, &[Row { cells, tone: Tone::Plain }], Some(30)));
        assert!(shown.lines().all(|line| width(line) <= 30), "{shown}");
        assert!(shown.contains("家族") && shown.contains("控え") && shown.contains('…'), "{shown}");
    }
}
