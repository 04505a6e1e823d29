//! Which syncs run next, in which order, and which may start now.
