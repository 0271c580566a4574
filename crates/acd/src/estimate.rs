//! How long a caller will wait: an interval from the place, the agents who could help and how long calls take.
//!
//! With `n` agents at work whose calls last `h` on average, the p-th call from now gets an agent after the p-th of
//! a stream of endings at rate n/h. That time is Erlang-distributed: mean p·h/n, deviation √p·h/n.

use std::time::Duration;

use crate::words::WaitEstimate;

/// A running mean of how long one call keeps an agent, begun with what the configuration believes.
#[derive(Debug)]
pub(crate) struct HandleTime {
    mean_seconds: f64,
}

impl HandleTime {
    pub(crate) fn new(prior: Duration) -> Self {
        Self { mean_seconds: prior.as_secs_f64() }
    }

    /// Takes one finished call in. A call longer than [`LONGEST`] counts as that long, so that one forgotten
    /// line does not spoil every estimate of the day.
    pub(crate) fn observe(&mut self, took: Duration) {
        let seconds = took.min(LONGEST).as_secs_f64();
        self.mean_seconds += WEIGHT * (seconds - self.mean_seconds);
    }

    pub(crate) fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.mean_seconds.max(0.0))
    }
}

/// Estimates the wait at a place (1 is next) with so many agents staffed for it.
/// The interval reaches 1.28 deviations to both sides, which is meant to hold four waits of five.
pub(crate) fn estimate(place: u32, staffed: u32, handle_time: Duration) -> WaitEstimate {
    let share = handle_time.as_secs_f64() / f64::from(staffed.max(1));
    let place = f64::from(place.max(1));
    let (mean, deviation) = (place * share, place.sqrt() * share);
    let whole = |seconds: f64| Duration::from_secs(seconds.clamp(0.0, CEILING.as_secs_f64()) as u64);
    WaitEstimate {
        least: whole((mean - REACH * deviation).floor()),
        most: whole((mean + REACH * deviation).ceil()),
    }
}

/// Whether an estimate differs so much from what was told that it should be told again.
pub(crate) fn worth_telling(told: WaitEstimate, new: WaitEstimate) -> bool {
    let step = (told.most / 4).max(Duration::from_secs(15));
    told.most.abs_diff(new.most) >= step
}

/// Weight of the newest call in the running mean: about the last ten calls count.
const WEIGHT: f64 = 0.1;
const LONGEST: Duration = Duration::from_secs(3600);
/// No estimate is longer than this; a caller would not believe it.
const CEILING: Duration = Duration::from_secs(4 * 3600);
/// Deviations to each side: 80 % of a normal distribution.
const REACH: f64 = 1.28;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(place: u32, staffed: u32, handle: u64, least: u64, most: u64) {
        let expected = WaitEstimate { least: Duration::from_secs(least), most: Duration::from_secs(most) };
        assert_eq!(
            estimate(place, staffed, Duration::from_secs(handle)),
            expected,
            "{place} {staffed} {handle}"
        );
    }

    #[test]
    fn the_next_caller_may_be_served_at_once_or_after_two_calls_shares() {
        check(1, 1, 240, 0, 548);
        check(1, 10, 240, 0, 55);
    }

    #[test]
    fn further_back_is_longer_and_more_agents_make_it_shorter() {
        check(4, 1, 100, 144, 656);
        check(4, 4, 100, 36, 164);
        check(100, 10, 240, 2092, 2708);
    }

    #[test]
    fn nobody_is_told_more_than_four_hours() {
        check(1000, 1, 3600, 14_400, 14_400);
    }

    #[test]
    fn the_mean_moves_slowly_and_one_forgotten_line_does_not_spoil_it() {
        let mut handle = HandleTime::new(Duration::from_secs(200));
        handle.observe(Duration::from_secs(100));
        assert_eq!(handle.mean(), Duration::from_secs(190));
        handle.observe(Duration::from_secs(1_000_000));
        assert_eq!(handle.mean(), Duration::from_secs(531));
    }

    #[test]
    fn a_small_change_is_not_worth_telling() {
        let told = estimate(1, 1, Duration::from_secs(240));
        let longer = |by| WaitEstimate { most: told.most + Duration::from_secs(by), ..told };
        assert!(!worth_telling(told, longer(100)));
        assert!(worth_telling(told, longer(137)));
        assert!(!worth_telling(
            estimate(1, 100, Duration::from_secs(60)),
            estimate(1, 99, Duration::from_secs(60))
        ));
    }
}
