//! What is measured: counters and histograms of an interval, which add up to those of a run.
//!
//! Histograms keep two significant digits from 1 µs to a minute (the method of HdrHistogram): a percentile is never
//! an average of percentiles.

use hdrhistogram::Histogram;

use crate::{clock::Nanos, hearing::Tally, words::Role};

/// A histogram of lengths of time in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Times(Option<Histogram<u64>>);

impl Default for Times {
    fn default() -> Self {
        // The bounds are in order, so this is always there.
        Self(Histogram::new_with_bounds(LOWEST, HIGHEST, 2).ok())
    }
}

const LOWEST: u64 = 1_000;
const HIGHEST: u64 = 60_000_000_000;

impl Times {
    /// Adds one length; what is longer than a minute counts as a minute.
    pub(crate) fn record(&mut self, length: Nanos) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(length.min(HIGHEST));
        }
    }

    /// Adds all lengths of another one.
    pub(crate) fn add(&mut self, other: &Self) {
        if let (Some(mine), Some(other)) = (&mut self.0, &other.0)
            && !other.is_empty()
        {
            // The bounds are the same, so nothing is out of range.
            mine.add(other).unwrap_or_default();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        if let Some(histogram) = &mut self.0
            && !histogram.is_empty()
        {
            histogram.reset();
        }
    }

    /// How many lengths there are.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The length that this part (0 to 1) of all is not longer than; 0 if there are none.
    #[must_use]
    pub(crate) fn quantile(&self, part: f64) -> Nanos {
        self.0
            .as_ref()
            .filter(|histogram| !histogram.is_empty())
            .map_or(0, |histogram| histogram.value_at_quantile(part).min(histogram.max()))
    }

    /// The longest.
    #[must_use]
    pub(crate) fn longest(&self) -> Nanos {
        self.0.as_ref().map_or(0, Histogram::max)
    }

    /// How many lengths are above `from` and not above `to`, give or take the histogram's precision.
    #[must_use]
    pub(crate) fn between(&self, from: Nanos, to: Nanos) -> u64 {
        self.0.as_ref().map_or(0, |histogram| {
            let upto = |at: Nanos| if at == 0 { 0 } else { histogram.count_between(0, at.min(HIGHEST)) };
            upto(to).saturating_sub(upto(from))
        })
    }

    /// The mean.
    #[must_use]
    pub(crate) fn mean(&self) -> f64 {
        self.0.as_ref().map_or(0.0, Histogram::mean)
    }
}

/// What the media threads measured in a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interval {
    /// What callers, bots and agents heard.
    pub(crate) heard: [Tally; 3],
    /// From sending to arrival of each marked packet.
    pub(crate) delay: Times,
    /// Packets sent.
    pub(crate) sent: u64,
    /// Packets that the kernel did not take from us.
    pub(crate) refused: u64,
    /// Packets that came for nobody: after a hang-up, or from an address that nobody named.
    pub(crate) stray: u64,
    /// Packets that SRTP did not take: not authentic.
    pub(crate) rejected: u64,
    /// Packets that our own sockets had no room for: they count as the tester's fault.
    pub(crate) dropped: u64,
    /// How late each slot of the wheel was.
    pub(crate) lateness: Times,
    /// Slots that were more than 5 ms late.
    pub(crate) slots_late: u64,
    /// Slots that were left out because the tester was hopelessly late.
    pub(crate) slots_left_out: u64,
    /// Slots that were due.
    pub(crate) slots: u64,
    /// News that a leg's owner did not take.
    pub(crate) news_lost: u64,
    /// Legs whose far side has the address of another: with such a target, use own ports.
    pub(crate) address_shared: u64,
}

impl Interval {
    /// Adds another interval.
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, other) in self.heard.iter_mut().zip(&other.heard) {
            mine.add(other);
        }
        self.delay.add(&other.delay);
        self.lateness.add(&other.lateness);
        self.sent += other.sent;
        self.refused += other.refused;
        self.stray += other.stray;
        self.rejected += other.rejected;
        self.dropped += other.dropped;
        self.slots_late += other.slots_late;
        self.slots_left_out += other.slots_left_out;
        self.slots += other.slots;
        self.news_lost += other.news_lost;
        self.address_shared += other.address_shared;
    }

    /// What all ears heard together.
    #[must_use]
    pub(crate) fn all_heard(&self) -> Tally {
        let mut all = Tally::default();
        for tally in &self.heard {
            all.add(tally);
        }
        all
    }

    /// What the ears of one role heard.
    #[must_use]
    pub(crate) fn heard_by(&self, role: Role) -> Tally {
        self.heard.get(role as usize).copied().unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        let (mut delay, mut lateness) = (std::mem::take(&mut self.delay), std::mem::take(&mut self.lateness));
        delay.clear();
        lateness.clear();
        *self = Self { delay, lateness, ..Self::default() };
    }

    pub(crate) fn tally(&mut self, role: Role, tally: &Tally) {
        if let Some(mine) = self.heard.get_mut(role as usize) {
            mine.add(tally);
        }
    }

    pub(crate) fn tick(&mut self, late: Nanos, is_late: bool) {
        self.slots += 1;
        self.lateness.record(late);
        self.slots_late += u64::from(is_late);
    }

    pub(crate) fn delayed(&mut self, delay: Nanos) {
        self.delay.record(delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;

    #[test]
    fn percentiles_are_right_to_one_percent_and_add_up() {
        let (mut even, mut odd) = (Times::default(), Times::default());
        for length in 1..=1_000 {
            let times = if length % 2 == 0 { &mut even } else { &mut odd };
            times.record(length * MILLISECOND);
        }
        even.add(&odd);
        assert_eq!(even.count(), 1_000);
        assert!((even.between(100 * MILLISECOND, 200 * MILLISECOND) as i64 - 100).abs() <= 2);
        assert_eq!(even.between(0, u64::MAX), 1_000);
        for (part, wanted) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found = even.quantile(part) as f64 / MILLISECOND as f64;
            assert!((found / wanted - 1.0).abs() < 0.01, "{part}: {found}");
        }
    }

    #[test]
    fn an_empty_histogram_has_no_times() {
        let times = Times::default();
        assert_eq!((times.count(), times.quantile(0.99), times.longest()), (0, 0, 0));
    }

    #[test]
    fn what_is_longer_than_a_minute_counts_as_a_minute() {
        let mut times = Times::default();
        times.record(u64::MAX);
        assert!(times.longest() >= HIGHEST * 99 / 100);
    }

    #[test]
    fn intervals_add_up() {
        let mut all = Interval::default();
        let mut one = Interval { sent: 3, ..Interval::default() };
        one.tally(Role::Bot, &Tally { received: 2, missing: 1, ..Tally::default() });
        one.delayed(5 * MILLISECOND);
        one.tick(6 * MILLISECOND, true);
        all.add(&one);
        all.add(&one);
        one.clear();
        assert_eq!((all.sent, all.slots_late, all.delay.count()), (6, 2, 2));
        assert_eq!(all.heard_by(Role::Bot).lost(), 2);
        assert_eq!((one.sent, one.delay.count()), (0, 0));
    }
}
