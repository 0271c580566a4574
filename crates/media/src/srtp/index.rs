//! Where a stream is: the 48-bit index of its packets (RFC 3711 §3.3.1), and which of them were seen (§3.3.2).

/// The newest index of a stream, and the [`WINDOW`] before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    newest: u64,
    /// Bit n: the index `newest - n` was seen.
    seen: u128,
}

/// How far back a packet may come late.
pub(super) const WINDOW: u64 = 128;
/// Indices beyond it do not exist: 2^48 packets.
const LAST: u64 = (1 << 48) - 1;

impl Progress {
    /// Goes on from a place without having seen anything there.
    pub(super) const fn at(newest: u64) -> Self {
        Self { newest, seen: 0 }
    }

    pub(super) const fn newest(self) -> u64 {
        self.newest
    }

    /// The index that a sequence number most likely has; `None` for one before the first or after the last.
    pub(super) fn of_sequence(self, sequence: u16) -> Option<u64> {
        let near = self.newest as u16;
        let ahead = i64::from(sequence.wrapping_sub(near).cast_signed());
        self.newest.checked_add_signed(ahead).filter(|index| *index <= LAST)
    }

    /// Whether an index was not seen before, as far as that is known.
    pub(super) const fn is_new(self, index: u64) -> bool {
        if index > self.newest {
            return true;
        }
        let back = self.newest - index;
        back < WINDOW && self.seen & (1 << back) == 0
    }

    /// Notes that an index was seen.
    pub(super) const fn note(&mut self, index: u64) {
        if index > self.newest {
            let step = index - self.newest;
            self.seen = if step < WINDOW { self.seen << step } else { 0 };
            self.newest = index;
        }
        let back = self.newest - index;
        if back < WINDOW {
            self.seen |= 1 << back;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_belongs_to_the_nearest_index() {
        let cases = [
            (5, 6, Some(6)),
            (5, 65_535, None),
            (65_535, 0, Some(65_536)),
            (65_536, 65_535, Some(65_535)),
            (65_536 + 40_000, 7_231, Some(65_536 * 2 + 7_231)),
            (65_536 + 40_000, 7_233, Some(65_536 + 7_233)),
            (LAST, 0, None),
        ];
        for (newest, sequence, index) in cases {
            assert_eq!(Progress::at(newest).of_sequence(sequence), index, "{newest} {sequence}");
        }
    }

    #[test]
    fn an_index_is_new_once_and_not_at_all_when_it_is_too_old() {
        let mut progress = Progress::at(1000);
        assert!(progress.is_new(1000));
        for index in [1000, 1003, 1001, 1130] {
            assert!(progress.is_new(index), "{index}");
            progress.note(index);
            assert!(!progress.is_new(index), "{index}");
        }
        assert!(!progress.is_new(1002), "128 back");
        assert!(!progress.is_new(1003) && progress.is_new(1004));
        progress.note(100_000);
        assert!(!progress.is_new(1130) && progress.is_new(99_999));
    }
}
