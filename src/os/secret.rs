//! A secret in memory: shown to nobody, wiped when it goes, kept out of swap where the kernel lets us.

use std::fmt;

use zeroize::Zeroizing;

use super::sys;

/// The longest a secret may be, in bytes.
pub const LONGEST: usize = 4096;

/// A secret. It has no text for people, and it is overwritten when it is dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes bytes for a secret, without one newline at their end. `None` if there are none, or too many.
    ///
    /// Bytes that move leave a copy behind: whoever reads them in has made room for them before.
    #[must_use]
    pub fn new(mut bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        let secret = Self(bytes);
        // Without the right to lock memory, it is short-lived all the same.
        let _unlocked = sys::keep_in_memory(&secret.0);
        (!secret.0.is_empty() && secret.0.len() <= LONGEST).then_some(secret)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a text, if a D-Bus string can hold it.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok().filter(|text| !text.contains('\0'))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Lets no other process of this user look into this one, and no core of it be written.
pub fn keep_to_ourselves() {
    // Whatever fails here, the process is short-lived.
    let _dumpable = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _core = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(bytes: &[u8]) -> Option<Secret> {
        Secret::new(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn one_newline_at_its_end_is_no_part_of_it() {
        assert_eq!(secret(b"word\n").unwrap().bytes(), b"word");
        assert_eq!(secret(b"word\n\n").unwrap().bytes(), b"word\n");
        assert_eq!(secret(b" word ").unwrap().text(), Some(" word "));
        assert!(secret(b"\n").is_none());
        assert!(secret(&[b'x'; LONGEST + 1]).is_none());
    }

    #[test]
    fn bytes_that_are_no_text_are_told_from_text() {
        for bytes in [b"a\xff".as_slice(), b"a\0b"] {
            assert_eq!(secret(bytes).unwrap().text(), None);
        }
    }

    #[test]
    fn it_has_no_text_for_people() {
        assert_eq!(format!("{:?}", secret(b"canary").unwrap()), "Secret(…)");
    }
}
