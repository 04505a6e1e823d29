//! The control socket: made safely, or taken from systemd.
