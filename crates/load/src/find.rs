//! The search for the most calls that a target stands. Pure: what was tried and whether it held, in; what to try
//! next, out.
//!
//! From the first guess it grows by half until something does not hold (or shrinks by half until something does), then
//! it halves the distance until it is known to five percent. What held once counts as held.

/// The search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Search {
    /// The most that held.
    held: Option<u32>,
    /// The least that did not.
    broke: Option<u32>,
    first: u32,
    most: u32,
}

impl Search {
    /// Begins at a guess and never tries more than `most`.
    pub(crate) fn new(first: u32, most: u32) -> Self {
        Self { held: None, broke: None, first: first.clamp(1, most.max(1)), most: most.max(1) }
    }

    /// How many calls to try; `None` when it is known well enough.
    pub(crate) fn next(&self) -> Option<u32> {
        match (self.held, self.broke) {
            (None, None) => Some(self.first),
            (Some(held), _) if held >= self.most => None,
            (Some(held), None) => Some((held + (held / 2).max(1)).min(self.most)),
            (None, Some(broke)) if broke <= 1 => None,
            (None, Some(broke)) => Some((broke / 2).max(1)),
            (Some(held), Some(broke)) => {
                let fine = (held / 20).max(1);
                (broke.saturating_sub(held) > fine).then(|| held + (broke - held) / 2)
            }
        }
    }

    /// Tells what came of a try.
    pub(crate) fn tell(&mut self, calls: u32, holds: bool) {
        if holds {
            self.held = Some(self.held.map_or(calls, |held| held.max(calls)));
            self.broke = self.broke.filter(|broke| *broke > calls);
        } else {
            self.broke = Some(self.broke.map_or(calls, |broke| broke.min(calls)));
        }
    }

    /// The most that held; 0 if nothing did.
    pub(crate) fn found(&self) -> u32 {
        self.held.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(first: u32, most: u32, stands: u32) -> (u32, u32) {
        let mut search = Search::new(first, most);
        let mut tries = 0;
        while let Some(calls) = search.next() {
            search.tell(calls, calls <= stands);
            tries += 1;
            assert!(tries < 40, "no end: {search:?}");
        }
        (search.found(), tries)
    }

    #[test]
    fn the_limit_is_found_to_five_percent_from_any_guess() {
        for stands in [1, 2, 17, 400, 1_650, 3_025] {
            for first in [1, 50, 500, 5_000] {
                let (found, tries) = search(first, 10_000, stands);
                assert!(
                    found <= stands && found * 20 + 20 >= stands * 19,
                    "{found} of {stands} from {first}"
                );
                assert!(tries <= 30, "{tries} tries");
            }
        }
    }

    #[test]
    fn a_target_that_stands_everything_is_found_at_the_most() {
        assert_eq!(search(100, 700, u32::MAX).0, 700);
    }

    #[test]
    fn a_target_that_stands_nothing_is_found_at_nothing() {
        assert_eq!(search(100, 700, 0).0, 0);
    }
}
