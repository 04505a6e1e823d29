//! Children: rsync and hooks, in process groups of their own, with a cleared environment.
