//! What people ask for beside runs: prepare, diff, snapshots, prune.
