//! Looks: from devices, mounts and sentinels to sights.
