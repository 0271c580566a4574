//! The most voices that hold: a guess, then closing in from both sides.

/// What is known of the most voices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    /// The most that held.
    pub(super) held: usize,
    /// The fewest that did not.
    pub(super) failed: Option<usize>,
}

impl Range {
    /// Takes in what came of a number.
    pub(super) fn learn(&mut self, voices: usize, held: bool) {
        if held {
            self.held = self.held.max(voices);
        } else {
            self.failed = Some(self.failed.map_or(voices, |failed| failed.min(voices)));
        }
        // Chance may let more voices hold than failed before: then the higher number is believed.
        self.failed = self.failed.filter(|failed| *failed > self.held);
    }

    /// The number to try next: an eighth more or a quarter fewer until both sides are known, then the middle; none
    /// where what is left between them is 4 % or a single voice.
    pub(super) fn next(&self) -> Option<usize> {
        let next = match self.failed {
            None => (self.held + self.held / 8 + 1).min(VOICES_MAX),
            Some(failed) if self.held == 0 => failed * 3 / 4,
            Some(failed) if failed - self.held <= 1 + self.held / 25 => 0,
            Some(failed) => self.held.midpoint(failed),
        };
        (next > 0 && next != self.held).then_some(next)
    }
}

/// No core hears more.
pub(super) const VOICES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_closes_in_on_the_limit_and_ends() {
        for (limit, first, most) in
            [(30, 36, 6), (30, 60, 8), (1, 8, 7), (7, 1, 8), (VOICES_MAX, 300, 8), (40, 36, 6)]
        {
            let (mut range, mut next, mut tries) = (Range::default(), Some(first), 0);
            while let Some(voices) = next {
                tries += 1;
                range.learn(voices, voices <= limit);
                next = range.next();
            }
            assert!(range.held <= limit && (range.held + 2) * 26 >= limit * 25, "{limit}: {range:?}");
            assert!(tries <= most, "{limit}: {tries} tries");
        }
    }

    #[test]
    fn where_nobody_is_heard_the_search_ends_with_one_voice() {
        let (mut range, mut next, mut tried) = (Range::default(), Some(4), Vec::new());
        while let Some(voices) = next {
            tried.push(voices);
            range.learn(voices, false);
            next = range.next();
        }
        assert_eq!((tried, range.held), (vec![4, 3, 2, 1], 0));
    }
}
