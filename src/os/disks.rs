//! Block devices, from udev.
