//! What others on the same machine try: each test is one attempt of another user against root, who must lose nothing.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "all of this is a test: it fails by panicking, and starts what a person would"
)]

mod ground;
mod own;
mod places;
mod power;
mod races;
mod restores;
mod rounds;
mod sshd;
