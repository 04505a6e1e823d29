//! The service manager: `sd_notify(3)`.
