//! Frames: what lies between two NUL bytes, cut out of a stream under a limit.

/// The longest message that the daemon accepts, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;

/// The longest message that the client accepts, in bytes: a status of many thousand syncs fits.
pub const MAX_REPLY: usize = 64 << 20;

/// The deepest nesting of objects and arrays that the daemon accepts.
pub const MAX_DEPTH: usize = 16;

/// Why a stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message is longer than {limit} bytes")]
pub struct FrameTooLong {
    /// The limit.
    pub limit: usize,
}

/// Cuts a stream into frames. It holds at most one frame of the limit and what was pushed last: nothing is ever
/// allocated because of a size that the other side only claims.
#[derive(Debug)]
pub struct Deframer {
    held: Vec<u8>,
    /// Where what was not yet taken out begins. The part before it goes once it is the larger one, so that many small
    /// frames, sent ahead, cost no more than one pass.
    start: usize,
    searched: usize,
    limit: usize,
}

impl Deframer {
    /// An empty one for frames of at most `limit` bytes, the NUL not counted.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { held: Vec::new(), start: 0, searched: 0, limit }
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Takes out the next complete frame, without its NUL.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameTooLong> {
        let unsearched = self.held.get(self.searched..).unwrap_or_default();
        let Some(found) = unsearched.iter().position(|byte| *byte == 0) else {
            self.searched = self.held.len();
            return if self.is_full() { Err(FrameTooLong { limit: self.limit }) } else { Ok(None) };
        };
        let end = self.searched + found;
        if end - self.start > self.limit {
            return Err(FrameTooLong { limit: self.limit });
        }
        let frame = self.held.get(self.start..end).unwrap_or_default().to_vec();
        self.start = end + 1;
        if self.start > self.held.len() / 2 {
            // The rest moves into a buffer of its own size: one long frame does not hold memory for ever.
            self.held = self.held.split_off(self.start);
            self.start = 0;
        }
        self.searched = self.start;
        Ok(Some(frame))
    }

    /// Whether an incomplete frame is held. True only after [`Deframer::next_frame`] found no complete one.
    #[must_use]
    pub fn is_amid_a_frame(&self) -> bool {
        self.held.len() > self.start
    }

    /// Whether it holds as much as a frame may have, so that nothing should be read before a frame is taken out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.held.len() - self.start > self.limit
    }
}

/// Whether a JSON text nests objects and arrays at most `limit` deep. Brackets within strings do not count; the text
/// need not be valid.
#[must_use]
pub fn nests_within(text: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut() {
        let mut deframer = Deframer::new(8);
        deframer.push(b"ab\0c");
        assert_eq!(deframer.next_frame(), Ok(Some(b"ab".to_vec())));
        assert_eq!(deframer.next_frame(), Ok(None));
        assert!(deframer.is_amid_a_frame());
        deframer.push(b"d\0\0");
        assert_eq!(deframer.next_frame(), Ok(Some(b"cd".to_vec())));
        assert_eq!(deframer.next_frame(), Ok(Some(Vec::new())));
        assert_eq!(deframer.next_frame(), Ok(None));
        assert!(!deframer.is_amid_a_frame());
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_ends() {
        let mut deframer = Deframer::new(8);
        deframer.push(&[b'x'; 8]);
        assert_eq!(deframer.next_frame(), Ok(None));
        deframer.push(b"x");
        assert_eq!(deframer.next_frame(), Err(FrameTooLong { limit: 8 }));
        let mut deframer = Deframer::new(8);
        deframer.push(b"123456789\0");
        assert_eq!(deframer.next_frame(), Err(FrameTooLong { limit: 8 }));
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        assert!(nests_within(b"{\"a\":[[\"[[[[\\\"[[\"]]}", 3));
        assert!(!nests_within(b"{\"a\":[[1]]}", 2));
        assert!(!nests_within(&[b'['; 17], 16));
    }

    proptest! {
        #[test]
        fn any_stream_in_any_cuts_gives_what_lies_between_the_zeros(
            frames in prop::collection::vec(prop::collection::vec(1_u8.., 0..40), 0..10),
            cut in 1_usize..50,
        ) {
            let stream: Vec<u8> = frames.iter().flat_map(|frame| [frame.as_slice(), &[0]].concat()).collect();
            let mut deframer = Deframer::new(40);
            let mut seen = Vec::new();
            for chunk in stream.chunks(cut) {
                deframer.push(chunk);
                while let Some(frame) = deframer.next_frame().unwrap() {
                    seen.push(frame);
                }
                prop_assert!(deframer.held.len() <= 2 * (40 + 50));
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(!deframer.is_amid_a_frame());
        }
    }
}
