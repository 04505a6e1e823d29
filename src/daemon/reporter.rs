//! Tells the journal and the service manager what happens.
