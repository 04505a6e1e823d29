//! Which snapshots stay, and why.
