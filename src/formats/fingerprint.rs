//! A short number for some texts, from which they cannot be read: SipHash-2-4 (Aumasson and Bernstein, 2012).
//!
//! It stands in what others keep, so that it has to be the same for ever, whatever compiler built the program: the
//! hasher of the standard library promises that for one process only. The key is our own, as `machine-id(5)` asks.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Ours alone: what another program makes of the same texts tells nothing about ours.
const KEY: (u64, u64) = (u64::from_be_bytes(*b"nbkp: th"), u64::from_be_bytes(*b"is host."));

/// The number for these texts, in this order.
#[must_use]
pub fn of(texts: &[&str]) -> u64 {
    let mut bytes = Vec::new();
    for text in texts {
        // With their lengths, so that `ab, c` is not `a, bc`.
        bytes.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    siphash(KEY, &bytes)
}

/// The number for a path.
#[must_use]
pub fn of_path(path: &Path) -> u64 {
    siphash(KEY, path.as_os_str().as_bytes())
}

fn siphash((key0, key1): (u64, u64), bytes: &[u8]) -> u64 {
    let mut state = State([
        key0 ^ 0x736f_6d65_7073_6575,
        key1 ^ 0x646f_7261_6e64_6f6d,
        key0 ^ 0x6c79_6765_6e65_7261,
        key1 ^ 0x7465_6462_7974_6573,
    ]);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.take_in(u64::from_le_bytes(*word));
    }
    // What is left, and the lowest byte of the length above it.
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX) << 56;
    state.take_in(rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)) | length);
    state.finish()
}

struct State([u64; 4]);

impl State {
    fn take_in(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        (0..4).for_each(|_| self.round());
        self.0.into_iter().fold(0, |all, part| all ^ part)
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_that_its_authors_describe() {
        // The key, and the first and last of the vectors that they give for the bytes 00, 01, 02 and so on.
        let key = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let bytes: Vec<u8> = (0..63).collect();
        assert_eq!(siphash(key, b""), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash(key, &bytes[..15]), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash(key, &bytes), 0x958a_324c_eb06_4572);
    }

    #[test]
    fn it_never_changes_and_tells_neighbours_apart() {
        assert_eq!(of(&["4ffb3a5a0d8c4d1f9d6d2f8e7c1b0a99", "host", "1000"]), 0x73e6_5f7c_d67d_8666);
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a", ""]), of(&["a"]));
    }
}
