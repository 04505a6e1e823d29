//! The log on a destination: one line of JSON a run, each with its own CRC.
