//! Which numbers of one stream came: in order, again, late, or not.

/// A jump of more numbers than this is a stream that was elsewhere, not a loss: a minute.
pub(crate) const JUMP_MAX: u32 = 3_000;

/// One stream of numbers that go up by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track {
    /// Whose numbers they are.
    pub(crate) stream: u32,
    /// The highest that came.
    pub(crate) highest: u32,
    /// Bit n: the number n before the highest was seen.
    seen: u64,
}

/// What one number meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It follows, after so many that are missing.
    Next {
        /// How many were left out.
        missing: u32,
    },
    /// It was missing for a while.
    Late,
    /// It was there before, or it is so old that nobody knows.
    Again,
}

impl Track {
    /// A stream that begins with this number.
    pub(crate) const fn new(stream: u32, number: u32) -> Self {
        Self { stream, highest: number, seen: 1 }
    }

    /// Takes a number.
    pub(crate) fn follow(&mut self, number: u32) -> Place {
        let ahead = i64::from(number) - i64::from(self.highest);
        if ahead > 0 {
            let step = ahead as u64;
            self.seen = if step < 64 { self.seen << step | 1 } else { 1 };
            self.highest = number;
            let missing = if step <= u64::from(JUMP_MAX) { step as u32 - 1 } else { 0 };
            return Place::Next { missing };
        }
        let back = ahead.unsigned_abs();
        let bit = 1_u64.checked_shl(u32::try_from(back).unwrap_or(64)).unwrap_or(0);
        if bit == 0 || self.seen & bit != 0 {
            return Place::Again;
        }
        self.seen |= bit;
        Place::Late
    }

    /// What was left out before the highest will not come late.
    pub(crate) const fn forgive(&mut self) {
        self.seen |= u64::MAX << 1;
    }

    /// The whole number that a 16-bit sequence number stands for, near the highest.
    pub(crate) const fn whole(&self, sequence: u16) -> u32 {
        let step = sequence.wrapping_sub(self.highest as u16).cast_signed();
        self.highest.wrapping_add_signed(step as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_across_the_end_of_sixteen_bits() {
        let first = 0x1_0000 + 65_534;
        let mut track = Track::new(1, first);
        let places = [65_535_u16, 1, 0, 0, 2].map(|sequence| track.follow(track.whole(sequence)));
        let next = |missing| Place::Next { missing };
        assert_eq!(places, [next(0), next(1), Place::Late, Place::Again, next(0)]);
        assert_eq!(track.highest, 0x2_0002);
    }

    #[test]
    fn a_stream_that_was_elsewhere_for_a_minute_lost_nothing() {
        let mut track = Track::new(1, 0);
        assert_eq!(track.follow(JUMP_MAX + 1), Place::Next { missing: 0 });
        assert_eq!(track.follow(1), Place::Again, "too old to be known");
    }
}
