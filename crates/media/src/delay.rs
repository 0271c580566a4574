//! How long sound has to be held back: a histogram of how much later than the fastest ones packets arrive.
//!
//! A packet's *transit* is its arrival less its timestamp. The smallest transit of the last seconds is the
//! *base*, which follows drifting clocks and new routes; what a packet took longer is its *lateness*.
//! [`Arrivals::target`] is the lateness that one packet in two hundred of the last 5 to 10 s exceeds.

/// Learns from arrivals. All times are in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    /// The smallest transit of the present window and of the one before.
    least: [i64; 2],
    /// When the present window began.
    since: i64,
    /// What lateness in the histogram is counted from.
    base: i64,
    /// How many packets were so many buckets late: of those counted now, and of as many before them.
    present: Counts,
    before: Counts,
}

#[derive(Clone, Debug)]
struct Counts {
    packets: [u16; BUCKETS],
    all: u16,
}

/// 5 ms.
const BUCKET: i64 = 5_000;
/// 320 ms; what is later counts as the last bucket.
const BUCKETS: usize = 64;
/// The histogram is that of the last 250 to 500 packets.
const MEMORY: u16 = 250;
/// One packet in so many may be later than the target.
const EXCEEDED: u16 = 200;
/// The smallest transit is that of the last 2 to 4 seconds: at 200 parts a million it moves by 1 ms meanwhile.
const WINDOW: i64 = 2_000_000;
/// No packet yet.
const NONE: i64 = i64::MAX;

impl Arrivals {
    pub(crate) const EMPTY: Self =
        Self { least: [NONE; 2], since: 0, base: 0, present: Counts::NONE, before: Counts::NONE };

    /// Another timeline from here on; how late packets are is still known.
    pub(crate) const fn restart(&mut self) {
        self.least = [NONE; 2];
    }

    /// Takes note of a packet; gives its lateness.
    pub(crate) fn arrived(&mut self, now: i64, transit: i64) -> i64 {
        let first = self.least == [NONE; 2];
        if first || now.saturating_sub(self.since) >= WINDOW || now < self.since {
            self.least = [NONE, if first { NONE } else { self.least[0] }];
            self.since = now;
        }
        self.least[0] = self.least[0].min(transit);
        let Some(base) = self.base() else { return 0 };
        self.rebase(base, first);
        let lateness = transit.saturating_sub(base).max(0);
        self.count((lateness / BUCKET) as usize);
        lateness
    }

    /// The transit of the fastest packets, if any came.
    pub(crate) fn base(&self) -> Option<i64> {
        let [present, before] = self.least;
        Some(present.min(before)).filter(|base| *base != NONE)
    }

    /// How late a packet has to be expected.
    pub(crate) fn target(&self) -> i64 {
        let allowed = (self.present.all + self.before.all) / EXCEEDED;
        let mut later = 0;
        let both = self.present.packets.iter().zip(&self.before.packets);
        for (bucket, (present, before)) in both.enumerate().rev() {
            later += present + before;
            if later > allowed {
                return if bucket == 0 { 0 } else { (bucket as i64 + 1) * BUCKET };
            }
        }
        0
    }

    /// A base that rose makes all lateness so far smaller; one that fell says nothing about it.
    fn rebase(&mut self, base: i64, first: bool) {
        let rise = base.saturating_sub(self.base) / BUCKET;
        if first || rise < 0 {
            self.base = base;
        } else if rise > 0 {
            self.base += rise * BUCKET;
            self.present.earlier_by(rise as usize);
            self.before.earlier_by(rise as usize);
        }
    }

    fn count(&mut self, bucket: usize) {
        if self.present.all >= MEMORY {
            self.before = std::mem::replace(&mut self.present, Counts::NONE);
        }
        self.present.all += 1;
        if let Some(packets) = self.present.packets.get_mut(bucket.min(BUCKETS - 1)) {
            *packets += 1;
        }
    }
}

impl Counts {
    const NONE: Self = Self { packets: [0; BUCKETS], all: 0 };

    /// Every packet was less late, by so many buckets.
    fn earlier_by(&mut self, buckets: usize) {
        let buckets = buckets.min(BUCKETS - 1);
        let merged = self.packets.iter().take(buckets + 1).sum();
        self.packets.copy_within(buckets.., 0);
        self.packets.iter_mut().rev().take(buckets).for_each(|packets| *packets = 0);
        if let Some(first) = self.packets.first_mut() {
            *first = merged;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const MS: i64 = 1000;

    fn run(arrivals: &mut Arrivals, packets: std::ops::Range<i64>, delay: impl Fn(i64) -> i64) {
        for n in packets {
            arrivals.arrived(n * 20 * MS + delay(n), delay(n));
        }
    }

    #[test]
    fn a_steady_network_needs_no_delay_and_a_jittery_one_its_jitter() {
        let mut arrivals = Arrivals::EMPTY;
        run(&mut arrivals, 0..500, |_| 70 * MS);
        assert_eq!(arrivals.target(), 0);
        let delay = |n: i64| Random::new(n as u64).below(60_000) as i64;
        run(&mut arrivals, 500..2500, delay);
        assert!((55 * MS..=65 * MS).contains(&arrivals.target()), "{}", arrivals.target());
        run(&mut arrivals, 2500..6000, |_| 0);
        assert_eq!(arrivals.target(), 0);
    }

    #[test]
    fn one_packet_that_is_late_changes_nothing() {
        let mut arrivals = Arrivals::EMPTY;
        run(&mut arrivals, 0..500, |_| 0);
        run(&mut arrivals, 500..1000, |n| if n == 600 { 250 * MS } else { 0 });
        assert_eq!(arrivals.target(), 0);
    }

    #[test]
    fn drift_either_way_is_not_lateness() {
        for drift in [-4, 4] {
            let mut arrivals = Arrivals::EMPTY;
            run(&mut arrivals, 0..20_000, |n| n * drift);
            assert!(arrivals.target() <= 10 * MS, "{drift}: {}", arrivals.target());
        }
    }

    #[test]
    fn a_slower_route_counts_as_late_until_it_is_the_only_one() {
        let mut arrivals = Arrivals::EMPTY;
        run(&mut arrivals, 0..1000, |_| 0);
        run(&mut arrivals, 1000..1050, |_| 100 * MS);
        assert!(arrivals.target() >= 100 * MS);
        run(&mut arrivals, 1050..1500, |_| 100 * MS);
        assert!(arrivals.target() <= 5 * MS, "{}", arrivals.target());
    }
}
