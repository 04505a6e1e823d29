//! Files of filter rules, as bytes.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// No file of rules is larger, in bytes.
const LARGEST: u64 = 1 << 20;

/// Why a file of rules was not read.
#[derive(Debug, thiserror::Error)]
pub enum RulesFileError {
    /// It cannot be read.
    #[error("read it: {0}")]
    Read(#[from] io::Error),
    /// It is a directory, a device or a FIFO.
    #[error("read it: it is not a regular file")]
    NotRegular,
    /// It is larger than any file of rules.
    #[error("read it: it is larger than {LARGEST} bytes")]
    TooLarge,
}

/// What is in a file of rules. A FIFO in its place makes nobody wait.
pub fn read_rules(path: &Path) -> Result<Vec<u8>, RulesFileError> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(RulesFileError::NotRegular);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= LARGEST);
    if fits { Ok(bytes) } else { Err(RulesFileError::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("rules");
        assert!(read_rules(&path).unwrap_err().to_string().starts_with("read it: No such file"));
        std::fs::write(&path, "- x\n").unwrap();
        assert_eq!(read_rules(&path).unwrap(), b"- x\n");
        std::fs::write(&path, vec![b'#'; 1 + (1 << 20)]).unwrap();
        assert!(matches!(read_rules(&path), Err(RulesFileError::TooLarge)));
        let fifo = place.path().join("fifo");
        let nowhere = rustix::fs::CWD;
        rustix::fs::mknodat(nowhere, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(matches!(read_rules(&fifo), Err(RulesFileError::NotRegular)));
        assert!(matches!(read_rules(place.path()), Err(RulesFileError::NotRegular)));
    }
}
