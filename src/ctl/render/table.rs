//! Tables: columns without lines, so that they can be cut and searched.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, presets};

use super::page::{Page, Tone, paint};
use crate::formats::text::printable;

/// A column.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    /// Of words.
    Words(&'static str),
    /// Of numbers.
    Numbers(&'static str),
}

/// A row: its cells, and the tone of the whole.
#[derive(Debug)]
pub struct Row {
    /// One text for each column.
    pub cells: Vec<String>,
    /// Its tone.
    pub tone: Tone,
}

/// The text of a table; control characters in cells are escaped.
#[must_use]
pub fn table(columns: &[Column], rows: Vec<Row>) -> String {
    let mut table = bare();
    let names = columns.iter().map(|column| match column {
        Column::Words(name) | Column::Numbers(name) => *name,
    });
    table.set_header(names);
    let mut tones = vec![Tone::Title];
    for row in rows {
        table.add_row(row.cells.iter().map(|cell| printable(cell).into_owned()));
        tones.push(row.tone);
    }
    for (column, kind) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2)).set_constraint(ColumnConstraint::ContentWidth);
        if matches!(kind, Column::Numbers(_)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut page = Page::default();
    for (line, tone) in table.lines().zip(tones) {
        page.line(paint(tone, line.trim_end()));
    }
    page.finish()
}

/// These words with spaces behind them, so that what is written behind each stands below what is behind the others, also
/// where something else stands between the lines. Control characters are escaped.
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
        let text = table(&[Column::Words("SYNC"), Column::Numbers("FILES"), Column::Words("NOTE")], rows);
        assert_eq!(plain(&text), "SYNC       FILES  NOTE\ndocuments      7\na\\nb       1,204  x  y\n");
        assert!(text.contains("\u{1b}[31ma\\nb"), "{text:?}");
    }
}
