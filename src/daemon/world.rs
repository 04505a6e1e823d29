//! All that the daemon knows, and what it does about an event.
