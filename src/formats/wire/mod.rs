//! The socket's language: Varlink messages, framed by NUL.
