//! The daemon's work without a daemon, for one request.
