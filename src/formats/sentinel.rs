//! Sentinels: the small files that prove a place. Empty, as the Python tool makes them, or `id = "<uuid>"`.

use serde::Deserialize;

use crate::model::SentinelId;

/// The largest sentinel that is read, in bytes.
pub const LIMIT: u64 = 4096;

/// Why a text is not a sentinel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SentinelError {
    /// It is not TOML with at most an `id`.
    #[error("it is neither empty nor `id = \"…\"`")]
    Content,
    /// The id is empty, longer than 64 bytes, or holds something else than letters, digits and `-`.
    #[error("its id is not an id")]
    Id,
}

#[derive(Deserialize)]
struct Content {
    id: Option<String>,
}

/// The id that a sentinel carries. Keys of later versions are passed over.
pub fn id(bytes: &[u8]) -> Result<Option<SentinelId>, SentinelError> {
    let text = std::str::from_utf8(bytes).map_err(|_| SentinelError::Content)?;
    let content: Content = toml::from_str(text).map_err(|_| SentinelError::Content)?;
    let Some(id) = content.id else { return Ok(None) };
    let safe = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if safe && !id.is_empty() && id.len() <= 64 { Ok(Some(SentinelId(id))) } else { Err(SentinelError::Id) }
}

/// The sentinel that carries this id.
#[must_use]
pub fn content(id: &SentinelId) -> String {
    format!("id = \"{}\"\n", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_sentinel_has_no_id_and_a_written_one_has_its_own() {
        for empty in ["", "\n", "# a comment\n", "made-by = \"later version\"\n"] {
            assert_eq!(id(empty.as_bytes()), Ok(None), "{empty:?}");
        }
        let written = SentinelId("0f5e1d2c-3b4a-4968-8776-655443322110".into());
        assert_eq!(id(content(&written).as_bytes()), Ok(Some(written)));
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, error) in [
            (b"id = 7".as_slice(), SentinelError::Content),
            (b"hello", SentinelError::Content),
            (b"\xff\xfe", SentinelError::Content),
            (b"id = \"\"", SentinelError::Id),
            (b"id = \"a/../b\"", SentinelError::Id),
        ] {
            assert_eq!(id(text), Err(error));
        }
    }
}
