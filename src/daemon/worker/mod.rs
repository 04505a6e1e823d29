//! One run, on a thread of its own.
