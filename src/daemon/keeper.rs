//! Keeps history and ledger.
