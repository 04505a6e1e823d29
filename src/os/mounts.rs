//! The mount table, from the kernel.
