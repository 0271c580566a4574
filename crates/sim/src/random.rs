//! Chance that can be repeated: xoshiro256**, filled by splitmix64 from one number.
//!
//! Both are public-domain algorithms by Blackman and Vigna. Nothing here is fit for secrets.

use std::time::Duration;

/// A stream of chance. The same seed gives the same stream on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut mixer = seed;
        Self { state: std::array::from_fn(|_| splitmix(&mut mixer)) }
    }

    /// A stream of its own for one thing in the world, so that more chance here changes nothing there.
    pub(crate) fn for_thing(seed: u64, thing: u64) -> Self {
        Self::new(seed ^ thing.wrapping_add(1).wrapping_mul(0xA076_1D64_78BD_642F))
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let c = c ^ a;
        let d = d ^ b;
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number below a limit; zero for a limit of zero. The bias of the remainder does not matter here.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// A number in a half-open unit interval.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with a probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A time between two numbers of milliseconds, both included.
    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most.saturating_sub(least) + 1))
    }

    /// A time with a mean, exponentially distributed, cut at eight times the mean.
    pub(crate) fn around(&mut self, mean: Duration) -> Duration {
        let factor = -(1.0 - self.unit()).ln();
        mean.mul_f64(factor.min(8.0))
    }

    /// One of the choices by weight; the first if all weigh nothing. `None` only if there are none.
    pub(crate) fn pick<T: Clone>(&mut self, choices: &[(u32, T)]) -> Option<T> {
        let total: u64 = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.below(total);
        for (weight, choice) in choices {
            let weight = u64::from(*weight);
            if left < weight {
                return Some(choice.clone());
            }
            left -= weight;
        }
        choices.first().map(|(_, choice)| choice.clone())
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_stream_of_splitmix_is_reproduced() {
        let mut state = 1_234_567;
        assert_eq!(splitmix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(splitmix(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn one_seed_is_one_stream_and_another_seed_another() {
        let stream = |seed| -> Vec<u64> {
            let mut random = Random::new(seed);
            (0..8).map(|_| random.next()).collect()
        };
        assert_eq!(stream(7), stream(7));
        assert_ne!(stream(7), stream(8));
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_fill_them() {
        let mut random = Random::new(1);
        let mut seen = [false; 6];
        for _ in 0..200 {
            seen[random.below(6) as usize] = true;
            assert!((0.0..1.0).contains(&random.unit()));
            assert!((Duration::from_millis(5)..=Duration::from_millis(7)).contains(&random.millis(5, 7)));
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn choices_are_made_by_weight() {
        let mut random = Random::new(3);
        let often = (0..1000).filter(|_| random.pick(&[(9, true), (1, false)]) == Some(true)).count();
        assert!((850..950).contains(&often), "{often}");
        assert_eq!(random.pick::<u8>(&[]), None);
        assert_eq!(random.pick(&[(0, 1), (5, 2)]), Some(2));
    }

    #[test]
    fn times_around_a_mean_have_that_mean() {
        let mut random = Random::new(5);
        let total: Duration = (0..2000).map(|_| random.around(Duration::from_secs(10))).sum();
        let mean = total / 2000;
        assert!((Duration::from_secs(9)..Duration::from_secs(11)).contains(&mean), "{mean:?}");
    }
}
