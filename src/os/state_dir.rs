//! The state directory: the ledger, and the lock that keeps a second daemon out.
