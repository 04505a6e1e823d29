//! Whether a run deletes more than it may.
