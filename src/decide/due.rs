//! Whether and when a copy is wanted.
