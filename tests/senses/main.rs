//! The senses against real neighbours: the kernel's routing, NetworkManager, logind, UPower and message buses.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::unused_self,
    reason = "a test starts programs and watches the clock, and fails by panicking"
)]

#[path = "../mini/host.rs"]
mod mini;
#[path = "../common/required.rs"]
mod required;

mod addresses;
mod bus;
mod ground;
mod idle;
mod network_manager;
mod served;
mod whole;
