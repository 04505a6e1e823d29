//! Serves the control socket.
