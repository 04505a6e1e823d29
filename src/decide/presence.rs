//! Which device and which mount is a drive.
