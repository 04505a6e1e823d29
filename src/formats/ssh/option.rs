//! The values of ssh's options, as they are written on its command line and in its configuration.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::time::Duration;

/// An option whose value is a path, as ssh reads it: in quotes, with what it would expand doubled.
pub(super) fn with_path(name: &str, path: &Path) -> OsString {
    let mut option = name.as_bytes().to_vec();
    option.push(b'"');
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => option.extend([b'\\', *byte]),
            b'%' => option.extend(b"%%"),
            _ => option.push(*byte),
        }
    }
    option.push(b'"');
    OsString::from_vec(option)
}

/// Whole seconds, at least one.
pub(super) fn seconds(length: Duration) -> u64 {
    length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0)).max(1)
}
