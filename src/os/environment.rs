//! The environment: paths and variables that name them.
