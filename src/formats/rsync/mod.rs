//! rsync: its arguments, its output and its exit codes (rsync(1)).
