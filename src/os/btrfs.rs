//! Btrfs subvolumes and snapshots, by descriptor.
