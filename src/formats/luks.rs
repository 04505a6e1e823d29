//! The header of a LUKS container: what tells one from another that carries the same UUID.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What both versions begin with, and how long what follows may be that is read.
const MAGIC: &[u8] = b"LUKS\xba\xbe";
/// Where the text of the second version begins.
const TEXT: usize = 4096;
/// So much of a digest is kept: enough that nobody finds another key with the same.
const KEPT: usize = 24;

/// How many bytes of a device hold the header that begins like this; none if it is none.
#[must_use]
pub fn length(beginning: &[u8]) -> Option<usize> {
    match version(beginning)? {
        1 => Some(TEXT),
        2 => {
            let size: [u8; 8] = beginning.get(8..16)?.try_into().ok()?;
            usize::try_from(u64::from_be_bytes(size)).ok().filter(|size| (TEXT..=LONGEST).contains(size))
        }
        _ => None,
    }
}

/// The longest header (`cryptsetup(8)`: 4 MiB).
const LONGEST: usize = 4 << 20;

/// What stands for the key that a container is encrypted with, by its header. Passphrases that are added or changed
/// leave it as it is; a container that was made anew has another. Nothing can be learnt from it.
#[must_use]
pub fn mark(header: &[u8]) -> Option<String> {
    let digest = match version(header)? {
        // `mk-digest` of `struct luks_phdr`: 20 bytes.
        1 => header.get(112..132)?.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
        2 => of_text(header.get(TEXT..)?)?,
        _ => return None,
    };
    Some(digest.chars().take(KEPT).collect())
}

fn version(header: &[u8]) -> Option<u16> {
    let version = header.strip_prefix(MAGIC)?.get(..2)?;
    Some(u16::from_be_bytes(version.try_into().ok()?))
}

#[derive(Deserialize)]
struct Metadata {
    digests: BTreeMap<String, Digest>,
}

#[derive(Deserialize)]
struct Digest {
    digest: String,
}

/// The digest of the first key. While a container is encrypted anew there are two.
fn of_text(text: &[u8]) -> Option<String> {
    let text = text.split(|byte| *byte == 0).next()?;
    let metadata: Metadata = serde_json::from_slice(text).ok()?;
    let digest = metadata.digests.into_values().next()?.digest;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    Some(digest.chars().map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(digests: &str) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.extend([0, 2]);
        header.extend(16384_u64.to_be_bytes());
        header.resize(TEXT, 0);
        header.extend(format!(r#"{{"keyslots":{{}},"digests":{digests},"config":{{}}}}"#).bytes());
        header.resize(16384, 0);
        header
    }

    #[test]
    fn a_container_is_told_by_its_key() {
        let header = second(r#"{"0":{"type":"pbkdf2","digest":"xvOLQctYsXrKCnFK+bRglTdWsw4X1bLl/ieCQdR6WQk="}}"#);
        assert_eq!(length(&header), Some(16384));
        assert_eq!(mark(&header).as_deref(), Some("xvOLQctYsXrKCnFK-bRglTdW"));
        let mut first = MAGIC.to_vec();
        first.extend([0, 1]);
        first.resize(112, 7);
        first.extend([0xab; 20]);
        first.resize(592, 9);
        assert_eq!((length(&first), mark(&first).as_deref()), (Some(4096), Some("abababababababababababab")));
    }

    #[test]
    fn what_is_no_header_tells_nothing() {
        for bytes in [&b""[..], b"LUKS", b"LUKS\xba\xbe", b"LUKS\xba\xbe\x00\x03", &second("{}"), &second("7")] {
            assert_eq!(mark(bytes), None);
        }
        let mut endless = second("{}");
        endless.splice(8..16, u64::MAX.to_be_bytes());
        assert_eq!((length(&endless), length(b"LUKS\xba\xbe\x00\x02")), (None, None));
    }
}
