//! The ears: one thread that polls what tokio cannot watch safely.
