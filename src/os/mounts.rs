//! The mount table of this process.

use std::io;

use crate::formats::mountinfo;
use crate::model::Mount;

/// Why the mount table is not known.
#[derive(Debug, thiserror::Error)]
pub enum MountsError {
    /// The file could not be read.
    #[error("read the mount table {TABLE}")]
    Read(#[source] io::Error),
}

/// Where the kernel shows the mounts that this process can see.
pub(crate) const TABLE: &str = "/proc/self/mountinfo";

/// The mounts that this process can see, in the order of the table.
pub fn read() -> Result<Vec<Mount>, MountsError> {
    std::fs::read(TABLE).map(|bytes| mountinfo::parse(&bytes)).map_err(MountsError::Read)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_table_of_this_process_has_proc_in_it() {
        let mounts = super::read().expect("a table");
        assert!(mounts.iter().any(|mount| mount.point == Path::new("/proc") && mount.fs_type == "proc"));
    }
}
