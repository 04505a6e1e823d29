//! The interfaces: their names, and how they are described to programs.

/// The interface that the daemon serves.
pub const INTERFACE: &str = "org.nbkp.Daemon";

/// The standard interface through which a service describes itself.
pub const SERVICE_INTERFACE: &str = "org.varlink.service";

/// The description of [`INTERFACE`] in Varlink's interface definition language.
pub const DESCRIPTION: &str = include_str!("org.nbkp.Daemon.varlink");

/// The description of [`SERVICE_INTERFACE`].
pub const SERVICE_DESCRIPTION: &str = include_str!("org.varlink.service.varlink");
