//! Where log messages go: the journal, or standard error.
