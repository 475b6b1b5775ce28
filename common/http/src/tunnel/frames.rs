//! Where in a WebSocket's bytes its frames begin and end (RFC 6455 §5.2).
//! Not a reader of frames: no byte is kept, unmasked or judged.

/// The longest head of a frame: two bytes, eight of length, four of mask.
const LONGEST_HEAD: usize = 14;

const CLOSE: u8 = 8;

/// Follows the frames of one direction, byte by byte as they are passed on.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The head of the frame that is being passed, as far as it has come.
    head: [u8; LONGEST_HEAD],
    have: usize,
    /// What is left of its payload.
    left: u64,
    /// A close frame has begun: nothing may follow it.
    closed: bool,
    /// These are no frames.
    lost: bool,
}

impl Frames {
    /// Takes note of bytes that were passed on.
    pub(super) fn passed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.lost {
            if self.left > 0 {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                let payload = length.min(self.left);
                self.left = self.left.saturating_sub(payload);
                let payload = usize::try_from(payload).unwrap_or(usize::MAX);
                bytes = bytes.get(payload..).unwrap_or_default();
            } else if let Some((byte, rest)) = bytes.split_first() {
                bytes = rest;
                self.head_byte(*byte);
            }
        }
    }

    /// Whether a frame of ours could be sent now.
    pub(super) const fn may_say_goodbye(&self) -> bool {
        self.have == 0 && self.left == 0 && !self.closed && !self.lost
    }

    fn head_byte(&mut self, byte: u8) {
        if let Some(place) = self.head.get_mut(self.have) {
            *place = byte;
            self.have = self.have.saturating_add(1);
        }
        let [first, second, length @ ..] = &self.head;
        let (code, mask) = (second & 0x7f, if second & 0x80 == 0 { 0 } else { 4 });
        let extension: usize = match code {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.have < 2 || self.have < extension.saturating_add(mask).saturating_add(2) {
            return;
        }
        self.left = match extension {
            0 => u64::from(code),
            bytes => length.iter().take(bytes).fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
        };
        self.lost = self.left >> 63 != 0;
        self.closed |= first & 0x0f == CLOSE;
        self.have = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: u64, masked: bool) -> Vec<u8> {
        let mut bytes = vec![first];
        let mask = if masked { 0x80 } else { 0 };
        match length {
            0..126 => bytes.push(u8::try_from(length).unwrap() | mask),
            126..65_536 => {
                bytes.push(0x7e | mask);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x7f | mask);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend(if masked { &[1, 2, 3, 4][..] } else { &[] });
        // A payload that looks like heads of frames.
        bytes.extend(std::iter::repeat_n(0x88, usize::try_from(length).unwrap()));
        bytes
    }

    #[test]
    fn only_between_two_frames_may_one_be_sent() {
        for masked in [false, true] {
            for length in [0, 1, 125, 126, 300, 65_535, 65_536, 70_000] {
                let bytes = frame(0x82, length, masked);
                let mut frames = Frames::default();
                assert!(frames.may_say_goodbye());
                for (index, byte) in bytes.iter().enumerate() {
                    frames.passed(&[*byte]);
                    assert_eq!(frames.may_say_goodbye(), index + 1 == bytes.len(), "{length}, byte {index}");
                }
            }
        }
    }

    #[test]
    fn pieces_of_every_size_lead_to_the_same_place() {
        let stream: Vec<u8> = [
            frame(0x81, 5, false),
            frame(0x02, 700, false),
            frame(0x80, 66_000, false),
            frame(0x89, 0, false),
        ]
        .concat();
        for size in [1, 2, 3, 7, 100, 4_096, 100_000] {
            let mut frames = Frames::default();
            for piece in stream.chunks(size) {
                frames.passed(piece);
            }
            assert!(frames.may_say_goodbye(), "{size}");
            frames.passed(&[0x81]);
            assert!(!frames.may_say_goodbye(), "{size}");
        }
    }

    #[test]
    fn after_a_close_frame_nothing_follows() {
        let mut frames = Frames::default();
        frames.passed(&frame(0x88, 2, false));
        assert!(!frames.may_say_goodbye());
    }

    #[test]
    fn a_length_that_cannot_be_is_no_frame() {
        let mut frames = Frames::default();
        frames.passed(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert!(!frames.may_say_goodbye());
        frames.passed(&[0; 1_000]);
        assert!(!frames.may_say_goodbye());
    }
}
