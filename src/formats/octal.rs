//! Bytes that are written as three octal digits.

/// The byte that the first three digits say, and what follows; `None` if they are no three digits, or more than a byte.
pub(super) fn byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let [a, b, c, after @ ..] = text else { return None };
    let digit = |byte: u8| (b'0'..=b'7').contains(&byte).then(|| u32::from(byte - b'0'));
    let value = digit(*a)? * 64 + digit(*b)? * 8 + digit(*c)?;
    Some((u8::try_from(value).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_digits_of_a_byte_are_one() {
        assert_eq!(byte(b"0123"), Some((10, b"3".as_slice())));
        assert_eq!(byte(b"377"), Some((255, b"".as_slice())));
        for other in ["400", "01", "+12", "-12", " 12", "128", "0o1"] {
            assert_eq!(byte(other.as_bytes()), None, "{other}");
        }
    }
}
