//! The configuration file: TOML in, a configuration or all its mistakes out.
