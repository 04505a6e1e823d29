//! How long to wait after a failure.
