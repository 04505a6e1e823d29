//! The terminal behind standard output.

use std::io;

/// How many lines and columns a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its lines, at least one.
    pub lines: usize,
    /// Its columns, at least one.
    pub columns: usize,
}

/// The extent of the terminal behind standard output; `None` if there is none or it does not know.
#[must_use]
pub fn extent() -> Option<Extent> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let known = size.ws_row > 0 && size.ws_col > 0;
    known.then(|| Extent { lines: size.ws_row.into(), columns: size.ws_col.into() })
}
