//! What each packet says about itself: which stream, which number, when it was sent.
//!
//! The mark is in the sound, not in the header, because a gateway rewrites headers. Four bits go into a byte, as the
//! quietest samples of G.711 (below −60 dBov), so that it disturbs neither an ear nor a voice detector. Forty bytes
//! of a frame carry it; the rest is sound. It survives whatever relays G.711 bit by bit, and nothing else.
//!
//! ```text
//! magic 16 bit | stream 32 | number 32 | sent, in nanoseconds 64 | check 16
//! ```

use segue_media::g711::Law;

use crate::clock::Nanos;

/// The bytes of a frame that carry the mark.
pub(crate) const MARK_BYTES: usize = 40;

const MAGIC: u16 = 0x5E9E;

/// What a packet says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Whose voice: never used twice in one run.
    pub(crate) stream: u32,
    /// Goes up by one a packet, from 0.
    pub(crate) number: u32,
    /// When it was sent.
    pub(crate) sent: Nanos,
}

impl Mark {
    /// Writes the mark over the beginning of a frame.
    pub(crate) fn write(self, law: Law, frame: &mut [u8]) {
        let quiet = law.silence();
        let words = [
            u64::from(MAGIC) << 48 | u64::from(self.stream) << 16 | u64::from(self.number >> 16),
            u64::from(self.number & 0xFFFF) << 48 | self.sent >> 16,
            (self.sent & 0xFFFF) << 48 | u64::from(self.check()) << 32,
        ];
        let nibbles = words.iter().flat_map(|word| (0..16).rev().map(move |place| word >> (4 * place) & 0xF));
        for (byte, nibble) in frame.iter_mut().take(MARK_BYTES).zip(nibbles) {
            *byte = quiet ^ nibble as u8;
        }
    }

    /// Reads a frame; `None` if it has no mark, or not every bit of it.
    pub(crate) fn read(law: Law, frame: &[u8]) -> Option<Self> {
        let quiet = law.silence();
        let marked: &[u8; MARK_BYTES] = frame.first_chunk()?;
        let (first, rest) = marked.split_first_chunk::<16>()?;
        let (second, third) = rest.split_first_chunk::<16>()?;
        let first = word(quiet, first)?;
        if (first >> 48) as u16 != MAGIC {
            return None;
        }
        let (second, third) = (word(quiet, second)?, word(quiet, third)?);
        let mark = Self {
            stream: (first >> 16) as u32,
            number: ((first & 0xFFFF) << 16 | second >> 48) as u32,
            sent: second << 16 | third >> 16 & 0xFFFF,
        };
        (mark.check() == third as u16).then_some(mark)
    }

    /// Tells a mark from sound that looks like one.
    const fn check(self) -> u16 {
        let mixed =
            (self.sent ^ (self.stream as u64) << 32 ^ self.number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 48) as u16
    }
}

fn word(quiet: u8, bytes: &[u8]) -> Option<u64> {
    let mut word = 0;
    for byte in bytes {
        let nibble = byte ^ quiet;
        if nibble > 0xF {
            return None;
        }
        word = word << 4 | u64::from(nibble);
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use segue_media::{level, tone::sine};

    use super::*;

    const MARK: Mark = Mark { stream: 0xDEAD_BEEF, number: 0x0102_0304, sent: 1_795_000_000_123_456_789 };

    #[test]
    fn what_is_written_is_read_again_in_both_laws() {
        for law in [Law::Pcmu, Law::Pcma] {
            for mark in [MARK, Mark { stream: 0, number: 0, sent: 0 }, Mark { number: u32::MAX, ..MARK }] {
                let mut frame = [0x55; 160];
                mark.write(law, &mut frame);
                assert_eq!(Mark::read(law, &frame), Some(mark), "{law:?}");
            }
        }
    }

    #[test]
    fn one_wrong_bit_makes_it_no_mark() {
        let mut frame = [0; 160];
        MARK.write(Law::Pcmu, &mut frame);
        for place in 0..MARK_BYTES {
            for bit in 0..8 {
                let mut broken = frame;
                broken[place] ^= 1 << bit;
                assert_eq!(Mark::read(Law::Pcmu, &broken), None, "byte {place} bit {bit}");
            }
        }
    }

    #[test]
    fn sound_is_no_mark_and_the_mark_is_no_sound() {
        let mut frame = [0; 160];
        for law in [Law::Pcmu, Law::Pcma] {
            law.encode_into(&sine(400.0, -20.0, 160), &mut frame);
            assert_eq!(Mark::read(law, &frame), None);
            MARK.write(law, &mut frame);
            let mut heard = [0; MARK_BYTES];
            law.decode_into(&frame, &mut heard);
            assert!(level::dbov(&heard) < -40.0, "{law:?}: {} dBov", level::dbov(&heard));
        }
        assert_eq!(Mark::read(Law::Pcmu, &[0xFF; 20]), None);
    }
}
