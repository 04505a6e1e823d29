//! What rsync's exit code and messages mean for a run.
