//! Directories pinned by descriptor, and everything done below them without following a link.
