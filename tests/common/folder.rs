//! Folders of files: made, changed and compared.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder on disk.
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
}

/// What a folder holds, by relative path; without our own sentinels.
pub type Content = BTreeMap<OsString, Entry>;

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory, with its permissions.
    Directory(u32),
    /// A file, with its permissions and bytes.
    File(u32, Vec<u8>),
    /// A symbolic link, with its target.
    Link(OsString),
    /// Something else.
    Other,
}

impl Folder {
    /// The folder at a path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Writes a file; directories above it are made.
    pub fn write(&self, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path.join(Path::new(name.as_ref()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    /// Writes many small files into subdirectories.
    pub fn fill(&self, files: u32) -> &Self {
        for number in 0..files {
            self.write(format!("folder-{:02}/file-{number}", number % 20), format!("content of file {number}\n"));
        }
        self
    }

    /// Writes a big file that does not compress, the same for the same seed.
    pub fn write_big(&self, name: &str, mebibytes: usize, seed: u64) -> &Self {
        self.write(name, noise(mebibytes << 20, seed))
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> &Self {
        std::fs::remove_file(self.path.join(name)).unwrap();
        self
    }

    /// Removes everything in it, our sentinels too if `sentinels` says so.
    pub fn empty(&self, sentinels: Sentinels) {
        for entry in std::fs::read_dir(&self.path).unwrap().map(Result::unwrap) {
            let ours = entry.file_name().to_string_lossy().starts_with(".nbkp");
            match entry.file_type().unwrap().is_dir() {
                _ if ours && sentinels == Sentinels::Stay => {}
                true => std::fs::remove_dir_all(entry.path()).unwrap(),
                false => std::fs::remove_file(entry.path()).unwrap(),
            }
        }
    }

    /// What it holds.
    pub fn content(&self) -> Content {
        let mut content = Content::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            for entry in entries.map(Result::unwrap) {
                let name = entry.path().strip_prefix(&self.path).unwrap().as_os_str().to_owned();
                if name.to_string_lossy().starts_with(".nbkp") {
                    continue;
                }
                let metadata = entry.path().symlink_metadata().unwrap();
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
                content.insert(name, Entry::read(&entry.path(), &metadata));
            }
        }
        content
    }

    /// Fails unless the other folder holds the same.
    #[track_caller]
    pub fn is_like(&self, other: &Self) {
        self.holds(&other.content());
    }

    /// Fails unless it holds exactly this.
    #[track_caller]
    pub fn holds(&self, expected: &Content) {
        let differences = differences(&self.content(), expected);
        assert!(differences.is_empty(), "{} is not as expected: {differences:?}", self.path.display());
    }
}

/// The names of entries that are not the same in both.
pub fn differences(left: &Content, right: &Content) -> Vec<OsString> {
    let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
    names.filter(|name| left.get(*name) != right.get(*name)).cloned().collect()
}

/// Whether our sentinels go with the rest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sentinels {
    /// They stay.
    Stay,
    /// They go.
    Go,
}

impl Entry {
    fn read(path: &Path, metadata: &std::fs::Metadata) -> Self {
        let kind = metadata.file_type();
        if kind.is_dir() {
            Self::Directory(metadata.mode() & 0o7777)
        } else if kind.is_file() {
            Self::File(metadata.mode() & 0o7777, std::fs::read(path).unwrap())
        } else if kind.is_symlink() {
            Self::Link(std::fs::read_link(path).unwrap().into())
        } else {
            Self::Other
        }
    }
}

/// Bytes that do not compress (xorshift), the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
