//! What is still to be opened: the names of complaints that are known.
//!
//! An entry that nothing complains of any more is an offence itself, so that this list only shrinks. It is to be empty.

/// The first lines of the complaints, grouped as the rules are.
pub const STILL_OPEN: &[&str] = &[];
