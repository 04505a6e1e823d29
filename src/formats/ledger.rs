//! The ledger file: JSON with a version.
